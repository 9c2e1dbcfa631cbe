"""DICOM as scanners and archives write it: the right voxels at the right place, or a clear refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from ct_phantom import phantom_hu, turned
from dicom_writer import (
    MR_IMAGE,
    SECONDARY_CAPTURE,
    axial_positions,
    dataset,
    set_pixels,
    write_enhanced,
    write_series,
)
from LiverLesionAILib.ct import CtVolume, Geometry
from LiverLesionAILib.errors import Cancelled, InputError
from LiverLesionAILib.reading import list_series, load_ct, read_ct
from pydicom.uid import RLELossless

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
            item.file_meta.TransferSyntaxUID = pydicom.uid.UID("1.2.840.10008.1.2.4.201")
            item["PixelData"].is_undefined_length = True
            item.save_as(path)
        refused(tmp_path, "High-Throughput JPEG 2000", "uncompressed")


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


def write_study(folder: Path) -> dict[str, str]:
    """An abdominal CT with all that comes with it."""

    def series(n: int, number: int, description: str, step_mm: float = 5.0, **tags: object) -> str:
        hu = phantom_hu((n, 64, 64))
        positions = tags.pop("positions", axial_positions(n, step_mm))
        return write_series(
            folder / f"s{number}", hu, positions, number=number, description=description, **tags
        )

    coronal = np.array([[-90, 3 * k, 320] for k in range(40)])
    uids = {
        "arterial": series(24, 2, "ABD ART 5.0"),
        "portal": series(30, 3, "ABD PV 5.0"),
        "lung": series(48, 4, "ABD LUNG 3.0", 3.1, ConvolutionKernel="B70f"),
        "head": series(60, 5, "HEAD 5.0", BodyPartExamined="HEAD"),
        "coronal": series(
            40,
            6,
            "ABD COR 3.0",
            positions=coronal,
            orientation=(1, 0, 0, 0, 0, -1),
            image_type=("DERIVED", "SECONDARY", "MPR"),
        ),
        "short": series(3, 7, "BOLUS"),
        "mip": series(40, 8, "ABD MIP", image_type=("DERIVED", "SECONDARY", "MIP")),
        "mr": series(40, 9, "T2", Modality="MR", SOPClassUID=MR_IMAGE),
    }
    scout = phantom_hu((1, 200, 64))
    write_series(
        folder / "s3", scout, [[-90, 0, 300]], number=3, description="ABD PV 5.0",
        SeriesInstanceUID=uids["portal"], image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
        orientation=(1, 0, 0, 0, 0, -1), first_instance=999,
    )  # fmt: skip
    for k, (sop_class, modality) in enumerate(
        [(SECONDARY_CAPTURE, "CT"), ("1.2.840.10008.5.1.4.1.1.88.67", "SR"), (SECONDARY_CAPTURE, "OT")]
    ):
        item = dataset(sop_class, modality, SeriesInstanceUID=f"1.9.{k}", SeriesDescription="Dose Report")
        item.SeriesNumber = 900 + k
        if sop_class == SECONDARY_CAPTURE:
            set_pixels(item, np.zeros((64, 64), np.uint16))
        item.save_as(folder / f"extra{k}", enforce_file_format=True)
    return uids


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The study's folder, only to be read, and its series UIDs."""
    folder = tmp_path_factory.mktemp("study")
    return folder, write_study(folder)


class TestChoice:
    def test_largest_abdominal_series(self, study: tuple[Path, dict[str, str]]) -> None:
        folder, uids = study
        volume = read_ct(folder)
        same(volume, phantom_hu(), GRID)
        assert "series 3 'ABD PV 5.0' was taken" in volume.notes[0]
        assert "ABD ART" in volume.notes[0]
        first = list_series(folder)[0]
        assert (first.number, first.uid, first.slices, first.modality) == (3, uids["portal"], 30, "CT")
        assert first.extent_mm == pytest.approx(150)
        assert first.covers_abdomen
        assert first.axial
        assert first.refused == first.doubt == ""

    def test_why_the_others_are_not(self, study: tuple[Path, dict[str, str]]) -> None:
        folder, _ = study
        found = {(s.number, s.slices): s for s in list_series(folder)}
        assert "localizer" in found[3, 1].refused
        assert found[2, 24].key == "2"
        assert "'head'" in found[5, 60].doubt
        assert not found[5, 60].covers_abdomen
        assert "not axial" in found[6, 40].doubt
        assert "derived" in found[6, 40].doubt
        assert "3 slices" in found[7, 3].refused
        assert "projection" in found[8, 40].refused
        assert "MR" in found[9, 40].refused
        assert "secondary capture" in found[900, 1].refused
        assert "SR" in found[901, 1].refused
        assert "OT" in found[902, 1].refused
        order = [s.refused == "" for s in list_series(folder)]
        assert order == sorted(order, reverse=True)

    @pytest.mark.parametrize("wanted", ["2", "ABD ART 5.0", "abd art", " 2 "])
    def test_by_number_or_description(self, study: tuple[Path, dict[str, str]], wanted: str) -> None:
        folder, _ = study
        assert read_ct(folder, wanted).hu_zyx.shape[0] == 24

    def test_by_uid(self, study: tuple[Path, dict[str, str]]) -> None:
        folder, uids = study
        assert read_ct(folder, uids["lung"]).hu_zyx.shape[0] == 48

    def test_doubtful_series_on_request_with_a_warning(self, study: tuple[Path, dict[str, str]]) -> None:
        folder, _ = study
        volume = read_ct(folder, "5")
        assert any("'head'" in w for w in volume.warnings)
        volume = read_ct(folder, "6")
        assert any("not axial" in w for w in volume.warnings)
        np.testing.assert_allclose(volume.geometry.directions_lps[:, 2], (0, 1, 0), atol=1e-9)

    def test_impossible_requests(self, study: tuple[Path, dict[str, str]]) -> None:
        folder, _ = study
        refused(folder, "no series fits '77'", "ABD PV 5.0", series="77")
        refused(folder, "several series fit 'abd'", "whole UID", series="abd")
        refused(folder, "MR", "not CT", series="9")
        refused(folder, "3 slices; at least 8", series="7")
        refused(folder, "secondary capture", series="900")

    def test_derived_when_there_is_nothing_better(self, tmp_path: Path) -> None:
        write_series(
            tmp_path, phantom_hu(), axial_positions(30), image_type=("DERIVED", "SECONDARY", "AXIAL")
        )
        volume = read_ct(tmp_path)
        same(volume, phantom_hu(), GRID)
        assert any("derived" in w for w in volume.warnings)

    def test_nothing_usable_lists_the_reasons(self, tmp_path: Path) -> None:
        write_series(
            tmp_path / "a", phantom_hu(), axial_positions(30), number=1, Modality="MR", SOPClassUID=MR_IMAGE
        )
        write_series(tmp_path / "b", phantom_hu()[:4], axial_positions(4), number=2)
        refused(tmp_path, "no CT that can be analysed", "series 1", "MR", "series 2", "4 slices")

    def test_without_positions(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        for path in tmp_path.iterdir():
            item = pydicom.dcmread(path)
            del item.ImagePositionPatient
            item.save_as(path)
        refused(tmp_path, "where in the patient")

    def test_two_patients_are_pointed_out(self, tmp_path: Path) -> None:
        write_series(tmp_path / "a", phantom_hu(), axial_positions(30))
        write_series(tmp_path / "b", phantom_hu()[:20], axial_positions(20), number=4, PatientID="P2")
        assert any("2 patients" in w for w in read_ct(tmp_path).warnings)

    def test_other_values_than_hu(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30), RescaleType="MGML")
        refused(tmp_path, "MGML")

    def test_same_number_twice(self, tmp_path: Path) -> None:
        write_series(tmp_path / "a", phantom_hu(), axial_positions(30))
        write_series(tmp_path / "b", phantom_hu()[:20], axial_positions(20))
        keys = [s.key for s in list_series(tmp_path)]
        assert len(set(keys)) == 2
        refused(tmp_path, "several series fit", series="ABDOMEN")
        for key, slices in zip(keys, (30, 20), strict=True):
            assert read_ct(tmp_path, key).hu_zyx.shape[0] == slices


class TestPhases:
    def phases(self, folder: Path, n: int, told: bool) -> None:
        uid = None
        for k in range(n):
            tags = {"AcquisitionNumber": k + 1} if told else {}
            uid = write_series(
                folder / str(k), phantom_hu() + 10 * k, axial_positions(30), SeriesInstanceUID=uid,
                first_instance=1 + 30 * k, **tags,
            )  # fmt: skip

    @pytest.mark.parametrize("told", [True, False])
    def test_two_phases_in_one_series(self, tmp_path: Path, told: bool) -> None:
        self.phases(tmp_path, 2, told)
        assert sorted(s.key for s in list_series(tmp_path)) == ["3.1", "3.2"]
        volume = read_ct(tmp_path)
        same(volume, phantom_hu() + 10, GRID)
        assert "series 3.2" in volume.notes[0]
        same(read_ct(tmp_path, "3.1"), phantom_hu(), GRID)
        same(read_ct(tmp_path, "3"), phantom_hu() + 10, GRID)

    def test_time_series(self, tmp_path: Path) -> None:
        self.phases(tmp_path, 6, True)
        refused(tmp_path, "time series", "6 scans")
        same(read_ct(tmp_path, "3.4"), phantom_hu() + 30, GRID)


class TestDamaged:
    def test_all_files(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        for path in tmp_path.iterdir():
            path.write_bytes(path.read_bytes()[:3000])
        refused(tmp_path, "no file in the folder can be read")

    def test_pixels_of_many_slices(self, tmp_path: Path) -> None:
        """Headers are whole, compressed pixels are not: found out while decoding."""
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        for k, path in enumerate(sorted(tmp_path.iterdir())):
            if k % 3:
                continue
            item = pydicom.dcmread(path)
            item.compress(RLELossless, generate_instance_uid=False)
            item.PixelData = pydicom.encaps.encapsulate([b"\0" * 64])
            item.save_as(path)
        refused(tmp_path, "10 of 30 slices cannot be read", "export them again")

    def test_dicomdir_alone(self, tmp_path: Path) -> None:
        write_series(tmp_path / "IMAGES", phantom_hu(), axial_positions(30), suffix="")
        item = dataset("1.2.840.10008.1.3.10", "")
        item.save_as(tmp_path / "DICOMDIR", enforce_file_format=True)
        same(read_ct(tmp_path / "DICOMDIR"), phantom_hu(), GRID)
        same(read_ct(tmp_path), phantom_hu(), GRID)


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
