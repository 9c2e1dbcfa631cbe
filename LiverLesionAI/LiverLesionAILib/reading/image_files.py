"""Volumes in one file: NIfTI, NRRD and MetaImage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..support.errors import GeometryError, InputError
from ..volume.checking import FEWEST_SLICES, whole_hu
from ..volume.ct import CtVolume, Geometry
from .nifti import NiftiHeader, read_nifti_header, read_sheared_nifti, refuse_not_finite
from .slices import SliceStack, regular

FORMATS = "NIfTI (.nii, .nii.gz), NRRD (.nrrd, .nhdr) or MetaImage (.mha, .mhd)"
SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")


def volume_name(path: Path) -> str:
    """The file's name without what marks its format."""
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def is_image_file(path: Path) -> bool:
    """Whether the file's name is one of the supported volume formats'."""
    return path.name.lower().endswith(SUFFIXES)


def load_image_file(path: Path) -> CtVolume:
    """Read a volume file as int16 HU (see :func:`whole_hu`) with its geometry.

    Raises:
        InputError: unreadable or truncated; two-dimensional, a time series, colour or vector valued.
    """
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty. Copy or export it again.")
    warnings: list[str] = []
    header: NiftiHeader | None = None
    if path.name.lower().endswith((".nii", ".nii.gz")):
        header = read_nifti_header(path)
        refuse_not_finite(path, header)
        if not header.oriented:
            warnings.append(
                "The file does not say how the patient lies (no qform or sform); left and right may be "
                "swapped."
            )
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        reader.ReadImageInformation()
        _refuse_other_than_volume(path, reader)
        image = reader.Execute()
    except RuntimeError as error:
        if header is not None and "orthonormal" in str(error):
            return _load_sheared(path, header, warnings)
        raise InputError(
            f"{path}: the file cannot be read. It may be damaged or incomplete, or its data file is missing: "
            f"copy or export it again. (The reader says: {_reason(error)})"
        ) from error
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
    if image.GetDimension() == 4:  # one time point
        image = image[:, :, :, 0]
    geometry = Geometry.make(
        image.GetSize()[::-1], image.GetSpacing()[::-1], image.GetOrigin(), image.GetDirection()
    )
    values = sitk.GetArrayFromImage(image)
    del image
    return CtVolume(whole_hu(values), geometry, volume_name(path), tuple(warnings))


def _refuse_other_than_volume(path: Path, reader: sitk.ImageFileReader) -> None:
    size = reader.GetSize()
    while len(size) > 3 and size[-1] == 1:
        size = size[:-1]
    if len(size) > 3:
        raise InputError(
            f"{path}: this is a time series or a set of {int(np.prod(size[3:]))} volumes "
            f"({' x '.join(map(str, size))}). Save the one phase to be analysed as a volume of its own."
        )
    if reader.GetNumberOfComponents() > 1:
        raise InputError(
            f"{path}: each voxel has {reader.GetNumberOfComponents()} values (a colour or vector image), a "
            "CT has one. Give the CT itself."
        )
    if len(size) < 3 or min(size) == 1:
        raise InputError(
            f"{path}: this is a two-dimensional image ({' x '.join(map(str, size))}). A CT volume with at "
            f"least {FEWEST_SLICES} slices is needed."
        )
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise InputError(f"{path}: its values are complex numbers, not Hounsfield units. Give the CT itself.")


def _load_sheared(path: Path, header: NiftiHeader, warnings: list[str]) -> CtVolume:
    """A NIfTI file whose axes are not perpendicular: a tilted gantry, or rounded numbers."""
    values, matrix_lps = read_sheared_nifti(path, header)
    spacing_xyz = np.linalg.norm(matrix_lps[:3, :3], axis=0)
    if not np.isfinite(matrix_lps).all() or spacing_xyz.min() <= 0:
        raise InputError(f"{path}: its position in the patient is damaged. Convert it from DICOM again.")
    positions = matrix_lps[:3, 3] + np.arange(len(values))[:, None] * matrix_lps[:3, 2]
    stack = SliceStack(
        positions, matrix_lps[:3, 0] / spacing_xyz[0], matrix_lps[:3, 1] / spacing_xyz[1],
        (float(spacing_xyz[1]), float(spacing_xyz[0])),
    )  # fmt: skip
    try:
        values, geometry, changes = regular(whole_hu(values), stack)
    except GeometryError as error:
        raise InputError(
            f"{path}: its grid is sheared. Convert it from DICOM again, or resample it. ({error})"
        ) from error
    return CtVolume(values, geometry, volume_name(path), (*warnings, *changes))


def _reason(error: RuntimeError) -> str:
    """The last line of an ITK error, without file names of its source code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].split("ERROR:")[-1].strip() if lines else "unknown"
