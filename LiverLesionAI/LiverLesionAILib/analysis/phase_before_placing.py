"""The contrast phase before lesions are placed: where a scan is arterial, no bright mask is doubted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..case.classes import Phase
from ..stages.phase.estimate import (
    ARTERIAL,
    PHASES,
    PhaseMeasures,
    PhaseSettings,
    measure_phase,
    phase_probabilities,
)
from ..stages.phase.hints import hints_of
from .draft import Draft


def measures_before_placing(draft: Draft, settings: PhaseSettings) -> PhaseMeasures | None:
    """What the phase is read from, before lesions are placed; None where the reader has said it.

    Measured once: what is told of the phase later is made of the same figures.
    """
    assert draft.segmented is not None
    working, masks = draft.segmented.working, draft.segmented.masks
    filled = np.flatnonzero(masks.liver_zyx.any(axis=(1, 2)))
    if draft.phases.own is not None or not filled.size:
        return None
    ends = [float(working.index_to_lps((z, 0, 0))[2]) for z in (filled[0], filled[-1])]
    return measure_phase(
        draft.oriented,
        draft.segmented.hu_on(working),
        masks.liver_zyx,
        masks.labels_zyx > 0,
        working.spacing_zyx_mm,
        min(ends),
        max(ends),
        settings,
    )


def looks_arterial(draft: Draft, measures: PhaseMeasures | None, settings: PhaseSettings) -> bool:
    """Whether the reader calls the CT arterial, or, where nothing is said, its densities do."""
    if draft.phases.own is not None:
        return draft.phases.own is Phase.ARTERIAL
    if measures is None:
        return False
    shares = phase_probabilities(measures, settings, hints_of(draft.ct, settings.hints))
    return PHASES[int(shares.argmax())] == ARTERIAL


@dataclass
class PhaseBeforePlacing:
    """The phase of a draft, measured only when it is asked for.

    Attributes:
        measured: what it was read from; None as long as nobody has asked, and where the reader has said it.
    """

    draft: Draft
    settings: PhaseSettings
    measured: PhaseMeasures | None = None

    def looks_arterial(self) -> bool:
        """:func:`looks_arterial` of the draft; the figures stay in `measured`."""
        self.measured = measures_before_placing(self.draft, self.settings)
        return looks_arterial(self.draft, self.measured, self.settings)
