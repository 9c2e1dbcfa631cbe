"""The anatomy of one liver: its vessels, the landmarks they show, the segments these make, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...case.anatomy import RIGHT_SEGMENTS, CouinaudSegment, Landmark, LiverAnatomy, Vessel
from ...case.anatomy import LandmarkName as Name
from ...case.classes import Phase
from ...support.message import Message
from ...support.progress import Progress, part, silent
from ...volume.geometry import Geometry
from ...volume.resampling import resample_labels
from .balance import balanced, hepatic_share
from .cava import Cava, find_cava, told_cava
from .face import VesselFinder
from .filling import hepatic_in_doubt, portal_alone, thick_veins_ml
from .found_tubes import find_tubes
from .grid import LiverGrid, liver_grid
from .landmarks import course_weights, portal_landmarks, vein_landmarks
from .naming import named_trees
from .network import vessel_probability
from .planes import segments_from_landmarks
from .tree_view import TreeNamer
from .tubes import contrast_hu


@dataclass(frozen=True)
class AnatomySettings:
    """Lines of the page of rules."""

    PREFIX: ClassVar[str] = "anatomy_"

    contrast_hu: float
    cut_share: float
    mirrored_mm: float
    cava_score: float
    cava_uneven_hu: float
    vessel_ml: float
    least_right: float
    most_right: float
    least_lateral: float
    probability: float
    filled_ml: float
    least_hepatic: float
    most_hepatic: float


CUT = (
    "The scan cuts the liver off: without its whole shape the segments cannot be told. "
    "Vessels and segments are left out."
)
MIRRORED = (
    "The liver lies on the left side of the body: the segments of a mirrored body (situs inversus) are left "
    "out. Check the scan's orientation; nothing was flipped."
)
UNENHANCED = (
    "The scan seems to be without contrast medium: hepatic and portal veins are not seen, and vessels and "
    "segments are left out."
)
NO_CONTRAST = (
    "The liver's veins are not clearly brighter than its tissue ({found:.0f} HU; {asked:.0f} are asked): "
    "another phase, or a fatty liver. Vessels and segments are left out."
)
NO_CAVA = "The inferior vena cava was not found behind the liver, so that the segments cannot be told."
HALVES = (
    "The planes give the right hemiliver {right:.0f} % of the liver, outside {low:.0f} to {high:.0f} %: "
    "resected, or of an unusual shape. The segments are left out."
)
NO_LATERAL = (
    "Hardly any liver lies left of the umbilical fissure ({share:.1f} %; {asked:g} % are asked): the left "
    "lateral segments are resected, or very small. The segments are left out."
)
LOPSIDED = (
    "{share:.0f} % of the vessels seen in the liver were taken for hepatic veins ({low:.0f} to {high:.0f} % "
    "are plausible): whole branches are probably named wrongly. Thin branches are shown as portal or "
    "hepatic, and distances to them have a question mark; follow the nearest one to its trunk."
)
UNFILLED = (
    "The hepatic veins do not seem to be filled with contrast medium: hardly any thick vessel runs to the "
    "vena cava ({found:.1f} mL; {asked:g} mL are asked), an early phase. All vessels shown are taken for the "
    "portal vein. Hepatic veins, distances to them and the outflow of a remnant are left out: one may lie "
    "nearer to a lesion than any vessel shown."
)
UNROOTED = (
    "{share:.0f} % of the vessels seen in the liver were taken for hepatic veins (from {low:.0f} % on are "
    "plausible), and without the vena cava it cannot be told why: branches are named wrongly, or the hepatic "
    "veins are not filled with contrast medium (an early phase). No hepatic vein's name is sure, distances "
    "to them have a question mark, and one may lie nearer to a lesion than any vessel shown."
)
TOO_SMALL = "There is no liver, or too little of it, to tell its segments."


def find_anatomy(
    hu_zyx: NDArray,
    geometry: Geometry,
    liver_zyx: NDArray[np.bool_],
    lesions_zyx: NDArray[np.bool_],
    phase: Phase | None,
    settings: AnatomySettings,
    gallbladder_zyx: NDArray[np.bool_] | None = None,
    finder: VesselFinder | None = None,
    progress: Progress = silent,
    namer: TreeNamer | None = None,
) -> LiverAnatomy:
    """Vessels, landmarks and segments of a liver; what cannot be told is blank, with the reason.

    Args:
        hu_zyx: HU on `geometry`, whose axes may run anyhow.
        liver_zyx: bool, lesions included.
        lesions_zyx: bool; never vessels.
        phase: of contrast; None where nobody knows.
        gallbladder_zyx: bool; None where none is seen.
        finder: a vessel network, besides the ridge filter; None where there is none.
        namer: a network that names what the finder finds; None where there is none.

    Raises:
        Cancelled: `progress` asked for it.
    """
    progress("anatomy: vessels", 0.0)
    if np.count_nonzero(liver_zyx) * geometry.voxel_volume_mm3 < 1e5:
        return LiverAnatomy.blank(geometry, TOO_SMALL)
    grid = liver_grid(hu_zyx, geometry, liver_zyx, lesions_zyx, gallbladder_zyx)
    reason = _why_not(grid, phase, settings)
    if reason:
        return LiverAnatomy.blank(geometry, reason)
    contrast = contrast_hu(grid)
    if not contrast >= settings.contrast_hu:
        return LiverAnatomy.blank(
            geometry, NO_CONTRAST.format(found=max(contrast, 0), asked=settings.contrast_hu)
        )
    likely = None
    if finder is not None:
        likely = vessel_probability(
            finder, hu_zyx, geometry, liver_zyx, lesions_zyx, part(progress, 0.1, 0.4), grid.geometry
        )
    cava = find_cava(
        grid, settings.cava_score, settings.cava_uneven_hu, None if not likely else likely.get(Vessel.IVC)
    )
    progress("anatomy: landmarks", 0.5)
    vessels, landmarks, doubts = _vessels_and_landmarks(
        grid, cava, max(contrast, 1.0), likely or None, settings, namer, part(progress, 0.5, 0.3)
    )
    on_scan, nothing = _back(vessels, grid, geometry), np.zeros(geometry.shape_zyx, np.uint8)
    found = LiverAnatomy(geometry, on_scan, nothing, landmarks, (*_remarks(landmarks), *doubts))
    if cava is None:
        return replace(found, messages=(NO_CAVA, *doubts))
    progress("anatomy: segments", 0.8)
    return with_segments(found, liver_zyx, settings)


def with_segments(
    anatomy: LiverAnatomy, liver_zyx: NDArray[np.bool_], settings: AnatomySettings
) -> LiverAnatomy:
    """The anatomy with the segments that its landmarks make; blank where half a liver is missing."""
    segments = segments_from_landmarks(anatomy.landmarks, liver_zyx, anatomy.geometry)
    # What was said of missing parts before a landmark was moved holds no longer.
    missing = (Message(HALVES), Message(NO_LATERAL))
    said = tuple(one for one in anatomy.messages if not any(each.is_said_by(one) for each in missing))
    if reason := _what_is_missing(segments[liver_zyx], settings):
        return replace(anatomy, segments_zyx=np.zeros_like(segments), messages=(*said, reason))
    return replace(anatomy, segments_zyx=segments, messages=said)


def _what_is_missing(segments: NDArray[np.uint8], settings: AnatomySettings) -> str:
    """Why the planes do not part a whole liver, given its voxels' segments; "" where they do."""
    counts = np.bincount(segments, minlength=len(CouinaudSegment) + 1)
    whole = max(int(counts[1:].sum()), 1)
    right = counts[list(RIGHT_SEGMENTS)].sum() / whole
    if not settings.least_right <= right <= settings.most_right:
        low, high = 100 * settings.least_right, 100 * settings.most_right
        return HALVES.format(right=100 * right, low=low, high=high)
    lateral = counts[[CouinaudSegment.II, CouinaudSegment.III]].sum() / whole
    if lateral < settings.least_lateral:
        return NO_LATERAL.format(share=100 * lateral, asked=100 * settings.least_lateral)
    return ""


def _why_not(grid: LiverGrid, phase: Phase | None, settings: AnatomySettings) -> str:
    """Why nothing can be told; "" where it can."""
    if not np.isfinite(grid.level_hu):
        return TOO_SMALL
    middle = grid.middle_x if grid.spine_lps is None else grid.spine_lps[0]
    if middle is not None:
        centre = float(grid.points(grid.liver_zyx)[:, 0].mean())
        if centre > middle + settings.mirrored_mm:
            return MIRRORED
    if grid.cut_share > settings.cut_share:
        return CUT
    return UNENHANCED if phase is Phase.UNENHANCED else ""


def _vessels_and_landmarks(
    grid: LiverGrid,
    cava: Cava | None,
    contrast: float,
    networks: Mapping[Vessel, NDArray[np.uint8]] | None,
    settings: AnatomySettings,
    namer: TreeNamer | None = None,
    progress: Progress = silent,
) -> tuple[NDArray[np.uint8], dict[str, Landmark], tuple[str, ...]]:
    """Vessels on the grid, all landmarks, and what makes the vessels' names doubtful."""
    found = find_tubes(grid, cava, contrast, networks, settings.vessel_ml, settings.probability)
    known = found.landmarks
    named = named_trees(grid, found, namer, progress)
    least, most = settings.least_hepatic, settings.most_hepatic
    doubts: tuple[str, ...] = ()
    if cava is not None and hepatic_share(named, found, grid.liver_zyx) < least:
        thick = thick_veins_ml(grid, cava, found)
        if thick < settings.filled_ml:
            named = portal_alone(named, found)
            doubts = (UNFILLED.format(found=thick, asked=settings.filled_ml),)
    # A landmark rests on many voxels, each as far as it is likely of the tree, and says itself how uncertain
    # it is: names alone would be others on another grid wherever both are about as likely.
    hepatic, portal = (np.where(found.cava_zyx, 0, one) for one in (named.hepatic_zyx, named.portal_zyx))
    weights = course_weights(found.strength_zyx, found.tubes_zyx, found.depth)
    known |= vein_landmarks(grid, hepatic, weights, known)
    known |= portal_landmarks(grid, found.strength_zyx * (1 - hepatic), known[Name.BIFURCATION], portal)
    told = named.sure_zyx
    if not doubts:
        balance = balanced(named, found, grid.liver_zyx, least, most)
        kept = balance.named
        if balance.lopsided:
            unrooted = cava is None and balance.hepatic < least
            doubt = UNROOTED if unrooted else LOPSIDED
            doubts = (doubt.format(share=100 * balance.hepatic, low=100 * least, high=100 * most),)
            kept = hepatic_in_doubt(kept) if unrooted else kept
        told = kept.sure_zyx
    if cava is not None:
        # Nothing above rests on how it is told; a lesion's distance does.
        told = np.where(told_cava(cava), np.uint8(Vessel.IVC), np.where(found.cava_zyx, 0, told))
    return told, {name: known[name] for name in Name.ALL}, doubts


def _back(labels_zyx: NDArray[np.uint8], grid: LiverGrid, geometry: Geometry) -> NDArray[np.uint8]:
    return np.asarray(resample_labels(labels_zyx, grid.geometry, geometry), np.uint8)


def _remarks(landmarks: Mapping[str, Landmark]) -> list[str]:
    """What was not seen and stands at its usual place."""
    guessed = [one.name for one in landmarks.values() if one.source == "usual place"]
    if not guessed:
        return []
    # Some of the names hold commas.
    names = "; ".join(guessed)
    return [f"Not seen, taken at the usual place, so that segments beside it are less certain: {names}."]
