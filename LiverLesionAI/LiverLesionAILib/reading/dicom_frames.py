"""One DICOM image as a flat, typed record: of a single-frame file, or of one frame of a multi-frame file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from .dicom_claims import NO_CLAIMS, Claims, claims_of
from .dicom_values import moment, number, numbers, orientation, spacing, text_of, whole, whole_or_none

CATEGORIES: dict[str, str] = {
    "TemporalPositionIdentifier": "TemporalPositionSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "NominalPercentageOfCardiacPhase": "CardiacSynchronizationSequence",
    "AcquisitionNumber": "FrameContentSequence",
    "IrradiationEventUID": "IrradiationEventIdentificationSequence",
    "ConvolutionKernel": "CTReconstructionSequence",
    "KVP": "CTXRayDetailsSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "ImageType": "CTImageFrameTypeSequence",
    "StackID": "FrameContentSequence",
    "FilterType": "CTXRayDetailsSequence",
    "ScanOptions": "",
    "ContrastBolusAgent": "",
    "SeriesDescription": "",
    "ProtocolName": "",
    "FrameOfReferenceUID": "",
}
"""What may name the acquisition or reconstruction an image belongs to, most telling first, and the functional
group in which enhanced files keep it."""
MOMENTS = ("acquisition time", "trigger time", "temporal position", "content time", "instance number")
"""What may order the images of a series in time, most telling first."""
_RENAMED = {"AcquisitionNumber": "FrameAcquisitionNumber", "ImageType": "FrameType"}
UNCOMPRESSED = {
    "", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
}  # fmt: skip
DEFLATED = "1.2.840.10008.1.2.1.99"


class HeaderError(ValueError):
    """Why a file's header cannot be used; the text stands behind the file's name."""


@dataclass(frozen=True)
class StoredFormat:
    """How pixels are stored.

    Attributes:
        syntax: transfer syntax UID.
        high: the highest bit that holds a value (HighBit).
        overlay: the unused bits may hold overlay planes.
    """

    syntax: str
    samples: int
    allocated: int
    stored: int
    high: int
    signed: bool
    photometric: str
    overlay: bool = False


@dataclass(frozen=True)
class Frame:
    """One image.

    Attributes:
        path, index: the file and the frame's index in it (0 for single-frame files).
        frames: number of frames in the file.
        position_lps: centre of the first pixel, mm; None where the file does not say.
        orientation: unit vectors along a row and along a column, six numbers in LPS.
        spacing_yx_mm: between rows, between columns.
        padding: lowest and highest stored value that means "no data here".
        rescale: "" where slope and intercept are given, else what is wrong with them.
        thickness_mm, location_mm: slice thickness and slice location as the file says; None where absent.
        categories: values of CATEGORIES, "" where absent.
        moments: values of MOMENTS as numbers that grow, None where absent.
        body: everything the header says in words on the body part, lower case.
        claims: what the header says once more in other words.
    """

    path: Path
    index: int
    frames: int
    sop_class: str
    sop_instance: str
    format: StoredFormat
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
    position_lps: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None
    spacing_yx_mm: tuple[float, float] | None
    slope: float
    intercept: float
    rescale: str
    rescale_type: str
    padding: tuple[int, int] | None
    thickness_mm: float | None
    location_mm: float | None
    categories: tuple[str, ...]
    moments: tuple[float | None, ...]
    kernel: str
    problem: str = ""
    claims: Claims = NO_CLAIMS

    @property
    def usable(self) -> bool:
        """Whether it has a place in the patient."""
        return (
            self.position_lps is not None and self.orientation is not None and self.spacing_yx_mm is not None
        )

    def category(self, keyword: str) -> str:
        """The value of one of CATEGORIES."""
        return self.categories[_CATEGORY_INDEX[keyword]]


_CATEGORY_INDEX = {keyword: k for k, keyword in enumerate(CATEGORIES)}


def frames_of(path: Path, dataset: Dataset, sop_class: str, syntax: str, file_bytes: int) -> list[Frame]:
    """The images of a file from its header; one placeholder with shape (0, 0) where it holds none.

    Raises:
        HeaderError: the header contradicts itself or the file's size.
    """
    stored = _format(dataset, syntax)
    shape = (whole(dataset.get("Rows")), whole(dataset.get("Columns")))
    count = _frame_count(dataset, shape, stored, file_bytes) if shape[0] else 1
    same = {
        "path": path,
        "frames": count,
        "sop_class": sop_class,
        "sop_instance": text_of(dataset.get("SOPInstanceUID")),
        "format": stored,
        "modality": text_of(dataset.get("Modality")).upper(),
        "series_uid": text_of(dataset.get("SeriesInstanceUID")),
        "study_uid": text_of(dataset.get("StudyInstanceUID")),
        "number": whole_or_none(dataset.get("SeriesNumber")),
        "description": text_of(dataset.get("SeriesDescription")),
        "body": " ".join(
            text_of(dataset.get(k))
            for k in ("BodyPartExamined", "SeriesDescription", "ProtocolName", "StudyDescription")
        ).lower(),
        "patient": text_of(dataset.get("PatientID")),
        "shape_yx": shape,
        "location_mm": number(dataset.get("SliceLocation")),
    }
    described = len(dataset.get("PerFrameFunctionalGroupsSequence") or ()) or 1
    return [_frame(_Groups(dataset, k), k, same) for k in range(min(count, described))]


def _frame(groups: _Groups, index: int, same: dict[str, Any]) -> Frame:
    categories = tuple(_category(groups, key, sequence) for key, sequence in CATEGORIES.items())
    image_type = tuple(v.upper() for v in categories[_CATEGORY_INDEX["ImageType"]].split("\\") if v)
    slope, intercept, rescale = _rescale(groups)
    moments = tuple(_moments(groups, index, same["frames"]))
    return Frame(
        **same,
        index=index,
        frame_of_reference=categories[_CATEGORY_INDEX["FrameOfReferenceUID"]],
        instance=int(number(groups.dataset.get("InstanceNumber")) or 0),
        image_type=image_type,
        position_lps=numbers(groups.get("PlanePositionSequence", "ImagePositionPatient"), 3),  # type: ignore[arg-type]
        orientation=orientation(groups.get("PlaneOrientationSequence", "ImageOrientationPatient")),
        spacing_yx_mm=spacing(groups.get("PixelMeasuresSequence", "PixelSpacing")),
        slope=slope,
        intercept=intercept,
        rescale=rescale,
        rescale_type=text_of(groups.get("PixelValueTransformationSequence", "RescaleType")).upper(),
        padding=_padding(groups),
        thickness_mm=number(groups.get("PixelMeasuresSequence", "SliceThickness")),
        categories=categories,
        moments=moments,
        kernel=categories[_CATEGORY_INDEX["ConvolutionKernel"]].lower(),
        problem=_written_badly(groups),
        claims=claims_of(groups.get),
    )


def _category(groups: _Groups, keyword: str, sequence: str) -> str:
    value = groups.get(sequence, _RENAMED.get(keyword, keyword), keyword)
    if keyword in ("KVP", "SliceThickness") and (known := number(value)) is not None:
        return f"{known:g}"  # "120" and "120.0" are the same
    return text_of(value)


class _Groups:
    """Looks an attribute up in a frame's functional groups, then the shared ones, then the file itself."""

    def __init__(self, dataset: Dataset, frame: int) -> None:
        per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
        shared = dataset.get("SharedFunctionalGroupsSequence") or []
        self.own = list(per_frame[frame : frame + 1])
        self._levels = [*self.own, *shared[:1]]
        self.dataset = dataset

    def get(self, sequence: str, keyword: str, plain_keyword: str = "") -> Any:
        """The attribute's value; `plain_keyword` is its name outside of functional groups."""
        for level in self._levels:
            items = level.get(sequence) if sequence else None
            if items and items[0].get(keyword) is not None:
                return items[0].get(keyword)
        return self.dataset.get(plain_keyword or keyword)

    def anywhere(self, keyword: str) -> Any:
        """The attribute in any group of this frame, else at the file's top."""
        for level in self.own:
            for element in level:
                if element.VR == "SQ" and element.value and element.value[0].get(keyword) is not None:
                    return element.value[0].get(keyword)
        return self.dataset.get(keyword)


def _format(dataset: Dataset, syntax: str) -> StoredFormat:
    allocated = whole(dataset.get("BitsAllocated"))
    stored = whole(dataset.get("BitsStored")) or allocated
    high = dataset.get("HighBit")
    overlay = any(0x6000 <= tag.group <= 0x601E and tag.element == 0x0102 for tag in dataset.keys())  # noqa: SIM118
    return StoredFormat(
        syntax,
        whole(dataset.get("SamplesPerPixel")) or 1,
        allocated,
        stored,
        high if isinstance(high, int) else stored - 1,
        dataset.get("PixelRepresentation") == 1,
        text_of(dataset.get("PhotometricInterpretation")).upper(),
        overlay,
    )


def _frame_count(dataset: Dataset, shape: tuple[int, int], stored: StoredFormat, file_bytes: int) -> int:
    """NumberOfFrames, held against what else the file says.

    Raises:
        HeaderError: it cannot be so many.
    """
    given = dataset.get("NumberOfFrames")
    count = number(given) if given not in (None, "") else 1.0
    if count is None or count != int(count) or count < 1:
        raise HeaderError(f"its number of frames is '{given}'")
    count = int(count)
    described = len(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if described and described != count:
        raise HeaderError(f"it says that it has {count} frames and describes {described}")
    frame_bytes = shape[0] * shape[1] * stored.samples * stored.allocated // 8
    # A compressed frame has an item header and at least a few bytes.
    smallest = frame_bytes if stored.syntax in UNCOMPRESSED - {DEFLATED} else 10
    if count * smallest > file_bytes:
        raise HeaderError(
            f"it is incomplete: it says that it has {count} image{'s' if count > 1 else ''} of {shape[1]} x "
            f"{shape[0]} pixels, and has {file_bytes} bytes"
        )
    return count


def _rescale(groups: _Groups) -> tuple[float, float, str]:
    """(slope, intercept, what is wrong with them)."""
    given = [groups.get("PixelValueTransformationSequence", k) for k in ("RescaleSlope", "RescaleIntercept")]
    slope, intercept = (number(v) for v in given)
    wrong = ""
    if slope is None or intercept is None:
        if given[0] is None and given[1] is None:
            wrong = "no rescale slope and intercept"
        else:
            named = " and ".join(
                f"{name} '{text_of(value)}'" if text_of(value) else f"no {name}"
                for name, value, known in zip(
                    ("rescale slope", "rescale intercept"), given, (slope, intercept), strict=True
                )
                if known is None
            )
            wrong = named
    elif slope == 0:
        wrong = "a rescale slope of 0"
    return slope or 1.0, intercept or 0.0, wrong


def _padding(groups: _Groups) -> tuple[int, int] | None:
    value, limit = groups.anywhere("PixelPaddingValue"), groups.anywhere("PixelPaddingRangeLimit")
    if not isinstance(value, int):
        return None
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    return low, high


def _written_badly(groups: _Groups) -> str:
    """Numbers that are no numbers in DICOM's spelling: which, and how they are written."""
    for sequence, keyword in (
        ("PixelMeasuresSequence", "PixelSpacing"),
        ("PlanePositionSequence", "ImagePositionPatient"),
        ("PlaneOrientationSequence", "ImageOrientationPatient"),
        ("PixelValueTransformationSequence", "RescaleSlope"),
        ("PixelValueTransformationSequence", "RescaleIntercept"),
    ):
        text = text_of(groups.get(sequence, keyword))
        if "," in text:
            return f"its {keyword} is written with decimal commas ({text[:40]}), where DICOM has points"
    return ""


def _moments(groups: _Groups, index: int, frames: int) -> Iterator[float | None]:
    dataset = groups.dataset
    yield moment(
        groups.get("FrameContentSequence", "FrameAcquisitionDateTime", "AcquisitionDateTime"),
        dataset.get("AcquisitionDate"),
        dataset.get("AcquisitionTime"),
    )
    yield number(
        groups.get("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", "TriggerTime")
    )
    yield number(groups.get("TemporalPositionSequence", "TemporalPositionTimeOffset"))
    yield moment(
        groups.get("FrameContentSequence", "FrameReferenceDateTime", "ContentDateTime"),
        dataset.get("ContentDate"),
        dataset.get("ContentTime"),
    )
    yield float(index) if frames > 1 else number(dataset.get("InstanceNumber"))
