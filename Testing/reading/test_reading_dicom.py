"""DICOM as scanners and archives write it: the right voxels at the right place, or a clear refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from LiverLesionAILib.reading import load_ct, read_ct
from LiverLesionAILib.support.errors import Cancelled, InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from pydicom.uid import RLELossless
from support.ct_phantom import phantom_hu, turned
from support.dicom_writer import axial_positions, write_enhanced, write_series

SHAPE = (30, 64, 64)
GRID = Geometry.make(SHAPE, (5, 3, 3), (-90, -80, 20))


def refused(path: Path, *words: str, series: str | None = None) -> None:
    with pytest.raises(InputError) as caught:
        read_ct(path, series)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def same(volume: CtVolume, hu: np.ndarray, grid: Geometry) -> None:
    assert volume.hu_zyx.dtype == np.int16
    assert volume.geometry.matches(grid, 1e-3)
    np.testing.assert_array_equal(volume.hu_zyx, hu)


class TestOneSeries:
    def test_plain(self, tmp_path: Path) -> None:
        write_series(tmp_path / "a", phantom_hu(), axial_positions(30))
        volume = read_ct(tmp_path)
        same(volume, phantom_hu(), GRID)
        assert volume.name.endswith("ABDOMEN PV")
        assert volume.warnings == ()
        assert volume.notes == ()

    def test_agrees_with_itk(self, tmp_path: Path) -> None:
        """Oblique slices: the same volume as ITK's own series reader makes of the files."""
        directions = turned((15, -10, 25))
        positions = np.array([-50.0, 30, 200]) + np.arange(30)[:, None] * 5 * directions[:, 2]
        orientation = (*directions[:, 0], *directions[:, 1])
        write_series(tmp_path, phantom_hu(), positions, orientation=orientation, spacing_yx_mm=(3.0, 2.5))
        volume = read_ct(tmp_path)
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path))
        image = sitk.ReadImage(names)
        expected = Geometry.make(
            image.GetSize()[::-1], image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection()
        )
        np.testing.assert_array_equal(volume.hu_zyx, sitk.GetArrayFromImage(image))
        assert volume.geometry.matches(expected, 0.01)
        np.testing.assert_allclose(volume.geometry.directions_lps, directions, atol=1e-6)
        assert volume.warnings == ()

    def test_reversed_and_descending_instances(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu()[::-1], axial_positions(30)[::-1])
        same(read_ct(tmp_path), phantom_hu(), GRID)

    def test_feet_first_prone(self, tmp_path: Path) -> None:
        """Rows and columns that run to the right and front: the stack's normal still points up."""
        positions = axial_positions(30, first=(-90 + 63 * 3.0, -80 + 63 * 3.0, 20))
        write_series(tmp_path, phantom_hu()[:, ::-1, ::-1], positions, orientation=(-1, 0, 0, 0, -1, 0))
        volume = read_ct(tmp_path)
        np.testing.assert_allclose(volume.geometry.directions_lps, np.diag([-1, -1, 1]), atol=1e-9)
        np.testing.assert_array_equal(volume.hu_zyx[:, ::-1, ::-1], phantom_hu())

    def test_files_without_extension_in_subfolders(self, tmp_path: Path) -> None:
        uid = write_series(tmp_path / "DICOM" / "A", phantom_hu()[:15], axial_positions(30)[:15], suffix="")
        write_series(
            tmp_path / "DICOM" / "B", phantom_hu()[15:], axial_positions(30)[15:], suffix="",
            SeriesInstanceUID=uid
        )  # fmt: skip
        (tmp_path / "DICOM" / "readme").write_text("not DICOM")
        same(read_ct(tmp_path), phantom_hu(), GRID)

    def test_without_preamble(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        for path in tmp_path.iterdir():
            path.write_bytes(path.read_bytes()[132:])
        same(read_ct(tmp_path), phantom_hu(), GRID)

    def test_rescale_per_slice(self, tmp_path: Path) -> None:
        slopes = [1.0 + 0.25 * (k % 3) for k in range(30)]
        intercepts = [-1024.0 - 8 * k for k in range(30)]
        write_series(tmp_path, phantom_hu(), axial_positions(30), slopes=slopes, intercepts=intercepts)
        volume = read_ct(tmp_path)
        assert (
            np.abs(volume.hu_zyx.astype(int) - phantom_hu()).max() <= 1
        )  # stored in whole steps of up to 1.5
        np.testing.assert_array_equal(volume.hu_zyx[::3], phantom_hu()[::3])

    def test_no_rescale_values_at_all(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        for path in tmp_path.iterdir():
            item = pydicom.dcmread(path)
            del item.RescaleSlope, item.RescaleIntercept, item.RescaleType
            item.save_as(path)
        volume = read_ct(tmp_path)
        np.testing.assert_array_equal(volume.hu_zyx, np.clip(phantom_hu(), -1024, None))
        assert any("offset of 1024" in w for w in volume.warnings)

    @pytest.mark.parametrize("extended", [True, False])
    def test_signed_values_of_12_bits(self, tmp_path: Path, extended: bool) -> None:
        """Whether the upper four bits repeat the sign or are zero."""
        write_series(tmp_path, phantom_hu(), axial_positions(30), intercepts=[0.0] * 30)
        for path in tmp_path.iterdir():
            item = pydicom.dcmread(path)
            stored = item.pixel_array.astype(np.int16)
            item.BitsStored, item.HighBit, item.PixelRepresentation = 12, 11, 1
            item.PixelData = (stored if extended else stored & 0x0FFF).tobytes()
            item.save_as(path)
        same(read_ct(tmp_path), phantom_hu(), GRID)

    def test_what_desktops_leave_is_passed_over(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        (tmp_path / ".DS_Store").write_bytes(b"")
        (tmp_path / "._00000_1.dcm").write_bytes(bytes(4096))
        volume = read_ct(tmp_path)
        same(volume, phantom_hu(), GRID)
        assert volume.warnings == ()

    def test_padding_becomes_air(self, tmp_path: Path) -> None:
        hu = phantom_hu()
        hu[:, :5] = -3024
        write_series(tmp_path, hu, axial_positions(30), PixelPaddingValue=-2000)
        read = read_ct(tmp_path).hu_zyx
        assert (read[:, :5] == -1024).all()
        np.testing.assert_array_equal(read[:, 5:], hu[:, 5:])

    def test_padding_that_could_be_tissue_only_counts_around_the_round_field(self, tmp_path: Path) -> None:
        hu = phantom_hu()
        y, x = np.ogrid[:64, :64]
        corner = ((2 * y + 1) / 64 - 1) ** 2 + ((2 * x + 1) / 64 - 1) ** 2 > 1.0
        hu[:, corner] = 0
        hu[:, 30:32, 30:32] = 0
        write_series(tmp_path, hu, axial_positions(30), PixelPaddingValue=1024)
        read = read_ct(tmp_path).hu_zyx
        assert (read[:, 0, 0] == -1024).all()
        assert (read[:, 30:32, 30:32] == 0).all()

    def test_a_slice_stands_for_its_series(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        write_series(tmp_path, phantom_hu()[:20], axial_positions(20), number=8, description="OTHER")
        one = next(p for p in tmp_path.iterdir() if pydicom.dcmread(p).SeriesNumber == 8)
        volume = read_ct(one)
        assert volume.hu_zyx.shape[0] == 20
        assert any("one slice of series 8" in n for n in volume.notes)

    @pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
    def test_compressed(self, tmp_path: Path, compressor: str) -> None:
        """Lossless JPEG and JPEG 2000, decoded by SimpleITK."""
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetUseCompression(True)
        writer.SetCompressor(compressor)
        for path in list(tmp_path.iterdir()):
            item = pydicom.dcmread(path)
            writer.SetFileName(str(tmp_path / "one.dcm"))
            writer.Execute(sitk.GetImageFromArray(item.pixel_array[None].astype(np.uint16)))
            packed = pydicom.dcmread(tmp_path / "one.dcm")
            item.PixelData, item.file_meta.TransferSyntaxUID = (
                packed.PixelData,
                packed.file_meta.TransferSyntaxUID,
            )
            item["PixelData"].is_undefined_length = True
            item.save_as(path)
            (tmp_path / "one.dcm").unlink()
        same(read_ct(tmp_path), phantom_hu(), GRID)

    def test_run_length_encoded(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        for path in tmp_path.iterdir():
            item = pydicom.dcmread(path)
            item.compress(RLELossless, generate_instance_uid=False)
            item.save_as(path)
        same(read_ct(tmp_path), phantom_hu(), GRID)

    def test_undecodable_syntax_is_named(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        for path in tmp_path.iterdir():
            item = pydicom.dcmread(path)
            item.PixelData = pydicom.encaps.encapsulate([bytes(100)])
            item.file_meta.TransferSyntaxUID = pydicom.uid.UID("1.2.840.10008.1.2.4.100")
            item["PixelData"].is_undefined_length = True
            item.save_as(path)
        refused(tmp_path, "MPEG2", "uncompressed")


class TestPositions:
    def test_missing_slices_are_bridged_and_named(self, tmp_path: Path) -> None:
        keep = np.setdiff1d(np.arange(30), [7, 20, 21])
        # Linear in z, so that the bridged slices are known exactly.
        hu = (phantom_hu(SHAPE).astype(int)[:1] + 4 * np.arange(30)[:, None, None]).astype(np.int16)
        write_series(tmp_path, hu[keep], axial_positions(30)[keep])
        volume = read_ct(tmp_path)
        same(volume, hu, GRID)
        (warning,) = (w for w in volume.warnings if "missing" in w)
        assert "10.0 mm between S 50.0 and S 60.0 mm" in warning
        assert "15.0 mm between S 115.0 and S 130.0 mm" in warning
        assert "5.0 mm" in warning

    def test_uneven_positions(self, tmp_path: Path) -> None:
        positions = axial_positions(30)
        rng = np.random.default_rng(0)
        positions[:, 2] += rng.uniform(-0.7, 0.7, 30)
        hu = np.broadcast_to((positions[:, 2] * 4 - 300)[:, None, None], SHAPE).astype(np.int16)
        write_series(tmp_path, hu, positions)
        volume = load_ct(tmp_path)
        assert any("unevenly spaced" in w for w in volume.warnings)
        inner = slice(1, -1)
        z_mm = volume.geometry.index_to_lps([(k, 0, 0) for k in range(len(volume.hu_zyx))])[:, 2]
        np.testing.assert_allclose(volume.hu_zyx[inner, 5, 5], (z_mm * 4 - 300)[inner], atol=2.5)
        assert abs(z_mm[0] - positions[0, 2]) <= volume.geometry.spacing_zyx_mm[0]
        assert abs(z_mm[-1] - positions[-1, 2]) <= volume.geometry.spacing_zyx_mm[0]

    def test_thin_slices_within_thick_ones_keep_their_detail(self, tmp_path: Path) -> None:
        heights = np.concatenate([np.arange(0, 50, 5.0), np.arange(50, 80, 2.5), np.arange(80, 120, 5.0)])
        positions = np.array([[-90, -80, z] for z in heights])
        hu = phantom_hu((len(heights), 64, 64))
        write_series(tmp_path, hu, positions)
        volume = read_ct(tmp_path)
        assert volume.geometry.spacing_zyx_mm[0] == pytest.approx(2.5)
        for k, z in enumerate(heights):
            np.testing.assert_array_equal(volume.hu_zyx[round(z / 2.5)], hu[k])

    def test_rounded_positions_count_as_even(self, tmp_path: Path) -> None:
        positions = axial_positions(30, 5.0 / 3 * 2)
        positions[:, 2] = np.round(positions[:, 2], 1)
        write_series(tmp_path, phantom_hu(), positions)
        volume = read_ct(tmp_path)
        assert volume.warnings == ()
        assert volume.geometry.spacing_zyx_mm[0] == pytest.approx(10 / 3, abs=0.01)

    def test_wide_hole_takes_the_longest_part(self, tmp_path: Path) -> None:
        positions = axial_positions(30)
        positions[:10, 2] -= 60
        write_series(tmp_path, phantom_hu(), positions)
        volume = read_ct(tmp_path)
        np.testing.assert_array_equal(volume.hu_zyx, phantom_hu()[10:])
        assert any("65 mm between S 5.0 and S 70.0 mm" in w and "20 of 30" in w for w in volume.warnings)

    @pytest.mark.parametrize("same_pixels", [True, False])
    def test_duplicates(self, tmp_path: Path, same_pixels: bool) -> None:
        uid = write_series(tmp_path / "a", phantom_hu(), axial_positions(30))
        extra = phantom_hu()[4:6] + (0 if same_pixels else 50)
        write_series(
            tmp_path / "b", extra, axial_positions(30)[4:6], SeriesInstanceUID=uid, first_instance=100
        )  # fmt: skip
        volume = read_ct(tmp_path)
        same(volume, phantom_hu(), GRID)
        (warning,) = volume.warnings
        assert warning.startswith("2 slice positions hold more than one image")
        assert ("equal" in warning) == same_pixels

    @pytest.mark.parametrize("degrees", [12.0, -20.0])
    def test_tilted_gantry(self, tmp_path: Path, degrees: float) -> None:
        """Slices tilted about x, moved along z by the table: every point keeps its place in the patient."""
        directions = turned((degrees, 0, 0))
        row, column = directions[:, 0], directions[:, 1]
        positions = axial_positions(30)
        y_mm = np.arange(64) * 3.0
        # A function of patient space that interpolation reproduces.
        points = positions[:, None, :] + y_mm[None, :, None] * column
        hu = np.broadcast_to((points @ [0, 3.0, 4.0])[:, :, None] - 300, SHAPE)
        hu = np.ascontiguousarray(np.rint(hu), dtype=np.int16)
        write_series(tmp_path, hu, positions, orientation=(*row, *column))
        volume = load_ct(tmp_path)
        assert any(f"tilted by {abs(degrees):.1f} degrees" in w for w in volume.warnings)
        np.testing.assert_allclose(volume.geometry.directions_lps, directions, atol=1e-6)
        inside = np.stack(np.nonzero(volume.hu_zyx > -1000), axis=-1)
        # Not the outermost pixels, which are mixed with the air around.
        index = inside[(inside[:, 2] == 30)]
        lows = {z: index[index[:, 0] == z][:, 1].min() for z in range(30)}
        highs = {z: index[index[:, 0] == z][:, 1].max() for z in range(30)}
        index = np.array([i for i in index if lows[i[0]] + 1 < i[1] < highs[i[0]] - 1])
        expected = volume.geometry.index_to_lps(index) @ [0, 3.0, 4.0] - 300
        np.testing.assert_allclose(volume.hu_zyx[tuple(index.T)], expected, atol=1.5)
        assert len(index) > 1500

    def test_table_moved_sideways(self, tmp_path: Path) -> None:
        positions = axial_positions(30)
        positions[15:, 0] += 9.0
        write_series(tmp_path, phantom_hu(), positions)
        volume = read_ct(tmp_path)
        assert any("sideways" in w and "9 mm" in w for w in volume.warnings)
        np.testing.assert_array_equal(volume.hu_zyx[:15, :, :64], phantom_hu()[:15])
        np.testing.assert_array_equal(volume.hu_zyx[15:, :, 3:], phantom_hu()[15:])
        assert volume.geometry.shape_zyx == (30, 64, 67)

    def test_damaged_slice_is_bridged(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        victim = next(p for p in tmp_path.iterdir() if pydicom.dcmread(p).InstanceNumber == 11)
        victim.write_bytes(victim.read_bytes()[:4000])
        volume = read_ct(tmp_path)
        assert volume.geometry.matches(GRID, 1e-3)
        assert any(victim.name in w for w in volume.warnings)
        assert any("10.0 mm between S 65.0 and S 75.0 mm" in w for w in volume.warnings)
        refused(victim, "cannot be read", "copy or export it again")


class TestEnhanced:
    def test_multi_frame(self, tmp_path: Path) -> None:
        order = np.random.default_rng(0).permutation(30)
        intercepts = [-1024 - 2 * k for k in range(30)]
        write_enhanced(
            tmp_path / "e.dcm", phantom_hu()[order], axial_positions(30)[order], intercepts=intercepts
        )
        for source in (tmp_path / "e.dcm", tmp_path):
            same(read_ct(source), phantom_hu(), GRID)

    def test_oblique(self, tmp_path: Path) -> None:
        directions = turned((5, 30, -8))
        positions = np.array([1.0, 2, 3]) + np.arange(30)[:, None] * 5 * directions[:, 2]
        write_enhanced(
            tmp_path / "e", phantom_hu(), positions, (3.0, 2.0), (*directions[:, 0], *directions[:, 1])
        )  # fmt: skip
        grid = Geometry.make(SHAPE, (5, 3, 2), (1, 2, 3), directions)
        same(read_ct(tmp_path / "e"), phantom_hu(), grid)


def test_progress_rises_and_can_cancel(tmp_path: Path) -> None:
    write_series(tmp_path, phantom_hu(), axial_positions(30))
    seen: list[float] = []
    read_ct(tmp_path, progress=lambda stage, fraction: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

    def cancel(stage: str, fraction: float) -> None:
        if fraction > 0.5:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        read_ct(tmp_path, progress=cancel)
