"""`liverlesionai operating EVALUATION.json`: operating points and the probability of a finding.

From an evaluation at a low threshold (`evaluate ... --score-threshold 0.15`) come three points of its
free-response curve, each with what it costs, and a logistic model that turns a finding's score and size into
the probability that it is a lesion (Platt 1999), checked on scans that its coefficients were not fitted to.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.stages.measure.probability import (
    ProbabilitySettings,
    doublings,
    log_odds,
    probability,
)
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import NDArray
from scipy import optimize

from ..metrics.classification import calibration_error, reliability_curve
from ..metrics.freeresponse import FreeResponse, free_response
from .tables import align

STRICT_FALSE, SENSITIVE_FALSE = 0.36, 2.0
"""False lesions per scan at the two points: what radiologists had per patient (see the evidence page), and
about what the winners of the public benchmark had."""

PRIOR_WEIGHT = 1.0
"""Of the penalty on the coefficients, in findings: few findings shall not make a sure model."""


@dataclass(frozen=True)
class Finding:
    """One finding of an evaluation: in which scan, its score, its size, and whether it is a lesion."""

    scan: str
    score: float
    diameter_mm: float
    true: bool


@dataclass(frozen=True, eq=False)
class Curve:
    """All findings of a method, and its free-response curve over scans."""

    findings: tuple[Finding, ...]
    response: FreeResponse


def read_curve(paths: Sequence[Path], method: str, only: Collection[str] = ()) -> Curve:
    """The findings of a method in one or several `evaluation.json` of different scans, or in some of them.

    Raises:
        InputError: a file is missing or damaged, or has no such method, or two hold the same scan.
    """
    cases = [case for path in paths for case in _cases(path, method)]
    if only:
        cases = [case for case in cases if case["name"] in only]
    names = [case["name"] for case in cases]
    missing = sorted(set(only) - set(names))
    if missing or not names:
        raise InputError(f"No evaluation holds {', '.join(missing) or 'a scan'}.")
    if len(names) != len(set(names)):
        raise InputError("Two of the evaluations hold the same scan: it would count twice.")
    findings = [
        Finding(case["name"], float(one["score"]), float(one["diameter_mm"]), not one["false"])
        for case in cases
        for one in case["lesions"]["predicted"]
    ]
    found = [
        -math.inf if one["score"] is None else float(one["score"])
        for case in cases
        for one in case["lesions"]["reference"]
    ]
    false = [finding.score for finding in findings if not finding.true]
    return Curve(tuple(findings), free_response(found, false, len(cases)))


def _cases(path: Path, method: str) -> list[Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        methods = data["methods"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no evaluation: give the evaluation.json of `evaluate`.") from error
    if method not in methods:
        raise InputError(f"{path} has no method {method!r}; it has {', '.join(methods)}.")
    cases: list[Any] = methods[method]["cases"]
    return cases


def fit(findings: Sequence[Finding]) -> ProbabilitySettings:
    """Coefficients under which the findings are most probably what they are, with a mild penalty.

    Raises:
        InputError: fewer than ten findings, or all of one kind.
    """
    truth = np.array([finding.true for finding in findings], float)
    if len(truth) < 10 or truth.min() == truth.max():
        raise InputError(
            "Ten findings, true and false ones among them, are the least to fit a probability to."
        )
    features = design(findings)

    def loss(weights: NDArray[np.float64]) -> float:
        odds = features @ weights
        penalty = 0.5 * PRIOR_WEIGHT * (weights[0] ** 2 + (weights[1] - 1) ** 2 + weights[2] ** 2)
        return float(np.sum(np.logaddexp(0.0, odds) - truth * odds) + penalty)

    # More score and more size never make less sure: what a reader can check.
    best = optimize.minimize(loss, [0.0, 1.0, 0.0], bounds=[(-6, 6), (0.05, 4), (0, 3)], method="L-BFGS-B")
    return ProbabilitySettings(*(round(float(v), 3) for v in best.x))


def design(findings: Sequence[Finding]) -> NDArray[np.float64]:
    """(n, 3): one, log odds of the score, doublings of the size."""
    return np.array([[1.0, log_odds(f.score), doublings(f.diameter_mm)] for f in findings])


def left_out(findings: Sequence[Finding]) -> NDArray[np.float64]:
    """The probability of each finding by a model that has not seen its scan."""
    values = np.full(len(findings), np.nan)
    for scan in {finding.scan for finding in findings}:
        settings = fit([finding for finding in findings if finding.scan != scan])
        for number, finding in enumerate(findings):
            if finding.scan == scan:
                values[number] = probability(finding.score, finding.diameter_mm, settings)
    return values


def points(response: FreeResponse, default: float) -> dict[str, float]:
    """Score thresholds of the three points; strict never below, sensitive never above the default one."""
    strict = response.threshold_at(STRICT_FALSE)
    sensitive = response.threshold_at(SENSITIVE_FALSE)
    return {
        "strict": round(min(max(strict, default), 0.95), 2),
        "default": default,
        "sensitive": round(max(min(sensitive, default), 0.15), 2),
    }


def costs(response: FreeResponse, threshold: float) -> tuple[float, float]:
    """Sensitivity and false findings per scan at a score threshold."""
    kept = np.flatnonzero(response.thresholds >= threshold - 1e-9)
    last = int(kept[-1])
    return float(response.sensitivity[last]), float(response.false_per_unit[last])


def operating_text(curve: Curve, chosen: Mapping[str, float], fitted: ProbabilitySettings) -> str:
    """The tables that are printed."""
    response = curve.response
    rows = [["setting", "score", "lesions found", "false per scan"]]
    for name, threshold in chosen.items():
        found, false = costs(response, threshold)
        count = round(found * response.n_lesions)
        rows.append([name, f"{threshold:.2f}", f"{count} of {response.n_lesions}", f"{false:.2f}"])
    findings = curve.findings
    truth = np.array([finding.true for finding in findings])
    raw = np.array([min(max(finding.score, 0.0), 1.0) for finding in findings])
    honest = left_out(findings)
    errors = [
        ["that it is a lesion", "calibration error", "Brier score"],
        ["the score itself", *_errors(raw, truth)],
        ["calibrated, its scan left out", *_errors(honest, truth)],
    ]
    return (
        f"{response.n_units} scans, {response.n_lesions} lesions, {len(findings)} findings.\n\n"
        f"{align(rows)}\n\n{align(errors)}\n\n"
        f"Probability: offset {fitted.offset:g}, score {fitted.score:g}, size {fitted.size:g}."
    )


def _errors(said: NDArray[np.float64], truth: NDArray[np.bool_]) -> list[str]:
    error = calibration_error(reliability_curve(said, truth, 5))
    return [f"{error:.3f}", f"{float(np.mean((said - truth) ** 2)):.3f}"]


def add_operating_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `operating`."""
    parser.description = "Choose operating points and fit the probability of findings."
    parser.add_argument(
        "evaluation", type=Path, nargs="+", help="evaluation.json made with --score-threshold 0.15"
    )
    parser.add_argument(
        "--scans", default="", metavar="NAME,NAME", help="only these scans, e.g. of one phase"
    )
    parser.add_argument("--model", default="sfan", help="method of the evaluation (default sfan)")
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="put the result into the manifest of this models folder"
    )


def run_operating(args: argparse.Namespace, progress: Progress = silent) -> int:  # noqa: ARG001
    """Choose, fit, print; write where asked.

    Raises:
        InputError: what was given is no such evaluation.
    """
    curve = read_curve(args.evaluation, args.model, [name for name in args.scans.split(",") if name])
    manifest = Manifest.read(args.write) if args.write else Manifest.read()
    entry = manifest.find(args.model)
    default = float(entry.calibration.get("score_threshold", 0.5))
    chosen, fitted = points(curve.response, default), fit(curve.findings)
    print(operating_text(curve, chosen, fitted))
    if args.write:
        values: dict[str, Any] = {
            "strict_score": chosen["strict"],
            "sensitive_score": chosen["sensitive"],
            "probability_offset": fitted.offset,
            "probability_score": fitted.score,
            "probability_size": fitted.size,
        }
        manifest.with_entry(replace(entry, calibration={**entry.calibration, **values})).write()
        print(f"Written to {args.write / 'manifest.json'}.")
    return 0
