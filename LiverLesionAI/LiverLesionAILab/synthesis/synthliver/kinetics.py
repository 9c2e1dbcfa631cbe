"""Enhancement over time, from a bolus to every organ and lesion: what SynthLiver-2's densities are made of.

Training draws a lesion's density per phase from ranges (:mod:`..appearance`). Here no density is drawn: a
bolus, the time of each scan, and perfusion and distribution volume of each tissue are, and a dual-input
one-compartment model makes densities of them:

    dE/dt = k (f E_aorta + (1 - f) E_portal) - (k / V) E

with E in HU above unenhanced, k the blood flow (1/s), f the arterial share and V what a tissue holds of
contrast in equilibrium, as a share of blood's.

- The model: Materne R et al., Non-invasive quantification of liver perfusion with dynamic computed tomography
  and a dual-input one-compartmental model, Clin Sci 2000;99:517-525. Flow and volume of a healthy liver are
  about 1.1 mL/min/mL, a sixth to a quarter of it arterial, and half of blood's.
- What a bolus does in aorta, portal vein and liver: Bae KT, Intravenous contrast medium administration and
  scan timing at CT, Radiology 2010;256:32-61.

Tumours live on arterial blood alone (f = 1). What their k and V are is not measured by those; they are set so
that what the guidelines describe comes out (see :mod:`..appearance` for these).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..appearance import Phase
from ..organs import HuTable, Organ, draw_hu

SECONDS = np.arange(0.0, 361.0)

TIMES_S = {Phase.ARTERIAL: (32.0, 42.0), Phase.PORTAL_VENOUS: (62.0, 85.0), Phase.DELAYED: (170.0, 300.0)}
"""After the injection's start; the bolus is drawn apart, so that some scans are early or late."""

Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Tissue:
    """How a tissue takes up contrast.

    Attributes:
        flow: k, 1/s.
        volume: V, share of blood's.
        arterial: f.
    """

    flow: float
    volume: float
    arterial: float = 1.0


@dataclass(frozen=True, eq=False)
class Bolus:
    """One injection into one patient: HU above unenhanced at every second of :data:`SECONDS`.

    Attributes:
        aorta, portal: what reaches tissue.
        times_s: when each phase is scanned.
    """

    aorta: Curve
    portal: Curve
    times_s: Mapping[Phase, float]

    def at(self, curve: Curve, phase: Phase) -> float:
        """HU of a curve in a phase; 0 before the injection."""
        return 0.0 if phase is Phase.UNENHANCED else float(np.interp(self.times_s[phase], SECONDS, curve))

    def uptake(self, tissue: Tissue) -> Curve:
        """E of a tissue over time."""
        fed = tissue.flow * (tissue.arterial * self.aorta + (1 - tissue.arterial) * self.portal)
        kept = np.exp(-tissue.flow / tissue.volume)
        out = np.zeros_like(fed)
        for second in range(1, len(fed)):
            out[second] = kept * out[second - 1] + fed[second]
        return out


Span = tuple[float, float]


@dataclass(frozen=True)
class BolusRanges:
    """What injections are drawn from; the values are SynthLiver-2's and stay as they are.

    Attributes:
        peak_hu, mixed_hu: of the aorta at its first pass, and of all blood.
        length_s, arrival_s: of the injection, and until it reaches the aorta.
        heart_s, leaving_s, transit_s, gut_s: time constants of the heart, of what leaves blood, of the way to
            the gut, and through it.
        times_s: when each phase is scanned.
    """

    peak_hu: Span = (210, 360)
    mixed_hu: Span = (120, 185)
    length_s: Span = (20, 32)
    arrival_s: Span = (13, 20)
    heart_s: Span = (4, 8)
    leaving_s: Span = (210, 320)
    transit_s: Span = (5, 8)
    gut_s: Span = (10, 15)
    times_s: Mapping[Phase, Span] = field(default_factory=lambda: TIMES_S)


FROZEN = BolusRanges()


def draw_bolus(rng: np.random.Generator, ranges: BolusRanges = FROZEN) -> Bolus:
    """Dose, injection, heart and timing of a patient."""
    peak, mixed = float(rng.uniform(*ranges.peak_hu)), float(rng.uniform(*ranges.mixed_hu))
    length, arrival = float(rng.uniform(*ranges.length_s)), float(rng.uniform(*ranges.arrival_s))
    box = ((arrival <= SECONDS) & (arrival + length > SECONDS)).astype(float)
    first = _spread(box, float(rng.uniform(*ranges.heart_s)))
    first /= first.max()
    # What has passed once mixes with all blood, and leaves it for tissue and kidneys.
    mixing = np.cumsum(first) / first.sum()
    mixing = np.interp(SECONDS - 8.0, SECONDS, mixing, left=0.0)
    leaving = np.exp(-np.maximum(SECONDS - arrival, 0) / float(rng.uniform(*ranges.leaving_s)))
    aorta = np.maximum(peak * first, 0) * (1 - 0.5 * mixing) + mixed * mixing * leaving
    transit = float(rng.uniform(*ranges.transit_s))
    gut = np.interp(SECONDS - transit, SECONDS, aorta, left=0.0)
    portal = 0.6 * _spread(gut, float(rng.uniform(*ranges.gut_s))) + 0.4 * _spread(gut, 55.0)
    times = {phase: float(rng.uniform(*span)) for phase, span in ranges.times_s.items()}
    # An arterial phase is mostly triggered by the bolus: it follows its arrival.
    times[Phase.ARTERIAL] += arrival - 16.5
    return Bolus(aorta, portal, times)


def _spread(curve: Curve, seconds: float) -> Curve:
    """Dispersed by an exponential of this length."""
    weights = np.exp(-SECONDS / seconds)
    return np.convolve(curve, weights / weights.sum())[: len(curve)]


def draw_liver(rng: np.random.Generator, cirrhotic: bool) -> Tissue:
    """Flow and volume of a patient's liver; a cirrhotic one lives more on arterial blood, and on less."""
    if cirrhotic:
        return Tissue(float(rng.uniform(0.010, 0.016)), float(rng.uniform(0.5, 0.66)), 0.38)
    return Tissue(
        float(rng.uniform(0.015, 0.021)), float(rng.uniform(0.46, 0.6)), float(rng.uniform(0.16, 0.26))
    )


# Flow, volume, arterial share.
_ORGANS: dict[Organ, Tissue] = {
    Organ.SPLEEN: Tissue(0.030, 0.58),
    Organ.PANCREAS: Tissue(0.024, 0.36),
    Organ.KIDNEY_CORTEX: Tissue(0.060, 0.85),
    Organ.KIDNEY_MEDULLA: Tissue(0.012, 1.1),
    Organ.ADRENAL: Tissue(0.020, 0.35),
    Organ.STOMACH_WALL: Tissue(0.012, 0.42),
    Organ.BOWEL_WALL: Tissue(0.014, 0.45),
    Organ.COLON_WALL: Tissue(0.010, 0.42),
    Organ.DUODENUM: Tissue(0.013, 0.42),
    Organ.OESOPHAGUS: Tissue(0.005, 0.3),
    Organ.MUSCLE: Tissue(0.0008, 0.16),
    Organ.BONE_MARROW: Tissue(0.002, 0.2),
}


def draw_tables(
    rng: np.random.Generator, bolus: Bolus, liver: Tissue, fatty_hu: float
) -> dict[Phase, HuTable]:
    """HU of every organ in every phase, of one patient with one injection."""
    plain = draw_hu(rng, Phase.UNENHANCED, fatty_hu)
    healthy = bolus.uptake(liver)
    curves = {organ: bolus.uptake(tissue) for organ, tissue in _ORGANS.items()}
    curves |= {
        Organ.LIVER: healthy,
        Organ.AORTA: bolus.aorta,
        Organ.HEPATIC_ARTERY: 0.92 * bolus.aorta,
        Organ.HEART: bolus.aorta,
        Organ.PORTAL_VEIN: bolus.portal,
        # What leaves the liver is as dense as what is in it.
        Organ.HEPATIC_VEIN: healthy / liver.volume,
        Organ.IVC: 0.5 * healthy / liver.volume + 0.5 * _spread(bolus.aorta, 25.0),
        Organ.VESSEL: 0.5 * bolus.aorta + 0.5 * bolus.portal,
        Organ.KIDNEY_PELVIS: np.clip((SECONDS - 130) * 3.5, 0, 420),
    }
    return {
        phase: HuTable(
            phase,
            {
                organ: hu + (bolus.at(curves[organ], phase) if organ in curves else 0.0)
                for organ, hu in plain.hu.items()
            },
        )
        for phase in Phase
    }
