"""What is kept with a lesion so that nothing is computed again: the AI's own mask, and fainter candidates.

The AI's mask is packed into a tag of the lesion's segment; candidates below the threshold lie, as text, in an
attribute of the case's table node. Both are saved with the scene.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import slicer

from ..analysis.rules import Rules
from ..case.attributes import read_doubtful
from ..case.findings import Box, CaseResult, DoubtfulPlace, Lesion
from ..case.interval import with_half_width_steps
from ..case.lesion_masks import lesion_masks
from ..case.store_json import describe_lesion, read_lesion
from ..case.tags import TAG_HALF_WIDTH, half_width_text
from ..scene import segments
from ..scene.boxed import covers, read_boxed, without_listed
from ..support.steps import Steps
from ..volume.crops import Mask
from ..volume.ct import Geometry
from ..volume.masks import ball_diameter_mm
from ..volume.packed_mask import pack_mask, unpack_mask

TAG_DRAWN = "LiverLesionAI.Drawn"
TAG_LESION = "LiverLesionAI.Lesion"
ATTR_CANDIDATES = "LiverLesionAI.Candidates"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A lesion that is not shown, because its score is below the threshold."""

    lesion: Lesion
    mask: Mask


@dataclass(frozen=True, eq=False)
class Split:
    """A result cut in two by a threshold.

    Attributes:
        shown: the result with the lesions that are shown.
        masks: of those, by their new numbers.
        candidates: the others.
        numbers: number in the whole result -> new number.
    """

    shown: CaseResult
    masks: Mapping[int, Mask]
    candidates: tuple[Candidate, ...]
    numbers: Mapping[int, int]


def split_by_score(result: CaseResult, threshold: float, masks: Mapping[int, Mask] | None = None) -> Split:
    """The result with only the lesions that reach the threshold, and the others.

    Numbers run on from one part to the other, each by size. A lesion that has only a box is always shown:
    its row and its box are hidden by the threshold instead. The liver stays as it is: lesions that are not
    shown are liver too. Maps of single lesions follow their lesion's number.

    Args:
        masks: the lesions' masks by number, where they are known already.
    """
    masks = lesion_masks(result) if masks is None else masks
    shown = [lesion for lesion in result.lesions if lesion.score >= threshold or lesion.number not in masks]
    faint = [lesion for lesion in result.lesions if lesion not in shown]
    numbers = {lesion.number: number for number, lesion in enumerate([*shown, *faint], 1)}
    if all(old == new for old, new in numbers.items()) and not faint:
        return Split(result, masks, (), numbers)
    # Not zeros_like, which would touch every page of a large scan.
    labels = np.zeros(result.lesion_labels_zyx.shape, result.lesion_labels_zyx.dtype)
    renumbered = tuple(replace(lesion, number=numbers[lesion.number]) for lesion in shown)
    shown_masks = {numbers[lesion.number]: masks[lesion.number] for lesion in shown if lesion.number in masks}
    for number, mask in shown_masks.items():
        labels[mask.slices][mask.voxels_zyx] = number
    candidates = tuple(
        Candidate(replace(lesion, number=numbers[lesion.number]), masks[lesion.number]) for lesion in faint
    )
    attention = tuple(
        shown_map
        if shown_map.lesion_number is None
        else replace(shown_map, lesion_number=numbers.get(shown_map.lesion_number, 0))
        for shown_map in result.attention
    )
    part = replace(result, lesions=renumbered, lesion_labels_zyx=labels, attention=attention)
    return Split(part, shown_masks, candidates, numbers)


def drawn_tags(split: Split) -> Steps[dict[int, dict[str, str]]]:
    """What the AI drew, and all it said of each lesion, as tags by the lesion's number; in steps."""
    tags = {}
    shown, known = split.shown, split.shown.probabilities.get("tumour")
    for lesion in shown.lesions:
        mask = split.masks.get(lesion.number)
        if mask is not None:
            # Cases of earlier versions keep no interval with the lesion.
            sized = yield from with_half_width_steps(lesion, mask, shown.geometry, known)
            tags[lesion.number] = lesion_tags(sized, mask, shown.geometry)
            yield
            if sized.half_width_mm is not None:
                tags[lesion.number][TAG_HALF_WIDTH] = half_width_text(sized)
        yield
    return tags


def lesion_tags(lesion: Lesion, mask: Mask, geometry: Geometry) -> dict[str, str]:
    """What the AI drew and said, as tags."""
    return {TAG_DRAWN: pack_mask(mask, geometry), TAG_LESION: json.dumps(describe_lesion(lesion))}


def tag_lesion(segment: slicer.vtkSegment, lesion: Lesion, mask: Mask, geometry: Geometry) -> None:
    """Keep what the AI drew and said with its segment."""
    for name, text in lesion_tags(lesion, mask, geometry).items():
        segments.set_tag(segment, name, text)


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


def read_faint(table: slicer.vtkMRMLTableNode | None) -> tuple[Lesion, ...]:
    """The lesions below the threshold, candidates and boxes, without their masks; damaged ones left out."""
    text = table.GetAttribute(ATTR_CANDIDATES) if table is not None else None
    found = []
    for entry in json.loads(text) if text else ():
        try:
            found.append(read_lesion(entry["lesion"]))
        except (KeyError, TypeError, ValueError):
            continue
    return (*found, *(one.lesion for one in read_boxed(table).values() if one.below))


def places_to_look_at(
    table: slicer.vtkMRMLTableNode | None, listed: Sequence[Box]
) -> tuple[DoubtfulPlace, ...]:
    """What looks somewhat like a lesion and is not listed, the likeliest first, and not too many.

    The places that the analysis points at, and the lesions that the reader's threshold leaves out.

    Args:
        listed: boxes of the lesions in the table.
    """
    pointed = () if table is None else read_doubtful(table.GetAttribute)
    places = [*pointed]
    for lesion in read_faint(table):
        if any(_same_place(lesion, place) for place in pointed):
            # The analysis pointed there: as every report of the case says it, so does the panel.
            continue
        measured = lesion.measurement
        across_mm = float(np.prod(lesion.box.size_xyz_mm)) ** (1 / 3)
        if measured is not None:
            across_mm = ball_diameter_mm(1000.0 * measured.volume_ml)
        places.append(DoubtfulPlace(lesion.centre_lps, across_mm, lesion.score))
    likeliest = sorted(places, key=lambda place: -place.score)
    return without_listed(likeliest, listed)[: Rules().doubtful_most]


def _same_place(lesion: Lesion, place: DoubtfulPlace) -> bool:
    """Whether a place is of a lesion: its middle in the lesion's box, or the lesion a part of it."""
    apart_mm = float(np.linalg.norm(np.subtract(lesion.centre_lps, place.centre_lps)))
    return covers(lesion.box, place.centre_lps) or apart_mm <= place.diameter_mm


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
