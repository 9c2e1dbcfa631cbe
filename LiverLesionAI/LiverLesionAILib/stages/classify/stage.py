"""The lesions' classes, from the CT they were found on and, where given, from a second phase of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...case.classes import Phase
from ...case.findings import AttentionMap, CaseResult, Lesion, PhaseEstimate
from ...case.messages import CONTRADICTED, THE_CT
from ...case.phases import NamedPhases
from ...support.progress import Progress, part, silent
from ...support.text import chance
from ...volume.ct import CtVolume, reorient, resample, resample_labels
from ..faces import Classifier
from ..phase.estimate import (
    ARTERIAL,
    PHASES,
    PhaseMeasures,
    PhaseSettings,
    between,
    estimate,
    measure_phase,
    phase_probabilities,
)
from ..phase.hints import Hint, against_the_reader, hint_sentences, hints_of
from .differential import DifferentialSettings
from .liver_box import LiverBox, liver_box
from .second_voice import Company, PhaseView, differentials, measured_phases

if TYPE_CHECKING:
    from .lesions import ClassAnswer, ClassifySettings
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
        named: NamedPhases | None = None,
        company: Company | None = None,
        measures: PhaseMeasures | None = None,
    ) -> Classified:
        """Phase, and classes, maps and boxes of the lesions.

        Args:
            result: with a liver, made on `volume`.
            second_phase: another phase of the same patient; it is registered to `volume`.
            named: what the reader calls the phase of `volume`, and further phases by name.
            company: lesions that count as others of the same liver; None: all.
            measures: what the phase of `volume` is read from, where it was measured before; None measures it.
        """
        box = liver_box(result, volume)
        progress("contrast phase", 0.0)
        measures = measured(box, self.settings.phase) if measures is None else measures
        classified = self.classifier is not None and bool(result.lesions)
        named = NamedPhases() if named is None else named
        hints = hints_of(volume, self.settings.phase.hints)
        arterial_alone = classified and not self._takes_phase
        phase = estimate(measures, arterial_alone, self.settings.phase, hints)
        messages = self._about_phase(measures, hints, named.own)
        if named.own is not None:
            phase = _as_stated(phase, named.own, arterial_alone)
        if not classified:
            return Classified(result.lesions, phase=phase, messages=tuple(messages))
        from .case import with_classes, with_differentials

        others = [(None, second_phase)] if second_phase is not None else []
        others += named.others
        share = 0.9 / (1 + len(others))
        views = [self._view(box, measures, named.own, part(progress, 0.1, 0.1 + share))]
        found = dict(views[0].network)
        for place, (stated, other) in enumerate(others, 1):
            where = 0.1 + share * place
            found, second, said = self._with_second(
                found, views, other, part(progress, where, where + share), stated
            )
            messages += said
            if second is not None:
                views.append(second)
                if second.phase is Phase.ARTERIAL and phase is not None:
                    phase = replace(phase, warning="")
        maps = tuple(found[number].map for number in sorted(found) if found[number].map is not None)
        lesions = with_classes(result.lesions, found)
        if self.settings.differential is not None:
            phase = _what_it_cannot_show(phase, views)
            said = differentials(measured_phases(views), self.settings.differential, company)
            lesions = with_differentials(lesions, said)
            messages.append(NOT_VALIDATED)
        else:
            messages.append(NETWORK_NOT_VALIDATED)
        return Classified(lesions, maps, phase, tuple(messages))

    @property
    def _takes_phase(self) -> bool:
        """Whether the network is told the phase, and so learnt classes in all of them."""
        return self.classifier is not None and bool(self.classifier.entry.config.get("phases", 0))

    def _view(
        self, box: LiverBox, measures: PhaseMeasures, stated: Phase | None, progress: Progress
    ) -> PhaseView:
        """A phase as the reader names it, else as measurements see it; and what the network says of it."""
        hints = hints_of(box.volume, self.settings.phase.hints)
        shares = phase_probabilities(measures, self.settings.phase, hints)
        if stated is not None:
            shares = np.array([float(phase is stated) for phase in Phase])
        phase = Phase.of(PHASES[int(shares.argmax())])
        assert phase is not None
        told = tuple(map(float, shares))
        found = self._classes(box, told, progress)
        return PhaseView(phase, box, measures, told[PHASES.index(ARTERIAL)], found, told)

    def _about_phase(self, measures: PhaseMeasures, hints: Sequence[Hint], stated: Phase | None) -> list[str]:
        """Sentences on the CT's own phase: what contradicts the reader, or what it may be as well."""
        if stated is not None:
            said = self._contradicted(THE_CT, stated, measures)
            return said + against_the_reader(THE_CT, stated, hints)
        undecided = between(measures, self.settings.phase, hints)
        return ([undecided] if undecided else []) + self._hinted(THE_CT, measures, hints)

    def _contradicted(self, who: str, stated: Phase, measures: PhaseMeasures) -> list[str]:
        """A sentence where the picture looks surely like another phase than the reader says."""
        shares = phase_probabilities(measures, self.settings.phase)
        looks = PHASES[int(shares.argmax())]
        if looks == stated.title or shares.max() < self.settings.phase.sure:
            return []
        what = f"was named {stated.title}"
        return [CONTRADICTED.say(who=who, what=what, phase_now=looks, p=chance(shares.max()))]

    def _hinted(self, who: str, measures: PhaseMeasures, hints: Sequence[Hint]) -> list[str]:
        """Sentences where name or header name a phase that the picture contradicts, or decided it."""
        if not np.isfinite((measures.aorta_hu, measures.vessels_hu)).any():
            return []
        seen = phase_probabilities(measures, self.settings.phase)
        return hint_sentences(who, seen, hints, self.settings.phase.sure)

    def _classes(self, box: LiverBox, phase: Sequence[float], progress: Progress) -> dict[int, ClassAnswer]:
        """The network's answers: of all its classes, or of the published five alone."""
        from ...networks.dadrn_config import CLASSES

        assert self.classifier is not None
        crop = box.on_spacing(self.classifier.entry.input.spacing_zyx_mm)
        only = CLASSES if self.settings.differential is None else ()
        return self.classifier.classes(crop, self.settings.classify, progress, phase=phase, only=only)

    def _with_second(
        self,
        found: dict[int, ClassAnswer],
        views: Sequence[PhaseView],
        second_phase: CtVolume,
        progress: Progress,
        stated: Phase | None = None,
    ) -> tuple[dict[int, ClassAnswer], PhaseView | None, list[str]]:
        """Classes from one more phase, that phase, and sentences for the reader.

        The phase is None where it could not be used. Of several phases the most arterial so far weighs
        against the new one.
        """
        from .case import both_phases
        from .second_phase import register_phase

        box = views[0].crop
        assert isinstance(box, LiverBox)
        which = "second" if stated is None else stated.title
        other = reorient(second_phase)
        registered = register_phase(box, other, self.settings.register, part(progress, 0.0, 0.7))
        if registered is None:
            said = (
                f"The {which} phase ({second_phase.name}) could not be brought into line with the first and "
                "was not used. Is it of the same patient, and does it show the liver?"
            )
            return found, None, [said]
        moved = replace(box, volume=other, hu_zyx=registered.hu_zyx)
        measures = measured(moved, self.settings.phase)
        view = self._view(moved, measures, stated, part(progress, 0.7, 1.0))
        shift = (
            f"moved by {registered.mean_shift_mm:.1f} mm on average to lie on the first; classes come from "
            f"{'both' if len(views) == 1 else 'all phases'}."
        )
        hints, who = hints_of(other, self.settings.phase.hints), f"Phase {second_phase.name}"
        if stated is None:
            said = [
                f"Second phase {second_phase.name}: {view.phase.title} ({chance(max(view.shares))}), {shift}"
            ]
            said += self._hinted(who, measures, hints)
        else:
            said = [f"{who}: {stated.title} as named, {shift}"]
            said += self._contradicted(who, stated, measures)
            said += against_the_reader(who, stated, hints)
        weights = max(one.arterial for one in views), view.arterial
        return both_phases(found, view.network, weights, self.settings.classify), view, said


def _as_stated(phase: PhaseEstimate | None, stated: Phase, classified: bool) -> PhaseEstimate:
    """The phase as the reader names it, with what follows from it for classes."""
    if phase is not None and phase.name == stated.title:
        return replace(phase, named=True)
    warning = ""
    if classified and stated is not Phase.ARTERIAL:
        warning = (
            f"The scan is {stated.title}; classes were learnt in the arterial phase and are less reliable "
            "here."
        )
    return PhaseEstimate(stated.title, 1.0, warning, named=True)


def _what_it_cannot_show(phase: PhaseEstimate | None, views: Sequence[PhaseView]) -> PhaseEstimate | None:
    """The phase with what follows from it for classes by measurement."""
    if phase is None or any(view.phase is Phase.ARTERIAL for view in views):
        return phase
    seems = "is" if phase.named else "looks"
    said = f"The scan {seems} {phase.name}: FNH and HCC cannot be told without an arterial phase."
    return replace(phase, warning=said)


def measured(box: LiverBox, settings: PhaseSettings) -> PhaseMeasures:
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
        settings,
    )
