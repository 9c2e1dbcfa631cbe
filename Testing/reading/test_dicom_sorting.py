"""Series as they come out of archives: several scans in one, identifiers per slice, copies of files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from LiverLesionAILib.cli import analyze
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.reading import list_series, load_ct, read_ct
from LiverLesionAILib.support.errors import InputError
from pydicom.uid import generate_uid
from support.ct_phantom import phantom_hu
from support.dicom_writer import (
    SECONDARY_CAPTURE,
    axial_positions,
    dataset,
    set_pixels,
    write_enhanced,
    write_series,
)


def raised(shift_mm: float) -> np.ndarray:
    """Positions of 30 slices, moved up."""
    return axial_positions(30) + np.array([0, 0, shift_mm])


def phases(folder: Path, shifts_mm: list[float], **tags: list) -> None:
    """One series of several scans, each brighter by 10 HU than the one before; `tags` per scan."""
    uid = generate_uid()
    for n, shift in enumerate(shifts_mm):
        own = {key: values[n] for key, values in tags.items()}
        write_series(
            folder / str(n), phantom_hu() + 10 * n, raised(shift), number=4,
            SeriesInstanceUID=uid, **own,
        )  # fmt: skip


class TestSeveralScans:
    @pytest.mark.parametrize(
        "tags",
        [
            {"AcquisitionNumber": [1, 2, 3]},
            {"AcquisitionTime": ["101000", "101030.5", "101200"]},
            {"ContentTime": [[f"10{10 + n}{k:02d}" for k in range(30)] for n in range(3)]},
            {"TriggerTime": [0, 300, 600]},
            {
                "ContentDate": ["20260101"] * 3,
                "AcquisitionDateTime": [f"2026010110{n}000" for n in (1, 2, 3)],
            },
        ],
        ids=["number", "time", "content time", "trigger", "date and time"],
    )
    @pytest.mark.parametrize("shift_mm", [0.0, 0.3, 1.0])
    def test_each_can_be_taken(self, tmp_path: Path, tags: dict[str, list], shift_mm: float) -> None:
        phases(tmp_path, [0, shift_mm, 2 * shift_mm], **tags)
        assert sorted(s.key for s in list_series(tmp_path)) == ["4.1", "4.2", "4.3"]
        for n in range(3):
            volume = load_ct(tmp_path, f"4.{n + 1}")
            np.testing.assert_array_equal(volume.hu_zyx, phantom_hu() + 10 * n)
            assert volume.geometry.origin_lps[2] == pytest.approx(20 + n * shift_mm)
            assert f"Of 3 scans in one series, series 4.{n + 1}" in volume.notes[0]

    def test_the_choice_is_printed(self, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
        phases(tmp_path / "ct", [0, 1.0], AcquisitionNumber=[1, 2])
        taken = []

        def stop(args, volume, *_):
            taken.append(volume)
            raise InputError("enough")

        monkeypatch.setattr(analyze, "analyse_into", stop)
        main(["analyze", str(tmp_path / "ct"), "--series", "4.2", "--out", str(tmp_path / "out")])
        assert "series 4.2 'ABDOMEN PV' (acquisition 2) was taken" in taken[0].notes[0]
        assert "series 4.1 'ABDOMEN PV' (CT, 30 slices, 150 mm, acquisition 1)" in taken[0].notes[0]

    def test_that_another_one_was_there_is_told_where_nobody_chose(self, tmp_path: Path) -> None:
        """Not on the terminal alone: the findings and every report of them begin with it."""
        from LiverLesionAILib.writing.report.sentences import sentence
        from LiverLesionAILib.writing.report.strings import Language

        phases(tmp_path, [0, 1.0], AcquisitionNumber=[1, 2])
        for asked in (None, "4"):
            first, *_ = load_ct(tmp_path, asked).warnings
            assert first.startswith("Series 4 holds 2 scans, of which one was analysed: acquisition ")
        assert sentence(first, Language("de")).startswith("Serie 4 enthält 2 Aufnahmen")
        assert not any("holds 2 scans" in said for said in load_ct(tmp_path, "4.1").warnings)
        one = next((tmp_path / "0").iterdir())
        assert not any("holds 2 scans" in said for said in load_ct(one).warnings), "it names its own scan"

    def test_breath_holds_that_overlap(self, tmp_path: Path) -> None:
        phases(tmp_path, [0, 62.0], AcquisitionNumber=[1, 2])
        assert sorted(s.key for s in list_series(tmp_path)) == ["4.1", "4.2"]

    def test_opened_by_one_file_its_own_scan_is_read(self, tmp_path: Path) -> None:
        phases(tmp_path, [0, 1.0], AcquisitionNumber=[1, 2])
        for n, path in enumerate(sorted((tmp_path / "1").iterdir())):
            shutil.move(path, tmp_path / "0" / f"second{n}.dcm")
        volume = load_ct(tmp_path / "0" / "second7.dcm")
        np.testing.assert_array_equal(volume.hu_zyx, phantom_hu() + 10)
        assert "Of 2 scans in one series, series 4.2" in volume.notes[0]

    def test_frames_of_two_phases_in_one_file(self, tmp_path: Path) -> None:
        hu = np.concatenate([phantom_hu(), phantom_hu() + 10])
        positions = np.concatenate([axial_positions(30), raised(1.0)])
        write_enhanced(tmp_path / "e.dcm", hu, positions)
        np.testing.assert_array_equal(load_ct(tmp_path / "e.dcm", "9.1").hu_zyx, phantom_hu())
        np.testing.assert_array_equal(load_ct(tmp_path / "e.dcm", "9.2").hu_zyx, phantom_hu() + 10)


class TestIdentifiers:
    def test_a_series_per_slice(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        for path in tmp_path.iterdir():
            item = pydicom.dcmread(path)
            item.SeriesInstanceUID = generate_uid()
            item.save_as(path)
        volume = read_ct(tmp_path)
        np.testing.assert_array_equal(volume.hu_zyx, phantom_hu())
        assert any("30 different series identifiers" in w for w in volume.warnings)
        one = read_ct(sorted(tmp_path.iterdir())[3])
        np.testing.assert_array_equal(one.hu_zyx, phantom_hu())

    def test_a_series_per_slice_that_does_not_fit_is_explained(self, tmp_path: Path) -> None:
        write_series(tmp_path, phantom_hu(), axial_positions(30))
        for k, path in enumerate(tmp_path.iterdir()):
            item = pydicom.dcmread(path)
            item.SeriesInstanceUID, item.SeriesDescription = generate_uid(), f"slice {k}"
            item.save_as(path)
        with pytest.raises(InputError, match=r"30 series of one slice each.*Export"):
            read_ct(tmp_path)

    def test_copies_of_files(self, tmp_path: Path) -> None:
        write_series(tmp_path / "a", phantom_hu(), axial_positions(30))
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        volume = read_ct(tmp_path)
        np.testing.assert_array_equal(volume.hu_zyx, phantom_hu())
        (warning,) = volume.warnings
        assert "30 files are there twice" in warning

    def test_copies_that_differ(self, tmp_path: Path) -> None:
        write_series(tmp_path / "a", phantom_hu(), axial_positions(30))
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        victim = sorted((tmp_path / "b").iterdir())[2]
        item = pydicom.dcmread(victim)
        set_pixels(item, item.pixel_array + np.uint16(7))
        item.save_as(victim)
        volume = read_ct(tmp_path)
        np.testing.assert_array_equal(volume.hu_zyx, phantom_hu())
        assert any("30 files carry the identifier" in w and "1 of them differs" in w for w in volume.warnings)

    def test_two_patients_under_one_series(self, tmp_path: Path) -> None:
        uid = write_series(tmp_path / "a", phantom_hu(), axial_positions(30))
        write_series(
            tmp_path / "b",
            phantom_hu(),
            raised(1.0),
            SeriesInstanceUID=uid,
            PatientID="P2",
        )
        volume = read_ct(tmp_path)
        np.testing.assert_array_equal(volume.hu_zyx, phantom_hu())
        assert any("2 patients" in w for w in volume.warnings)


def test_small_fields_of_view_are_read(tmp_path: Path) -> None:
    """0.29 mm pixels, and a child's 140 mm."""
    hu = np.repeat(np.repeat(phantom_hu(), 8, axis=1), 8, axis=2)
    write_series(tmp_path, hu, axial_positions(30), spacing_yx_mm=(0.29, 0.29))
    volume = read_ct(tmp_path)
    np.testing.assert_array_equal(volume.hu_zyx, hu)


def test_unnamed_pictures_do_not_disturb(tmp_path: Path) -> None:
    write_series(tmp_path, phantom_hu(), axial_positions(30))
    item = dataset(SECONDARY_CAPTURE, "OT", SeriesInstanceUID="1.9")
    set_pixels(item, np.zeros((64, 64), np.uint16))
    item.save_as(tmp_path / "picture", enforce_file_format=True)
    np.testing.assert_array_equal(read_ct(tmp_path).hu_zyx, phantom_hu())
