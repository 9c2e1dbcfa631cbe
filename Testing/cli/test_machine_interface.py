"""What other programs rely on: JSON about the installation, lines of progress, exit codes, the schema."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

import LiverLesionAILib
import SimpleITK as sitk
from hypothesis import given, settings
from LiverLesionAILib import findings_json, findings_schema
from LiverLesionAILib.case.columns import MEASURED
from LiverLesionAILib.case.findings import LesionSource, LesionStatus
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.writing.review_file import read_review, review_of, write_review
from support.results import empty_result, measured_result, results
from support.threshold_models import ThresholdModels, phantom

ROOT = Path(__file__).resolve().parents[2]
jsonschema = pytest.importorskip("jsonschema", reason="the extra test is not installed")


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    volume, _ = phantom()
    image = sitk.GetImageFromArray(volume.hu_zyx)
    image.SetSpacing([float(s) for s in volume.geometry.spacing_zyx_mm[::-1]])
    sitk.WriteImage(image, str(tmp_path / "phantom.nii.gz"))
    return tmp_path / "phantom.nii.gz"


@pytest.fixture
def by_hu(monkeypatch: pytest.MonkeyPatch) -> ThresholdModels:
    """Networks that look at HU alone, in place of the bundled ones."""
    models = ThresholdModels()
    monkeypatch.setattr("LiverLesionAILib.models.weights.ModelStore.bundled", lambda: models)
    return models


def validator():
    schema = findings_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@settings(max_examples=25, deadline=None)
@given(result=results())
def test_any_result_follows_the_schema(result) -> None:
    validator().validate(json.loads(json.dumps(findings_json(result), allow_nan=False)))


def test_what_the_schema_refuses() -> None:
    """Each of these would break a program that reads findings."""
    check = validator()
    whole = findings_json(measured_result())
    assert check.is_valid(whole) and check.is_valid(findings_json(empty_result()))
    for path, wrong in [
        (("format_version",), 2),
        (("coordinates",), "RAS, mm"),
        (("liver", "volume_ml"), "1500"),
        (("lesions", 0, "status"), "maybe"),
        (("lesions", 0, "score"), 1.5),
        (("lesions", 0, "centre_lps_mm"), [1.0, 2.0]),
    ]:
        broken = json.loads(json.dumps(whole))
        place = broken
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = wrong
        assert not check.is_valid(broken), path
    for key in whole:
        assert not check.is_valid({k: v for k, v in whole.items() if k != key}), key


def test_the_schema_names_what_is_measured_and_every_state() -> None:
    lesion = findings_schema()["$defs"]["lesion"]["properties"]
    assert {column.key for column in MEASURED} <= set(lesion)
    assert set(lesion["status"]["enum"]) == {status.value for status in LesionStatus}
    assert set(lesion["found_by"]["enum"]) == {source.value for source in LesionSource}


def lines_of(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_progress_as_json_lines(ct: Path, by_hu, tmp_path: Path, capsys) -> None:
    command = ["analyze", str(ct), "--device", "cpu", "--no-pictures", "--progress", "json"]
    assert main([*command, "--out", str(tmp_path / "case")]) == 0
    lines = lines_of(capsys.readouterr().err)
    assert {line["v"] for line in lines} == {1}
    assert lines[-1] == {"v": 1, "event": "done", "time_s": lines[-1]["time_s"], "exit_code": 0}
    told = [line for line in lines if line["event"] == "progress"]
    fractions = [line["fraction"] for line in told]
    assert fractions == sorted(fractions) and fractions[-1] == 1
    assert len({line["stage"] for line in told}) > 4
    assert all(line["seconds_left"] is None or line["seconds_left"] >= 0 for line in told)
    assert [line["time_s"] for line in lines] == sorted(line["time_s"] for line in lines)


def test_what_a_reader_said_of_a_case_is_not_replaced(ct: Path, by_hu, tmp_path: Path, capsys) -> None:
    case = tmp_path / "case"
    command = ["analyze", str(ct), "--device", "cpu", "--no-pictures", "--no-scene", "--out", str(case)]
    assert main(command) == main(command) == 0, "nobody has said anything yet"
    result = load_result(case)
    write_review(review_of([(1, LesionStatus.ACCEPTED)], reviewed=True), case)
    assert main(command) == 1 and read_review(case) is not None
    assert f"{case} holds what a reader has said of 1 lesion, which a new" in capsys.readouterr().err
    write_review(review_of([], reviewed=True), case)
    assert main(command) == 1 and "holds a reader's tick" in capsys.readouterr().err
    (case / "review.json").unlink()
    first, *others = result.lesions
    for said in ({"note": "control"}, {"reader_class": "cyst"}, {"edited": True}):
        save_result(replace(result, lesions=(replace(first, **said), *others)), case)
        kept = (case / "case.json").read_bytes()
        assert main(command) == 1 and (case / "case.json").read_bytes() == kept
    batch = [
        "batch",
        str(ct),
        "--out",
        str(tmp_path / "many"),
        "--device",
        "cpu",
        "--no-scene",
        "--no-pictures",
    ]
    assert main(batch) == 0
    (folder,) = (path for path in (tmp_path / "many").iterdir() if path.is_dir())
    write_review(review_of([(1, LesionStatus.REJECTED)], reviewed=True), folder)
    assert main(batch) == 0, "it is kept"
    assert main([*batch, "--again"]) == 1 and read_review(folder) is not None


def test_cancelled_while_exporting_it_says_that_the_case_is_there(
    ct: Path, by_hu, tmp_path: Path, capsys, monkeypatch
) -> None:
    def cancelled(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("LiverLesionAILib.cli.analyze._export", cancelled)
    case, to = tmp_path / "case", tmp_path / "export"
    command = ["analyze", str(ct), "--device", "cpu", "--no-pictures", "--out", str(case)]
    assert main([*command, "--export", str(to), "--csv"]) == 130
    assert f"Cancelled; the case is kept in {case}" in capsys.readouterr().err
    assert (case / "case.json").is_file()


def test_a_refusal_as_a_json_line(tmp_path: Path, capsys) -> None:
    (tmp_path / "empty.nii").write_bytes(b"")
    assert main(["analyze", str(tmp_path / "empty.nii"), "--progress", "json"]) == 1
    (*_, last) = lines_of(capsys.readouterr().err)
    assert (last["event"], last["exit_code"], last["error"]) == ("failed", 1, "InputError")
    assert "empty.nii" in last["message"]


def test_cancelled_as_a_json_line(ct: Path, by_hu, tmp_path: Path, capsys, monkeypatch) -> None:
    def stop(x):
        raise KeyboardInterrupt

    by_hu.before = stop
    command = ["analyze", str(ct), "--device", "cpu", "--out", str(tmp_path / "case"), "--progress", "json"]
    assert main(command) == 130
    assert lines_of(capsys.readouterr().err)[-1]["exit_code"] == 130
    assert not (tmp_path / "case").exists()


def test_the_exit_codes_are_documented(capsys) -> None:
    with pytest.raises(SystemExit) as usage:
        main(["analyze"])
    assert usage.value.code == 2
    with pytest.raises(SystemExit):
        main(["--help"])
    manual = (ROOT / "Resources" / "MANUAL.md").read_text(encoding="utf-8")
    for text in (capsys.readouterr().out, manual.split("## For programs")[1]):
        words = " ".join(text.split())
        assert all(f"{code} {word}" in words for code, word in ((0, "done"), (1, "failed"), (130, "cancel")))


def test_info_for_programs(capsys) -> None:
    assert main(["info", "--device", "cpu", "--json"]) == 0
    there = json.loads(capsys.readouterr().out)
    assert (there["format"], there["format_version"]) == ("LiverLesionAI info", 1)
    assert there["version"] == LiverLesionAILib.__version__
    assert {m["name"]: m["state"] for m in there["models"] if m["state"] != "mean"} == {
        entry.name: "right" for entry in Manifest.read().entries if entry.file
    }
    assert (
        there["writes"]["LiverLesionAI findings"]
        == findings_schema()["properties"]["format_version"]["const"]
    )


def test_the_example_runs(ct: Path, by_hu, tmp_path: Path) -> None:
    example = runpy.run_path(str(ROOT / "Resources" / "examples" / "analyze_one.py"))
    lesion = example["largest_lesion"](str(ct), str(tmp_path / "case"))
    written = LiverLesionAILib.load_case(tmp_path / "case")
    assert lesion["volume_ml"] == pytest.approx(
        max(x.measurement.volume_ml for x in written.lesions), abs=1e-3
    )
    assert (tmp_path / "case" / "findings.json").is_file()


def test_the_package_stays_light() -> None:
    """Importing it loads nothing; every public name can be had, and no other."""
    script = (
        "import sys, LiverLesionAILib as lib\n"
        "heavy = {'numpy', 'torch', 'scipy', 'SimpleITK', 'pydicom'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "assert {'analyze', 'read_ct', 'Settings'} <= set(dir(lib))\n"
        "[getattr(lib, name) for name in lib.__all__]\n"
        "assert 'torch' not in sys.modules\n"
        "assert not hasattr(lib, 'no_such_name')\n"
    )
    path = {"PYTHONPATH": str(ROOT / "LiverLesionAI"), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", script], env=path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
