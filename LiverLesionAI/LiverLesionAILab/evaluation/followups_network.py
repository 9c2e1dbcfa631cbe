"""Simulated follow-ups with the networks' own masks: what is listed in both scans, and what is said of it.

The reader of these pairs accepts every listed lesion that is a true one and rejects the others, and does no
more: no outline is corrected and no lesion is added. A second reader, whose figures stand beside, also has an
outline split where the comparison proposes it and the scan's true lesions are apart there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.followup import Examined, align, compared, cuts
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.case.followup import FollowUp, LesionState, Pair
from LiverLesionAILib.case.manifest import CASE_FILE
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.followup.parts import JoinedCut
from LiverLesionAILib.stages.measure.lesions import measure_case
from LiverLesionAILib.support.errors import InputError
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
            right: ones whose state is the true one; asked: others whose state is no more than a proposal.
        alone, alone_matched, alone_right: of those, ones that no mask holds together with another lesion.
        one_sided: in both scans and listed in one only; one_sided_right: said to be neither new nor gone.
        single: truly new or gone, and listed; single_right: said so.
    """

    lesions: int = 0
    matched: int = 0
    right: int = 0
    asked: int = 0
    alone: int = 0
    alone_matched: int = 0
    alone_right: int = 0
    one_sided: int = 0
    one_sided_right: int = 0
    single: int = 0
    single_right: int = 0


@dataclass(frozen=True, eq=False)
class NetworkComparison:
    """What the networks' outlines came to.

    Attributes:
        found, score: as listed.
        split, split_score: after the proposed splits that the reader takes.
        proposed, accepted: how many outlines the comparison would split, and the reader did.
        seconds: of the first comparison.
    """

    found: FollowUp
    score: NetworkScore
    split: FollowUp
    split_score: NetworkScore
    proposed: int
    accepted: int
    seconds: float


def compared_by_networks(
    pair: SimulatedPair, truth: FollowUp, models: ModelStore | None, cases: Path | None, days: Sequence
) -> NetworkComparison:
    """The comparison of what the networks outline, and how right it is.

    Args:
        models: None takes kept cases only.
        cases: folder where the networks' cases are kept, and read where they are there already.
        days: of the two scans.

    Raises:
        InputError: without models, and a case is not there.
    """
    drawn = pair.prior, pair.current
    scans = []
    for t, scan in enumerate(drawn):
        result = _analysed(scan, models, None if cases is None else cases / f"{pair.name}-{t}")
        scans.append(Examined(_read_by(result, scan.labels_zyx), scan.volume, day=days[t]))
    started = time.perf_counter()
    aligned = align(*scans)
    found = compared(*scans, aligned)
    seconds = time.perf_counter() - started

    def scored(of: Sequence[Examined], made: FollowUp) -> NetworkScore:
        both = [listed_as(x.result.lesion_labels_zyx, d.labels_zyx) for x, d in zip(of, drawn, strict=True)]
        return score_pairs(truth.pairs, made.pairs, (both[0], both[1]))

    proposed = [] if aligned.movement is None else cuts(*scans, aligned.movement, found.pairs)
    accepted = [cut for cut in proposed if are_apart(cut, drawn[cut.outline.in_current].labels_zyx)]
    after = [
        with_cuts(scan, [cut for cut in accepted if cut.outline.in_current == bool(t)])
        for t, scan in enumerate(scans)
    ]
    split = compared(*after, aligned) if accepted else found
    counts = len(proposed), len(accepted)
    return NetworkComparison(found, scored(scans, found), split, scored(after, split), *counts, seconds)


def are_apart(cut: JoinedCut, true_zyx: NDArray) -> bool:
    """Whether each part holds another true lesion more than any other, and none of them nothing."""
    most = []
    for part in cut.parts:
        counts = np.bincount(true_zyx[part.slices][part.voxels_zyx].astype(int))
        most.append(int(counts[1:].argmax()) + 1 if counts[1:].any() else 0)
    return 0 not in most and len(set(most)) == len(most)


def with_cuts(scan: Examined, taken: Sequence[JoinedCut]) -> Examined:
    """A case whose joined outlines are split: the largest part stays the lesion, the others are new ones."""
    if not taken or scan.volume is None:
        return scan
    result, labels = scan.result, scan.result.lesion_labels_zyx.copy()
    like = {x.number: x for x in result.lesions}
    for cut in taken:
        original = like[cut.outline.number]
        for part in sorted(cut.parts, key=lambda part: part.count, reverse=True)[1:]:
            number = max(like) + 1
            labels[part.slices][part.voxels_zyx] = number
            like[number] = replace(original, number=number, tracking_uid="")
    drawn = {x.number: x for x in measure_case(labels, result.liver_zyx, scan.volume.hu_zyx, result.geometry)}
    touched = {cut.outline.number for cut in taken} | set(like) - {x.number for x in result.lesions}
    lesions = tuple(
        replace(
            x, centre_lps=drawn[n].centre_lps, box=drawn[n].box, measurement=drawn[n].measurement, edited=True
        )
        if n in touched
        else x
        for n, x in sorted(like.items())
    )
    return replace(scan, result=replace(result, lesion_labels_zyx=labels, lesions=lesions))


def _analysed(scan: SimulatedScan, models: ModelStore | None, folder: Path | None) -> CaseResult:
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.analysis.settings import Settings

    if folder is not None and (folder / CASE_FILE).exists():
        return load_result(folder)
    if models is None:
        raise InputError(f"{folder or 'the folder of --cases'} is not there: leave out --kept-cases.")
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
        count("asked", answer is not None and not right and answer.proposed)
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
