"""Turns a detector's linked boxes into calibrated lesions: on patients that its training has not seen.

The score of a chain of boxes is a logistic regression on its best score and the sum of its scores; the
operating point is the lowest score at which boxes without a mask are rare enough.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.rules import Rules, settings_from
from LiverLesionAILib.models.inputs import InputSpec, liver_level_hu
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.stages.detect.link import LinkedBox, LinkSettings, chain_score, link_boxes
from LiverLesionAILib.stages.detect.match import inside_liver, match_masks
from LiverLesionAILib.stages.detect.stage import DetectSettings
from LiverLesionAILib.stages.detect.view import view_around
from LiverLesionAILib.stages.faces import Detector, family_of
from LiverLesionAILib.stages.segment.masks import closed_liver
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.volume.masks import ball_diameter_mm, components
from numpy.typing import NDArray
from torch import nn

from ..data.cases import TrainingCase, decode_hu

FALSE_PER_SCAN = 0.5
"""A finding by a box alone: in at most one scan of two a false one."""

LOWEST_THRESHOLD = 0.05
"""Where even the faintest boxes are true ones."""


@dataclass(frozen=True)
class Candidate:
    """One linked box of a held-out scan.

    Attributes:
        scan: its name.
        best, total: of its chain; see :class:`~LiverLesionAILib.stages.detect.link.LinkedBox`.
        lesions: numbers of the true lesions that it found; empty for a false one.
    """

    scan: str
    best: float
    total: float
    lesions: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class HeldOutScan:
    """A scan with the detector's boxes beside its truth.

    Attributes:
        diameters_mm: lesion number -> diameter of the ball of its volume.
        candidates: best first.
    """

    name: str
    diameters_mm: dict[int, float]
    candidates: tuple[Candidate, ...]


def trained_detector(name: str, spec: InputSpec, network: nn.Module) -> Detector:
    """A network of that name that is in no manifest yet, behind the face of detectors.

    Args:
        spec: as it reads a scan, magnification included.
    """
    entry = ModelEntry(name, "detect", name, {}, spec, "", "")
    return family_of(entry).load()(entry, network)


def held_out_scan(
    detector: Detector, case: TrainingCase, settings: LinkSettings | None = None
) -> HeldOutScan:
    """Run a detector on a labelled scan, inside its true liver."""
    spec, rules = detector.input, Rules().part(DetectSettings)
    labels = np.asarray(case.labels_zyx)
    liver = (labels == 1) | (labels == 2)
    hu = decode_hu(case.grey_zyx)
    hu += np.float32(spec.shift_hu(liver_level_hu(hu[liver])))
    closed = closed_liver(liver, case.spacing_zyx_mm, rules.closing_mm, rules.reach_mm)
    view = view_around(closed, case.spacing_zyx_mm)
    truth, count = components(labels == 2)
    voxel = float(np.prod(case.spacing_zyx_mm))
    sizes = np.bincount(truth.ravel(), minlength=count + 1)[1:] * voxel
    diameters = {n + 1: ball_diameter_mm(size) for n, size in enumerate(sizes)}
    if view is None:
        return HeldOutScan(case.name, diameters, ())
    linked = inside_liver(
        link_boxes(detector.boxes(hu, view), settings or rules.link), closed, rules.box_liver_share
    )
    return HeldOutScan(case.name, diameters, tuple(_candidate(case.name, b, truth) for b in linked))


def _candidate(scan: str, box: LinkedBox, truth: NDArray) -> Candidate:
    return Candidate(
        scan, box.best, box.total, tuple(sorted(match_masks([box], truth, Rules().match_share).by_label))
    )


def fit_scores(candidates: Sequence[Candidate], ridge: float = 1.0, steps: int = 50) -> dict[str, float]:
    """`link_bias`, `link_top`, `link_support` of the calibrated score, by logistic regression.

    Newton's method with a small ridge on the slopes, so that few or perfectly separated candidates give
    finite numbers. Slopes are kept from falling below zero: a better box must not score less.

    Raises:
        ValueError: no candidate, or all are true, or all are false.
    """
    truth = np.array([bool(c.lesions) for c in candidates], float)
    if not 0 < truth.sum() < len(truth):
        raise ValueError("both true and false boxes are needed to calibrate")
    best = np.clip([c.best for c in candidates], 1e-6, 1 - 1e-6)
    columns = np.stack(
        [np.ones(len(truth)), np.log(best / (1 - best)), np.log([c.total for c in candidates])]
    )
    used = [0, 1, 2]
    weights = np.zeros(3)
    while True:
        x = columns[used]
        penalty = np.diag([0.0] + [ridge] * (len(used) - 1))
        part = np.zeros(len(used))
        for _ in range(steps):
            probability = 1 / (1 + np.exp(-np.clip(part @ x, -30, 30)))
            gradient = x @ (truth - probability) - penalty @ part
            curvature = (x * (probability * (1 - probability))) @ x.T + penalty + 1e-9 * np.eye(len(used))
            move = np.linalg.solve(curvature, gradient)
            part = part + move * min(1.0, 5.0 / max(1e-9, float(np.abs(move).max())))
        wrong = [column for column, value in zip(used[1:], part[1:], strict=True) if value < 0]
        if not wrong:
            break
        used.remove(wrong[-1])
    weights[used] = part
    return dict(zip(("link_bias", "link_top", "link_support"), (float(w) for w in weights), strict=True))


def calibrated(candidates: Sequence[Candidate], calibration: dict[str, float]) -> NDArray[np.float64]:
    """Scores of candidates, (n,)."""
    settings = settings_from(calibration, LinkSettings)
    return np.array([chain_score(c.best, c.total, settings) for c in candidates])


def operating_point(
    scans: Sequence[HeldOutScan], calibration: dict[str, float], rate: float = FALSE_PER_SCAN
) -> float:
    """The lowest threshold at which there are at most `rate` false boxes a scan; 0..1.

    Raises:
        ValueError: no scan.
    """
    if not scans:
        raise ValueError("no scan to read the operating point off")
    candidates = [c for scan in scans for c in scan.candidates]
    scores = calibrated(candidates, calibration)
    false = np.sort([s for s, c in zip(scores, candidates, strict=True) if not c.lesions])[::-1]
    allowed = int(np.floor(rate * len(scans) + 1e-9))
    if len(false) <= allowed:
        return float(LOWEST_THRESHOLD)
    # Just above the first one that is too many.
    return float(min(1 - 1e-6, np.nextafter(false[allowed], 2)))


def lesion_sensitivity(
    scans: Sequence[HeldOutScan],
    calibration: dict[str, float],
    rates: Sequence[float] = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0),
    smallest_mm: float = 0.0,
    largest_mm: float = float("inf"),
) -> dict[float, float]:
    """Share of the lesions of a size that are found at so many false boxes a scan; NaN without a lesion."""
    out = {}
    for rate in rates:
        threshold = operating_point(scans, calibration, rate)
        found = total = 0
        for scan in scans:
            scores = calibrated(scan.candidates, calibration)
            hit = {
                n for s, c in zip(scores, scan.candidates, strict=True) if s >= threshold for n in c.lesions
            }
            wanted = {n for n, d in scan.diameters_mm.items() if smallest_mm <= d < largest_mm}
            found += len(hit & wanted)
            total += len(wanted)
        out[rate] = found / total if total else float("nan")
    return out


def calibrate(scans: Sequence[HeldOutScan], rate: float = FALSE_PER_SCAN) -> dict[str, float]:
    """The manifest's calibration of a detector: scores and operating point.

    Raises:
        ValueError: too little to calibrate on.
    """
    fitted = fit_scores([c for scan in scans for c in scan.candidates])
    return {**fitted, "score_threshold": operating_point(scans, fitted, rate)}


SIZES_MM = {"all": (0.0, np.inf), "< 10 mm": (0.0, 10.0), "10-20 mm": (10.0, 20.0), "> 20 mm": (20.0, np.inf)}


def write_held_out(detector: Detector, cases: Sequence[TrainingCase], folder: Path) -> str:
    """Score a detector on held-out patients and keep what was fitted on them in `folder`/calibration.json.

    Returns:
        A table: sensitivity by size at rates of false boxes per scan, inside the true liver.
    """
    scans = [held_out_scan(detector, case) for case in cases]
    try:
        calibration = calibrate(scans)
    except ValueError as error:
        return f"Not calibrated on {', '.join(case.name for case in cases)}: {error}."
    table = {
        name: lesion_sensitivity(scans, calibration, smallest_mm=low, largest_mm=high)
        for name, (low, high) in SIZES_MM.items()
    }
    counts = {
        name: sum(low <= d < high for scan in scans for d in scan.diameters_mm.values())
        for name, (low, high) in SIZES_MM.items()
    }
    # A size without a lesion has no sensitivity.
    kept = {name: {f"{r:g}": v for r, v in row.items()} for name, row in table.items() if counts[name]}
    record = {"calibration": calibration, "sensitivity": kept, "lesions": counts, "scans": len(scans)}
    write_text(folder / "calibration.json", json.dumps(record, indent=1) + "\n")
    lines = ["boxes on held-out scans, sensitivity at false boxes per scan:"]
    for name, row in kept.items():
        cells = "  ".join(f"{rate}: {value:.2f}" for rate, value in row.items())
        lines.append(f"  {name} ({counts[name]})  {cells}")
    shown = ", ".join(f"{key} {value:.3f}" for key, value in calibration.items())
    return "\n".join([*lines, f"fitted: {shown}"])
