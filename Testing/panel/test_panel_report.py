"""Report, text, DICOM and import by clicks: a child process writes, the scene takes an import over."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed")
pytest.importorskip("highdicom", reason="highdicom is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")

import slicer
from support import slicer_desktop

slicer_desktop.install()

from LiverLesionAILib.panel.report import report_panel
from LiverLesionAILib.panel.report.report_panel import FORMATS, Questions
from pydicom import dcmread
from support.desk import add_volume, truth_array
from support.dicom_writer import write_series

UNASKED = Questions(lambda *_: "", lambda *_: (), lambda text: False)


@pytest.fixture(scope="module")
def case(shared):
    """A desk with an analysed CT that came from DICOM."""
    desk = shared.fresh()
    desk.ui.reportSection.collapsed = False
    return desk


class Database:
    """What the panel asks of Slicer's DICOM database."""

    def __init__(self, files: dict[str, Path]) -> None:
        self._files = files

    def fileForInstance(self, uid: str) -> str:
        return str(self._files.get(uid, ""))


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> dict[str, Path]:
    """Files of the truth's CT by SOP Instance UID, first slice first."""
    folder = tmp_path_factory.mktemp("series")
    array = truth_array()
    at = [(-30.0, 20.0, 100.0 + 2.5 * z) for z in range(len(array))]
    write_series(folder, array, at, spacing_yx_mm=(1.5, 1.5), StudyDate="20260131", PatientName="Muster^Max")
    found = [(dcmread(path, stop_before_pixels=True), path) for path in folder.iterdir()]
    found.sort(key=lambda one: float(one[0].ImagePositionPatient[2]))
    return {str(header.SOPInstanceUID): path for header, path in found}


@pytest.fixture
def ready(case, series, monkeypatch):
    """Analysed, its CT from DICOM, nothing ticked, nobody asked."""
    monkeypatch.setattr(slicer, "dicomDatabase", Database(series), raising=False)
    volume = case.scene.GetFirstNodeByName("CT") or add_volume("CT")
    volume.SetAttribute("DICOM.instanceUIDs", " ".join(series))
    case.turn()
    if case.panel.case.segmentation is None:
        case.analyze()
    tick(case)
    monkeypatch.setattr(case.panel.report, "_ask", UNASKED)
    return case


def tick(desk, *names: str) -> None:
    for name, box in {**FORMATS, "with_patient": "reportPatientBox"}.items():
        getattr(desk.ui, box).checked = name in names
    desk.turn()


def answer(desk, monkeypatch, folder: Path | str = "", files=(), agrees: bool = False) -> None:
    questions = Questions(lambda *_: str(folder), lambda *_: tuple(map(str, files)), lambda text: agrees)
    monkeypatch.setattr(desk.panel.report, "_ask", questions)


def click(desk, button: str) -> None:
    desk.click(button)
    desk.until(lambda: desk.panel.report.run.task is None, what=f"{button} has done its work")
    desk.turn()


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Where the first test writes to; the import reads from there."""
    return tmp_path_factory.mktemp("written")


def test_a_report_is_written_whole_into_a_new_folder(ready, written, monkeypatch):
    tick(ready, "report", "pdf", "text", "csv", "dicom")
    answer(ready, monkeypatch, written)
    ready.ui.reportLanguage.setCurrentIndex(1)
    click(ready, "reportButton")
    ready.ui.reportLanguage.setCurrentIndex(0)
    [folder] = written.iterdir()
    assert folder.name == "CT findings"
    assert sorted(p.name for p in folder.iterdir()) == [
        "PDF.dcm", "SEG.dcm", "SR.dcm", "findings.csv", "findings.json", "report.html", "report.pdf",
        "report.txt",
    ]  # fmt: skip
    assert "Report written" in ready.message() and folder.as_uri() in ready.message()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Leber-CT-Befund" in page and "31.01.2026" in page and "Muster" not in page
    assert page.count("<img ") >= 4, "key images come from the CT of the scene"
    seg = dcmread(folder / "SEG.dcm")
    source = dcmread(next(iter(slicer.dicomDatabase._files.values())), stop_before_pixels=True)
    assert seg.StudyInstanceUID == source.StudyInstanceUID and seg.PatientName == "Muster^Max"
    rows = list(csv.DictReader((folder / "findings.csv").open(encoding="utf-8-sig")))
    lesions = [row for row in rows if row["Finding"] == "lesion"]
    assert len(seg.SegmentSequence) == 1 + len(lesions)


def test_voxels_come_back_by_import(ready, written, monkeypatch):
    from LiverLesionAILib.review.reader_result import reader_result

    volume = ready.panel.case.volume
    before = reader_result(ready.scene, volume)
    folder = written / "CT findings"
    ready.scene.RemoveNode(ready.panel.case.segmentation)
    ready.turn()
    answer(ready, monkeypatch, files=(folder / "SR.dcm", folder / "SEG.dcm"))
    click(ready, "importButton")
    assert "Imported 3 lesions" in ready.message(), ready.message()
    after = reader_result(ready.scene, volume)
    assert np.array_equal(after.liver_zyx, before.liver_zyx)
    assert np.array_equal(after.lesion_labels_zyx > 0, before.lesion_labels_zyx > 0)
    assert sorted(x.tracking_uid for x in after.lesions) == sorted(x.tracking_uid for x in before.lesions)
    assert {x.score for x in after.lesions} == {x.score for x in before.lesions}


def test_the_text_is_in_the_clipboard_by_one_click(ready):
    slicer.app.clipboard().setText("")
    click(ready, "copyTextButton")
    text = slicer.app.clipboard().text()
    assert "Liver CT report" in text and "2026-01-31" in text and "Research use only" in text
    assert "is in the clipboard" in ready.message()


def test_who_thinks_better_of_it_gets_nothing(ready, tmp_path):
    tick(ready, "csv")
    click(ready, "reportButton")
    click(ready, "importButton")
    assert ready.panel.report.run.task is None
    tick(ready)
    ready.click("reportButton")
    assert "Tick what the report is to hold" in ready.message()


def test_a_ct_that_did_not_come_from_dicom_has_no_dicom_to_tick(ready):
    ready.panel.case.volume.RemoveAttribute("DICOM.instanceUIDs")
    ready.panel.refresh()
    assert not ready.ui.reportDicomBox.enabled
    tick(ready, "dicom", "csv")
    assert not ready.panel.report._options().dicom


def test_cancel_leaves_nothing(ready, tmp_path, monkeypatch):
    tick(ready, "report", "csv", "pdf")
    answer(ready, monkeypatch, tmp_path)
    ready.click("reportButton")
    ready.turn(0.2)
    assert ready.ui.exportCancelButton.visible
    click(ready, "exportCancelButton")
    assert "Cancelled" in ready.message()
    ready.until(lambda: not ready.panel.report.run._client.running)
    assert not list(tmp_path.glob("*"))


def test_without_the_packages_they_are_offered_and_only_the_table_is_written(ready, tmp_path, monkeypatch):
    monkeypatch.setattr(report_panel, "REQUIREMENTS", ("a-package-that-nobody-has>=1",))
    tick(ready, "report", "csv")
    answer(ready, monkeypatch, tmp_path)
    ready.click("reportButton")
    assert "Install packages" in ready.message() and ready.ui.packagesButton.visible
    ready.click("copyTextButton")
    assert "Install packages" in ready.message()
    tick(ready, "csv")
    (tmp_path / "CT findings").mkdir()
    click(ready, "reportButton")
    assert "Report written" in ready.message()
    assert sorted(p.name for p in (tmp_path / "CT findings 2").iterdir()) == ["findings.csv", "findings.json"]
    assert not any((tmp_path / "CT findings").iterdir()), "an earlier report is never written over"
    ready.click("packagesButton")
    assert ready.panel.report.run.task is None, "who does not agree installs nothing"
    monkeypatch.undo()
    ready.panel.report.look()
    ready.turn()
    assert not ready.ui.packagesButton.visible


def test_ticks_and_language_are_there_again_the_patients_name_is_not(ready):
    tick(ready, "csv", "with_patient")
    ready.ui.reportLanguage.setCurrentIndex(3)
    ready.panel.report._keep(ready.panel.report._options())
    tick(ready)
    ready.ui.reportLanguage.setCurrentIndex(0)
    ready.panel.report._restore()
    options = ready.panel.report._options()
    assert (options.language, options.csv, options.report) == ("fr", True, False)
    assert not options.with_patient
    ready.ui.reportLanguage.setCurrentIndex(0)


def test_what_a_cts_header_says_of_contrast_goes_along_with_it(ready, series, tmp_path) -> None:
    from LiverLesionAILib.panel.run.volumes import header_contrast
    from LiverLesionAILib.volume.contrast import NOTHING_SAID, ContrastHeader

    volume = ready.panel.case.volume
    assert header_contrast(volume) == NOTHING_SAID, "these files say nothing"
    first = dcmread(next(iter(series.values())))
    first.ContrastBolusStartTime, first.AcquisitionTime = "101500", "101612"
    first.ContrastBolusAgent = "IODINE"
    first.save_as(tmp_path / "with.dcm")
    slicer.dicomDatabase._files = {next(iter(series)): tmp_path / "with.dcm"}
    assert header_contrast(volume) == ContrastHeader(72.0, True)
    (tmp_path / "with.dcm").write_bytes(b"damaged")
    assert header_contrast(volume) == NOTHING_SAID, "a hint is no reason to fail"
    slicer.dicomDatabase._files = {}
    assert header_contrast(volume) == NOTHING_SAID
    volume.RemoveAttribute("DICOM.instanceUIDs")
    assert header_contrast(volume) == NOTHING_SAID


def test_classes_are_exported_as_training_labels_with_their_masks(ready, tmp_path, monkeypatch):
    """The reader's class wins, goes along, and needs no package; nothing of the patient does."""
    import json

    from LiverLesionAILib.case.labels import training_labels
    from LiverLesionAILib.case.store import load_result
    from LiverLesionAILib.writing.labels import read_labels

    monkeypatch.setattr(report_panel, "REQUIREMENTS", ("a-package-that-nobody-has>=1",))
    ready.panel.reader.set_class("lesion_1", "Haemangioma")
    tick(ready, "labels")
    answer(ready, monkeypatch, tmp_path)
    click(ready, "reportButton")
    assert "Report written" in ready.message()
    [folder] = tmp_path.iterdir()
    assert sorted(p.name for p in folder.iterdir()) == ["labels.csv", "labels.json", "masks"]
    [label] = [one for one in read_labels(folder / "labels.json") if one.lesion_class]
    assert (label.lesion_class, label.lesion, len(label.ct)) == ("haemangioma", 1, 64)
    kept, _ = training_labels(load_result(folder / "masks"), label.ct)
    assert label.mask in {one.mask for one in kept}
    assert "Muster" not in json.dumps(json.loads((folder / "masks" / "case.json").read_text()))
    ready.panel.reader.set_class("lesion_1", "")
