"""`liverlesionai candidates SYNTHLIVER --run DIR`: what a trained second look is worth.

On scans that neither it nor the first networks have seen the default line runs at a low score. Its candidates
are ordered by two logistic models, one of score and size, as the product's probability is, and one that the
second look's log odds join. Both are fitted on the other scans: a candidate's own scan never decides on it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.models.inputs import InputSpec, liver_level_hu
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.measure.probability import doublings, log_odds
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import NDArray
from scipy import optimize

from ..data.synthliver import find_synthliver
from ..metrics.bootstrap import bootstrap
from ..metrics.classification import calibration_error, reliability_curve
from ..metrics.lesions import LesionScores, free_response_per_scan, score_lesions
from ..training.line_cases import LineCase, line_case
from ..training.second_look_crops import candidate_crop, network_input
from ..training.trained_masks import run_network
from .tables import align

if TYPE_CHECKING:
    from torch import nn

RATES = (0.125, 0.25, 0.5, 1.0, 2.0)
SEED = 16
DEFAULT_SCORE = 0.6


@dataclass(frozen=True)
class JudgedCandidate:
    """One candidate of a scan.

    Attributes:
        number: its label in the scan; score, diameter_mm: of the line.
        look: the second look's log odds.
        true: it shares a voxel with a lesion.
    """

    scan: str
    number: int
    score: float
    diameter_mm: float
    look: float
    true: bool


def judged(case: LineCase, network: nn.Module, spec: InputSpec) -> list[JudgedCandidate]:
    """All candidates of a scan under the second look."""
    import torch

    if not case.scores:
        return []
    shift = spec.shift_hu(liver_level_hu(case.hu_zyx[case.liver_zyx]))
    inputs = []
    for number in sorted(case.scores):
        mask = case.labels_zyx == number
        crop = candidate_crop(case.hu_zyx, mask, case.spacing_zyx_mm, spec, case.probability_zyx)
        inputs.append(network_input(crop, spec, shift))
    looks: list[float] = []
    with torch.inference_mode():
        for first in range(0, len(inputs), 16):
            looks += network(torch.from_numpy(np.stack(inputs[first : first + 16]))).logits.tolist()
    return [
        JudgedCandidate(
            case.name,
            number,
            case.scores[number],
            case.diameters_mm[number],
            look,
            bool(case.tumour_zyx[case.labels_zyx == number].any()),
        )
        for number, look in zip(sorted(case.scores), looks, strict=True)
    ]


def features(candidates: Sequence[JudgedCandidate], second: bool) -> NDArray[np.float64]:
    """(n, 3 or 4): one, log odds of the score, doublings of the size, and the second look."""
    rows = [
        [
            1.0,
            log_odds(c.score),
            doublings(c.diameter_mm),
            *([float(np.clip(c.look, -8, 8))] if second else []),
        ]
        for c in candidates
    ]
    return np.array(rows)


def fitted(candidates: Sequence[JudgedCandidate], second: bool) -> NDArray[np.float64]:
    """Logistic coefficients, mildly penalised, none below zero but the offset: what is surer never falls."""
    x = features(candidates, second)
    truth = np.array([c.true for c in candidates], float)
    start = np.zeros(x.shape[1])
    start[1] = 1.0

    def loss(weights: NDArray[np.float64]) -> float:
        odds = x @ weights
        return float(np.sum(np.logaddexp(0.0, odds) - truth * odds) + 0.5 * np.sum((weights - start) ** 2))

    bounds = [(-6.0, 6.0), *[(0.0, 4.0)] * (x.shape[1] - 1)]
    found: NDArray[np.float64] = optimize.minimize(loss, start, bounds=bounds, method="L-BFGS-B").x
    return found


def left_out(candidates: Sequence[JudgedCandidate], second: bool) -> dict[tuple[str, int], float]:
    """(scan, number) -> probability by a model that has not seen the scan.

    Raises:
        InputError: the other scans of one have no lesion, or nothing false.
    """
    out = {}
    for scan in sorted({c.scan for c in candidates}):
        others = [c for c in candidates if c.scan != scan]
        if len({c.true for c in others}) < 2:
            raise InputError("Too few scans: without one of them there is no lesion, or no false candidate.")
        weights = fitted(others, second)
        own = [c for c in candidates if c.scan == scan]
        chances = 1 / (1 + np.exp(-(features(own, second) @ weights)))
        out.update({(c.scan, c.number): float(p) for c, p in zip(own, chances, strict=True)})
    return out


def scored(case: LineCase, chances: dict[tuple[str, int], float]) -> LesionScores:
    """The scan's lesions and candidates, these with their probabilities as scores."""
    table = np.zeros(int(case.labels_zyx.max(initial=0)) + 1)
    for number in case.scores:
        table[number] = chances[case.name, number]
    return score_lesions(
        case.tumour_zyx, case.labels_zyx > 0, case.spacing_zyx_mm, score_zyx=table[case.labels_zyx]
    )


@dataclass(frozen=True, eq=False)
class Comparison:
    """Scans scored with and without the second look.

    Attributes:
        candidates: all of them; before, after: by scan; chances: each candidate's probability, without, with.
    """

    candidates: tuple[JudgedCandidate, ...]
    before: tuple[LesionScores, ...]
    after: tuple[LesionScores, ...]
    chances: tuple[tuple[float, float], ...]


def compared(cases: Sequence[LineCase], candidates: Sequence[JudgedCandidate]) -> Comparison:
    """Both orders of the same candidates."""
    first, second = left_out(candidates, False), left_out(candidates, True)
    pairs = tuple((first[c.scan, c.number], second[c.scan, c.number]) for c in candidates)
    before, after = (tuple(scored(case, chances) for case in cases) for chances in (first, second))
    return Comparison(tuple(candidates), before, after, pairs)


def report(found: Comparison) -> str:
    """The tables that are printed."""
    names = [str(k) for k in range(len(found.before))]
    rows = [["found at false per scan", "score and size", "with the second look", "difference"]]
    for rate in RATES:

        def gain(drawn: NDArray[np.int64], rate: float = rate) -> float:
            sides = ([side[i] for i in drawn] for side in (found.before, found.after))
            one, two = (free_response_per_scan(side).at(rate) for side in sides)
            return two - one

        one, two = (free_response_per_scan(side).at(rate) for side in (found.before, found.after))
        interval = bootstrap(gain, names, seed=SEED)
        rows.append(
            [
                f"{rate:g}",
                f"{one:.3f}",
                f"{two:.3f}",
                f"{two - one:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]",
            ]
        )
    truth = np.array([c.true for c in found.candidates])
    errors = [["probability", "calibration error", "Brier score", "AUC"]]
    for title, column in (("score and size", 0), ("with the second look", 1)):
        said = np.array([pair[column] for pair in found.chances])
        error = calibration_error(reliability_curve(said, truth, 5))
        errors.append(
            [title, f"{error:.3f}", f"{np.mean((said - truth) ** 2):.3f}", f"{_auc(said, truth):.3f}"]
        )
    looks = np.array([c.look for c in found.candidates])
    errors.append(["second look alone", "-", "-", f"{_auc(looks, truth):.3f}"])
    return f"{_counts(found)}\n\n{align(rows)}\n\n{align(errors)}\n\n{_at_default(found)}"


def _counts(found: Comparison) -> str:
    lesions = sum(side.n_lesions for side in found.before)
    true = sum(c.true for c in found.candidates)
    return (
        f"{len(found.before)} scans, {lesions} lesions, {len(found.candidates)} candidates, {true} true; "
        "95 % bootstrap intervals over scans."
    )


def _at_default(found: Comparison) -> str:
    """What the second look would drop of what is listed at the default score, and what it would add."""
    listed = [c.score >= DEFAULT_SCORE for c in found.candidates]
    lines = []
    for least in (0.1, 0.2, 0.3, 0.5):
        kept = [pair[1] >= least for pair in found.chances]
        pairs = list(zip(found.candidates, listed, kept, strict=True))
        lost = sum(c.true for c, was, stays in pairs if was and not stays)
        gone = sum(not c.true for c, was, stays in pairs if was and not stays)
        lines.append(
            f"Probability under {least:g} left out: of {sum(listed)} listed at the default score {gone} "
            f"false and {lost} true ones go."
        )
    return "\n".join(lines)


def _auc(values: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Chance that a true one has the higher value."""
    higher = values[truth][:, None] - values[~truth][None]
    return float(np.mean((higher > 0) + 0.5 * (higher == 0))) if higher.size else float("nan")


def add_candidate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `candidates`."""
    parser.description = "Judge the default line's candidates a second time and compare."
    parser.add_argument("synthliver", type=Path, help="folder of SynthLiver-1")
    parser.add_argument("--run", type=Path, required=True, help="folder of `train second_look`")
    parser.add_argument(
        "--split",
        action="append",
        help="which scans (default: validation and test); may be given several times",
    )
    parser.add_argument(
        "--cache", type=Path, default=Path(".cache"), help="what the line found is kept there"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="every candidate, as JSON")
    parser.add_argument("--device", default="auto")


def run_candidates(
    args: argparse.Namespace, progress: Progress = silent, say: Callable[[str], None] = print
) -> int:
    """Judge the candidates of the scans and print the tables.

    Raises:
        InputError: no such scans, or no such run.
    """
    from ..training.recipes import recipe

    chosen = recipe("second_look")
    network = run_network(args.run, chosen.network, asdict(chosen.config))
    splits = args.split or ["validation", "test"]
    scans = [scan for split in splits for scan in find_synthliver(args.synthliver, split)]
    models, cases, candidates = ModelStore.bundled(), [], []
    for number, scan in enumerate(scans):
        progress(f"analysing {scan.name}", number / len(scans))
        case = line_case(scan, models, args.cache / "line", args.device)
        cases.append(case)
        candidates += judged(case, network, chosen.spec)
    found = compared(cases, candidates)
    say(report(found))
    if args.out is not None:
        write_text(args.out, dumps([asdict(one) for one in candidates], indent=1) + "\n")
    return 0
