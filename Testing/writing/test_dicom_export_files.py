"""What `export` writes into a folder, and what stops it before or leaves nothing behind."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("highdicom", reason="highdicom is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")

from LiverLesionAILib.case.dicom_json import write_dicom
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.support.errors import InputError, OutputError
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.writing import export
from LiverLesionAILib.writing.export import Export, check_packages, export_case
from LiverLesionAILib.writing.report.content import Options
from pydicom import dcmread
from support.case_factory import small_case
from support.dicom_judged import (
    NOW,
    judged,
    source_of,
    without_times,
)


class TestCommand:
    def test_a_case_folder_becomes_objects_and_a_report(self, tmp_path, capsys):
        _, result = small_case()
        save_result(result, tmp_path / "case")
        write_dicom(tmp_path / "case", source_of(result.geometry))
        out = tmp_path / "out"
        arguments = [
            "export",
            str(tmp_path / "case"),
            "--out",
            str(out),
            "--dicom",
            "--report",
            "--pdf",
            "--text",
            "--csv",
        ]
        assert main(arguments) == 0
        names = {path.name for path in out.iterdir()}
        assert names == {
            "SEG.dcm",
            "SR.dcm",
            "PDF.dcm",
            "report.html",
            "report.pdf",
            "report.txt",
            "findings.csv",
        }
        assert "no key images" in capsys.readouterr().out
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        assert main(arguments) == 0, "the same case again changes nothing"
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before

    def test_without_dicom_it_says_why_and_what_to_do(self, tmp_path, capsys):
        _, result = small_case()
        save_result(result, tmp_path / "case")
        assert main(["export", str(tmp_path / "case"), "--out", str(tmp_path / "out"), "--dicom"]) == 1
        assert "--as-dicom" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_nothing_asked_for(self, tmp_path, capsys):
        assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
        assert "--report" in capsys.readouterr().err


def test_another_object_is_never_overwritten(tmp_path):
    _, result = small_case()
    source = source_of(result.geometry)
    export_case(result, source, tmp_path, Export(dicom=True), now=NOW)
    changed = replace(result, lesions=(replace(result.lesions[0], note="new"), *result.lesions[1:]))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OutputError, match="is there already"):
        export_case(changed, source, tmp_path, Export(dicom=True), now=NOW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_name_of_one_part_is_not_printed_by_a_library(tmp_path, recwarn):
    """As anonymous ones are: its warning had printed them on the terminal."""
    _, result = small_case()
    written = export_case(
        result, source_of(result.geometry, patient_name="ANON-7"), tmp_path, Export(dicom=True), now=NOW
    )
    assert not [one for one in recwarn if "ANON-7" in str(one.message)]
    assert {str(dcmread(written[name]).PatientName) for name in ("SEG", "SR")} == {"ANON-7"}


def test_the_pdf_object_holds_the_pdf(tmp_path):
    _, result = small_case()
    written = export_case(
        result, source_of(result.geometry), tmp_path, Export(dicom=True, pdf=True, options=Options()), now=NOW
    )
    dataset = dcmread(written["PDF"])
    judged(dataset, tmp_path)
    assert (
        dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength]
        == written["report.pdf"].read_bytes()
    )


def test_a_ct_of_another_size_is_refused(tmp_path):
    volume, result = small_case()
    other = CtVolume(
        volume.hu_zyx[1:], volume.geometry.cropped((1, 0, 0), volume.geometry.shape_zyx), "other"
    )
    with pytest.raises(InputError, match="not the CT"):
        export_case(result, None, tmp_path, Export(report=True), volume=other)


def test_two_runs_write_the_same_but_for_the_time(tmp_path):
    volume, result = small_case()
    what = Export(dicom=True, report=True, pdf=True, text=True, csv=True)
    for run in ("one", "two"):
        export_case(result, source_of(result.geometry), tmp_path / run, what, volume=volume)
    for path in sorted((tmp_path / "one").iterdir()):
        again = tmp_path / "two" / path.name
        if path.suffix == ".dcm":
            assert without_times(dcmread(path)) == without_times(dcmread(again)), path.name
            # Nothing of ours hides where viewers do not look.
            assert path.read_bytes()[:132] == bytes(128) + b"DICM"
            assert not [element.tag for element in dcmread(path).iterall() if element.tag.is_private]
        else:
            assert path.read_bytes() == again.read_bytes(), path.name


def test_a_full_disk_leaves_no_half_object(tmp_path, monkeypatch):
    _, result = small_case()
    source = source_of(result.geometry)

    def full(self, part, **options):
        Path(part).write_bytes(b"half an object")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pydicom.dataset.Dataset.save_as", full)
    with pytest.raises(OutputError, match="disk is full"):
        export_case(result, source, tmp_path, Export(dicom=True), now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_set_that_is_not_whole_is_told_to_be(tmp_path, monkeypatch):
    """Killed between two objects: the folder says so, as a killed process leaves it; the next run ends it."""
    _, result = small_case()
    source, what = source_of(result.geometry), Export(dicom=True, csv=True)
    save = export.save_object

    def killed(dataset, path):
        assert (tmp_path / export.UNFINISHED).is_file()
        if path.name == "SR.dcm":
            raise KeyboardInterrupt
        return save(dataset, path)

    monkeypatch.setattr(export, "save_object", killed)
    with pytest.raises(KeyboardInterrupt):
        export_case(result, source, tmp_path, what, now=NOW)
    assert {path.name for path in tmp_path.iterdir()} == {"findings.csv", "SEG.dcm", export.UNFINISHED}
    assert "Do not send it" in (tmp_path / export.UNFINISHED).read_text()
    monkeypatch.setattr(export, "save_object", save)
    export_case(result, source, tmp_path, what, now=NOW)
    assert {path.name for path in tmp_path.iterdir()} == {"findings.csv", "SEG.dcm", "SR.dcm"}


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path):
    _, result = small_case()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        export_case(result, None, tmp_path / "file" / "out", Export(csv=True), now=NOW)
    if os.geteuid() == 0:
        return
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="locked"):
        export_case(result, None, tmp_path / "locked", Export(csv=True), now=NOW)


def test_a_read_only_disk_is_said_and_nothing_is_left(tmp_path, monkeypatch, capsys):
    _, result = small_case()
    save_result(result, tmp_path / "case")
    write_dicom(tmp_path / "case", source_of(result.geometry))

    def locked(self, part, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("pydicom.dataset.Dataset.save_as", locked)
    assert main(["export", str(tmp_path / "case"), "--out", str(tmp_path / "out"), "--dicom"]) == 1
    said = capsys.readouterr().err
    assert "no permission" in said and "SEG.dcm" in said and "Traceback" not in said
    assert not any((tmp_path / "out").glob("*"))


def test_a_series_that_moved_since_is_not_missed(tmp_path, capsys):
    """Everything that the objects need lies in the case; a CT named in vain is said."""
    _, result = small_case()
    save_result(result, tmp_path / "case")
    write_dicom(tmp_path / "case", source_of(result.geometry))
    gone = ["--ct", str(tmp_path / "moved away")]
    out = ["export", str(tmp_path / "case"), "--dicom", "--out", str(tmp_path / "out")]
    assert main([*out, *gone]) == 1
    assert "moved away" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(out) == 0


def test_files_of_others_and_missing_packages_stop_it_before_anything_is_written(tmp_path, monkeypatch):
    volume, result = small_case()
    source = source_of(result.geometry)
    for name in ("SEG.dcm", "findings.csv"):
        (tmp_path / name).write_bytes(b"somebody's")
        with pytest.raises(OutputError, match=rf"{name} is there already and is not overwritten"):
            export_case(result, source, tmp_path, Export(dicom=True, csv=True), now=NOW)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match="name its file with --ct"):
        export_case(result, None, tmp_path, Export(dicom=True, as_dicom=True), now=NOW)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "highdicom" else name)
    with pytest.raises(InputError, match=r"needs highdicom\. Install it with: pip install .*\[export\]"):
        check_packages(Export(dicom=True))
    check_packages(Export(csv=True))
    assert list(tmp_path.iterdir()) == []


def test_training_labels_of_a_case_that_nobody_read_are_said_to_be_empty(tmp_path):
    _, result = small_case()
    said: list[str] = []
    export_case(result, None, tmp_path, Export(labels=True), say=said.append, now=NOW)
    assert "No lesion has a decision or a class of the reader's: the training labels are empty." in said
