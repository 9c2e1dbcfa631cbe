"""What a synthetic body is made of: organ labels and the HU of every organ in every phase.

Sources of the HU values (rounded; a patient's own values are drawn around them):
- unenhanced soft tissue: Lamba R et al., CT Hounsfield numbers of soft tissues on unenhanced abdominal CT
  scans, AJR 2014;203:1013-1020 (liver, spleen, kidney, pancreas, muscle, fat, blood);
- enhancement of liver, vessels and organs against time: Bae KT, Intravenous contrast medium administration
  and scan timing at CT, Radiology 2010;256:32-61; Foley WD et al., Multiphase hepatic CT with a
  multirow detector CT system, AJR 2000;175:679-685;
- fatty liver: Boyce CJ et al., Hepatic steatosis identified by unenhanced low-dose CT, AJR 2010;194:623-628;
- trabecular bone by age: Pickhardt PJ et al., Opportunistic screening for osteoporosis using abdominal CT,
  Ann Intern Med 2013;158:588-595.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from .appearance import Phase


class Organ(IntEnum):
    """Labels of `SyntheticBody.labels_zyx`."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    BONE_CORTICAL = 3
    BONE_MARROW = 4
    LUNG = 5
    LIVER = 6
    GALLBLADDER = 7
    PORTAL_VEIN = 8
    HEPATIC_VEIN = 9
    HEPATIC_ARTERY = 10
    AORTA = 11
    IVC = 12
    SPLEEN = 13
    KIDNEY_CORTEX = 14
    KIDNEY_MEDULLA = 15
    KIDNEY_PELVIS = 16
    STOMACH_WALL = 17
    STOMACH_CONTENT = 18
    DUODENUM = 19
    BOWEL_WALL = 20
    BOWEL_CONTENT = 21
    COLON_WALL = 22
    COLON_CONTENT = 23
    PANCREAS = 24
    HEART = 25
    ADRENAL = 26
    SPINAL_CANAL = 27
    SKIN = 28
    CARTILAGE = 29
    VESSEL = 30
    ASCITES = 31
    BLADDER = 32
    OESOPHAGUS = 33
    TABLE = 34
    OTHER = 35


# Arterial is the late arterial (portal inflow) phase at 35 to 45 s.
_PHASES = (Phase.UNENHANCED, Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED)

# Mean HU in the order unenhanced, arterial, portal venous, delayed; then the spread between patients.
_HU: dict[Organ, tuple[float, float, float, float, float]] = {
    Organ.LIVER: (57, 72, 112, 92, 9),
    Organ.SPLEEN: (48, 118, 122, 96, 8),
    Organ.AORTA: (42, 290, 155, 105, 14),
    Organ.PORTAL_VEIN: (41, 125, 170, 110, 14),
    Organ.HEPATIC_VEIN: (41, 62, 160, 108, 14),
    Organ.HEPATIC_ARTERY: (42, 270, 150, 105, 14),
    Organ.IVC: (41, 85, 135, 105, 12),
    Organ.VESSEL: (41, 110, 150, 105, 14),
    Organ.KIDNEY_CORTEX: (32, 165, 190, 150, 14),
    Organ.KIDNEY_MEDULLA: (31, 70, 165, 155, 14),
    Organ.KIDNEY_PELVIS: (4, 6, 12, 420, 6),
    Organ.PANCREAS: (38, 100, 92, 72, 9),
    Organ.MUSCLE: (52, 57, 62, 62, 5),
    Organ.HEART: (42, 190, 145, 105, 14),
    Organ.ADRENAL: (15, 65, 60, 45, 10),
    Organ.GALLBLADDER: (8, 8, 9, 9, 6),
    Organ.STOMACH_WALL: (40, 85, 88, 75, 9),
    Organ.BOWEL_WALL: (40, 95, 98, 80, 9),
    Organ.COLON_WALL: (40, 78, 85, 75, 9),
    Organ.DUODENUM: (40, 90, 92, 78, 9),
    Organ.OESOPHAGUS: (38, 55, 62, 60, 7),
    Organ.SPINAL_CANAL: (28, 30, 34, 34, 5),
    Organ.SKIN: (20, 25, 35, 35, 8),
    Organ.CARTILAGE: (95, 95, 100, 100, 12),
    Organ.ASCITES: (7, 7, 9, 12, 5),
    Organ.BLADDER: (5, 5, 8, 60, 5),
    Organ.FAT: (-108, -108, -106, -106, 5),
    Organ.LUNG: (-860, -855, -850, -850, 25),
    Organ.BONE_CORTICAL: (720, 720, 720, 720, 110),
    Organ.BONE_MARROW: (150, 160, 170, 170, 40),
    Organ.OTHER: (40, 60, 70, 65, 8),
}


@dataclass(frozen=True)
class HuTable:
    """One patient's mean HU per organ in one phase."""

    phase: Phase
    hu: dict[Organ, float]

    def __getitem__(self, organ: Organ) -> float:
        return self.hu[organ]


def draw_hu(rng: np.random.Generator, phase: Phase, fatty_hu: float = 0.0) -> HuTable:
    """A patient's HU per organ.

    Enhancement is scaled by one factor for all organs (dose per body weight and timing differ between
    patients) before each organ's own spread, so that a weakly enhanced liver comes with weakly enhanced
    vessels.

    Args:
        rng: source of randomness.
        phase: contrast phase.
        fatty_hu: how many HU fat takes from the liver (0 normal, up to about 60).
    """
    index = _PHASES.index(phase)
    strength = float(np.clip(rng.normal(1.0, 0.16), 0.6, 1.45))
    table: dict[Organ, float] = {}
    for organ, row in _HU.items():
        enhancement = (row[index] - row[0]) * strength
        spread = row[4] if index else row[4] * 0.6
        table[organ] = float(row[0] + enhancement + np.clip(rng.normal(), -2.2, 2.2) * spread * 0.6)
    table[Organ.LIVER] -= fatty_hu
    # Blood pools that mix: vessels of one phase agree with each other.
    if phase in (Phase.UNENHANCED, Phase.DELAYED):
        for organ in (Organ.PORTAL_VEIN, Organ.HEPATIC_VEIN, Organ.IVC, Organ.VESSEL, Organ.HEART):
            table[organ] = table[Organ.AORTA] + float(rng.normal(0, 3))
    return HuTable(phase, table)
