"""How liver lesions look on CT: type, contrast phase, and the HU of their parts relative to the liver.

Numbers are Hounsfield units relative to the surrounding liver unless they are called absolute. They follow
the descriptions of

- EASL Clinical Practice Guidelines on the management of benign liver tumours, J Hepatol 2016;65:386-398
  (haemangioma, focal nodular hyperplasia);
- EASL Clinical Practice Guidelines on the management of cystic liver diseases, J Hepatol 2022;77:1083-1108,
  and the ACG Clinical Guideline on focal liver lesions, Am J Gastroenterol 2024;119:1235-1271 (cyst);
- LI-RADS v2018 CT/MRI core, American College of Radiology (hepatocellular carcinoma: non-rim arterial
  hyperenhancement, washout, enhancing capsule, mosaic; treatment response: treated lesion without
  enhancement);
- Sica GT, Ji H, Ros PR. CT and MR imaging of hepatic metastases. AJR 2000;174:691-698 (hypodense in the
  portal venous phase, rim, necrosis, calcification);
- Park MH et al. Radiofrequency ablation of hepatocellular carcinoma: spectrum of CT findings. RadioGraphics
  2008;28:379-392 (ablation zone: sharp, non-enhancing, transient thin hyperaemic rim).

The spread inside those descriptions is set to what measured lesions of portal venous scans show: 25 to 65 HU
below the liver, deepening towards the centre, with a border 1.5 to 3 mm wide on either side.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np


class LesionType(str, Enum):
    """What a synthetic lesion is."""

    CYST = "cyst"
    FNH = "focal nodular hyperplasia"
    HCC = "hepatocellular carcinoma"
    HAEMANGIOMA = "haemangioma"
    METASTASIS = "metastasis"
    TREATED = "treated"


class Phase(str, Enum):
    """Contrast phase of the scan."""

    UNENHANCED = "unenhanced"
    ARTERIAL = "arterial"
    PORTAL_VENOUS = "portal venous"
    DELAYED = "delayed"


#: Range of the mean HU of the lesion's bulk relative to the liver, by type and phase. Cysts and treated zones
#: do not enhance: theirs follow from the absolute ranges below.
BODY_HU: dict[LesionType, dict[Phase, tuple[float, float]]] = {
    LesionType.FNH: {
        Phase.UNENHANCED: (-15.0, 0.0),
        Phase.ARTERIAL: (25.0, 75.0),
        Phase.PORTAL_VENOUS: (-5.0, 20.0),
        Phase.DELAYED: (-8.0, 8.0),
    },
    LesionType.HCC: {
        Phase.UNENHANCED: (-25.0, -5.0),
        Phase.ARTERIAL: (15.0, 60.0),
        Phase.PORTAL_VENOUS: (-40.0, -8.0),
        Phase.DELAYED: (-45.0, -12.0),
    },
    LesionType.HAEMANGIOMA: {
        Phase.UNENHANCED: (-30.0, -10.0),
        Phase.ARTERIAL: (-40.0, -15.0),
        Phase.PORTAL_VENOUS: (-45.0, -15.0),
        Phase.DELAYED: (0.0, 25.0),
    },
    LesionType.METASTASIS: {
        Phase.UNENHANCED: (-30.0, -8.0),
        Phase.ARTERIAL: (-35.0, -8.0),
        Phase.PORTAL_VENOUS: (-70.0, -10.0),
        Phase.DELAYED: (-45.0, -8.0),
    },
}

#: Absolute HU of what does not enhance.
CYST_HU = (0.0, 20.0)
TREATED_HU = (28.0, 55.0)
NECROSIS_HU = (12.0, 38.0)

#: Blood pool minus liver: what nodules of a haemangioma and vessels reach.
BLOOD_POOL_HU: dict[Phase, tuple[float, float]] = {
    Phase.UNENHANCED: (-20.0, -5.0),
    Phase.ARTERIAL: (60.0, 140.0),
    Phase.PORTAL_VENOUS: (25.0, 70.0),
    Phase.DELAYED: (10.0, 30.0),
}


@dataclass(frozen=True)
class Appearance:
    """One lesion's parts; HU relative to the liver, lengths mm. Zero means the part is absent.

    Attributes:
        subtype: words for the reader ("necrotic centre").
        body_hu: bulk of the lesion.
        gradient_hu: added linearly from the border (0) to the centre (all of it).
        core_hu, core_fraction, core_noise: a centre of other HU than the body, from `core_fraction` of the
            depth inwards; its outline is roughened by `core_noise` (share of the depth).
        rim_hu, rim_mm, rim_gap: a shell just inside the border; `rim_gap` is the share of it that is missing.
        nodules_hu, nodules_share, nodules_mm: peripheral enhancing nodules, the share of the border they
            cover and how deep they reach.
        scar_hu, scar_fraction: a stellate central scar and its radius over the lesion's.
        halo_hu, halo_mm: around the lesion, outside its outline.
        mosaic_hu: SD of compartments of different HU.
        texture_hu, texture_mm: SD and length scale of smooth inner variation.
        calcium_hu, calcium_share: dense spots and the share of the lesion they take.
        gas_hu: HU of bubbles (absolute), 0 for none.
        edge_mm: SD of the border's width, before the scan's own blur.
    """

    lesion_type: LesionType
    phase: Phase
    subtype: str
    body_hu: float
    gradient_hu: float = 0.0
    core_hu: float = 0.0
    core_fraction: float = 0.0
    core_noise: float = 0.0
    rim_hu: float = 0.0
    rim_mm: float = 0.0
    rim_gap: float = 0.0
    nodules_hu: float = 0.0
    nodules_share: float = 0.0
    nodules_mm: float = 0.0
    scar_hu: float = 0.0
    scar_fraction: float = 0.0
    halo_hu: float = 0.0
    halo_mm: float = 0.0
    mosaic_hu: float = 0.0
    texture_hu: float = 3.0
    texture_mm: float = 5.0
    calcium_hu: float = 0.0
    calcium_share: float = 0.0
    gas_hu: float = 0.0
    edge_mm: float = 1.0


def estimate_phase(liver_hu: float) -> Phase:
    """Rough contrast phase from the liver's median HU: unenhanced below 66 HU, else portal venous.

    Unenhanced liver is 50-65 HU, late arterial 65-85, portal venous 90-125, delayed 75-95. Those that overlap
    are taken for portal venous, by far the most frequent; a caller who knows better says so.
    """
    return Phase.UNENHANCED if liver_hu < 66 else Phase.PORTAL_VENOUS


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def sample_appearance(
    lesion_type: LesionType,
    phase: Phase,
    diameter_mm: float,
    liver_hu: float,
    rng: np.random.Generator,
    hard_share: float = 0.2,
) -> Appearance:
    """Draw one lesion's look.

    Args:
        lesion_type: what it is.
        phase: of the scan.
        diameter_mm: equivalent diameter; large ones get necrosis, small ones have no parts.
        liver_hu: mean HU of the liver around it; what does not enhance has its own HU whatever the liver's
            is.
        rng: source of all chance.
        hard_share: share of tumours drawn nearly isodense (6 to 18 HU from the liver) and ill-defined.
    """
    makers = {
        LesionType.CYST: _cyst,
        LesionType.FNH: _fnh,
        LesionType.HCC: _hcc,
        LesionType.HAEMANGIOMA: _haemangioma,
        LesionType.METASTASIS: _metastasis,
        LesionType.TREATED: _treated,
    }
    return makers[lesion_type](phase, diameter_mm, liver_hu, rng, hard_share)


def _cyst(phase: Phase, d: float, liver_hu: float, rng: np.random.Generator, hard: float) -> Appearance:
    """Water (0-20 HU in every phase), homogeneous, sharp, no wall (EASL 2022)."""
    return Appearance(
        LesionType.CYST,
        phase,
        "simple",
        body_hu=_between(rng, *CYST_HU) - liver_hu,
        texture_hu=_between(rng, 0.5, 2.5),
        texture_mm=6.0,
        edge_mm=_between(rng, 0.2, 0.8),
    )


def _fnh(phase: Phase, d: float, liver_hu: float, rng: np.random.Generator, hard: float) -> Appearance:
    """Strong even arterial enhancement but for a scar, near isodense else; no capsule (EASL 2016)."""
    scar_hu = {
        Phase.UNENHANCED: (-20.0, -5.0),
        Phase.ARTERIAL: (-60.0, -25.0),
        Phase.PORTAL_VENOUS: (-30.0, -5.0),
        Phase.DELAYED: (8.0, 25.0),
    }[phase]
    scar = d > 25 and rng.random() < 0.65
    return Appearance(
        LesionType.FNH,
        phase,
        "central scar" if scar else "homogeneous",
        body_hu=_between(rng, *BODY_HU[LesionType.FNH][phase]),
        scar_hu=_between(rng, *scar_hu) if scar else 0.0,
        scar_fraction=_between(rng, 0.2, 0.4) if scar else 0.0,
        texture_hu=_between(rng, 2, 5),
        texture_mm=_between(rng, 3, 8),
        edge_mm=_between(rng, 0.6, 1.6),
    )


def _hcc(phase: Phase, d: float, liver_hu: float, rng: np.random.Generator, hard: float) -> Appearance:
    """Arterial hyperenhancement, then washout and capsule; mosaic and necrosis if large (LI-RADS v2018)."""
    body = _between(rng, *BODY_HU[LesionType.HCC][phase])
    is_hard = phase is not Phase.ARTERIAL and rng.random() < hard
    if is_hard:
        body = -_between(rng, 6, 16)
    capsule = phase in (Phase.PORTAL_VENOUS, Phase.DELAYED) and d > 10 and rng.random() < 0.5
    necrotic = d > 30 and rng.random() < 0.5
    core = min(-10.0, _between(rng, *NECROSIS_HU) - liver_hu - body)
    return Appearance(
        LesionType.HCC,
        phase,
        "necrotic" if necrotic else ("capsule" if capsule else "plain"),
        body_hu=body,
        core_hu=core if necrotic else 0.0,
        core_fraction=_between(rng, 0.35, 0.75) if necrotic else 0.0,
        core_noise=_between(rng, 0.2, 0.5),
        rim_hu=_between(rng, 10, 35) if capsule else 0.0,
        rim_mm=_between(rng, 0.8, 2.0),
        rim_gap=_between(rng, 0.0, 0.4),
        mosaic_hu=_between(rng, 4, 14) if d > 20 else 0.0,
        texture_hu=_between(rng, 2, 7),
        texture_mm=_between(rng, 2.5, 8),
        edge_mm=_between(rng, 1.5, 3.0) if is_hard else _between(rng, 0.7, 2.2),
    )


def _haemangioma(
    phase: Phase, d: float, liver_hu: float, rng: np.random.Generator, hard: float
) -> Appearance:
    """Peripheral, nodular enhancement like the blood pool that fills in; small ones flash (EASL 2016)."""
    pool = _between(rng, *BLOOD_POOL_HU[phase])
    kind = LesionType.HAEMANGIOMA
    common = {
        "texture_hu": _between(rng, 2, 5),
        "texture_mm": _between(rng, 3, 7),
        "edge_mm": _between(rng, 0.6, 1.5),
    }
    if phase is Phase.UNENHANCED:
        return Appearance(kind, phase, "plain", body_hu=_between(rng, *BODY_HU[kind][phase]), **common)
    flash = d < 20 and rng.random() < 0.3
    if flash:
        return Appearance(kind, phase, "flash filling", body_hu=0.85 * pool, **common)
    if phase is Phase.DELAYED:
        scar = d > 40
        return Appearance(
            kind,
            phase,
            "filled in",
            body_hu=min(pool, _between(rng, *BODY_HU[kind][phase])),
            core_hu=-_between(rng, 10, 35) if scar else 0.0,
            core_fraction=_between(rng, 0.4, 0.8) if scar else 0.0,
            core_noise=_between(rng, 0.3, 0.6),
            **common,
        )
    body = _between(rng, *BODY_HU[kind][phase])
    filled = (0.15, 0.4) if phase is Phase.ARTERIAL else (0.3, 0.7)
    return Appearance(
        kind,
        phase,
        "peripheral nodules",
        body_hu=body,
        nodules_hu=pool - body,
        nodules_share=_between(rng, *filled),
        nodules_mm=max(2.0, d * _between(rng, 0.08, 0.2 if phase is Phase.ARTERIAL else 0.3)),
        **common,
    )


def _metastasis(phase: Phase, d: float, liver_hu: float, rng: np.random.Generator, hard: float) -> Appearance:
    """Hypodense, best seen in the portal venous phase; rim, necrotic centre, calcium in some (Sica 2000)."""
    kind = LesionType.METASTASIS
    low, high = BODY_HU[kind][phase]
    # Large ones that nobody sees are rare.
    is_hard = rng.random() < hard * (1.0 if d < 30 else 0.4)
    if is_hard:
        body = -_between(rng, 6, 18)
    elif phase is Phase.PORTAL_VENOUS:
        # The brighter the liver, the more a tumour that enhances little falls behind.
        scale = float(np.clip((liver_hu - 20) / 80, 0.5, 1.2))
        body = float(np.clip(rng.normal(-48, 14) * scale, low, high))
    else:
        body = _between(rng, low, high)
    # Tumour keeps some blood: it does not fall below 20 HU but where it is dead.
    body = max(body, 20.0 - liver_hu) if liver_hu > 35 else min(body, -5.0)
    subtype = "hypodense"
    parts: dict[str, float] = {}
    draw = rng.random()
    if d > 12 and draw < min(0.55, d / 80):
        subtype = "necrotic centre"
        core = _between(rng, *NECROSIS_HU) - liver_hu - body
        parts |= {
            "core_hu": min(-8.0, core) * _between(rng, 0.6, 1.0),
            "core_fraction": _between(rng, 0.25, 0.75),
            "core_noise": _between(rng, 0.2, 0.7),
        }
    elif draw > 0.93 and d > 8:
        subtype = "calcified"
        parts |= {"calcium_hu": _between(rng, 80, 350), "calcium_share": _between(rng, 0.01, 0.12)}
    if phase is not Phase.UNENHANCED and d > 8 and rng.random() < (0.45 if phase is Phase.ARTERIAL else 0.2):
        subtype = subtype if subtype != "hypodense" else "rim"
        parts |= {
            "rim_hu": -body * _between(rng, 0.3, 1.0) + _between(rng, 0, 25),
            "rim_mm": _between(rng, 1.0, max(1.5, min(3.0, d / 8))),
            "rim_gap": _between(rng, 0.0, 0.6),
        }
        if is_hard:
            parts["rim_hu"] *= 0.3
    if phase is not Phase.UNENHANCED and rng.random() < 0.2:
        parts |= {"halo_hu": _between(rng, -14, 12), "halo_mm": _between(rng, 2, 6)}
    return Appearance(
        kind,
        phase,
        subtype,
        body_hu=body,
        gradient_hu=-abs(rng.normal(0, 12 if d < 25 else 6)) if not is_hard and d > 7 else 0.0,
        mosaic_hu=_between(rng, 3, 10) if d > 45 else 0.0,
        texture_hu=_between(rng, 1.5, 6) * (1.4 if d > 40 else 1.0),
        texture_mm=_between(rng, 2.5, 8),
        edge_mm=_between(rng, 1.6, 3.2)
        if is_hard
        else float(
            np.clip(rng.lognormal(np.interp(d, (6, 12, 18, 25), (0.05, 0.3, 0.4, 0.2)), 0.4), 0.6, 3.5)
        ),
        **parts,
    )


def _treated(phase: Phase, d: float, liver_hu: float, rng: np.random.Generator, hard: float) -> Appearance:
    """Ablation zone: sharp, not enhancing, denser centre and rim when fresh, gas; lipiodol (Park 2008)."""
    body = _between(rng, *TREATED_HU) - liver_hu
    draw = rng.random()
    parts: dict[str, float] = {}
    subtype = "ablation zone"
    if draw < 0.3:
        subtype = "fresh ablation zone"
        parts |= {
            "core_hu": _between(rng, 8, 30),
            "core_fraction": _between(rng, 0.4, 0.7),
            "core_noise": 0.4,
        }
        if phase is not Phase.UNENHANCED:
            parts |= {"halo_hu": _between(rng, 6, 25), "halo_mm": _between(rng, 1.5, 4)}
        if rng.random() < 0.25:
            parts["gas_hu"] = _between(rng, -400, -100)
    elif draw < 0.45:
        subtype = "lipiodol"
        parts |= {"calcium_hu": _between(rng, 100, 450), "calcium_share": _between(rng, 0.15, 0.6)}
    return Appearance(
        LesionType.TREATED,
        phase,
        subtype,
        body_hu=body,
        texture_hu=_between(rng, 2, 6),
        texture_mm=_between(rng, 3, 8),
        edge_mm=_between(rng, 0.5, 1.5),
        **parts,
    )
