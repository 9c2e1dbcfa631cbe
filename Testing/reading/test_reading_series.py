"""DICOM folders with several series: the right one is taken, and the reader is told why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from LiverLesionAILib.reading import list_series, read_ct
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from pydicom.uid import RLELossless
from support.ct_phantom import phantom_hu
from support.dicom_writer import (
    MR_IMAGE,
    SECONDARY_CAPTURE,
    axial_positions,
    dataset,
    set_pixels,
    write_series,
)

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
