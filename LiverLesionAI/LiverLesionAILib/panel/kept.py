"""What is kept with a lesion so that nothing is computed again: the AI's own mask, and fainter candidates.

The AI's mask is packed into a tag of the lesion's segment; candidates below the threshold lie, as text, in an
attribute of the case's table node. Both are saved with the scene.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import slicer

from .. import scene_segments as segments
from ..case_json import describe_lesion, read_lesion
from ..ct import Geometry, axis_permutation, permuted, reoriented_geometry
from ..findings import CaseResult, Lesion
from ..mask_crops import Mask, lesion_masks

TAG_DRAWN = "LiverLesionAI.Drawn"
TAG_LESION = "LiverLesionAI.Lesion"
ATTR_CANDIDATES = "LiverLesionAI.Candidates"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A lesion that is not shown, because its score is below the threshold."""

    lesion: Lesion
    mask: Mask


def pack_mask(mask: Mask, geometry: Geometry) -> str:
    """A mask as text; a lesion of 40 mm takes some kilobytes.

    Kept on the upright grid: Slicer turns left-handed grids round when it loads them.
    """
    upright = turned(mask, geometry, reoriented_geometry(geometry))
    bits = base64.b64encode(zlib.compress(np.packbits(upright.voxels_zyx).tobytes(), 6)).decode("ascii")
    numbers = ",".join(str(int(n)) for n in (*upright.start_zyx, *upright.voxels_zyx.shape))
    return f"{numbers};{bits}"


def unpack_mask(text: str, geometry: Geometry) -> Mask | None:
    """The way back from :func:`pack_mask`, onto `geometry`; None where the text is damaged."""
    try:
        numbers, bits = text.split(";")
        values = [int(n) for n in numbers.split(",")]
        start, shape = tuple(values[:3]), tuple(values[3:])
        packed = np.frombuffer(zlib.decompress(base64.b64decode(bits)), np.uint8)
        voxels = np.unpackbits(packed)[: int(np.prod(shape))].reshape(shape).astype(bool)
    except (ValueError, zlib.error):
        return None
    return turned(Mask(voxels, start), reoriented_geometry(geometry), geometry)  # type: ignore[arg-type]


def turned(mask: Mask, source: Geometry, target: Geometry) -> Mask:
    """A mask on the same grid with its axes permuted and flipped."""
    axes, flips = axis_permutation(source, target)
    start = []
    for axis, flip in zip(axes, flips, strict=True):
        where = mask.slices[axis]
        start.append(source.shape_zyx[axis] - where.stop if flip else where.start)
    return Mask(np.ascontiguousarray(permuted(mask.voxels_zyx, source, target)), tuple(start))  # type: ignore[arg-type]


def split_by_score(result: CaseResult, threshold: float) -> tuple[CaseResult, list[Candidate]]:
    """The result with only the lesions that reach the threshold, and the others.

    Numbers run on from one part to the other, each by size.

    The liver stays as it is: lesions that are not shown are liver too.
    """
    masks = lesion_masks(result)
    shown = [lesion for lesion in result.lesions if lesion.score >= threshold]
    faint = [lesion for lesion in result.lesions if lesion.score < threshold]
    if not faint:
        return result, []
    labels = np.zeros_like(result.lesion_labels_zyx)
    renumbered = []
    for number, lesion in enumerate(shown, 1):
        mask = masks[lesion.number]
        labels[mask.slices][mask.voxels_zyx] = number
        renumbered.append(replace(lesion, number=number))
    candidates = [
        Candidate(replace(lesion, number=number), masks[lesion.number])
        for number, lesion in enumerate(faint, len(shown) + 1)
    ]
    return replace(result, lesions=tuple(renumbered), lesion_labels_zyx=labels), candidates


def keep_drawn(
    node: slicer.vtkMRMLSegmentationNode, result: CaseResult, segment_ids: Mapping[int, str]
) -> None:
    """Pack what the AI drew, and all it said of each lesion, into the lesions' segments."""
    masks = lesion_masks(result)
    for lesion in result.lesions:
        segment = node.GetSegmentation().GetSegment(segment_ids.get(lesion.number, ""))
        if segment is not None and lesion.number in masks and not segments.tag(segment, TAG_DRAWN):
            tag_lesion(segment, lesion, masks[lesion.number], result.geometry)


def tag_lesion(segment: slicer.vtkSegment, lesion: Lesion, mask: Mask, geometry: Geometry) -> None:
    """Keep what the AI drew and said with its segment."""
    segment.SetTag(TAG_DRAWN, pack_mask(mask, geometry))
    segment.SetTag(TAG_LESION, json.dumps(describe_lesion(lesion)))


def write_candidates(
    table: slicer.vtkMRMLTableNode, candidates: Sequence[Candidate], geometry: Geometry
) -> None:
    """Keep the candidates with a case."""
    entries = [{"lesion": describe_lesion(c.lesion), "mask": pack_mask(c.mask, geometry)} for c in candidates]
    table.SetAttribute(ATTR_CANDIDATES, json.dumps(entries))


def read_candidates(table: slicer.vtkMRMLTableNode | None, geometry: Geometry) -> list[Candidate]:
    """The candidates kept with a case; damaged ones are left out."""
    text = table.GetAttribute(ATTR_CANDIDATES) if table is not None else None
    found = []
    for entry in json.loads(text) if text else ():
        try:
            mask = unpack_mask(entry["mask"], geometry)
            if mask is not None:
                found.append(Candidate(read_lesion(entry["lesion"]), mask))
        except (KeyError, TypeError, ValueError):
            continue
    return found


def drawn_mask(segment: slicer.vtkSegment, geometry: Geometry) -> Mask | None:
    """What the AI drew for a segment; None for one that the reader added."""
    text = segments.tag(segment, TAG_DRAWN)
    return unpack_mask(text, geometry) if text else None


def told_lesion(segment: slicer.vtkSegment) -> Lesion | None:
    """What the AI said of a lesion when it was found."""
    text = segments.tag(segment, TAG_LESION)
    try:
        return read_lesion(json.loads(text)) if text else None
    except (KeyError, TypeError, ValueError):
        return None
