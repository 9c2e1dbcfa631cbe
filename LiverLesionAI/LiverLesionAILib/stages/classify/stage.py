"""The lesions' classes, from the CT they were found on and, where given, from a second phase of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...case.classes import Phase
from ...case.findings import AttentionMap, CaseResult, Lesion, PhaseEstimate
from ...support.progress import Progress, part, silent
from ...volume.ct import CtVolume, reorient, resample, resample_labels
from ..faces import Classifier
from ..phase.estimate import (
    ARTERIAL,
    PHASES,
    PhaseMeasures,
    PhaseSettings,
    estimate,
    measure_phase,
    phase_probabilities,
)
from .differential import DifferentialSettings
from .liver_box import LiverBox, liver_box
from .second_voice import PhaseView, differentials

if TYPE_CHECKING:
    from .lesions import ClassifySettings, LesionClass
    from .second_phase import RegisterSettings

NOT_VALIDATED = (
    "Lesion classes come from measured densities and a network that was trained on simulated contrast "
    "enhancement; they have not been validated on patients."
)
NETWORK_NOT_VALIDATED = (
    "Lesion classes come from a network that was trained on simulated contrast enhancement; it has not been "
    "validated on patients."
)


@dataclass(frozen=True)
class ClassStageSettings:
    """How phase and classes are decided.

    Attributes:
        classify: the network's answers of slices.
        phase: contrast phases.
        register: a second phase brought onto the first.
        differential: measurements as classes; None leaves the network's own classes as they are.
    """

    classify: ClassifySettings
    phase: PhaseSettings
    register: RegisterSettings
    differential: DifferentialSettings | None


@dataclass(frozen=True, eq=False)
class Classified:
    """What this stage adds to a case.

    Attributes:
        lesions: with their classes.
        attention: maps of single lesions.
        phase: None where it cannot be told.
        messages: what the reader has to know.
    """

    lesions: tuple[Lesion, ...]
    attention: tuple[AttentionMap, ...] = ()
    phase: PhaseEstimate | None = None
    messages: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CaseClassifier:
    """Tells a case's contrast phase, and its lesions' classes where there is a classifier.

    Attributes:
        classifier: None tells the phase only.
    """

    classifier: Classifier | None
    settings: ClassStageSettings

    def run(
        self,
        result: CaseResult,
        volume: CtVolume,
        second_phase: CtVolume | None = None,
        progress: Progress = silent,
    ) -> Classified:
        """Phase, and classes, maps and boxes of the lesions.

        Args:
            result: with a liver, made on `volume`.
            second_phase: another phase of the same patient; it is registered to `volume`.
        """
        box = liver_box(result, volume)
        progress("contrast phase", 0.0)
        measures = measured(box)
        classified = self.classifier is not None and bool(result.lesions)
        phase = estimate(measures, classified, self.settings.phase)
        if not classified:
            return Classified(result.lesions, phase=phase)
        from .case import with_classes, with_differentials

        messages = []
        found = self._classes(box, part(progress, 0.1, 0.5 if second_phase else 1.0))
        views = [self._view(box, measures, found)]
        if second_phase is not None:
            found, second, said = self._with_second(
                found, box, measures, second_phase, part(progress, 0.5, 1.0)
            )
            messages.append(said)
            if second is not None:
                views.append(second)
                if second.phase is Phase.ARTERIAL and phase is not None:
                    phase = replace(phase, warning="")
        maps = tuple(found[number].map for number in sorted(found) if found[number].map is not None)
        lesions = with_classes(result.lesions, found)
        if self.settings.differential is not None:
            phase = _what_it_cannot_show(phase, views)
            lesions = with_differentials(lesions, differentials(views, self.settings.differential))
            messages.append(NOT_VALIDATED)
        else:
            messages.append(NETWORK_NOT_VALIDATED)
        return Classified(lesions, maps, phase, tuple(messages))

    def _view(self, box: LiverBox, measures: PhaseMeasures, found: dict[int, LesionClass]) -> PhaseView:
        """A phase as measurements see it."""
        shares = phase_probabilities(measures, self.settings.phase)
        phase = Phase.of(PHASES[int(shares.argmax())])
        assert phase is not None
        return PhaseView(phase, box, measures, float(shares[PHASES.index(ARTERIAL)]), found)

    def _classes(self, box: LiverBox, progress: Progress) -> dict[int, LesionClass]:
        assert self.classifier is not None
        crop = box.on_spacing(self.classifier.entry.input.spacing_zyx_mm)
        return self.classifier.classes(crop, self.settings.classify, progress)

    def _with_second(
        self,
        found: dict[int, LesionClass],
        box: LiverBox,
        measures: PhaseMeasures,
        second_phase: CtVolume,
        progress: Progress,
    ) -> tuple[dict[int, LesionClass], PhaseView | None, str]:
        """Classes from both phases, the second one, and a sentence for the reader.

        The second phase is None where it could not be used.
        """
        from .case import both_phases
        from .second_phase import register_phase

        other = reorient(second_phase)
        registered = register_phase(box, other, self.settings.register, part(progress, 0.0, 0.7))
        if registered is None:
            said = (
                f"The second phase ({second_phase.name}) could not be brought into line with the first and "
                "was not used. Is it of the same patient, and does it show the liver?"
            )
            return found, None, said
        moved = replace(box, volume=other, hu_zyx=registered.hu_zyx)
        second = measured(moved)
        shares = [phase_probabilities(m, self.settings.phase) for m in (measures, second)]
        name = PHASES[int(shares[1].argmax())]
        said = (
            f"Second phase {second_phase.name}: {name} ({shares[1].max():.2f}), moved by "
            f"{registered.mean_shift_mm:.1f} mm on average to lie on the first; classes come from both."
        )
        more = self._classes(moved, part(progress, 0.7, 1.0))
        arterial = PHASES.index(ARTERIAL)
        weights = float(shares[0][arterial]), float(shares[1][arterial])
        both = both_phases(found, more, weights, self.settings.classify)
        return both, self._view(moved, second, more), said


def _what_it_cannot_show(phase: PhaseEstimate | None, views: Sequence[PhaseView]) -> PhaseEstimate | None:
    """The phase with what follows from it for classes by measurement."""
    if phase is None or not phase.warning or any(view.phase is Phase.ARTERIAL for view in views):
        return phase
    said = f"The scan looks {phase.name}: FNH and HCC cannot be told without an arterial phase."
    return replace(phase, warning=said)


def measured(box: LiverBox) -> PhaseMeasures:
    """What the phase is read from, on a grid of 2.5 x 1.5 x 1.5 mm."""
    working = box.geometry.with_spacing((2.5, 1.5, 1.5))
    liver = resample_labels(box.liver_zyx.astype(np.uint8), box.geometry, working) > 0
    lesions = resample_labels(box.labels_zyx, box.geometry, working) > 0
    return measure_phase(
        box.volume,
        np.asarray(resample(box.hu_zyx, box.geometry, working), np.float32),
        liver,
        lesions,
        working.spacing_zyx_mm,
        *box.heights_lps_z,
    )
