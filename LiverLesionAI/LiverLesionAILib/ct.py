"""CT volumes and their geometry: the one place where coordinates are decided.

Arrays are indexed z, y, x. Patient space is LPS in millimetres (x grows to the patient's left, y to posterior,
z to superior), the space of DICOM and ITK. A voxel's coordinates are those of its centre.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .errors import GeometryError

LPS_AXES = np.eye(3)


@dataclass(frozen=True, eq=False)
class Geometry:
    """A regular grid in patient space.

    Attributes:
        shape_zyx: number of voxels along z, y, x of the array.
        spacing_zyx_mm: distance between voxel centres along the array's z, y, x axes.
        origin_lps: centre of voxel (0, 0, 0), mm.
        directions_lps: 3 x 3; **column** 0, 1, 2 is the unit vector along the array's x, y, z axis (ITK's convention).
    """

    shape_zyx: tuple[int, int, int]
    spacing_zyx_mm: tuple[float, float, float]
    origin_lps: tuple[float, float, float]
    directions_lps: NDArray[np.float64]

    @classmethod
    def make(
        cls,
        shape_zyx: tuple[int, ...],
        spacing_zyx_mm: tuple[float, ...] = (1.0, 1.0, 1.0),
        origin_lps: tuple[float, ...] = (0.0, 0.0, 0.0),
        directions_lps: NDArray[np.float64] | None = None,
    ) -> Geometry:
        """Build a geometry from any sequence types; directions default to the LPS axes."""
        directions = LPS_AXES if directions_lps is None else np.asarray(directions_lps, float).reshape(3, 3)
        shape = tuple(int(n) for n in shape_zyx)
        spacing = tuple(float(s) for s in spacing_zyx_mm)
        origin = tuple(float(o) for o in origin_lps)
        return cls(shape, spacing, origin, directions.copy())  # type: ignore[arg-type]

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel, mm3."""
        return float(np.prod(self.spacing_zyx_mm))

    @property
    def ijk_to_lps(self) -> NDArray[np.float64]:
        """4 x 4 matrix from homogeneous (x, y, z) index to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.directions_lps * np.array(self.spacing_zyx_mm[::-1])
        matrix[:3, 3] = self.origin_lps
        return matrix

    def index_to_lps(self, index_zyx: NDArray | tuple[float, ...]) -> NDArray[np.float64]:
        """Map (..., 3) z, y, x indices (may be fractional) to (..., 3) LPS x, y, z mm."""
        index_xyz = np.asarray(index_zyx, float)[..., ::-1]
        matrix = self.ijk_to_lps
        return index_xyz @ matrix[:3, :3].T + matrix[:3, 3]

    def lps_to_index(self, points_lps: NDArray | tuple[float, ...]) -> NDArray[np.float64]:
        """Map (..., 3) LPS x, y, z mm to (..., 3) fractional z, y, x indices."""
        matrix = self.ijk_to_lps
        shifted = np.asarray(points_lps, float) - matrix[:3, 3]
        return (shifted @ np.linalg.inv(matrix[:3, :3]).T)[..., ::-1]

    def cropped(self, start_zyx: tuple[int, ...], stop_zyx: tuple[int, ...]) -> Geometry:
        """Geometry of `array[start:stop]` per axis; indices may lie outside the grid (padding)."""
        shape = tuple(int(b - a) for a, b in zip(start_zyx, stop_zyx, strict=True))
        return replace(self, shape_zyx=shape, origin_lps=tuple(self.index_to_lps(tuple(start_zyx))))

    def with_spacing(self, spacing_zyx_mm: tuple[float, float, float]) -> Geometry:
        """The grid over the same extent (outer voxel faces) with about this spacing, axes unchanged.

        The number of voxels is rounded up, the spacing is kept exactly, and the new grid is centred on the old.
        """
        old_mm = np.array(self.shape_zyx) * np.array(self.spacing_zyx_mm)
        new_spacing = np.array(spacing_zyx_mm, float)
        shape = np.maximum(1, np.ceil(old_mm / new_spacing - 1e-6)).astype(int)
        first_zyx = ((old_mm - shape * new_spacing) / 2 + new_spacing / 2) / np.array(
            self.spacing_zyx_mm
        ) - 0.5
        return Geometry.make(
            tuple(shape), tuple(new_spacing), tuple(self.index_to_lps(first_zyx)), self.directions_lps
        )

    def matches(self, other: Geometry, tolerance: float = 1e-3) -> bool:
        """Whether both are the same grid: equal shape, and corners within `tolerance` voxels."""
        if self.shape_zyx != other.shape_zyx:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape_zyx], indexing="ij")).reshape(3, -1).T
        return bool(np.abs(other.lps_to_index(self.index_to_lps(corners)) - corners).max() <= tolerance)


@dataclass(frozen=True, eq=False)
class CtVolume:
    """A CT in Hounsfield units with its patient geometry.

    Attributes:
        hu_zyx: HU, int16 or float32.
        geometry: its grid.
        name: what the reader calls it (file or series name).
        warnings: what was changed or doubtful on reading, in sentences for the reader.
    """

    hu_zyx: NDArray
    geometry: Geometry
    name: str = "CT"
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if tuple(self.hu_zyx.shape) != self.geometry.shape_zyx:
            raise GeometryError(
                f"{self.name}: the array has shape {self.hu_zyx.shape}, its geometry {self.geometry.shape_zyx}."
            )


def axis_permutation(source: Geometry, target: Geometry) -> tuple[tuple[int, int, int], tuple[bool, ...]]:
    """How to permute and flip `source`'s array axes so that they run like `target`'s.

    Returns:
        (axes_zyx, flips_zyx): target axis a is source axis axes[a], reversed where flips[a].

    Raises:
        GeometryError: the axes are not parallel (within 0.1 degree).
    """
    cosines_xyz = (
        target.directions_lps.T @ source.directions_lps
    )  # rows: target x, y, z; columns: source x, y, z
    order_xyz = np.abs(cosines_xyz).argmax(axis=1)
    best = cosines_xyz[np.arange(3), order_xyz]
    if sorted(order_xyz) != [0, 1, 2] or np.abs(best).min() < 1 - 1.6e-6:
        raise GeometryError("The two grids are rotated against each other; resample one of them first.")
    axes = tuple(int(2 - order_xyz[2 - a]) for a in range(3))
    flips = tuple(bool(best[2 - a] < 0) for a in range(3))
    return axes, flips  # type: ignore[return-value]


def reoriented_geometry(geometry: Geometry) -> Geometry:
    """The same grid with axes permuted and flipped so that x, y, z run most nearly along L, P, S."""
    directions = geometry.directions_lps
    best_score, best_order = -1.0, (0, 1, 2)
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        score = sum(abs(directions[world, column]) for world, column in enumerate(order))
        if score > best_score + 1e-9:
            best_score, best_order = score, order
    index_zyx = np.zeros(3)
    columns, shape_xyz, spacing_xyz = [], [], []
    for world, column in enumerate(best_order):
        flip = directions[world, column] < 0
        columns.append(-directions[:, column] if flip else directions[:, column])
        axis = 2 - column
        shape_xyz.append(geometry.shape_zyx[axis])
        spacing_xyz.append(geometry.spacing_zyx_mm[axis])
        if flip:
            index_zyx[axis] = geometry.shape_zyx[axis] - 1
    return Geometry.make(
        tuple(shape_xyz[::-1]),
        tuple(spacing_xyz[::-1]),
        tuple(geometry.index_to_lps(index_zyx)),
        np.stack(columns, axis=1),
    )


def permuted(array_zyx: NDArray, source: Geometry, target: Geometry) -> NDArray:
    """View of `array_zyx` (on `source`) with its axes running like `target`'s; no copy."""
    axes, flips = axis_permutation(source, target)
    return np.transpose(array_zyx, axes)[tuple(slice(None, None, -1 if f else 1) for f in flips)]


def reorient(volume: CtVolume) -> CtVolume:
    """The same voxels with x, y, z running most nearly along L, P, S (oblique stays oblique); a view."""
    target = reoriented_geometry(volume.geometry)
    return replace(volume, hu_zyx=permuted(volume.hu_zyx, volume.geometry, target), geometry=target)


def resampling_weights(
    n_in: int, spacing_in_mm: float, n_out: int, spacing_out_mm: float, first_out: float
) -> NDArray[np.float32]:
    """Matrix (n_out, n_in) that resamples one axis; `first_out` is the input index of output voxel 0.

    Linear interpolation when the output is finer; a triangle as wide as the output spacing when it is coarser, so
    that nothing aliases. Rows sum to 1; positions outside take the nearest border value.
    """
    position = first_out + np.arange(n_out) * (spacing_out_mm / spacing_in_mm)
    half = max(1.0, spacing_out_mm / spacing_in_mm)
    position = np.clip(position, 0.0, n_in - 1.0)
    weights = np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(n_in)[None, :]) / half)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def resample(array_zyx: NDArray, source: Geometry, target: Geometry) -> NDArray[np.float32]:
    """Resample onto a grid whose axes are parallel to the source's, with anti-aliased linear interpolation.

    Args:
        array_zyx: any numeric array on `source`.
        source, target: the two grids; axes may be permuted and flipped against each other, not rotated.

    Returns:
        float32 array on `target`; outside the source the border value is repeated.

    Raises:
        GeometryError: the grids are rotated against each other.
    """
    axes, _ = axis_permutation(source, target)
    array = permuted(array_zyx, source, target)
    spacing_in = [source.spacing_zyx_mm[a] for a in axes]
    # Index of target voxel 0 on the permuted source: project the offset of the origins on the target's axes.
    first = np.zeros(3)
    corner = source.lps_to_index(target.index_to_lps((0.0, 0.0, 0.0)))
    _, flips = axis_permutation(source, target)
    for a in range(3):
        position = corner[axes[a]]
        first[a] = source.shape_zyx[axes[a]] - 1 - position if flips[a] else position
    steps = []
    for a in range(3):
        same = (
            array.shape[a] == target.shape_zyx[a]
            and abs(first[a]) < 1e-4
            and abs(spacing_in[a] - target.spacing_zyx_mm[a]) * array.shape[a] < 1e-3 * spacing_in[a]
        )
        if not same:
            steps.append(
                (
                    target.shape_zyx[a] / array.shape[a],
                    a,
                    resampling_weights(
                        array.shape[a], spacing_in[a], target.shape_zyx[a], target.spacing_zyx_mm[a], first[a]
                    ),
                )
            )
    # Shrinking axes first keeps the intermediate arrays small.
    for _, a, weights in sorted(steps, key=lambda step: step[0]):
        used = np.flatnonzero(weights.any(axis=0))
        lo, hi = int(used[0]), int(used[-1]) + 1
        part = np.asarray(
            np.take(array, range(lo, hi), axis=a) if hi - lo < array.shape[a] else array, np.float32
        )
        array = np.moveaxis(np.tensordot(weights[:, lo:hi], part, axes=(1, a)), 0, a)
    return np.ascontiguousarray(array, dtype=np.float32)
