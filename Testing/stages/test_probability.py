"""The calibrated probability that a finding is a lesion, and the operating points."""

from __future__ import annotations

import argparse
import json
import math
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.evaluation.operating import (
    Curve,
    Finding,
    add_operating_arguments,
    costs,
    fit,
    left_out,
    operating_text,
    points,
    read_curve,
    run_operating,
)
from LiverLesionAILab.metrics.freeresponse import free_response
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.analysis.settings import OPERATING_POINTS, Settings
from LiverLesionAILib.case import tags
from LiverLesionAILib.case.findings import Box, Lesion
from LiverLesionAILib.case.store_json import describe_lesion, read_lesion
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.stages.measure.probability import (
    ProbabilitySettings,
    probability,
    with_probability,
)
from LiverLesionAILib.support.errors import InputError

SETTINGS = ProbabilitySettings(offset=0.5, score=1.2, size=0.8)


def test_the_formula() -> None:
    # Score a half, 15 mm: the offset alone. Twice the size adds one size.
    assert probability(0.5, 15.0, SETTINGS) == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert probability(0.5, 30.0, SETTINGS) == pytest.approx(1 / (1 + math.exp(-1.3)))
    assert probability(0.8, None, SETTINGS) == pytest.approx(1 / (1 + math.exp(-0.5 - 1.2 * math.log(4))))
    assert 0 < probability(0.0, 1.0, SETTINGS) < probability(1.0, 500.0, SETTINGS) < 1


def test_an_uncalibrated_model_gives_none() -> None:
    assert probability(0.9, 20.0, ProbabilitySettings(0.0, 0.0, 0.0)) is None
    assert probability(math.nan, 20.0, SETTINGS) is None


def test_a_lesion_keeps_it_in_store_and_scene() -> None:
    box = Box((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), score=0.7)
    (lesion,) = with_probability([Lesion(1, 0.7, box.centre_lps, box, None)], SETTINGS)
    assert lesion.probability is not None and 0.7 < lesion.probability < 1
    assert read_lesion(describe_lesion(lesion)).probability == pytest.approx(lesion.probability, abs=1e-6)
    assert tags.read(tags.write(lesion)).probability == pytest.approx(lesion.probability, abs=1e-4)
    plain = replace(lesion, probability=None)
    assert read_lesion(describe_lesion(plain)) == plain
    assert tags.read(tags.write(plain)).probability is None


def test_operating_points_move_the_score_alone() -> None:
    rules = Rules().calibrated(Manifest.read().find("sfan"))
    scores = [rules.at(Settings(operating_point=point)).score_threshold for point in OPERATING_POINTS]
    assert scores[0] > scores[1] > scores[2]
    strict = rules.at(Settings(operating_point="strict"))
    assert strict.set_by["score_threshold"] == "the user: strict"
    own = strict.chosen(Settings(operating_point="strict", score_threshold=0.33))
    assert own.score_threshold == 0.33, "a number that the user gives wins"


def _findings(rng: np.random.Generator, count: int = 400) -> list[Finding]:
    """True by a known rule of score and size."""
    rows = []
    for number in range(count):
        score, size = float(rng.uniform(0.15, 0.99)), float(rng.uniform(4, 40))
        true = rng.random() < (probability(score, size, SETTINGS) or 0.0)
        rows.append(Finding(f"scan{number % 20}", score, size, bool(true)))
    return rows


def test_a_known_rule_is_fitted_again() -> None:
    found = fit(_findings(np.random.default_rng(0), 4000))
    for name, value in asdict(SETTINGS).items():
        assert getattr(found, name) == pytest.approx(value, abs=0.2), name


def test_the_fit_is_judged_on_scans_it_has_not_seen() -> None:
    findings = _findings(np.random.default_rng(1))
    honest = left_out(findings)
    assert np.isfinite(honest).all()
    own = fit([finding for finding in findings if finding.scan != "scan3"])
    for value, finding in zip(honest, findings, strict=True):
        if finding.scan == "scan3":
            assert value == probability(finding.score, finding.diameter_mm, own)
    with pytest.raises(InputError, match="least to fit"):
        fit(findings[:5])


def test_points_of_the_curve_and_what_they_cost() -> None:
    # Ten scans; false ones at 0.9 (x2), 0.7 (x6), 0.5 (x6), 0.3 (x12); lesions at 0.95, 0.8, 0.6, 0.4, never.
    false = [0.9] * 2 + [0.7] * 6 + [0.5] * 6 + [0.3] * 12
    response = free_response([0.95, 0.8, 0.6, 0.4, -math.inf], false, 10)
    chosen = points(response, 0.6)
    assert chosen == {"strict": 0.8, "default": 0.6, "sensitive": 0.4}
    assert costs(response, 0.8) == (0.4, 0.2)
    assert costs(response, 0.6) == pytest.approx((0.6, 0.8))
    assert points(response, 0.9)["strict"] == 0.9, "strict is never laxer than the default"


def _evaluation(path: Path, findings: list[Finding]) -> Path:
    """As `evaluate` writes it; each scan has a lesion more, which nobody found."""
    cases = [
        {
            "name": scan,
            "lesions": {
                "reference": [{"score": f.score} for f in findings if f.scan == scan and f.true]
                + [{"score": None}],
                "predicted": [
                    {"score": f.score, "diameter_mm": f.diameter_mm, "false": not f.true}
                    for f in findings
                    if f.scan == scan
                ],
            },
        }
        for scan in sorted({f.scan for f in findings})
    ]
    path.write_text(json.dumps({"methods": {"sfan": {"cases": cases}}}))
    return path


def test_an_evaluation_is_read_and_the_tables_say_so(tmp_path: Path) -> None:
    findings = _findings(np.random.default_rng(2), 60)
    path = _evaluation(tmp_path / "evaluation.json", findings)
    curve = read_curve([path], "sfan")
    assert isinstance(curve, Curve) and len(curve.findings) == 60
    assert curve.response.n_lesions == sum(f.true for f in findings) + 20
    text = operating_text(curve, points(curve.response, 0.6), fit(curve.findings))
    assert "20 scans" in text and "sensitive" in text and "its scan left out" in text
    with pytest.raises(InputError, match="no method"):
        read_curve([path], "mscd")
    some = read_curve([path], "sfan", ["scan3", "scan5"])
    assert {f.scan for f in some.findings} == {"scan3", "scan5"} and some.response.n_units == 2
    with pytest.raises(InputError, match="holds scan99"):
        read_curve([path], "sfan", ["scan3", "scan99"])
    with pytest.raises(InputError, match="count twice"):
        read_curve([path, path], "sfan")
    path.write_text("[]")
    with pytest.raises(InputError, match="no evaluation"):
        read_curve([path], "sfan")


def test_the_command_writes_what_it_prints_into_the_manifest(tmp_path: Path, capsys) -> None:
    bundled = Manifest.read()
    Manifest(tmp_path, (bundled.find("sfan"), bundled.find("mscd"))).write()
    path = _evaluation(tmp_path / "evaluation.json", _findings(np.random.default_rng(2), 60))
    parser = argparse.ArgumentParser()
    add_operating_arguments(parser)
    assert run_operating(parser.parse_args([str(path), "--write", str(tmp_path)])) == 0
    said = capsys.readouterr().out
    now, before = Manifest.read(tmp_path).find("sfan"), bundled.find("sfan")
    changed = {n for n, value in now.calibration.items() if value != before.calibration.get(n)}
    assert changed <= {
        "strict_score", "sensitive_score", "probability_offset", "probability_score", "probability_size",
    }  # fmt: skip
    strict, offset = now.calibration["strict_score"], now.calibration["probability_offset"]
    assert re.search(rf"^strict +{strict:.2f} ", said, re.M) and f"offset {offset:g}" in said
    assert Manifest.read(tmp_path).find("mscd").calibration == bundled.find("mscd").calibration
    (tmp_path / "manifest.json").rename(tmp_path / "kept.json")
    assert run_operating(parser.parse_args([str(path)])) == 0
    assert not (tmp_path / "manifest.json").exists(), "nothing is written where nobody asked"
