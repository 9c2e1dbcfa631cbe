"""NIfTI, NRRD and MetaImage: the same volume from each, and clear refusals."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILib.reading import load_ct, read_ct
from LiverLesionAILib.support.errors import Cancelled, InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from support.ct_phantom import phantom, phantom_hu, turned

SUFFIXES = [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd"]


def write(volume: CtVolume, path: Path, dtype: type = np.int16, compress: bool = False) -> Path:
    image = sitk.GetImageFromArray(volume.hu_zyx.astype(dtype))
    image.SetSpacing(volume.geometry.spacing_zyx_mm[::-1])
    image.SetOrigin(volume.geometry.origin_lps)
    image.SetDirection(volume.geometry.directions_lps.ravel().tolist())
    sitk.WriteImage(image, str(path), compress)
    return path


def oblique() -> CtVolume:
    hu = np.ascontiguousarray(phantom_hu((30, 64, 70)).transpose(1, 0, 2)[::-1])
    directions = turned((12, -7, 20))[:, [0, 2, 1]] * [1, 1, -1]
    return CtVolume(
        hu, Geometry.make(hu.shape, (3.0, 4.0, 2.5), (-11.5, 42.25, 300.125), directions), "oblique"
    )


def refused(path: Path, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_ct(path)
    for word in (path.name, *words):
        assert word in str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compress", [False, True])
def test_reads_back_identically(tmp_path: Path, suffix: str, compress: bool) -> None:
    volume = oblique()
    read = read_ct(write(volume, tmp_path / f"my case{suffix}", compress=compress))
    assert read.name == "my case"
    assert read.hu_zyx.dtype == np.int16
    assert read.warnings == ()
    np.testing.assert_array_equal(read.hu_zyx, volume.hu_zyx)
    assert read.geometry.matches(volume.geometry, 1e-3)


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64, np.int64])
def test_other_types_become_whole_hu(tmp_path: Path, dtype: type) -> None:
    volume = phantom()
    read = read_ct(write(volume, tmp_path / "a.nrrd", dtype))
    assert read.hu_zyx.dtype == np.int16
    np.testing.assert_array_equal(read.hu_zyx, volume.hu_zyx)


def test_unsigned_with_offset(tmp_path: Path) -> None:
    volume = phantom()
    stored = CtVolume(np.clip(volume.hu_zyx, -1024, None) + 1024, volume.geometry)
    read = read_ct(write(stored, tmp_path / "a.nii.gz", np.uint16))
    np.testing.assert_array_equal(read.hu_zyx, np.clip(volume.hu_zyx, -1024, None))
    assert any("offset" in w for w in read.warnings)


def edited(path: Path, *changes: tuple[str, int, tuple]) -> Path:
    """Overwrite header fields of an uncompressed NIfTI file."""
    raw = bytearray(path.read_bytes())
    for form, offset, numbers in changes:
        struct.pack_into(form, raw, offset, *numbers)
    path.write_bytes(raw)
    return path


def test_nifti_rescale_values(tmp_path: Path) -> None:
    volume = phantom()
    stored = CtVolume((volume.hu_zyx + 1024) // 2 * 1, volume.geometry)
    path = edited(write(stored, tmp_path / "a.nii"), ("<2f", 112, (2.0, -1024.0)))
    read = read_ct(path)
    assert read.hu_zyx.dtype == np.int16
    assert np.abs(read.hu_zyx.astype(int) - volume.hu_zyx).max() <= 1


def test_nifti_without_orientation_is_warned_about(tmp_path: Path) -> None:
    path = edited(write(phantom(), tmp_path / "a.nii"), ("<2h", 252, (0, 0)))
    assert any("left and right" in w for w in read_ct(path).warnings)


class TestShearedNifti:
    """Files that ITK refuses, although only the numbers are rounded, or the gantry was tilted."""

    def file(self, tmp_path: Path, hu: np.ndarray, shear: float, gz: bool) -> Path:
        volume = CtVolume(hu, Geometry.make(hu.shape, (5, 3, 3), (-90, -80, 20)))
        rows_ras = (-3.0, 0, 0, 90.0, 0, -3.0, -5.0 * shear, 80.0, 0, 0, 5.0, 20.0)
        path = edited(write(volume, tmp_path / "a.nii"), ("<2h", 252, (0, 1)), ("<12f", 280, rows_ras))
        if gz:
            path = path.with_suffix(".nii.gz")
            path.write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
        return path

    @pytest.mark.parametrize("gz", [False, True])
    def test_rounded(self, tmp_path: Path, gz: bool) -> None:
        path = self.file(tmp_path, phantom_hu(), 1e-3, gz)
        with pytest.raises(RuntimeError, match="orthonormal"):
            sitk.ReadImage(str(path))
        read = read_ct(path)
        np.testing.assert_array_equal(read.hu_zyx, phantom_hu())
        assert read.geometry.matches(Geometry.make((30, 64, 64), (5, 3, 3), (-90, -80, 20)), 0.1)
        assert read.warnings == ()

    def test_tilted_is_straightened(self, tmp_path: Path) -> None:
        shear = np.tan(np.radians(15.0))
        hu = phantom_hu()
        read = read_ct(self.file(tmp_path, hu, shear, True))
        assert any("tilted by 15.0 degrees" in w for w in read.warnings)
        # Each stored voxel is found where the file's own matrix puts it.
        for z, y, x in ((0, 30, 30), (15, 40, 31), (29, 22, 12)):
            point_lps = np.array([-90 + 3 * x, -80 + 3 * y + 5 * shear * z, 20 + 5 * z])
            place = read.geometry.lps_to_index(point_lps)
            k, j, i = np.floor(place + 1e-6).astype(int)
            share = place[1] - j
            line = read.hu_zyx[k, :, i].astype(float)
            expected = hu[z, :, x].astype(float)
            # Within half a pixel along y: the interpolated line meets the stored ones around it.
            value = (1 - share) * line[j] + share * line[j + 1]
            assert expected[y - 1 : y + 2].min() - 1 <= value <= expected[y - 1 : y + 2].max() + 1


class TestRefuses:
    @pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
    def test_truncated(self, tmp_path: Path, suffix: str) -> None:
        path = write(phantom(), tmp_path / f"cut{suffix}", compress=True)
        raw = path.read_bytes()
        for share in (0.99, 0.6):
            path.write_bytes(raw[: int(len(raw) * share)])
            refused(path, "incomplete")

    @pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".dcm", ""])
    def test_empty(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"empty{suffix}"
        path.write_bytes(b"")
        refused(path, "empty")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_garbage(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"garbage{suffix}"
        path.write_bytes(np.random.default_rng(0).bytes(5000))
        refused(path, "copy or export it again")

    def test_damaged_inside_a_gzip(self, tmp_path: Path) -> None:
        path = write(phantom(), tmp_path / "a.nii.gz")
        raw = bytearray(path.read_bytes())
        raw[len(raw) // 2 : len(raw) // 2 + 400] = bytes(400)
        path.write_bytes(raw)
        refused(path, "damaged")

    def test_header_whose_data_file_is_gone(self, tmp_path: Path) -> None:
        path = write(phantom(), tmp_path / "a.mhd")
        for other in tmp_path.glob("a*raw"):
            other.unlink()
        refused(path, "data file is missing")

    @pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
    def test_time_series(self, tmp_path: Path, suffix: str) -> None:
        image = sitk.GetImageFromArray(np.stack([phantom_hu()] * 3), isVector=False)
        sitk.WriteImage(image, str(tmp_path / f"time{suffix}"))
        refused(tmp_path / f"time{suffix}", "time series", "3 volumes", "one phase")

    def test_one_time_point_is_a_volume(self, tmp_path: Path) -> None:
        image = sitk.GetImageFromArray(phantom_hu()[None], isVector=False)
        image.SetSpacing((3, 3, 5, 1))
        sitk.WriteImage(image, str(tmp_path / "one.mha"))
        read = read_ct(tmp_path / "one.mha")
        np.testing.assert_array_equal(read.hu_zyx, phantom_hu())
        assert read.geometry.spacing_zyx_mm == (5, 3, 3)

    @pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
    def test_colour(self, tmp_path: Path, suffix: str) -> None:
        image = sitk.GetImageFromArray(np.zeros((10, 64, 64, 3), np.uint8), isVector=True)
        sitk.WriteImage(image, str(tmp_path / f"rgb{suffix}"))
        refused(tmp_path / f"rgb{suffix}", "3 values", "colour")

    @pytest.mark.parametrize("shape", [(64, 64), (1, 64, 64)])
    def test_picture(self, tmp_path: Path, shape: tuple) -> None:
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros(shape, np.int16)), str(tmp_path / "flat.nrrd"))
        refused(tmp_path / "flat.nrrd", "two-dimensional", "8 slices")

    def test_complex(self, tmp_path: Path) -> None:
        image = sitk.GetImageFromArray(np.zeros((10, 64, 64), np.complex64))
        sitk.WriteImage(image, str(tmp_path / "a.nii"))
        refused(tmp_path / "a.nii", "complex")

    def test_nan(self, tmp_path: Path) -> None:
        hu = phantom_hu().astype(np.float32)
        hu[2, 3, 4] = np.nan
        volume = CtVolume(hu, phantom().geometry)
        refused(write(volume, tmp_path / "a.nii.gz", np.float32).rename(tmp_path / "nan.nii.gz"), "NaN")

    def test_normalised(self, tmp_path: Path) -> None:
        volume = CtVolume(phantom_hu() / 1000.0, phantom().geometry)
        refused(write(volume, tmp_path / "norm.nii.gz", np.float32), "normalised")

    def test_other_formats(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
        refused(tmp_path / "a.png", "none of the formats", ".nii.gz")

    def test_missing(self, tmp_path: Path) -> None:
        refused(tmp_path / "nowhere.nii.gz", "no such file")

    def test_folder_without_dicom(self, tmp_path: Path) -> None:
        refused(tmp_path, "the folder is empty")
        (tmp_path / "notes.txt").write_text("nothing here")
        refused(tmp_path, "no DICOM files")
        write(phantom(), tmp_path / "case.nii.gz")
        refused(tmp_path, "case.nii.gz", "that file itself")


def test_series_of_a_plain_file_is_noted(tmp_path: Path) -> None:
    assert any("'4'" in n for n in read_ct(write(phantom(), tmp_path / "a.mha"), "4").notes)


def test_progress_can_cancel(tmp_path: Path) -> None:
    def cancel(stage: str, fraction: float) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        load_ct(write(phantom(), tmp_path / "a.mha"), progress=cancel)
