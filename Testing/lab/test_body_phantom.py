"""Bodies from label maps: a small phantom of exactly the files' layout, and the real maps where they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILab.synthesis.body import BodySettings, SyntheticBody
from LiverLesionAILab.synthesis.organs import Organ, Phase
from LiverLesionAILab.synthesis.patient import LiverKind
from LiverLesionAILab.synthesis.phantom_body import (
    PhantomShapes,
    find_phantoms,
    load_phantom,
    make_phantom_body,
    read_organ_list,
)
from LiverLesionAILib.support.errors import InputError
from scipy import ndimage

SETTINGS = BodySettings(
    spacing_zyx_mm=(5.0, 3.0, 3.0),
    coarse_mm=4.0,
    field_mm=400.0,
    top_mm=30.0,
    bottom_mm=-200.0,
    phase=Phase.PORTAL_VENOUS,
    liver_kind=LiverKind.NORMAL,
)
ORGANS = """Organs and tissues of the adult male reference computational phantom\t\t\t

Organ Organ                                          Tissue Density
ID                                                   number
18    Arms, none here                                  29    1.050
49    Thoracic spine, cortical                          2    1.920
70    Gall bladder wall                                45    1.030
87    Heart wall                                       33    1.050
95    Liver                                            30    1.050
97    Lung, left, tissue                               50    0.382
107   Muscle, trunk                                    29    1.050
108   Muscle, arms                                     29    1.050
117   Residual tissue, trunk                           49    0.950
122   Skin, head                                       27    1.090
123   Skin, trunk                                      27    1.090
127   Spleen                                           39    1.040
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A trunk of boxes and balls, 8 mm slices, with an arm beside it that has to go."""
    labels = np.zeros((70, 90, 150), np.uint8)
    z, y, x = np.meshgrid(*(np.arange(n, dtype=float) for n in labels.shape), indexing="ij")
    trunk = ((y - 45) / 38) ** 2 + ((x - 65) / 60) ** 2
    labels[trunk < 1] = 123
    labels[trunk < 0.92] = 107
    labels[trunk < 0.75] = 117

    def ball(cz: float, cy: float, cx: float, mm: tuple[float, float, float], value: int) -> None:
        near = ((z - cz) * 8 / mm[0]) ** 2 + ((y - cy) * 2.5 / mm[1]) ** 2 + ((x - cx) * 2.5 / mm[2]) ** 2
        labels[near < 1] = value

    ball(52, 45, 90, (60, 50, 50), 97)
    ball(50, 35, 65, (40, 40, 40), 87)
    ball(37, 42, 38, (75, 70, 65), 95)
    ball(36, 60, 98, (45, 40, 30), 127)
    ball(33, 28, 45, (20, 16, 16), 70)
    labels[:, 68:78, 60:70] = 49
    labels[10:60, 40:55, 132:146] = 108
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((2.5, 2.5, 8.0))
    sitk.WriteImage(image, str(tmp_path / "ICRP110_AM_labels.nii.gz"))
    (tmp_path / "AM_organs.dat").write_text(ORGANS, encoding="latin-1")
    return tmp_path


def test_organ_list_is_read(folder: Path) -> None:
    names = read_organ_list(folder / "AM_organs.dat")
    assert names[95] == "Liver"
    assert names[49] == "Thoracic spine, cortical"
    assert len(names) == 12


def test_shapes_keep_volume_and_lose_the_arm(folder: Path) -> None:
    shapes = load_phantom(find_phantoms(folder)[0])
    assert set(shapes.boxes) >= {"skin", "liver", "spleen", "bone", "lung", "heart", "gallbladder", "muscle"}
    part = shapes.grid.part(shapes.boxes["liver"])
    inside = (shapes.distances["liver"] < 0).sum() * np.prod(part.spacing_zyx_mm) / 1000
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "ICRP110_AM_labels.nii.gz")))
    assert inside == pytest.approx((labels == 95).sum() * 2.5 * 2.5 * 8 / 1000, rel=0.06)
    right = shapes.grid.part(shapes.boxes["skin"])
    assert right.axis_mm(2)[-1] < 200, "the arm is gone"
    top = shapes.grid.axis_mm(0)[shapes.boxes["liver"][0]]
    assert top.min() < -100 < 0 < top.max(), "z = 0 is the liver's top"


def test_patients_differ_and_repeat(folder: Path) -> None:
    shapes = load_phantom(find_phantoms(folder)[0])
    one, same, other = (make_phantom_body(np.random.default_rng(s), SETTINGS, shapes) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.hu_zyx, same.hu_zyx)
    assert (one.liver_zyx != other.liver_zyx).sum() > 0.05 * one.liver_zyx.sum()
    _check(one)
    _check(other)


def _check(body: SyntheticBody) -> None:
    assert body.hu_zyx.dtype == np.int16
    voxel_ml = body.geometry.voxel_volume_mm3 / 1000
    assert 700 < body.liver_zyx.sum() * voxel_ml < 2600
    labels, n = ndimage.label(body.liver_zyx)
    assert n == 1 or np.bincount(labels.ravel())[1:].max() / body.liver_zyx.sum() > 0.98
    core = ndimage.binary_erosion(body.labels_zyx == Organ.LIVER)
    assert 75 < np.median(body.hu_zyx[core]) < 150
    spleen = np.argwhere(body.labels_zyx == Organ.SPLEEN).mean(0)
    assert np.argwhere(body.liver_zyx).mean(0)[2] < spleen[2] - 10 / body.geometry.spacing_zyx_mm[2]
    for organ in (Organ.PORTAL_VEIN, Organ.HEPATIC_VEIN):
        assert (body.liver_zyx & (body.labels_zyx == organ)).sum() > 100


def test_missing_list_is_said(folder: Path) -> None:
    (folder / "AM_organs.dat").unlink()
    with pytest.raises(InputError, match=r"AM_organs\.dat"):
        load_phantom(folder / "ICRP110_AM_labels.nii.gz")


def test_map_without_liver_is_said(folder: Path) -> None:
    text = (folder / "AM_organs.dat").read_text().replace("Liver  ", "Other  ")
    (folder / "AM_organs.dat").write_text(text)
    with pytest.raises(InputError, match="liver"):
        load_phantom(folder / "ICRP110_AM_labels.nii.gz")


def test_no_folder_no_phantoms(tmp_path: Path) -> None:
    assert find_phantoms(tmp_path / "nothing") == []


@pytest.fixture(scope="module")
def real_shapes() -> PhantomShapes:
    found = find_phantoms()
    if not found:
        pytest.skip("the ICRP 110 label maps are not here (LIVERLESIONAI_DATA/shapes)")
    return load_phantom(found[0])


@pytest.mark.real_data
def test_real_phantom(real_shapes: PhantomShapes) -> None:
    missing = {"liver", "spleen", "kidney", "colon", "stomach", "pancreas", "vessels", "bone"} - set(
        real_shapes.boxes
    )
    assert not missing
    body = make_phantom_body(np.random.default_rng(3), SETTINGS, real_shapes)
    _check(body)
    assert (body.labels_zyx == Organ.AORTA).sum() > 50
    assert (body.labels_zyx == Organ.KIDNEY_CORTEX).sum() > 1000
    full = make_phantom_body(np.random.default_rng(3), replace(SETTINGS, isodense_stomach=1.0), real_shapes)
    filled = ndimage.binary_erosion((full.labels_zyx == Organ.STOMACH_CONTENT) & (full.hu_zyx > -300))
    liver_hu = np.median(full.hu_zyx[full.labels_zyx == Organ.LIVER])
    assert abs(np.median(full.hu_zyx[filled]) - liver_hu) < 40
