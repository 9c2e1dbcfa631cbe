"""Real scans, where the optional data is there: all CTs pass, label maps and fragments are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from LiverLesionAILib.reading import list_series, read_ct
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.checking import check_ct
from LiverLesionAILib.volume.ct import CtVolume, Geometry, permuted, reorient, resample, resample_labels
from support.ct_phantom import real_data

CTS = [
    *(f"lits/lits{k:03d}_ct.nii.gz" for k in range(6)),
    "unlabelled/lits013_ct.nii.gz",
    "unlabelled/tcga_09_2043_ct.nii.gz",
    "tiny/torso_3mm_ct.nii.gz",
    "tiny/torso_3mm_crop_ct.nii.gz",
]
LABELS = [
    *(f"lits/lits{k:03d}_mask.nii.gz" for k in range(6)),
    "tiny/torso_3mm_crop_organs.nii.gz",
    "shapes/ICRP110_AM_labels.nii.gz",
    "shapes/ICRP110_AF_labels.nii.gz",
]


@pytest.mark.real_data
@pytest.mark.parametrize("name", CTS)
def test_ct_passes_unchanged(name: str) -> None:
    path = real_data(name)
    volume = read_ct(path)
    image = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(volume.hu_zyx, sitk.GetArrayViewFromImage(image))
    corner = [n - 1 for n in image.GetSize()]
    np.testing.assert_allclose(
        volume.geometry.index_to_lps(corner[::-1]), image.TransformIndexToPhysicalPoint(corner), atol=1e-3
    )
    assert volume.warnings == ()
    assert check_ct(volume) is volume  # it was checked while it was read


@pytest.mark.real_data
@pytest.mark.parametrize("name", LABELS)
def test_label_map_is_refused(name: str) -> None:
    path = real_data(name)
    with pytest.raises(InputError, match="label map") as caught:
        read_ct(path)
    assert path.name in str(caught.value)


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["tiny/torso_3mm_ct.nii.gz", "unlabelled/tcga_09_2043_ct.nii.gz"])
def test_offset_of_a_real_ct_is_found(name: str) -> None:
    volume = read_ct(real_data(name))
    stored = np.clip(volume.hu_zyx, -1024, None) + 1024
    result = check_ct(CtVolume(stored, volume.geometry, volume.name))
    np.testing.assert_array_equal(result.hu_zyx, np.clip(volume.hu_zyx, -1024, None))


@pytest.mark.real_data
def test_labels_survive_the_working_grid() -> None:
    """Liver and tumour to 1.25 x 1.25 x 2.5 mm and back: hardly a voxel at the surface changes."""
    image = sitk.ReadImage(str(real_data("lits/lits001_mask.nii.gz")))
    labels = sitk.GetArrayFromImage(image)
    geometry = Geometry.make(labels.shape, image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection())
    working = reorient(CtVolume(labels, geometry)).geometry.with_spacing((2.5, 1.25, 1.25))
    liver = (labels > 0).astype(np.float32)
    back = resample(resample(liver, geometry, working), working, geometry, fill=0) > 0.5
    dice = 2 * (back & (labels > 0)).sum() / (back.sum() + (labels > 0).sum())
    assert dice > 0.985
    nearest = resample_labels(resample_labels(labels, geometry, working), working, geometry)
    assert (nearest == labels).mean() > 0.99
    assert set(np.unique(nearest)) == set(np.unique(labels))


class TestIrregularDicom:
    """A scan with an empty file, a secondary capture, one slice 6 mm and two 16 mm from its neighbours."""

    def slices(self, folder: Path) -> dict[float, np.ndarray]:
        found = {}
        for path in sorted(folder.iterdir()):
            if path.stat().st_size:
                item = pydicom.dcmread(path)
                if item.Modality == "CT":
                    hu = item.pixel_array * float(item.RescaleSlope) + float(item.RescaleIntercept)
                    found[float(item.ImagePositionPatient[2])] = hu
        return found

    @pytest.mark.real_data
    def test_every_slice_lies_where_its_header_says(self) -> None:
        folder = real_data("dicom", "irregular")
        volume = read_ct(folder)
        assert volume.geometry.spacing_zyx_mm[0] == pytest.approx(8.0)
        assert volume.geometry.shape_zyx == (36, 512, 512)
        slices = self.slices(folder)
        assert len(slices) == 34
        exact = 0
        for z_mm, hu in slices.items():
            k, _, _ = volume.geometry.lps_to_index((-178.99999, -207.99999, z_mm))
            if abs(k - round(k)) < 1e-3:
                np.testing.assert_array_equal(volume.hu_zyx[round(k)], hu)
                exact += 1
        assert exact == 33  # all but the one that is 6 mm from its neighbour
        np.testing.assert_array_equal(volume.hu_zyx[0], slices[-515.0])
        bridged = volume.geometry.lps_to_index((-178.99999, -207.99999, -341.0))[0]
        between = (slices[-349.0] + slices[-333.0]) / 2
        np.testing.assert_allclose(volume.hu_zyx[round(bridged)], between, atol=0.51)

    @pytest.mark.real_data
    def test_the_finding_says_so(self) -> None:
        volume = read_ct(real_data("dicom", "irregular"))
        text = " ".join(volume.warnings)
        assert "16.0 mm between S -349.0 and S -333.0 mm" in text
        assert "16.0 mm between S -333.0 and S -317.0 mm" in text
        assert "even grid of 8.00 mm" in text
        assert "000000.dcm" in text
        assert "series 4" in volume.notes[0]

    @pytest.mark.real_data
    def test_list(self) -> None:
        first, second = list_series(real_data("dicom", "irregular"))
        assert (first.key, first.modality, first.slices, first.refused, first.doubt) == (
            "4",
            "CT",
            34,
            "",
            "",
        )
        assert first.covers_abdomen
        assert "not CT" in second.refused


@pytest.mark.real_data
def test_three_slices_are_refused() -> None:
    for path in (real_data("dicom", "ct_3slice"), real_data("dicom", "ct_3slice") / "02.dcm"):
        with pytest.raises(InputError, match="3 slices; at least 8"):
            read_ct(path)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "word"),
    [("ct_3slice_liver_seg.dcm", "SEG"), ("tid1500_sr_example.dcm", "SR"), ("irregular/000001.dcm", "OT")],
)
def test_other_dicom_objects_are_refused(name: str, word: str) -> None:
    with pytest.raises(InputError, match=f"it is {word} .*not CT"):
        read_ct(real_data("dicom", *name.split("/")))


@pytest.mark.real_data
def test_whole_data_folder_takes_the_abdominal_ct() -> None:
    volume = read_ct(real_data("dicom"))
    assert volume.hu_zyx.shape[0] == 36
    assert any("patients" in w for w in volume.warnings)


@pytest.mark.real_data
def test_reoriented_torso_runs_along_lps() -> None:
    """The torso files run to the right and to the front: reorienting turns both, and back is exact."""
    volume = read_ct(real_data("tiny", "torso_3mm_ct.nii.gz"))
    straight = reorient(volume)
    np.testing.assert_allclose(straight.geometry.directions_lps, np.eye(3), atol=1e-6)
    back = permuted(straight.hu_zyx, straight.geometry, volume.geometry)
    np.testing.assert_array_equal(back, volume.hu_zyx)
