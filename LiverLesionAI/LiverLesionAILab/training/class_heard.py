"""What a network says of the kept lesions (:mod:`.class_pool`), and what the product makes of both voices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.case.classes import Phase as NamedPhase
from LiverLesionAILib.stages.classify.differential import DifferentialSettings
from LiverLesionAILib.stages.classify.lesions import ClassifySettings, answer_of
from LiverLesionAILib.stages.classify.second_voice import MeasuredPhase, differentials, known_answers
from torch import nn

from .class_pool import PhaseOfLesion, PoolLesion


@dataclass(frozen=True, eq=False)
class Heard:
    """A lesion with what was measured and what the network said.

    Attributes:
        truth: code of its class.
        alone: by phase, told as the picture looks; named: told as it was scanned.
    """

    truth: str
    alone: Mapping[NamedPhase, MeasuredPhase]
    named: Mapping[NamedPhase, MeasuredPhase]


def heard(lesions: Sequence[PoolLesion], network: nn.Module, classify: ClassifySettings) -> list[Heard]:
    """Ask a network about all lesions, told what each phase looks like and which it is."""
    found = []
    for lesion in lesions:
        alone, named = {}, {}
        for one in lesion.phases:
            told = tuple(one.measures["shares"])
            alone[one.phase] = _asked(one, told, list(NamedPhase)[int(np.argmax(told))], network, classify)
            told = tuple(float(phase is one.phase) for phase in NamedPhase)
            named[one.phase] = _asked(one, told, one.phase, network, classify)
        found.append(Heard(lesion.truth, alone, named))
    return found


def _asked(
    one: PhaseOfLesion,
    told: tuple[float, ...],
    phase: NamedPhase,
    network: nn.Module,
    classify: ClassifySettings,
) -> MeasuredPhase:
    said, _ = answer_of(network, one.asked, classify, told)
    return MeasuredPhase(
        phase.value,
        one.measures["vessels_hu"],
        one.measures["aorta_hu"],
        told[list(NamedPhase).index(NamedPhase.ARTERIAL)],
        {1: one.features},
        known_answers({1: said}),
        one.measures["cava_hu"],
        told,
    )


def probabilities_at(
    one: Heard, phases: Sequence[NamedPhase], settings: DifferentialSettings
) -> Mapping[str, float]:
    """What the product says of a lesion from these phases; {} where the first of them does not show it."""
    known = one.alone if len(phases) == 1 else one.named
    views = [known[phase] for phase in phases if phase in known]
    if not views or phases[0] not in known:
        return {}
    return differentials(views, settings)[1].probabilities
