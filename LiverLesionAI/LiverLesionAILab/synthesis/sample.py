"""The sample case: one synthetic abdominal CT with five liver lesions, drawn from fixed seeds in seconds.

`liverlesionai synthesize sample --out DIR` draws it and writes the two files that are shipped in
`LiverLesionAILib/data/Sample`, which :mod:`LiverLesionAILib.case.sample` reads.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.case.colours import LIVER, lesion_colour
from LiverLesionAILib.case.sample import CT_FILE, NAME, TRUTH_FILE
from LiverLesionAILib.support.files import replacing
from LiverLesionAILib.volume.crops import Mask
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.masks import bounding_box
from LiverLesionAILib.writing import nrrd
from numpy.typing import NDArray

from .appearance import LesionType, Phase
from .body import BodySettings, make_body
from .lesions import LesionSettings, SyntheticLesion, SyntheticLesions, add_lesions
from .organs import Organ
from .patient import LiverKind

SAMPLE_SEED = 17

LOWEST_HU, HIGHEST_HU = -1024, 600
FINE_FROM_HU, COARSE_STEP_HU = -200, 50
"""Noise in air does not compress, and no network or measurement looks below -200 HU: gas is kept in steps."""

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
        volume: the CT, int16 HU, 2.5 x 1.4 x 1.4 mm, portal venous phase; see :func:`shipped_hu`.
        liver_zyx: bool, the liver with its lesions.
        lesion_labels_zyx: uint16, 0 none, k lesion number k.
        lesions: type, size and contrast of each, in order of number, largest first.
    """

    volume: CtVolume
    liver_zyx: NDArray[np.bool_]
    lesion_labels_zyx: NDArray[np.uint16]
    lesions: tuple[SyntheticLesion, ...]


def draw_sample(seed: int = SAMPLE_SEED) -> Sample:
    """Draw the sample case (some seconds on one core; the same every time).

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
    near = bounding_box(liver, margin=8)
    assert near is not None
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
    return Sample(CtVolume(shipped_hu(hu), body.geometry, NAME), liver, labels, tuple(lesions))


def shipped_hu(hu_zyx: NDArray[np.float32]) -> NDArray[np.int16]:
    """Whole HU from -1024 to 600; below -200 in steps of 50, so that the file stays small."""
    hu = np.clip(np.rint(hu_zyx), LOWEST_HU, HIGHEST_HU)
    steps = np.rint((FINE_FROM_HU - hu) / COARSE_STEP_HU)
    coarse = np.maximum(FINE_FROM_HU - COARSE_STEP_HU * steps, LOWEST_HU)
    return np.where(hu < FINE_FROM_HU, coarse, hu).astype(np.int16)


def write_sample(sample: Sample, folder: Path) -> tuple[Path, Path]:
    """Write the CT and its truth, a segmentation with the liver and each lesion, as they are shipped.

    Returns:
        Both files.

    Raises:
        OutputError: they cannot be written.
    """
    ct_path, truth_path = folder / CT_FILE, folder / TRUTH_FILE
    geometry = sample.volume.geometry
    with replacing(ct_path) as part:
        nrrd.write_image(part, sample.volume.hu_zyx, geometry, level=9)
    segments = [_segment("liver", "Liver", LIVER, 0, 1, sample.liver_zyx)]
    for lesion in sample.lesions:
        name = f"Lesion {lesion.number}: {lesion.lesion_type.name.lower()}, {lesion.diameter_mm:.0f} mm"
        mask = sample.lesion_labels_zyx == lesion.number
        colour = lesion_colour(lesion.number)
        segments.append(_segment(f"lesion_{lesion.number}", name, colour, 1, lesion.number, mask))
    layers = (sample.liver_zyx.astype(np.uint8), sample.lesion_labels_zyx.astype(np.uint8))
    with replacing(truth_path) as part:
        nrrd.write_segmentation(part, layers, geometry, segments)
    return ct_path, truth_path


def _segment(
    segment_id: str,
    name: str,
    colour: tuple[float, float, float],
    layer: int,
    label: int,
    mask_zyx: NDArray[np.bool_],
) -> nrrd.FileSegment:
    z, y, x = Mask.of(mask_zyx).slices
    extent = (x.start, x.stop - 1, y.start, y.stop - 1, z.start, z.stop - 1)
    return nrrd.FileSegment(segment_id, name, colour, {}, layer, label, extent)


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
