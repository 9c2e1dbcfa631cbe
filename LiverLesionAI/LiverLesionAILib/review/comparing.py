"""A case of the scene beside an earlier one: what is kept with it, and what follows from both as they stand.

With the current case's table the scene keeps which CT is the prior one, how it lies on the current one, and
the reader's words. Pairs, changes and the response are made anew of the lesions as they are now.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import slicer

from ..analysis.followup import order_warning
from ..analysis.rules import Rules
from ..case.alignment import KeptAlignment
from ..case.classes import Phase
from ..case.comparison import ReaderWords, number_of, with_reader_words
from ..case.course import Course
from ..case.description import TUMOUR_PROBABILITY
from ..case.followup import FollowUp, Pair, TimePoint
from ..case.judged import JudgedCourse, judge
from ..case.other_targets import at_every_scan
from ..case.recist import Assessment, TargetSize
from ..case.time_point import time_point_of
from ..scene import segments
from ..scene.nodes import ATTR_MAP
from ..scene.ras import volume_geometry
from ..scene.study import study_of
from ..stages.followup.faint import FaintSettings, Look, look_in, with_faint
from ..stages.followup.pair import (
    PairSettings,
    Place,
    pair_lesions,
    removed_warning,
)
from ..stages.followup.parts import CutSettings, JoinedCut, joined_cuts
from ..volume.crops import Mask
from ..volume.geometry import reoriented_geometry
from .case_view import CaseView, read_case

REF_PRIOR = "LiverLesionAI.Prior"
ATTR_ALIGNMENT = "LiverLesionAI.PriorAlignment"
ATTR_WORDS = "LiverLesionAI.FollowUpWords"


@dataclass(frozen=True, eq=False)
class ComparedCase:
    """A case with its earlier ones.

    Attributes:
        prior: the latest earlier case.
        alignment: how it lies on the current one.
        words: the reader's.
        judged: all scans, the oldest first, with what is said of them; files and reports are written from it.
        phases: of all scans, the oldest first; None where one is not known.
        cuts: of outlines round several lesions of the other scan, with their parts.
    """

    prior: CaseView
    alignment: KeptAlignment
    words: ReaderWords
    judged: JudgedCourse
    phases: tuple[Phase | None, ...] = ()
    cuts: tuple[JoinedCut, ...] = ()

    def has_prior_of(self, other: ComparedCase | None) -> bool:
        """Whether the other's prior scan is this one's too."""
        return other is not None and self.prior.volume is other.prior.volume

    @property
    def course(self) -> Course:
        """All scans, the oldest first."""
        return self.judged.course

    @property
    def response(self) -> Assessment | None:
        """RECIST 1.1; None where none can be said."""
        return self.judged.response

    @property
    def followup(self) -> FollowUp:
        """The prior and the current scan."""
        return self.course.last

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is doubtful about the latest two scans, and about the criteria that the reader wants."""
        return (*self.course.warnings, *self.followup.warnings)

    @property
    def targets(self) -> tuple[int, ...] | None:
        """The reader's targets by their number in the oldest scan; None where the proposed ones count."""
        return None if self.judged.targets is None else tuple(self.judged.targets)

    @property
    def elsewhere(self) -> Sequence[Sequence[TargetSize]]:
        """Targets outside of the liver at every scan."""
        return self.judged.elsewhere


def chosen_targets(course: Course, words: ReaderWords) -> tuple[int, ...] | None:
    """The reader's targets as numbers of the oldest scan; what is no longer there is left out."""
    if words.targets is None:
        return None
    numbers = (number_of(key, course.points[0].lesions) for key in words.targets)
    return tuple(number for number in numbers if number is not None)


def prior_of(case: CaseView) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The CT that a case is compared with; None without one."""
    return None if case.table is None else case.table.GetNodeReference(REF_PRIOR)


def words_of(case: CaseView) -> ReaderWords:
    """What the reader says of a case's comparison."""
    return ReaderWords.from_text(case.table.GetAttribute(ATTR_WORDS) if case.table is not None else None)


def keep_alignment(case: CaseView, prior: slicer.vtkMRMLScalarVolumeNode, alignment: KeptAlignment) -> None:
    """Keep a registration with a case; the reader's words stay where it is the same prior as before."""
    before = prior_of(case)
    if before is not None and before is not prior:
        case.table.RemoveAttribute(ATTR_WORDS)
    case.table.SetNodeReferenceID(REF_PRIOR, prior.GetID())
    case.table.SetAttribute(ATTR_ALIGNMENT, alignment.text)


def forget_comparison(case: CaseView) -> None:
    """Compare a case with nothing any more."""
    if case.table is not None:
        case.table.RemoveNodeReferenceIDs(REF_PRIOR)
        case.table.RemoveAttribute(ATTR_ALIGNMENT)
        case.table.RemoveAttribute(ATTR_WORDS)


class Comparisons:
    """Reads comparisons off a scene; what takes long is done once for the same masks and registration."""

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self._scene = scene
        self._alignments: dict[str, KeptAlignment] = {}
        self._places: dict[tuple[Any, ...], Place] = {}
        self._pairs: dict[str, tuple[Any, tuple[Pair, ...], tuple[JoinedCut, ...]]] = {}

    def read(self, case: CaseView) -> ComparedCase | None:
        """A case beside its prior; None where it has none, or one of them has no findings."""
        return self._read(case, frozenset())

    def _read(self, case: CaseView, seen: frozenset[str]) -> ComparedCase | None:
        volume = prior_of(case)
        if volume is None or case.segmentation is None or volume.GetID() in seen | {case.volume.GetID()}:
            return None
        prior, alignment = read_case(self._scene, volume), self._alignment(case)
        if prior.segmentation is None or alignment is None:
            return None
        words = words_of(case)
        days = words.prior_day or _day(prior), words.current_day or study_of(case.volume).day
        points = self._point(prior, days[0]), self._point(case, days[1])
        wrong = order_warning(*days)
        pairs, cuts = self._paired(prior, case, points, alignment)
        warnings = (*alignment.warnings, *((wrong,) if wrong else ()))
        if alignment.movement is not None:
            warnings += removed_warning(pairs)
        step = FollowUp(
            *points,
            pairs,
            alignment.failed,
            warnings,
            alignment.dice,
            alignment.gap_mm,
            tuple(cut.outline for cut in cuts),
        )
        step = with_reader_words(step, words)
        earlier = self._read(prior, seen | {case.volume.GetID()})
        course = Course.of(step)
        if earlier is not None:
            course = Course((*earlier.course.points, step.current), (*earlier.course.steps, step))
        known = () if earlier is None else earlier.phases
        phases = (*(known or (_phase(prior),)), _phase(case))
        scans = len(course.points)
        # Lengths that are not given for every scan are left out.
        judged = judge(
            course,
            chosen_targets(course, words),
            words.non_target,
            at_every_scan(words.elsewhere, scans),
            diagnosis=words.diagnosis,
            enhancing=at_every_scan(words.enhancing, scans),
            phases=phases,
        )
        return ComparedCase(prior, alignment, words, judged, phases, cuts)

    def _alignment(self, case: CaseView) -> KeptAlignment | None:
        text = case.table.GetAttribute(ATTR_ALIGNMENT) or ""
        if text not in self._alignments:
            kept = KeptAlignment.from_text(text)
            if kept is None:
                return None
            self._alignments = {**dict(list(self._alignments.items())[-3:]), text: kept}
        return self._alignments[text]

    def _point(self, case: CaseView, day: Any) -> TimePoint:
        content, intervals = case.segmentation.GetSegmentation(), {}
        for row in case.rows:
            segment = None if row.box_only else content.GetSegment(row.segment_id)
            if segment is None or row.measurement is None:
                continue
            if math.isfinite(row.half_mm):
                axis = row.measurement.long_axis_mm
                intervals[row.number] = max(0.0, axis - row.half_mm), axis + row.half_mm
        grid = volume_geometry(case.volume)
        thickness = reoriented_geometry(grid).spacing_zyx_mm[0]
        return time_point_of(case.rows, intervals, case.volume.GetName(), day, thickness, grid)

    def _paired(
        self,
        prior: CaseView,
        case: CaseView,
        points: tuple[TimePoint, TimePoint],
        alignment: KeptAlignment,
    ) -> tuple[tuple[Pair, ...], tuple[JoinedCut, ...]]:
        if alignment.movement is None:
            return (), ()
        places = self._placed(prior, points[0]), self._placed(case, points[1])
        sizes = points[0].lesions, points[1].lesions
        what = (id(alignment), [{n: id(place) for n, place in part.items()} for part in places], sizes)
        known = self._pairs.get(case.table.GetID())
        if known is None or known[0] != what:
            grids = volume_geometry(prior.volume), volume_geometry(case.volume)
            settings = Rules().part(PairSettings)
            made = pair_lesions(places[0], places[1], alignment.movement, sizes, grids, settings)
            made = with_faint(made, places, alignment.movement, (_look(prior), _look(case)))
            cutting = Rules().part(CutSettings)
            masks = partial(_mask, prior), partial(_mask, case)
            cuts = joined_cuts(made, places, alignment.movement, masks, grids, cutting)
            known = self._pairs[case.table.GetID()] = (what, made, cuts)
        return known[1:]

    def _placed(self, case: CaseView, point: TimePoint) -> dict[int, Place]:
        content, geometry = case.segmentation.GetSegmentation(), volume_geometry(case.volume)
        found, kept = {}, dict(self._places)
        for row in case.rows:
            segment = None if row.box_only else content.GetSegment(row.segment_id)
            if segment is None or row.number not in point.lesions:
                continue
            image = segment.GetRepresentation(segments.BINARY)
            key = (
                case.segmentation.GetID(),
                row.segment_id,
                segments.tag(segment, "LiverLesionAI.Mask"),
                image.GetMTime() if image is not None else 0,
            )
            if key not in kept:
                mask = segments.read_mask(case.segmentation, row.segment_id, geometry)
                if not mask.count:
                    continue
                kept = {k: v for k, v in kept.items() if k[:2] != key[:2]}
                kept[key] = Place.of(mask, geometry)
            found[row.number] = kept[key]
        self._places = kept
        return found


def _mask(case: CaseView, number: int) -> Mask:
    """Of a lesion that has one."""
    segment_id = next(row.segment_id for row in case.rows if row.number == number)
    return segments.read_mask(case.segmentation, segment_id, volume_geometry(case.volume))


def _look(case: CaseView) -> Look | None:
    """Into the tumour's probability, where the scene has the map."""
    node = next((n for n in case.maps if n.GetAttribute(ATTR_MAP) == TUMOUR_PROBABILITY), None)
    if node is None or node.GetImageData() is None:
        return None
    values = slicer.util.arrayFromVolume(node)
    return look_in(values, volume_geometry(node), Rules().part(FaintSettings))


def _phase(case: CaseView) -> Phase | None:
    return None if case.phase is None else case.phase.phase


def _day(case: CaseView) -> Any:
    return words_of(case).current_day or study_of(case.volume).day
