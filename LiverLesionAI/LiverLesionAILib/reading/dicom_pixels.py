"""Stored pixels of DICOM images as Hounsfield units."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pydicom
import pydicom.uid
import SimpleITK as sitk
from numpy.typing import NDArray

from ..volume.ct import AIR_HU
from .dicom_headers import Frame

# Read by pydicom with numpy alone: uncompressed (also deflated, big endian) and run-length encoded.
_PLAIN = {
    "", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.5",
}  # fmt: skip
# Read by the decoders within SimpleITK: JPEG, JPEG-LS, JPEG 2000.
_GDCM = {f"1.2.840.10008.1.2.4.{k}" for k in (50, 51, 57, 70, 80, 81, 90, 91)}
# Padding of at most this many HU, or at least that many, is no tissue and can safely become air.
_PADDING_BELOW_HU, _PADDING_ABOVE_HU = -1000.0, 3000.0


def unreadable_syntax(syntax: str) -> str:
    """The name of a transfer syntax that no decoder here reads, or ""."""
    return "" if syntax in _PLAIN | _GDCM else pydicom.uid.UID(syntax).name


def read_hu(frames: Sequence[Frame]) -> Iterator[tuple[int, NDArray[np.int16] | None]]:
    """Decode images, each file opened once.

    Yields:
        (k, hu): index into `frames` and its int16 HU (rows, columns), or None where it cannot be decoded.
    """
    order = sorted(range(len(frames)), key=lambda k: (str(frames[k].path), frames[k].index))
    for path, group in groupby(order, key=lambda k: frames[k].path):
        indices = list(group)
        try:
            stored, is_hu = _stored(path, frames[indices[0]])
        except Exception:  # decoders raise what they like on damaged data
            for k in indices:
                yield k, None
            continue
        for k in indices:
            plane = stored[frames[k].index]
            yield k, _padded_to_air(plane if is_hu else _rescaled(plane, frames[k]), frames[k])


def _stored(path: Path, frame: Frame) -> tuple[NDArray, bool]:
    """All images of a file (n, rows, columns), and whether they are already HU."""
    shape = (frame.frames, *frame.shape_yx)
    if frame.syntax in _PLAIN:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True)
            if not frame.syntax:
                dataset.file_meta.TransferSyntaxUID = (
                    pydicom.uid.ImplicitVRLittleEndian
                    if dataset.is_implicit_VR
                    else pydicom.uid.ExplicitVRLittleEndian
                )
            return _sign_extended(dataset.pixel_array, dataset).reshape(shape), False
    image = sitk.ReadImage(str(path))
    return sitk.GetArrayFromImage(image).reshape(shape), True


def _sign_extended(stored: NDArray, dataset: pydicom.Dataset) -> NDArray:
    """Signed values of fewer bits than their words: the upper bits may be zero, and pydicom 2 keeps them."""
    unused = 8 * stored.dtype.itemsize - int(dataset.get("BitsStored") or 16)
    if dataset.get("PixelRepresentation") != 1 or unused <= 0 or stored.dtype.kind != "i":
        return stored
    return (stored << unused) >> unused


def _rescaled(stored: NDArray, frame: Frame) -> NDArray:
    if frame.slope == 1.0 and frame.intercept == int(frame.intercept):
        return stored.astype(np.int32) + int(frame.intercept)
    return stored.astype(np.float32) * np.float32(frame.slope) + np.float32(frame.intercept)


def _padded_to_air(hu: NDArray, frame: Frame) -> NDArray[np.int16]:
    """Clip to int16, and turn padding into air.

    A padding value that could be tissue is only believed outside the scanner's round field of view.
    """
    result = np.clip(np.rint(hu), -32768, 32767).astype(np.int16)
    if frame.padding is None:
        return result
    low, high = sorted(frame.slope * p + frame.intercept for p in frame.padding)
    padding = (hu >= low - 1e-3) & (hu <= high + 1e-3)
    if not (high <= _PADDING_BELOW_HU or low >= _PADDING_ABOVE_HU):
        rows, columns = frame.shape_yx
        y, x = np.ogrid[:rows, :columns]
        outside = ((2 * y + 1) / rows - 1) ** 2 + ((2 * x + 1) / columns - 1) ** 2 > 1.02
        if not outside.any() or padding[outside].mean() < 0.95:
            return result
        padding &= outside
    result[padding] = AIR_HU
    return result
