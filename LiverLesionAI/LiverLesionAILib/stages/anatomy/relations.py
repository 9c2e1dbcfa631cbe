"""Where each lesion lies: its segments with shares, how near each kind of vessel is, how far they touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from ...case.anatomy import (
    POSSIBLE,
    UNSURE,
    LesionAnatomy,
    LiverAnatomy,
    Vessel,
    VesselContact,
    lesion_shares,
)
from ...volume.geometry import Geometry
from ...volume.masks import BoxSlices, bounding_box, components, label_boxes

ROUND_MM = 15.0
"""Round a lesion, within which the course of a vessel that it touches is read."""


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
    # Where no vessel lies there is nothing to look at: most of a CT.
    seen = bounding_box(anatomy.vessels_zyx > 0) or tuple(slice(0, 0) for _ in spacing)
    there, corner = anatomy.vessels_zyx[seen], np.array([s.start for s in seen])
    surfaces = {
        kind: np.argwhere(_surface(np.isin(there, voxels))) + corner for kind, voxels in POSSIBLE.items()
    }
    trees = {vessel: cKDTree(points * spacing) for vessel, points in surfaces.items() if len(points)}
    found = {}
    for number, box in label_boxes(labels_zyx).items():
        around = _widened(box, anatomy.geometry)
        lesion, vessels = labels_zyx[around] == number, anatomy.vessels_zyx[around]
        points = np.argwhere(_surface(lesion)) + [s.start for s in around]
        contacts = []
        for vessel, tree in trees.items():
            away, nearest = tree.query(points * spacing)
            gaps = away - 2 * half_voxel_mm(points - surfaces[vessel][nearest], spacing)
            distance = max(0.0, float(gaps.min()))
            closest = surfaces[vessel][nearest[gaps <= max(distance, touching_mm)]]
            sure = not np.isin(anatomy.vessels_zyx[tuple(closest.T)], UNSURE).all()
            inside = np.isin(vessels, POSSIBLE[vessel])
            if distance > touching_mm and not (inside & lesion).any():
                one = VesselContact(vessel, distance)
            else:
                one = VesselContact(vessel, 0.0, *_contact(lesion, inside, spacing, touching_mm))
            # That it may be of either tree is all that is said of an unnamed one.
            contacts.append(replace(one, sure=sure or vessel is Vessel.UNNAMED))
        shares = lesion_shares(lesion, anatomy.segments_zyx[around])
        found[number] = LesionAnatomy(shares, tuple(_telling(contacts)))
    return found


def _telling(contacts: Sequence[VesselContact]) -> list[VesselContact]:
    """Without an unsure vessel where one of each tree lies nearer: whichever it is, nothing changes."""
    named = [one.distance_mm for one in contacts if one.vessel in (Vessel.HEPATIC, Vessel.PORTAL)]
    farthest = max(named) if len(named) == 2 else np.inf
    return [one for one in contacts if one.vessel is not Vessel.UNNAMED or one.distance_mm <= farthest]


def _surface(mask_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Voxels of a mask that have a face outside it."""
    box = bounding_box(mask_zyx)
    out = np.zeros(mask_zyx.shape, bool)
    if box is not None:
        out[box] = mask_zyx[box] & ~ndimage.binary_erosion(mask_zyx[box])
    return out


def half_voxel_mm(step_zyx: NDArray, spacing_zyx_mm: NDArray) -> NDArray[np.float64]:
    """From a voxel's centre to its face along lines of (n, 3) voxels; 0 for no line."""
    line = np.abs(step_zyx * spacing_zyx_mm)
    length = np.linalg.norm(line, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        along = np.where(line > 0, 0.5 * spacing_zyx_mm * length[..., None] / line, np.inf).min(axis=-1)
    return np.where(length > 0, along, 0.0)


def _contact(
    lesion_zyx: NDArray[np.bool_], vessel_zyx: NDArray[np.bool_], spacing: NDArray, touching_mm: float
) -> tuple[float, float]:
    """(length along the vessel, largest angle of its circumference) over which they touch: mm, degrees.

    The vessel is cut across its own direction; in each cut, the surface voxels that touch are counted by the
    angle at which they lie about the vessel's middle.
    """
    surface, lesion = np.argwhere(_surface(vessel_zyx)), np.argwhere(lesion_zyx)
    away, nearest = cKDTree(lesion * spacing).query(surface * spacing)
    gaps = away - 2 * half_voxel_mm(surface - lesion[nearest], spacing)
    touching = np.zeros(vessel_zyx.shape, bool)
    touching[tuple(surface[gaps <= touching_mm].T)] = True
    pieces, count = components(touching)
    best = (0.0, 0.0)
    whole = np.argwhere(vessel_zyx) * spacing
    for piece in range(1, count + 1):
        points = np.argwhere(pieces == piece) * spacing
        middle = points.mean(axis=0)
        extent = float(np.linalg.norm(points - middle, axis=1).max())
        near = whole[np.linalg.norm(whole - middle, axis=1) <= max(extent, 6.0) + 6.0]
        direction = np.linalg.svd(near - near.mean(axis=0), full_matrices=False)[2][0]
        along = (points - middle) @ direction
        length = float(np.ptp(along) + spacing.min())
        angle = max(_angle(points, near, direction, position) for position in np.unique(np.round(along)))
        best = max(best, (length, angle))
    return best


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
