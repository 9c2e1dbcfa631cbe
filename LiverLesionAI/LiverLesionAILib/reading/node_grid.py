"""Whether another program (Slicer) has placed a file's volume as this reader would."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..support.errors import InputError
from ..support.text import printable
from ..volume.geometry import LPS_TO_RAS
from .image_files import is_image_file, read_header
from .nifti_grid import GRIDS

# In voxels of the file; less is rounding of what a program keeps.
SAME_VOXELS = 0.5


def grid_difference(path: Path, shape_zyx: ArrayLike, ijk_to_ras: ArrayLike) -> str | None:
    """Hold the grid that a volume has in a scene against the header of the file it was loaded from.

    Args:
        path: the file; it may be gone.
        shape_zyx: the volume's voxels.
        ijk_to_ras: its 4 x 4 matrix from index x, y, z to RAS mm.

    Returns:
        A sentence on what differs and what to check, for the reader; None where they agree, the file is
        gone, or
        it is none whose header is read here (DICOM, a scene).
    """
    if not is_image_file(path) or not path.is_file():
        return None
    matrix = np.asarray(ijk_to_ras, float)
    name = printable(path.name, 80)
    try:
        header = read_header(path)
    except InputError as error:
        chosen = [grid for grid in GRIDS if _follows(path, grid, shape_zyx, matrix)]
        if chosen:
            return f"The volume was loaded by the {' and '.join(chosen)} of {name}, but: {error}"
        return f"The file of this volume cannot be relied on: {error}"
    shape = tuple(header.sizes[a] for a in header.domain)[::-1]
    if shape != tuple(int(n) for n in np.ravel(shape_zyx)):
        return (
            f"The volume has other dimensions than its file {name}: it was changed since, or its file "
            "was. Save it "
            "under a new name if you changed it."
        )
    return _difference(name, shape, matrix, LPS_TO_RAS @ header.ijk_to_lps)


def _follows(path: Path, grid: str, shape_zyx: ArrayLike, matrix: NDArray[np.float64]) -> bool:
    """Whether the volume lies where one of a file's contradicting readings puts it."""
    try:
        header = read_header(path, grid)
    except InputError:
        return False
    shape = tuple(int(n) for n in np.ravel(shape_zyx))
    return _furthest_voxels(shape, matrix, LPS_TO_RAS @ header.ijk_to_lps) <= SAME_VOXELS


def _furthest_voxels(
    shape_zyx: tuple[int, ...], node: NDArray[np.float64], file: NDArray[np.float64]
) -> float:
    corners = np.array([(*corner, 1.0) for corner in product(*((0, n - 1) for n in shape_zyx[::-1]))])
    apart = np.linalg.solve(file, ((node - file) @ corners.T))[:3]
    return float(np.abs(apart).max())


def _difference(
    name: str, shape_zyx: tuple[int, ...], node: NDArray[np.float64], file: NDArray[np.float64]
) -> str | None:
    voxels = _furthest_voxels(shape_zyx, node, file)
    if voxels <= SAME_VOXELS:
        return None
    sizes, wanted = (np.linalg.norm(m[:3, :3], axis=0) for m in (node, file))
    if np.linalg.det(node[:3, :3]) * np.linalg.det(file[:3, :3]) < 0:
        what = "is the mirror image of what the file's header says (left and right may be swapped)"
    elif not np.allclose(sizes, wanted, rtol=0.01):
        text = [" x ".join(f"{s:.4g}" for s in values) for values in (sizes, wanted)]
        what = f"has voxels of {text[0]} mm, its file's header says {text[1]} mm"
    else:
        what = f"lies up to {voxels:.0f} voxels away from where its file's header puts it"
    return (
        f"The volume {what} ({name}). Unless you moved or changed it yourself, check the side of the "
        "liver and a "
        "known length before you trust positions and sizes."
    )
