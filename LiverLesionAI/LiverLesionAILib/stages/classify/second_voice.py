"""What can be measured on the lesions of a case, beside what the network says of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...case.classes import LesionClass, Phase
from ...case.enhancement import Enhancement, PhaseLevels
from ..phase.estimate import PhaseMeasures
from .differential import METASTASIS, Context, Differential, DifferentialSettings, differential
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
        arterial: probability that the phase is the arterial one, which the network learnt classes in.
        network: what the network said, by lesion.
    """

    phase: Phase
    crop: LiverCrop
    measures: PhaseMeasures
    arterial: float
    network: Mapping[int, ClassAnswer]


@dataclass(frozen=True)
class MeasuredPhase:
    """What is known of a case's lesions in one phase; numbers alone, without images.

    Attributes:
        phase: its value.
        vessels_hu: brightest vessels in the liver; aorta_hu, cava_hu: NaN where none was seen.
        arterial: as in :class:`PhaseView`.
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
        said = {number: _shares(answer) for number, answer in view.network.items()}
        found[view.phase.value] = MeasuredPhase(
            view.phase.value,
            view.measures.vessels_hu,
            view.measures.aorta_hu,
            view.arterial,
            features,
            {number: shares for number, shares in said.items() if shares},
            view.measures.cava_hu,
        )
    return list(found.values())


def differentials(
    measured: Sequence[MeasuredPhase], settings: DifferentialSettings
) -> dict[int, Differential]:
    """What each lesion may be, from all phases at hand; larger lesions first, as smaller ones lean on them.

    Args:
        measured: one per phase, that of the case's own CT first.
    """
    vessels = {one.phase: one.vessels_hu for one in measured}
    first = measured[0].features
    kin = alike(first, settings.alike_hu)
    found: dict[int, Differential] = {}
    for number in sorted(first, key=lambda n: -first[n].diameter_mm):
        phases = {one.phase: one.features[number] for one in measured if number in one.features}
        network, weight = _network(measured, number)
        larger = [found[other].probabilities.get(METASTASIS, 0.0) for other in kin[number] if other in found]
        context = Context(
            vessels_hu=vessels,
            lesions=len(first),
            alike=len(kin[number]),
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


def _network(measured: Sequence[MeasuredPhase], number: int) -> tuple[Mapping[str, float], float]:
    """The network's answer where it counts most, by the classes' codes, and its weight."""
    best = max(measured, key=lambda one: one.arterial)
    shares = best.network.get(number, {})
    return shares, best.arterial if shares else 0.0


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
