"""The patient, study and series that a volume's DICOM images belong to."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from ..support.progress import silent
from ..volume.contrast import NOTHING_SAID, ContrastHeader, contrast_header
from ..volume.ct import Geometry
from ..volume.dicom import ATTRIBUTES, DicomSlice, DicomSource, keyword
from .dicom_headers import Frame, scan_files
from .slices import slices_at

# How far the first pixel of an image may lie from the first voxel of its slice.
ALIGNED_PIXELS = 0.1

# Where enhanced multi-frame files keep what older ones have at the top.
_NESTED = {
    "kvp": ("CTXRayDetailsSequence", "KVP"),
    "convolution_kernel": ("CTReconstructionSequence", "ConvolutionKernel"),
    "slice_thickness": ("PixelMeasuresSequence", "SliceThickness"),
    "acquisition_number": ("FrameContentSequence", "FrameAcquisitionNumber"),
    "acquisition_date_time": ("FrameContentSequence", "FrameAcquisitionDateTime"),
    "contrast_bolus_agent": ("ContrastBolusAgentSequence", "CodeMeaning"),
    "contrast_bolus_route": ("ContrastBolusAdministrationRouteSequence", "CodeMeaning"),
}
# Within an agent's item, in enhanced files: how and when it was given.
_OF_AGENT = {
    "contrast_bolus_route": ("ContrastBolusAdministrationRouteSequence", "CodeMeaning"),
    "contrast_bolus_start_time": ("ContrastAdministrationProfileSequence", "ContrastBolusStartTime"),
    "contrast_bolus_stop_time": ("ContrastAdministrationProfileSequence", "ContrastBolusStopTime"),
    "contrast_bolus_volume": ("ContrastAdministrationProfileSequence", "ContrastBolusVolume"),
}


def source_of(frames: Sequence[Frame | None]) -> DicomSource | None:
    """The source of a volume whose z-th slice shows `frames[z]`; None where no slice shows an image.

    Attributes of the series are those of the first image along z.
    """
    known = [frame for frame in frames if frame is not None]
    if not known:
        return None
    slices = tuple(frame and _slice(frame) for frame in frames)
    first = known[0]
    try:
        values = _values(first.path, first.index)
    except Exception:  # pydicom raises what it likes; the images are more than nothing
        return DicomSource(
            slices,
            study_instance_uid=first.study_uid,
            series_instance_uid=first.series_uid,
            frame_of_reference_uid=first.frame_of_reference,
            patient_id=first.patient,
        )
    return DicomSource(slices, **values)


def contrast_of_file(path: Path) -> ContrastHeader:
    """What the header of a DICOM file says of contrast medium; nothing where it cannot be read."""
    try:
        return contrast_header(DicomSource((), **_values(path, 0)))
    except Exception:  # as above: a hint is no reason to fail
        return NOTHING_SAID


def source_of_files(paths: Sequence[Path], geometry: Geometry) -> DicomSource | None:
    """The source of a volume that another program (Slicer) loaded from these DICOM files.

    Args:
        paths: the files of one series, any order; those that are no images are passed over.
        geometry: the loaded volume's grid.

    Returns:
        Matched by position; None where no file's pixels are the grid's voxels (a volume that was cropped,
        resampled, turned or moved since).
    """
    frames = [f for f in scan_files(list(paths), silent).frames if f.usable and _lies_in(f, geometry)]
    if not frames:
        return None
    positions = np.array([f.position_lps for f in frames], float)
    return source_of([None if k is None else frames[k] for k in slices_at(geometry, positions)])


def _lies_in(frame: Frame, geometry: Geometry) -> bool:
    """Whether the image's pixels are those of one of the grid's slices, not turned, shifted or cut."""
    row, column = np.reshape(frame.orientation, (2, 3))  # type: ignore[arg-type]
    aligned = (row @ geometry.directions_lps[:, 0], column @ geometry.directions_lps[:, 1])
    spacing, place = geometry.spacing_zyx_mm[1:], geometry.lps_to_index(frame.position_lps)
    return bool(
        min(aligned) > 0.999
        and tuple(frame.shape_yx) == tuple(geometry.shape_zyx[1:])
        and np.allclose(frame.spacing_yx_mm, spacing, rtol=1e-3)  # type: ignore[arg-type]
        and np.abs(np.asarray(place)[1:]).max() < ALIGNED_PIXELS
    )


def _slice(frame: Frame) -> DicomSlice:
    return DicomSlice(frame.sop_class, frame.sop_instance, frame.index + 1 if frame.frames > 1 else None)


def _values(path: Path, frame: int) -> dict[str, Any]:
    """Of a file's header, by the names of a source's fields."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        return {name: _value(dataset, name, frame) for name in ATTRIBUTES}


def _value(dataset: Dataset, name: str, frame: int) -> Any:
    value = dataset.get(keyword(name))
    if value in (None, "") and name in _NESTED:
        value = _nested(dataset, *_NESTED[name], frame)
    if value in (None, "") and name in _OF_AGENT:
        value = _of_agent(dataset, *_OF_AGENT[name])
    if name in ("kvp", "series_number"):
        try:
            number = float(value)
        except (TypeError, ValueError):
            return None
        return (number if name == "kvp" else int(number)) if math.isfinite(number) else None
    if isinstance(value, (list, pydicom.multival.MultiValue)):
        return "\\".join(str(v) for v in value)
    return "" if value is None else str(value).strip()


def _nested(dataset: Dataset, sequence: str, attribute: str, frame: int) -> Any:
    """An attribute of a frame's functional groups, the shared ones, or a sequence at the top."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    for level in (*per_frame[frame : frame + 1], *shared[:1], dataset):
        items = level.get(sequence)
        if items and items[0].get(attribute) is not None:
            return items[0].get(attribute)
    return None


def _of_agent(dataset: Dataset, sequence: str, attribute: str) -> Any:
    """An attribute within the items of the contrast agents: the first agent that has it."""
    for agent in dataset.get("ContrastBolusAgentSequence") or []:
        for item in agent.get(sequence) or []:
            if item.get(attribute) not in (None, ""):
                return item.get(attribute)
    return None
