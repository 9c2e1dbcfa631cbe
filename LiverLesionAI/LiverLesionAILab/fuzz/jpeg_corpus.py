"""Sound DICOM inputs whose pixels are compressed as JPEG, JPEG-LS and JPEG 2000 (by GDCM)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from LiverLesionAILib.support.errors import LiverLesionAIError
from numpy.typing import NDArray
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless

from .corpus import small_body
from .dicom_corpus import (
    CT,
    ENHANCED_CT,
    common_tags,
    dataset_of,
    enhanced_tags,
    file_of,
    intercept_of,
    slice_tags,
)
from .mutation import Files, Sample

KINDS = ((JPEGLosslessSV1, "JPEG lossless"), (JPEGLSLossless, "JPEG-LS"), (JPEG2000Lossless, "JPEG 2000"))


def jpeg_samples() -> list[Sample]:
    """Single- and multi-frame in each of :data:`KINDS`.

    Raises:
        LiverLesionAIError: GDCM is not installed.
    """
    fields = {"values": small_body()}
    samples = []
    for syntax, word in KINDS:
        for make, kind in ((_series, "series"), (_enhanced, "enhanced")):
            build = partial(make, syntax)
            files = build(fields)
            name = sorted(files)[3] if kind == "series" else b"ct.dcm"
            content = files[name]
            assert isinstance(content, bytes)
            # Behind the table of offsets and the head of the first stream.
            at = content.rindex(b"\xe0\x7f\x10\x00") + 12 + 16
            opened = b"" if kind == "series" else name
            samples.append(Sample(f"DICOM {kind} {word}", opened, files, name, at, False, fields, build))
    return samples


def _series(syntax: UID, fields: Mapping[str, Any]) -> Files:
    stored = (fields["values"].astype(int) + 1024).astype(np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        return {
            b"%03d.dcm" % (7 * k % 97): _packed(
                plane[None], {**common_tags(), **slice_tags(k)}, syntax, CT, Path(folder)
            )
            for k, plane in enumerate(stored)
        }


def _enhanced(syntax: UID, fields: Mapping[str, Any]) -> Files:
    hu = fields["values"].astype(int)
    stored = np.stack([plane - intercept_of(k) for k, plane in enumerate(hu)]).astype(np.uint16)
    tags = {**common_tags(), **enhanced_tags(len(hu))}
    with tempfile.TemporaryDirectory() as folder:
        return {b"ct.dcm": _packed(stored, tags, syntax, ENHANCED_CT, Path(folder))}


def _packed(
    stored: NDArray[np.uint16], tags: Mapping[str, Any], syntax: UID, sop_class: str, folder: Path
) -> bytes:
    """A file whose frames (F, H, W) are compressed one by one; its header stays as it was given."""
    dataset = dataset_of(stored[0] if len(stored) == 1 else stored, tags, ExplicitVRLittleEndian, sop_class)
    dataset.PixelData = pydicom.encaps.encapsulate([_stream(frame, syntax, folder) for frame in stored])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    return file_of(dataset)


def _stream(frame: NDArray[np.uint16], syntax: UID, folder: Path) -> bytes:
    try:
        import gdcm
    except ImportError as error:
        raise LiverLesionAIError("Compressing needs GDCM: pip install python-gdcm") from error
    plain, packed = folder / "plain.dcm", folder / "packed.dcm"
    tags = {"SOPInstanceUID": "1.2.3.4.1", "RescaleSlope": 1, "RescaleIntercept": 0}
    plain.write_bytes(file_of(dataset_of(frame, tags, ExplicitVRLittleEndian)))
    reader = gdcm.ImageReader()
    reader.SetFileName(str(plain))
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(packed))
    if reader.Read():
        change.SetInput(reader.GetImage())
        if change.Change():
            writer.SetFile(reader.GetFile())
            writer.SetImage(change.GetOutput())
            if writer.Write():
                (stream,) = pydicom.encaps.generate_frames(
                    pydicom.dcmread(packed).PixelData, number_of_frames=1
                )
                return bytes(stream)
    raise LiverLesionAIError(f"GDCM cannot compress as {syntax.name}.")
