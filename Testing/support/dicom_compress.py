"""Compresses the pixels of DICOM files, for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import UID

from .dicom_writer import SECONDARY_CAPTURE, dataset, set_pixels

RLE = "1.2.840.10008.1.2.5"
LOSSLESS = {
    "JPEG, process 14": "1.2.840.10008.1.2.4.57",
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000 lossless": "1.2.840.10008.1.2.4.90",
    "RLE": RLE,
}
LOSSY = {"JPEG-LS near lossless": "1.2.840.10008.1.2.4.81", "JPEG 2000": "1.2.840.10008.1.2.4.91"}


def compressed_frame(stored: NDArray, syntax: str, folder: Path) -> bytes:
    """One image as a stream of that transfer syntax; skips the test where gdcm is missing."""
    gdcm = pytest.importorskip("gdcm", reason="python-gdcm is not installed")
    item = dataset(SECONDARY_CAPTURE, "OT")
    set_pixels(item, stored)
    item.save_as(folder / "plain.dcm", enforce_file_format=True)
    reader = gdcm.ImageReader()
    reader.SetFileName(str(folder / "plain.dcm"))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    wanted = gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax))
    change.SetTransferSyntax(wanted)
    change.SetInput(reader.GetImage())
    assert change.Change(), syntax
    writer = gdcm.ImageWriter()
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.SetFileName(str(folder / "packed.dcm"))
    assert writer.Write()
    packed = pydicom.dcmread(folder / "packed.dcm")
    assert str(packed.file_meta.TransferSyntaxUID) == syntax
    (stream,) = pydicom.encaps.generate_frames(packed.PixelData, number_of_frames=1)
    return stream


def compress(path: Path, syntax: str, scratch: Path) -> None:
    """Compress a file in place, frame by frame; its header stays as it is."""
    scratch.mkdir(exist_ok=True)
    item = pydicom.dcmread(path)
    frames = item.pixel_array.reshape(-1, item.Rows, item.Columns)
    replace_streams(
        path, [compressed_frame(np.ascontiguousarray(f), syntax, scratch) for f in frames], syntax
    )


def replace_streams(path: Path, streams: list[bytes], syntax: str) -> None:
    """Put compressed streams in the place of a file's pixels."""
    item = pydicom.dcmread(path)
    item.PixelData = pydicom.encaps.encapsulate(streams)
    item["PixelData"].VR = "OB"
    item["PixelData"].is_undefined_length = True
    item.file_meta.TransferSyntaxUID = UID(syntax)
    item.save_as(path)
