"""`liverlesionai compare intervals`: do the intervals of sizes hold the truth as often as they say.

Case folders are compared with true masks. On the lesions of at least 5 mm that are outlined one to one, the
factor that makes the intervals right nine times in ten is fitted to all patients but one, and tried on that
one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.case.interval import FACTOR, conformal_factor, scale_mm
from LiverLesionAILib.case.lesion_masks import lesion_masks
from LiverLesionAILib.case.store import load_result
from LiverLesionAILib.case.volume_interval import SHARE, ball_mm
from LiverLesionAILib.stages.measure.lesions import measure_case
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.masks import components
from scipy import stats

from ..data.cases import LITS_PATIENTS, read_unchecked
from .followups_network import listed_as

SMALLEST_MM = 5.0
USUAL_MM = 10.0, 30.0
NOMINAL = 0.9


@dataclass(frozen=True)
class SizedLesion:
    """A lesion found one to one.

    Attributes:
        patient: of the scan; true_mm, found_mm: long axes.
        scale_mm: what its interval is a multiple of.
        true_ball_mm, found_ball_mm: diameters of the balls of its volumes.
    """

    patient: str
    true_mm: float
    found_mm: float
    scale_mm: float
    true_ball_mm: float = 0.0
    found_ball_mm: float = 0.0

    @property
    def ball(self) -> SizedLesion:
        """The same of the ball of its volume."""
        return replace(self, true_mm=self.true_ball_mm, found_mm=self.found_ball_mm)

    @property
    def ratio(self) -> float:
        """Error over scale: within the interval up to the factor."""
        return abs(self.found_mm - self.true_mm) / self.scale_mm


def add_interval_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `compare intervals`."""
    parser.add_argument(
        "cases",
        type=Path,
        help="folder of case folders named as their CTs (NAME_ct), or the file that --out wrote",
    )
    parser.add_argument("--truth", type=Path, help="folder with NAME_mask.nii.gz: 1 liver, 2 lesion")
    parser.add_argument("--out", type=Path, help="JSON that keeps the lesions' sizes")


def run_intervals(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Read, match, print.

    Raises:
        InputError: there are no cases with a true mask, or none of their lesions is outlined one to one.
    """
    if args.cases.is_file():
        print("\n\n".join(tables(read_sized(args.cases))))
        return 0
    if args.truth is None:
        raise InputError("--truth DIR is needed: the folder with the true masks.")
    pairs = [
        (case, args.truth / f"{case.name.removesuffix('_ct')}_mask.nii.gz")
        for case in sorted(args.cases.iterdir())
        if (case / "case.json").is_file()
    ]
    pairs = [(case, truth) for case, truth in pairs if truth.is_file()]
    lesions: list[SizedLesion] = []
    for k, (case, truth) in enumerate(pairs):
        progress("comparing sizes", k / len(pairs))
        lesions += sized_lesions(case, truth)
    if not lesions:
        raise InputError(f"{args.cases} holds no case whose lesions {args.truth} has masks of.")
    if args.out is not None:
        write_text(args.out, json.dumps([asdict(lesion) for lesion in lesions], indent=1) + "\n")
    print("\n\n".join(tables(lesions)))
    return 0


def tables(lesions: Sequence[SizedLesion]) -> tuple[str, str]:
    """Of long axes and of volumes."""
    return interval_table(lesions), volume_table(lesions)


def read_sized(path: Path) -> list[SizedLesion]:
    """What `--out` kept.

    Raises:
        InputError: it is another file.
    """
    try:
        return [SizedLesion(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError):
        raise InputError(f"{path} holds no sizes of lesions: make it with compare intervals --out.") from None


def sized_lesions(case: Path, truth: Path) -> list[SizedLesion]:
    """Lesions of a case that overlap one true lesion most, and that one them."""
    result, mask = load_result(case), read_unchecked(truth)
    if not result.geometry.matches(mask.geometry):
        raise InputError(f"{truth} is not on the grid of {case}.")
    labels = components(mask.hu_zyx == 2, 6)[0].astype(np.uint16)
    measured = measure_case(labels, mask.hu_zyx > 0, mask.hu_zyx, mask.geometry)
    true = {x.number: x.measurement for x in measured if x.measurement is not None}
    best = listed_as(result.lesion_labels_zyx, labels, 0.0)
    back = listed_as(labels, result.lesion_labels_zyx, 0.0)
    found = {x.number: x for x in result.lesions}
    masks, made = lesion_masks(result), []
    name = case.name.removesuffix("_ct")
    for number, other in best.items():
        lesion = found.get(other)
        if lesion is None or lesion.measurement is None or back.get(other) != number:
            continue
        scale = scale_mm(lesion, masks[other], result.geometry, result.probabilities.get("tumour"))
        if scale is not None and true[number].long_axis_mm >= SMALLEST_MM:
            axes = true[number].long_axis_mm, lesion.measurement.long_axis_mm
            balls = ball_mm(true[number].volume_ml), ball_mm(lesion.measurement.volume_ml)
            sizes = (round(mm, 3) for mm in (*axes, scale, *balls))
            made.append(SizedLesion(LITS_PATIENTS.get(name, name), *sizes))
    return made


def left_out(lesions: Sequence[SizedLesion]) -> list[bool]:
    """For each lesion whether its interval holds the truth, with the factor of all other patients."""
    held = []
    for lesion in lesions:
        others = [x for x in lesions if x.patient != lesion.patient]
        factor = conformal_factor(*_errors(others), NOMINAL) if others else float("inf")
        held.append(lesion.ratio <= factor)
    return held


def _errors(lesions: Sequence[SizedLesion]) -> tuple[np.ndarray, np.ndarray]:
    errors = np.array([x.found_mm - x.true_mm for x in lesions])
    return errors, np.array([x.scale_mm for x in lesions])


def interval_table(lesions: Sequence[SizedLesion]) -> str:
    """The fitted factor, coverage with it left out by patient, coverage and width of the shipped one."""
    fitted = conformal_factor(*_errors(lesions), NOMINAL)
    held = left_out(lesions)
    usual = [x for x in lesions if USUAL_MM[0] <= x.true_mm <= USUAL_MM[1]]
    lines = [
        f"{len(lesions)} lesions of {len({x.patient for x in lesions})} patients, found one to one.",
        "| factor | truth inside | median width at 10-30 mm |",
        "|---|---|---|",
        f"| fitted to all other patients | {_share(held)} | |",
    ]
    for name, factor in ((f"fitted to all: {fitted:.2f}", fitted), (f"as shipped: {FACTOR:.2f}", FACTOR)):
        width = 2 * factor * np.median([x.scale_mm for x in usual]) if usual else float("nan")
        inside = [x.ratio <= factor for x in lesions]
        lines.append(f"| {name} | {_share(inside)} | {width:.1f} mm |")
    return "\n".join(lines)


def volume_table(lesions: Sequence[SizedLesion]) -> str:
    """The same for volumes, by the diameters of their balls."""
    balls = [lesion.ball for lesion in lesions]
    fitted = conformal_factor(*_errors(balls), NOMINAL)
    lines = [
        "| volumes: error of the ball's diameter over that of the long axis | truth inside |",
        "|---|---|",
        f"| fitted to all other patients | {_share(left_out(balls))} |",
    ]
    for name, share in ((f"fitted to all: {fitted / FACTOR:.2f}", fitted / FACTOR), ("as shipped", SHARE)):
        said = f"{name}: {SHARE:.2f}" if name == "as shipped" else name
        lines.append(f"| {said} | {_share([x.ratio <= share * FACTOR for x in balls])} |")
    return "\n".join(lines)


def _share(inside: Sequence[bool]) -> str:
    low, high = stats.binomtest(sum(inside), len(inside)).proportion_ci(method="wilson")
    return f"{sum(inside)} of {len(inside)}, {100 * low:.0f}-{100 * high:.0f} %"
