"""A detector's boxes alone, per scan: scores, curves, tables, and the bundled detectors on small scans."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from support.evaluation_scans import LIVER_LESIONS_MM, write_liver

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.evaluation.command import add_evaluate_arguments, run_evaluate
from LiverLesionAILab.evaluation.scan_boxes import (
    ScoredScan,
    boxes_curve,
    boxes_table,
    scored,
    sensitivity_interval,
)
from LiverLesionAILab.training.calibrate_detector import Candidate, HeldOutScan
from LiverLesionAILib.analysis.rules import settings_from
from LiverLesionAILib.stages.detect.link import LinkSettings, chain_score
from LiverLesionAILib.support.errors import InputError, ModelError


def options(data: Path, out: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_evaluate_arguments(parser)
    return parser.parse_args([str(data), "--out", str(out), "--draws", "50", *more])


def test_a_lesion_has_the_score_of_its_best_box_and_small_ones_are_no_false_findings() -> None:
    calibration = {"link_bias": -0.4, "link_top": 0.9, "link_support": 0.8}
    candidates = (
        Candidate("s", 0.9, 2.0, (1,)),
        Candidate("s", 0.8, 1.0, (1, 2)),
        Candidate("s", 0.7, 0.7, (3,)),
        Candidate("s", 0.6, 0.6, ()),
    )
    scan = HeldOutScan("s", {1: 20.0, 2: 7.0, 3: 4.0, 4: 9.0}, candidates)
    settings = settings_from(calibration, LinkSettings)
    chain = [chain_score(c.best, c.total, settings) for c in candidates]
    got = scored(scan, "P", calibration)
    assert got.diameters_mm.tolist() == [20.0, 7.0, 4.0, 9.0]
    assert got.found_scores == pytest.approx([chain[0], chain[1], chain[2], -np.inf])
    assert got.false_scores == pytest.approx([chain[3]])
    curve = boxes_curve([got])
    assert (curve.n_lesions, curve.n_units) == (3, 1), "the lesion of 4 mm does not count"
    assert curve.at(0.0) == pytest.approx(2 / 3)


def made_scans() -> list[ScoredScan]:
    def scan(name: str, patient: str, mm: list[float], found: list[float], false: list[float]) -> ScoredScan:
        return ScoredScan(name, patient, np.array(mm), np.array(found), np.array(false))

    return [
        scan("a", "P", [6.0, 12.0], [0.9, 0.5], [0.7]),
        scan("b", "P", [30.0], [0.8], [0.6, 0.2]),
        scan("c", "Q", [8.0], [-np.inf], []),
        scan("d", "R", [], [], [0.95]),
    ]


def test_curves_by_size_share_the_false_boxes_of_all_sizes() -> None:
    scans = made_scans()
    # By hand: of scores 0.95- 0.9+ 0.8+ 0.7- 0.6- 0.5+ 0.2-, four scans, four lesions.
    assert boxes_curve(scans).at_rates((0.125, 0.25, 0.5, 0.75, 8.0)) == {
        0.125: 0.0,
        0.25: 0.5,
        0.5: 0.5,
        0.75: 0.75,
        8.0: 0.75,
    }
    assert boxes_curve(scans, 5.0, 10.0).at(0.25) == 0.5
    assert boxes_curve(scans, 10.0, 20.0).at(0.5) == 0.0
    interval = sensitivity_interval(scans, 1.0, n_draws=200)
    assert interval.value == 0.75 and 0.0 <= interval.low < 0.75 <= interval.high <= 1.0
    text = boxes_table("box network", scans, n_draws=50)
    rows = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert rows["all"][1:4] == ["4", "0.000", "0.500"]
    assert rows["5-10 mm"][2] == "2" and rows["> 20 mm"][3:6] == ["1", "0.000", "1.000"]
    assert "4 scans of 3 patients" in text


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scans: a liver with two dark balls, a liver without one."""
    folder = tmp_path_factory.mktemp("scans")
    for name, lesions in (("one", LIVER_LESIONS_MM), ("two", {})):
        write_liver(folder, name, lesions)
    return folder


def test_bundled_detectors_on_two_scans(data: Path, tmp_path: Path) -> None:
    said: list[str] = []
    names = ("cs_att", "va_faster_rcnn")
    chosen = [word for name in names for word in ("--boxes", name)]
    assert run_evaluate(options(data, tmp_path, *chosen), say=said.append) == 0
    kept = json.loads((tmp_path / "boxes.json").read_text())["scans"]
    assert set(kept) == set(names)
    for name in names:
        by_name = {row["name"]: row for row in kept[name]}
        assert by_name["one"]["diameters_mm"] == pytest.approx([16.0, 12.0], abs=1.5)
        assert by_name["two"]["diameters_mm"] == []
    assert max(s or 0 for s in by_name["one"]["found_scores"]) > 0.1, "a ball of 16 mm is found"
    assert "cs_att: boxes alone" in said[0] and "2 scans of 2 patients" in said[0]
    assert (tmp_path / "boxes.txt").is_file() and (tmp_path / "boxes.png").stat().st_size > 5000


def test_what_gives_no_boxes_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sfan: this model gives no boxes"):
        run_evaluate(options(data, tmp_path, "--boxes", "sfan"), say=lambda text: None)
    with pytest.raises(InputError, match="without --model"):
        run_evaluate(options(data, tmp_path, "--boxes", "cs_att", "--model", "sfan"))
    with pytest.raises(ModelError, match="without patient one"):
        run_evaluate(options(data, tmp_path, "--boxes", "cs_att", "--folds", str(tmp_path)))
