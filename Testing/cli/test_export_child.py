"""What the panel's child process does, done here: files whole or not at all, and the reason where not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("highdicom", reason="highdicom is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")

from LiverLesionAILib.analysis.handover import write_volume
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.cli.export_child import ExportTasks
from LiverLesionAILib.reading.dicom_seg import seg_and_sr
from LiverLesionAILib.reading.dicom_source import source_of_files
from LiverLesionAILib.support.errors import Cancelled, InputError, OutputError
from LiverLesionAILib.support.package_folder import CASE_FOLDER, RESULT_FOLDER, RESULT_TEXT
from LiverLesionAILib.support.progress import TimedProgress, silent
from LiverLesionAILib.writing.dicom.ct_series import ct_series, derived_source
from LiverLesionAILib.writing.export import save_object
from pydicom import dcmread
from support.case_factory import small_case


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> list[str]:
    """The small case's CT as DICOM files."""
    volume, _ = small_case()
    folder = tmp_path_factory.mktemp("series")
    images = ct_series(volume, derived_source(volume), datetime(2026, 1, 31))
    return [str(save_object(image, folder / f"{n}.dcm")) for n, image in enumerate(images)]


@pytest.fixture
def handed(tmp_path) -> Path:
    """The folder as the panel fills it."""
    volume, result = small_case()
    folder = tmp_path / "handed"
    folder.mkdir()
    save_result(result, folder / CASE_FOLDER)
    for _ in write_volume(folder, volume.hu_zyx, volume.geometry, volume.name):
        pass
    return folder


def export(
    folder: Path, destination: Path, files: Sequence[str] = (), progress=silent, **options: Any
) -> None:
    request = {"task": "export", "destination": str(destination), "options": options, "dicom_files": files}
    ExportTasks().run(folder, request, progress)


def test_seg_and_sr_belong_to_the_series_and_come_back(handed, series, tmp_path):
    _, result = small_case()
    export(handed, tmp_path / "out", series[::-1], dicom=True, csv=True)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "SEG.dcm",
        "SR.dcm",
        "findings.csv",
        "findings.json",
    ]
    seg, ct = dcmread(tmp_path / "out" / "SEG.dcm"), dcmread(series[0])
    assert seg.StudyInstanceUID == ct.StudyInstanceUID
    assert seg.FrameOfReferenceUID == ct.FrameOfReferenceUID
    files = [str(tmp_path / "out" / name) for name in ("SR.dcm", "SEG.dcm")]
    ExportTasks().run(handed, {"task": "import", "files": files, "dicom_files": series}, silent)
    back = load_result(handed / RESULT_FOLDER)
    assert np.array_equal(back.liver_zyx, result.liver_zyx | (result.lesion_labels_zyx > 0))
    assert [x.score for x in back.lesions] == pytest.approx([x.score for x in result.lesions])


def test_a_series_that_moved_since_is_named_and_what_does_not_need_it_is_written(handed, series, tmp_path):
    moved = [*series[:-1], str(tmp_path / "moved.dcm")]
    with pytest.raises(InputError, match=r"1 of the 20 DICOM images .*moved\.dcm"):
        export(handed, tmp_path / "out", moved, dicom=True)
    with pytest.raises(InputError, match="unknown to the DICOM database"):
        export(handed, tmp_path / "out", ["", *series[1:]], dicom=True)
    with pytest.raises(InputError, match="did not come from DICOM"):
        export(handed, tmp_path / "out", [], text=True, with_patient=True)
    assert not (tmp_path / "out").exists()
    export(handed, tmp_path / "out", moved, text=True)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.txt"]


def test_a_ct_that_was_cropped_or_moved_is_not_filed_with_its_old_images(handed, series, tmp_path):
    """Its SEG would lie beside the voxels in a viewer."""
    geometry = small_case()[0].geometry
    files = [Path(name) for name in series]
    nz, ny, nx = geometry.shape_zyx
    assert source_of_files(files, geometry) is not None
    assert source_of_files(files, geometry.cropped((0, 2, 0), (nz, ny - 2, nx))) is None
    x, y, z = geometry.origin_lps
    moved = replace(geometry, origin_lps=(x, y + 2.0, z))
    assert source_of_files(files, moved) is None
    _, result = small_case()
    save_result(replace(result, geometry=moved), handed / CASE_FOLDER)
    with pytest.raises(InputError, match="cropped, resampled, turned or moved"):
        export(handed, tmp_path / "out", series, dicom=True)
    assert not (tmp_path / "out").exists()


def test_a_cancel_or_a_failure_leaves_nothing(handed, tmp_path, monkeypatch):
    asked: list[str] = []
    stopping = TimedProgress(lambda stage, share, left: asked.append(stage), lambda: len(asked) > 2)
    with pytest.raises(Cancelled):
        export(handed, tmp_path / "out" / "report", progress=stopping, report=True, csv=True)
    assert not any((tmp_path / "out").iterdir())

    def full(*values: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("LiverLesionAILib.writing.tables.write_tables", full)
    with pytest.raises(OutputError, match="disk is full"):
        export(handed, tmp_path / "out" / "report", csv=True)
    assert not any((tmp_path / "out").iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="could not be written"):
        export(handed, tmp_path / "file" / "report", csv=True)
    with pytest.raises(InputError, match="Nothing is ticked"):
        export(handed, tmp_path / "out" / "report")


def test_an_import_wants_one_segmentation_and_at_most_one_report(handed, series, tmp_path):
    export(handed, tmp_path / "out", series, dicom=True)
    seg, sr = tmp_path / "out" / "SEG.dcm", tmp_path / "out" / "SR.dcm"
    assert seg_and_sr([sr, seg]) == (seg, sr)
    assert seg_and_sr([seg]) == (seg, None)
    with pytest.raises(InputError, match="0 segmentations and 1 reports"):
        seg_and_sr([sr])
    with pytest.raises(InputError, match="its modality is CT"):
        seg_and_sr([Path(series[0]), seg])
    (tmp_path / "note.txt").write_text("no DICOM")
    with pytest.raises(InputError, match=r"note\.txt is no DICOM file"):
        seg_and_sr([tmp_path / "note.txt"])


def test_text_alone(handed, series):
    ExportTasks().run(handed, {"task": "text", "options": {"language": "fr"}, "dicom_files": []}, silent)
    text = (handed / RESULT_FOLDER / "report.txt").read_text(encoding="utf-8")
    assert "Compte rendu" in text


def test_the_panel_reads_the_text_where_export_writes_it() -> None:
    from LiverLesionAILib.writing.export import REPORT_TEXT

    assert RESULT_TEXT == REPORT_TEXT
