"""What the scene holds for one CT, as the panel shows it. Reads tags and tables only, so it is quick."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import slicer

from ..case import terminology as terms
from ..case.attributes import read_models, read_notes, read_phase
from ..case.classes import LesionClass
from ..case.colours import lesion_colour
from ..case.findings import Lesion, LesionSource, LesionStatus, Measurement, PhaseEstimate, status_text
from ..case.place import Place
from ..case.tags import NOWHERE
from ..scene import nodes, segments
from ..scene.boxed import BoxedLesion, read_boxed
from ..scene.map_stack import ROLE_STACK
from ..scene.marks import Mark, MarkNodes
from ..scene.prepare import find_nodes

ATTR_LIVER_VOLUME = "LiverLesionAI.LiverVolume"

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
        place: where it lies.
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
    place: Place = field(default_factory=Place)

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

    def lesion(self, measurement: Measurement | None = None) -> Lesion:
        """The lesion of the row, with what was measured on it."""
        box = self.place.box or NOWHERE
        return Lesion(
            number=self.number,
            score=math.nan if self.score is None else self.score,
            centre_lps=box.centre_lps,
            box=box,
            measurement=measurement,
            source=self.source,
            status=self.status,
            model_class=self.model_class,
            class_probabilities=self.class_probabilities,
            reader_class=self.reader_class,
            note=self.note,
            edited=self.edited,
        )


@dataclass(frozen=True, eq=False)
class CaseView:
    """The nodes of one CT's case, and its lesions in order of number."""

    volume: slicer.vtkMRMLScalarVolumeNode | None
    segmentation: slicer.vtkMRMLSegmentationNode | None
    table: slicer.vtkMRMLTableNode | None
    maps: tuple[slicer.vtkMRMLScalarVolumeNode, ...] = ()
    rows: tuple[FindingRow, ...] = ()
    liver_segment: str = ""
    points: tuple[slicer.vtkMRMLMarkupsFiducialNode, ...] = ()
    marks: MarkNodes | None = None
    stack: slicer.vtkMRMLScalarVolumeNode | None = None
    boxed: Mapping[str, BoxedLesion] = field(default_factory=dict)

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
        """What to keep in mind: the contrast phase with what follows from it, and the analysis' messages."""
        if self.table is None:
            return ()
        phase = self.phase
        first = () if phase is None else (phase.text,)
        return (*first, *read_notes(self.table.GetAttribute))

    def box(self, row_id: str) -> BoxedLesion | None:
        """A lesion that has only a box, by its row."""
        return self.boxed.get(row_id)

    @property
    def numbers(self) -> set[int]:
        """Numbers that are taken, those of boxes below the threshold too."""
        return {row.number for row in self.rows} | {one.lesion.number for one in self.boxed.values()}

    def drawn(self) -> list[Mark]:
        """The marks of the lesions that count."""
        return [
            Mark(row.segment_id, row.number, _label(row), row.place, row.box_only)
            for row in self.rows
            if row.status.counts
        ]

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
    boxed = read_boxed(table)
    rows += [_box_row(one) for one in boxed.values() if not one.below]
    return CaseView(
        volume,
        segmentation,
        table,
        tuple(found.get(nodes.ROLE_MAP, [])),
        tuple(sorted(rows, key=lambda row: (row.number or 10**6, row.name))),
        liver,
        tuple(found.get(nodes.ROLE_POINT, [])),
        MarkNodes.of(found),
        (found.get(ROLE_STACK) or [None])[0],
        boxed,
    )


def _label(row: FindingRow) -> str:
    """The whole text beside a lesion: its name and its size."""
    if math.isnan(row.long_axis_mm):
        return row.name
    return f"{row.name}, {row.long_axis_mm:.0f} × {row.short_axis_mm:.0f} mm"


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
    number = int(number_text) if number_text.isdecimal() else 0
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
        place=segments.place(segment),
        **measured.get(number, {}),
    )


def _box_row(one: BoxedLesion) -> FindingRow:
    lesion = one.lesion
    return FindingRow(
        one.row_id,
        lesion.number,
        terms.lesion_name(lesion.number, lesion.shown_class),
        lesion_colour(lesion.number),
        lesion.status,
        lesion.shown_class,
        _probability(lesion.shown_class or "", lesion.class_probabilities, lesion.score),
        lesion.score,
        note=lesion.note,
        model_class=lesion.model_class,
        reader_class=lesion.reader_class,
        class_probabilities=lesion.class_probabilities,
        source=LesionSource.BOX,
        box_mm=lesion.box.size_xyz_mm,
        place=one.place,
    )


def _probability(shown: str, probabilities: Mapping[str, float], score: float | None) -> float | None:
    """Of the class that is shown, where it is one; else that it is a lesion."""
    if LesionClass.of(shown) is LesionClass.INDETERMINATE:
        return score
    return probabilities.get(shown, score)


def _class_fields(model: str, reader: str, probabilities_text: str, score_text: str) -> dict[str, Any]:
    probabilities = terms.parse_probabilities(probabilities_text)
    shown = reader or model
    score = float(score_text) if score_text else None
    return {
        "shown_class": shown or None,
        "probability": _probability(shown, probabilities, score),
        "score": score,
        "model_class": model or None,
        "reader_class": reader or None,
        "class_probabilities": probabilities,
    }
