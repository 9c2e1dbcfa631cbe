"""Plain CT slices in DICOM files, as the public data sets ship them, stacked by position.

For data sets only: one series per folder, every slice a file. The reader for clinical input does far more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import Geometry
from numpy.typing import NDArray

# Neighbouring slice distances may differ by rounding of the positions, mm.
SPACING_TOLERANCE_MM = 0.05


@dataclass(frozen=True, eq=False)
class SliceStack:
    """Slices of one scan in order of position, feet first.

    Attributes:
        paths: file of every slice, in that order.
        values_zyx: int16 HU (stored values for masks).
        geometry: the grid.
    """

    paths: tuple[Path, ...]
    values_zyx: NDArray[np.int16]
    geometry: Geometry


def read_stack(paths: Sequence[Path], what: str) -> SliceStack:
    """Read slices and sort them along the slice normal towards the head.

    Args:
        paths: DICOM files, one slice each.
        what: folder or name for messages.

    Raises:
        InputError: unreadable files, different sizes or orientations, missing or doubled slices.
    """
    if not paths:
        raise InputError(f"{what}: no DICOM slice in it.")
    headers = [_read(path) for path in paths]
    first = headers[0]
    orientation = np.array([float(v) for v in first.ImageOrientationPatient])
    row, column = orientation[:3], orientation[3:]
    normal = np.cross(row, column)
    if normal[2] < 0:
        normal = -normal
    for path, header in zip(paths, headers, strict=True):
        if (header.Rows, header.Columns) != (first.Rows, first.Columns):
            raise InputError(f"{path}: {header.Columns} x {header.Rows} pixels, others of its series differ.")
        if not np.allclose([float(v) for v in header.ImageOrientationPatient], orientation, atol=1e-3):
            raise InputError(f"{path}: its orientation differs from the others of its series.")
    origins = np.array([[float(v) for v in h.ImagePositionPatient] for h in headers])
    heights = origins @ normal
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order])
    if len(paths) < 2:
        raise InputError(f"{what}: a single slice is no scan.")
    spacing = float(np.median(steps))
    odd = np.flatnonzero(np.abs(steps - spacing) > max(SPACING_TOLERANCE_MM, 0.02 * spacing))
    if spacing <= 0 or odd.size:
        k = int(odd[0]) if odd.size else 0
        raise InputError(
            f"{paths[order[k + 1]]}: {steps[k]:.2f} mm from its neighbour, other slices {spacing:.2f} mm. "
            "A slice is missing or doubled."
        )
    pixel = [float(v) for v in first.PixelSpacing]
    values = np.empty((len(paths), first.Rows, first.Columns), np.int16)
    for z, k in enumerate(order):
        values[z] = _pixels(paths[k], headers[k])
    geometry = Geometry.make(
        values.shape,
        (spacing, pixel[0], pixel[1]),
        tuple(origins[order[0]]),
        np.stack([row, column, normal], axis=1),
    )
    return SliceStack(tuple(paths[k] for k in order), values, geometry)


def read_slice(path: Path, shape_yx: tuple[int, int]) -> NDArray[np.int16]:
    """Pixels of one DICOM file of a known size, for masks that repeat no geometry.

    Raises:
        InputError: unreadable, or another size.
    """
    header = _read(path, geometry=False)
    if (header.Rows, header.Columns) != shape_yx:
        raise InputError(
            f"{path}: {header.Columns} x {header.Rows} pixels, its CT slice {shape_yx[1]} x {shape_yx[0]}."
        )
    return _pixels(path, header)


def _read(path: Path, geometry: bool = True) -> pydicom.Dataset:
    needed = ["Rows", "Columns"]
    if geometry:
        needed += ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
    try:
        header = pydicom.dcmread(path, force=False)
    except Exception as error:  # pydicom raises many kinds on damaged files
        raise InputError(f"{path} cannot be read as DICOM; it is damaged or something else.") from error
    for name in needed:
        if name not in header:
            raise InputError(f"{path}: the DICOM header lacks {name}.")
    return header


def _pixels(path: Path, header: pydicom.Dataset) -> NDArray[np.int16]:
    try:
        stored = header.pixel_array
    except Exception as error:  # truncated or compressed pixel data fail in many ways
        raise InputError(f"{path}: its pixels cannot be read; the file is damaged or compressed.") from error
    slope, intercept = (
        float(header.get("RescaleSlope", 1) or 1),
        float(header.get("RescaleIntercept", 0) or 0),
    )
    return np.clip(np.rint(stored * slope + intercept), -32768, 32767).astype(np.int16)
