"""Whether a scan counts as arterial before its lesions are placed: as the reader says, or as measured."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from LiverLesionAILib.analysis import phase_before_placing, row
from LiverLesionAILib.analysis.draft import Draft, Placed
from LiverLesionAILib.analysis.phase_before_placing import looks_arterial, measures_before_placing
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.phases import NamedPhases
from LiverLesionAILib.stages.classify.stage import Classified
from LiverLesionAILib.stages.phase.estimate import PhaseMeasures, PhaseSettings
from LiverLesionAILib.stages.segment.masks import Masks
from LiverLesionAILib.stages.segment.segmented import Segmented
from LiverLesionAILib.support.progress import silent
from LiverLesionAILib.volume.ct import CtVolume, Geometry

ARTERIAL, PORTAL = PhaseMeasures(300.0, 105.0, 75.0), PhaseMeasures(155.0, 160.0, 112.0)


def draft(said: Phase | None, liver: bool = True) -> Draft:
    geometry = Geometry.make((12, 30, 30), (3.0, 3.0, 3.0))
    hu = np.full((12, 30, 30), 80, np.int16)
    mask = np.zeros(hu.shape, bool)
    mask[2:9, 5:25, 5:25] = liver
    none = np.zeros(hu.shape, np.uint8)
    masks = Masks(mask, none.astype(np.uint16), {}, 0, mask)
    found = Segmented(geometry, hu, geometry, 80.0, mask.astype(np.uint8) * 255, none, masks)
    made = Draft.of(CtVolume(hu, geometry, name="Abdomen"))
    return replace(made, segmented=found, phases=NamedPhases(said, ()))


@pytest.mark.parametrize(
    ("said", "measured", "arterial"),
    [
        (None, ARTERIAL, True),
        (None, PORTAL, False),
        (Phase.ARTERIAL, PORTAL, True),
        (Phase.PORTAL, ARTERIAL, False),
    ],
)
def test_what_the_reader_says_counts_and_else_the_densities(
    monkeypatch: pytest.MonkeyPatch, said: Phase | None, measured: PhaseMeasures, arterial: bool
) -> None:
    heights: list[tuple[float, float]] = []

    def measure(volume: object, hu: object, liver: object, lesions: object, spacing: object, *rest: object):
        heights.append((rest[0], rest[1]))
        return measured

    monkeypatch.setattr(phase_before_placing, "measure_phase", measure)
    settings, made = Rules().part(PhaseSettings), draft(said)
    assert looks_arterial(made, measures_before_placing(made, settings), settings) is arterial
    # The liver's lower and upper end, mm; not asked where the reader has said it.
    assert heights == ([] if said else [(6.0, 24.0)])


def test_without_a_liver_nothing_is_arterial() -> None:
    settings, empty = Rules().part(PhaseSettings), draft(None, liver=False)
    assert not looks_arterial(empty, measures_before_placing(empty, settings), settings)


def test_the_phase_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What decides on bright masks is what the page says: no second measurement on other masks."""
    times = []

    def measure(*_: object) -> PhaseMeasures:
        times.append(1)
        return ARTERIAL

    def detected(detector: object, found: Segmented, settings: object, progress: object, arterial):
        assert arterial()
        return SimpleNamespace(masks=found.masks)

    asked = {}

    def run(self: object, *given: object) -> Classified:
        asked["measures"] = given[-1]
        return Classified(())

    monkeypatch.setattr(phase_before_placing, "measure_phase", measure)
    monkeypatch.setattr(row, "detect_lesions", detected)
    monkeypatch.setattr(row.CaseClassifier, "run", run)
    models = SimpleNamespace(detector=object(), classifier=None, segmenter=SimpleNamespace(entry=None))
    made = row.detect(draft(None), Rules(), models, silent)
    masks = made.segmented.masks
    placed = Placed(masks.liver_zyx, masks.labels_zyx, masks.liver_zyx, masks.labels_zyx, {}, {}, {})
    monkeypatch.setattr(Draft, "found", lambda self: None)
    row.classify(replace(made, placed=placed), Rules(), models, silent)
    assert asked["measures"] is ARTERIAL and len(times) == 1
