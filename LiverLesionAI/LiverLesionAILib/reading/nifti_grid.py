"""Where a NIfTI file lies in the patient: one policy for sform, qform and pixdim.

The rule, its reasons and its alternatives: Resources/decisions/nifti-grid.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..support.errors import InputError
from ..support.text import path_text
from ..volume.geometry import LPS_TO_RAS
from .image_header import damaged, same_size
from .slices import slice_axis

GRIDS = ("sform", "qform")
# Two readings that differ by less than this, in voxels, are one.
ONE_VOXEL, ROUNDING_VOXELS = 1.0, 0.05
# Cosine between axes of a tilted gantry's grid; less is rounding.
SHEAR = 0.002
CODES = range(6)


@dataclass(frozen=True, eq=False)
class NiftiPlace:
    """What a header says on the position of its voxels, as it stands there.

    Attributes:
        shape_xyz: voxels.
        pixdim: qfac and the sizes along x, y, z, in file units.
        qform_code, sform_code: 0 where the header says that there is none.
        quaternion: b, c, d.
        qoffset: in file units.
        sform_ras: (3, 4), index x, y, z to RAS in file units.
        unit_mm: one file unit in mm.
    """

    shape_xyz: tuple[int, int, int]
    pixdim: tuple[float, float, float, float]
    qform_code: int
    sform_code: int
    quaternion: tuple[float, float, float]
    qoffset: tuple[float, float, float]
    sform_ras: NDArray[np.float64]
    unit_mm: float

    @property
    def sizes(self) -> tuple[float, float, float]:
        return self.pixdim[1:]


@dataclass(frozen=True, eq=False)
class NiftiGrid:
    """The reading that was taken.

    Attributes:
        ijk_to_lps: 4 x 4, mm; may shear.
        warnings: what the header contradicts itself in, in sentences.
    """

    ijk_to_lps: NDArray[np.float64]
    warnings: tuple[str, ...]


def nifti_grid(path: Path, place: NiftiPlace, grid: str = "") -> NiftiGrid:
    """Decide between sform, qform and pixdim.

    Args:
        path: named in messages.
        place: the header's fields.
        grid: "sform" or "qform": the reader's decision where they contradict each other.

    Raises:
        InputError: none of them is valid; they contradict each other and nobody decided; or the one that was
            asked for is not there.
    """
    warnings: list[str] = []
    for name, code in (("sform", place.sform_code), ("qform", place.qform_code)):
        if code not in CODES:
            warnings.append(f"The header's {name} code is {code}, which NIfTI does not know (0 to 5).")
    sform = _sform(place) if place.sform_code > 0 else None
    qform = _qform(place) if place.qform_code > 0 else None
    valid = {name: m for name, m in (("sform", sform), ("qform", qform)) if isinstance(m, np.ndarray)}
    wrong = {name: m for name, m in (("sform", sform), ("qform", qform)) if isinstance(m, str)}
    for name, why in wrong.items():
        warnings.append(f"The header's {name} is not valid ({why}).")
    if grid and grid not in valid:
        there = f"has no valid {grid}" if grid in wrong else f"has no {grid}"
        raise InputError(f"{path_text(path)}: it {there}. Leave out --grid {grid}.")
    if not valid:
        if wrong:
            why = "; ".join(f"{name}: {reason}" for name, reason in wrong.items())
            raise damaged(path, f"its position in the patient is damaged ({why})")
        return _unplaced(path, place, warnings)
    if len(valid) == 2:
        warnings += _compared(path, place, valid["sform"], valid["qform"], grid)
    taken = grid or ("sform" if "sform" in valid else "qform")
    if taken == "sform" and "qform" not in valid:
        warnings += _against_pixdim(place, valid["sform"])
    return NiftiGrid(_lps(valid[taken], place.unit_mm), tuple(warnings))


def _lps(ras: NDArray[np.float64], unit_mm: float) -> NDArray[np.float64]:
    matrix: NDArray[np.float64] = LPS_TO_RAS @ np.vstack([ras, [0, 0, 0, 1]])
    matrix[:3] *= unit_mm
    return matrix


def _sform(place: NiftiPlace) -> NDArray[np.float64] | str:
    """The sform, or why it is not valid."""
    matrix = np.asarray(place.sform_ras, float)
    if not np.isfinite(matrix).all():
        return "it has numbers that are not finite"
    lengths = np.linalg.norm(matrix[:, :3], axis=0)
    if lengths.min() <= 0:
        return "an axis has no length"
    if abs(np.linalg.det(matrix[:, :3] / lengths)) < 0.05:
        return "its axes lie in one plane"
    return matrix


def _qform(place: NiftiPlace) -> NDArray[np.float64] | str:
    """The qform as a (3, 4) matrix, or why it is not valid."""
    b, c, d = place.quaternion
    if not all(map(math.isfinite, (*place.pixdim, *place.quaternion, *place.qoffset))):
        return "it has numbers that are not finite"
    if min(place.sizes) <= 0:
        return f"a voxel size is {min(place.sizes):g}"
    square = b * b + c * c + d * d
    if square > 1.001:
        return "its quaternion is none"
    a = math.sqrt(max(0.0, 1.0 - square))
    if square > 1.0:
        b, c, d = (v / math.sqrt(square) for v in (b, c, d))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    # The standard: the third axis is reversed where qfac is -1; 0 counts as 1.
    scale = np.array(place.sizes) * [1, 1, -1 if place.pixdim[0] < 0 else 1]
    return np.column_stack([rotation * scale, place.qoffset])


def _unplaced(path: Path, place: NiftiPlace, warnings: list[str]) -> NiftiGrid:
    """Neither form: voxel sizes alone."""
    if not all(map(math.isfinite, place.sizes)) or min(place.sizes) <= 0:
        sizes = " x ".join(f"{size:g}" for size in place.sizes)
        raise damaged(
            path, f"its header gives voxels of {sizes} and no sform or qform that would say otherwise"
        )
    warnings.append(
        "The file does not say how the patient lies (no qform or sform); left and right may be swapped."
    )
    matrix = np.diag([*(s * place.unit_mm for s in place.sizes), 1.0])
    return NiftiGrid(matrix, tuple(warnings))


def _sizes_text(sizes: NDArray[np.float64] | tuple[float, ...], unit_mm: float) -> str:
    return " x ".join(f"{size * unit_mm:.4g}" for size in sizes) + " mm"


def _thickness(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of neighbouring planes across each axis; equal to the axes' lengths without shear."""
    distances: NDArray[np.float64] = 1.0 / np.linalg.norm(np.linalg.inv(matrix[:, :3]), axis=1)
    return distances


def _against_pixdim(place: NiftiPlace, sform: NDArray[np.float64]) -> list[str]:
    lengths, thickness = np.linalg.norm(sform[:, :3], axis=0), _thickness(sform)
    alike = all(
        math.isfinite(size) and (same_size(size, a) or same_size(size, b))
        for size, a, b in zip(place.sizes, lengths, thickness, strict=True)
    )
    if alike:
        return []
    return [
        f"The header gives two voxel sizes: {_sizes_text(lengths, place.unit_mm)} by its sform, "
        f"{_sizes_text(place.sizes, place.unit_mm)} by pixdim. The sform was taken; check a known "
        "length, and "
        "volumes, before you trust sizes."
    ]


def _tilt_axis(matrix: NDArray[np.float64]) -> int | None:
    """The axis of a tilted gantry's slices; None where the grid is not tilted."""
    lengths = np.linalg.norm(matrix[:, :3], axis=0)
    axes = matrix[:, :3] / lengths
    sheared = bool(np.abs(axes.T @ axes - np.eye(3)).max() > SHEAR)
    return slice_axis(axes, lengths) if sheared else None


def _unsheared(matrix: NDArray[np.float64], along: int, like: NDArray[np.float64]) -> NDArray[np.float64]:
    """The grid that a qform can say of a tilted one: each slice moved back within its plane."""
    result = matrix.copy()
    first, second = (matrix[:, k] / np.linalg.norm(matrix[:, k]) for k in range(3) if k != along)
    normal = np.cross(first, second)
    normal /= np.linalg.norm(normal)
    distance = float(matrix[:, along] @ normal)
    length = float(np.linalg.norm(matrix[:, along]))
    # Some writers keep the distance between slices, some the length of the sheared axis.
    wanted = float(np.linalg.norm(like[:, along]))
    result[:, along] = normal * (math.copysign(length, distance) if same_size(wanted, length) else distance)
    return result


def _furthest_voxels(
    shape_xyz: tuple[int, int, int], first: NDArray[np.float64], second: NDArray[np.float64]
) -> float:
    """How far apart two grids put a corner of the volume, in voxels of the first."""
    corners = np.array([(*corner, 1.0) for corner in product(*((0, n - 1) for n in shape_xyz))])
    apart = corners @ (second - first).T
    return float(np.abs(np.linalg.solve(first[:, :3], apart.T)).max())


def _compared(
    path: Path, place: NiftiPlace, sform: NDArray[np.float64], qform: NDArray[np.float64], grid: str
) -> list[str]:
    """Sentences on two readings that can stand beside each other; refuses those that cannot."""
    along = _tilt_axis(sform)
    tilted = along is not None
    straight = sform if along is None else _unsheared(sform, along, qform)
    differences = []
    if np.linalg.det(sform[:, :3]) * np.linalg.det(qform[:, :3]) < 0:
        differences.append("one is the mirror image of the other")
    lengths = np.linalg.norm(straight[:, :3], axis=0)
    if not all(same_size(a, b) for a, b in zip(lengths, place.sizes, strict=True)):
        differences.append(
            f"voxels are {_sizes_text(lengths, place.unit_mm)} by the sform, "
            f"{_sizes_text(place.sizes, place.unit_mm)} by the qform"
        )
    voxels = _furthest_voxels(place.shape_xyz, straight, qform)
    if voxels > ONE_VOXEL and not differences:
        differences.append(f"they lie up to {voxels:.1f} voxels apart")
    if differences and not grid:
        raise InputError(
            f"{path_text(path)}: its header places the voxels twice and the two contradict each other: "
            f"{'; '.join(differences)}. By the sform: {_reading(place, sform)}; by the qform: "
            f"{_reading(place, qform)}. Find out which is right (side of the liver, known lengths), "
            "then choose it "
            "with --grid sform or --grid qform, or convert it from DICOM again."
        )
    if differences:
        other = "qform" if grid == "sform" else "sform"
        return [f"The {grid} was taken as you chose; the {other} contradicts it: {'; '.join(differences)}."]
    if tilted and grid != "qform":
        return ["The sform is that of a tilted gantry, the qform is not; the sform was taken."]
    if tilted:
        return [
            "The qform was taken as you chose; the sform is that of a tilted gantry, which it leaves out."
        ]
    if voxels > ROUNDING_VOXELS:
        taken = grid or "sform"
        return [f"The header's sform and qform differ by {voxels:.2f} voxels; the {taken} was taken."]
    return []


def _reading(place: NiftiPlace, matrix: NDArray[np.float64]) -> str:
    """A reading in short: axes' directions, voxel sizes, first voxel."""
    axes = matrix[:, :3] / np.linalg.norm(matrix[:, :3], axis=0)
    letters = "".join(
        ("RAS" if axes[world, column] > 0 else "LPI")[world]
        for column in range(3)
        for world in [int(np.abs(axes[:, column]).argmax())]
    )
    origin = ", ".join(f"{v * place.unit_mm + 0.0:.1f}" for v in matrix[:, 3])
    sizes = _sizes_text(np.linalg.norm(matrix[:, :3], axis=0), place.unit_mm)
    return f"axes towards {letters}, voxels {sizes}, first voxel at ({origin}) mm RAS"
