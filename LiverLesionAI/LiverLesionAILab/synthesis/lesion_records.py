"""What lesion synthesis is told and what it tells: settings, lesion truth, boxes per slice, random sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray
from scipy import ndimage

from .appearance import Appearance, LesionType, Phase

DEFAULT_TYPES: dict[LesionType, float] = {
    LesionType.METASTASIS: 0.60,
    LesionType.HCC: 0.17,
    LesionType.CYST: 0.08,
    LesionType.HAEMANGIOMA: 0.05,
    LesionType.FNH: 0.03,
    LesionType.TREATED: 0.07,
}


@dataclass(frozen=True)
class LesionSettings:
    """What to synthesise.

    Attributes:
        count: exactly so many lesions, 0 to 60; None draws as in patients with liver tumours (median 3, some
            20 to 60).
        type_weights: relative frequency of the types.
        phase: of the scan; None estimates it from the liver's HU.
        diameter_mm: smallest and largest equivalent diameter.
        median_mm, spread: of the log-normal sizes (664 annotated liver lesions: 10.3 mm, 0.72).
        large_share: share of lesions drawn from 45 to 120 mm instead (at most one per liver and not beyond
            what the liver holds).
        hard_share: share of nearly isodense, ill-defined ones.
        least_visibility: contrast over the SD of the mean of the noise on the largest slice that a lesion
            must reach to be outlined, drawn between the two; fainter ones are strengthened within their
            type's range or left out; (0, 0) keeps all. 31 annotated lesions measured 3.1 and more at full
            resolution (median 15); resampled to 1.25 x 1.25 x 2.5 mm, a tenth lay below 3.1 and a quarter
            below 5.6.
        small_mm, small_contrast: below the second diameter contrast falls, to this share of it at the first
            and under. Of 33 annotated lesions, on 1.25 x 1.25 x 2.5 mm, those under 8 mm lie 2 to 27 HU below
            the liver around them (median 16), those of 8 to 10 mm 22 to 37 (31), larger ones 30 to 47 (38).
        necrosis: whether centres may be necrotic; False only to learn what they are worth.
        bank_share: share of outlines from the shape bank where one is given.
        subcapsular_share: share placed at the liver's surface.
        bulge_mm: how far such a lesion may reach beyond the given liver.
        mass_effect_share: share of lesions of 15 mm and more that push vessels and capsule away.
        cluster_share: share of lesions placed beside an earlier one.
        psf_mm: SD of the scan's in-plane blur; None takes 0.6 mm.
        hu_range: the result is clipped to it where given.
        look: draws a lesion's look from (type, phase, diameter in mm, the liver's HU, source of chance) in
            place of :func:`~.appearance.sample_appearance`.
    """

    count: int | None = None
    type_weights: Mapping[LesionType, float] = field(default_factory=lambda: dict(DEFAULT_TYPES))
    phase: Phase | None = None
    diameter_mm: tuple[float, float] = (3.0, 120.0)
    median_mm: float = 10.5
    spread: float = 0.72
    large_share: float = 0.06
    hard_share: float = 0.15
    least_visibility: tuple[float, float] = (2.5, 5.0)
    small_mm: tuple[float, float] = (4.5, 9.0)
    small_contrast: float = 0.45
    necrosis: bool = True
    bank_share: float = 0.6
    subcapsular_share: float = 0.3
    bulge_mm: float = 8.0
    mass_effect_share: float = 0.5
    cluster_share: float = 0.2
    psf_mm: float | None = None
    hu_range: tuple[float, float] | None = None
    look: Callable[[LesionType, Phase, float, float, np.random.Generator], Appearance] | None = None

    def __post_init__(self) -> None:
        if self.count is not None and not 0 <= self.count <= 60:
            raise InputError(f"Lesion count {self.count}: choose 0 to 60.")
        if not 0 < self.diameter_mm[0] <= self.diameter_mm[1]:
            raise InputError(
                f"Lesion diameters {self.diameter_mm} mm: the first must be positive and not the larger."
            )


@dataclass(frozen=True)
class SyntheticLesion:
    """One lesion's truth.

    Attributes:
        number: its value in `SyntheticLesions.labels_zyx`.
        lesion_type, phase, subtype: what it is.
        diameter_mm: equivalent diameter of the voxels labelled.
        contrast_hu: mean HU of its inside (before noise) minus the liver's.
        centre_zyx: centroid, voxels.
        box_zyx: ((z0, y0, x0), (z1, y1, x1)), stop exclusive.
        appearance: all its parts.
    """

    number: int
    lesion_type: LesionType
    phase: Phase
    subtype: str
    diameter_mm: float
    contrast_hu: float
    centre_zyx: tuple[float, float, float]
    box_zyx: tuple[tuple[int, int, int], tuple[int, int, int]]
    appearance: Appearance


@dataclass(frozen=True, eq=False)
class SyntheticLesions:
    """The image with its lesions.

    Attributes:
        hu_zyx: float32, a new array.
        labels_zyx: uint16, 0 none, k lesion number k.
        liver_zyx: bool, the given liver with what lesions added to it at its surface.
        lesions: in order of number.
    """

    hu_zyx: NDArray[np.float32]
    labels_zyx: NDArray[np.uint16]
    liver_zyx: NDArray[np.bool_]
    lesions: tuple[SyntheticLesion, ...]


@dataclass(frozen=True)
class SliceBox:
    """A lesion's box in one slice: y0, x0 first and y1, x1 behind the last voxel."""

    number: int
    z: int
    y0: int
    x0: int
    y1: int
    x1: int


def slice_boxes(labels_zyx: NDArray[np.uint16], z: int, least_voxels: int = 2) -> tuple[SliceBox, ...]:
    """Boxes of the lesions in slice z, one per lesion number, without parts under `least_voxels` voxels."""
    plane = labels_zyx[z]
    boxes = []
    for number, found in enumerate(ndimage.find_objects(plane), start=1):
        if found is not None and int((plane[found] == number).sum()) >= least_voxels:
            y, x = found
            boxes.append(SliceBox(number, z, y.start, x.start, y.stop, x.stop))
    return tuple(boxes)


def draw_count(rng: np.random.Generator) -> int:
    """Number of lesions of a liver with tumours: mostly 1 to 8, a tail to 60."""
    return int(np.clip(np.round(rng.lognormal(np.log(3.0), 0.95)), 1, 60))


def draw_diameter_mm(settings: LesionSettings, rng: np.random.Generator) -> float:
    """One equivalent diameter by the settings' distribution."""
    low, high = settings.diameter_mm
    if high > 45 and rng.random() < settings.large_share:
        return float(np.exp(rng.uniform(np.log(max(45.0, low)), np.log(high))))
    return float(np.clip(settings.median_mm * np.exp(rng.normal(0, settings.spread)), low, high))
