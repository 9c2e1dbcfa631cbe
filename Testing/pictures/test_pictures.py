"""Pictures: true proportions, outlines on the masks, no OpenGL for slices, 3D in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILib.case.colours import LIVER, lesion_colour
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.pictures import slice_views
from LiverLesionAILib.pictures import view_3d as picture_3d
from LiverLesionAILib.pictures.canvas import Canvas, text_coverage, write_png
from LiverLesionAILib.pictures.overview import write_pictures
from LiverLesionAILib.pictures.planes import AXIAL, CORONAL
from LiverLesionAILib.pictures.slice_views import Upright, best_slices, draw_slice
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from scipy import ndimage as ndi
from support.case_factory import small_case


@pytest.fixture
def upright() -> Upright:
    volume, result = small_case(Geometry.make((30, 50, 60), (4.0, 2.0, 1.5)), lesions=4)
    return Upright.of(result, volume)


def coloured(rgb: np.ndarray, colour: tuple[float, float, float], tolerance: float = 0.02) -> np.ndarray:
    return np.abs(rgb - np.array(colour)).max(axis=2) < tolerance


def test_png_is_read_by_itk(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (37, 53, 3)).astype(np.uint8)
    write_png(tmp_path / "p.png", rgb)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "p.png"))), rgb)


def test_text_is_drawn_without_opengl():
    program = (
        "import sys; from LiverLesionAILib.pictures.canvas import text_coverage as t;"
        "ink = t('34 × 21 mm', 20);"
        "assert ink.max() > 0.9 and ink.shape[1] > 50, ink.shape;"
        "assert not [m for m in sys.modules if 'OpenGL' in m or m in ('vtk', 'matplotlib')]"
    )
    root = Path(picture_3d.__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root)
    assert text_coverage("", 20).shape == (1, 1)


def test_lines_and_fills_stay_inside_the_picture():
    canvas = Canvas(40, 30)
    canvas.line((-50, 10), (90, 10), (1.0, 0.0, 0.0), width=1.0)
    assert canvas.rgb[10, :, 0].min() > 0.99
    assert canvas.rgb[13:, :, 0].max() == 0.0
    canvas.rectangle(35, 25, 50, 50, (0.0, 1.0, 0.0))
    assert canvas.rgb[25:, 35:, 1].min() == 1.0
    canvas.text("far away", 500, 500)


@pytest.mark.parametrize("plane", [AXIAL, CORONAL])
def test_proportions_are_physical(upright, plane):
    """A lesion's outline is as wide and high in the picture as its section is in mm."""
    number = 1
    index = int(upright.areas(plane)[number].argmax())
    canvas = draw_slice(upright, plane, index, width=700, height=600, text_size=1)
    section = np.take(upright.labels_zyx == number, index, axis=plane.axis)
    rows_mm = upright.geometry.spacing_zyx_mm[plane.rows]
    columns_mm = upright.geometry.spacing_zyx_mm[plane.columns]
    expected = section.any(axis=1).sum() * rows_mm / (section.any(axis=0).sum() * columns_mm)
    # The box is drawn in the pure colour of the lesion, a few pixels outside the section.
    drawn = coloured(canvas.rgb, lesion_colour(number), 0.06)
    high = np.ptp(np.flatnonzero(drawn.sum(axis=1) > 5))
    wide = np.ptp(np.flatnonzero(drawn.sum(axis=0) > 5))
    assert high / wide == pytest.approx(expected, rel=0.06)


def test_patient_right_is_left_and_anterior_is_up(upright):
    """A bright spot at the patient's right front is drawn at the left top, however the CT is stored."""
    hu = np.full((12, 40, 50), -1000, np.int16)
    hu[:, 5:35, 5:45] = 0
    hu[:, 8:12, 8:12] = 200
    liver = np.zeros(hu.shape, bool)
    straight = Geometry.make(hu.shape, (3.0, 1.0, 1.0))
    turned = Geometry.make(
        hu.shape, (3.0, 1.0, 1.0), tuple(straight.index_to_lps((0, 39, 49))), np.diag([-1.0, -1.0, 1.0])
    )
    for array, geometry in ((hu, straight), (hu[:, ::-1, ::-1], turned)):
        result = CaseResult("spot", geometry, liver, liver.astype(np.uint16))
        case = Upright.of(result, CtVolume(array, geometry))
        canvas = draw_slice(case, AXIAL, 6, width=200, height=200, text_size=1)
        y, x = np.argwhere(canvas.rgb[20:180, 20:180].min(axis=2) > 0.88).mean(axis=0) + 20
        assert x < 70
        assert y < 80


def test_coronal_has_the_head_up():
    hu = np.full((20, 30, 30), 0, np.int16)
    hu[16:19] = 200
    none = np.zeros(hu.shape, bool)
    geometry = Geometry.make(hu.shape, (2.0, 1.0, 1.0))
    case = Upright.of(CaseResult("", geometry, none, none.astype(np.uint16)), CtVolume(hu, geometry))
    canvas = draw_slice(case, CORONAL, 15, width=200, height=260, text_size=1)
    assert canvas.rgb[40, 100].min() > 0.85 > canvas.rgb[200, 100].max()


def test_every_lesion_is_shown_in_some_slice(upright):
    for plane in (AXIAL, CORONAL):
        chosen = best_slices(upright, plane, 9)
        areas = upright.areas(plane)
        assert all(max(a[i] for i in chosen) >= 0.75 * a.max() for a in areas.values())
    assert len(best_slices(upright, AXIAL, 1)) == 1


def test_outline_of_the_liver_is_on_its_edge(upright):
    index = int(upright.liver_zyx.sum(axis=(1, 2)).argmax())
    bare = replace(upright, lesions=())
    canvas = draw_slice(bare, AXIAL, index, width=600, height=600, margin_mm=20, text_size=1)
    y, x = np.nonzero(coloured(canvas.rgb, LIVER, 0.1))
    section = np.argwhere(upright.liver_zyx[index])
    expected = np.ptp(section[:, 0] * 2.0) / np.ptp(section[:, 1] * 1.5)
    assert np.ptp(y) / np.ptp(x) == pytest.approx(expected, rel=0.06)


def test_all_pictures_are_written(tmp_path):
    volume, result = small_case(lesions=4)
    said: list[str] = []
    written = write_pictures(result, volume, tmp_path, say=said.append)
    assert {"axial", "coronal", "overview"} <= set(written)
    assert ("3d" in written) != bool(said)
    for path in written.values():
        picture = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        assert picture.std() > 5
    if "3d" in written:
        picture = sitk.GetArrayFromImage(sitk.ReadImage(str(written["3d"]))) / 255
        hue = picture - picture.mean(axis=2, keepdims=True)
        wanted = np.array(lesion_colour(1)) - np.mean(lesion_colour(1))
        # Something in the colour of the largest lesion is to be seen.
        assert ((hue * wanted).sum(axis=2) > 0.5 * (wanted**2).sum()).sum() > 200


def test_nothing_found_still_gives_pictures(tmp_path):
    volume, result = small_case(lesions=0)
    none = np.zeros_like(result.liver_zyx)
    empty = replace(result, liver_zyx=none, liver_volume_ml=0.0, messages=("No liver was found.",))
    said: list[str] = []
    written = write_pictures(empty, volume, tmp_path, say=said.append)
    assert set(written) == {"axial", "coronal", "overview"}
    assert said == []


class TestChildProcess:
    def test_a_crash_of_opengl_is_told_and_nothing_more(self, tmp_path, monkeypatch):
        volume, result = small_case()
        monkeypatch.setattr(picture_3d, "CHILD", ["-c", "import os, signal; os.kill(os.getpid(), 11)"])
        said: list[str] = []
        written = write_pictures(result, volume, tmp_path, say=said.append)
        assert set(written) == {"axial", "coronal", "overview"}
        assert len(said) == 1
        assert "libegl1" in said[0]

    def test_a_hanging_renderer_is_given_up(self, monkeypatch):
        _, result = small_case()
        monkeypatch.setattr(picture_3d, "CHILD", ["-c", "import time; time.sleep(60)"])
        with picture_3d.RenderJob(result, 100, 100) as job:
            picture, why = job.wait(0.5)
            process = job._process
        assert picture is None
        assert "given up" in why
        assert process is not None
        assert process.poll() is not None

    def test_nothing_is_left_when_the_caller_fails(self):
        _, result = small_case()
        job = picture_3d.RenderJob(result, 100, 100)
        with pytest.raises(KeyError), job:
            raise KeyError
        assert not Path(job._folder.name).exists()
        assert job._process is not None
        assert job._process.poll() is not None

    def test_a_finished_renderer_ends_well_while_its_parent_lives(self, tmp_path):
        program = (
            "import sys, time; from pathlib import Path\n"
            "from LiverLesionAILib.pictures.view_3d_child import leave_with_parent\n"
            "leave_with_parent(Path(sys.argv[1])); time.sleep(0.3)"
        )
        root = Path(picture_3d.__file__).resolve().parents[2]
        with subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            cwd=root,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as child:
            code = child.wait(600)
            assert code == 0, child.stderr.read().decode()
        assert tmp_path.is_dir(), "only a child that was left alone removes the folder"


def test_what_is_drawn_of_a_mask_is_what_the_whole_picture_would_give() -> None:
    """Only a mask's surroundings are computed: the same bits, at any place, scale and direction."""
    random = np.random.default_rng(3)
    for _ in range(60):
        shape = random.integers(3, 30, 2)
        mask = np.zeros(shape, bool)
        start = random.integers(0, shape)
        mask[start[0] : start[0] + random.integers(0, 9), start[1] : start[1] + random.integers(0, 9)] = True
        lines = []
        for length in shape:
            low, high = np.sort(random.uniform(-3, length + 2, 2))
            lines.append(np.linspace(low, high + 0.5, random.integers(5, 120))[:: random.choice([-1, 1])])
        rows, columns = lines
        whole = slice_views._sample(mask.astype(np.float32), rows, columns, order=1, outside=0.0)
        whole = ndi.gaussian_filter(whole, [0.4 / abs(line[1] - line[0]) for line in lines])
        soft = slice_views._soft(mask, rows, columns)
        np.testing.assert_array_equal(soft, whole)
        drawn, plain = (Canvas(len(columns), len(rows), (0.2, 0.4, 0.6)) for _ in range(2))
        drawn.region(soft, (1.0, 0.5, 0.0), fill=0.3, width=2.0)
        slope_y, slope_x = np.gradient(whole)
        distance = (whole - 0.5) / np.maximum(np.hypot(slope_x, slope_y), 1e-4)
        plain.blend(0.3 * np.clip(distance + 0.5, 0, 1), (1.0, 0.5, 0.0))
        plain.blend(np.clip(1.5 - np.abs(distance), 0, 1), (1.0, 0.5, 0.0))
        np.testing.assert_array_equal(drawn.rgb, plain.rgb)


def test_a_small_lesions_volume_is_not_told_to_be_nothing():
    from dataclasses import replace

    from LiverLesionAILib.pictures.overview import _line

    lesion = small_case()[1].lesions[0]
    for volume_ml, text in ((0.04, "0.04 mL"), (0.004, "<0.01 mL"), (34.78, "34.78 mL"), (250.3, "250 mL")):
        measured = replace(lesion.measurement, volume_ml=volume_ml)
        assert text in _line(replace(lesion, measurement=measured))
