"""DICOM Segmentation objects, ours or others', as masks on a CT's grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from scipy import ndimage

from ..support.errors import InputError
from ..volume.crops import Mask
from ..volume.ct import Geometry

SEGMENTATION, LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"
# Largest distance from the CT's voxel centres at which pixels still count as its voxels.
ALIGNED_VOXELS = 0.1

Code = tuple[str, str, str]


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment.

    Attributes:
        number, label: as in the object.
        category, kind, region: (value, scheme, meaning) of property category, type and anatomic region; ""s
            where absent.
        tracking_uid: "" where absent.
        algorithm_type: "AUTOMATIC", "SEMIAUTOMATIC" or "MANUAL".
        mask: on the CT's grid.
        outside: share of its pixels that lie outside of the CT.
    """

    number: int
    label: str
    category: Code
    kind: Code
    region: Code
    tracking_uid: str
    algorithm_type: str
    mask: Mask
    outside: float = 0.0


@dataclass(frozen=True, eq=False)
class SegmentationObject:
    """What a file holds: its segments and where it belongs."""

    sop_instance_uid: str
    frame_of_reference_uid: str
    study_instance_uid: str
    manufacturer: str
    segments: tuple[Segment, ...]


def read_segmentation(path: Path, geometry: Geometry, frame_of_reference_uid: str = "") -> SegmentationObject:
    """Read a SEG file onto the grid of the CT it was drawn on.

    Binary and fractional (from 0.5) segmentations and label maps; a grid other than the CT's is resampled.

    Args:
        geometry: the CT's grid.
        frame_of_reference_uid: the CT's; "" where it is not known.

    Raises:
        InputError: no SEG, damaged, or drawn on another scan.
    """
    dataset = _read(path)
    theirs = str(dataset.get("FrameOfReferenceUID", ""))
    if frame_of_reference_uid and theirs and theirs != frame_of_reference_uid:
        raise InputError(
            f"{path.name} was drawn on another scan: its frame of reference is not the CT's. Give the CT "
            "that the segmentation refers to."
        )
    try:
        frames = _frames_by_segment(dataset)
        segments = tuple(
            _segment(item, frames.get(int(item.SegmentNumber), []), geometry)
            for item in dataset.SegmentSequence
        )
        uid = str(dataset.SOPInstanceUID)
    except (AttributeError, LookupError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{path.name}: the segmentation is damaged or incomplete ({error}).") from error
    drawn = [s for s in segments if s.mask.count or s.outside]
    if drawn and not any(s.mask.count for s in drawn):
        raise InputError(
            f"{path.name}: none of its segments lies inside the CT. Give the CT that it refers to."
        )
    return SegmentationObject(
        uid,
        theirs,
        str(dataset.get("StudyInstanceUID", "")),
        str(dataset.get("Manufacturer", "") or ""),
        segments,
    )


def seg_and_sr(paths: Sequence[Path]) -> tuple[Path, Path | None]:
    """Which of the files is the segmentation, and which the report, where there is one.

    Raises:
        InputError: none is a segmentation, several are, or one is neither.
    """
    found: dict[str, list[Path]] = {"SEG": [], "SR": []}
    for path in paths:
        try:
            kind = str(dcmread(path, specific_tags=["Modality"], stop_before_pixels=True).get("Modality", ""))
        except (InvalidDicomError, OSError, EOFError, ValueError) as error:
            raise InputError(f"{path.name} is no DICOM file that can be read ({error}).") from error
        if kind not in found:
            raise InputError(
                f"{path.name} is neither a DICOM Segmentation nor a structured report: its modality is "
                f"{kind or 'not given'}."
            )
        found[kind].append(path)
    if len(found["SEG"]) != 1 or len(found["SR"]) > 1:
        raise InputError(
            f"Choose one DICOM Segmentation and, if there is one, its structured report: these are "
            f"{len(found['SEG'])} segmentations and {len(found['SR'])} reports."
        )
    return found["SEG"][0], next(iter(found["SR"]), None)


def _read(path: Path) -> Dataset:
    try:
        dataset = dcmread(path)
    except (InvalidDicomError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} is no DICOM file that can be read ({error}).") from error
    if dataset.get("SOPClassUID") not in (SEGMENTATION, LABEL_MAP):
        raise InputError(f"{path.name} is no DICOM Segmentation object.")
    return dataset


@dataclass(frozen=True, eq=False)
class _Frame:
    """A frame's pixels (bool) and where they lie."""

    pixels_yx: NDArray[np.bool_]
    position_lps: NDArray[np.float64]
    row: NDArray[np.float64]
    column: NDArray[np.float64]
    spacing_yx_mm: tuple[float, float]
    thickness_mm: float


def _frames_by_segment(dataset: Dataset) -> dict[int, list[_Frame]]:
    """Frames with anything in them, by segment number."""
    shared = dataset.get("SharedFunctionalGroupsSequence", [Dataset()])[0]
    maps = dataset.get("SegmentationType", "BINARY") == "LABELMAP"
    frames: dict[int, list[_Frame]] = {}
    for pixels, group in zip(_pixels(dataset), dataset.PerFrameFunctionalGroupsSequence, strict=True):
        if maps:
            numbers = [int(n) for n in np.unique(pixels) if n]
            masks = [(n, pixels == n) for n in numbers]
        else:
            owner = group if "SegmentIdentificationSequence" in group else shared
            number = int(owner.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
            masks = [(number, pixels)] if pixels.any() else []
        for number, mask in masks:
            frames.setdefault(number, []).append(_frame(mask, group, shared))
    return frames


def _pixels(dataset: Dataset) -> Iterator[NDArray[Any]]:
    """The frames' pixels one by one: bool, or numbers of a label map."""
    kind = dataset.get("SegmentationType", "BINARY")
    array = dataset.pixel_array
    array = array[None] if array.ndim == 2 else array
    if kind == "FRACTIONAL":
        half = 0.5 * float(dataset.get("MaximumFractionalValue", 255))
        return (frame >= half for frame in array)
    return (frame if kind == "LABELMAP" else frame > 0 for frame in array)


def _frame(mask: NDArray[np.bool_], group: Dataset, shared: Dataset) -> _Frame:
    def of(name: str) -> Dataset:
        return (group if name in group else shared)[name].value[0]

    orientation = np.array(of("PlaneOrientationSequence").ImageOrientationPatient, float)
    position = np.array(of("PlanePositionSequence").ImagePositionPatient, float)
    measures = of("PixelMeasuresSequence")
    spacing = (float(measures.PixelSpacing[0]), float(measures.PixelSpacing[1]))
    thickness = float(measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or min(spacing))
    return _Frame(mask, position, orientation[:3], orientation[3:], spacing, thickness)


def _segment(item: Dataset, frames: list[_Frame], geometry: Geometry) -> Segment:
    mask, outside = _on_grid(frames, geometry)
    return Segment(
        int(item.SegmentNumber),
        str(item.get("SegmentLabel", "")),
        _code(item, "SegmentedPropertyCategoryCodeSequence"),
        _code(item, "SegmentedPropertyTypeCodeSequence"),
        _code(item, "AnatomicRegionSequence"),
        str(item.get("TrackingUID", "")),
        str(item.get("SegmentAlgorithmType", "MANUAL")),
        mask,
        outside,
    )


def _code(item: Dataset, name: str) -> Code:
    found = item.get(name)
    if not found:
        return ("", "", "")
    code = found[0]
    value = code.get("CodeValue") or code.get("LongCodeValue") or ""
    return (str(value), str(code.get("CodingSchemeDesignator", "")), str(code.get("CodeMeaning", "")))


def _on_grid(frames: list[_Frame], geometry: Geometry) -> tuple[Mask, float]:
    """The frames' pixels as a mask on the grid, and the share of them that lies outside of it."""
    if not frames:
        return Mask(np.zeros((0, 0, 0), bool), (0, 0, 0)), 0.0
    indices = [_indices(frame, geometry) for frame in frames]
    if any(index is None for index in indices):
        return _resampled(frames, geometry)
    index = np.concatenate([i for i in indices if i is not None])
    inside = ((index >= 0) & (index < np.array(geometry.shape_zyx))).all(axis=1)
    share = 1.0 - float(inside.mean())
    index = index[inside]
    if not len(index):
        return Mask(np.zeros((0, 0, 0), bool), (0, 0, 0)), share
    low, high = index.min(axis=0), index.max(axis=0) + 1
    voxels = np.zeros(high - low, bool)
    voxels[tuple((index - low).T)] = True
    return Mask(voxels, (int(low[0]), int(low[1]), int(low[2]))), share


def _indices(frame: _Frame, geometry: Geometry) -> NDArray[np.int64] | None:
    """z, y, x index of every set pixel; None where pixels are not the grid's voxels."""
    step_y, step_x = frame.spacing_yx_mm
    rows, columns = frame.pixels_yx.shape
    corners = [(0, 0), (rows - 1, 0), (0, columns - 1), (rows - 1, columns - 1)]
    points = [frame.position_lps + r * step_y * frame.column + c * step_x * frame.row for r, c in corners]
    exact = geometry.lps_to_index(np.array(points))
    sizes = (np.abs(exact[1] - exact[0]).max(), np.abs(exact[2] - exact[0]).max())
    if np.abs(exact - np.rint(exact)).max() > ALIGNED_VOXELS:
        return None
    if abs(sizes[0] - (rows - 1)) > ALIGNED_VOXELS or abs(sizes[1] - (columns - 1)) > ALIGNED_VOXELS:
        return None
    y, x = np.nonzero(frame.pixels_yx)
    at = frame.position_lps + np.outer(y * step_y, frame.column) + np.outer(x * step_x, frame.row)
    return np.rint(geometry.lps_to_index(at)).astype(np.int64)


def _resampled(frames: list[_Frame], geometry: Geometry) -> tuple[Mask, float]:
    """A segment drawn on another grid, however turned, nearest neighbour on the CT's.

    Slices between the segment's frames that have no frame are empty: a SEG leaves empty frames out.
    """
    first = frames[0]
    normal = np.cross(first.row, first.column)
    heights = np.array([float((f.position_lps - first.position_lps) @ normal) for f in frames])
    gaps = np.diff(np.unique(np.round(heights, 3)))
    step = float(gaps.min()) if len(gaps) else first.thickness_mm
    lowest = int(heights.argmin())
    places = np.rint((heights - heights[lowest]) / step).astype(int)
    values = np.zeros((places.max() + 1, *first.pixels_yx.shape), bool)
    for place, frame in zip(places, frames, strict=True):
        values[place] |= frame.pixels_yx
    step_y, step_x = first.spacing_yx_mm
    to_lps = np.eye(4)
    to_lps[:3, :3] = np.column_stack([normal * step, first.column * step_y, first.row * step_x])
    to_lps[:3, 3] = frames[lowest].position_lps
    # Index (z, y, x) of the CT -> index of the segment's own stack.
    ct_to_lps = geometry.ijk_to_lps[:, [2, 1, 0, 3]]
    matrix = np.linalg.inv(to_lps) @ ct_to_lps
    corners = np.array(list(product(*((-0.5, n - 0.5) for n in values.shape))))
    at = (np.linalg.inv(matrix) @ np.column_stack([corners, np.ones(8)]).T)[:3].T
    low = np.maximum(np.floor(at.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(at.max(axis=0)).astype(int) + 1, geometry.shape_zyx)
    if (high <= low).any():
        return Mask(np.zeros((0, 0, 0), bool), (0, 0, 0)), 1.0
    offset = (matrix @ np.array([*low, 1.0]))[:3]
    crop = ndimage.affine_transform(
        values.astype(np.uint8), matrix[:3, :3], offset, tuple(high - low), order=0, mode="constant"
    )
    mask = Mask.of(crop > 0)
    start = tuple(int(a + b) for a, b in zip(low, mask.start_zyx, strict=True))
    return Mask(mask.voxels_zyx, start), 0.0 if mask.count else 1.0  # type: ignore[arg-type]
