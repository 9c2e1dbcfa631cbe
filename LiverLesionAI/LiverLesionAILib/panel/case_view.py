"""What the scene holds for one CT, as the panel shows it. Reads tags and tables only, so it is quick."""

from __future__ import annotations

import math
from dataclasses import dataclass

import slicer

from .. import scene_nodes as nodes
from .. import scene_segments as segments
from .. import terminology as terms
from ..findings import LesionStatus
from ..scene_apply import find_nodes

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
        probability: of the class where there is one, otherwise that it is a lesion; 0..1.
        score: that it is a lesion, 0..1.
    """

    segment_id: str
    number: int
    name: str
    colour: tuple[float, float, float]
    status: LesionStatus
    predicted_class: str | None
    probability: float | None
    score: float | None = None
    long_axis_mm: float = math.nan
    short_axis_mm: float = math.nan
    volume_ml: float = math.nan
    hu_mean: float = math.nan
    percent_of_liver: float = math.nan
    note: str = ""


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

    @property
    def liver_ml(self) -> float | None:
        """Volume of the liver with its lesions as the analysis measured it; None before that."""
        text = self.table.GetAttribute(ATTR_LIVER_VOLUME) if self.table is not None else None
        return float(text) if text else None

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
    return CaseView(
        volume,
        segmentation,
        table,
        tuple(found.get(nodes.ROLE_BOX, [])),
        tuple(found.get(nodes.ROLE_LONG_AXIS, []) + found.get(nodes.ROLE_SHORT_AXIS, [])),
        tuple(found.get(nodes.ROLE_MAP, [])),
        tuple(sorted(rows, key=lambda row: (row.number or 10**6, row.name))),
        liver,
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
    said = segments.tag(segment, terms.TAG_STATUS)
    status = LesionStatus(said) if said in {s.value for s in LesionStatus} else LesionStatus.EDITED
    predicted = segments.tag(segment, terms.TAG_CLASS) or None
    probabilities = terms.parse_probabilities(segments.tag(segment, terms.TAG_PROBABILITIES))
    probability = probabilities.get(predicted) if predicted else None
    score = float(score_text) if score_text else None
    if probability is None:
        probability = score
    return FindingRow(
        segment_id,
        number,
        segment.GetName(),
        tuple(segment.GetColor()),  # type: ignore[arg-type]
        status,
        predicted,
        probability,
        score,
        note=segments.tag(segment, terms.TAG_NOTE),
        **measured.get(number, {}),
    )
