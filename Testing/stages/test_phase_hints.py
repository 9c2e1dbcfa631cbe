"""What name and header say of the contrast phase: used beside the picture, told where it contradicts them."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.stages.phase.estimate import (
    PhaseMeasures,
    PhaseSettings,
    between,
    estimate,
    phase_probabilities,
)
from LiverLesionAILib.stages.phase.hints import (
    against_the_reader,
    hint_sentences,
    hints_of,
    phase_at,
    weighed,
)
from LiverLesionAILib.volume.contrast import (
    NOTHING_SAID,
    ContrastHeader,
    checked,
    contrast_header,
    seconds_of,
)
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.dicom import DicomSource
from support.rules import of_page

PAGE = of_page(PhaseSettings)
PORTAL = PhaseMeasures(150.0, 150.0, 115.0)
LATE_PORTAL = PhaseMeasures(121.0, 121.0, 95.0)
UNENHANCED = PhaseMeasures(42.0, 50.0, 55.0)


def ct(name: str = "CT", delay_s: float | None = None, agent: bool | None = None) -> CtVolume:
    hu = np.full((10, 4, 4), 40, np.int16)
    return CtVolume(hu, Geometry.make(hu.shape, (5.0, 1.0, 1.0), (0, 0, 0)), name, (), (), None,
                    ContrastHeader(delay_s, agent))  # fmt: skip


def header(**values: str) -> ContrastHeader:
    return contrast_header(DicomSource((), **values))


@pytest.mark.parametrize(
    ("start", "taken", "delay_s"),
    [
        ("101500", "101612.5", 72.5),
        ("10:15:00", "101535", 35.0),
        ("101500.000000", "101816", 196.0),
        ("1015", "1016", 60.0),
        ("101500", "", None),
        ("", "101500", None),
        ("101500", "101500", None),  # the injector's clock, or a copied field
        ("101700", "101500", None),  # injected after the acquisition
        ("235930", "000040", None),  # across midnight, or of another day: nothing is claimed
        ("101500", "104501", None),  # more than half an hour later
        ("101500", "105000", None),
        ("noon", "101500", None),
        ("251500", "251600", None),
        ("101500", "10161", None),
    ],
)
def test_nonsense_times_are_ignored(start: str, taken: str, delay_s: float | None) -> None:
    found = header(contrast_bolus_start_time=start, acquisition_time=taken)
    assert found.delay_s == (None if delay_s is None else pytest.approx(delay_s))


def test_the_time_of_an_images_creation_is_no_acquisition() -> None:
    later = header(contrast_bolus_start_time="101500", content_time="101812")
    assert later == NOTHING_SAID
    whole = header(contrast_bolus_start_time="101500", acquisition_date_time="20260131101612.5+0100")
    assert whole.delay_s == pytest.approx(72.5)
    assert seconds_of("101560") == pytest.approx(36960.0), "a leap second"
    assert contrast_header(None) == NOTHING_SAID


@pytest.mark.parametrize(
    ("agent", "route", "given"),
    [
        ("IODINE", "IV", True),
        ("Omnipaque 350", "", True),
        ("APPLIED", "", True),
        ("CE Ultravist", "Intravenous route", True),
        ("NONE", "", False),
        ("w/o", "", False),
        ("No contrast", "", False),
        ("", "", None),
        ("ORAL", "", None),
        ("Omnipaque 140", "ORAL", None),
        ("water", "", None),
        ("protocol 7", "", None),
    ],
)
def test_contrast_medium_given_into_a_vein(agent: str, route: str, given: bool | None) -> None:
    assert header(contrast_bolus_agent=agent, contrast_bolus_route=route).agent is given


@pytest.mark.parametrize(
    ("description", "given"),
    [
        ("150cc OMNIPAQUE)", True),
        ("Abdomen C+ 5.0", True),
        ("ABD W CONTRAST", True),
        ("Abdomen mit KM", True),
        ("TDM avec contraste", True),
        ("CECT liver", True),
        ("ABD W/O CONTRAST", False),
        ("Abdomen ohne KM", False),
        ("non contrast 5mm", False),
        ("C- axial", False),
        ("CT ABDOMEN W/WO CONTRAST", None),
        ("oral Omnipaque", None),
        ("WITHIN 3 MM", None),
        ("liver 5.0 B30f", None),
        ("", None),
    ],
)
def test_contrast_medium_in_a_series_description(description: str, given: bool | None) -> None:
    assert header(series_description=description).agent is given
    assert header(series_description=description, contrast_bolus_agent="NONE").agent is False
    study = header(study_description="CT ABDOMEN W CONTRAST", series_description=description)
    assert study.agent is given, "of the study, not of this series"


def test_a_delay_names_a_phase_and_nothing_between_two() -> None:
    named = {s: phase_at(s, PAGE.hints) for s in (5.0, 35.0, 52.0, 70.0, 130.0, 180.0, 300.0, 1500.0)}
    assert [None if p is None else p.value for p in named.values()] == [
        None, "arterial", None, "portal", None, "delayed", "delayed", None
    ]  # fmt: skip
    assert phase_at(None, PAGE.hints) is None


def test_a_delay_decides_between_phases_that_look_alike() -> None:
    seen = phase_probabilities(LATE_PORTAL, PAGE)
    assert 0.3 < seen[2] < PAGE.sure and between(LATE_PORTAL, PAGE), "the picture alone leaves it open"
    for delay_s, phase in ((70.0, Phase.PORTAL), (200.0, Phase.DELAYED)):
        hints = hints_of(ct(delay_s=delay_s), PAGE.hints)
        found = estimate(LATE_PORTAL, True, PAGE, hints)
        assert found is not None and found.phase is phase and found.probability > PAGE.sure
        assert between(LATE_PORTAL, PAGE, hints) == ""
    decided = [
        hint_sentences("The CT", seen, hints_of(ct(delay_s=s), PAGE.hints), PAGE.sure) for s in (70.0, 200.0)
    ]
    assert sorted(map(len, decided)) == [0, 1], "what decides against the picture is told"
    [[said]] = [one for one in decided if one]
    assert "by its header was taken " in said and "not surely, and is taken for" in said


def test_a_sure_picture_outweighs_a_description_and_that_is_told() -> None:
    seen = phase_probabilities(PORTAL, PAGE)
    hints = hints_of(ct("5: Abdomen arterial"), PAGE.hints)
    assert weighed(seen, hints).argmax() == seen.argmax() == 2
    [said] = hint_sentences("The CT", seen, hints, PAGE.sure)
    assert said.startswith("The CT is called arterial but looks portal venous (") and "taken for" not in said
    both = hints_of(ct("5: Abdomen arterial", 34.0), PAGE.hints)
    assert len(hint_sentences("The CT", seen, both, PAGE.sure)) == 2
    assert hint_sentences("The CT", seen, hints_of(ct("Abdomen venous", 70.0), PAGE.hints), PAGE.sure) == []
    assert hints_of(ct(), PAGE.hints) == ()
    np.testing.assert_allclose(weighed(seen, ()), seen)


def test_contrast_medium_in_the_header_and_none_in_the_picture() -> None:
    seen = phase_probabilities(UNENHANCED, PAGE)
    [said] = hint_sentences("The CT", seen, hints_of(ct(agent=True), PAGE.hints), PAGE.sure)
    assert said.startswith("The CT by its header was taken with contrast medium but looks unenhanced (")
    assert hint_sentences("The CT", seen, hints_of(ct(agent=False), PAGE.hints), PAGE.sure) == []
    enhanced = phase_probabilities(PORTAL, PAGE)
    [said] = hint_sentences("The CT", enhanced, hints_of(ct(agent=False), PAGE.hints), PAGE.sure)
    assert "by its header was taken without contrast medium but looks portal venous" in said
    assert hint_sentences("The CT", enhanced, hints_of(ct(agent=True), PAGE.hints), PAGE.sure) == []


def test_the_header_against_the_phase_that_the_reader_names() -> None:
    hints = hints_of(ct("Abdomen", 72.4), PAGE.hints)
    assert against_the_reader("The CT", Phase.PORTAL, hints) == []
    assert against_the_reader("The CT", Phase.ARTERIAL, hints) == [
        "The CT was named arterial but by its header was taken 72 s after the injection began (portal "
        "venous): check which it is."
    ]


@pytest.mark.parametrize(
    ("delay_s", "agent", "kept"),
    [
        (72.5, True, ContrastHeader(72.5, True)),
        ("72", None, NOTHING_SAID),
        (float("nan"), 1, NOTHING_SAID),
        (-5, False, ContrastHeader(None, False)),
        (True, "yes", NOTHING_SAID),
    ],
)
def test_what_another_process_wrote_is_checked(delay_s: object, agent: object, kept: ContrastHeader) -> None:
    assert checked(delay_s, agent) == kept
