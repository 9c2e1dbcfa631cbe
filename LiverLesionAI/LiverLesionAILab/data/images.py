"""Image files as arrays with their grids, with one message per damaged file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from LiverLesionAILib.reading.image_files import read_stored
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from numpy.typing import NDArray

# Longest first: a.seg.nrrd ends in .nrrd too.
EXTENSIONS = (".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


def stem_of(path: Path) -> str | None:
    """The name without its image extension; None when it has none."""
    for extension in EXTENSIONS:
        if path.name.lower().endswith(extension):
            return path.name[: -len(extension)]
    return None


def image_files(folder: Path) -> list[Path]:
    """Image files of a folder in order of name; what archives of other systems leave behind is passed over.

    Raises:
        InputError: no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder.")
    return sorted(
        p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".") and stem_of(p) is not None
    )


def read_image(path: Path) -> tuple[NDArray, Geometry]:
    """A 3D image file with its values as they are stored: (array z, y, x, its grid).

    Raises:
        InputError: missing, damaged, contradicting itself, or not a 3D scalar image.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing.")
    stored = read_stored(path)
    return stored.values_zyx, stored.geometry


def read_ct_file(path: Path) -> CtVolume:
    """A CT from an image file whose values are HU.

    Raises:
        InputError: as :func:`read_image`; or values that cannot be HU.
    """
    values, geometry = read_image(path)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError(f"{path}: some voxels are no numbers.")
    if values.max() <= values.min():
        raise InputError(f"{path}: every voxel has the value {values.min()}; this is no CT.")
    return CtVolume(values, geometry, path.name)
