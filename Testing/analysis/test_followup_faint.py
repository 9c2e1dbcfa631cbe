"""A lesion that one scan does not list is looked for in its probability."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis.followup import (
    Examined,
    follow_up,
    response,
)
from LiverLesionAILib.case.comparison import NOTHING, ReaderWords, key_of, with_reader_words
from LiverLesionAILib.case.course import Course, new_lesions, target_sizes
from LiverLesionAILib.case.findings import LesionStatus, ProbabilityMap
from LiverLesionAILib.case.followup import (
    LesionState,
    provisional,
)
from LiverLesionAILib.case.followup_json import course_of_json
from LiverLesionAILib.case.recist import Response, TargetState
from LiverLesionAILib.stages.measure.lesions import measure_case
from support.follow_up_bodies import FIRST, decided, json_of


def seen(examined: Examined, centre, value: float) -> Examined:
    """A scan whose network sees a ball of 8 mm with this probability."""
    geometry = examined.result.geometry
    lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)))
    near = ((lps - np.asarray(centre)) ** 2).sum(-1) < 8.0**2
    known = ProbabilityMap(np.where(near, round(255 * value), 0).astype(np.uint8), geometry, 0.25)
    return replace(examined, result=replace(examined.result, probabilities={"tumour": known}))


@pytest.mark.usefixtures("registered")
def test_what_one_scan_does_not_list_is_looked_for_in_its_probability(first, second):
    """Lesion 3 is gone and the present 4 new, unless the other scan's network sees something there."""
    first, second = (decided(scan, LesionStatus.ACCEPTED) for scan in (first, second))
    shift = np.array((6.0, -4.0, -22.0))
    places = np.array((30, 10, 20)), np.array(FIRST[3][0]) + shift

    def states(value):
        found = follow_up(seen(first, places[0], value), seen(second, places[1], value))
        return found, {(p.prior, p.current): p.state for p in found.pairs if not (p.prior and p.current)}

    found, made = states(0.15)
    assert set(made.values()) == {LesionState.NEW, LesionState.GONE}
    assert response(found).overall is Response.PD and new_lesions(Course.of(found))
    ends = {state: pair for pair, state in made.items()}
    found, made = states(0.3)
    assert set(made.values()) == {LesionState.FAINT}
    assert set(made) == set(ends.values())
    course = Course.of(found)
    assert new_lesions(course) == ()
    gone = ends[LesionState.GONE][0][0]
    assert target_sizes(course, (gone,))[1][0].state is TargetState.TOO_SMALL
    assert "not confirmed" in provisional(found).text
    # The reader's word counts more.
    key = key_of(found.current.lesions[ends[LesionState.NEW][1][0]])
    said = with_reader_words(found, ReaderWords().linking(NOTHING, key))
    assert new_lesions(Course.of(said)) == ends[LesionState.NEW][1]
    # Kept in the file.
    read = course_of_json(json_of(found, response(found)))
    assert {p.state for p in read.course.last.pairs} == {p.state for p in found.pairs}


@pytest.mark.usefixtures("registered")
def test_what_lies_in_another_lesions_outline_is_not_faint_for_that(first, second):
    """The prior lists a lesion whose outline has run over the place of one that is new now."""
    first, second = (decided(scan, LesionStatus.ACCEPTED) for scan in (first, second))
    place = np.array((30, 10, 20))
    geometry, labels = first.result.geometry, first.result.lesion_labels_zyx.copy()
    lps = np.asarray(geometry.index_to_lps(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)))
    run_over = (np.abs(lps - (15, 5, 10)) < (20, 10, 14)).all(axis=-1)
    for outlined in (run_over, run_over & (lps[..., 0] < -90)):
        own = np.where(outlined & first.result.liver_zyx, 1, labels).astype(np.uint16)
        lesions = measure_case(own, first.result.liver_zyx, first.volume.hu_zyx, geometry)
        result = replace(first.result, lesion_labels_zyx=own, lesions=lesions)
        found = follow_up(seen(replace(first, result=result), place, 0.9), second)
        pair = next(p for p in found.pairs if 4 in p.current)
        # Where the outline reaches, what is seen is that lesion; elsewhere it is something unlisted.
        assert (pair.state is LesionState.FAINT) == (not outlined.any()), pair
