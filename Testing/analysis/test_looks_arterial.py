"""Whether a scan counts as arterial before its lesions are placed: as the reader says, or as measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LiverLesionAILib.analysis import row
from LiverLesionAILib.analysis.draft import Draft
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.phases import NamedPhases
from LiverLesionAILib.stages.phase.estimate import PhaseMeasures, PhaseSettings
from LiverLesionAILib.stages.segment.masks import Masks
from LiverLesionAILib.stages.segment.segmented import Segmented
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

    monkeypatch.setattr(row, "measure_phase", measure)
    assert row._looks_arterial(draft(said), Rules().part(PhaseSettings)) is arterial
    # The liver's lower and upper end, mm; not asked where the reader has said it.
    assert heights == ([] if said else [(6.0, 24.0)])


def test_without_a_liver_nothing_is_arterial() -> None:
    assert not row._looks_arterial(draft(None, liver=False), Rules().part(PhaseSettings))
