"""DICOM headers: every image of every file of a folder as a record."""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from ..support.progress import Progress
from .dicom_claims import CLAIM_TAGS
from .dicom_frames import CATEGORIES, DEFLATED, Frame, HeaderError, frames_of
from .dicom_start import is_dicom

DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
_TAGS = [
    *CATEGORIES, *CLAIM_TAGS, "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID",
    "Modality",    "SeriesNumber", "StudyDescription", "BodyPartExamined", "PatientID", "InstanceNumber",
    "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "ContentDate", "ContentTime",
    "TriggerTime", "ImagePositionPatient", "ImageOrientationPatient", "SliceLocation", "PixelSpacing",
    "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "NumberOfFrames", "RescaleSlope", "RescaleIntercept",
    "RescaleType", "PixelPaddingValue", "PixelPaddingRangeLimit", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", *(0x60000102 + 0x20000 * k for k in range(16)),
]  # fmt: skip
# More than this a deflated file must not grow to: no CT is larger.
_MOST_INFLATED = 1_500_000_000


@dataclass(eq=False)
class Scan:
    """What the files of a folder hold.

    Attributes:
        frames: all images, and one placeholder with shape (0, 0) per file that holds none (reports,
            segmentations).
        unreadable: empty or damaged DICOM files, and why they cannot be read.
        patients: patient identifiers met.
        is_directory_file: a DICOMDIR was among the files.
    """

    frames: list[Frame] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)
    patients: set[str] = field(default_factory=set)
    is_directory_file: bool = False


def scan_files(paths: list[Path], progress: Progress) -> Scan:
    """Read the headers of all DICOM files among `paths`.

    Files that are not DICOM are passed over; empty ones and damaged DICOM files are listed as unreadable.
    """
    scan = Scan()
    for k, path in enumerate(paths):
        if k % 16 == 0:
            progress("Reading headers", k / max(1, len(paths)))
        named = path.suffix.lower() in (".dcm", ".ima")
        try:
            size = path.stat().st_size
        except OSError as error:
            scan.unreadable[path] = f"it cannot be opened ({error.strerror})"
            continue
        if size == 0:
            if named or path.suffix == "":
                scan.unreadable[path] = "it is empty"
            continue
        if not is_dicom(path):
            if named:
                scan.unreadable[path] = "it is no DICOM file"
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _scan_file(path, size, scan)
        except HeaderError as error:
            scan.unreadable[path] = str(error)
        except Exception:  # pydicom raises whatever a damaged file makes of its parser
            scan.unreadable[path] = "its header is damaged"
    return scan


def _scan_file(path: Path, size: int, scan: Scan) -> None:
    refuse_inflation(path)
    dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(_TAGS))
    meta = getattr(dataset, "file_meta", None) or Dataset()
    sop_class = str(dataset.get("SOPClassUID", "") or meta.get("MediaStorageSOPClassUID", ""))
    if sop_class == DIRECTORY_CLASS:
        scan.is_directory_file = True
        return
    syntax = str(meta.get("TransferSyntaxUID", "") or "")
    if not sop_class and not dataset.get("SeriesInstanceUID"):
        raise HeaderError("it holds no image and no series")
    frames = frames_of(path, dataset, sop_class, syntax, size)
    if frames[0].problem:
        raise HeaderError(frames[0].problem)
    scan.frames.extend(frames)
    if patient := frames[0].patient:
        scan.patients.add(patient)


def refuse_inflation(path: Path) -> None:
    """A deflated file is inflated by pydicom as a whole, whatever it grows to.

    Raises:
        HeaderError: it grows too large, or its stream is damaged.
    """
    with path.open("rb") as file:
        head = file.read(4096)
        at = head.find(DEFLATED.encode())
        if head[128:132] != b"DICM" or at < 0:
            return
        length = int.from_bytes(head[140:144], "little") if head[132:136] == b"\x02\x00\x00\x00" else 0
        if not length:
            return
        file.seek(144 + length)
        inflate, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
        try:
            while block := file.read(1 << 16):
                while block:
                    total += len(inflate.decompress(block, 1 << 24))
                    block = inflate.unconsumed_tail
                    if total > _MOST_INFLATED:
                        raise HeaderError("it grows to more than 1.5 GB when it is inflated")
        except zlib.error as error:
            raise HeaderError("its compressed data are damaged") from error
        if not inflate.eof:
            raise HeaderError("its compressed data are cut short")
