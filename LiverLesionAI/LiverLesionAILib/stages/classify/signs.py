"""Signs that take more than the core's density: border, place, vessels, lumps, what stays or falls.

Peripheral lumps as bright as the blood pool are what a haemangioma is told by (EASL 2016); fat and spared
liver enhance as the liver does, so that their contrast is the same in every phase, and vessels run through
them; a perfusion difference lies under the capsule. How round an outline is was tried and left out:
metastases outlined by hand are no rounder than drawn focal fat (Resources/EVIDENCE.md).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .features import LesionFeatures

SignRows = tuple[tuple[str, float, float, tuple[tuple[str, float], ...]], ...]
"""(sign, from, to, (class, points)...): at or below "from" the points count -1, at or above "to" +1."""

USUAL_LIVER_HU = {"unenhanced": 57.0, "arterial": 72.0, "portal": 112.0, "delayed": 92.0}
"""At 120 kV; a fatty liver lies below."""
BLOOD_HU = 42.0
"""Of blood without contrast medium."""
OF_BLOOD = {"portal": 0.55, "delayed": 0.7}
"""How much a liver enhances, of what blood does: in the portal venous phase of the vessels in it, later of
the aorta."""
LIVER_SPREAD_HU, MOST_FAT_HU = 15.0, 50.0
"""What livers without fat differ by (below 40 HU without contrast medium there is moderate fat), and what fat
takes at most."""
CALCIUM = 1.6
"""Lumps so much farther than blood, on the way from liver to aorta, are calcium."""
CALCIUM_HU = 20.0
"""Without contrast medium, or late, what is brighter than blood and liver by this is calcium."""
PALER_HU, STAYING = 60.0, 0.8
"""Lumps of which so much is left where the aorta has become paler by so much hold no blood."""
LUMPY = 0.45
"""From this share of the way from liver to aorta lumps fill a lesion."""
SCAR_HU = 15.0
"""A part inside that is darker by less is no scar."""
ROUND_MM = 8.0
"""Of smaller lesions the border is not measured."""
WIDE_MM = 50.0
"""Larger lesions reach the liver's surface wherever they are."""

ENHANCED_HU = 20.0
"""A liver that enhances by less from one phase to another shows nothing of what stays."""


def calcium_hu(phases: Mapping[str, LesionFeatures], aorta_hu: Mapping[str, float]) -> float:
    """How much denser than its core a lesion's calcium is; NaN where none is seen.

    Calcium is dense without contrast medium and stays so: brighter than blood and liver without contrast
    medium or in the delayed phase, far brighter than blood in the arterial one, or lumps that do not pale
    with the blood. A scan without contrast medium that shows none overrules the last.
    """
    for phase in ("unenhanced", "delayed"):
        seen = phases.get(phase)
        if seen is None:
            continue
        blood = aorta_hu.get(phase, math.nan)
        if not math.isfinite(blood):
            blood = BLOOD_HU if phase == "unenhanced" else math.inf
        others = max(blood, USUAL_LIVER_HU[phase], _or_least(seen.liver_bright_hu))
        if seen.bright_hu - others >= max(CALCIUM_HU, 2 * seen.noise_hu):
            return seen.bright_hu - seen.core_hu
    arterial = phases.get("arterial")
    if arterial is None:
        return math.nan
    share = _lumps_in(arterial, aorta_hu.get("arterial", math.nan))
    if not math.isfinite(share) or share <= 0:
        return math.nan
    standing = arterial.bright_hu - arterial.core_hu
    if share > CALCIUM:
        return standing
    if "unenhanced" in phases:
        return math.nan
    later = [name for name in ("portal", "delayed") if name in phases]
    paler = [aorta_hu.get("arterial", math.nan) - aorta_hu.get(name, math.nan) for name in later]
    left = [phases[name].bright_hu - phases[name].core_hu for name in later]
    stays = bool(later) and all(one >= STAYING * standing for one in left)
    return standing if stays and max(paler, key=_or_least) >= PALER_HU else math.nan


def lumps_share(phases: Mapping[str, LesionFeatures], aorta_hu: Mapping[str, float]) -> float:
    """How far the brightest tenth of a lesion is on the way from liver to aorta.

    Of the arterial phase where it is there, as the way is longest in it; else of the portal venous one. 0 of
    one that is bright throughout or brighter than liver in its core. NaN where no phase shows it (without
    contrast or without an aorta), and of calcium.
    """
    if math.isfinite(calcium_hu(phases, aorta_hu)):
        return math.nan
    for phase in ("arterial", "portal"):
        seen = phases.get(phase)
        share = math.nan if seen is None else _lumps_in(seen, aorta_hu.get(phase, math.nan))
        if math.isfinite(share):
            return share
    return math.nan


def _lumps_in(seen: LesionFeatures, aorta_hu: float) -> float:
    """:func:`lumps_share` of one phase."""
    span = aorta_hu - seen.liver_hu
    if not math.isfinite(span) or span < ENHANCED_HU or not math.isfinite(seen.bright_hu):
        return math.nan
    lumpy = seen.bright_hu - seen.core_hu >= max(ENHANCED_HU, 3 * seen.noise_hu)
    dark = seen.contrast_hu < ENHANCED_HU / 2
    return (seen.bright_hu - seen.liver_hu) / span if lumpy and dark else 0.0


def blood_share(phases: Mapping[str, LesionFeatures], aorta_hu: Mapping[str, float]) -> float:
    """How far a lesion's core is on the way from liver to aorta in the arterial phase; NaN without."""
    seen = phases.get("arterial")
    span = math.nan if seen is None else aorta_hu.get("arterial", math.nan) - seen.liver_hu
    if seen is None or not math.isfinite(span) or span < ENHANCED_HU:
        return math.nan
    return seen.contrast_hu / span


def brightest_share(phases: Mapping[str, LesionFeatures], aorta_hu: Mapping[str, float], phase: str) -> float:
    """How far a lesion's brightest tenth is on the way from liver to aorta, whatever the rest of it is.

    NaN without that phase, without an aorta in it, and of calcium: that is brighter than blood.
    """
    seen = phases.get(phase)
    span = math.nan if seen is None else aorta_hu.get(phase, math.nan) - seen.liver_hu
    if seen is None or not math.isfinite(span) or span < ENHANCED_HU:
        return math.nan
    share = (seen.bright_hu - seen.liver_hu) / span
    return share if share <= CALCIUM else math.nan


def contrast_change(phases: Mapping[str, LesionFeatures]) -> float:
    """Largest change of the contrast to liver between phases in which it enhanced unlike; NaN without."""
    changes = [
        abs(one.contrast_hu - other.contrast_hu)
        for one, other in combinations(phases.values(), 2)
        if abs(one.liver_hu - other.liver_hu) >= ENHANCED_HU
    ]
    return max(changes, default=math.nan)


def scar_fills(phases: Mapping[str, LesionFeatures]) -> float:
    """How much of a dark part inside, as the arterial phase shows it, is gone in the delayed one.

    A scar takes contrast medium up late; dead tissue never does. 0..1, below where it became darker; NaN
    without these phases or a dark part.
    """
    early, late = phases.get("arterial"), phases.get("delayed")
    if early is None or late is None or not early.scar_hu <= -SCAR_HU:
        return math.nan
    return 1.0 - late.scar_hu / early.scar_hu


def lost_to_fat(
    phases: Mapping[str, LesionFeatures], vessels_hu: Mapping[str, float], aorta_hu: Mapping[str, float]
) -> float:
    """HU that the liver has lost to fat, beyond what livers differ by: masses in it have not lost them.

    Read without contrast medium where there is such a phase; else from how bright the liver should be beside
    its blood, the mean over the phases. 0 where nothing tells it.
    """
    plain = phases.get("unenhanced")
    if plain is not None and math.isfinite(plain.liver_hu):
        lost = [USUAL_LIVER_HU["unenhanced"] - plain.liver_hu]
    else:
        blood = {"portal": vessels_hu, "delayed": aorta_hu}
        lost = [
            USUAL_LIVER_HU["unenhanced"]
            + OF_BLOOD[name] * (blood[name].get(name, math.nan) - BLOOD_HU)
            - one.liver_hu
            if name in blood
            else USUAL_LIVER_HU[name] - one.liver_hu
            for name, one in phases.items()
        ]
    known = [one for one in lost if math.isfinite(one)]
    mean = sum(known) / len(known) if known else 0.0
    return min(max(mean - LIVER_SPREAD_HU, 0.0), MOST_FAT_HU)


def measured_signs(phases: Mapping[str, LesionFeatures], aorta_hu: Mapping[str, float]) -> dict[str, float]:
    """All signs of a lesion by their names on the page of rules; NaN where these phases do not show one.

    Border and vessels are read where the lesion, or the vessels, stand out most.
    """
    first = next(iter(phases.values()))
    shown = max(
        phases.values(), key=lambda one: abs(one.contrast_hu) if math.isfinite(one.liver_hu) else -1.0
    )
    arterial, portal, delayed = (phases.get(name) for name in ("arterial", "portal", "delayed"))
    later = [one for one in (portal, delayed) if one is not None]
    enhanced = next((one for one in (portal, delayed, arterial) if one is not None), None)
    large = first.diameter_mm > ROUND_MM
    late_hu = min((one.contrast_hu for one in later), default=math.nan)
    centre = arterial if arterial is not None else shown
    lumps = lumps_share(phases, aorta_hu)
    found = {
        "edge_mm": shown.edge_mm if large else math.nan,
        "rim_arterial_hu": math.nan if arterial is None else arterial.rim_contrast_hu,
        "rim_late_hu": max((one.rim_contrast_hu for one in later), default=math.nan),
        "uneven": first.texture if first.whole_core else math.nan,
        "mosaic": centre.mosaic,
        "centre_hu": centre.centre_hu,
        "dark_part_hu": centre.core_hu - centre.dark_hu,
        "scar_hu": centre.scar_hu,
        "scar_fills": scar_fills(phases),
        "vessels_through": math.nan if enhanced is None else enhanced.through,
        "surface": first.surface_mm / first.diameter_mm
        if large and first.diameter_mm <= WIDE_MM
        else math.nan,
        "diameter_mm": first.diameter_mm,
        "liver_level_hu": first.liver_hu - USUAL_LIVER_HU[next(iter(phases))],
        "blood": blood_share(phases, aorta_hu),
        "lumps": lumps,
        "brightest": brightest_share(phases, aorta_hu, "arterial"),
        "brightest_portal": brightest_share(phases, aorta_hu, "portal"),
        "dense_part_hu": max((one.core_bright_hu for one in phases.values()), key=_or_least),
        "change_hu": contrast_change(phases),
        "late_hu": late_hu,
        "fall_hu": math.nan if arterial is None else arterial.contrast_hu - late_hu,
        "fill_hu": math.nan,
        "calcium_hu": calcium_hu(phases, aorta_hu),
    }
    if portal is not None and delayed is not None:
        found["fill_hu"] = delayed.contrast_hu - portal.contrast_hu
    if math.isfinite(found["calcium_hu"]):
        # It is neither blood nor a vessel.
        found |= dict.fromkeys(("lumps", "brightest", "brightest_portal", "vessels_through"), math.nan)
    if lumps >= LUMPY:
        # Between lumps that will fill it, it is as dark as anything: that it is says nothing.
        found |= dict.fromkeys(("blood", "rim_arterial_hu", "late_hu"), math.nan)
    return found


def _or_least(value: float) -> float:
    return value if math.isfinite(value) else -math.inf


def points_of(signs: Mapping[str, float], rows: SignRows) -> dict[str, float]:
    """Log of how far all signs speak for each class."""
    points: dict[str, float] = {}
    for name, low, high, classes in rows:
        there = membership(signs[name], low, high)
        for c, most in classes:
            points[c] = points.get(c, 0.0) + there * most
    return points


def membership(value: float, low: float, high: float) -> float:
    """-1 at or below `low`, 1 at or above `high`, straight between; 0 where nothing was measured."""
    if not math.isfinite(value):
        return 0.0
    return 2 * min(max((value - low) / (high - low), 0.0), 1.0) - 1


Words = tuple[tuple[float, str], ...]
PERCENT = ("scar_fills", "vessels_through", "blood", "lumps", "brightest", "brightest_portal")
"""Signs that are told in per cent."""

SAID: Mapping[str, Words] = {
    "edge_mm": (),
    "rim_arterial_hu": (),
    "rim_late_hu": (),
    "uneven": (),
    "diameter_mm": (),
    "late_hu": (),
    "change_hu": (
        (8.0, "contrast to the liver the same in all phases (change {:.0f} HU)"),
        (math.inf, "contrast to the liver changes by {:.0f} HU between phases"),
    ),
    "mosaic": (
        (2.0, "homogeneous inside (coarse variation {:.1f} times the liver's)"),
        (math.inf, "patchy inside (coarse variation {:.1f} times the liver's)"),
    ),
    "centre_hu": (
        (-18.0, "dark centre ({:+.0f} HU against the rest of it)"),
        (math.inf, "no dark centre ({:+.0f} HU against the rest of it)"),
    ),
    "dark_part_hu": (
        (30.0, "no part much darker than its core (at most {:.0f} HU)"),
        (math.inf, "a part {:.0f} HU darker than its core"),
    ),
    "scar_hu": (
        (-15.0, "dark part inside ({:+.0f} HU against the rest: scar or dead tissue)"),
        (math.inf, "no scar or dead tissue inside (darkest part {:+.0f} HU against the rest)"),
    ),
    "scar_fills": (
        (0.1, "its dark part stays dark in the delayed phase"),
        (0.4, "its dark part stays dark in the delayed phase ({:.0f} % of it gone)"),
        (math.inf, "its dark part fills late ({:.0f} % of it gone in the delayed phase)"),
    ),
    "vessels_through": (
        (0.1, "no vessels run through it"),
        (0.65, "no vessels run through it (contrast inside {:.0f} % of the vessels' in the liver)"),
        (math.inf, "vessels run through it (contrast inside {:.0f} % of the vessels' in the liver)"),
    ),
    "surface": (
        (0.33, "close under the liver's surface (middle {:.0f} mm deep)"),
        (math.inf, "its middle deep in the liver ({:.0f} mm below the surface or more)"),
    ),
    "liver_level_hu": (
        (-15.0, "pale liver, fatty? ({:+.0f} HU against the usual)"),
        (math.inf, "liver not pale ({:+.0f} HU against the usual)"),
    ),
    "blood": (
        (-0.1, "core darker than the liver in the arterial phase"),
        (0.1, "core about as bright as the liver in the arterial phase"),
        (math.inf, "core at {:.0f} % of the way from liver to aorta in the arterial phase"),
    ),
    "lumps": (
        (0.05, "no bright lumps inside"),
        (0.3, "no lumps as bright as blood (brightest part at {:.0f} % of the way from liver to aorta)"),
        (math.inf, "bright lumps at {:.0f} % of the way from liver to aorta"),
    ),
    "brightest": (
        (0.0, "no part brighter than the liver in the arterial phase"),
        (0.1, "no part clearly brighter than the liver in the arterial phase"),
        (math.inf, "brightest part at {:.0f} % of the way from liver to aorta in the arterial phase"),
    ),
    "brightest_portal": (
        (0.0, "no part brighter than the liver in the portal venous phase"),
        (0.1, "no part clearly brighter than the liver in the portal venous phase"),
        (math.inf, "brightest part at {:.0f} % of the way from liver to aorta in the portal venous phase"),
    ),
    "dense_part_hu": (
        (40.0, "nothing inside denser than {:.0f} HU"),
        (math.inf, "densest part inside {:.0f} HU"),
    ),
    "fall_hu": (
        (5.0, "no fall against the liver after the arterial phase ({:+.0f} HU)"),
        (math.inf, "falls by {:.0f} HU against the liver after the arterial phase"),
    ),
    "fill_hu": (
        (5.0, "does not fill in after the portal venous phase ({:+.0f} HU against the liver)"),
        (math.inf, "fills in by {:.0f} HU against the liver after the portal venous phase"),
    ),
    "calcium_hu": (
        (math.inf, "a dense part that does not follow the blood, calcium? ({:.0f} HU above its core)"),
    ),
}
"""How a sign is told: (up to which value, words); () where the lesion's figures tell it already.

A share near nothing is told in words alone: "at 1 % of the way to the aorta" is a few HU, less than noise.
"""


def speaking(
    signs: Mapping[str, float], rows: SignRows, c: str, most: int = 3, least: float = 0.25
) -> list[str]:
    """The signs that speak most for a class against the mean of the others, in figures.

    Args:
        most: how many are told; least: log odds below which none is.
    """
    classes = {name for *_, points in rows for name, _ in points}
    spoken: dict[str, float] = {}
    for name, low, high, points in rows:
        own = dict(points)
        others = sum(value for other, value in points if other != c) / max(1, len(classes - {c}))
        weight = membership(signs[name], low, high) * (own.get(c, 0.0) - others)
        spoken[name] = spoken.get(name, 0.0) + weight
    order = sorted(spoken, key=lambda name: -spoken[name])
    told = [sign_text(name, signs) for name in order if spoken[name] >= least and SAID[name]]
    return told[:most]


def sign_text(name: str, signs: Mapping[str, float]) -> str:
    """A sign in words with its figure; "" where the lesion's figures tell it."""
    value = figure = signs[name]
    if name in PERCENT:
        figure = 100 * value
    elif name == "surface":
        figure = value * signs["diameter_mm"]
    for most, words in SAID[name]:
        if value <= most:
            # What does not fall is told as the change that it is.
            return words.format(-value if name == "fall_hu" and "{:+" in words else figure)
    return ""
