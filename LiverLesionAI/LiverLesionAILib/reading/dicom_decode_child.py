"""Decodes compressed DICOM frames in a process of its own; see :mod:`..support.limited_child`."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset

from ..support.limited_child import serve
from .codestreams import BY_ITK, RLE, decode_rle, is_ended, require_whole_items, stream_header
from .dicom_frames import StoredFormat
from .dicom_pixels import stored_type

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


class _File:
    """The compressed frames of the file that was asked for last."""

    def __init__(self, reading: str, path: str, frames: int) -> None:
        self.key = reading, path
        dataset = pydicom.dcmread(path, force=True)
        pixels = dataset.get("PixelData")
        if not isinstance(pixels, bytes) or not pixels:
            raise ValueError("it holds no pixel data")
        require_whole_items(pixels)
        self.streams = _streams(pixels, frames, dataset)


def _streams(pixels: bytes, frames: int, dataset: Dataset) -> list[bytes]:
    """The compressed stream of each frame."""
    try:
        from pydicom.encaps import generate_frames

        offsets = dataset.get("ExtendedOffsetTable"), dataset.get("ExtendedOffsetTableLengths")
        extended = offsets if all(offsets) else None
        return list(generate_frames(pixels, number_of_frames=frames, extended_offsets=extended))
    except ImportError:  # pydicom 2
        from pydicom.encaps import generate_pixel_data_frame

        return list(generate_pixel_data_frame(pixels, frames))


_last: list[_File] = []


def handle(request: dict[str, Any]) -> tuple[dict[str, Any], bytes | memoryview]:
    """Decode one frame to its stored values."""
    path, index, frames = request["path"], request["index"], request["frames"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # In another reading, which has a folder of its own, the file of that name may be another one.
        reading = request["folder"]
        if not _last or _last[0].key != (reading, path):
            _last[:] = [_File(reading, path, frames)]
        streams = _last[0].streams
        if len(streams) != frames:
            raise ValueError(f"it says that it has {frames} images and holds {len(streams)}")
        stored = StoredFormat(**request["format"])
        rows, columns = request["shape_yx"]
        values = _decoded(streams[index], stored, rows, columns, Path(request["folder"]))
    kind = stored_type(stored, "<")
    # Unsigned results of signed images keep their bits.
    values = np.ascontiguousarray(values.reshape(rows, columns).astype(kind, casting="unsafe"))
    return {"dtype": kind.str}, values.data


def _decoded(stream: bytes, stored: StoredFormat, rows: int, columns: int, folder: Path) -> NDArray:
    kind = stored_type(stored, "<")
    if stored.syntax == RLE:
        return np.frombuffer(decode_rle(stream, rows * columns, kind.itemsize), kind)
    if (said := stream_header(stream)) is not None:
        if (said.rows, said.columns) != (rows, columns):
            raise ValueError(
                f"its compressed image has {said.columns} x {said.rows} pixels, its header says {columns} x "
                f"{rows}"
            )
        if said.components != 1:
            raise ValueError(f"its compressed image has {said.components} colours")
        if said.bits > stored.allocated:
            raise ValueError(f"its compressed image has {said.bits} bits, its header says {stored.stored}")
        if not is_ended(stream):
            raise ValueError("its compressed data are cut short")
    if stored.syntax in BY_ITK:
        return _by_itk(stream, stored, rows, columns, folder)
    return _by_plugin(stream, stored, rows, columns)


def _wrapped(stream: bytes, stored: StoredFormat, rows: int, columns: int) -> Dataset:
    """The frame as a file of its own that says nothing but how its pixels are stored."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = stored.syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = SECONDARY_CAPTURE
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.Modality = "OT"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (
        stored.allocated, stored.stored, stored.stored - 1,
    )  # fmt: skip
    dataset.PixelRepresentation = int(stored.signed)
    dataset.PixelData = pydicom.encaps.encapsulate([stream])
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    return dataset


def _by_itk(stream: bytes, stored: StoredFormat, rows: int, columns: int, folder: Path) -> NDArray:
    import SimpleITK as sitk

    path = folder / "frame.dcm"
    _save(_wrapped(stream, stored, rows, columns), path)
    try:
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise ValueError("its compressed data are damaged") from error
    finally:
        path.unlink(missing_ok=True)


def _save(dataset: Dataset, path: Path) -> None:
    try:
        dataset.save_as(path, enforce_file_format=True)
    except TypeError:  # pydicom 2
        dataset.is_little_endian, dataset.is_implicit_VR = True, False
        dataset.save_as(path, write_like_original=False)


def _by_plugin(stream: bytes, stored: StoredFormat, rows: int, columns: int) -> NDArray:
    from pydicom.pixels import pixel_array

    try:
        return pixel_array(_wrapped(stream, stored, rows, columns), raw=True)
    except RuntimeError as error:
        raise ValueError("its compressed data are damaged") from error


if __name__ == "__main__":
    serve(handle)
