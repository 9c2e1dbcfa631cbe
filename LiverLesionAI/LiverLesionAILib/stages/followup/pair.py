"""Which lesion of the prior scan is which of the current one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from ...case.followup import LesionSize, LesionState, Pair, is_wide, state_of
from ...volume.crops import Mask
from ...volume.ct import Geometry
from ...volume.point_map import Movement, came_from
from ...volume.pulled import came_from_all

MOST_POINTS = 300
SQUEEZED = 0.5
"""Of its volume: tissue that a registration presses to less than this is not there in the second scan.
Livers are bent onto each other by their outlines, so one that was half resected is pressed into the rest: to
a tenth where it was taken away, to six tenths beside the cut (in a phantom), to less than a half where a
lesion was taken out at the cut (in another)."""
SQUEEZED_ROUND_MM = 10.0
"""Around a lesion's middle that this is measured over; its radius where that is more."""

Group = tuple[list[int], list[int]]
"""Prior numbers, current numbers."""


@dataclass(frozen=True)
class PairSettings:
    """Which lesions are one; the page of rules has the reasons.

    Attributes:
        reach_mm: how far beside its expected place a lesion of no size may be; its radius comes on top.
        unlike: weight of the diameters' log ratio against the distance in reaches.
        nothing: cost from which two lesions are none.
        inside_mm: what is nearer than this to another's voxels counts as inside it.
        part: share of a lesion that has to lie inside another for a merge or split.
        edge_mm: what lies nearer to a scan's end is not covered by it.
    """

    PREFIX: ClassVar[str] = "pair_"

    reach_mm: float
    unlike: float
    nothing: float
    inside_mm: float
    part: float
    edge_mm: float


@dataclass(frozen=True, eq=False)
class Place:
    """A lesion as pairing sees it.

    Attributes:
        points_lps: some of its voxels' centres, (n, 3) mm.
        centre_lps: their mean.
        radius_mm: of the ball with its volume.
    """

    points_lps: NDArray[np.float64]
    centre_lps: NDArray[np.float64]
    radius_mm: float

    @classmethod
    def of(cls, mask: Mask, geometry: Geometry) -> Place:
        """From a mask that is not empty."""
        index = np.argwhere(mask.voxels_zyx) + np.array(mask.start_zyx)
        volume_mm3 = len(index) * geometry.voxel_volume_mm3
        points = np.asarray(geometry.index_to_lps(index))
        step = max(1, math.ceil(len(points) / MOST_POINTS))
        return cls(points[::step], points.mean(axis=0), (3 * volume_mm3 / (4 * math.pi)) ** (1 / 3))

    @property
    def volume_ml(self) -> float:
        """Of the lesion."""
        return 4 * math.pi * self.radius_mm**3 / 3000.0

    @property
    def spacing_mm(self) -> float:
        """How far apart its points lie, roughly: they may be fewer than its voxels."""
        volume_mm3 = 4 * math.pi * self.radius_mm**3 / 3
        return float((volume_mm3 / len(self.points_lps)) ** (1 / 3))

    def holds(self, points_lps: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of (n, 3) points, LPS mm, lie in it."""
        near, _ = cKDTree(self.points_lps).query(points_lps)
        inside: NDArray[np.bool_] = near <= 0.75 * self.spacing_mm
        return inside

    def moved(self, transform: Movement) -> Place:
        """Where it lies after a registration."""
        points = transform.points(self.points_lps)
        return Place(points, transform.points(self.centre_lps[None])[0], self.radius_mm)

    def moved_back(self, transform: Movement) -> Place:
        """Where a lesion of the registration's second scan lies in its first."""
        points = came_from_all(np.vstack([self.centre_lps, self.points_lps]), transform)
        return Place(points[1:], points[0], self.radius_mm)


def pair_lesions(
    prior: Mapping[int, Place],
    current: Mapping[int, Place],
    transform: Movement,
    sizes: tuple[Mapping[int, LesionSize], Mapping[int, LesionSize]],
    covered: tuple[Geometry, Geometry],
    settings: PairSettings,
) -> tuple[Pair, ...]:
    """Pairs such that every lesion is in exactly one.

    Args:
        prior, current: lesions by number, in their own scans' patient space.
        transform: from the prior's space to the current one's.
        sizes: of the prior's and the current lesions.
        covered: the two CTs' grids: what lies outside of one is "not covered" by it.
    """
    expected = {number: place.moved(transform) for number, place in prior.items()}
    groups = _groups(expected, current, settings)
    paired = {p for olds, _ in groups for p in olds}
    removed = {p for p in set(prior) - paired if _squeezed(prior[p], transform)}
    made = _pairs(groups, expected, current, transform, sizes, covered, settings.edge_mm)
    return tuple(
        replace(pair, state=LesionState.RESECTED)
        if pair.state is LesionState.GONE and removed.issuperset(pair.prior)
        else pair
        for pair in made
    )


def removed_warning(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """What to say of lesions in a part of the liver that the current scan has not; nothing without any.

    Args:
        pairs: as :func:`pair_lesions` made them.
    """
    numbers = sorted(n for p in pairs if p.state is LesionState.RESECTED for n in p.prior)
    if not numbers:
        return ()
    return (
        f"Where the prior scan's lesion(s) {', '.join(map(str, numbers))} lay, this scan has no liver any "
        "more, as after a resection: they count as resected, which is no response.",
    )


def _squeezed(place: Place, transform: Movement) -> bool:
    """Whether a registration leaves next to nothing of the tissue around a lesion: by its Jacobian."""
    half = max(SQUEEZED_ROUND_MM, place.radius_mm)
    ends = place.centre_lps + half * np.vstack([np.eye(3), -np.eye(3)])
    moved = transform.points(ends)
    return bool(np.linalg.det((moved[:3] - moved[3:]) / (2 * half)) < SQUEEZED)


def _assigned(
    expected: Mapping[int, Place], current: Mapping[int, Place], settings: PairSettings
) -> dict[int, int]:
    """Prior number -> current number, the cheapest one-to-one assignment within reach."""
    rows, columns = sorted(expected), sorted(current)
    if not rows or not columns:
        return {}
    far = 1e3
    cost = np.full((len(rows), len(columns)), far)
    for i, p in enumerate(rows):
        for j, c in enumerate(columns):
            one, other = expected[p], current[c]
            reach = settings.reach_mm + max(one.radius_mm, other.radius_mm)
            distance = float(np.linalg.norm(one.centre_lps - other.centre_lps))
            if distance <= reach:
                unlike = abs(3 * math.log(one.radius_mm / other.radius_mm))
                cost[i, j] = distance / reach + settings.unlike * unlike / 3
    # A place of its own for every lesion: to be paired has to be better than that.
    nothing = np.full((len(rows), len(rows)), far)
    np.fill_diagonal(nothing, settings.nothing)
    i, j = linear_sum_assignment(np.hstack([cost, nothing]))
    return {rows[a]: columns[b] for a, b in zip(i, j, strict=True) if b < len(columns) and cost[a, b] < far}


def _groups(
    expected: Mapping[int, Place], current: Mapping[int, Place], settings: PairSettings
) -> list[Group]:
    """Lesions that are the same: one-to-one partners, and what lies inside an outline of the other scan.

    Where an outline was drawn round several lesions of the other scan, none of those is new or gone, also
    where outlines of both scans hold several. The first of each end are the partners.
    """
    ends = expected, current
    groups: list[Group] = [([p], [c]) for p, c in sorted(_assigned(expected, current, settings).items())]
    known = [{group[k][0]: group for group in groups} for k in (0, 1)]
    for k in (0, 1):
        for number in sorted(set(ends[k]) - set(known[k])):
            home = _host(ends[k][number], ends[1 - k], settings)
            if home is None:
                continue
            if home not in known[1 - k]:
                groups.append(([], []))
                groups[-1][1 - k].append(home)
                known[1 - k][home] = groups[-1]
            known[k][number] = known[1 - k][home]
            known[k][number][k].append(number)
    return groups


def _host(lesion: Place, others: Mapping[int, Place], settings: PairSettings) -> int | None:
    """The lesion that most of this one lies in; None where none does."""
    best, most = None, settings.part
    for number, other in others.items():
        if other.radius_mm < lesion.radius_mm:
            continue
        near, _ = cKDTree(other.points_lps).query(lesion.points_lps)
        spacing = 2 * other.radius_mm / max(1.0, len(other.points_lps) ** (1 / 3))
        share = float((near <= max(settings.inside_mm, spacing)).mean())
        if share >= most:
            best, most = number, share
    return best


def _pairs(
    groups: Sequence[Group],
    expected: Mapping[int, Place],
    current: Mapping[int, Place],
    transform: Movement,
    sizes: tuple[Mapping[int, LesionSize], Mapping[int, LesionSize]],
    covered: tuple[Geometry, Geometry],
    edge_mm: float,
) -> tuple[Pair, ...]:
    made: list[Pair] = []
    for olds, news in groups:
        distance = float(np.linalg.norm(expected[olds[0]].centre_lps - current[news[0]].centre_lps))
        ends = [sizes[0][n] for n in olds], [sizes[1][n] for n in news]
        numbers = tuple(sorted(olds)), tuple(sorted(news))
        made.append(Pair(*numbers, state_of(*ends), distance, wide=is_wide(*ends)))
    paired_before = {n for pair in made for n in pair.prior}
    paired_now = {n for pair in made for n in pair.current}
    for number in sorted(set(expected) - paired_before):
        seen = _inside(expected[number].centre_lps, covered[1], edge_mm)
        made.append(Pair((number,), (), LesionState.GONE if seen else LesionState.NOT_COVERED))
    for number in sorted(set(current) - paired_now):
        back = came_from(current[number].centre_lps, transform)
        seen = back is None or _inside(back, covered[0], edge_mm)
        made.append(Pair((), (number,), LesionState.NEW if seen else LesionState.NOT_COVERED))
    return tuple(sorted(made, key=lambda p: (not p.current, min(p.current or p.prior))))


def _inside(point_lps: NDArray[np.float64], geometry: Geometry, edge_mm: float) -> bool:
    """Whether a scan shows a point: at least half a voxel and so much away from its ends."""
    index = np.asarray(geometry.lps_to_index(point_lps))
    edge = np.maximum(edge_mm / np.array(geometry.spacing_zyx_mm) - 0.5, 0.0)
    return bool(((index >= edge) & (index <= np.array(geometry.shape_zyx) - 1 - edge)).all())
