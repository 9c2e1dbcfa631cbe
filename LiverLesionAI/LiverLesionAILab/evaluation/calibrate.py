"""`liverlesionai calibrate MODEL DATA --folds DIR`: temperature and thresholds of a mask network.

Both come from patients that its folds have not seen.

The temperature is the one under which the held-out voxels' labels are most probable (Guo et al. 2017),
applied to the log-odds of the mean probability over scales. The thresholds are those of the best tumour Dice
per case that keep the false lesions per scan below a limit. What such a choice is worth is told by choosing
again for every patient on the others alone: the last line of the table is the honest one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.stages.segment.masks import SegmentSettings, masks_from_probabilities, tempered
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import resample_labels
from LiverLesionAILib.volume.geometry import Geometry
from LiverLesionAILib.volume.overlap import dice
from numpy.typing import NDArray
from scipy import optimize

from ..data.folders import find_scans, layout_of
from ..data.scan import LabelMeaning, Scan
from ..metrics.classification import calibration_error, reliability_curve
from ..metrics.lesions import score_lesions
from .models import pipeline_method
from .tables import align

TUMOUR_THRESHOLDS = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6)
SCORE_THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

Choice = tuple[float, float]
"""Tumour threshold, score threshold."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A scan and what a network that has not seen its patient says of it.

    Attributes:
        name, patient: of the scan.
        liver_zyx, tumour_zyx: probability 0..255 on `spacing_zyx_mm`, before temperature.
        labels_zyx: the reference there: 0, 1 liver, 2 tumour.
    """

    name: str
    patient: str
    liver_zyx: NDArray[np.uint8]
    tumour_zyx: NDArray[np.uint8]
    labels_zyx: NDArray[np.uint8]
    spacing_zyx_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Outcome:
    """What a choice of thresholds gives in one scan."""

    dice: float
    found: int
    lesions: int
    false: int


def add_calibrate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `calibrate`."""
    parser.add_argument("model", help="a mask network of the manifests in the folds")
    parser.add_argument("data", type=Path, help="folder of labelled CTs")
    parser.add_argument(
        "--folds", type=Path, required=True, metavar="DIR", help="a models folder per patient"
    )
    parser.add_argument("--most-false", type=float, default=2.0, help="false lesions per scan, at most")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--write", type=Path, metavar="DIR", help="put the result into the manifest of this models folder"
    )


def run_calibrate(
    args: argparse.Namespace, progress: Progress = silent, say: Callable[[str], None] = print
) -> int:
    """Calibrate, print the table, and write the manifest where asked.

    Raises:
        LiverLesionAIError: scans, folds or the model are missing.
    """
    scans = find_scans(args.data, layout_of(args.data), LabelMeaning())
    held_out = held_out_probabilities(scans, args.model, args.folds, args.device, progress)
    temperature = fit_temperature(held_out)
    trials = {scan.name: outcomes(scan, temperature) for scan in held_out}
    patients = {scan.name: scan.patient for scan in held_out}
    choice = choose(trials, patients, args.most_false)
    say(calibration_text(held_out, temperature, trials, patients, choice, args.most_false))
    if args.write is not None:
        manifest = Manifest.read(args.write)
        entry = manifest.find(args.model)
        values = {
            "temperature": round(temperature, 3),
            "tumour_threshold": choice[0],
            "score_threshold": choice[1],
        }
        manifest.with_entry(replace(entry, calibration={**entry.calibration, **values})).write()
        say(f"Written to {args.write / 'manifest.json'}.")
    return 0


def held_out_probabilities(
    scans: Sequence[Scan], model: str, folds: Path, device: str, progress: Progress = silent
) -> list[HeldOut]:
    """Every scan seen by the networks of its patient's fold, whose own temperature is left out.

    Raises:
        InputError: no liver was found in a scan, so that there is nothing to calibrate on.
    """
    settings = Settings(
        segmenter=model, detector=None, classifier=None, device=device, attention=False, temperature=1.0
    )
    method = pipeline_method(settings, folds)
    found = []
    for number, scan in enumerate(scans):
        progress(f"analysing {scan.name}", number / len(scans))
        ct = scan.read_ct()
        labels, geometry = scan.read_labels()
        result = method(scan, ct)
        if "tumour" not in result.probabilities:
            raise InputError(f"No liver was found in {scan.name}: {' '.join(result.messages)}")
        liver, tumour = result.probabilities["liver"], result.probabilities["tumour"]
        reference = labels_on_grid(labels, geometry, tumour.geometry)
        found.append(
            HeldOut(
                scan.name,
                scan.patient,
                liver.values_zyx,
                tumour.values_zyx,
                reference,
                tumour.geometry.spacing_zyx_mm,
            )
        )
    return found


def labels_on_grid(labels_zyx: NDArray[np.uint8], source: Geometry, target: Geometry) -> NDArray[np.uint8]:
    """Labels on another grid, whatever the order of their axes."""
    from LiverLesionAILib.volume.ct import CtVolume, reorient

    turned = reorient(CtVolume(labels_zyx, source))
    return resample_labels(turned.hu_zyx, turned.geometry, target)


def fit_temperature(held_out: Sequence[HeldOut]) -> float:
    """The temperature under which the held-out livers' voxels are most probably what they are, 0.3 to 5."""
    odds, truth = _odds_and_truth(held_out)

    def loss(log_temperature: float) -> float:
        scaled = odds / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0.0, scaled) - truth * scaled))

    best = optimize.minimize_scalar(loss, bounds=(np.log(0.3), np.log(5.0)), method="bounded")
    return float(np.exp(best.x))


def expected_error(held_out: Sequence[HeldOut], temperature: float) -> float:
    """Expected calibration error of the tumour's probability over the voxels of the reference livers."""
    odds, truth = _odds_and_truth(held_out)
    return calibration_error(reliability_curve(1 / (1 + np.exp(-odds / temperature)), truth > 0.5))


def _odds_and_truth(held_out: Sequence[HeldOut]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log-odds and labels of voxels in the livers; every scan counts alike."""
    odds, truth = [], []
    for scan in held_out:
        inside = np.flatnonzero(scan.labels_zyx.ravel())
        if not len(inside):
            continue
        picked = inside[np.linspace(0, len(inside) - 1, 100_000).astype(np.int64)]
        values = np.clip(scan.tumour_zyx.ravel()[picked].astype(float), 0.5, 254.5) / 255.0
        odds.append(np.log(values / (1 - values)))
        truth.append(scan.labels_zyx.ravel()[picked] == 2)
    return np.concatenate(odds), np.concatenate(truth).astype(float)


def outcomes(scan: HeldOut, temperature: float) -> dict[Choice, Outcome]:
    """What every choice of thresholds gives in a scan."""
    tumour = tempered(scan.tumour_zyx, temperature)
    reference = scan.labels_zyx == 2
    result: dict[Choice, Outcome] = {}
    for threshold in TUMOUR_THRESHOLDS:
        masks = masks_from_probabilities(
            scan.liver_zyx,
            tumour,
            scan.spacing_zyx_mm,
            replace(Rules().part(SegmentSettings), tumour_threshold=threshold, score_threshold=0.0),
        )
        values = np.array([0.0, *(masks.scores[n] for n in sorted(masks.scores))])
        for score in SCORE_THRESHOLDS:
            found = (values >= score)[masks.labels_zyx] & (masks.labels_zyx > 0)
            lesions = score_lesions(reference, found, scan.spacing_zyx_mm)
            result[threshold, score] = Outcome(
                dice(reference, found), lesions.n_found, lesions.n_lesions, lesions.n_false
            )
    return result


def choose(
    trials: Mapping[str, Mapping[Choice, Outcome]], patients: Mapping[str, str], most_false: float
) -> Choice:
    """The choice with the best Dice, every patient counting alike, among those with few false lesions.

    Where none keeps the limit, the one with the fewest false lesions.
    """
    names = sorted(set(patients.values()))

    def mean(choice: Choice, value: Callable[[Outcome], float]) -> float:
        each = [[value(t[choice]) for n, t in trials.items() if patients[n] == name] for name in names]
        return float(np.mean([np.mean(part) for part in each if part]))

    choices = list(next(iter(trials.values())))
    false = {choice: mean(choice, lambda o: o.false) for choice in choices}
    allowed = [choice for choice in choices if false[choice] <= most_false]
    if not allowed:
        return min(choices, key=lambda choice: false[choice])
    return max(allowed, key=lambda choice: (mean(choice, lambda o: o.dice), -false[choice]))


def nested(
    trials: Mapping[str, Mapping[Choice, Outcome]], patients: Mapping[str, str], most_false: float
) -> dict[str, tuple[Choice, Outcome]]:
    """For every scan the thresholds chosen on the other patients, and what they give in it."""
    result = {}
    for name, patient in patients.items():
        others = {n: t for n, t in trials.items() if patients[n] != patient}
        if not others:
            raise InputError("Thresholds cannot be chosen on other patients: there is only one.")
        choice = choose(others, {n: patients[n] for n in others}, most_false)
        result[name] = (choice, trials[name][choice])
    return result


def calibration_text(
    held_out: Sequence[HeldOut],
    temperature: float,
    trials: Mapping[str, Mapping[Choice, Outcome]],
    patients: Mapping[str, str],
    choice: Choice,
    most_false: float,
) -> str:
    """The result in words and one table."""
    honest = nested(trials, patients, most_false)
    together = {name: (choice, trials[name][choice]) for name in trials}
    lines = [["thresholds chosen", "tumour Dice", "found", "false per scan"]]
    for title, rows in (("on all of them", together), ("on the other patients", honest)):
        every = [outcome for _, outcome in rows.values()]
        lines.append(
            [
                title,
                f"{np.mean([o.dice for o in every]):.3f}",
                f"{sum(o.found for o in every)} of {sum(o.lesions for o in every)}",
                f"{np.mean([o.false for o in every]):.2f}",
            ]
        )
    chosen = ", ".join(f"{n} {c[0]:g}/{c[1]:g}" for n, (c, _) in honest.items())
    before, after = (expected_error(held_out, t) for t in (1.0, temperature))
    return (
        f"Temperature {temperature:.2f}: expected calibration error of the tumour's probability in the liver "
        f"{before:.4f} before, {after:.4f} after.\n"
        f"Tumour probability {choice[0]:g}, lesion score {choice[1]:g}: best Dice with at most "
        f"{most_false:g} false lesions per scan.\n\n{align(lines)}\n\n"
        f"Chosen on the other patients: {chosen}.\n"
        "On the network's grid, before masks are placed on the CT; the temperature is that of all patients."
    )
