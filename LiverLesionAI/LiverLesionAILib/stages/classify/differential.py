"""Which classes are possible for a lesion in the phases at hand, most probable first, with the reasons.

A transparent second voice beside the network: each class expects a density of the core (relative to the
liver, to the vessels, or in HU) in each phase; what is measured is compared with that, and with how often the
class is met. Every number is in the tables below, for a reader to check.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ...case.classes import LesionClass
from ...case.enhancement import Enhancement
from .features import LesionFeatures
from .signs import (
    CALCIUM,
    ROUND_MM,
    SignRows,
    lost_to_fat,
    lumps_share,
    measured_signs,
    points_of,
    sign_text,
    speaking,
)

CYST, HAEMANGIOMA, FNH, HCC, METASTASIS, BENIGN = "cyst", "haemangioma", "FNH", "HCC", "metastasis", "benign"
CLASSES = (CYST, HAEMANGIOMA, FNH, HCC, METASTASIS, BENIGN)
SPARING, PERFUSION = LOOKS_OF_BENIGN = ("sparing", "perfusion")
"""Rows of the tables beside "benign" (focal fat) that are benign as well, each with its own expectation."""
NO_MASS = (BENIGN, SPARING, PERFUSION)
"""Liver of another kind, not something in its place."""
SPARED = 0.8
"""Of what a liver has lost to fat beyond what livers differ by, what a spared part is brighter by."""
INDETERMINATE = LesionClass.INDETERMINATE.code
UNENHANCED, ARTERIAL, PORTAL, DELAYED = "unenhanced", "arterial", "portal", "delayed"

NEED_ARTERIAL = (FNH, HCC)
"""Never said without an arterial phase: darkness alone is no sign of them. What speaks for them there is the
share of "indeterminate"."""

LEAST_SHARE = 0.01
"""A network's share counts as no less: it was not shown all there is."""

TAIL = 0.02
"""Nothing measured makes a class less likely than this share of its best: models are rough."""
DENSE_TAIL = 0.001
"""The same for water where something denser is measured: no roughness of a model makes 200 HU a cyst."""

HEARD = 0.5
"""A network that counts for less contradicts nothing."""

Expected = tuple[tuple[str, str, float, float], ...]


@dataclass(frozen=True)
class DifferentialSettings:
    """How measurements become classes; the page of rules has the values and their reasons.

    Attributes:
        priors: (class, how often a lesion is one).
        unenhanced, arterial, portal, delayed: (class, what is compared, mean, SD) of the core's density in
            that phase. "hu": HU. "liver": HU above the liver. "vessels": share of the way from liver to
            vessels.
        signs: what else speaks for and against classes, and by how much.
        phases_weight: exponent of the tables with one, two, three and four phases at hand: phases of one
            lesion are no independent evidence.
        water_hu: what is denser is no simple cyst.
        sure: a class below this probability is not named.
        small_mm: below this diameter only water is named, unless larger lesions of the liver are alike.
        sharp_mm, soft_mm: edges up to and from these widths are sharp and soft.
        rim_hu: a rim brighter than core and liver by this enhances.
        uneven: spread of the core against the liver's noise from which it is uneven.
        aphe_hu: brighter than the liver by this in the arterial phase is hyperenhancement.
        washout_hu: darker than the liver by this later, and fallen by as much against it, is washout.
        lipiodol_hu: denser is lipiodol or calcification.
        ablated_hu: a core that is denser has enhanced.
        still_hu: a core that changes by at most this from phase to phase does not enhance.
        lumps: from this share of the way from liver to aorta lumps are as bright as blood; below a third of
            it there are none.
        alike_hu: lesions whose contrasts to the liver differ by at most this are alike.
        contradiction: where network and measurements each give another class more than this, none is named.
        measured_weight: exponent of all that is measured, against the priors' 1.
        network_unenhanced, network_arterial, network_portal, network_delayed: exponent of the network's
            answer in that phase.
        network_shared: 0..1, how far a second phase's answer is taken for what the first one said.
    """

    PREFIX: ClassVar[str] = "differential_"

    priors: tuple[tuple[str, float], ...]
    unenhanced: Expected
    arterial: Expected
    portal: Expected
    delayed: Expected
    signs: SignRows
    phases_weight: tuple[float, ...]
    water_hu: float
    sure: float
    small_mm: float
    sharp_mm: float
    soft_mm: float
    rim_hu: float
    uneven: float
    aphe_hu: float
    washout_hu: float
    lipiodol_hu: float
    ablated_hu: float
    still_hu: float
    lumps: float
    alike_hu: float
    contradiction: float
    measured_weight: float
    network_unenhanced: float
    network_arterial: float
    network_portal: float
    network_delayed: float
    network_shared: float

    @property
    def network_weights(self) -> tuple[float, float, float, float]:
        """In the order of the phases."""
        return self.network_unenhanced, self.network_arterial, self.network_portal, self.network_delayed

    def expected(self, phase: str) -> Mapping[str, tuple[str, float, float]]:
        """What each class looks like in a phase."""
        rows = {
            UNENHANCED: self.unenhanced,
            ARTERIAL: self.arterial,
            PORTAL: self.portal,
            DELAYED: self.delayed,
        }
        return {c: (kind, mean, sd) for c, kind, mean, sd in rows[phase]}


@dataclass(frozen=True)
class Differential:
    """What a lesion may be.

    Attributes:
        name: the class that is sure enough, or "indeterminate".
        probabilities: by class, most probable first, sum 1; what the phases cannot show is "indeterminate".
        reasons: one line in figures.
        enhancement: densities over the phases; None before they are put together.
    """

    name: str
    probabilities: Mapping[str, float]
    reasons: str
    enhancement: Enhancement | None = None


@dataclass(frozen=True)
class Context:
    """What is known beside the lesion itself.

    Attributes:
        vessels_hu: brightest vessels in the liver, by phase; aorta_hu: of the aorta.
        others: how many other lesions there are, of at least `least_score` (NaN: of any).
        alike: those of them that have the same contrast.
        alike_metastasis: the highest probability of metastasis among larger ones that are alike.
        network: the network's probabilities by class, {} where it was not asked or knows nothing like it.
        network_weight: their exponent.
    """

    vessels_hu: Mapping[str, float] = field(default_factory=dict)
    others: int = 0
    alike: int = 0
    alike_metastasis: float = 0.0
    network: Mapping[str, float] = field(default_factory=dict)
    network_weight: float = 0.0
    aorta_hu: Mapping[str, float] = field(default_factory=dict)
    least_score: float = math.nan


def differential(
    phases: Mapping[str, LesionFeatures], context: Context, settings: DifferentialSettings
) -> Differential:
    """Classes of one lesion from what was measured in the phases at hand.

    Args:
        phases: at least one, by name.
    """
    possible = [*CLASSES, *LOOKS_OF_BENIGN]
    prior = dict(settings.priors)
    logs = table_logs(phases, context, settings)
    weight = settings.phases_weight[min(len(phases), len(settings.phases_weight)) - 1]
    signs = measured_signs(phases, context.aorta_hu)
    points = points_of(signs, settings.signs)
    for c in possible:
        logs[c] = weight * logs[c] + points.get(c, 0.0)
    if context.alike >= 2:
        logs[METASTASIS] += math.log(1.5)
    for c in possible:
        logs[c] = settings.measured_weight * logs[c] + math.log(max(prior.get(c, 0.0), 1e-6))
    own = _normalised(logs)
    look = max((BENIGN, *LOOKS_OF_BENIGN), key=lambda c: own[c])
    own[BENIGN] += sum(own.pop(look) for look in LOOKS_OF_BENIGN)
    both = _with_network(own, list(CLASSES), context)
    if ARTERIAL not in phases:
        both[INDETERMINATE] = sum(both.pop(c) for c in NEED_ARTERIAL)
    ordered = dict(sorted(both.items(), key=lambda item: -item[1]))
    name, why = _named(ordered, own, phases, context, settings)
    likely = next((c for c in ordered if c != INDETERMINATE), BENIGN)
    told = speaking(signs, settings.signs, look if likely == BENIGN else likely)
    # Fine and coarse texture are two figures, and may seem to contradict each other: one of them is told.
    finely = sign_text("mosaic", signs) not in told
    line = _reasons(phases, context, settings, why, finely)
    return Differential(name, ordered, "; ".join((line, *told)))


def table_logs(
    phases: Mapping[str, LesionFeatures], context: Context, settings: DifferentialSettings
) -> dict[str, float]:
    """Log of how well each class's expected densities fit, all phases together; looks of "benign" apart.

    Masses hold no fat: in a fatty liver they are compared with what the liver would be without it, and what
    fat spares is as much brighter as it has lost.
    """
    possible = [*CLASSES, *LOOKS_OF_BENIGN]
    logs = dict.fromkeys(possible, 0.0)
    lumps = lumps_share(phases, context.aorta_hu)
    filling = math.isfinite(lumps) and settings.lumps <= lumps <= CALCIUM
    fat_hu = lost_to_fat(phases, context.vessels_hu, context.aorta_hu)
    for phase, measured in phases.items():
        lean = replace(measured, liver_hu=measured.liver_hu + fat_hu)
        rows = settings.expected(phase)
        # Between its lumps a haemangioma is as dark as a metastasis.
        if filling and phase in (ARTERIAL, PORTAL):
            rows = {**rows, HAEMANGIOMA: rows[METASTASIS]}
        kind, mean, sd = rows[SPARING]
        rows = {**rows, SPARING: (kind, max(mean, SPARED * fat_hu), sd)}
        for c in possible:
            vessels = context.vessels_hu.get(phase, math.nan)
            row = rows.get(c, rows[BENIGN])
            # Vessels in a fatty liver look paler as well: the way from it to them stays.
            seen = measured if c in NO_MASS or row[0] == "vessels" else lean
            found = _log_likelihood(c, row, seen, vessels)
            if c == HAEMANGIOMA and phase == DELAYED and filling:
                # It may be filled by then, or not yet.
                found = max(found, _log_likelihood(c, rows[METASTASIS], seen, vessels))
            logs[c] += found
    return logs


def _log_likelihood(
    c: str, expected: tuple[str, float, float], seen: LesionFeatures, vessels_hu: float
) -> float:
    """Log density of the core's density under a class, relative to the class's best."""
    kind, mean, sd = expected
    value = seen.core_hu
    error = max(seen.core_error_hu, 2.0)
    if kind == "liver":
        if not math.isfinite(seen.liver_hu):
            return 0.0
        value = seen.contrast_hu
    elif kind == "vessels":
        span = vessels_hu - seen.liver_hu
        if not math.isfinite(span) or span < 8:
            return math.log(0.5)
        value, error = seen.contrast_hu / span, error / span
    if c == CYST and not seen.whole_core and math.isfinite(seen.liver_hu):
        # Partial volume: a small cyst looks denser than water, the more the smaller it is; where it does not,
        # it is water all the more.
        share, water = max(0.0, 1.0 - seen.diameter_mm / 12.0), mean
        mean, sd = mean + 0.5 * share * (seen.liver_hu - mean), sd + 0.2 * share * (seen.liver_hu - mean)
        mean = min(mean, max(water, value))
    spread = math.hypot(sd, error)
    density = math.exp(-0.5 * ((value - mean) / spread) ** 2)
    tail = DENSE_TAIL if c == CYST and value > mean else TAIL
    return math.log(density + tail) - math.log(spread / (1.0 if kind == "vessels" else 40.0))


def _normalised(logs: Mapping[str, float]) -> dict[str, float]:
    top = max(logs.values())
    shares = {c: math.exp(v - top) for c, v in logs.items()}
    total = sum(shares.values())
    return {c: v / total for c, v in shares.items()}


def _with_network(own: Mapping[str, float], possible: list[str], context: Context) -> dict[str, float]:
    """Both voices as one: the network's shares, to the power of its weight, multiply those of its classes.

    A class that it does not know is multiplied by the even share: the network says nothing for or against it.
    """
    known = [c for c in possible if c in context.network]
    total = sum(context.network[c] for c in known)
    if not known or total <= 0 or context.network_weight <= 0:
        return dict(own)
    logs = {c: math.log(max(own[c], 1e-9)) for c in possible}
    for c in known:
        said = max(context.network[c] / total, LEAST_SHARE)
        logs[c] += context.network_weight * math.log(said * len(known))
    return _normalised(logs)


def _named(
    ordered: Mapping[str, float],
    own: Mapping[str, float],
    phases: Mapping[str, LesionFeatures],
    context: Context,
    settings: DifferentialSettings,
) -> tuple[str, str]:
    """The class that is sure enough, or why none is."""
    first, probability = next(iter(ordered.items()))
    seen = next(iter(phases.values()))
    water = seen.core_hu - seen.core_error_hu <= settings.water_hu
    if first == INDETERMINATE:
        return INDETERMINATE, "FNH or HCC cannot be told without an arterial phase"
    if first == CYST and not water:
        return INDETERMINATE, "denser than water"
    if seen.diameter_mm < settings.small_mm and first != CYST and context.alike_metastasis < settings.sure:
        return INDETERMINATE, "too small to characterise"
    if set(phases) == {UNENHANCED} and first != CYST:
        return INDETERMINATE, "not to be told without contrast"
    if probability < settings.sure:
        return INDETERMINATE, "no class stands out"
    if contradicted(own, phases, context, settings.contradiction):
        return INDETERMINATE, "network and measurements disagree"
    return first, ""


def contradicted(
    own: Mapping[str, float], phases: Mapping[str, LesionFeatures], context: Context, contradiction: float
) -> bool:
    """Whether both voices are sure, and of different classes that these phases can show."""
    if not context.network or context.network_weight <= HEARD:
        return False
    theirs = max(context.network, key=lambda c: context.network[c])
    mine = max(own, key=lambda c: own[c])
    if theirs not in own or (theirs in NEED_ARTERIAL and ARTERIAL not in phases):
        return False
    return theirs != mine and min(context.network[theirs], own[mine]) > contradiction


def _reasons(
    phases: Mapping[str, LesionFeatures],
    context: Context,
    settings: DifferentialSettings,
    why: str,
    finely: bool,
) -> str:
    """One line in figures.

    Args:
        finely: whether its fine texture is told.

    Density and texture are the core's, not the whole outline's, and say so: at the capsule an outline's SD
    is that of fat or lung beside it. Sizes stand beside it in every table.
    """
    seen = next(iter(phases.values()))
    parts = [why] if why else []
    for phase, features in phases.items():
        levels = f"{features.core_hu:.0f} HU"
        if math.isfinite(features.liver_hu):
            levels += f" (liver {features.liver_hu:.0f}"
            vessels = context.vessels_hu.get(phase, math.nan)
            levels += f", vessels {vessels:.0f})" if math.isfinite(vessels) else ")"
        parts.append(f"{phase}: core {levels}")
    if math.isfinite(seen.edge_mm) and seen.diameter_mm > ROUND_MM:
        parts.append(f"border {_sharpness(seen.edge_mm, settings)} ({seen.edge_mm:.1f} mm)")
    if math.isfinite(seen.rim_contrast_hu) and seen.rim_contrast_hu > settings.rim_hu:
        parts.append(f"rim {seen.rim_contrast_hu:.0f} HU brighter than lesion and liver")
    if finely and seen.whole_core and math.isfinite(seen.texture):
        parts.append(f"core {'homogeneous' if seen.texture <= settings.uneven else 'heterogeneous'}")
    if context.others:
        parts.append(_company(context))
    return "; ".join(parts)


def _company(context: Context) -> str:
    """How many other lesions are like this one, and of which: a slider may list others than those."""
    score = f" (score from {context.least_score:.2f})" if math.isfinite(context.least_score) else ""
    if context.others == 1:
        return f"one other lesion{score}, {'alike' if context.alike else 'not alike'}"
    return f"{context.others} other lesions{score}, {context.alike or 'none'} of them alike"


def _sharpness(edge_mm: float, settings: DifferentialSettings) -> str:
    if edge_mm <= settings.sharp_mm:
        return "sharp"
    return "ill-defined" if edge_mm >= settings.soft_mm else "moderately sharp"
