"""Where each lesion lies: its segments with shares, how near each kind of vessel is, how far they touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...case.anatomy import (
    POSSIBLE,
    UNSURE,
    CouinaudSegment,
    LesionAnatomy,
    LiverAnatomy,
    SegmentShare,
    Vessel,
    VesselContact,
)
from ...volume.geometry import Geometry
from ...volume.masks import BoxSlices, bounding_box, components, label_boxes

ROUND_MM = 15.0
"""Round a lesion, within which the course of a vessel that it touches is read."""
FEW = 16
"""One of so many of a lesion's surface voxels is asked for a bound of its distance."""


def lesion_relations(
    anatomy: LiverAnatomy, labels_zyx: NDArray[np.uint16], touching_mm: float
) -> Mapping[int, LesionAnatomy]:
    """By lesion number; lesions without a voxel are left out.

    Distances are from voxel face to voxel face along the line between the nearest two centres.

    Args:
        labels_zyx: lesion numbers on `anatomy.geometry`.
        touching_mm: surfaces as near as this touch.
    """
    spacing = np.array(anatomy.geometry.spacing_zyx_mm)
    surfaces = _surfaces(anatomy.vessels_zyx)
    trees = {vessel: _tree(points * spacing) for vessel, points in surfaces.items() if len(points)}
    found = {}
    for number, box in label_boxes(labels_zyx).items():
        around = _widened(box, anatomy.geometry)
        lesion, vessels = labels_zyx[around] == number, anatomy.vessels_zyx[around]
        own = _surface(lesion)
        points = own + [s.start for s in around]
        overlapping = set(np.unique(vessels[lesion]).tolist())
        contacts = []
        for vessel, tree in trees.items():
            gaps, nearest = _gaps(tree, points, surfaces[vessel], spacing, touching_mm)
            distance = max(0.0, float(gaps.min()))
            closest = surfaces[vessel][nearest[gaps <= max(distance, touching_mm)]]
            sure = not np.isin(anatomy.vessels_zyx[tuple(closest.T)], UNSURE).all()
            if distance > touching_mm and not overlapping & set(POSSIBLE[vessel]):
                one = VesselContact(vessel, distance)
            else:
                inside = _one_of(POSSIBLE[vessel])[vessels]
                one = VesselContact(vessel, 0.0, *_contact(lesion, own, inside, spacing, touching_mm))
            # That it may be of either tree is all that is said of an unnamed one.
            contacts.append(replace(one, sure=sure or vessel is Vessel.UNNAMED))
        shares = lesion_shares(lesion, anatomy.segments_zyx[around])
        found[number] = LesionAnatomy(shares, tuple(_telling(contacts)))
    return found


def lesion_shares(
    lesion_zyx: NDArray[np.bool_], segments_zyx: NDArray[np.uint8], least: float = 0.05
) -> tuple[SegmentShare, ...]:
    """Shares of a lesion's voxels in each segment, largest first.

    Args:
        least: smaller shares are left out, unless it is the only one.
    """
    counts = np.bincount(segments_zyx[lesion_zyx], minlength=10)[1:10]
    total = int(counts.sum())
    if not total:
        return ()
    order = [int(k) for k in np.argsort(-counts, kind="stable") if counts[k]]
    kept = [k for k in order if counts[k] >= least * total] or order[:1]
    return tuple(SegmentShare(CouinaudSegment(k + 1), float(counts[k]) / total) for k in kept)


def _surfaces(vessels_zyx: NDArray[np.uint8]) -> dict[Vessel, NDArray[np.int64]]:
    """(n, 3) index of the surface of all that may be of each kind: voxels with a face outside it."""
    # Where no vessel lies there is nothing to look at: most of a CT.
    box = bounding_box(vessels_zyx > 0)
    if box is None:
        return {kind: np.zeros((0, 3), np.int64) for kind in POSSIBLE}
    places, own, beside = _faces(vessels_zyx[box])
    places += [s.start for s in box]
    out = {}
    for kind, values in POSSIBLE.items():
        of_kind = _one_of(values)
        out[kind] = places[of_kind[own] & ~of_kind[beside].all(axis=0)]
    return out


def _tree(points: NDArray[np.float64]) -> cKDTree:
    """Made quickly: it is asked about as often as it has points."""
    return cKDTree(points, compact_nodes=False, balanced_tree=False)


def _one_of(values: Sequence[int]) -> NDArray[np.bool_]:
    """By value of a voxel: it is one of these."""
    table = np.zeros(256, bool)
    table[list(values)] = True
    return table


def _surface(mask_zyx: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(n, 3) index of a mask's voxels that have a face outside it."""
    box = bounding_box(mask_zyx)
    if box is None:
        return np.zeros((0, 3), np.int64)
    places, _, beside = _faces(mask_zyx[box])
    return np.asarray(places[~beside.all(axis=0)] + [s.start for s in box])


def _faces(values_zyx: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """Of all that is not 0: index (n, 3), value (n,), and the values of its six neighbours (6, n)."""
    padded = np.pad(values_zyx, 1)
    flat, line = np.flatnonzero(padded), padded.ravel()
    steps = (padded.shape[1] * padded.shape[2], padded.shape[2], 1)
    beside = np.stack([line[flat + step] for k in steps for step in (k, -k)])
    return np.stack(np.unravel_index(flat, padded.shape), axis=1) - 1, line[flat], beside


def _gaps(
    tree: cKDTree,
    points: NDArray[np.int64],
    surface: NDArray[np.int64],
    spacing: NDArray[np.float64],
    touching_mm: float,
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """(k,) mm from those of a lesion's points that can be the nearest, or touch, to a vessel, and where.

    Args:
        tree: of the vessel's surface.
    """

    def within(some: NDArray[np.int64], most_mm: float) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        away, nearest = tree.query(some * spacing, distance_upper_bound=most_mm)
        near = np.isfinite(away)
        nearest = nearest[near]
        return away[near] - 2 * half_voxel_mm(some[near] - surface[nearest], spacing), nearest

    # A few of them say beyond which distance no other one matters.
    some, _ = within(points[::FEW], np.inf)
    return within(points, max(float(some.min()), touching_mm) + _most_of_voxels_mm(spacing))


def _most_of_voxels_mm(spacing: NDArray[np.float64]) -> float:
    """A little more than what two half voxels can take off a distance."""
    return float(np.linalg.norm(spacing)) + 1e-6


def _telling(contacts: Sequence[VesselContact]) -> list[VesselContact]:
    """Without an unsure vessel where one of each tree lies nearer: whichever it is, nothing changes."""
    named = [one.distance_mm for one in contacts if one.vessel in (Vessel.HEPATIC, Vessel.PORTAL)]
    farthest = max(named) if len(named) == 2 else np.inf
    return [one for one in contacts if one.vessel is not Vessel.UNNAMED or one.distance_mm <= farthest]


def half_voxel_mm(step_zyx: NDArray, spacing_zyx_mm: NDArray) -> NDArray[np.float64]:
    """From a voxel's centre to its face along lines of (n, 3) voxels; 0 for no line."""
    line = np.abs(step_zyx * spacing_zyx_mm)
    length = np.linalg.norm(line, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.where(line > 0, 0.5 * spacing_zyx_mm * length[..., None] / line, np.inf).min(axis=-1)
    return np.where(length > 0, along, 0.0)


def _contact(
    lesion_zyx: NDArray[np.bool_],
    surface: NDArray[np.int64],
    vessel_zyx: NDArray[np.bool_],
    spacing: NDArray[np.float64],
    touching_mm: float,
) -> tuple[float, float]:
    """(length along the vessel, largest angle of its circumference) over which they touch: mm, degrees.

    The vessel is cut across its own direction; in each cut, the surface voxels that touch are counted by the
    angle at which they lie about the vessel's middle.

    Args:
        surface: (n, 3) index of the lesion's.
    """
    of_vessel = _surface(vessel_zyx)
    inside = lesion_zyx[tuple(of_vessel.T)]
    most = touching_mm + _most_of_voxels_mm(spacing)
    away, nearest = _tree(surface * spacing).query(of_vessel * spacing, distance_upper_bound=most)
    near = np.isfinite(away) & ~inside
    step = of_vessel[near] - surface[nearest[near]]
    inside[near] = away[near] - 2 * half_voxel_mm(step, spacing) <= touching_mm
    touching = of_vessel[inside]
    best = (0.0, 0.0)
    whole = np.argwhere(vessel_zyx) * spacing
    for voxels in _pieces(touching):
        points = voxels * spacing
        middle = points.mean(axis=0)
        reach = max(float(np.linalg.norm(points - middle, axis=1).max()), 6.0) + 6.0
        first, last = np.searchsorted(whole[:, 0], (middle[0] - reach, middle[0] + reach), side="left")
        beside = whole[first : last + 1]
        beside = beside[np.linalg.norm(beside - middle, axis=1) <= reach]
        direction = np.linalg.svd(beside - beside.mean(axis=0), full_matrices=False)[2][0]
        along = (points - middle) @ direction
        length = float(np.ptp(along) + spacing.min())
        angle = max(_angle(points, beside, direction, position) for position in np.unique(np.round(along)))
        best = max(best, (length, angle))
    return best


def _pieces(voxels: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Voxels (n, 3) by the connected pieces that they make."""
    if not len(voxels):
        return []
    places = voxels - voxels.min(axis=0)
    mask = np.zeros(places.max(axis=0) + 1, bool)
    mask[tuple(places.T)] = True
    pieces, count = components(mask)
    of_voxel = pieces[tuple(places.T)]
    order = np.argsort(of_voxel, kind="stable")
    return np.split(voxels[order], np.searchsorted(of_voxel[order], np.arange(2, count + 1)))


def _angle(points: NDArray, vessel: NDArray, direction: NDArray, position: float) -> float:
    """Degrees of the circumference that is touched in one cut across a vessel."""
    middle = points.mean(axis=0)
    here = vessel[np.abs((vessel - middle) @ direction - position) <= 1.5]
    touched = points[np.abs((points - middle) @ direction - position) <= 1.5]
    if len(here) < 3 or not len(touched):
        return 0.0
    centre = here.mean(axis=0)
    first = np.linalg.svd(np.eye(3) - np.outer(direction, direction))[0][:, :2]
    flat = (touched - centre) @ first
    turns = np.sort(np.rad2deg(np.arctan2(flat[:, 1], flat[:, 0])))
    gaps = np.diff(np.append(turns, turns[0] + 360.0))
    # A gap wider than what neighbouring voxels leave is untouched.
    radius = float(np.median(np.linalg.norm((here - centre) @ first, axis=1))) * 1.5 + 1e-6
    usual = 2 * np.rad2deg(np.arctan2(1.5, radius))
    return float(max(0.0, min(360.0, 360.0 - gaps[gaps > usual].sum())))


def _widened(box: BoxSlices, geometry: Geometry) -> BoxSlices:
    """A lesion's box with :data:`ROUND_MM` round it."""
    z, y, x = (
        slice(max(0, b.start - int(np.ceil(ROUND_MM / s))), min(n, b.stop + int(np.ceil(ROUND_MM / s))))
        for b, s, n in zip(box, geometry.spacing_zyx_mm, geometry.shape_zyx, strict=True)
    )
    return z, y, x
