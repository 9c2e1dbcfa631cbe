"""Sound DICOM inputs of a small body: a file per slice and enhanced files, plain, deflated and compressed."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from .corpus import small_body
from .mutation import Files, Sample

CT, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
# Long enough for an abdomen, so that a slice less is no news by itself.
STEP_MM, PIXEL_MM = 9.0, 3.0
_PIXELS = struct.pack("<HH", 0x7FE0, 0x0010)


def slice_tags(k: int) -> dict[str, Any]:
    """What a scanner says about slice `k`, by keyword."""
    return {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPInstanceUID": f"1.2.3.4.{k + 1}",
        "InstanceNumber": k + 1,
        "AcquisitionNumber": 1,
        "AcquisitionTime": f"1010{k:02d}.5",
        "ContentTime": f"1011{k:02d}",
        "SliceThickness": STEP_MM,
        "SliceLocation": STEP_MM * k,
        "ImagePositionPatient": [-100.0, -90.0, STEP_MM * k],
        "ImageOrientationPatient": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        "PixelSpacing": [PIXEL_MM, PIXEL_MM],
        "RescaleSlope": 1,
        "RescaleIntercept": -1024,
        "RescaleType": "HU",
    }


def common_tags() -> dict[str, Any]:
    """What a scanner says about every image of a series."""
    return {
        "Modality": "CT",
        "PatientID": "P1",
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "FrameOfReferenceUID": "1.2.3.5",
        "SeriesNumber": 4,
        "SeriesDescription": "Abdomen",
        "BodyPartExamined": "ABDOMEN",
        "KVP": 120,
        "ConvolutionKernel": "B30f",
    }


def dataset_of(
    stored: NDArray[np.uint16], tags: Mapping[str, Any], syntax: str, sop_class: str = CT
) -> Dataset:
    """An image, or with three axes frames, as a data set."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax if syntax != RLELossless else ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4.1"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    return dataset


def file_of(dataset: Dataset) -> bytes:
    """The data set as a file's bytes."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def dataset_in(content: bytes) -> Dataset:
    """The other way round."""
    return pydicom.dcmread(io.BytesIO(content))


def enhanced_tags(count: int) -> dict[str, Any]:
    """Functional groups of an enhanced CT whose frames have rescale intercepts of their own."""

    def group(**tags: Any) -> Sequence:
        item = Dataset()
        for keyword, value in tags.items():
            setattr(item, keyword, value)
        return Sequence([item])

    shared = Dataset()
    shared.PixelMeasuresSequence = group(PixelSpacing=[PIXEL_MM, PIXEL_MM], SliceThickness=STEP_MM)
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=slice_tags(0)["ImageOrientationPatient"])
    frames = []
    for k in range(count):
        frame = Dataset()
        frame.PlanePositionSequence = group(ImagePositionPatient=slice_tags(k)["ImagePositionPatient"])
        frame.PixelValueTransformationSequence = group(
            RescaleSlope=1, RescaleIntercept=intercept_of(k), RescaleType="HU"
        )
        frame.FrameContentSequence = group(FrameAcquisitionNumber=1, InStackPositionNumber=k + 1, StackID="1")
        frames.append(frame)
    return {
        "SOPInstanceUID": "1.2.3.4.1",
        "InstanceNumber": 1,
        "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
        "NumberOfFrames": count,
        "SharedFunctionalGroupsSequence": Sequence([shared]),
        "PerFrameFunctionalGroupsSequence": Sequence(frames),
    }


def intercept_of(k: int) -> int:
    """Of frame `k` of the enhanced samples."""
    return -1024 - 3 * (k % 4)


def _series(syntax: str, fields: Mapping[str, Any]) -> Files:
    stored = (fields["values"].astype(int) + 1024).astype(np.uint16)
    return {
        b"%03d.dcm" % (7 * k % 97): file_of(dataset_of(plane, {**common_tags(), **slice_tags(k)}, syntax))
        for k, plane in enumerate(stored)
    }


def _enhanced(syntax: str, fields: Mapping[str, Any]) -> Files:
    hu = fields["values"].astype(int)
    stored = np.stack([plane - intercept_of(k) for k, plane in enumerate(hu)]).astype(np.uint16)
    tags = {**common_tags(), **enhanced_tags(len(hu))}
    return {b"ct.dcm": file_of(dataset_of(stored, tags, syntax, ENHANCED_CT))}


def dicom_samples() -> list[Sample]:
    """Single- and multi-frame; explicit, deflated and run-length encoded."""
    fields = {"values": small_body()}
    samples = []
    for syntax, word in (
        (ExplicitVRLittleEndian, "plain"),
        (RLELossless, "RLE"),
        (DeflatedExplicitVRLittleEndian, "deflated"),
    ):
        for make, kind in ((_series, "series"), (_enhanced, "enhanced")):
            build = partial(make, syntax)
            files = build(fields)
            name = sorted(files)[3] if kind == "series" else b"ct.dcm"
            content = files[name]
            assert isinstance(content, bytes)
            # Behind the head of the pixel data's element; a deflated data set has no such place.
            at = content.rindex(_PIXELS) + 12 if word != "deflated" else len(content) // 2
            opened = b"" if kind == "series" else name
            samples.append(Sample(f"DICOM {kind} {word}", opened, files, name, at, False, fields, build))
    return samples
