"""What the scene holds for one CT, as the panel shows it. Reads tags and tables only, so it is quick."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import slicer

from ..case import terminology as terms
from ..case.attributes import read_models, read_notes, read_phase
from ..case.colours import lesion_colour
from ..case.description import BOX_PREFIX
from ..case.findings import LesionSource, LesionStatus, PhaseEstimate, status_text
from ..scene import nodes, segments
from ..scene.prepare import find_nodes

ATTR_LIVER_VOLUME = "LiverLesionAI.LiverVolume"
ATTR_BELOW = nodes.ATTR_BELOW

_MEASURED = {
    "long_axis_mm": "Long axis [mm]",
    "short_axis_mm": "Short axis [mm]",
    "volume_ml": "Volume [mL]",
    "hu_mean": "Mean [HU]",
    "percent_of_liver": "Of liver [%]",
}


@dataclass(frozen=True)
class FindingRow:
    """One lesion as the table shows it; NaN or None where something is unknown.

    Attributes:
        segment_id: of its segment; "box:5" for lesion 5 that has only a box.
        shown_class: the reader's class, or the model's where the reader has given none.
        probability: of the class where the model gives one, otherwise that it is a lesion; 0..1.
        score: that it is a lesion, 0..1.
        model_class, reader_class: None where there is none.
        class_probabilities: the model's.
        box_mm: edges of its box along the CT's x, y, z axes; None for a lesion with a mask.
    """

    segment_id: str
    number: int
    name: str
    colour: tuple[float, float, float]
    status: LesionStatus
    shown_class: str | None
    probability: float | None
    score: float | None = None
    long_axis_mm: float = math.nan
    short_axis_mm: float = math.nan
    volume_ml: float = math.nan
    hu_mean: float = math.nan
    percent_of_liver: float = math.nan
    note: str = ""
    model_class: str | None = None
    reader_class: str | None = None
    class_probabilities: Mapping[str, float] = field(default_factory=dict)
    source: LesionSource = LesionSource.MASK
    box_mm: tuple[float, float, float] | None = None
    edited: bool = False

    @property
    def touched(self) -> bool:
        """Whether the reader has decided on it or changed its mask."""
        return self.edited or self.status is not LesionStatus.UNDECIDED

    @property
    def status_text(self) -> str:
        """Decision and edits in words."""
        return status_text(self.status, self.edited)

    @property
    def box_only(self) -> bool:
        """Whether it has a box and no mask."""
        return self.box_mm is not None


@dataclass(frozen=True, eq=False)
class CaseView:
    """The nodes of one CT's case, and its lesions in order of number."""

    volume: slicer.vtkMRMLScalarVolumeNode | None
    segmentation: slicer.vtkMRMLSegmentationNode | None
    table: slicer.vtkMRMLTableNode | None
    boxes: tuple[slicer.vtkMRMLMarkupsROINode, ...] = ()
    axes: tuple[slicer.vtkMRMLMarkupsLineNode, ...] = ()
    maps: tuple[slicer.vtkMRMLScalarVolumeNode, ...] = ()
    rows: tuple[FindingRow, ...] = ()
    liver_segment: str = ""
    points: tuple[slicer.vtkMRMLMarkupsFiducialNode, ...] = ()
    class_boxes: tuple[slicer.vtkMRMLMarkupsROINode, ...] = ()

    @property
    def liver_ml(self) -> float | None:
        """Volume of the liver with its lesions as the analysis measured it; None before that."""
        text = self.table.GetAttribute(ATTR_LIVER_VOLUME) if self.table is not None else None
        return float(text) if text else None

    @property
    def phase(self) -> PhaseEstimate | None:
        """The contrast phase, where it was estimated."""
        return read_phase(self.table.GetAttribute) if self.table is not None else None

    @property
    def models(self) -> Mapping[str, str]:
        """The models that ran, each with the first 12 digits of its weights' SHA-256."""
        return read_models(self.table.GetAttribute) if self.table is not None else {}

    @property
    def notes(self) -> tuple[str, ...]:
        """What to keep in mind: what follows from the contrast phase, and the analysis' messages."""
        if self.table is None:
            return ()
        phase = self.phase
        warnings = (phase.warning,) if phase is not None and phase.warning else ()
        return (*warnings, *read_notes(self.table.GetAttribute))

    def box(self, row_id: str) -> slicer.vtkMRMLMarkupsROINode | None:
        """The box of a row that has only a box."""
        return next((n for n in self.boxes if nodes.is_box_only(n) and box_id(n) == row_id), None)

    @property
    def numbers(self) -> set[int]:
        """Numbers that are taken, those of boxes below the threshold too."""
        boxed = {int(node.GetAttribute(nodes.ATTR_LESION) or 0) for node in self.boxes}
        return {row.number for row in self.rows} | boxed

    def row(self, segment_id: str) -> FindingRow | None:
        """The row of a segment."""
        return next((row for row in self.rows if row.segment_id == segment_id), None)


def read_case(scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode | None) -> CaseView:
    """What the scene holds for a CT; an empty view when there is nothing, or no CT."""
    if volume is None:
        return CaseView(None, None, None)
    found = find_nodes(scene, volume)
    segmentation = (found.get(nodes.ROLE_SEGMENTATION) or [None])[0]
    table = (found.get(nodes.ROLE_TABLE) or [None])[0]
    liver, rows = "", []
    if segmentation is not None:
        measured = table_values(table)
        for segment_id in segments.segment_ids(segmentation):
            segment = segmentation.GetSegmentation().GetSegment(segment_id)
            if segments.is_liver(segment):
                liver = segment_id
            elif segments.is_lesion(segment):
                rows.append(_row(segment, segment_id, measured))
    for node in found.get(nodes.ROLE_BOX, []):
        if nodes.is_box_only(node) and not node.GetAttribute(ATTR_BELOW):
            rows.append(_box_row(node))
    return CaseView(
        volume,
        segmentation,
        table,
        tuple(found.get(nodes.ROLE_BOX, [])),
        tuple(found.get(nodes.ROLE_LONG_AXIS, []) + found.get(nodes.ROLE_SHORT_AXIS, [])),
        tuple(found.get(nodes.ROLE_MAP, [])),
        tuple(sorted(rows, key=lambda row: (row.number or 10**6, row.name))),
        liver,
        tuple(found.get(nodes.ROLE_POINT, [])),
        tuple(found.get(nodes.ROLE_CLASS_BOX, [])),
    )


def table_values(table: slicer.vtkMRMLTableNode | None) -> dict[int, dict[str, float]]:
    """Measurements by lesion number, as the table node holds them."""
    content = table.GetTable() if table is not None else None
    if content is None or content.GetColumnByName("Lesion") is None:
        return {}
    known = {key: heading for key, heading in _MEASURED.items() if content.GetColumnByName(heading)}
    return {
        content.GetValueByName(row, "Lesion").ToInt(): {
            key: content.GetValueByName(row, heading).ToDouble() for key, heading in known.items()
        }
        for row in range(content.GetNumberOfRows())
    }


def _row(segment: slicer.vtkSegment, segment_id: str, measured: dict[int, dict[str, float]]) -> FindingRow:
    number_text, score_text = segments.tag(segment, terms.TAG_NUMBER), segments.tag(segment, terms.TAG_SCORE)
    number = int(number_text) if number_text.isdigit() else 0
    source = segments.tag(segment, terms.TAG_SOURCE)
    return FindingRow(
        segment_id,
        number,
        segment.GetName(),
        tuple(segment.GetColor()),  # type: ignore[arg-type]
        segments.status(segment),
        **_class_fields(
            segments.tag(segment, terms.TAG_CLASS),
            segments.tag(segment, terms.TAG_READER_CLASS),
            segments.tag(segment, terms.TAG_PROBABILITIES),
            score_text,
        ),
        note=segments.tag(segment, terms.TAG_NOTE),
        edited=segments.is_marked_edited(segment),
        source=LesionSource(source) if source in {s.value for s in LesionSource} else LesionSource.READER,
        **measured.get(number, {}),
    )


def _box_row(node: slicer.vtkMRMLMarkupsROINode) -> FindingRow:
    def said(name: str) -> str:
        return node.GetAttribute(name) or ""

    number = int(said(nodes.ATTR_LESION) or 0)
    fields = _class_fields(
        said(nodes.ATTR_CLASS),
        said(nodes.ATTR_READER_CLASS),
        said(nodes.ATTR_PROBABILITIES),
        said(nodes.ATTR_SCORE),
    )
    return FindingRow(
        box_id(node),
        number,
        terms.lesion_name(number, fields["shown_class"]),
        lesion_colour(number),
        LesionStatus.read(said(nodes.ATTR_STATUS)),
        **fields,
        note=said(nodes.ATTR_NOTE),
        source=LesionSource.BOX,
        box_mm=tuple(node.GetSize()),  # type: ignore[arg-type]
    )


def box_id(node: slicer.vtkMRMLMarkupsROINode) -> str:
    """The row's ID of a lesion that has only a box."""
    return f"{BOX_PREFIX}{node.GetAttribute(nodes.ATTR_LESION) or 0}"


def _class_fields(model: str, reader: str, probabilities_text: str, score_text: str) -> dict[str, Any]:
    probabilities = terms.parse_probabilities(probabilities_text)
    shown = reader or model
    score = float(score_text) if score_text else None
    return {
        "shown_class": shown or None,
        "probability": probabilities.get(shown, score),
        "score": score,
        "model_class": model or None,
        "reader_class": reader or None,
        "class_probabilities": probabilities,
    }
