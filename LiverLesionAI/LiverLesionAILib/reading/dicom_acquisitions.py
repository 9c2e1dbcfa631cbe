"""Scans that share one DICOM series, told apart: contrast phases, breath holds, several reconstructions.

Evidence comes from two sides. Labels (acquisition number, kernel, ...) and moments (times, instance numbers)
offer ways to take a series apart; geometry decides whether one is right: the parts must lie within one
another, and each must be complete where they do. So a label that changes along a single scan (a number for
every rotation, a time for every slice) never takes it apart, and a label on a few slices never makes holes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from .dicom_frames import CATEGORIES, MOMENTS, Frame
from .dicom_places import SAME_PLACE_MM, distances_mm, most_frequent_gap, slice_positions
from .dicom_values import known, number

Part = tuple[list[Frame], str]
"""Frames of one scan, and what tells it from the others, for the reader."""
_Proposal = list[tuple["_Stack", str]]

# How much of a scan must be evenly spaced where another lies within it.
COMPLETE = 0.8
# A value per image (a time) splits into crumbs, not into scans.
MOST_PARTS_SHARE = 0.25
FEWEST_OF_A_SWEEP = 3
# A sweep ends where this many images in a row lie behind its front.
PATIENCE = 2
DAY_S = 86400.0
# What one scan has one of, so that it parts images even where they lie one above the other.
_SETTINGS = ("ConvolutionKernel", "KVP", "SliceThickness", "FrameOfReferenceUID")
_WORDS = {
    "TemporalPositionIdentifier": "time point {}",
    "TemporalPositionIndex": "time point {}",
    "NominalPercentageOfCardiacPhase": "cardiac phase {} %",
    "AcquisitionNumber": "acquisition {}",
    "ConvolutionKernel": "kernel {}",
    "KVP": "{} kV",
    "SliceThickness": "{} mm thick",
    "ContrastBolusAgent": "contrast {}",
    "SeriesDescription": "described as '{}'",
    "FilterType": "filter {}",
    "ProtocolName": "protocol '{}'",
    "StackID": "stack {}",
    "ScanOptions": "scan options {}",
}


def split_acquisitions(frames: list[Frame]) -> list[Part]:
    """Images of one size, spacing and orientation as the scans they belong to, each sorted along the normal.

    Returns:
        one part where nothing speaks for several; else the parts with what tells them apart.
    """
    if not frames[0].usable or frames[0].shape_yx[0] == 0:
        return [(frames, "")]
    return [(_sorted(part), words) for part, words in _split(frames, "")]


@dataclass(frozen=True, eq=False)
class _Stack:
    """Some images of a series.

    Attributes:
        members: their indices.
        distances: (n,) of all images of the series along the normal, mm.
    """

    members: list[int]
    distances: NDArray[np.float64]

    @cached_property
    def places(self) -> NDArray[np.float64]:
        """Sorted distinct positions, mm."""
        ordered = np.sort(self.distances[self.members])
        return ordered[np.concatenate([[True], np.diff(ordered) >= SAME_PLACE_MM])]

    @cached_property
    def step(self) -> float:
        """The slice distance: the most frequent gap, up to rounding; 0 for one position."""
        return most_frequent_gap(self.places)

    def lies_within(self, other: _Stack) -> bool:
        """Whether one reaches into the other, more than their outermost slices touching."""
        if len(self.places) == len(other.places) == 1:
            return abs(float(self.places[0] - other.places[0])) < SAME_PLACE_MM
        for outer, inner in ((self, other), (other, self)):
            low, high = outer.places[0] + 0.6 * outer.step, outer.places[-1] - 0.6 * outer.step
            if np.searchsorted(inner.places, high) > np.searchsorted(inner.places, low, side="right"):
                return True
        return False

    def continues(self, other: _Stack) -> bool:
        """Whether one begins where the other ends."""
        reach = 2.5 * max(self.step, other.step, SAME_PLACE_MM)
        return bool(self.places[0] - other.places[-1] <= reach and other.places[0] - self.places[-1] <= reach)

    def unevenness_mm(self, other: _Stack) -> float:
        """How far the gap between them is from the slice distance, up to the rounding of headers."""
        gap = max(float(other.places[0] - self.places[-1]), float(self.places[0] - other.places[-1]))
        return round(abs(gap - max(self.step, other.step)), 1)

    @property
    def is_even(self) -> bool:
        """Whether nearly all slices lie at the same distance."""
        return self.is_even_beside(self)

    def is_even_beside(self, other: _Stack) -> bool:
        """Whether it has no holes where the other lies."""
        if len(self.places) < 2:
            return True
        low, high = other.places[0] - SAME_PLACE_MM, other.places[-1] + SAME_PLACE_MM
        gaps = np.diff(self.places)[(self.places[1:] > low) & (self.places[:-1] < high)]
        even = np.abs(gaps - self.step) <= max(0.1 * self.step, 0.06)
        return not gaps.size or bool(even.mean() >= COMPLETE)


def _split(frames: list[Frame], words: str) -> list[Part]:
    if len(frames) < 3:
        return [(frames, words)]
    for parts in _proposals(frames):
        result = []
        for stack, more in parts:
            own = [frames[k] for k in stack.members]
            result += _split(own, ", ".join(filter(None, (words, more))))
        return result
    return [(frames, words)]


def _proposals(frames: list[Frame]) -> Iterator[_Proposal]:
    """Ways to take the images apart that geometry agrees with, most telling first."""
    distances = distances_mm(frames)
    values = {key: [f.categories[k] for f in frames] for k, key in enumerate(CATEGORIES)}
    values["SliceThickness"] = _rounded(frames)
    values["ImageOrigin"] = _in_plane(frames)
    for key, labels in values.items():
        groups = _grouped(frames, labels, distances)
        if key in _SETTINGS and _are_scans([g for g, _ in groups], len(frames), apart=True):
            yield [(group, _named(key, value)) for group, value in groups]
        yield from _assembled(groups, len(frames), lambda value, key=key: _named(key, value))
    for k in range(len(MOMENTS)):
        yield from _by_moment(frames, k, distances)
    some = [labels for labels in values.values() if 1 < len(set(labels)) <= 12]
    if len(some) > 1:
        joint = ["\n".join(row) for row in zip(*some, strict=True)]
        groups = _grouped(frames, joint, distances)
        yield from _assembled(groups, len(frames), lambda value: ", ".join(filter(None, value.split("\n"))))
    yield from _by_place(frames, distances)


def _grouped(frames: list[Frame], labels: Sequence[str], distances: NDArray[np.float64]) -> _Proposal:
    """Frames by label: in the order of numbers where labels are numbers, else of their first image."""
    groups: dict[str, list[int]] = defaultdict(list)
    for k in sorted(range(len(frames)), key=lambda k: (frames[k].instance, frames[k].index)):
        groups[labels[k]].append(k)
    if all(number(label) is not None for label in groups):
        groups = dict(sorted(groups.items(), key=lambda item: number(item[0]) or 0.0))
    return [(_Stack(members, distances), label) for label, members in groups.items()]


def _named(key: str, value: str) -> str:
    return _WORDS.get(key, "").format(value) if value else ""


def _rounded(frames: list[Frame]) -> list[str]:
    """Slice thickness in steps that rounding cannot bridge."""
    chosen: list[float] = []
    labels = []
    for frame in frames:
        mm = frame.thickness_mm
        if mm is None:
            labels.append("")
            continue
        near = [c for c in chosen if abs(c - mm) <= 0.05 * c + 0.01]
        if not near:
            chosen.append(mm)
        labels.append(f"{(near or [mm])[0]:g}")
    return labels


def _in_plane(frames: list[Frame]) -> list[str]:
    """Where the first pixel lies within the slice, in half pixels: reconstructions may differ in it alone."""
    axes = np.reshape(frames[0].orientation, (2, 3))  # type: ignore[arg-type]
    pixel = min(frames[0].spacing_yx_mm)  # type: ignore[type-var, arg-type]
    relative = np.array([f.position_lps for f in frames]) - np.array(frames[0].position_lps)
    return [f"{a} {b}" for a, b in np.rint(relative @ axes.T / (0.5 * pixel)).astype(int)]


def _assembled(groups: _Proposal, count: int, name: Callable[[str], str]) -> Iterator[_Proposal]:
    """Groups joined where they continue one another (a scan in several rotations).

    Only if the scans then lie within one another.
    """
    if not 1 < len(groups) <= count / 2:
        return
    if not any(a.lies_within(b) for (a, _), (b, _) in combinations(groups[:200], 2)):
        return
    scans: list[tuple[_Stack, list[int]]] = []
    # Place after place, each several times, or scan after scan.
    by_place = groups[0][0].lies_within(groups[1][0])
    for k, (group, _) in enumerate(groups):
        fits = [
            (stack.unevenness_mm(group), n if by_place else -n)
            for n, (stack, own) in enumerate(scans)
            if stack.continues(group)
            and not stack.lies_within(group)
            and _keeps_direction([groups[m][0] for m in own], group)
        ]
        if fits:
            stack, own = scans.pop(abs(min(fits)[1]))
            scans.append((_Stack(stack.members + group.members, stack.distances), [*own, k]))
        else:
            scans.append((group, [k]))
    scans.sort(key=lambda scan: scan[1])
    if len(scans) > 1 and _are_scans([stack for stack, _ in scans], count):
        yield [(stack, _joined([name(groups[m][1]) for m in own])) for stack, own in scans]


def _keeps_direction(groups: list[_Stack], more: _Stack) -> bool:
    """Whether a scan that moved one way through the body still does."""
    moved = groups[-1].places[0] - groups[0].places[0]
    return len(groups) == 1 or bool(moved * (more.places[0] - groups[-1].places[0]) > 0)


def _joined(names: list[str]) -> str:
    return names[0] if len(names) == 1 or not names[0] else f"{names[0]} to {names[-1]}"


def _are_scans(parts: list[_Stack], count: int, apart: bool = False) -> bool:
    """Whether these are scans: few, reaching into one another, and each without holes where another is.

    Args:
        apart: accept stacks that lie one above the other as well.
    """
    if not 1 < len(parts) <= max(2, MOST_PARTS_SHARE * count):
        return False
    if apart and (len(parts) > 4 or min(len(part.places) for part in parts) < FEWEST_OF_A_SWEEP):
        return False
    # Only neighbours in a long list: a time series of hundreds of scans.
    pairs = combinations(parts, 2) if len(parts) <= 60 else pairwise(parts)
    within = [(a, b) for a, b in pairs if a.lies_within(b)]
    return all(a.is_even_beside(b) and b.is_even_beside(a) for a, b in within) and (apart or bool(within))


def _by_moment(frames: list[Frame], k: int, distances: NDArray[np.float64]) -> Iterator[_Proposal]:
    """Scans one after the other in time: each sweeps through the body once."""
    moments = known(f.moments[k] for f in frames)
    if moments is None or len(set(moments)) < 2:
        return
    times = np.array(moments)
    clock = MOMENTS[k] in ("acquisition time", "content time")
    if clock:
        times = _unwrapped(times)
    if MOMENTS[k] == "content time" and _is_one_stack(frames, distances):
        # Images of one scan may be computed in several runs.
        return
    name = _clock_name if clock else (lambda value: "")
    labels = [f"{m:.6f}" for m in moments]
    yield from _assembled(_grouped(frames, labels, distances), len(frames), name)
    order = np.lexsort((distances, [f.instance for f in frames], times))
    runs = _sweeps(distances[order])
    parts = [_Stack([int(i) for i in order[a:b]], distances) for a, b in runs]
    if not all(len(p.places) >= FEWEST_OF_A_SWEEP and p.is_even for p in parts):
        return
    if not _are_scans(parts, len(frames)):
        return
    if clock:
        names = [_clock_name(f"{moments[part.members[0]]:.6f}") for part in parts]
    elif MOMENTS[k] == "instance number" and frames[0].frames == 1:
        names = [f"images {frames[p.members[0]].instance} to {frames[p.members[-1]].instance}" for p in parts]
    else:
        names = [f"{n} of {len(parts)}" for n in range(1, len(parts) + 1)]
    yield list(zip(parts, names, strict=True))


def _clock_name(seconds: str) -> str:
    whole = int(float(seconds)) % int(DAY_S)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _unwrapped(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times of an unknown day put in order across midnight, cut where nothing happened for longest."""
    if times.max() >= DAY_S:
        return times
    distinct = np.unique(times)
    gaps = np.diff(np.append(distinct, distinct[0] + DAY_S))
    start = distinct[(gaps.argmax() + 1) % len(distinct)]
    return (times - start) % DAY_S


def _is_one_stack(frames: list[Frame], distances: NDArray[np.float64]) -> bool:
    """Whether images lie evenly, one at each place, in the order of their numbers."""
    order = np.argsort(distances, kind="stable")
    numbers = np.diff([float(frames[k].instance or frames[k].index) for k in order])
    gaps = np.diff(distances[order])
    even = np.abs(gaps - np.median(gaps)) <= max(0.1 * float(np.median(gaps)), 0.06)
    return bool(even.all() and gaps.min() > SAME_PLACE_MM and ((numbers > 0).all() or (numbers < 0).all()))


def _sweeps(distances: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Runs of positions, in order of time, in which the front moves one way through the body.

    One image out of order does not end a run.
    """
    runs, start, n = [], 0, len(distances)
    while start < n:
        ahead = distances[start + 1 : start + 5] - distances[start]
        direction = -1.0 if ahead.size and ahead.sum() < 0 else 1.0
        front, last, i = distances[start], start, start + 1
        while i < n and i - last <= PATIENCE:
            if direction * (distances[i] - front) > SAME_PLACE_MM:
                front, last = distances[i], i
            i += 1
        stop = n if i == n and i - last <= PATIENCE else last + 1
        runs.append((start, stop))
        start = stop
    return runs


def _by_place(frames: list[Frame], distances: NDArray[np.float64]) -> Iterator[_Proposal]:
    """Nothing in the headers tells them apart, but the places do."""
    places = slice_positions(frames)
    if sum(len(p) > 1 for p in places) >= max(2, 0.3 * len(places)):
        # The k-th image at each place, in the order of instances.
        numbered: dict[int, list[int]] = defaultdict(list)
        for place in places:
            for k, index in enumerate(sorted(place, key=lambda i: (frames[i].instance, frames[i].index))):
                numbered[k].append(index)
        yield [(_Stack(part, distances), f"image {k + 1} of each place") for k, part in numbered.items()]
        return
    numbers = np.diff([frames[place[0]].instance for place in places])
    for grid in _lattices(distances, bool((numbers > 0).all() or (numbers < 0).all())):
        parts = [
            _Stack([int(k) for k in np.flatnonzero(grid == value)], distances) for value in np.unique(grid)
        ]
        if min(len(p.places) for p in parts) >= FEWEST_OF_A_SWEEP and _are_scans(parts, len(frames)):
            yield [(part, f"slices of even grid {k + 1}") for k, part in enumerate(parts)]


def _lattices(distances: NDArray[np.float64], in_order: bool) -> Iterator[NDArray[np.int64]]:
    """Ways in which positions may be interleaved even grids: the number of the grid of each position.

    Args:
        in_order: the images are numbered as they lie.
    """
    order = np.argsort(distances, kind="stable")
    gaps = np.diff(distances[order])
    if len(gaps) < 6:
        return
    for period in (2, 3, 4):
        tolerance = max(0.05 * float(gaps.max()), 0.03)
        again = np.abs(gaps[period:] - gaps[:-period]) <= tolerance
        uneven = np.abs(np.diff(gaps)) > tolerance
        if again.size >= 6 and again.mean() >= 0.9 and uneven.mean() >= 0.4:
            grid = np.empty(len(distances), np.int64)
            grid[order] = np.arange(len(distances)) % period
            yield grid
            return
    # Partly overlapping: places between those of the even grid that most lie on. Thin slices within thick
    # ones look the same, but are numbered as they lie.
    if in_order:
        return
    step = most_frequent_gap(distances[order])
    offset = ((distances - distances[order[0]]) / step) % 1.0
    ranked = np.argsort(offset)
    turned = np.append(np.diff(offset[ranked]), offset[ranked[0]] + 1 - offset[ranked[-1]])
    breaks = np.flatnonzero(turned > 0.08)
    if not 1 < len(breaks) <= 4:
        return
    grid = np.empty(len(distances), np.int64)
    # Around the circle: what follows the last break belongs to the first grid.
    grid[ranked] = np.searchsorted(breaks, np.arange(len(distances)), side="left") % len(breaks)
    yield grid


def _sorted(frames: list[Frame]) -> list[Frame]:
    """Along the normal; images at one place by their numbers."""
    ordered = sorted(frames, key=lambda f: (f.instance, str(f.path), f.index))
    return [ordered[k] for place in slice_positions(ordered) for k in place]
