"""What can be measured on the lesions of a case, beside what the network says of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...case.classes import LesionClass, Phase
from ...case.enhancement import Enhancement, PhaseLevels
from ...case.findings import Lesion
from ..phase.estimate import PhaseMeasures
from .differential import LEAST_SHARE, METASTASIS, Context, Differential, DifferentialSettings, differential
from .enhancement import MeasuredEnhancement, measure_enhancement
from .features import LesionFeatures, alike, measure_features
from .liver_box import LiverCrop
from .treated import treated_suggestion

if TYPE_CHECKING:
    from .lesions import ClassAnswer


@dataclass(frozen=True, eq=False)
class PhaseView:
    """A case in one phase.

    Attributes:
        phase: as estimated, or as the reader says.
        crop: CT, liver and lesions.
        measures: densities that the phase was told by.
        arterial: probability that the phase is the arterial one.
        network: what the network said, by lesion.
        shares: probability of every phase, as the network was told; () where only `arterial` is known.
    """

    phase: Phase
    crop: LiverCrop
    measures: PhaseMeasures
    arterial: float
    network: Mapping[int, ClassAnswer]
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class MeasuredPhase:
    """What is known of a case's lesions in one phase; numbers alone, without images.

    Attributes:
        phase: its value.
        vessels_hu: brightest vessels in the liver; aorta_hu, cava_hu: NaN where none was seen.
        arterial, shares: as in :class:`PhaseView`.
        features: by lesion.
        network: by lesion, the network's shares by the classes' codes; lesions unlike all that it knows are
            left out.
    """

    phase: str
    vessels_hu: float
    aorta_hu: float
    arterial: float
    features: Mapping[int, LesionFeatures]
    network: Mapping[int, Mapping[str, float]]
    cava_hu: float = math.nan
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Company:
    """Lesions that count as others of the same liver; fainter candidates, which may be none, do not.

    Attributes:
        numbers: of them.
        least_score: which they have; a reader's slider may list others, so that it is told. NaN: of all.
    """

    numbers: frozenset[int]
    least_score: float = math.nan

    @classmethod
    def of(cls, lesions: Iterable[Lesion], least_score: float) -> Company:
        """Those of at least that score."""
        return cls(frozenset(one.number for one in lesions if one.score >= least_score), least_score)


def measured_phases(views: Sequence[PhaseView]) -> list[MeasuredPhase]:
    """Measure the lesions in every phase; of two of one phase the first counts."""
    found: dict[str, MeasuredPhase] = {}
    for view in views:
        if view.phase.value in found:
            continue
        crop = view.crop
        features = measure_features(
            crop.hu_zyx, crop.liver_zyx, crop.labels_zyx, crop.geometry.spacing_zyx_mm
        )
        found[view.phase.value] = MeasuredPhase(
            view.phase.value,
            view.measures.vessels_hu,
            view.measures.aorta_hu,
            view.arterial,
            features,
            known_answers(view.network),
            view.measures.cava_hu,
            view.shares,
        )
    return list(found.values())


def differentials(
    measured: Sequence[MeasuredPhase],
    settings: DifferentialSettings,
    company: Company | None = None,
) -> dict[int, Differential]:
    """What each lesion may be, from all phases at hand; larger lesions first, as smaller ones lean on them.

    Args:
        measured: one per phase, that of the case's own CT first.
        company: None: all.
    """
    vessels = {one.phase: one.vessels_hu for one in measured}
    first = measured[0].features
    kin = alike(first, settings.alike_hu)
    known = Company(frozenset(first)) if company is None else company
    counted = set(first) & known.numbers
    found: dict[int, Differential] = {}
    for number in sorted(first, key=lambda n: -first[n].diameter_mm):
        phases = {one.phase: one.features[number] for one in measured if number in one.features}
        network, weight = network_voice(measured, number, settings)
        alikes = [other for other in kin[number] if other in counted]
        larger = [found[other].probabilities.get(METASTASIS, 0.0) for other in alikes if other in found]
        context = Context(
            vessels_hu=vessels,
            others=len(counted - {number}),
            least_score=known.least_score,
            alike=len(alikes),
            alike_metastasis=max(larger, default=0.0),
            network=network,
            network_weight=weight,
            aorta_hu={one.phase: one.aorta_hu for one in measured},
        )
        said = differential(phases, context, settings)
        seen = measure_enhancement(phases, settings)
        more = seen.text, treated_suggestion(phases, settings)
        found[number] = replace(
            said,
            reasons="; ".join(text for text in (said.reasons, *more) if text),
            enhancement=_over_phases(measured, number, seen),
        )
    return found


def _over_phases(measured: Sequence[MeasuredPhase], number: int, seen: MeasuredEnhancement) -> Enhancement:
    """A lesion's densities over the phases, in the order of time."""
    order = [phase.value for phase in Phase]
    levels = []
    for one in sorted(measured, key=lambda m: order.index(m.phase)):
        features = one.features.get(number)
        if features is not None:
            levels.append(
                PhaseLevels(
                    Phase(one.phase),
                    features.core_hu,
                    features.liver_hu,
                    one.aorta_hu,
                    one.cava_hu,
                    one.vessels_hu,
                    features.edge_mm,
                    features.rim_contrast_hu,
                )
            )
    own = Phase(measured[0].phase)
    return Enhancement(tuple(levels), seen.aphe, seen.rim, seen.washout, seen.capsule, own)


def network_voice(
    measured: Sequence[MeasuredPhase], number: int, settings: DifferentialSettings
) -> tuple[Mapping[str, float], float]:
    """The network's answers in all phases as one, by the classes' codes, and how far it counts.

    A log-linear pool (Genest and Zidek 1986): in each phase the answer counts by the phase's fitted weight.
    Phases show one lesion, so that their answers are no independent evidence: of the sum of weights the
    largest is kept, and of the rest what is left after `network_shared` of it is taken for said before.
    """
    said = [(one.network[number], _weight(one, settings)) for one in measured if number in one.network]
    heard = [(shares, weight) for shares, weight in said if weight > 0]
    if len(heard) < 2:
        return heard[0] if heard else ({}, 0.0)
    whole, most = sum(weight for _, weight in heard), max(weight for _, weight in heard)
    logs: dict[str, float] = {}
    for shares, weight in heard:
        for name, share in shares.items():
            logs[name] = logs.get(name, 0.0) + weight / whole * math.log(max(share, LEAST_SHARE))
    pooled = {name: math.exp(value) for name, value in logs.items()}
    total = sum(pooled.values())
    return {name: p / total for name, p in pooled.items()}, most + (1 - settings.network_shared) * (
        whole - most
    )


def _weight(one: MeasuredPhase, settings: DifferentialSettings) -> float:
    """How far a network's answer counts in a phase of which only probabilities are known."""
    if not one.shares:
        return one.arterial * settings.network_arterial
    return sum(share * weight for share, weight in zip(one.shares, settings.network_weights, strict=True))


def known_answers(said: Mapping[int, ClassAnswer]) -> dict[int, dict[str, float]]:
    """A network's answers by the classes' codes, without lesions that it calls unlike all it knows."""
    found = {number: _shares(answer) for number, answer in said.items()}
    return {number: shares for number, shares in found.items() if shares}


def _shares(said: ClassAnswer) -> dict[str, float]:
    """A network's answer by the classes' codes; nothing of a lesion that it calls unlike all it knows."""
    if LesionClass.of(said.name) in (None, LesionClass.INDETERMINATE):
        return {}
    shares: dict[str, float] = {}
    for name, probability in said.probabilities.items():
        known = LesionClass.of(name)
        if known is not None and math.isfinite(probability):
            shares[known.code] = shares.get(known.code, 0.0) + float(probability)
    return shares
