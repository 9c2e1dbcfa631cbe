"""The sample case: one synthetic abdominal CT with five liver lesions, made from fixed seeds in some seconds.

Nothing is stored: image and truth come from the same run, so they always agree, also where another version
of numpy draws other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..ct import CtVolume
from .appearance import LesionType, Phase
from .body import BodySettings, SyntheticBody, make_body
from .lesions import LesionSettings, SyntheticLesion, SyntheticLesions, add_lesions
from .organs import Organ
from .patient import LiverKind

SAMPLE_SEED = 7

# What is put in, largest first: equivalent diameter in mm, type, seed.
_LESIONS: tuple[tuple[float, LesionType, int], ...] = (
    (42.0, LesionType.METASTASIS, 11),
    (27.0, LesionType.HCC, 12),
    (19.0, LesionType.METASTASIS, 13),
    (13.0, LesionType.CYST, 14),
    (9.0, LesionType.METASTASIS, 15),
)


@dataclass(frozen=True, eq=False)
class Sample:
    """The sample case with its truth.

    Attributes:
        volume: the CT, int16 HU, 2.5 x 1.4 x 1.4 mm, portal venous phase.
        liver_zyx: bool, the liver with its lesions.
        lesion_labels_zyx: uint16, 0 none, k lesion number k.
        lesions: type, size and contrast of each, in order of number, largest first.
    """

    volume: CtVolume
    liver_zyx: NDArray[np.bool_]
    lesion_labels_zyx: NDArray[np.uint16]
    lesions: tuple[SyntheticLesion, ...]


def load_sample(seed: int = SAMPLE_SEED) -> Sample:
    """Make the sample case (some seconds on one core; the same every time).

    Args:
        seed: another seed gives another patient with lesions of the same sizes.

    Returns:
        The case. All five lesions are there for the default seed.
    """
    settings = BodySettings(
        spacing_zyx_mm=(2.5, 1.4, 1.4),
        field_mm=1.4 * 288,
        top_mm=40.0,
        bottom_mm=-255.0,
        phase=Phase.PORTAL_VENOUS,
        liver_kind=LiverKind.NORMAL,
        arms_down=False,
        noise_hu=11.0,
    )
    body = make_body(np.random.default_rng(seed), settings)
    vessels = np.isin(body.labels_zyx, (Organ.PORTAL_VEIN, Organ.HEPATIC_VEIN))
    hu, liver = body.hu_zyx.astype(np.float32), body.liver_zyx
    labels = np.zeros(hu.shape, np.uint16)
    lesions: list[SyntheticLesion] = []
    for diameter, kind, lesion_seed in _LESIONS:
        made = _one_lesion(seed, lesion_seed, diameter, kind, hu, liver, labels > 0, body, vessels)
        for lesion in made.lesions:
            number = len(lesions) + 1
            labels[made.labels_zyx == lesion.number] = number
            lesions.append(replace(lesion, number=number))
        hu, liver = made.hu_zyx, made.liver_zyx
    volume = CtVolume(
        np.clip(np.rint(hu), -1024, 3071).astype(np.int16), body.geometry, "LiverLesionAI sample case"
    )
    return Sample(volume, liver, labels, tuple(lesions))


def _one_lesion(
    seed: int,
    lesion_seed: int,
    diameter: float,
    kind: LesionType,
    hu: NDArray[np.float32],
    liver: NDArray[np.bool_],
    occupied: NDArray[np.bool_],
    body: SyntheticBody,
    vessels: NDArray[np.bool_],
) -> SyntheticLesions:
    """One lesion that can be seen: darker than the liver by some 20 HU, and nearly as large as asked for.

    Some drawn ones are almost as bright as the liver or half hidden at its surface; those are drawn again.
    """
    wanted = LesionSettings(
        count=1,
        type_weights={kind: 1.0},
        phase=Phase.PORTAL_VENOUS,
        diameter_mm=(diameter, diameter),
        large_share=0.0,
        hard_share=0.0,
        psf_mm=body.scanner.psf_mm / 2.355,
    )
    for attempt in range(12):
        rng = np.random.default_rng((seed, lesion_seed, attempt))
        made = add_lesions(
            hu,
            liver,
            body.geometry.spacing_zyx_mm,
            rng,
            wanted,
            occupied_zyx=occupied,
            vessels_zyx=vessels,
        )
        if any(one.contrast_hu < -22 and one.diameter_mm > 0.88 * diameter for one in made.lesions):
            break
    return made
