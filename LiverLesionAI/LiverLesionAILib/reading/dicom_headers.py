"""DICOM headers: every image of every file as a flat, typed record."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from ..support.progress import Progress

DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
_TAGS = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "Modality",
    "ImageType", "SeriesInstanceUID", "SeriesNumber",
    "SeriesDescription", "StudyDescription", "ProtocolName", "BodyPartExamined", "PatientID",
    "InstanceNumber", "AcquisitionNumber", "AcquisitionDate", "AcquisitionTime",
    "AcquisitionDateTime", "TemporalPositionIdentifier", "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase", "ConvolutionKernel", "KVP", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "SamplesPerPixel",
    "BitsAllocated", "NumberOfFrames", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "PixelRepresentation",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
]  # fmt: skip
# What may tell the scans apart that share one series, most telling first.
PASS_TAGS = (
    "AcquisitionNumber", "TemporalPositionIdentifier", "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase", "ConvolutionKernel", "KVP", "AcquisitionDateTime",
    "AcquisitionTime", "ImageType",
)  # fmt: skip


@dataclass(frozen=True)
class Frame:
    """One image: a single-frame file, or one frame of a multi-frame file.

    Attributes:
        path, index: the file and the frame's index in it (0 for single-frame files).
        frames: number of frames in the file.
        position_lps: centre of the first pixel, mm; None where the file does not say.
        orientation: unit vectors along a row and along a column, six numbers in LPS.
        spacing_yx_mm: between rows, between columns.
        padding: lowest and highest stored value that means "no data here".
        passes: values of PASS_TAGS, "" where absent.
        body: everything the header says in words on the body part, lower case.
    """

    path: Path
    index: int
    frames: int
    sop_class: str
    sop_instance: str
    syntax: str
    modality: str
    series_uid: str
    study_uid: str
    frame_of_reference: str
    number: int | None
    description: str
    body: str
    patient: str
    instance: int
    image_type: tuple[str, ...]
    shape_yx: tuple[int, int]
    samples: int
    position_lps: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None
    spacing_yx_mm: tuple[float, float] | None
    slope: float
    intercept: float
    rescale_type: str
    padding: tuple[int, int] | None
    passes: tuple[str, ...]
    kernel: str

    @property
    def usable(self) -> bool:
        """Whether it has a place in the patient."""
        return (
            self.position_lps is not None and self.orientation is not None and self.spacing_yx_mm is not None
        )


@dataclass(eq=False)
class Scan:
    """What the files of a folder hold.

    Attributes:
        frames: all images, and one placeholder with shape (0, 0) per file that holds none (reports,
            segmentations).
        unreadable: empty or damaged DICOM files.
        patients: patient identifiers met.
        is_directory_file: a DICOMDIR was among the files.
    """

    frames: list[Frame] = field(default_factory=list)
    unreadable: list[Path] = field(default_factory=list)
    patients: set[str] = field(default_factory=set)
    is_directory_file: bool = False


def is_dicom(path: Path) -> bool:
    """Whether the file starts like DICOM, with or without the preamble."""
    try:
        with path.open("rb") as file:
            head = file.read(136)
    except OSError:
        return False
    if head[128:132] == b"DICM":
        return True
    # Without preamble a data set starts with an element of group 2 or 8, little endian, of small even length.
    if len(head) < 16 or head[:2] not in (b"\x02\x00", b"\x08\x00") or head[3] != 0:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    length = int.from_bytes(head[6:8] if explicit else head[4:8], "little")
    return length % 2 == 0 and length <= 128


def scan_files(paths: list[Path], progress: Progress) -> Scan:
    """Read the headers of all DICOM files among `paths`.

    Files that are not DICOM are passed over; empty ones and damaged DICOM files are listed as unreadable.
    """
    scan = Scan()
    for k, path in enumerate(paths):
        if k % 16 == 0:
            progress("Reading headers", k / max(1, len(paths)))
        try:
            empty = path.stat().st_size == 0
        except OSError:
            scan.unreadable.append(path)
            continue
        if empty:
            if path.suffix.lower() in (".dcm", ".ima", ""):
                scan.unreadable.append(path)
            continue
        if not is_dicom(path):
            if path.suffix.lower() in (".dcm", ".ima"):
                scan.unreadable.append(path)
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _scan_file(path, scan)
        except Exception:  # pydicom raises whatever a damaged file makes of its parser
            scan.unreadable.append(path)
    return scan


def _scan_file(path: Path, scan: Scan) -> None:
    dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
    meta = getattr(dataset, "file_meta", None) or Dataset()
    sop_class = str(dataset.get("SOPClassUID", "") or meta.get("MediaStorageSOPClassUID", ""))
    if sop_class == DIRECTORY_CLASS:
        scan.is_directory_file = True
        return
    syntax = str(meta.get("TransferSyntaxUID", "") or "")
    if not sop_class and not dataset.get("SeriesInstanceUID"):
        raise ValueError("no DICOM image")
    frames = _frames(path, dataset, sop_class, syntax)
    stored = frames[0].shape_yx[0] * frames[0].shape_yx[1] * len(frames) * frames[0].samples
    stored = stored * int(dataset.get("BitsAllocated", 0) or 0) // 8
    if syntax in ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2") and (
        path.stat().st_size < stored
    ):
        raise ValueError("truncated")
    scan.frames.extend(frames)
    if patient := frames[0].patient:
        scan.patients.add(patient)


def _numbers(value: object, count: int) -> tuple[float, ...] | None:
    """A tuple of `count` finite numbers, or None."""
    try:
        numbers = tuple(float(v) for v in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _number(value: object, default: float) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return default
    return number if math.isfinite(number) else default


def _orientation(value: object) -> tuple[float, ...] | None:
    numbers = _numbers(value, 6)
    if numbers is None:
        return None
    lengths = np.linalg.norm(np.reshape(numbers, (2, 3)), axis=1)
    if np.abs(lengths - 1).max() > 0.01:
        return None
    return tuple(float(v) for v in (np.reshape(numbers, (2, 3)) / lengths[:, None]).ravel())


def _spacing(value: object) -> tuple[float, float] | None:
    numbers = _numbers(value, 2)
    return (numbers[0], numbers[1]) if numbers and min(numbers) > 0 else None


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    if value is None:
        return ""
    if isinstance(value, (list, pydicom.multival.MultiValue)):
        return "\\".join(str(v) for v in value)
    return str(value).strip()


class _Groups:
    """Looks an attribute up in a frame's functional groups, then the shared ones, then the file itself."""

    def __init__(self, dataset: Dataset, frame: int) -> None:
        per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
        shared = dataset.get("SharedFunctionalGroupsSequence") or []
        self._levels = [
            level
            for level in (
                per_frame[frame] if frame < len(per_frame) else None,
                shared[0] if len(shared) else None,
            )
            if level is not None
        ]
        self._dataset = dataset

    def get(self, sequence: str, keyword: str) -> object:
        for level in self._levels:
            items = level.get(sequence)
            if items and items[0].get(keyword) is not None:
                return items[0].get(keyword)
        return self._dataset.get(keyword)


def _frames(path: Path, dataset: Dataset, sop_class: str, syntax: str) -> list[Frame]:
    count = int(_number(dataset.get("NumberOfFrames"), 1)) if dataset.get("Rows") else 1
    body = " ".join(
        _text(dataset, k)
        for k in ("BodyPartExamined", "SeriesDescription", "ProtocolName", "StudyDescription")
    ).lower()
    number = dataset.get("SeriesNumber")
    padding_value = dataset.get("PixelPaddingValue")
    padding = None
    if isinstance(padding_value, int):
        limit = dataset.get("PixelPaddingRangeLimit")
        ends = sorted((padding_value, limit if isinstance(limit, int) else padding_value))
        padding = (ends[0], ends[1])
    frames = []
    for index in range(max(1, count)):
        groups = _Groups(dataset, index)
        image_type = groups.get("CTImageFrameTypeSequence", "FrameType") or dataset.get("ImageType") or ()
        image_type = (image_type,) if isinstance(image_type, str) else tuple(str(v) for v in image_type)  # type: ignore[attr-defined]
        passes = [_text(dataset, keyword) for keyword in PASS_TAGS]
        for place, keyword in (
            ("AcquisitionNumber", "FrameAcquisitionNumber"),
            ("TemporalPositionIndex", "TemporalPositionIndex"),
        ):
            value = groups.get("FrameContentSequence", keyword)
            if value is not None:
                passes[PASS_TAGS.index(place)] = str(value)
        frames.append(
            Frame(
                path=path,
                index=index,
                frames=max(1, count),
                sop_class=sop_class,
                sop_instance=_text(dataset, "SOPInstanceUID"),
                syntax=syntax,
                modality=_text(dataset, "Modality").upper(),
                series_uid=_text(dataset, "SeriesInstanceUID"),
                study_uid=_text(dataset, "StudyInstanceUID"),
                frame_of_reference=_text(dataset, "FrameOfReferenceUID"),
                number=int(number) if number not in (None, "") else None,
                description=_text(dataset, "SeriesDescription"),
                body=body,
                patient=_text(dataset, "PatientID"),
                instance=int(_number(dataset.get("InstanceNumber"), 0)),
                image_type=tuple(v.upper() for v in image_type),
                shape_yx=(int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)),
                samples=int(_number(dataset.get("SamplesPerPixel"), 1)),
                position_lps=_numbers(groups.get("PlanePositionSequence", "ImagePositionPatient"), 3),  # type: ignore[arg-type]
                orientation=_orientation(groups.get("PlaneOrientationSequence", "ImageOrientationPatient")),
                spacing_yx_mm=_spacing(groups.get("PixelMeasuresSequence", "PixelSpacing")),
                slope=_number(groups.get("PixelValueTransformationSequence", "RescaleSlope"), 1.0) or 1.0,
                intercept=_number(groups.get("PixelValueTransformationSequence", "RescaleIntercept"), 0.0),
                rescale_type=str(groups.get("PixelValueTransformationSequence", "RescaleType") or "").upper(),
                padding=padding,
                passes=tuple(passes),
                kernel=str(groups.get("CTReconstructionSequence", "ConvolutionKernel") or "").lower(),
            )
        )
    return frames
