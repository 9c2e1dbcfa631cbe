"""The sample case: one synthetic abdominal CT with five liver lesions, made from fixed seeds in some seconds.

Nothing is stored: image and truth come from the same run, so they always agree, also where another version
of numpy draws other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from numpy.typing import NDArray
from scipy import ndimage

from .appearance import LesionType, Phase
from .body import BodySettings, make_body
from .lesions import LesionSettings, SyntheticLesion, SyntheticLesions, add_lesions
from .organs import Organ
from .patient import LiverKind

SAMPLE_SEED = 17

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
    hu, liver = body.hu_zyx.astype(np.float32), body.liver_zyx.copy()
    labels = np.zeros(hu.shape, np.uint16)
    # All lesions happen near the liver; its box is a quarter of the scan.
    near = _box_around(liver, margin=8)
    vessels = np.isin(body.labels_zyx[near], (Organ.PORTAL_VEIN, Organ.HEPATIC_VEIN))
    lesions: list[SyntheticLesion] = []
    for diameter, kind, lesion_seed in _LESIONS:
        wanted = LesionSettings(
            count=1,
            type_weights={kind: 1.0},
            phase=Phase.PORTAL_VENOUS,
            diameter_mm=(diameter, diameter),
            large_share=0.0,
            hard_share=0.0,
            psf_mm=body.scanner.psf_mm / 2.355,
        )
        made = _visible_lesion(
            (seed, lesion_seed), wanted, hu[near], liver[near], labels[near] > 0, vessels, body.geometry
        )
        for lesion in made.lesions:
            number = len(lesions) + 1
            labels[near][made.labels_zyx == lesion.number] = number
            lesions.append(_moved(lesion, number, tuple(s.start for s in near)))
        hu[near], liver[near] = made.hu_zyx, made.liver_zyx
    volume = CtVolume(
        np.clip(np.rint(hu), -1024, 3071).astype(np.int16), body.geometry, "LiverLesionAI sample case"
    )
    return Sample(volume, liver, labels, tuple(lesions))


def _box_around(mask_zyx: NDArray[np.bool_], margin: int) -> tuple[slice, slice, slice]:
    """Bounding box of a mask, widened by some voxels within the array."""
    box = ndimage.find_objects(mask_zyx.astype(np.uint8))[0]
    return tuple(  # type: ignore[return-value]
        slice(max(0, s.start - margin), min(n, s.stop + margin))
        for s, n in zip(box, mask_zyx.shape, strict=True)
    )


def _visible_lesion(
    seeds: tuple[int, int],
    wanted: LesionSettings,
    hu: NDArray[np.float32],
    liver: NDArray[np.bool_],
    occupied: NDArray[np.bool_],
    vessels: NDArray[np.bool_],
    geometry: Geometry,
) -> SyntheticLesions:
    """One lesion that a reader would see: clearly darker than the liver, and nearly as large as asked for.

    Some drawn ones are almost as bright as the liver or half hidden at its surface; those are drawn again,
    and the darkest of eight is taken where none will do.
    """
    best: SyntheticLesions | None = None
    for attempt in range(8):
        made = add_lesions(
            hu,
            liver,
            geometry.spacing_zyx_mm,
            np.random.default_rng((*seeds, attempt)),
            wanted,
            occupied_zyx=occupied,
            vessels_zyx=vessels,
        )
        if not made.lesions:
            continue
        lesion = made.lesions[0]
        if best is None or lesion.contrast_hu < best.lesions[0].contrast_hu:
            best = made
        if lesion.contrast_hu < -26 and lesion.diameter_mm > 0.88 * wanted.diameter_mm[0]:
            return made
    return best or made


def _moved(lesion: SyntheticLesion, number: int, start_zyx: tuple[int, ...]) -> SyntheticLesion:
    """A lesion's record with its own number and in the whole scan's voxels."""
    start = np.array(start_zyx)
    centre = tuple(float(c) for c in np.array(lesion.centre_zyx) + start)
    box = tuple(tuple(int(v) for v in np.array(corner) + start) for corner in lesion.box_zyx)
    return replace(lesion, number=number, centre_zyx=centre, box_zyx=box)  # type: ignore[arg-type]
