"""Regular grids in patient space, and arrays on them: permute, flip, crop, pad.

Arrays are indexed z, y, x. Patient space is LPS in millimetres (x grows to the patient's left, y to
posterior, z to superior), the space of DICOM and ITK. A voxel's coordinates are those of its centre.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..support.errors import GeometryError

Vec3 = tuple[float, float, float]
"""A point, a vector or lengths; its name says the space and the order of the axes."""
Index3 = tuple[int, int, int]

LPS_AXES = np.eye(3)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # its own inverse
# Cosine between axes that count as perpendicular: 0.01 degrees, under 0.1 mm over a whole abdomen.
PARALLEL_TOLERANCE = 2e-4
ORTHONORMAL_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Geometry:
    """A regular grid in patient space.

    Attributes:
        shape_zyx: number of voxels along z, y, x of the array.
        spacing_zyx_mm: distance between voxel centres along the array's z, y, x axes.
        origin_lps: centre of voxel (0, 0, 0), mm.
        directions_lps: 3 x 3; **column** 0, 1, 2 is the unit vector along the array's x, y, z axis (ITK's
            convention); perpendicular, left- or right-handed.

    Raises:
        GeometryError: an empty grid, a spacing that is not a positive number, axes that are not
            perpendicular.
    """

    shape_zyx: Index3
    spacing_zyx_mm: Vec3
    origin_lps: Vec3
    directions_lps: NDArray[np.float64]

    def __post_init__(self) -> None:
        if min(self.shape_zyx) < 1:
            raise GeometryError(f"A volume of {self.shape_zyx} voxels (z, y, x) is empty.")
        spacing = np.asarray(self.spacing_zyx_mm, float)
        if not np.isfinite(spacing).all() or spacing.min() <= 0:
            raise GeometryError(f"The voxel spacing {self.spacing_zyx_mm} mm (z, y, x) is not positive.")
        if not np.isfinite(np.asarray(self.origin_lps, float)).all():
            raise GeometryError(f"The origin {self.origin_lps} is not a position.")
        gram = self.directions_lps.T @ self.directions_lps
        if not np.abs(gram - np.eye(3)).max() <= ORTHONORMAL_TOLERANCE:  # also true for NaN
            raise GeometryError("The axes of the grid are not perpendicular unit vectors (a sheared grid).")

    @classmethod
    def make(
        cls,
        shape_zyx: ArrayLike,
        spacing_zyx_mm: ArrayLike = (1.0, 1.0, 1.0),
        origin_lps: ArrayLike = (0.0, 0.0, 0.0),
        directions_lps: ArrayLike | None = None,
    ) -> Geometry:
        """Build a geometry from any sequence types; directions default to the LPS axes."""
        directions = np.array(LPS_AXES if directions_lps is None else directions_lps, float).reshape(3, 3)
        directions.setflags(write=False)
        return cls(index_triple(shape_zyx), triple(spacing_zyx_mm), triple(origin_lps), directions)

    @classmethod
    def from_ijk_to_lps(cls, shape_zyx: ArrayLike, matrix: ArrayLike) -> Geometry:
        """The grid of a 4 x 4 matrix from homogeneous (x, y, z) index to LPS mm.

        Raises:
            GeometryError: the matrix is singular or shears.
        """
        matrix = np.asarray(matrix, float)
        spacing_xyz = np.linalg.norm(matrix[:3, :3], axis=0)
        if not np.isfinite(spacing_xyz).all() or spacing_xyz.min() <= 0:
            raise GeometryError("The matrix from voxels to the patient is singular.")
        return cls.make(shape_zyx, spacing_xyz[::-1], matrix[:3, 3], matrix[:3, :3] / spacing_xyz)

    @classmethod
    def from_ijk_to_ras(cls, shape_zyx: ArrayLike, matrix: ArrayLike) -> Geometry:
        """The grid of a 4 x 4 matrix from homogeneous (x, y, z) index to RAS mm, as Slicer and NIfTI have it.

        Raises:
            GeometryError: the matrix is singular or shears.
        """
        return cls.from_ijk_to_lps(shape_zyx, LPS_TO_RAS @ np.asarray(matrix, float))

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel, mm3."""
        return float(np.prod(self.spacing_zyx_mm))

    @property
    def extent_zyx_mm(self) -> Vec3:
        """Edge lengths of the grid between its outer voxel faces, mm, along the array's axes."""
        z, y, x = (n * s for n, s in zip(self.shape_zyx, self.spacing_zyx_mm, strict=True))
        return z, y, x

    @property
    def ijk_to_lps(self) -> NDArray[np.float64]:
        """4 x 4 matrix from homogeneous (x, y, z) index to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.directions_lps * np.array(self.spacing_zyx_mm[::-1])
        matrix[:3, 3] = self.origin_lps
        return matrix

    @property
    def ijk_to_ras(self) -> NDArray[np.float64]:
        """4 x 4 matrix from homogeneous (x, y, z) index to RAS mm: what a Slicer volume node holds."""
        return LPS_TO_RAS @ self.ijk_to_lps

    def index_to_lps(self, index_zyx: ArrayLike) -> NDArray[np.float64]:
        """Map (..., 3) z, y, x indices (may be fractional) to (..., 3) LPS x, y, z mm."""
        index_xyz = np.asarray(index_zyx, float)[..., ::-1]
        matrix = self.ijk_to_lps
        return index_xyz @ matrix[:3, :3].T + matrix[:3, 3]

    def lps_to_index(self, points_lps: ArrayLike) -> NDArray[np.float64]:
        """Map (..., 3) LPS x, y, z mm to (..., 3) fractional z, y, x indices."""
        matrix = self.ijk_to_lps
        shifted = np.asarray(points_lps, float) - matrix[:3, 3]
        return (shifted @ np.linalg.inv(matrix[:3, :3]).T)[..., ::-1]

    def cropped(self, start_zyx: ArrayLike, stop_zyx: ArrayLike) -> Geometry:
        """Geometry of `array[start:stop]` per axis; indices may lie outside the grid (padding).

        Raises:
            GeometryError: the box is empty.
        """
        start, stop = np.asarray(start_zyx, int), np.asarray(stop_zyx, int)
        origin_lps = triple(self.index_to_lps(start))
        return replace(self, shape_zyx=index_triple(stop - start), origin_lps=origin_lps)

    def with_spacing(self, spacing_zyx_mm: ArrayLike) -> Geometry:
        """The grid over the same extent (outer voxel faces) with this spacing, axes unchanged.

        The number of voxels is rounded up, the spacing is kept exactly, and the new grid is centred on the
        old.
        """
        old_mm, old_spacing = np.array(self.extent_zyx_mm), np.array(self.spacing_zyx_mm)
        new_spacing = np.asarray(spacing_zyx_mm, float)
        shape = np.maximum(1, np.ceil(old_mm / new_spacing - 1e-6)).astype(int)
        first_mm = (old_mm - shape * new_spacing + new_spacing) / 2  # from the old grid's outer face
        first_zyx = first_mm / old_spacing - 0.5
        return Geometry.make(shape, new_spacing, self.index_to_lps(first_zyx), self.directions_lps)

    def matches(self, other: Geometry, tolerance: float = 1e-3) -> bool:
        """Whether both are the same grid: equal shape, and corners within `tolerance` voxels."""
        if self.shape_zyx != other.shape_zyx:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape_zyx], indexing="ij")).reshape(3, -1).T
        # One voxel beyond the far corner, so that a single-slice grid still compares its spacing.
        corners = np.concatenate([corners, [self.shape_zyx]])
        return bool(np.abs(other.lps_to_index(self.index_to_lps(corners)) - corners).max() <= tolerance)


def triple(values: ArrayLike) -> Vec3:
    """Three numbers of any sequence type as plain floats.

    Raises:
        GeometryError: they are not three.
    """
    numbers = np.asarray(values, float).tolist()
    if np.shape(numbers) != (3,):
        raise GeometryError(f"{numbers} are not three numbers: the grid is not three-dimensional.")
    return numbers[0], numbers[1], numbers[2]


def index_triple(values: ArrayLike) -> Index3:
    """:func:`triple` as whole numbers; fractions are cut off."""
    first, second, third = triple(values)
    return int(first), int(second), int(third)


def lps_to_ras(points: ArrayLike) -> NDArray[np.float64]:
    """Turn (..., 3) points or vectors from LPS into RAS, or back: it is its own inverse."""
    turned: NDArray[np.float64] = np.asarray(points, float) * LPS_TO_RAS.diagonal()[:3]
    return turned


def axis_permutation(source: Geometry, target: Geometry) -> tuple[Index3, tuple[bool, bool, bool]]:
    """How to permute and flip `source`'s array axes so that they run like `target`'s.

    Returns:
        (axes_zyx, flips_zyx): target axis a is source axis axes[a], reversed where flips[a].

    Raises:
        GeometryError: the axes are not parallel (within about 0.01 degrees).
    """
    # Rows: target x, y, z; columns: source x, y, z.
    cosines_xyz = target.directions_lps.T @ source.directions_lps
    order_xyz = np.abs(cosines_xyz).argmax(axis=1)
    others = cosines_xyz.copy()
    others[np.arange(3), order_xyz] = 0.0
    # Judged by the off-axis parts: a cosine near one hides the angle. The grids' own skew counts beside it.
    skew = max(
        float(np.abs(g.directions_lps.T @ g.directions_lps - np.eye(3)).max()) for g in (source, target)
    )
    if sorted(order_xyz) != [0, 1, 2] or np.abs(others).max() > PARALLEL_TOLERANCE + skew:
        raise GeometryError("The two grids are rotated against each other; resample one of them first.")
    flip_z, flip_y, flip_x = (bool(cosines_xyz[2 - a, order_xyz[2 - a]] < 0) for a in range(3))
    return index_triple(2 - order_xyz[::-1]), (flip_z, flip_y, flip_x)


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
        shape_xyz[::-1], spacing_xyz[::-1], geometry.index_to_lps(index_zyx), np.stack(columns, axis=1)
    )


def permuted(array_zyx: NDArray[Any], source: Geometry, target: Geometry) -> NDArray[Any]:
    """View of `array_zyx` (on `source`) with its axes running like `target`'s; no copy."""
    axes, flips = axis_permutation(source, target)
    return np.transpose(array_zyx, axes)[tuple(slice(None, None, -1 if f else 1) for f in flips)]


def crop_array(
    array_zyx: NDArray[Any], start_zyx: ArrayLike, stop_zyx: ArrayLike, fill: float = 0
) -> NDArray[Any]:
    """`array[start:stop]` per axis, where indices outside the array give `fill`.

    A view when nothing is outside.

    Raises:
        GeometryError: the box is empty.
    """
    start, stop = np.asarray(start_zyx, int), np.asarray(stop_zyx, int)
    if (stop <= start).any():
        raise GeometryError(f"The box from {start.tolist()} to {stop.tolist()} (z, y, x) is empty.")
    inside_start = np.clip(start, 0, array_zyx.shape)
    inside_stop = np.clip(stop, inside_start, array_zyx.shape)
    inside = array_zyx[tuple(slice(a, b) for a, b in zip(inside_start, inside_stop, strict=True))]
    if (inside_start == start).all() and (inside_stop == stop).all():
        return inside
    padded = np.full(tuple(stop - start), fill, array_zyx.dtype)
    padded[tuple(slice(a, b) for a, b in zip(inside_start - start, inside_stop - start, strict=True))] = (
        inside
    )
    return padded


def paste(part_zyx: NDArray[Any], whole_zyx: NDArray[Any], start_zyx: ArrayLike) -> None:
    """Undo a crop: write `part` into `whole` with its first voxel at `start`; what lies outside is dropped.

    Args:
        part_zyx: result on a crop.
        whole_zyx: array of the uncropped grid, changed in place.
        start_zyx: the crop's start, may be negative.
    """
    start = np.asarray(start_zyx, int)
    stop = start + part_zyx.shape
    to_start = np.clip(start, 0, whole_zyx.shape)
    to_stop = np.clip(stop, to_start, whole_zyx.shape)
    target = tuple(slice(a, b) for a, b in zip(to_start, to_stop, strict=True))
    source = tuple(slice(a, b) for a, b in zip(to_start - start, to_stop - start, strict=True))
    whole_zyx[target] = part_zyx[source]
