"""Couinaud's segments from landmarks: classical planes about the vena cava, all in patient space.

The right, the middle and the left boundary are half-planes from the IVC's line through the hepatic veins and
the umbilical fissure; the middle one turns with height, from the middle hepatic vein to the gallbladder's
fossa (Cantlie's line). A transverse plane at the portal branches parts upper from lower segments. The
caudate lobe lies in front of the IVC behind the hilum and the fissure of the ligamentum venosum.
(Couinaud C, Le foie, 1957; Bismuth H, World J Surg 1982.)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ...case.anatomy import CouinaudSegment, Landmark
from ...case.anatomy import LandmarkName as Name
from ...support.errors import InputError
from ...volume.geometry import Geometry, permuted, reoriented_geometry
from ...volume.masks import bounding_box
from . import usual

Points = NDArray[np.float64]
SLAB_POINTS = 1 << 19
BLOCK_MM = 5.0
"""Width of the blocks that lie between planes or not: planes bend less than that."""


def segments_from_landmarks(
    landmarks: Mapping[str, Landmark], liver_zyx: NDArray[np.bool_], geometry: Geometry
) -> NDArray[np.uint8]:
    """The segment of every voxel of the liver.

    Quick enough to follow a landmark that is dragged: well below a second for a liver of a clinical CT.

    Args:
        landmarks: all of :class:`LandmarkName`.
        liver_zyx: bool, on `geometry`, whose axes may run anyhow.

    Returns:
        uint8 on `geometry`: a :class:`CouinaudSegment` in the liver, 0 elsewhere.

    Raises:
        InputError: a landmark is missing.
    """
    upright = reoriented_geometry(geometry)
    if not upright.matches(geometry):
        # The same blocks and the same sample of voxels, however the array runs.
        segments = segments_from_landmarks(landmarks, permuted(liver_zyx, geometry, upright), upright)
        return np.ascontiguousarray(permuted(segments, upright, geometry))
    planes = Planes(landmarks)
    out = np.zeros(liver_zyx.shape, np.uint8)
    box = bounding_box(liver_zyx)
    if box is None:
        return out
    mask, start = np.ascontiguousarray(liver_zyx[box]), np.array([b.start for b in box])
    inside = np.flatnonzero(mask)

    def points(flat: NDArray[np.int64]) -> Points:
        return geometry.index_to_lps(np.stack(np.unravel_index(flat, mask.shape), axis=-1) + start)

    # Every 16th point is plenty for the middle of the left lateral sector.
    level = planes.lateral_level(points(inside[:: max(1, len(inside) // 20000)]))
    part = np.where(mask, _between_planes(planes, level, mask.shape, start, geometry), 0).astype(np.uint8)
    flat_part = part.reshape(-1)
    unsure = inside[flat_part[inside] == 0]
    for first in range(0, len(unsure), SLAB_POINTS):
        slab = unsure[first : first + SLAB_POINTS]
        flat_part[slab] = planes.segments(points(slab), level)
    out[box] = part
    return out


def _between_planes(
    planes: Planes, level: float, shape: tuple[int, ...], start: NDArray[np.int64], geometry: Geometry
) -> NDArray[np.uint8]:
    """The segment of every block of voxels whose eight corners lie in the same one; 0 where a plane passes.

    Planes are smooth, so most of a liver needs no more than its blocks' corners.

    Args:
        shape, start: of the box of `geometry` that is asked for.

    Returns:
        uint8 of `shape`.
    """
    steps = [max(1, round(BLOCK_MM / spacing)) for spacing in geometry.spacing_zyx_mm]
    counts = [-(-n // step) + 1 for n, step in zip(shape, steps, strict=True)]
    corners = np.stack(np.indices(counts), axis=-1).reshape(-1, 3) * steps + start
    at = planes.segments(geometry.index_to_lps(corners), level).reshape(counts)
    low = high = at
    for axis in range(3):
        low = np.minimum(np.delete(low, -1, axis), np.delete(low, 0, axis))
        high = np.maximum(np.delete(high, -1, axis), np.delete(high, 0, axis))
    blocks = np.where(low == high, low, 0).astype(np.uint8)
    for axis, (step, n) in enumerate(zip(steps, shape, strict=True)):
        blocks = np.repeat(blocks, step, axis=axis).take(range(n), axis=axis)
    return blocks


class Planes:
    """The boundaries that a set of landmarks makes.

    Raises:
        InputError: a landmark is missing.
    """

    def __init__(self, landmarks: Mapping[str, Landmark]) -> None:
        missing = [name for name in Name.ALL if name not in landmarks]
        if missing:
            raise InputError(f"Segments need all landmarks; there is no {', '.join(missing)}.")
        self._landmarks = dict(landmarks)
        self._at = {name: np.array(landmarks[name].lps, float) for name in Name.ALL}

    def ivc(self, z: NDArray) -> tuple[NDArray, NDArray]:
        """x and y of the IVC's line at heights `z`, mm."""
        high, low = self._at[Name.IVC_HIGH], self._at[Name.IVC_LOW]
        rise = high[2] - low[2]
        t = np.clip((z - low[2]) / (rise if abs(rise) > 5 else 5.0), -1.0, 1.3)
        return low[0] + t * (high[0] - low[0]), low[1] + t * (high[1] - low[1])

    def angle(self, points_lps: Points) -> NDArray:
        """Degrees about the IVC from straight ahead, positive towards the patient's right."""
        x, y = self.ivc(points_lps[..., 2])
        return np.rad2deg(np.arctan2(-(points_lps[..., 0] - x), -(points_lps[..., 1] - y)))

    def middle_angle(self, z: NDArray) -> NDArray:
        """Of Cantlie's plane at heights `z`: from the middle hepatic vein's to the fossa's."""
        vein, fossa = self._at[Name.MIDDLE_VEIN], self._at[Name.GALLBLADDER]
        at_vein = float(self.angle(vein))
        # A fossa that is only guessed turns the plane less.
        certain = min(1.0, 12.0 / max(self._landmarks[Name.GALLBLADDER].uncertainty_mm, 1e-3))
        turned = float(self.angle(fossa)) + usual.BEYOND_FOSSA_DEG
        at_fossa = at_vein + certain * (turned - at_vein)
        height = vein[2] - fossa[2]
        t = np.clip((vein[2] - z) / (height if height > 10 else 10.0), 0.0, 1.0)
        return at_vein + t * (at_fossa - at_vein)

    def fissure_x(self, points_lps: Points) -> NDArray:
        """x of the left boundary: along the umbilical fissure, behind it towards the left hepatic vein."""
        bend, end, high = (self._at[n] for n in (Name.UMBILICAL_BEND, Name.UMBILICAL_END, Name.IVC_HIGH))
        y = points_lps[..., 1]
        length = end[1] - bend[1]
        slope = 0.0 if length > -4 else float(np.clip((end[0] - bend[0]) / length, *(_BOTH * usual.STEEPEST)))
        ahead = bend[0] + slope * (y - bend[1])
        back = max(high[1] - bend[1], 8.0)
        behind = bend[0] + np.clip((y - bend[1]) / back, 0.0, 1.0) * (high[0] + 10.0 - bend[0])
        return np.where(y < bend[1], ahead, behind)

    def is_right(self, points_lps: Points) -> NDArray[np.bool_]:
        """Right of Cantlie's plane."""
        angle = self.angle(points_lps)
        return (angle > self.middle_angle(points_lps[..., 2])) | (angle < usual.BEHIND_DEG)

    def is_caudate(self, points_lps: Points) -> NDArray[np.bool_]:
        """In front of the IVC, behind hilum and ligamentum venosum, below the hepatic veins."""
        x, y, z = np.moveaxis(points_lps, -1, 0)
        fork, bend, high = (self._at[n] for n in (Name.BIFURCATION, Name.UMBILICAL_BEND, Name.IVC_HIGH))
        ivc_x, ivc_y = self.ivc(z)
        low_y, high_y = fork[1] + usual.CAUDATE_FRONT_MM[0], high[1] + usual.CAUDATE_FRONT_MM[1]
        t = np.clip((z - fork[2]) / max(high[2] - fork[2], 10.0), -0.5, 1.0)
        front = low_y + t * (high_y - low_y) + usual.CAUDATE_SLOPE * (x - fork[0] - t * (high[0] - fork[0]))
        right, beyond_bend, least = usual.CAUDATE_SIDES_MM
        side = (x > ivc_x + right) & (x < np.maximum(bend[0] + beyond_bend, ivc_x + least))
        below, above = usual.CAUDATE_ENDS_MM
        height = (z > fork[2] - below) & (z < high[2] - above)
        # Lower still hang its papillary process, where no other segment lies, and right of the cava's middle,
        # in front of it and tapering, the process that joins it to the right liver.
        process, behind_front = usual.CAUDATE_PROCESS_MM
        tapered = 1.0 - np.clip((fork[2] - below - z) / (process - below), 0.0, 1.0)
        lower = (z <= fork[2] - below) & (z > fork[2] - process) & (y > front + behind_front)
        height |= lower & ((x > ivc_x) | ((x > ivc_x + right * tapered) & (y < ivc_y)))
        return (y > front) & (y < ivc_y + usual.CAUDATE_BEHIND_MM) & side & height

    def lateral_level(self, points_lps: Points) -> float:
        """Where II ends and III begins, along :data:`.usual.LATERAL_UP`, mm.

        Between the left hepatic vein and the middle of the left lateral sector, the surer the nearer.

        Args:
            points_lps: a sample of the liver's voxels.
        """
        lateral = (
            ~self.is_right(points_lps)
            & (points_lps[:, 0] > self.fissure_x(points_lps))
            & ~self.is_caudate(points_lps)
        )
        vein = float(_lateral_up(self._at[Name.LEFT_VEIN]))
        if not lateral.any():
            return vein
        half = float(np.median(_lateral_up(points_lps[lateral])))
        own, other = self._landmarks[Name.LEFT_VEIN].uncertainty_mm ** 2, usual.HALF_SPREAD_MM**2
        return (vein * other + half * own) / max(own + other, 1e-6)

    def segments(self, points_lps: Points, lateral_level: float) -> NDArray[np.uint8]:
        """Segment of every point, shape (n,); `lateral_level` of :meth:`lateral_level`."""
        z = points_lps[..., 2]
        angle = self.angle(points_lps)
        behind = angle < usual.BEHIND_DEG
        right = (angle > self.middle_angle(z)) | behind
        posterior = (angle > float(self.angle(self._at[Name.RIGHT_VEIN]))) | behind
        upper = z > self._at[Name.RIGHT_FORK][2]
        umbilical = (self._at[Name.UMBILICAL_BEND][2] + self._at[Name.UMBILICAL_END][2]) / 2
        lateral = points_lps[..., 0] > self.fissure_x(points_lps)
        s = CouinaudSegment
        out = np.where(upper, np.where(posterior, s.VII, s.VIII), np.where(posterior, s.VI, s.V))
        left = np.where(z > umbilical, s.IVA, s.IVB)
        left = np.where(lateral, np.where(_lateral_up(points_lps) > lateral_level, s.II, s.III), left)
        out = np.where(right, out, left)
        return np.where(self.is_caudate(points_lps), s.I, out).astype(np.uint8)


_BOTH = np.array((-1.0, 1.0))


def _lateral_up(points_lps: Points) -> NDArray:
    """How far backwards and upwards, mm."""
    back, up = usual.LATERAL_UP
    return back * points_lps[..., 1] + up * points_lps[..., 2]
