"""Which classes are possible for a lesion in the phases at hand, most probable first, with the reasons.

A transparent second voice beside the network: each class expects a density of the core (relative to the
liver, to the vessels, or in HU) in each phase; what is measured is compared with that, and with how often the
class is met. Every number is in the tables below, for a reader to check.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from .features import LesionFeatures

CYST, HAEMANGIOMA, FNH, HCC, METASTASIS, BENIGN = "cyst", "haemangioma", "FNH", "HCC", "metastasis", "benign"
CLASSES = (CYST, HAEMANGIOMA, FNH, HCC, METASTASIS, BENIGN)
INDETERMINATE = "indeterminate"
UNENHANCED, ARTERIAL, PORTAL, DELAYED = "unenhanced", "arterial", "portal", "delayed"

PRIOR: Mapping[str, float] = {
    METASTASIS: 0.48, CYST: 0.26, HAEMANGIOMA: 0.12, HCC: 0.05, FNH: 0.03, BENIGN: 0.06,
}  # fmt: skip
"""How often a lesion in a contrast CT of the abdomen is one: dark lesions are mostly metastases and cysts,
FNH and haemangiomas that are dark in the portal venous phase are rarities."""

NEED_ARTERIAL = (FNH, HCC)
"""Never said without an arterial phase: darkness alone is no sign of them."""

# (what is compared, mean, SD) of the core's density. "hu": HU. "liver": HU above the liver. "vessels": share
# of the way from the liver to the vessels.
EXPECTED: Mapping[str, Mapping[str, tuple[str, float, float]]] = {
    UNENHANCED: {
        CYST: ("hu", 8, 9), METASTASIS: ("liver", -22, 12), HAEMANGIOMA: ("liver", -20, 10),
        HCC: ("liver", -12, 10), FNH: ("liver", -5, 8), BENIGN: ("liver", -18, 12),
    },
    ARTERIAL: {
        CYST: ("hu", 8, 9), METASTASIS: ("liver", -22, 20), HAEMANGIOMA: ("vessels", 0.35, 0.35),
        HCC: ("liver", 35, 25), FNH: ("liver", 65, 30), BENIGN: ("liver", -12, 15),
    },
    PORTAL: {
        CYST: ("hu", 8, 9), METASTASIS: ("liver", -45, 20), HAEMANGIOMA: ("vessels", 0.55, 0.45),
        HCC: ("liver", -15, 15), FNH: ("liver", 5, 15), BENIGN: ("liver", -24, 10),
    },
    DELAYED: {
        CYST: ("hu", 8, 9), METASTASIS: ("liver", -25, 15), HAEMANGIOMA: ("vessels", 0.9, 0.5),
        HCC: ("liver", -20, 12), FNH: ("liver", 2, 10), BENIGN: ("liver", -16, 10),
    },
}  # fmt: skip

SHARP_EDGE_MM, SOFT_EDGE_MM = 2.5, 4.0
WATER_HU = 20.0
"""What is denser is no simple cyst."""
SOLID_HU = 32.0
"""What is denser, partial volume apart, is no water at all."""
SURE = 0.6
"""A class below this probability is not named."""
SMALL_MM = 5.0
"""Below this diameter only water is named, unless larger lesions of the liver are alike."""
TAIL = 0.02
"""Nothing measured makes a class less likely than this share of its best: models are rough."""


@dataclass(frozen=True)
class Differential:
    """What a lesion may be.

    Attributes:
        name: the class that is sure enough, or "indeterminate".
        probabilities: by class, most probable first; what the phases cannot show is left out.
        reasons: one line in figures.
    """

    name: str
    probabilities: Mapping[str, float]
    reasons: str


@dataclass(frozen=True)
class Context:
    """What is known beside the lesion itself.

    Attributes:
        vessels_hu: brightest vessels in the liver, by phase.
        lesions: how many there are.
        alike: others of the same contrast.
        alike_metastasis: the highest probability of metastasis among larger ones that are alike.
        network: the network's probabilities by class, {} where it was not asked or knows nothing like it.
        network_weight: 0..1, how far they count: the probability that the phase is the one they were learnt
            in.
        prior: how often each class is met.
    """

    vessels_hu: Mapping[str, float] = field(default_factory=dict)
    lesions: int = 1
    alike: int = 0
    alike_metastasis: float = 0.0
    network: Mapping[str, float] = field(default_factory=dict)
    network_weight: float = 0.0
    prior: Mapping[str, float] = field(default_factory=lambda: PRIOR)


def differential(phases: Mapping[str, LesionFeatures], context: Context) -> Differential:
    """Classes of one lesion from what was measured in the phases at hand.

    Args:
        phases: at least one, by name.
    """
    possible = [c for c in CLASSES if ARTERIAL in phases or c not in NEED_ARTERIAL]
    logs = {c: math.log(max(context.prior.get(c, 0.0), 1e-6)) for c in possible}
    for phase, seen in phases.items():
        for c in possible:
            logs[c] += _log_likelihood(c, phase, seen, context.vessels_hu.get(phase, math.nan))
    for c in possible:
        logs[c] += _edge_and_texture(c, phases)
    if context.alike >= 2 and METASTASIS in logs:
        logs[METASTASIS] += math.log(1.5)
    own = _normalised(logs)
    both = _with_network(own, possible, context)
    ordered = dict(sorted(both.items(), key=lambda item: -item[1]))
    name, why = _named(ordered, own, phases, context)
    return Differential(name, ordered, _reasons(phases, context, why))


def _log_likelihood(c: str, phase: str, seen: LesionFeatures, vessels_hu: float) -> float:
    """Log density of the core's density under a class, relative to the class's best."""
    kind, mean, sd = EXPECTED[phase][c]
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
        # Partial volume: a small cyst looks denser than water, the more the smaller it is.
        share = max(0.0, 1.0 - seen.diameter_mm / 12.0)
        mean, sd = mean + 0.5 * share * (seen.liver_hu - mean), sd + 0.2 * share * (seen.liver_hu - mean)
    spread = math.hypot(sd, error)
    density = math.exp(-0.5 * ((value - mean) / spread) ** 2)
    return math.log(density + TAIL) - math.log(spread / (1.0 if kind == "vessels" else 40.0))


def _edge_and_texture(c: str, phases: Mapping[str, LesionFeatures]) -> float:
    """Cysts are sharp and even, metastases soft and often with a rim."""
    seen = next(iter(phases.values()))
    score = 0.0
    if math.isfinite(seen.edge_mm) and seen.diameter_mm > 8:
        softness = min(max((seen.edge_mm - SHARP_EDGE_MM) / (SOFT_EDGE_MM - SHARP_EDGE_MM), -1.0), 1.0)
        score += {CYST: -0.5, METASTASIS: 0.35, BENIGN: 0.35}.get(c, 0.0) * softness
    if math.isfinite(seen.rim_contrast_hu) and seen.rim_contrast_hu > 12:
        score += {METASTASIS: 0.4, HCC: 0.2, HAEMANGIOMA: 0.4, CYST: -0.7, BENIGN: -0.7}.get(c, 0.0)
    if seen.whole_core and math.isfinite(seen.texture) and seen.texture > 1.6:
        score += {CYST: -0.7, FNH: -0.4, BENIGN: -0.3, HCC: 0.3}.get(c, 0.0)
    return score


def _normalised(logs: Mapping[str, float]) -> dict[str, float]:
    top = max(logs.values())
    shares = {c: math.exp(v - top) for c, v in logs.items()}
    total = sum(shares.values())
    return {c: v / total for c, v in shares.items()}


def _with_network(own: Mapping[str, float], possible: list[str], context: Context) -> dict[str, float]:
    """Both voices as one: the network's share counts by its weight, among the classes that it knows."""
    if not context.network or context.network_weight <= 0:
        return dict(own)
    known = [c for c in possible if c in context.network]
    total = sum(context.network[c] for c in known)
    if not known or total <= 0:
        return dict(own)
    mass = sum(own[c] for c in known)
    logs = {c: math.log(max(own[c], 1e-9)) for c in possible}
    for c in known:
        said = max(context.network[c] / total, 0.01)
        logs[c] = math.log(max(own[c], 1e-9)) + context.network_weight * math.log(said * len(known))
    joint = _normalised(logs)
    # What the network does not know keeps its share unless the network is sure of one that it knows.
    sure = max(context.network[c] / total for c in known) * context.network_weight
    kept = max(mass, sure * mass + (1 - sure) * mass)
    inside = sum(joint[c] for c in known)
    if inside <= 0 or kept >= 1:
        return joint
    return _normalised({c: math.log(max(joint[c], 1e-9)) for c in possible})


def _named(
    ordered: Mapping[str, float],
    own: Mapping[str, float],
    phases: Mapping[str, LesionFeatures],
    context: Context,
) -> tuple[str, str]:
    """The class that is sure enough, or why none is."""
    first, probability = next(iter(ordered.items()))
    seen = next(iter(phases.values()))
    water = seen.core_hu - 2 * seen.core_error_hu <= WATER_HU
    if first == CYST and not water:
        return INDETERMINATE, "denser than water"
    if seen.diameter_mm < SMALL_MM and first != CYST and context.alike_metastasis < SURE:
        return INDETERMINATE, "too small to characterise"
    if set(phases) == {UNENHANCED} and first != CYST:
        return INDETERMINATE, "not to be told without contrast"
    if probability < SURE:
        return INDETERMINATE, "no class stands out"
    if context.network and context.network_weight > 0.5:
        theirs = max(context.network, key=lambda c: context.network[c])
        mine = max(own, key=lambda c: own[c])
        if theirs != mine and context.network[theirs] > 0.7 and own[mine] > 0.7 and theirs in own:
            return INDETERMINATE, "network and measurements disagree"
    return first, ""


def _reasons(phases: Mapping[str, LesionFeatures], context: Context, why: str) -> str:
    """One line in figures."""
    seen = next(iter(phases.values()))
    parts = [why] if why else []
    for phase, features in phases.items():
        levels = f"{features.core_hu:.0f} HU"
        if math.isfinite(features.liver_hu):
            levels += f" (liver {features.liver_hu:.0f}"
            vessels = context.vessels_hu.get(phase, math.nan)
            levels += f", vessels {vessels:.0f})" if math.isfinite(vessels) else ")"
        parts.append(f"{phase} {levels}")
    if math.isfinite(seen.edge_mm):
        parts.append(f"edge {seen.edge_mm:.1f} mm ({_sharpness(seen.edge_mm)})")
    if math.isfinite(seen.rim_contrast_hu) and seen.rim_contrast_hu > 12:
        parts.append(f"rim +{seen.rim_contrast_hu:.0f} HU")
    if seen.whole_core and math.isfinite(seen.texture):
        parts.append("even" if seen.texture <= 1.6 else "uneven")
    parts.append(f"{seen.diameter_mm:.0f} mm")
    if context.lesions > 1:
        parts.append(f"{context.lesions} lesions, {context.alike} others alike")
    return "; ".join(parts)


def _sharpness(edge_mm: float) -> str:
    if edge_mm <= SHARP_EDGE_MM:
        return "sharp"
    return "soft" if edge_mm >= SOFT_EDGE_MM else "middling"
