"""Image files as arrays with their grids, with one message per damaged file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from LiverLesionAILib.reading.image_files import load_image_file
from LiverLesionAILib.reading.nifti import read_nifti_header
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
    """A 3D image file as it is stored: (array z, y, x, its grid).

    Raises:
        InputError: missing, unreadable, truncated, or not a 3D scalar image.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing.")
    if path.name.lower().endswith((".nii", ".nii.gz")):
        # ITK fills up what is missing of a truncated NIfTI file with zeros: a lesion would vanish unnoticed.
        read_nifti_header(path)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        if "orthonormal" in str(error):  # some LiTS volumes: rounded direction cosines
            volume = load_image_file(path)
            return volume.hu_zyx, volume.geometry
        raise InputError(f"{path} cannot be read; it is damaged, truncated or no image.") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(
            f"{path}: expected a 3D image with one value per voxel, found {image.GetDimension()}D with "
            f"{image.GetNumberOfComponentsPerPixel()}."
        )
    geometry = Geometry.make(
        image.GetSize()[::-1], image.GetSpacing()[::-1], image.GetOrigin(), np.array(image.GetDirection())
    )
    return sitk.GetArrayFromImage(image), geometry


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
