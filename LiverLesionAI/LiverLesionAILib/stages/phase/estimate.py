"""Which contrast phase a CT is in, from the density of the aorta, of the liver and of the vessels in it.

Typical densities at 120 kV (unenhanced; late arterial, 35 to 45 s; portal venous, 65 to 80 s; delayed, 3 to 5
min): aorta 42, 290, 155, 105 HU; portal vein 41, 125, 170, 110 HU; liver 57, 72, 112, 92 HU. Compared are how
bright the aorta is, how far ahead of the liver's veins it is, and how far those stand out of the liver. A low
dose, a large patient or an early scan with a small bolus makes the aorta as dark as a delayed one; the vena
cava tells these apart: after minutes its blood is mixed, and as dense as the aorta's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...case.classes import Phase
from ...case.findings import PhaseEstimate
from ...case.messages import BETWEEN_PHASES
from ...models.inputs import liver_level_hu
from ...support.text import chance
from ...volume.ct import CtVolume
from ...volume.masks import within_mm
from .aorta import AortaSettings, find_aorta
from .cava import measure_cava
from .hints import Hint, HintSettings, weighed

PHASES = tuple(phase.title for phase in Phase)
ARTERIAL = PHASES[1]
MIXED = (PHASES.index(Phase.UNENHANCED.title), PHASES.index(Phase.DELAYED.title))
"""Phases in which all large vessels are equally dense."""

HuRows = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class PhaseSettings:
    """How densities become a phase. Rows as PHASES.

    Attributes:
        means_hu, sds_hu: of the aorta, of the aorta minus the vessels in the liver, of the vessels minus the
            liver. The vessels are a little darker than the portal vein, as thin ones share their voxels with
            liver.
        bright_liver_hu: mean and SD of the liver without contrast medium, and in the arterial phase: a liver
            that is brighter has taken contrast medium up, so that it is later.
        mixed_cava_hu: mean and SD of how much darker than the aorta the vena cava is where contrast medium is
            mixed, or where there is none.
        mixed_sds: what is farther away counts as that far, as the vena cava is mistaken at times.
        priors: how often a phase is met.
        aorta: what the aorta is found by.
        sure: probability of a phase from which nobody is warned that it is uncertain.
        hints: how far a CT's name and header are believed.
    """

    PREFIX: ClassVar[str] = "phase_"

    means_hu: HuRows
    sds_hu: HuRows
    bright_liver_hu: tuple[tuple[float, float], ...]
    mixed_cava_hu: tuple[float, float]
    mixed_sds: float
    priors: tuple[float, ...]
    sure: float
    aorta: AortaSettings
    hints: HintSettings


@dataclass(frozen=True)
class PhaseMeasures:
    """What the estimate is made from.

    Attributes:
        aorta_hu: NaN where no aorta was found.
        vessels_hu: of the brightest vessels in the liver.
        liver_hu: the level of its parenchyma.
        cava_hu: of the vena cava; NaN where none was seen.
    """

    aorta_hu: float
    vessels_hu: float
    liver_hu: float
    cava_hu: float = float("nan")


def measure_phase(
    volume: CtVolume,
    hu_zyx: NDArray[np.float32],
    liver_zyx: NDArray[np.bool_],
    lesion_zyx: NDArray[np.bool_],
    spacing_zyx_mm: tuple[float, float, float],
    low_lps_z: float,
    high_lps_z: float,
    settings: PhaseSettings,
) -> PhaseMeasures:
    """Measure the densities.

    Args:
        volume: the CT, reoriented, for the aorta.
        hu_zyx, liver_zyx, lesion_zyx: the working grid's CT, liver and lesions, for liver and vessels.
        spacing_zyx_mm: of the working grid.
        low_lps_z, high_lps_z: height of the liver's lower and upper end, mm.
    """
    aorta = find_aorta(volume, low_lps_z, high_lps_z, settings.aorta)
    sigma = [1.5 / s for s in spacing_zyx_mm]
    # Away from the surface, where ribs and heart shine in; away from lesions, whose rims may enhance.
    near = ~within_mm(~liver_zyx, spacing_zyx_mm, 8) & ~within_mm(lesion_zyx, spacing_zyx_mm, 6)
    level = liver_level_hu(hu_zyx[liver_zyx])
    values = ndimage.gaussian_filter(np.asarray(hu_zyx, np.float32), sigma)[near]
    vessels = float(np.percentile(values, 98.5)) if values.size > 500 else float("nan")
    aorta_hu = aorta.hu if aorta is not None else float("nan")
    return PhaseMeasures(aorta_hu, vessels, level, measure_cava(volume, aorta))


def phase_probabilities(
    measures: PhaseMeasures, settings: PhaseSettings, hints: Sequence[Hint] = ()
) -> NDArray[np.float64]:
    """Probability of each of PHASES; what could not be measured is left out."""
    seen = np.array(
        (
            measures.aorta_hu,
            measures.aorta_hu - measures.vessels_hu,
            measures.vessels_hu - measures.liver_hu,
        )
    )
    known = np.isfinite(seen)
    logs = np.log(np.array(settings.priors))
    mean, sd = np.array(settings.means_hu)[:, known], np.array(settings.sds_hu)[:, known]
    if known.any():
        # A brighter aorta than usual is no less arterial.
        shown = seen[known][None]
        if known[0]:
            shown = np.repeat(shown, len(PHASES), axis=0)
            shown[1, 0] = min(shown[1, 0], mean[1, 0])
            if known[1]:
                shown[1, 1] = min(shown[1, 1], mean[1, 1])
        logs = logs - 0.5 * (((shown - mean) / sd) ** 2).sum(axis=1) - np.log(sd).sum(axis=1)
    if np.isfinite(measures.liver_hu):
        # A darker one says nothing: it may be fatty.
        for row, (usual, scatter) in enumerate(settings.bright_liver_hu):
            logs[row] -= 0.5 * (max(measures.liver_hu - usual, 0.0) / scatter) ** 2
    behind = measures.aorta_hu - measures.cava_hu
    if np.isfinite(behind):
        # One as bright as the aorta says nothing: the kidneys' blood reaches it early.
        usual, scatter = settings.mixed_cava_hu
        away = min(max((behind - usual) / scatter, 0.0), settings.mixed_sds)
        logs[list(MIXED)] -= 0.5 * away**2
    shares = np.exp(logs - logs.max())
    return weighed(shares / shares.sum(), hints)


def estimate(
    measures: PhaseMeasures, classified: bool, settings: PhaseSettings, hints: Sequence[Hint] = ()
) -> PhaseEstimate | None:
    """The most probable phase with its warning for the reader; None where nothing could be measured.

    Args:
        classified: whether lesions are given a class, which was learnt in the arterial phase.
    """
    if not np.isfinite((measures.aorta_hu, measures.vessels_hu)).any():
        return None
    shares = phase_probabilities(measures, settings, hints)
    name, probability = PHASES[int(shares.argmax())], float(shares.max())
    warning = ""
    if classified and name != ARTERIAL:
        warning = (
            f"The scan looks {name}; classes were learnt in the arterial phase and are less reliable here."
        )
    elif classified and probability < settings.sure:
        warning = "The contrast phase is uncertain; classes were learnt in the arterial phase."
    return PhaseEstimate(name, probability, warning)


def between(measures: PhaseMeasures, settings: PhaseSettings, hints: Sequence[Hint] = ()) -> str:
    """A sentence where the scan lies between two phases; "" where one is sure, or nothing was measured."""
    if not np.isfinite((measures.aorta_hu, measures.vessels_hu)).any():
        return ""
    shares = phase_probabilities(measures, settings, hints)
    first, second = np.argsort(-shares)[:2]
    if shares[first] >= settings.sure:
        return ""
    return BETWEEN_PHASES.say(
        phase=PHASES[first], p=chance(shares[first]), phase_now=PHASES[second], p_now=chance(shares[second])
    )
