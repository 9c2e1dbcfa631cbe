"""Simulated follow-ups: one liver at two times, with the truth of what became of every lesion.

The first scan is a base (a synthetic body or a real CT) with lesions painted in. The second is the same liver
with lesions grown, shrunk, deleted, added, merged or split, moved and bent as by breathing, in another phase,
on another grid, with other noise, and sometimes cut off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from LiverLesionAILib.case.followup import LesionState, Pair
from LiverLesionAILib.volume.ct import AIR_HU, CtVolume, Geometry
from LiverLesionAILib.volume.masks import bounding_box
from numpy.typing import NDArray
from scipy import ndimage

from .rendering import coverage
from .shapes import Shape, placed_depth, procedural_shape, random_rotation
from .texture import gaussian

SPACINGS_MM = (2.0, 2.5, 3.0, 5.0)
"""Of the second scan's slices."""
PIXELS_MM = (1.3, 1.9)
MARGIN_MM = 40.0
BREATH_MM = 25.0
"""Along the body, at most; a third of it across."""
TURN_DEGREES = 4.0
BEND_MM, KNOTS_MM = 3.0, 70.0
"""SD of the knots of a cubic B-spline, and their distance."""
FIELD_MM = 6.0
CUT_SHARE, CUT_MM = 0.2, (15.0, 45.0)
"""How often the second scan ends inside the liver, and how far."""
EDGE_MM = 1.0
GAP_MM = 5.0
"""Between the outlines of lesions that are not to touch."""
DIAMETERS_MM = (7.0, 38.0)
CHANGES = {"stable": 0.4, "grown": 0.2, "shrunk": 0.15, "deleted": 0.12, "added": 0.13}
JOINT_SHARE = 0.3
"""How often two lesions merge or one splits."""


@dataclass(frozen=True, eq=False)
class BaseScan:
    """A scan that pairs are made from.

    Attributes:
        hu_zyx: float32 HU.
        liver_zyx: bool, lesions included.
        labels_zyx: uint16, lesions that are there already and stay as they are.
        real: whether it is a CT of a patient.
    """

    name: str
    hu_zyx: NDArray[np.float32]
    liver_zyx: NDArray[np.bool_]
    labels_zyx: NDArray[np.uint16]
    geometry: Geometry
    real: bool = False


@dataclass(frozen=True, eq=False)
class SimulatedScan:
    """One of the two scans with its truth: lesions are numbered by size, the largest 1."""

    volume: CtVolume
    liver_zyx: NDArray[np.bool_]
    labels_zyx: NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class SimulatedPair:
    """Two scans; `pairs` without distances, states of ones in both scans left as STABLE, MERGED or SPLIT."""

    name: str
    prior: SimulatedScan
    current: SimulatedScan
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, eq=False)
class _Painted:
    """A lesion at both times; a diameter of 0 is none.

    Attributes:
        labels: at each time; two lesions with one label are one.
    """

    centre_zyx: NDArray[np.float64]
    diameters_mm: tuple[float, float]
    labels: tuple[int, int]
    shape: Shape
    rotation: NDArray[np.float64]
    contrast_hu: float


def draw_pair(base: BaseScan, rng: np.random.Generator, name: str) -> SimulatedPair:
    """A follow-up of a base; the same state of `rng` gives the same pair."""
    return draw_course(base, rng, name, 1)[0]


def draw_course(base: BaseScan, rng: np.random.Generator, name: str, later: int) -> tuple[SimulatedPair, ...]:
    """One scan beside each of `later` ones, which show one state in other breaths, phases and grids."""
    lesions = _plan(base, rng)
    scans = [_painted(base, lesions, time, rng) for time in (0, 1)]
    first: SimulatedScan | None = None
    made = []
    for _ in range(later):
        phase = float(rng.uniform(0.65, 1.25))
        noise = rng.uniform(4.0, 16.0, 2)
        if first is None:
            first = replace(scans[0], volume=_noisy(scans[0].volume, noise[0], rng))
        second = _moved(scans[1], rng, phase)
        second = replace(second, volume=_noisy(second.volume, noise[1], rng))
        made.append(_numbered(name, first, second, scans[1]))
    return tuple(made)


def _plan(base: BaseScan, rng: np.random.Generator) -> list[_Painted]:
    """Lesions that keep their distance; the numbers of those that are there already are not used."""
    spacing = base.geometry.spacing_zyx_mm
    depth = ndimage.distance_transform_edt(base.liver_zyx & (base.labels_zyx == 0), sampling=spacing)
    inside = np.argwhere(depth > 4.0)
    taken: list[tuple[NDArray, float]] = []
    label = int(base.labels_zyx.max()) + 1
    planned: list[_Painted] = []

    def place(diameter: float) -> NDArray[np.float64] | None:
        for _ in range(60):
            centre = inside[rng.integers(len(inside))]
            free = all(
                np.linalg.norm((centre - c) * spacing) > 0.55 * diameter + r + GAP_MM for c, r in taken
            )
            if free and depth[tuple(centre)] > 0.3 * diameter:
                taken.append((centre, 0.55 * diameter))
                return centre.astype(float)
        return None

    if rng.random() < JOINT_SHARE:
        joint = _joint(place, rng, label, spacing)
        planned += joint
        label += 3
    kinds, weights = list(CHANGES), np.array(list(CHANGES.values()))
    for _ in range(int(rng.integers(1, 7))):
        kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
        diameters = _diameters(kind, rng)
        centre = place(max(diameters))
        if centre is None:
            continue
        shape = procedural_shape(rng, roughness=float(rng.uniform(0.03, 0.12)))
        contrast = float(rng.uniform(-75, -30)) if rng.random() < 0.9 else float(rng.uniform(30, 60))
        planned.append(_Painted(centre, diameters, (label, label), shape, random_rotation(rng), contrast))
        label += 1
    return planned


def _diameters(kind: str, rng: np.random.Generator) -> tuple[float, float]:
    low, high = DIAMETERS_MM
    first = float(np.exp(rng.uniform(math.log(low), math.log(high))))
    factors = {"grown": (1.3, 2.0), "shrunk": (0.4, 0.65)}
    factor = rng.uniform(*factors.get(kind, (0.95, 1.05)))
    if kind == "deleted":
        return first, 0.0
    if kind == "added":
        return 0.0, min(first, 20.0)
    second = float(np.clip(first * factor, 5.0, 60.0))
    return first, second


def _joint(place, rng: np.random.Generator, label: int, spacing: Sequence[float]) -> list[_Painted]:
    """Two round lesions apart at one time and grown into each other at the other."""
    apart_mm = float(rng.uniform(11, 16))
    grown_mm = 1.75 * apart_mm
    middle = place(2.4 * grown_mm)
    if middle is None:
        return []
    half = np.array([0.0, *np.array([math.cos(a := rng.uniform(0, math.pi)), math.sin(a)])])
    # Their outlines are 4 mm apart at one time and overlap by some millimetres at the other.
    offset = half * (apart_mm + 4.0) / 2 / np.array(spacing)
    merges = bool(rng.random() < 0.5)
    made = []
    for k, sign in enumerate((-1, 1)):
        shape = procedural_shape(rng, roughness=0.03, elongation=0.0)
        small, large = (apart_mm, label + k), (grown_mm, label + 2)
        one, other = (small, large) if merges else (large, small)
        made.append(
            _Painted(middle + sign * offset, (one[0], other[0]), (one[1], other[1]), shape, np.eye(3), -50.0)
        )
    return made


def _painted(
    base: BaseScan, lesions: Sequence[_Painted], time: int, rng: np.random.Generator
) -> SimulatedScan:
    hu, labels = base.hu_zyx.copy(), base.labels_zyx.copy()
    spacing, shape = base.geometry.spacing_zyx_mm, np.array(base.geometry.shape_zyx)
    level = float(np.median(base.hu_zyx[base.liver_zyx]))
    for lesion in lesions:
        diameter = lesion.diameters_mm[time]
        if not diameter:
            continue
        reach = np.ceil((1.4 * diameter + 4) / np.array(spacing))
        start = np.maximum(0, np.floor(lesion.centre_zyx - reach)).astype(int)
        stop = np.minimum(shape, np.ceil(lesion.centre_zyx + reach) + 1).astype(int)
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        depth = placed_depth(
            lesion.shape, diameter, lesion.rotation, lesion.centre_zyx - start, tuple(stop - start), spacing
        )
        inside = base.liver_zyx[box]
        share = coverage(depth, EDGE_MM) * gaussian(inside, 1.0, spacing)
        texture = gaussian(rng.normal(0, 1, inside.shape), 2.0, spacing)
        texture *= 6.0 / max(float(texture.std()), 1e-6)
        hu[box] += share * (level + lesion.contrast_hu + texture - hu[box])
        labels[box][(depth > 0) & inside] = lesion.labels[time]
    return SimulatedScan(CtVolume(hu, base.geometry, base.name), base.liver_zyx, labels)


def _noisy(volume: CtVolume, sd: float, rng: np.random.Generator) -> CtVolume:
    noise = gaussian(rng.normal(0, 1, volume.hu_zyx.shape), 0.8, volume.geometry.spacing_zyx_mm)
    noise *= sd / max(float(noise.std()), 1e-6)
    hu = np.clip(np.rint(volume.hu_zyx + noise), -1024, 2000).astype(np.int16)
    return replace(volume, hu_zyx=hu)


def _moved(scan: SimulatedScan, rng: np.random.Generator, phase: float) -> SimulatedScan:
    """The scan after a breath, as another scanner sees it."""
    geometry = scan.volume.geometry
    middle = np.asarray(geometry.index_to_lps(np.argwhere(scan.liver_zyx)[::50].mean(axis=0)))
    rigid = sitk.Euler3DTransform()
    rigid.SetCenter([float(v) for v in middle])
    rigid.SetRotation(*(math.radians(a) for a in rng.uniform(-TURN_DEGREES, TURN_DEGREES, 3)))
    reach = np.array([BREATH_MM / 3, BREATH_MM / 3, BREATH_MM])
    rigid.SetTranslation([float(v) for v in rng.uniform(-reach, reach)])
    target = _second_grid(scan, rigid, rng)
    reference = _image(np.zeros(target.shape_zyx, np.uint8), target)
    extent = np.array(target.extent_zyx_mm)[::-1]
    mesh = [max(2, math.ceil(float(e) / KNOTS_MM)) for e in extent]
    bend = sitk.BSplineTransformInitializer(reference, mesh, 3)
    bend.SetParameters(rng.normal(0, BEND_MM, len(bend.GetParameters())).tolist())
    # Maps points of the second scan to the first: bent, then moved.
    back = _as_field(sitk.CompositeTransform([rigid, bend]), target)

    def pulled(array: NDArray, interpolator: int, outside: float) -> NDArray:
        image = _image(array, geometry)
        return sitk.GetArrayFromImage(sitk.Resample(image, reference, back, interpolator, outside))

    hu = pulled(scan.volume.hu_zyx.astype(np.float32), sitk.sitkLinear, float(AIR_HU))
    soft = (hu > 0) & (hu < 350)
    hu[soft] = 60 + phase * (hu[soft] - 60)
    liver = pulled(scan.liver_zyx.astype(np.uint8), sitk.sitkNearestNeighbor, 0) > 0
    labels = pulled(scan.labels_zyx, sitk.sitkNearestNeighbor, 0).astype(np.uint16)
    return SimulatedScan(CtVolume(hu, target, scan.volume.name), liver, labels)


def _as_field(transform: sitk.Transform, target: Geometry) -> sitk.Transform:
    """The transform as displacements every few millimetres around a grid: ten times faster to apply."""
    step = np.full(3, FIELD_MM)
    low = np.asarray(target.index_to_lps((-0.5, -0.5, -0.5))) - FIELD_MM
    size = np.ceil(np.array(target.extent_zyx_mm)[::-1] / step).astype(int) + 3
    field = sitk.TransformToDisplacementField(
        transform,
        sitk.sitkVectorFloat64,
        size.tolist(),
        low.tolist(),
        step.tolist(),
        np.eye(3).ravel().tolist(),
    )
    return sitk.DisplacementFieldTransform(field)


def _second_grid(scan: SimulatedScan, rigid: sitk.Euler3DTransform, rng: np.random.Generator) -> Geometry:
    """Around the moved liver; sometimes it ends inside of it."""
    geometry = scan.volume.geometry
    box = bounding_box(scan.liver_zyx)
    assert box is not None
    corners = np.array(np.meshgrid(*[(s.start, s.stop) for s in box], indexing="ij")).reshape(3, -1).T
    forward = rigid.GetInverse()
    moved = np.array([
        forward.TransformPoint([float(v) for v in p]) for p in np.asarray(geometry.index_to_lps(corners))
    ])  # fmt: skip
    low, high = moved.min(axis=0) - MARGIN_MM, moved.max(axis=0) + MARGIN_MM
    if rng.random() < CUT_SHARE:
        cut = MARGIN_MM + float(rng.uniform(*CUT_MM))
        if rng.random() < 0.5:
            low[2] += cut
        else:
            high[2] -= cut
    pixel = float(rng.uniform(*PIXELS_MM))
    spacing = np.array([float(rng.choice(SPACINGS_MM)), pixel, pixel])
    shape = np.ceil((high - low)[::-1] / spacing).astype(int)
    return Geometry.make(shape, spacing, low)


def _numbered(name: str, first: SimulatedScan, second: SimulatedScan, still: SimulatedScan) -> SimulatedPair:
    """Lesions by size in each scan, and what became of each by the labels they were painted with.

    Args:
        still: the second state on the first grid; says whether a lesion that is not seen was cut off.
    """
    numbers = [_by_size(scan.labels_zyx) for scan in (first, second)]
    renumbered = [
        replace(scan, labels_zyx=_renumber(scan.labels_zyx, by))
        for scan, by in zip((first, second), numbers, strict=True)
    ]
    pairs = []
    left = set(numbers[1])
    joined = _joined(first.labels_zyx, still.labels_zyx)
    for olds, news in joined:
        before = tuple(sorted(numbers[0][n] for n in olds if n in numbers[0]))
        now = tuple(sorted(numbers[1][n] for n in news if n in numbers[1]))
        left -= set(news)
        if not before and not now:
            continue
        if before and now:
            state = LesionState.MERGED if len(before) > 1 else LesionState.STABLE
            state = LesionState.SPLIT if len(now) > 1 else state
        elif before:
            state = LesionState.NOT_COVERED if news else LesionState.GONE
        else:
            state = LesionState.NEW
        pairs.append(Pair(before, now, state))
    assert not left, "every lesion of the second scan was painted"
    return SimulatedPair(name, renumbered[0], renumbered[1], tuple(pairs))


def _joined(first: NDArray, second: NDArray) -> list[tuple[list[int], list[int]]]:
    """(labels before, labels now) that lie on each other on the first grid, alone ones too."""
    olds, news = ([int(n) for n in np.unique(a) if n] for a in (first, second))
    links = np.unique(np.stack([first[first > 0], second[first > 0]], axis=1), axis=0)
    groups: list[tuple[set[int], set[int]]] = [({n}, set()) for n in olds]
    groups += [(set(), {n}) for n in news]
    for old, new in links:
        if not new:
            continue
        one = next(g for g in groups if int(old) in g[0])
        other = next(g for g in groups if int(new) in g[1])
        if one is not other:
            groups = [g for g in groups if g is not one and g is not other]
            groups.append((one[0] | other[0], one[1] | other[1]))
    return [(sorted(a), sorted(b)) for a, b in groups]


def _by_size(labels: NDArray) -> dict[int, int]:
    values, counts = np.unique(labels[labels > 0], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return {int(values[k]): place + 1 for place, k in enumerate(order)}


def _renumber(labels: NDArray, numbers: dict[int, int]) -> NDArray[np.uint16]:
    table = np.zeros(int(labels.max()) + 1, np.uint16)
    for label, number in numbers.items():
        table[label] = number
    return table[labels]


def _image(array_zyx: NDArray, geometry: Geometry) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array_zyx))
    image.SetSpacing([float(s) for s in geometry.spacing_zyx_mm[::-1]])
    image.SetOrigin([float(o) for o in geometry.origin_lps])
    image.SetDirection([float(d) for d in np.ravel(geometry.directions_lps)])
    return image
