"""`liverlesionai evaluate DATA --boxes DETECTOR`: what a detector's boxes find by themselves, per scan.

2D boxes are linked over slices into 3D boxes, those inside the true liver are ranked by their calibrated
score, and lesions found are held against false boxes per scan, by lesion size. How masks and boxes do
together, `--model` with and without `--detector` tells.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.rules import settings_from
from LiverLesionAILib.models.weights import Manifest, ModelEntry, load_network, models_folder
from LiverLesionAILib.stages.detect.link import LinkSettings
from LiverLesionAILib.stages.faces import family_of
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import NDArray

from ..data.cases import TrainingCase, crop_to_liver, prepare
from ..data.scan import LIVER, TUMOUR, Scan
from ..metrics.bands import DETECTION_BANDS
from ..metrics.bootstrap import Interval, bootstrap
from ..metrics.freeresponse import FreeResponse, free_response
from ..metrics.lesions import RATES_PER_SCAN
from ..training.calibrate_detector import HeldOutScan, calibrated, held_out_scan
from .models import fold_folder
from .results import plain, write_json, write_pictures
from .tables import align, number, with_interval

LEAST_MM = 5.0
"""Equivalent diameter from which lesions count, as everywhere in the evaluation."""

MARGIN_MM = 45.0
"""Cut round the liver, as in training."""

INTERVAL_RATE = 1.0
"""False boxes per scan at which the interval over patients is given."""


@dataclass(frozen=True, eq=False)
class ScoredScan:
    """One scan's boxes against its lesions.

    Attributes:
        name, patient: of the scan.
        diameters_mm: (n,) of the lesions, equivalent diameter.
        found_scores: (n,) for each the score of the best box that finds it, -inf without one.
        false_scores: (m,) of the boxes that find none, not even one too small to count.
    """

    name: str
    patient: str
    diameters_mm: NDArray[np.float64]
    found_scores: NDArray[np.float64]
    false_scores: NDArray[np.float64]


def scored(scan: HeldOutScan, patient: str, calibration: Mapping[str, float]) -> ScoredScan:
    """Calibrated scores of a scan's lesions and false boxes."""
    scores = calibrated(scan.candidates, dict(calibration))
    best = dict.fromkeys(scan.diameters_mm, -np.inf)
    false = []
    for score, candidate in zip(scores, scan.candidates, strict=True):
        if not candidate.lesions:
            false.append(score)
        for lesion in candidate.lesions:
            best[lesion] = max(best[lesion], score)
    diameters = np.array([scan.diameters_mm[n] for n in best], float)
    return ScoredScan(scan.name, patient, diameters, np.array(list(best.values()), float), np.array(false))


def boxes_curve(
    scans: Sequence[ScoredScan], low_mm: float = LEAST_MM, high_mm: float = np.inf
) -> FreeResponse:
    """Free response over scans; false boxes are those of all sizes."""
    chosen = [(s.diameters_mm >= low_mm) & (s.diameters_mm < high_mm) for s in scans]
    found = [s.found_scores[keep] for s, keep in zip(scans, chosen, strict=True)]
    return free_response(np.concatenate(found), np.concatenate([s.false_scores for s in scans]), len(scans))


def sensitivity_interval(
    scans: Sequence[ScoredScan], rate: float, *, seed: int = 0, n_draws: int = 2000
) -> Interval:
    """Sensitivity at a rate of false boxes per scan, patients drawn with replacement."""

    def statistic(rows: NDArray[np.int64]) -> float:
        return boxes_curve([scans[i] for i in rows]).at(rate)

    return bootstrap(statistic, [s.patient for s in scans], seed=seed, n_draws=n_draws)


def boxes_table(name: str, scans: Sequence[ScoredScan], *, seed: int = 0, n_draws: int = 2000) -> str:
    """Sensitivity at rates of false boxes per scan, by size of lesion."""
    rows = [[f"{name}: boxes alone", "lesions", *(f"at {rate:g} false" for rate in RATES_PER_SCAN)]]
    groups = [("all", LEAST_MM, np.inf)]
    groups += [(b.name, b.low, b.high) for b in DETECTION_BANDS if b.low >= LEAST_MM]
    for title, low, high in groups:
        curve = boxes_curve(scans, low, high)
        if curve.n_lesions:
            rates = (number(curve.at(rate)) for rate in RATES_PER_SCAN)
            rows.append([title, str(curve.n_lesions), *rates])
    interval = sensitivity_interval(scans, INTERVAL_RATE, seed=seed, n_draws=n_draws)
    patients = len({s.patient for s in scans})
    return (
        f"{align(rows)}\n{len(scans)} scans of {patients} patients; lesions from {LEAST_MM:g} mm, boxes "
        f"inside the true liver. At {INTERVAL_RATE:g} false a scan, 95 % bootstrap interval over patients: "
        f"{with_interval(interval)}."
    )


def scan_case(scan: Scan, entry: ModelEntry) -> TrainingCase:
    """A labelled scan on a detector's grid, cut round its liver.

    Raises:
        InputError: no liver is labelled, or files are missing or mismatched.
    """
    read = scan.read()
    if not np.isin(read.labels_zyx, (LIVER, TUMOUR)).any():
        raise InputError(f"{scan.name}: no liver is labelled; boxes are looked for inside it.")
    case = prepare(read.ct, read.labels_zyx, entry.input.spacing_zyx_mm, scan.name, scan.patient)
    return crop_to_liver(case, MARGIN_MM)


def boxes_of_scans(
    name: str, scans: Sequence[Scan], folds: Path | None, progress: Progress = silent
) -> list[ScoredScan]:
    """A detector on scans, each by the fold that has not seen its patient.

    Raises:
        ModelError, InputError: no such model or fold, damaged or mismatched files.
        Cancelled: from `progress`.
    """
    rows = []
    for k, scan in enumerate(scans):
        progress(f"{name}: boxes of {scan.name} ({k + 1} of {len(scans)})", k / len(scans))
        folder = models_folder() if folds is None else fold_folder(folds, scan)
        entry = Manifest.read(folder).find(name)
        if entry.task != "detect":
            raise InputError(f"--boxes {name}: this model gives no boxes; take a detector, such as cs_att.")
        detector = family_of(entry).load()(entry, load_network(entry, folder))
        links = settings_from(entry.calibration, LinkSettings)
        found = held_out_scan(detector, scan_case(scan, entry), links)
        rows.append(scored(found, scan.patient, entry.calibration))
    progress("Evaluated", 1.0)
    return rows


def run_scan_boxes(
    args: argparse.Namespace,
    scans: Sequence[Scan],
    *,
    progress: Progress = silent,
    say: Callable[[str], None] = print,
) -> int:
    """Evaluate every detector of `--boxes`; prints tables, writes boxes.txt, boxes.json and a figure.

    Raises:
        LiverLesionAIError: see :func:`boxes_of_scans`.
    """
    results = {name: boxes_of_scans(name, scans, args.folds, progress) for name in args.boxes}
    text = "\n\n".join(
        boxes_table(name, rows, seed=args.seed, n_draws=args.draws) for name, rows in results.items()
    )
    say(text)
    write_text(args.out / "boxes.txt", text + "\n")
    write_json(args.out / "boxes.json", {"data": args.data.resolve().name, "scans": plain(results)})
    written = ["boxes.txt", "boxes.json"]
    if not args.no_figures:
        from .figures import froc_figure, png_bytes

        curves = {name: boxes_curve(rows) for name, rows in results.items()}
        figure = png_bytes(froc_figure(curves, "scan", RATES_PER_SCAN))
        written += write_pictures({("boxes", "Boxes by scan"): figure}, args.out)
    say(f"Written to {args.out}: {', '.join(written)}")
    return 0
