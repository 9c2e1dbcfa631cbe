"""`liverlesionai compare followups --both-ways CT CT`: two outlined scans of one patient."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.followup import Examined, follow_up
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.case.followup import FollowUp
from LiverLesionAILib.stages.measure.lesions import measure_case, measure_liver
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.masks import components
from scipy.optimize import linear_sum_assignment

from ..data.cases import read_unchecked
from .consistency import consistency_lines, consistency_of
from .followups_table import rate_text

NEAR_MM = 8.0
SMALLEST_VOXELS = 12


@dataclass(frozen=True)
class BothWays:
    """What the two comparisons say.

    Attributes:
        lesions: of both scans together; inverse: those whose partners are the same both ways.
        possible: as many lesions can have a partner, one each; matched: have one, fewer of both ways.
        residuals_mm: between the prior's place in the other scan and its partner, both ways.
        seconds: of each comparison, by the clock; cpu_seconds: of all cores together.
    """

    lesions: int
    inverse: int
    possible: int
    matched: int
    residuals_mm: tuple[float, ...]
    refused: bool
    seconds: tuple[float, float]
    cpu_seconds: tuple[float, float]


def outlined(path: Path) -> Examined:
    """A CT (X_ct.nii.gz) with its outlines (X_mask.nii.gz: 1 liver, 2 lesion) as a case.

    Raises:
        InputError: one of the files is missing or damaged.
    """
    ct, truth = read_unchecked(path), read_unchecked(path.with_name(path.name.replace("_ct", "_mask")))
    liver, labels = truth.hu_zyx > 0, components(truth.hu_zyx == 2, 6)[0].astype(np.uint16)
    sizes = np.bincount(labels.ravel())
    labels[np.isin(labels, np.flatnonzero(sizes < SMALLEST_VOXELS))] = 0
    args = labels, liver, ct.hu_zyx, ct.geometry
    lesions = tuple(replace(x, status=LesionStatus.ACCEPTED) for x in measure_case(*args))
    organ = measure_liver(*args)
    result = CaseResult(path.name, ct.geometry, liver, labels, lesions, organ.volume_ml, organ.hu_mean)
    return Examined(result, ct)


def compare_both_ways(one: Examined, other: Examined) -> BothWays:
    """A beside B, and B beside A."""
    made, seconds, cpu = [], [], []
    for ends in ((one, other), (other, one)):
        started, cpu_started = time.perf_counter(), time.process_time()
        made.append(follow_up(*ends))
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - cpu_started)
    there, back = _partners(made[0]), {(b, a) for a, b in _partners(made[1])}
    both = there & back
    numbers = [
        (side, n) for side, point in enumerate((made[0].prior, made[0].current)) for n in point.lesions
    ]
    agree = sum(
        {pair for pair in there if pair[side] == n} == {pair for pair in back if pair[side] == n}
        for side, n in numbers
    )
    found = [pair for step in made for pair in step.pairs if pair.prior and pair.current]
    return BothWays(
        len(numbers),
        agree,
        min(len(made[0].prior.lesions), len(made[0].current.lesions)),
        _one_to_one(both),
        tuple(pair.distance_mm for pair in found),
        any(step.failed for step in made),
        (seconds[0], seconds[1]),
        (cpu[0], cpu[1]),
    )


def _partners(step: FollowUp) -> set[tuple[int, int]]:
    return {(a, b) for pair in step.pairs for a in pair.prior for b in pair.current}


def _one_to_one(pairs: set[tuple[int, int]]) -> int:
    """How many lesions have a partner of their own."""
    if not pairs:
        return 0
    table = np.zeros((max(a for a, _ in pairs) + 1, max(b for _, b in pairs) + 1))
    for a, b in pairs:
        table[a, b] = 1
    rows, columns = linear_sum_assignment(-table)
    return int(table[rows, columns].sum())


def both_ways_text(found: BothWays) -> str:
    """The figures, in lines."""
    if found.refused:
        return "The registration was refused: no lesion is paired."
    residuals = np.array(found.residuals_mm)
    near = int((residuals <= NEAR_MM).sum())
    return "\n".join([
        f"The same partners both ways: {found.inverse} of {found.lesions} lesions "
        f"({100 * found.inverse / max(1, found.lesions):.0f} %)",
        f"Matched both ways: {found.matched}; {found.possible} could be at most, were all seen in both",
        f"Centres within {NEAR_MM:.0f} mm: {near} of {len(residuals)} "
        f"(median {np.median(residuals) if len(residuals) else np.nan:.1f}, "
        f"largest {residuals.max(initial=0):.1f} mm)",
        f"Seconds: {found.seconds[0]:.1f} and {found.seconds[1]:.1f} by the clock, "
        f"{found.cpu_seconds[0]:.1f} and {found.cpu_seconds[1]:.1f} of all cores together",
    ])  # fmt: skip


def run_both_ways(paths: list[Path]) -> int:
    """Compare outlined CTs of one patient, the oldest first, and print the figures.

    Raises:
        InputError: a file is missing, or there is but one.
    """
    if len(paths) < 2:
        raise InputError("--both-ways takes two CTs of one patient, or more.")
    for path in paths:
        if "_ct" not in path.name or not path.is_file():
            raise InputError(f"{path} is no X_ct.nii.gz with an X_mask.nii.gz beside it.")
    scans = [outlined(path) for path in paths]
    if len(scans) == 2:
        print(both_ways_text(compare_both_ways(*scans)))
    else:
        print("\n".join(consistency_lines(consistency_of(scans), rate_text)))
    return 0
