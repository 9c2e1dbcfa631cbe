"""Writes DICOM series as scanners do, for tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
AXIAL = (1, 0, 0, 0, 1, 0)


def dataset(sop_class: str = CT_IMAGE, modality: str = "CT", **tags: Any) -> FileDataset:
    """A DICOM file without pixels; `tags` are set by keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    result = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
    result.SOPClassUID, result.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    result.Modality, result.PatientID = modality, "P1"
    result.StudyInstanceUID = result.FrameOfReferenceUID = "1.2.3"
    for keyword, value in tags.items():
        setattr(result, keyword, value)
    return result


def set_pixels(target: Dataset, stored: NDArray) -> None:
    """Stored values: (rows, columns) or (frames, rows, columns), 16 bit."""
    target.Rows, target.Columns = stored.shape[-2:]
    target.SamplesPerPixel, target.PhotometricInterpretation = 1, "MONOCHROME2"
    target.BitsAllocated = target.BitsStored = 16
    target.HighBit = 15
    target.PixelRepresentation = int(np.issubdtype(stored.dtype, np.signedinteger))
    target.PixelData = np.ascontiguousarray(stored).tobytes()


def write_series(
    folder: Path,
    hu_zyx: NDArray[np.int16],
    positions_lps: Sequence[Sequence[float]],
    *,
    number: int | None = 3,
    description: str = "ABDOMEN PV",
    orientation: Sequence[float] = AXIAL,
    spacing_yx_mm: tuple[float, float] = (3.0, 3.0),
    slopes: Sequence[float] | None = None,
    intercepts: Sequence[float] | None = None,
    image_type: Sequence[str] = ("ORIGINAL", "PRIMARY", "AXIAL"),
    suffix: str = ".dcm",
    first_instance: int = 1,
    **tags: Any,
) -> str:
    """One file per slice, named so that alphabetical order is no slice order; returns the series UID."""
    folder.mkdir(parents=True, exist_ok=True)
    uid = tags.pop("SeriesInstanceUID", None) or generate_uid()
    slopes = slopes if slopes is not None else [1.0] * len(hu_zyx)
    intercepts = intercepts if intercepts is not None else [-1024.0] * len(hu_zyx)
    for k, (plane, position) in enumerate(zip(hu_zyx, positions_lps, strict=True)):
        item = dataset(
            SeriesInstanceUID=uid, SeriesDescription=description, InstanceNumber=first_instance + k
        )
        if number is not None:
            item.SeriesNumber = number
        item.ImageType = list(image_type)
        item.ImagePositionPatient = [f"{v:.6f}"[:16] for v in position]
        item.ImageOrientationPatient = [f"{v:.9f}"[:16] for v in orientation]
        item.PixelSpacing = list(spacing_yx_mm)
        item.RescaleSlope, item.RescaleIntercept = slopes[k], intercepts[k]
        item.RescaleType = "HU"
        stored = np.rint((plane.astype(float) - intercepts[k]) / slopes[k])
        set_pixels(item, stored.astype(np.uint16 if stored.min() >= 0 else np.int16))
        for keyword, value in tags.items():
            setattr(item, keyword, value[k] if isinstance(value, list) else value)
        item.save_as(
            folder / f"{(k * 7919) % 10007:05d}_{item.InstanceNumber}{suffix}", enforce_file_format=True
        )
    return uid


def axial_positions(
    n: int, step_mm: float = 5.0, first: tuple[float, float, float] = (-90, -80, 20)
) -> NDArray:
    """(n, 3) positions one above the other."""
    return np.array(first, float) + np.arange(n)[:, None] * np.array([0, 0, step_mm])


def write_enhanced(path: Path, hu_zyx: NDArray[np.int16], positions_lps: Sequence[Sequence[float]],
                   spacing_yx_mm: tuple[float, float] = (3.0, 3.0), orientation: Sequence[float] = AXIAL,
                   intercepts: Sequence[float] | None = None) -> None:  # fmt: skip
    """An enhanced multi-frame CT with positions (and rescale values) per frame."""
    item = dataset(
        ENHANCED_CT, SeriesInstanceUID=generate_uid(), SeriesNumber=9, SeriesDescription="ENHANCED"
    )
    item.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    item.InstanceNumber, item.NumberOfFrames = 1, len(hu_zyx)
    intercepts = intercepts if intercepts is not None else [-1024.0] * len(hu_zyx)

    def group(**tags: Any) -> DicomSequence:
        inner = Dataset()
        for keyword, value in tags.items():
            setattr(inner, keyword, value)
        return DicomSequence([inner])

    shared = Dataset()
    shared.PixelMeasuresSequence = group(PixelSpacing=list(spacing_yx_mm), SliceThickness=5)
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=[float(v) for v in orientation])
    item.SharedFunctionalGroupsSequence = DicomSequence([shared])
    frames = []
    for position, intercept in zip(positions_lps, intercepts, strict=True):
        frame = Dataset()
        frame.PlanePositionSequence = group(ImagePositionPatient=[float(v) for v in position])
        frame.PixelValueTransformationSequence = group(
            RescaleSlope=1, RescaleIntercept=intercept, RescaleType="HU"
        )
        frames.append(frame)
    item.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    stored = np.stack([plane.astype(int) - int(b) for plane, b in zip(hu_zyx, intercepts, strict=True)])
    set_pixels(item, stored.astype(np.uint16))
    item.save_as(path, enforce_file_format=True)


def read_back(path: Path) -> Dataset:
    """The whole file, for tests that change it."""
    return pydicom.dcmread(path)
