"""What the scene holds for one CT, as the panel shows it. Reads tags and tables only, so it is quick."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import slicer

from ..case import tags
from ..case import terminology as terms
from ..case.attributes import read_models, read_notes, read_phase
from ..case.colours import lesion_colour
from ..case.columns import BY_KEY, MEASURED
from ..case.description import BOX_PREFIX
from ..case.findings import DoubtfulPlace, Lesion, LesionSource, LesionStatus, Measurement, PhaseEstimate
from ..case.interval import READER_MM, by_reader
from ..case.messages import leading_first
from ..case.place import Place
from ..case.wording import fainter_kept, told_of_listed
from ..scene import nodes, segments
from ..scene.anatomy_nodes import AnatomyNodes
from ..scene.boxed import BoxedLesion, read_boxed
from ..scene.map_stack import ROLE_STACK
from ..scene.marks import Mark, MarkNodes
from ..scene.prepare import find_nodes
from ..scene.ras import volume_geometry
from .kept import places_to_look_at, read_faint

ATTR_LIVER_VOLUME = "LiverLesionAI.LiverVolume"


@dataclass(frozen=True)
class ListedLesion(Lesion):
    """A lesion as it stands in the scene, with what was measured on it.

    Attributes:
        segment_id: of its segment; "box:5" for lesion 5 that has only a box.
        name: of its segment; the reader may have renamed it.
        place: where it lies.
        half_mm: half the width of the long axis' interval; NaN where it is not known.
    """

    segment_id: str = ""
    name: str = ""
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    place: Place = field(default_factory=Place)
    half_mm: float = math.nan

    @property
    def touched(self) -> bool:
        """Whether the reader has decided on it or changed its mask."""
        return self.edited or self.status is not LesionStatus.UNDECIDED

    @property
    def box_only(self) -> bool:
        """Whether it has a box and no mask."""
        return self.segment_id.startswith(BOX_PREFIX)

    @property
    def as_lesion(self) -> Lesion:
        """Without what only the scene knows of it."""
        return Lesion(**{one.name: getattr(self, one.name) for one in fields(Lesion)})

    @property
    def size_mm(self) -> float:
        """Long axis, or the longer edge in the slice of one that has only a box; NaN where it is unknown."""
        return max(self.box.size_xyz_mm[:2]) if self.box_only else BY_KEY["long_axis_mm"].number(self)


@dataclass(frozen=True, eq=False)
class CaseView:
    """The nodes of one CT's case, and its lesions in order of number."""

    volume: slicer.vtkMRMLScalarVolumeNode | None
    segmentation: slicer.vtkMRMLSegmentationNode | None
    table: slicer.vtkMRMLTableNode | None
    maps: tuple[slicer.vtkMRMLScalarVolumeNode, ...] = ()
    rows: tuple[ListedLesion, ...] = ()
    liver_segment: str = ""
    points: tuple[slicer.vtkMRMLMarkupsFiducialNode, ...] = ()
    marks: MarkNodes | None = None
    stack: slicer.vtkMRMLScalarVolumeNode | None = None
    boxed: Mapping[str, BoxedLesion] = field(default_factory=dict)
    anatomy: AnatomyNodes | None = None

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
        kept = read_notes(self.table.GetAttribute)
        listed = told_of_listed(self.rows, volume_geometry(self.volume), kept)
        said = (*kept, *self._faint_alone(), *listed)
        return leading_first(dict.fromkeys((*first, *said)))

    def _faint_alone(self) -> tuple[str, ...]:
        """Why the table is empty, where fainter lesions are kept aside."""
        faint = () if self.rows else read_faint(self.table)
        return (fainter_kept([one.score for one in faint]),) if faint else ()

    @property
    def doubtful(self) -> tuple[DoubtfulPlace, ...]:
        """Places to look at, the likeliest first, in which no lesion is listed (any more)."""
        return places_to_look_at(
            self.table, [row.place.box for row in self.rows if row.place.box is not None]
        )

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

    def row(self, segment_id: str) -> ListedLesion | None:
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
        AnatomyNodes.of(found),
    )


def _label(row: ListedLesion) -> str:
    """The whole text beside a lesion: its name and its size."""
    if row.measurement is None or math.isnan(row.measurement.long_axis_mm):
        return row.name
    return f"{row.name}, {row.measurement.long_axis_mm:.0f} × {row.measurement.short_axis_mm:.0f} mm"


def table_values(table: slicer.vtkMRMLTableNode | None) -> dict[int, dict[str, float]]:
    """Measurements by lesion number, as the table node holds them: fields of `Measurement`."""
    content = table.GetTable() if table is not None else None
    if content is None or content.GetColumnByName("Lesion") is None:
        return {}
    known = {c.field: c.table_heading for c in MEASURED if content.GetColumnByName(c.table_heading)}
    return {
        content.GetValueByName(row, "Lesion").ToInt(): {
            name: content.GetValueByName(row, heading).ToDouble() for name, heading in known.items()
        }
        for row in range(content.GetNumberOfRows())
    }


_UNKNOWN: Mapping[str, float] = {column.field: math.nan for column in MEASURED}
_NO_AXIS = ((math.nan,) * 3,) * 2


def _measurement(values: Mapping[str, float], place: Place) -> Measurement | None:
    """What the table holds of a lesion; None where it holds no number."""
    if not any(math.isfinite(value) for value in values.values()):
        return None
    axes = (place.long_axis_lps or _NO_AXIS, place.short_axis_lps or _NO_AXIS)
    return Measurement(**{**_UNKNOWN, **values}, long_axis_lps=axes[0], short_axis_lps=axes[1])  # type: ignore[arg-type]


def _row(segment: slicer.vtkSegment, segment_id: str, measured: dict[int, dict[str, float]]) -> ListedLesion:
    lesion, place = tags.read(segments.all_tags(segment)), segments.place(segment)
    listed = _listed(
        replace(lesion, measurement=_measurement(measured.get(lesion.number, {}), place)),
        segment_id,
        segment.GetName(),
        tuple(segment.GetColor()),  # type: ignore[arg-type]
        place,
    )
    return replace(listed, half_mm=_half_mm(listed))


def _half_mm(row: ListedLesion) -> float:
    """Half the width of the long axis' interval: the reader's own, or what was kept of the AI's outline."""
    if row.measurement is None:
        return math.nan
    if by_reader(row):
        return READER_MM
    return math.nan if row.half_width_mm is None else row.half_width_mm


def _box_row(one: BoxedLesion) -> ListedLesion:
    lesion = replace(one.lesion, source=LesionSource.BOX, measurement=None)
    name = terms.lesion_name(lesion.number, lesion.shown_class)
    return _listed(lesion, one.row_id, name, lesion_colour(lesion.number), one.place)


def _listed(
    lesion: Lesion, segment_id: str, name: str, colour: tuple[float, float, float], place: Place
) -> ListedLesion:
    return ListedLesion(**vars(lesion), segment_id=segment_id, name=name, colour=colour, place=place)
