"""What is to be seen of a case, as plain values: segments, boxes, axes, table, maps, views.

Names, colours, windows and thresholds are decided here and nowhere else. The Slicer scene (and so the .mrb),
the masks' and boxes' files, pictures and reports are cut from it. Patient space is LPS, mm.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.text import printable
from ..volume.crops import Mask
from ..volume.ct import Geometry
from . import tags
from . import terminology as terms
from .attributes import case_attributes
from .colours import GALLBLADDER, LIVER, Colour, lesion_colour
from .findings import AttentionMap, Box, CaseResult, Lesion, PointLps
from .lesion_masks import lesion_masks

ALGORITHM = "LiverLesionAI"
"""In DICOM SEG the name of the algorithm that drew a segment."""
CT_WINDOW_HU, CT_LEVEL_HU = 400.0, 40.0
"""Abdominal window: -160 to 240 HU."""
LIVER_ID = "liver"
GALLBLADDER_ID = "gallbladder"
BOX_PREFIX = "box:"
"""With its number: what stands for the segment's ID of a lesion that has only a box."""
PROBABILITY = "probability"
"""Unit of probability maps, and the end of their names."""
TUMOUR_PROBABILITY = f"tumour {PROBABILITY}"
AXIS_COLOUR: Colour = (1.0, 1.0, 1.0)
"""Not the lesion's colour, on which an axis would not be seen."""
LIVER_FILL, LIVER_OPACITY = 0.12, 0.35
"""Of the liver's segment in 2D and 3D: lesions are to be seen through it."""

LONG_AXIS, SHORT_AXIS = "long axis", "short axis"
BOX, CLASS_BOX = "box", "class box"


@dataclass(frozen=True, eq=False)
class SceneSegment:
    """A segment; `lesion` is None for organs.

    Attributes:
        tags: all it carries, with the fingerprint of its mask and its name as the AI gave them.
        fill, opacity: 2D fill and 3D opacity, 0..1; None for the segmentation's own.
        in_3d: whether it is drawn in 3D at first.
    """

    segment_id: str
    name: str
    colour: Colour
    mask: Mask
    tags: Mapping[str, str]
    lesion: Lesion | None = None
    fill: float | None = None
    opacity: float | None = None
    in_3d: bool = True


@dataclass(frozen=True)
class SceneBox:
    """A lesion's box, or (role CLASS_BOX) where the classifier saw its class, hidden at first.

    Attributes:
        segment_id: of the lesion's segment, "" where it has only a box.
        tags: of a lesion that has only a box, all that is known of it.
    """

    role: str
    number: int
    segment_id: str
    name: str
    colour: Colour
    box: Box
    visible: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SceneAxis:
    """A RECIST axis; `labelled` with its name and length."""

    role: str
    number: int
    segment_id: str
    name: str
    ends_lps: tuple[PointLps, PointLps]
    labelled: bool
    colour: Colour = AXIS_COLOUR


@dataclass(frozen=True, eq=False)
class SceneMap:
    """A map over the CT.

    Attributes:
        key: unique within the case ("tumour probability"); `name` says also of which case.
        values_zyx: float32, or uint8 for 0..1.
        window: values of the first and the last colour.
        visible_from: nothing is drawn below it.
        number, segment_id: of the lesion it belongs to (`BOX_PREFIX` and its number without a mask); None and
            "" for the whole liver.
        family: maps of one kind, one for each lesion, have one; "" for those of the whole liver.
        bars: numbers to show beside it, by label.
    """

    key: str
    name: str
    meaning: str
    values_zyx: NDArray[Any]
    geometry: Geometry
    unit: str
    window: tuple[float, float]
    visible_from: float
    number: int | None = None
    segment_id: str = ""
    family: str = ""
    bars: Mapping[str, float] = field(default_factory=dict)

    @property
    def bars_text(self) -> str:
        """The bars as JSON, "" for none."""
        return json.dumps(dict(self.bars)) if self.bars else ""


@dataclass(frozen=True, eq=False)
class SceneTable:
    """The findings table: a row per lesion, columns as in :data:`.columns.SCENE_TABLE`."""

    name: str
    lesions: tuple[Lesion, ...]
    attributes: Mapping[str, str]
    description: str


@dataclass(frozen=True)
class SceneViews:
    """How views open: window and level of the CT, the point they show, and how much round it (mm)."""

    centre_lps: PointLps
    extent_mm: float
    window_hu: float = CT_WINDOW_HU
    level_hu: float = CT_LEVEL_HU


@dataclass(frozen=True, eq=False)
class CaseScene:
    """One case to be seen."""

    case_name: str
    geometry: Geometry
    segments: tuple[SceneSegment, ...]
    boxes: tuple[SceneBox, ...]
    axes: tuple[SceneAxis, ...]
    maps: tuple[SceneMap, ...]
    table: SceneTable
    views: SceneViews
    segmentation_name: str

    @classmethod
    def of(
        cls, result: CaseResult, masks: Mapping[int, Mask] | None = None, liver: Mask | None = None
    ) -> CaseScene:
        """Describe a result.

        Args:
            masks, liver: the lesions' by number and the liver's, where they are known already.
        """
        masks = lesion_masks(result) if masks is None else masks
        liver = Mask.of(result.liver_zyx) if liver is None else liver
        geometry = result.geometry
        segments = [liver_segment(liver, geometry)] if liver.count else []
        if result.gallbladder_zyx is not None and result.gallbladder_zyx.any():
            segments.append(gallbladder_segment(Mask.of(result.gallbladder_zyx), geometry))
        segments += [
            lesion_segment(lesion, masks[lesion.number], geometry)
            for lesion in result.lesions
            if lesion.number in masks
        ]
        ids = {s.lesion.number: s.segment_id for s in segments if s.lesion is not None}
        boxes = case_boxes(result, ids)
        axes = [axis for x in result.lesions for axis in lesion_axes(x, ids.get(x.number, ""))]
        for lesion in result.lesions:
            ids.setdefault(lesion.number, f"{BOX_PREFIX}{lesion.number}")
        return cls(
            result.case_name,
            geometry,
            tuple(segments),
            boxes,
            tuple(axes),
            case_maps(result, ids),
            case_table(result),
            case_views(result),
            segmentation_name(result),
        )


def segmentation_name(result: CaseResult) -> str:
    """Of the node that holds all segments."""
    return f"{printable(result.case_name)} liver and lesions"


def liver_segment(mask: Mask, geometry: Geometry) -> SceneSegment:
    """The liver, with its lesions."""
    written = {**terms.liver_tags(ALGORITHM), **_as_drawn(terms.LIVER_NAME, mask, geometry)}
    return SceneSegment(LIVER_ID, terms.LIVER_NAME, LIVER, mask, written, None, LIVER_FILL, LIVER_OPACITY)


def gallbladder_segment(mask: Mask, geometry: Geometry) -> SceneSegment:
    """The gallbladder with its wall, in slices alone: in 3D it would hide lesions beside it."""
    written = {**terms.gallbladder_tags(ALGORITHM), **_as_drawn(terms.GALLBLADDER_NAME, mask, geometry)}
    return SceneSegment(
        GALLBLADDER_ID,
        terms.GALLBLADDER_NAME,
        GALLBLADDER,
        mask,
        written,
        fill=LIVER_FILL,
        opacity=LIVER_OPACITY,
        in_3d=False,
    )


def lesion_segment(lesion: Lesion, mask: Mask, geometry: Geometry) -> SceneSegment:
    """A lesion that has a mask."""
    name = terms.lesion_title(lesion)
    written = {**segment_tags(lesion), **_as_drawn(name, mask, geometry)}
    return SceneSegment(f"lesion_{lesion.number}", name, lesion_colour(lesion.number), mask, written, lesion)


def segment_tags(lesion: Lesion) -> dict[str, str]:
    """What a lesion's segment carries: its own tags, and those by which other programs know what it is."""
    return {
        terms.TAG_ROLE: terms.ROLE_LESION,
        terms.TAG_TERMINOLOGY: terms.lesion_terminology(lesion.shown_class),
        terms.TAG_ALGORITHM_TYPE: terms.algorithm_type(edited=lesion.edited),
        terms.TAG_ALGORITHM_NAME: ALGORITHM,
        **tags.write(lesion),
    }


def _as_drawn(name: str, mask: Mask, geometry: Geometry) -> dict[str, str]:
    """Name and fingerprint of the mask as the AI gave them: where they differ later, the reader was there."""
    return {terms.TAG_NAME: name, terms.TAG_MASK: mask.fingerprint(geometry)}


def case_boxes(result: CaseResult, segment_ids: Mapping[int, str]) -> tuple[SceneBox, ...]:
    """The lesions' boxes, then those of their classes.

    Args:
        segment_ids: lesion number -> its segment's ID, for those that have one.
    """
    own = [lesion_box(lesion, segment_ids.get(lesion.number, "")) for lesion in result.lesions]
    seen = [
        class_box(lesion, lesion.class_box, segment_ids.get(lesion.number, ""))
        for lesion in result.lesions
        if lesion.class_box is not None
    ]
    return (*own, *seen)


def lesion_box(lesion: Lesion, segment_id: str) -> SceneBox:
    """A lesion's own box; its name is the label beside it in the views."""
    return SceneBox(
        BOX,
        lesion.number,
        segment_id,
        terms.lesion_title(lesion),
        lesion_colour(lesion.number),
        lesion.box,
        tags={} if segment_id else tags.write(lesion),
    )


def class_box(lesion: Lesion, box: Box, segment_id: str) -> SceneBox:
    """Where the classifier saw the class of a lesion."""
    name = terms.class_box_name(terms.lesion_title(lesion))
    return SceneBox(
        CLASS_BOX, lesion.number, segment_id, name, lesion_colour(lesion.number), box, visible=False
    )


def lesion_axes(lesion: Lesion, segment_id: str) -> tuple[SceneAxis, ...]:
    """Long and short axis; none where nothing was measured."""
    measured = lesion.measurement
    if measured is None or not measured.long_axis_mm > 0:
        return ()
    ends = {LONG_AXIS: measured.long_axis_lps, SHORT_AXIS: measured.short_axis_lps}
    return tuple(
        SceneAxis(
            role, lesion.number, segment_id, f"Lesion {lesion.number} {role}", ends[role], role == LONG_AXIS
        )
        for role in (LONG_AXIS, SHORT_AXIS)
    )


def case_maps(result: CaseResult, segment_ids: Mapping[int, str]) -> tuple[SceneMap, ...]:
    """Probabilities, then what the networks looked at.

    Args:
        segment_ids: lesion number -> its segment's ID, or what stands for it.
    """
    maps = [
        SceneMap(
            f"{name} {PROBABILITY}",
            f"{printable(result.case_name)} {name} {PROBABILITY}",
            f"Probability of {name}, 0 to 1; the masks were cut at {probability.threshold:.2f}.",
            probability.values_zyx,
            probability.geometry,
            PROBABILITY,
            (0.0, 1.0),
            min(0.1, probability.threshold / 2),
        )
        for name, probability in result.probabilities.items()
    ]
    return (*maps, *(attention_map(shown, result.case_name, segment_ids) for shown in result.attention))


def attention_map(shown: AttentionMap, case_name: str, segment_ids: Mapping[int, str]) -> SceneMap:
    """One map of where a network looked; nothing is drawn in the lowest quarter of its range."""
    low, high = shown.value_range
    number = shown.lesion_number
    return SceneMap(
        shown.name,
        f"{printable(case_name)} {printable(shown.name)}",
        shown.meaning,
        shown.values_zyx,
        shown.geometry,
        shown.unit,
        (low, high),
        low + 0.25 * (high - low),
        number,
        segment_ids.get(number, "") if number is not None else "",
        map_family(shown.name) if number is not None else "",
        shown.bars,
    )


def map_family(name: str) -> str:
    """A map's name without the lesion it belongs to: "Grad-CAM, lesion 3" is of the family "Grad-CAM"."""
    return re.sub(r"[\s,;:·–-]*\(?(?:(?:of|for)\s+)?lesion\s*#?\d+\)?\s*$", "", name, flags=re.I) or name


def case_table(result: CaseResult) -> SceneTable:
    """The findings, with what is said of the whole case as attributes."""
    phase = result.phase
    return SceneTable(
        f"{printable(result.case_name)} findings",
        tuple(sorted(result.lesions, key=lambda lesion: lesion.number)),
        case_attributes(result),
        phase.text if phase else "",
    )


def case_views(result: CaseResult) -> SceneViews:
    """Views open at the largest lesion, or at the CT's middle, and show the whole CT."""
    geometry = result.geometry
    shape = np.array(geometry.shape_zyx)
    x, y, z = (float(v) for v in geometry.index_to_lps((shape - 1) / 2))
    centre = result.lesions[0].centre_lps if result.lesions else (x, y, z)
    return SceneViews(centre, float((shape * geometry.spacing_zyx_mm).max()))
