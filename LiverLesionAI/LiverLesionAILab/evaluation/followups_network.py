"""Simulated follow-ups with the networks' own masks: what is listed in both scans, and what is said of it.

The reader of these pairs accepts every listed lesion that is a true one and rejects the others, and does no
more: no outline is corrected and no lesion is added.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.followup import Examined, follow_up
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.case.followup import FollowUp, LesionState, Pair
from LiverLesionAILib.case.manifest import CASE_FILE
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.models.weights import ModelStore
from numpy.typing import NDArray

from ..metrics.lesions import LesionRules
from ..synthesis.followups import SimulatedPair, SimulatedScan

Groups = list[tuple[frozenset[int], frozenset[int]]]


@dataclass(frozen=True)
class NetworkScore:
    """What became of the true pairs.

    Attributes:
        lesions: in both scans and listed in both.
        matched: ones whose listed lesions are paired as their masks lie (one mask may hold several lesions).
            right: ones whose state is the true one.
        alone, alone_matched, alone_right: of those, ones that no mask holds together with another lesion.
        one_sided: in both scans and listed in one only; one_sided_right: said to be neither new nor gone.
        single: truly new or gone, and listed; single_right: said so.
    """

    lesions: int = 0
    matched: int = 0
    right: int = 0
    alone: int = 0
    alone_matched: int = 0
    alone_right: int = 0
    one_sided: int = 0
    one_sided_right: int = 0
    single: int = 0
    single_right: int = 0


def compared_by_networks(
    pair: SimulatedPair, truth: FollowUp, models: ModelStore, cases: Path | None, days: Sequence
) -> tuple[FollowUp, NetworkScore, float]:
    """The comparison of what the networks outline, how right it is, and its seconds.

    Args:
        cases: folder where the networks' cases are kept, and read where they are there already.
        days: of the two scans.
    """
    scans, listed = [], []
    for t, scan in enumerate((pair.prior, pair.current)):
        result = _analysed(scan, models, None if cases is None else cases / f"{pair.name}-{t}")
        listed.append(listed_as(result.lesion_labels_zyx, scan.labels_zyx))
        scans.append(Examined(_read_by(result, scan.labels_zyx), scan.volume, day=days[t]))
    started = time.perf_counter()
    found = follow_up(*scans)
    return found, score_pairs(truth.pairs, found.pairs, (listed[0], listed[1])), time.perf_counter() - started


def _analysed(scan: SimulatedScan, models: ModelStore, folder: Path | None) -> CaseResult:
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.analysis.settings import Settings

    if folder is not None and (folder / CASE_FILE).exists():
        return load_result(folder)
    result = analyze(scan.volume, Settings(device="cpu", attention=False, classifier=None), models)
    if folder is not None:
        save_result(result, folder)
    return result


def _read_by(result: CaseResult, true_zyx: NDArray) -> CaseResult:
    """Lesions that share a voxel with a true one are accepted, others rejected."""
    real = set(np.unique(result.lesion_labels_zyx[true_zyx > 0]).tolist())
    lesions = tuple(
        replace(x, status=LesionStatus.ACCEPTED if x.number in real else LesionStatus.REJECTED)
        for x in result.lesions
    )
    return replace(result, lesions=lesions)


def listed_as(found_zyx: NDArray, true_zyx: NDArray, least: float = LesionRules().overlap) -> dict[int, int]:
    """True number -> the listed lesion that shares most voxels with it; at least this share of its voxels."""
    both = (found_zyx > 0) & (true_zyx > 0)
    best: dict[int, tuple[int, int]] = {}
    links, counts = np.unique(np.stack([true_zyx[both], found_zyx[both]]), axis=1, return_counts=True)
    for true, found, count in zip(*links.astype(int), counts, strict=True):
        best[int(true)] = max(best.get(int(true), (0, 0)), (int(count), int(found)))
    sizes = np.bincount(true_zyx.ravel())
    return {true: found for true, (count, found) in best.items() if count >= least * sizes[true]}


def score_pairs(
    true_pairs: Sequence[Pair], made: Sequence[Pair], listed: tuple[Mapping[int, int], Mapping[int, int]]
) -> NetworkScore:
    """How right pairs of listed lesions are.

    Args:
        true_pairs: by true numbers; made: by listed numbers.
        listed: in each scan, true number -> listed number.
    """
    whole = [
        p
        for p in true_pairs
        if p.prior and p.current and set(p.prior) <= set(listed[0]) and set(p.current) <= set(listed[1])
    ]
    ends = [({listed[0][n] for n in p.prior}, {listed[1][n] for n in p.current}) for p in whole]
    groups = _joined(ends)
    there = {(frozenset(p.prior), frozenset(p.current)): p for p in made}
    counts = {"lesions": len(whole)}

    def count(name: str, condition: bool) -> None:
        counts[name] = counts.get(name, 0) + bool(condition)

    for one, (before, now) in zip(whole, ends, strict=True):
        group = next(g for g in groups if before <= g[0] and now <= g[1])
        answer = there.get(group)
        right = answer is not None and answer.state is one.state
        count("matched", answer is not None)
        count("right", right)
        if group == (before, now) and sum(g == (before, now) for g in ends) == 1:
            count("alone", True)
            count("alone_matched", answer is not None)
            count("alone_right", right)
    for one in true_pairs:
        numbers = [listed[0][n] for n in one.prior if n in listed[0]]
        numbers_now = [listed[1][n] for n in one.current if n in listed[1]]
        if bool(numbers) == bool(numbers_now):
            continue
        said = {p.state for p in made if set(p.prior) & set(numbers) or set(p.current) & set(numbers_now)}
        wrong = {LesionState.NEW, LesionState.GONE}
        if one.prior and one.current:
            count("one_sided", True)
            count("one_sided_right", not said & wrong)
        elif one.state in wrong:
            count("single", True)
            count("single_right", said == {one.state})
    return NetworkScore(**counts)


def _joined(ends: Sequence[tuple[set[int], set[int]]]) -> Groups:
    """Listed lesions that belong together through any true pair."""
    groups: Groups = []
    for before, now in ends:
        touching = [g for g in groups if g[0] & before or g[1] & now]
        groups = [g for g in groups if g not in touching]
        groups.append(
            (
                frozenset(before).union(*(g[0] for g in touching)),
                frozenset(now).union(*(g[1] for g in touching)),
            )
        )
    return groups
