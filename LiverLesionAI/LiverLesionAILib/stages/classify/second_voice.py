"""What can be measured on the lesions of a case, beside what the network says of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...case.classes import LesionClass, Phase
from ..phase.estimate import PhaseMeasures
from .differential import METASTASIS, Context, Differential, DifferentialSettings, differential
from .enhancement import measure_enhancement
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


def differentials(views: Sequence[PhaseView], settings: DifferentialSettings) -> dict[int, Differential]:
    """What each lesion may be, from all phases at hand; larger lesions first, as smaller ones lean on them.

    Args:
        views: one per phase; of two of one phase the first counts.
    """
    measured: dict[str, dict[int, LesionFeatures]] = {}
    vessels: dict[str, float] = {}
    for view in views:
        if view.phase.value not in measured:
            crop = view.crop
            measured[view.phase.value] = measure_features(
                crop.hu_zyx, crop.liver_zyx, crop.labels_zyx, crop.geometry.spacing_zyx_mm
            )
            vessels[view.phase.value] = view.measures.vessels_hu
    first = measured[views[0].phase.value]
    kin = alike(first, settings.alike_hu)
    found: dict[int, Differential] = {}
    for number in sorted(first, key=lambda n: -first[n].diameter_mm):
        phases = {phase: features[number] for phase, features in measured.items() if number in features}
        network, weight = _network(views, number)
        larger = [found[other].probabilities.get(METASTASIS, 0.0) for other in kin[number] if other in found]
        context = Context(
            vessels_hu=vessels,
            lesions=len(first),
            alike=len(kin[number]),
            alike_metastasis=max(larger, default=0.0),
            network=network,
            network_weight=weight,
        )
        said = differential(phases, context, settings)
        more = measure_enhancement(phases, settings).text, treated_suggestion(phases, settings)
        found[number] = replace(said, reasons="; ".join(text for text in (said.reasons, *more) if text))
    return found


def _network(views: Sequence[PhaseView], number: int) -> tuple[dict[str, float], float]:
    """The network's answer where it counts most, by the classes' codes, and its weight.

    Nothing where it calls the lesion unlike all that it knows.
    """
    best = max(views, key=lambda view: view.arterial)
    said = best.network.get(number)
    if said is None or LesionClass.of(said.name) in (None, LesionClass.INDETERMINATE):
        return {}, 0.0
    shares: dict[str, float] = {}
    for name, probability in said.probabilities.items():
        known = LesionClass.of(name)
        if known is not None and math.isfinite(probability):
            shares[known.code] = shares.get(known.code, 0.0) + float(probability)
    return shares, best.arterial
