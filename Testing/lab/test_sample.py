"""The sample case: five lesions of known truth in a plausible scan; the command draws what is shipped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.synthesis.sample import Sample, draw_sample
from LiverLesionAILib.case.sample import CT_FILE, TRUTH_FILE, load_sample, sample_folder
from LiverLesionAILib.case.sample_follow_up import CHANGES_FILE, load_follow_up
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.support.errors import InputError
from scipy import ndimage


@pytest.fixture(scope="module")
def drawn() -> Sample:
    return draw_sample()


def test_geometry_and_values(drawn: Sample) -> None:
    sample, volume = drawn, drawn.volume
    assert volume.hu_zyx.dtype == np.int16
    assert min(volume.geometry.shape_zyx[1:]) >= 256
    assert 2.5 <= volume.geometry.spacing_zyx_mm[0] <= 3.0
    assert -1024 <= volume.hu_zyx.min() < -900
    assert volume.hu_zyx.max() <= 600
    assert sample.liver_zyx.shape == sample.lesion_labels_zyx.shape == volume.hu_zyx.shape
    liver_ml = sample.liver_zyx.sum() * volume.geometry.voxel_volume_mm3 / 1000
    assert 1000 < liver_ml < 2500


def test_five_lesions_of_8_to_45_mm(drawn: Sample) -> None:
    sample = drawn
    assert [lesion.number for lesion in sample.lesions] == [1, 2, 3, 4, 5]
    assert set(np.unique(sample.lesion_labels_zyx)) == {0, 1, 2, 3, 4, 5}
    voxel = sample.volume.geometry.voxel_volume_mm3
    for lesion in sample.lesions:
        mask = sample.lesion_labels_zyx == lesion.number
        diameter = (6 / np.pi * mask.sum() * voxel) ** (1 / 3)
        assert 7.5 < diameter < 45
        assert diameter == pytest.approx(lesion.diameter_mm, rel=0.02)
        assert ndimage.label(mask, np.ones((3, 3, 3)))[1] == 1
        np.testing.assert_allclose(lesion.centre_zyx, np.argwhere(mask).mean(0), atol=0.01)
        np.testing.assert_array_equal(lesion.box_zyx[0], np.argwhere(mask).min(0))
        np.testing.assert_array_equal(lesion.box_zyx[1], np.argwhere(mask).max(0) + 1)
        assert (mask <= sample.liver_zyx).all(), "the liver includes its lesions"
    sizes = [lesion.diameter_mm for lesion in sample.lesions]
    assert max(sizes) > 35
    assert min(sizes) < 10


def test_lesions_are_darker_than_the_liver_and_apart(drawn: Sample) -> None:
    sample = drawn
    hu = sample.volume.hu_zyx
    liver = np.median(hu[sample.liver_zyx & (sample.lesion_labels_zyx == 0)])
    for lesion in sample.lesions:
        assert np.median(hu[sample.lesion_labels_zyx == lesion.number]) < liver - 10
    together = ndimage.label(sample.lesion_labels_zyx > 0, np.ones((3, 3, 3)))[1]
    assert together == 5


def test_the_command_draws_what_is_shipped(
    drawn: Sample, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`liverlesionai synthesize sample` makes the shipped files again, but for rounding, and as large."""
    monkeypatch.setattr("LiverLesionAILab.synthesis.sample.draw_sample", lambda: drawn)
    assert main(["synthesize", "sample", "--out", str(tmp_path)]) == 0
    assert CT_FILE in capsys.readouterr().out
    again, shipped = load_sample(tmp_path), load_sample()
    np.testing.assert_array_equal(again.volume.hu_zyx, drawn.volume.hu_zyx)
    # Processors round the last bit otherwise: 190 of ten million voxels on one with AVX-512.
    assert np.mean(shipped.volume.hu_zyx != drawn.volume.hu_zyx) < 1e-4
    for case in (again, shipped):
        np.testing.assert_array_equal(case.liver_zyx, drawn.liver_zyx)
        np.testing.assert_array_equal(case.lesion_labels_zyx, drawn.lesion_labels_zyx)
        assert case.volume.geometry.matches(drawn.volume.geometry, 1e-9)
    shipped_changes = json.loads((sample_folder() / CHANGES_FILE).read_text(encoding="utf-8"))
    assert json.loads((tmp_path / CHANGES_FILE).read_text(encoding="utf-8")) == shipped_changes
    for name in (CT_FILE, TRUTH_FILE):
        headers = [
            (folder / name).read_bytes().split(b"\n\n", 1)[0] for folder in (tmp_path, sample_folder())
        ]
        assert headers[0] == headers[1]
    assert sum(path.stat().st_size for path in sample_folder().iterdir()) < 6e6


def test_the_shipped_files_are_what_itk_reads() -> None:
    import SimpleITK as sitk

    shipped = load_sample()
    image = sitk.ReadImage(str(sample_folder() / CT_FILE))
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(image), shipped.volume.hu_zyx)
    np.testing.assert_allclose(image.GetOrigin(), shipped.volume.geometry.origin_lps)
    np.testing.assert_allclose(image.GetSpacing()[::-1], shipped.volume.geometry.spacing_zyx_mm)
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(sample_folder() / TRUTH_FILE)))
    np.testing.assert_array_equal(truth[..., 0] > 0, shipped.liver_zyx)
    np.testing.assert_array_equal(truth[..., 1], shipped.lesion_labels_zyx)


@pytest.mark.parametrize("name", [CT_FILE, TRUTH_FILE])
@pytest.mark.parametrize("damage", ["missing", "cut", "emptied"])
def test_a_damaged_sample_is_told(name: str, damage: str, tmp_path: Path) -> None:
    for file in (CT_FILE, TRUTH_FILE):
        (tmp_path / file).write_bytes((sample_folder() / file).read_bytes())
    content = (tmp_path / name).read_bytes()
    if damage == "missing":
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content[:-1000] if damage == "cut" else b"")
    with pytest.raises(InputError, match="Install the extension again"):
        load_sample(tmp_path)


def test_the_follow_up_is_what_its_file_says() -> None:
    """One lesion grew, one shrank, one is gone, one is new, two stayed; all lie in the liver."""
    both = load_follow_up()
    sizes = []
    for case in (both.prior, both.current):
        voxel = case.volume.geometry.voxel_volume_mm3
        counts = np.bincount(case.lesion_labels_zyx.ravel(), minlength=7)[1:]
        sizes.append((6 / np.pi * counts * voxel) ** (1 / 3))
        assert case.liver_zyx[case.lesion_labels_zyx > 0].mean() > 0.97
    before, now = sizes
    assert now[0] / before[0] == pytest.approx(1.28, abs=0.03)
    assert now[1] / before[1] == pytest.approx(0.62, abs=0.03)
    assert now[2] == pytest.approx(before[2], rel=0.04)
    assert now[3] == 0 and before[3] > 10
    assert before[5] == 0 and 12 < now[5] < 16
    hu, labels = both.current.volume.hu_zyx, both.current.lesion_labels_zyx
    liver = np.median(hu[both.current.liver_zyx & (labels == 0)])
    assert all(np.median(hu[labels == n]) < liver - 10 for n in (1, 2, 3, 5, 6))
    assert (sample_folder() / CHANGES_FILE).stat().st_size < 5000


def test_a_damaged_file_of_changes_is_told(tmp_path: Path) -> None:
    for file in (CT_FILE, TRUTH_FILE):
        (tmp_path / file).write_bytes((sample_folder() / file).read_bytes())
    (tmp_path / CHANGES_FILE).write_text('{"days": []}', encoding="utf-8")
    with pytest.raises(InputError, match="Install the extension again"):
        load_follow_up(tmp_path)
