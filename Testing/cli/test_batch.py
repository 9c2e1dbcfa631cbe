"""`batch`: every input gets a case of its own, whatever happens to the others, and the summary says what."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from LiverLesionAILib.case.messages import TOO_DARK
from LiverLesionAILib.cli import batch
from LiverLesionAILib.cli.batch_case import _line
from LiverLesionAILib.cli.batch_inputs import folder_requests, requests_of
from LiverLesionAILib.cli.batch_plan import INDEX_FILE, plan_batch
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.support.errors import Cancelled, InputError, OutputError
from LiverLesionAILib.support.progress import silent
from LiverLesionAILib.writing.summary import write_summary
from support.case_factory import small_case
from support.ct_phantom import phantom_hu
from support.dicom_writer import axial_positions, write_series


def batch_inputs(folder: Path) -> list[Path]:
    return [request.path for request in requests_of([folder])]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Inputs that share names on some file system or other."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("p1.nii.gz", "p1.nrrd", "P2.nii", "p2.mha", "a b.nii"):
        (folder / name).write_bytes(name.encode())
    write_series(folder / "p1", phantom_hu()[:3], axial_positions(3))
    (folder / "notes.txt").write_text("no input")
    (folder / "empty").mkdir()
    return folder


def analysed(job, case: batch.BatchCase, said, progress=silent) -> dict[str, str]:
    """Stands for reading, analysis and writing."""
    case.folder.mkdir(parents=True, exist_ok=True)
    (case.folder / "findings.json").write_text("{}")
    (case.folder / batch_marker()).write_text(json.dumps({"files": ["findings.json"]}))
    return {"status": "done", "lesions": "1", "line": "1 lesion"}


def batch_marker() -> str:
    from LiverLesionAILib.writing.case_folder import MARKER

    return MARKER


@pytest.fixture
def run(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    out = tmp_path / "out"

    def run(work: Callable = analysed, *options: str, into: Path = out) -> tuple[int, list[dict[str, str]]]:
        monkeypatch.setattr(batch, "analyse_case", work)
        code = main(["batch", str(source), "--out", str(into), *options])
        if not (into / "summary.csv").exists():
            return code, []
        with open(into / "summary.csv", encoding="utf-8", newline="") as file:
            return code, list(csv.DictReader(file))

    return run


def names(rows: list[dict[str, str]], **having: str) -> dict[str, str]:
    return {r["input"]: r["case"] for r in rows if all(r[k] == v for k, v in having.items())}


def test_every_input_has_its_own_case(run, source: Path, tmp_path: Path) -> None:
    code, rows = run()
    assert code == 0
    case_of = names(rows, status="done")
    assert sorted(case_of) == sorted(p.name for p in batch_inputs(source))
    assert len({name.casefold() for name in case_of.values()}) == len(case_of) == 6
    assert case_of["a b.nii"] == "a b"
    assert case_of["p1.nii.gz"].startswith("p1-")
    assert all((tmp_path / "out" / name / "findings.json").is_file() for name in case_of.values())


def test_names_stay_in_later_runs(run, source: Path, tmp_path: Path) -> None:
    _, first = run()
    (source / "a b.nrrd").write_bytes(b"new, of a name that is taken")
    (source / "p3.nii").write_bytes(b"new")
    (source / "p1.nrrd").write_bytes(b"another CT under the same name")
    _, second = run()
    before, after = names(first), names(second)
    assert {k: after[k] for k in before} == before
    assert sorted(names(second, status="done")) == ["a b.nrrd", "p1.nrrd", "p3.nii"]
    assert after["a b.nrrd"].startswith("a b-")
    assert after["p3.nii"] == "p3"
    _, third = run(analysed, "--again")
    assert names(third, status="done") == after
    # The same inputs give the same names elsewhere, too.
    run_elsewhere = plan_batch(folder_requests(source), source, tmp_path / "elsewhere", False)
    same = {c.path.name: c.name for c in run_elsewhere if c.path.name not in ("a b.nii", "p1.nrrd")}
    assert same.items() <= after.items()


def test_a_case_of_a_version_without_index_is_kept(run, tmp_path: Path) -> None:
    run()
    (tmp_path / "out" / INDEX_FILE).unlink()
    _, rows = run()
    assert "a b.nii" in names(rows, status="kept")


@pytest.mark.parametrize(
    "error",
    [InputError("no CT"), OutputError("disk full"), MemoryError(), RuntimeError("=bad"), OSError(5, "I/O")],
)
def test_one_bad_case_never_stops_the_rest(run, error: Exception, capsys) -> None:
    def work(job, case, said, progress):
        if case.path.name == "p1.nrrd":
            raise error
        return analysed(job, case, said)

    code, rows = run(work)
    assert code == 1
    (bad,) = [r for r in rows if r["status"] == "failed"]
    assert bad["input"] == "p1.nrrd"
    assert str(error) in bad["message"] or "memory" in bad["message"]
    assert len(names(rows, status="done")) == 5
    printed = capsys.readouterr().out
    assert "5 of 6 analysed" in printed
    assert "Traceback" not in printed
    code, rows = run()
    assert sorted(names(rows, status="done")) == ["p1.nrrd"]


def test_targets_are_checked_before_work(run, tmp_path: Path, capsys) -> None:
    """A folder with other files, a file in a folder's place: those cases fail at once, the others run."""
    out = tmp_path / "out"
    (out / "a b").mkdir(parents=True)
    (out / "a b" / "thesis.txt").write_text("mine")
    code, rows = run()
    assert code == 1
    (bad,) = [r for r in rows if r["status"] == "failed"]
    assert "not a LiverLesionAI case" in bad["message"]
    assert len(names(rows, status="done")) == 5
    assert (out / "a b" / "thesis.txt").read_text() == "mine"


def test_an_output_folder_that_cannot_be_used_is_found_first(run, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").write_text("")

    def never(*_):
        raise AssertionError("work began")

    for into in (tmp_path / "file", tmp_path / "file" / "below"):
        assert run(never, into=into) == (1, [])
        assert "is a file" in capsys.readouterr().err


def test_a_damaged_dicom_folder_is_in_the_summary(run, source: Path) -> None:
    (source / "broken").mkdir()
    (source / "broken" / "1.dcm").write_bytes(b"damaged")

    def work(job, case, said, progress):
        from LiverLesionAILib.reading import read_ct

        if case.path.name == "broken":
            read_ct(case.path)
        return analysed(job, case, said)

    code, rows = run(work)
    assert code == 1
    (bad,) = [r for r in rows if r["status"] == "failed"]
    assert "no DICOM file" in bad["message"]


def test_a_cancelled_batch_leaves_its_summary(run, source: Path, capsys) -> None:
    def work(job, case, said, progress):
        if case.path.name == "p1.nrrd":
            raise Cancelled("stop")
        return analysed(job, case, said)

    code, rows = run(work)
    assert code == 130
    said = capsys.readouterr().err
    assert "Cancelled; cases that were done are kept" in said and "nothing was kept" not in said
    assert [r["input"] for r in rows if r["status"] == "cancelled"] == ["p1.nrrd"]
    assert len(names(rows, status="done")) == 4


def test_formulas_are_no_formulas(source: Path, tmp_path: Path) -> None:
    write_summary(tmp_path, [{"case": "=1+1", "status": "failed", "message": "@x", "input": "-3"}])
    with open(tmp_path / "summary.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["case"], row["message"], row["input"]) == ("'=1+1", "'@x", "'-3")


def test_loose_dicom_files_are_explained(tmp_path: Path) -> None:
    write_series(tmp_path, phantom_hu()[:3], axial_positions(3))
    with pytest.raises(Exception, match="holds DICOM files itself"):
        batch_inputs(tmp_path)


@pytest.mark.parametrize(
    "description", ["Abd/Pel 5.0 B30f", "..", "x" * 240, "CON", "a:b*?", "肝" * 80, "../../up"]
)
def test_the_default_folder_is_one_safe_name(
    description: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made of a series description that nobody filtered; the target is checked before the analysis."""
    from LiverLesionAILib.cli import analyze

    write_series(tmp_path / "ct", phantom_hu(), axial_positions(30), description=description[:64])
    monkeypatch.chdir(tmp_path)
    folders = []

    def stop(args, volume, folder, *_):
        folders.append(folder)
        raise InputError("enough")

    monkeypatch.setattr(analyze, "analyse_into", stop)
    assert main(["analyze", "ct"]) == 1
    (folder,) = folders
    assert folder.name == str(folder)
    assert folder.resolve().parent == tmp_path
    assert len(folder.name.encode()) < 200
    assert not set(folder.name) & set('<>:"/\\|?*')
    folder.mkdir()
    (folder / "mine.txt").write_text("")
    folders.clear()
    assert main(["analyze", "ct"]) == 1
    assert folders == []


def test_names_that_are_no_utf8(run, source: Path, tmp_path: Path) -> None:
    """Inputs of another system and an output folder of its, analysed and named in the summary."""
    try:
        (source / os.fsdecode(b"M\xfcller.nii")).write_bytes(b"one")
        (source / os.fsdecode(b"M\xfcller.mha")).write_bytes(b"two")
        (into := tmp_path / os.fsdecode(b"Bef\xfcnde")).mkdir()
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    for expected in ("done", "kept"):
        code, rows = run(into=into)
        assert code == 0
        case_of = names(rows, status=expected)
        assert {"M\\xfcller.nii", "M\\xfcller.mha"} < set(case_of)
        assert len(set(case_of.values())) == len(case_of) == 8
        assert all((into / name / "findings.json").is_file() for name in case_of.values())


def test_advice_names_what_a_batch_has(run, source: Path) -> None:
    def work(job, case, said, progress):
        if case.path.name == "p1.nrrd":
            raise InputError("It holds two series. Choose --series 1 or --series 2, or --grid sform.")
        return analysed(job, case, said)

    _, rows = run(work)
    (bad,) = [r for r in rows if r["status"] == "failed"]
    assert "--" not in bad["message"]
    assert "column 'series' 1 or column 'series' 2, or column 'grid' sform" in bad["message"]
    assert "CSV" in bad["message"]


def test_what_stands_before_all_findings_stands_in_a_cases_line() -> None:
    """Whoever reads only the terminal has to see that a liver of 224 mL at -14 HU is doubted."""
    _, result = small_case()
    plain = _line(result, 12.4)
    assert plain.endswith(", 12 s") and "burden " in plain and "Warning" not in plain
    doubt, other = TOO_DARK.say(hu=-14.0), "The file is compressed."
    said = _line(replace(result, messages=(other, doubt)), 12.4)
    assert said == f"{plain}. Warning: {doubt}"
    assert "burden" not in _line(small_case(lesions=0)[1], 1.0)
