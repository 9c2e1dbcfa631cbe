"""One synthetic patient: size, fat, how the organs lie, and what is wrong with the liver."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray


class LiverKind(str, Enum):
    """What the liver is like."""

    NORMAL = "normal"
    FATTY = "fatty"
    CIRRHOTIC = "cirrhotic"
    RESECTED = "resected"


@dataclass(frozen=True)
class Patient:
    """Everything about a patient that is drawn once.

    Attributes:
        female: sex.
        scale_zyx: body size against a 175 cm man's.
        subcutaneous_mm: thickness of the subcutaneous fat at the flank.
        visceral: 0 (lean) to 1 (much visceral fat): widens the abdomen and the fat planes.
        liver_ml: volume the liver is sized to.
        liver_kind: state of the liver.
        fatty_hu: HU the liver has lost to fat.
        bone: factor on the HU of the bones (age).
        muscularity: factor on muscle thickness.
        arms_down: arms beside the body.
        riedel_mm: by how much the right lobe's tip reaches further down.
    """

    female: bool
    scale_zyx: tuple[float, float, float]
    subcutaneous_mm: float
    visceral: float
    liver_ml: float
    liver_kind: LiverKind
    fatty_hu: float
    bone: float
    muscularity: float
    arms_down: bool
    riedel_mm: float = 0.0

    def points(self, reference_zyx: NDArray) -> NDArray[np.float64]:
        """Reference coordinates (175 cm man, mm) in this body: z, y, x scaled, further columns kept."""
        p = np.array(reference_zyx, float)
        p[..., :3] *= np.array(self.scale_zyx)
        return p


def draw_patient(
    rng: np.random.Generator, liver_kind: LiverKind | None = None, arms_down: bool | None = None
) -> Patient:
    """Draw a patient.

    Liver volume follows body surface area (Vauthey JN et al., Liver Transpl 2002;8:233-240:
    -794 + 1267 BSA mL, residual spread about 250 mL), kept within 900 to 2500 mL; after resection 55 to 85 %
    of it.
    """
    female = bool(rng.random() < 0.45)
    height = float(np.clip(rng.normal(163 if female else 176, 7), 145, 200))
    bmi = float(np.clip(rng.gamma(16, 1.68), 17, 42))
    weight = bmi * (height / 100) ** 2
    surface = np.sqrt(height * weight / 3600)
    fatness = float(np.clip((bmi - 18) / 18, 0, 1.2))
    subcutaneous = float(
        np.clip((8 if female else 4) + fatness * (34 if female else 24) + rng.normal(0, 4), 3, 60)
    )
    visceral = float(np.clip(fatness * (0.65 if female else 1.0) + rng.normal(0.05, 0.15), 0.0, 1.1))
    if liver_kind is None:
        liver_kind = list(LiverKind)[rng.choice(4, p=[0.66, 0.16, 0.12, 0.06])]
    liver_kind = LiverKind(liver_kind)
    liver_ml = float(np.clip(-794 + 1267 * surface + rng.normal(0, 230), 900, 2500))
    if liver_kind is LiverKind.RESECTED:
        liver_ml *= rng.uniform(0.55, 0.85)
    fatty = {LiverKind.FATTY: rng.uniform(12, 50), LiverKind.CIRRHOTIC: rng.uniform(0, 8)}.get(
        liver_kind, max(0.0, rng.normal(0, 4))
    )
    size = height / 175
    width = 1.05 * size**0.6 * (0.95 if female else 1.0)
    return Patient(
        female=female,
        scale_zyx=(
            float(size * rng.normal(1, 0.05)),
            float(width * (1 + 0.06 * fatness) * rng.normal(1, 0.05)),
            float(width * (1 + 0.03 * fatness) * rng.normal(1, 0.04)),
        ),
        subcutaneous_mm=subcutaneous,
        visceral=visceral,
        liver_ml=liver_ml,
        liver_kind=liver_kind,
        fatty_hu=float(fatty),
        bone=float(np.clip(rng.normal(1.0, 0.2), 0.55, 1.5)),
        muscularity=float(np.clip(rng.normal(0.9 if female else 1.0, 0.13), 0.6, 1.35)),
        arms_down=bool(rng.random() < 0.12) if arms_down is None else arms_down,
    )
