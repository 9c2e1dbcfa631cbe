"""`analyze --anatomy` and `remnant`."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.anatomy import LiverAnatomy, read_segments
from LiverLesionAILib.case.findings import Box, CaseResult, Lesion
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.cli.analyze import analyse_into
from LiverLesionAILib.cli.batch_array import analysis_words
from LiverLesionAILib.cli.batch_case import analyse_case
from LiverLesionAILib.cli.batch_inputs import Request
from LiverLesionAILib.cli.batch_plan import BatchCase
from LiverLesionAILib.cli.batch_worker import options_json, options_of
from LiverLesionAILib.cli.job import Job
from LiverLesionAILib.cli.main import build_parser, main
from LiverLesionAILib.volume.geometry import Geometry
from LiverLesionAILib.writing import nrrd
from LiverLesionAILib.writing.cohort.cards import card_of
from LiverLesionAILib.writing.summary import counts_of, write_summary
from LiverLesionAILib.writing.tables import write_tables
from support.threshold_models import ThresholdModels, phantom

GRID = Geometry.make((20, 20, 20), (5.0, 5.0, 5.0))


def test_it_is_off_until_it_is_asked_for(tmp_path: Path) -> None:
    for command in (["analyze", "ct.nii"], ["batch", "scans", "--out", "cases"]):
        assert not build_parser().parse_args(command).anatomy
        asked = build_parser().parse_args([*command, "--anatomy"])
        assert asked.anatomy and Job.of(asked).anatomy
        # A process of its own and a task of a job array are asked for it too.
        assert options_of(options_json(asked)).anatomy and "--anatomy" in analysis_words(asked)
    job = Job(ThresholdModels(), Settings(device="cpu", attention=False), None, False, False, True)
    told: list[float] = []
    result, written, _, timings = analyse_into(
        job, phantom()[0], tmp_path / "case", lambda stage, fraction: told.append(fraction)
    )
    assert told == sorted(told) and told[-1] == 1, "the progress never goes back"
    assert result.anatomy is not None and result.anatomy.messages, "a ball of one density has no segments"
    assert timings["anatomy"] > 0
    assert written["anatomy"] == tmp_path / "case" / "anatomy.seg.nrrd" and written["anatomy"].is_file()
    kept = load_result(tmp_path / "case")
    assert kept.anatomy is not None and kept.anatomy.messages == result.anatomy.messages
    assert json.loads(written["findings"].read_text())["anatomy"]["notes"] == list(result.anatomy.messages)


def test_a_batchs_line_and_the_cohort_say_where_lesions_lie_or_why_not(tmp_path: Path) -> None:
    job = Job(ThresholdModels(), Settings(device="cpu", attention=False), None, False, False, True)
    volume = phantom()[0]
    nrrd.write_image(tmp_path / "ct.nrrd", volume.hu_zyx, volume.geometry)
    path, folder = tmp_path / "ct.nrrd", tmp_path / "out" / "one"
    row = analyse_case(job, BatchCase(path, "one", folder, "", Request(path, "one")), {})
    result = load_result(folder)
    assert result.anatomy is not None and result.anatomy.messages[0] in row["message"]
    assert row["segments"] == ""
    said = result.lesions[0].anatomy.with_reader(read_segments("VII, VIII"))
    result = replace(result, lesions=(replace(result.lesions[0], anatomy=said), *result.lesions[1:]))
    save_result(result, folder)
    write_tables(result, folder)
    assert counts_of(folder)["segments"] == "1: VII, VIII"
    assert counts_of(folder)["message"] == row["message"], "a case that is kept keeps its warnings"
    findings = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    assert card_of(1, findings, None).segments == "1: VII, VIII"
    write_summary(tmp_path / "out", [{"case": "one", "status": "kept", **counts_of(folder)}])
    with (tmp_path / "out" / "summary.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["segments"] == "1: VII, VIII"


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A cube of 1000 mL, half of it segment VI and half VII, a lesion of 1 mL in VI."""
    segments = np.full(GRID.shape_zyx, 6, np.uint8)
    segments[10:] = 7
    labels = np.zeros(GRID.shape_zyx, np.uint16)
    labels[4:6, 4:6, 4:6] = 1
    lesion = Lesion(1, 0.9, (22.5, 22.5, 22.5), Box((22.5, 22.5, 22.5), (10.0, 10.0, 10.0)), None)
    anatomy = LiverAnatomy(GRID, np.zeros_like(segments), segments)
    save_result(CaseResult("cube", GRID, segments > 0, labels, (lesion,), 1000.0, anatomy=anatomy), tmp_path)
    return tmp_path


def figures(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert main(["remnant", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_segments_plane_and_mask_of_one_resection_agree(
    case: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = figures(capsys, case, "--segments", "VI", "--height", 170, "--weight", 70, "--minimum", 30)
    assert (said["resected_ml"], said["remaining_ml"]) == (500, 500)
    assert said["functional_percent"] == pytest.approx(100 * 500 / 999, abs=1e-3)
    assert said["enough"] is True and said["vauthey_percent"] == pytest.approx(33.1, abs=0.1)
    plane = figures(capsys, case, "--plane", "0,0,47.5,0,0,-1")
    fine = Geometry.make((20, 40, 40), (2.5, 2.5, 2.5), (-1.25, -1.25, -1.25))
    nrrd.write_image(case / "cut.nrrd", np.ones(fine.shape_zyx, np.uint8), fine)
    mask = figures(capsys, case, "--mask", case / "cut.nrrd")
    assert plane["resected_ml"] == 500 and mask["resected_ml"] == 500
    assert plane["enough"] is None and plane["urata_percent"] is None


def test_a_margin_takes_the_lesion_and_liver_round_it(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = figures(capsys, case, "--margin", 5, "--lesions", 1)
    assert said["resected_ml"] > 3 and said["remaining_tumour_ml"] == 0
    assert main(["remnant", str(case), "--margin", "0"]) == 0
    assert "Resected 1 mL, remaining 999 mL of 1000 mL." in capsys.readouterr().out


def test_what_makes_no_sense_is_said(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, text in (
        (["--segments", "IX"], "no Couinaud segment"),
        (["--segments", "V"], "does not touch the liver"),
        (["--plane", "1,2"], "give 6 numbers"),
        (["--margin", "5", "--lesions", "4"], "There is no lesion 4"),
        (["--segments", "VI", "--height", "170"], "needs both"),
        (["--segments", "VI", "--minimum", "0"], "above 0"),
    ):
        assert main(["remnant", str(case), *arguments]) == 1
        assert text in capsys.readouterr().err
    save_result(replace(load_result(case), anatomy=None), case)
    assert main(["remnant", str(case), "--segments", "VI"]) == 1
    assert "analyse its CT with --anatomy" in capsys.readouterr().err
