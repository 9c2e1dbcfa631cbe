"""What is not a lesion and fools a network: put into scans as background or liver, never labelled as tumour.

Anatomy (gallbladder, bowel at the liver's edge, fissures, vessels, ducts, focal fat, perfusion, periportal
oedema) is in `anatomy.py`, what comes from the scanner or from metal in `artifacts.py`; here is the choice
among them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray

from . import anatomy, artifacts
from .texture import Spacing
from .tissue import LiverTissue


@dataclass(frozen=True)
class DistractorSettings:
    """Probability (0..1) of each distractor in a volume, independent of each other.

    Attributes:
        gallbladder: fluid (0-25 HU, rarely sludge or stones) with a wall in a fossa of the visceral surface.
        bowel: a loop or the stomach, fluid and gas, against the liver's edge.
        fissure: fat of the ligamentum teres or venosum.
        dark_vessels, bright_vessels: branching tubes darker or brighter than the liver.
        turned_vessels: the scan's own vessels turned isodense or dark, as before they fill.
        ducts: dilated bile ducts.
        stent: a biliary stent, with dilated ducts around it at times.
        focal_fat: fat or sparing beside the falciform ligament, the hilum or the gallbladder fossa.
        perfusion: a wedge of other enhancement.
        periportal: dark sleeves around vessels.
        fluid: free fluid around the liver.
        beam_hardening: bands of arms held down.
        rib_streaks: dark bands between dense bone.
        clips: metal with star-shaped streaks.
        motion: double contours in some slices.
        hu_range: the result is clipped to it where given.
    """

    gallbladder: float = 0.3
    bowel: float = 0.15
    fissure: float = 0.3
    dark_vessels: float = 0.15
    bright_vessels: float = 0.1
    turned_vessels: float = 0.1
    ducts: float = 0.06
    stent: float = 0.03
    focal_fat: float = 0.12
    perfusion: float = 0.1
    periportal: float = 0.06
    fluid: float = 0.06
    beam_hardening: float = 0.1
    rib_streaks: float = 0.12
    clips: float = 0.06
    motion: float = 0.06
    hu_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name != "hu_range" and not 0 <= value <= 1:
                raise InputError(f"The probability of {one.name} is {value}: choose 0 to 1.")


class Distracted(NamedTuple):
    """Image (float32, new), what was put in (words), and the liver without what displaced it."""

    hu_zyx: NDArray[np.float32]
    description: tuple[str, ...]
    liver_zyx: NDArray[np.bool_]


Maker = Callable[[LiverTissue, np.random.Generator], "str | None"]

#: In the order in which they are applied: tissue first, then what metal and the scanner make of it.
MAKERS: dict[str, Maker] = {
    "turned_vessels": anatomy.turn_vessels,
    "fluid": anatomy.free_fluid,
    "bowel": anatomy.bowel_loop,
    "gallbladder": anatomy.gallbladder,
    "fissure": anatomy.fissure,
    "focal_fat": anatomy.focal_fat,
    "perfusion": anatomy.perfusion_wedge,
    "periportal": anatomy.periportal_sleeves,
    "dark_vessels": anatomy.dark_vessels,
    "bright_vessels": anatomy.bright_vessels,
    "ducts": anatomy.dilated_ducts,
    "stent": anatomy.biliary_stent,
    "clips": artifacts.clips,
    "beam_hardening": artifacts.beam_hardening,
    "rib_streaks": artifacts.rib_streaks,
    "motion": artifacts.motion,
}


def add_distractors(
    hu_zyx: NDArray,
    liver_zyx: NDArray[np.bool_],
    spacing_zyx_mm: Spacing,
    rng: np.random.Generator,
    settings: DistractorSettings | None = None,
    protected_zyx: NDArray[np.bool_] | None = None,
) -> Distracted:
    """Put distractors into a scan.

    Args:
        hu_zyx: CT in HU, (z, y, x), axes along LPS (z to superior, y to posterior, x to left); not changed.
        liver_zyx: the liver, same shape.
        spacing_zyx_mm: voxel spacing.
        rng: source of all chance; the same state gives the same result.
        settings: how likely each is.
        protected_zyx: lesions already there: neither their voxels nor their liver are changed by anatomy put
            in (streaks, noise and motion cross them as they would).

    Returns:
        Image, description and liver. Without any liver the image comes back as it is.

    Raises:
        InputError: shapes differ.
    """
    settings = settings or DistractorSettings()
    if hu_zyx.shape != liver_zyx.shape or hu_zyx.ndim != 3:
        raise InputError(f"Image {hu_zyx.shape} and liver {liver_zyx.shape} must be the same 3D grid.")
    hu = np.array(hu_zyx, np.float32)
    liver = np.array(liver_zyx, bool)
    # All chances are drawn first, so that one setting does not change what the others do.
    wanted = {name: rng.random() < getattr(settings, name) for name in MAKERS}
    if not liver.any() or not any(wanted.values()):
        return Distracted(hu, (), liver)
    tissue = LiverTissue.measure(hu, liver, spacing_zyx_mm, rng, without=protected_zyx)
    if protected_zyx is not None and protected_zyx.any():
        tissue.protected = np.asarray(protected_zyx, bool)
    description = []
    for name, make in MAKERS.items():
        if wanted[name]:
            said = make(tissue, rng)
            if said is not None:
                description.append(said)
    if settings.hu_range is not None:
        np.clip(tissue.hu, *settings.hu_range, out=tissue.hu)
    return Distracted(tissue.hu, tuple(description), tissue.liver)
