"""Training cases of the gallbladder network.

Labels 0 background, 1 liver with its lesions, 2 gallbladder with its wall, 255 unknown.

Kinds: "outlined" and "none" are real axial slices; "painted" are slices without a gallbladder that got a
synthetic one; "tissue" are the labelled real volumes with a synthetic one; "gallbladder body" are synthetic
bodies. Lesions of the liver are put beside the fossa in many of them: what lies there is not always the
gallbladder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import NDArray
from scipy import ndimage

from ..data.axial_slices import AxialSlice, axial_slices
from ..data.cases import UNKNOWN, TrainingCase, decode_hu, encode_hu
from ..synthesis.anatomy import FOSSA, VISCERAL
from ..synthesis.gallbladders import add_gallbladder, fossa_spot, restate
from ..synthesis.lesions import LesionSettings, LesionType, add_lesions
from ..synthesis.pool import synthesis_pool
from ..synthesis.tissue import LiverTissue
from .bank import load_mapped, save_mapped

VERSION = 1
GRID_MM = 1.5
SLAB = 9
"""A slice is repeated so often where something is painted into it; the middle one is kept."""

FOSSA_LESIONS = {
    LesionType.METASTASIS: 0.4,
    LesionType.CYST: 0.35,
    LesionType.HCC: 0.12,
    LesionType.HAEMANGIOMA: 0.08,
    LesionType.TREATED: 0.05,
}


@dataclass(frozen=True)
class GallbladderMix:
    """How many synthetic cases, and what is in them.

    Attributes:
        paintings: synthetic gallbladders per real slice without one.
        tissue_variants: synthetic variants of each labelled real volume.
        bodies: synthetic bodies.
        gallbladder: chance that a slice or volume gets a gallbladder, lesions: that it gets lesions nearby.
        seed: of everything.
    """

    paintings: int = 4
    tissue_variants: int = 10
    bodies: int = 28
    gallbladder: float = 0.8
    lesions: float = 0.6
    seed: int = 3

    def key(self) -> str:
        """Names the folder of cases made with these settings."""
        return hashlib.sha256(f"{VERSION} {sorted(asdict(self).items())}".encode()).hexdigest()[:12]

    def smaller(self, count: int) -> GallbladderMix:
        """At most `count` of each kind: enough for a short run."""
        return replace(
            self,
            paintings=min(count, self.paintings),
            tissue_variants=min(count, self.tissue_variants),
            bodies=min(count, self.bodies),
        )


def lesions_near(
    hu_zyx: NDArray,
    liver_zyx: NDArray[np.bool_],
    occupied_zyx: NDArray[np.bool_],
    place_zyx: NDArray,
    spacing_zyx_mm: tuple[float, float, float],
    rng: np.random.Generator,
    reach_mm: float = 30.0,
    settings: LesionSettings | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.uint16]]:
    """Lesions in the liver within `reach_mm` of a place (z, y, x in voxels).

    Returns:
        (hu_zyx, liver_zyx with the lesions, labels_zyx); unchanged where there is no room.
    """
    settings = settings or LesionSettings(
        count=int(rng.integers(1, 3)),
        type_weights=FOSSA_LESIONS,
        diameter_mm=(6.0, 55.0),
        median_mm=16.0,
        large_share=0.0,
        subcapsular_share=0.7,
        least_visibility=(2.0, 5.0),
    )
    axes = np.meshgrid(
        *[(np.arange(n) - c) * s for n, c, s in zip(hu_zyx.shape, place_zyx, spacing_zyx_mm, strict=True)],
        indexing="ij",
        sparse=True,
    )
    near = sum(a**2 for a in axes) < reach_mm**2
    if not (near & liver_zyx).any():
        return np.asarray(hu_zyx, np.float32), liver_zyx, np.zeros(hu_zyx.shape, np.uint16)
    made = add_lesions(
        hu_zyx, liver_zyx, spacing_zyx_mm, rng, settings, occupied_zyx=occupied_zyx, near_zyx=near
    )
    return made.hu_zyx, made.liver_zyx, made.labels_zyx


FOSSA_IN_BODY = ((0.12, 0.45), (0.16, 0.45))
"""Where gallbladders lie in the body's box (y from the front, x from the right): 64 outlined slices span
0.13 to 0.42 and 0.19 to 0.43."""

LARGEST_GAS_MM = 22.0
"""A slice with wider black balls inside the body shows lung: no gallbladder lies there. Of the outlined
slices nine in ten have none wider than 20 mm."""


def body_of(hu_yx: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The body in a slice, without what lies beside it."""
    dense = ndimage.binary_closing(ndimage.binary_opening(hu_yx > -20, iterations=2), iterations=4)
    parts, count = ndimage.label(dense)
    if not count:
        return dense
    return ndimage.binary_fill_holes(parts == 1 + np.bincount(parts.ravel())[1:].argmax())


def shows_lung(hu_yx: NDArray[np.float32], pixel_mm: float) -> bool:
    """Whether a black ball wider than `LARGEST_GAS_MM` fits into the body."""
    empty = ndimage.binary_erosion(body_of(hu_yx), iterations=3) & (hu_yx < -20)
    empty = ndimage.binary_opening(empty)
    return float(ndimage.distance_transform_edt(empty).max()) * pixel_mm > LARGEST_GAS_MM


def likely_spot(
    tissue: LiverTissue,
    rng: np.random.Generator,
    toward_zyx: tuple[float, float, float],
    near_mm: tuple[float, float, float] | None,
    tries: int = 8,
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """A spot of :func:`fossa_spot` that lies where gallbladders lie in a body; None where none does."""
    for _ in range(tries):
        spot = fossa_spot(tissue, rng, toward_zyx, near_mm)
        if spot is None:
            return None
        plane = tissue.hu[min(int(spot[0][0]), tissue.hu.shape[0] - 1)]
        occupied = np.nonzero(body_of(plane))
        if all(
            len(w) and low <= (at - w.min()) / max(1, np.ptp(w)) <= high
            for w, at, (low, high) in zip(occupied, spot[0][1:], FOSSA_IN_BODY, strict=True)
        ):
            return spot
    return None


def painted_slice(source: AxialSlice, number: int, mix: GallbladderMix) -> TrainingCase:
    """Painting `number` of a slice without a gallbladder."""
    return slice_with_lesions(source, number, mix)[0]


def slice_with_lesions(
    source: AxialSlice, number: int, mix: GallbladderMix
) -> tuple[TrainingCase, NDArray[np.uint16]]:
    """Painting `number` of a slice without a gallbladder, and the lesions beside the fossa (1, y, x)."""
    rng = np.random.default_rng((mix.seed, source.number, number, 11))
    plain = source.case(GRID_MM, "painted")
    hu = np.repeat(decode_hu(plain.grey_zyx), SLAB, axis=0)
    labels = np.repeat(plain.labels_zyx, SLAB, axis=0)
    liver = labels == 1
    spacing = plain.spacing_zyx_mm
    no_lesions = np.zeros(plain.labels_zyx.shape, np.uint16)
    if np.count_nonzero(liver[0]) < 400:
        return plain, no_lesions
    tissue = LiverTissue.measure(hu, liver, spacing, rng)
    # The slab has no ends: depth counts in the plane alone.
    flat = np.pad(liver[:1, :: tissue.step[1], :: tissue.step[2]], ((0, 0), (1, 1), (1, 1)))[0]
    plane = ndimage.distance_transform_edt(flat, sampling=(tissue.step * np.array(spacing))[1:])[1:-1, 1:-1]
    tissue.depth_mm = np.repeat(plane[None], tissue.depth_mm.shape[0], axis=0).astype(np.float32)
    # Upright slices: the gallbladder lies on the liver's left and front.
    toward = (0.0, float(rng.uniform(-0.4, 0.5)), 0.85)
    spot = likely_spot(tissue, rng, toward, None)
    if spot is None:
        return plain, no_lesions
    occupied = np.zeros(hu.shape, bool)
    if rng.random() < mix.gallbladder and not shows_lung(hu[0], GRID_MM):
        position = spot[0].copy()
        position[0] = SLAB // 2 + rng.uniform(-6, 6)
        made = add_gallbladder(tissue, rng, spot=(position, spot[1]))
        if made is not None:
            occupied = made[0]
    image, liver, found = tissue.hu, tissue.liver, np.zeros(hu.shape, np.uint16)
    if rng.random() < mix.lesions and liver.any():
        image, liver, found = lesions_near(image, liver, occupied, spot[0], spacing, rng)
    kept = np.where(labels == UNKNOWN, UNKNOWN, 0).astype(np.uint8)
    kept[liver] = 1
    kept[occupied] = 2
    middle = slice(SLAB // 2, SLAB // 2 + 1)
    made = replace(
        plain,
        name=f"{plain.name}-{number}",
        grey_zyx=encode_hu(image[middle]),
        labels_zyx=kept[middle],
    )
    return made, found[middle]


def unknown_fluid(hu_zyx: NDArray[np.float32], liver_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What may be a gallbladder that nobody outlined: fluid and soft tissue outside the liver."""
    smooth = ndimage.gaussian_filter(hu_zyx, (0.5, 1.5, 1.5))
    fluid = ndimage.binary_opening((smooth > -20) & (smooth < 55) & ~liver_zyx, iterations=1)
    return ndimage.binary_dilation(fluid, iterations=2) & ~liver_zyx


def tissue_case(source: TrainingCase, number: int, mix: GallbladderMix) -> TrainingCase:
    """Variant `number` of a labelled real volume; a gallbladder of its own is unknown."""
    name = int.from_bytes(hashlib.sha256(source.name.encode()).digest()[:4], "big")
    rng = np.random.default_rng((mix.seed, name, number, 12))
    hu = decode_hu(source.grey_zyx)
    known = np.isin(source.labels_zyx, (1, 2))
    lesions = source.labels_zyx == 2
    labels = np.where(unknown_fluid(hu, known) | (source.labels_zyx == UNKNOWN), UNKNOWN, 0).astype(np.uint8)
    tissue = LiverTissue.measure(hu, known.copy(), source.spacing_zyx_mm, rng, without=lesions)
    tissue.protected = lesions if lesions.any() else None
    spot = likely_spot(tissue, rng, VISCERAL, FOSSA)
    occupied = np.zeros(hu.shape, bool)
    if spot is not None and rng.random() < mix.gallbladder:
        made = add_gallbladder(tissue, rng, spot=spot)
        if made is not None:
            occupied = made[0]
    image, liver = tissue.hu, tissue.liver
    if spot is not None and rng.random() < mix.lesions:
        image, liver, _ = lesions_near(image, liver, occupied | lesions, spot[0], source.spacing_zyx_mm, rng)
    labels[liver] = 1
    labels[occupied] = 2
    return TrainingCase(
        f"{source.name}-gallbladder{number}",
        source.patient,
        encode_hu(image),
        labels,
        source.spacing_zyx_mm,
        "tissue",
    )


@dataclass(frozen=True, eq=False)
class GallbladderBody:
    """A synthetic body whose gallbladder is known.

    Attributes:
        hu_zyx: float32; labels_zyx: 0 background, 1 liver with lesions, 2 gallbladder.
        lesions_zyx: uint16, lesions beside the fossa.
        spacing_zyx_mm: of the grid; state: the gallbladder's, "" where there is none.
    """

    hu_zyx: NDArray[np.float32]
    labels_zyx: NDArray[np.uint8]
    lesions_zyx: NDArray[np.uint16]
    spacing_zyx_mm: tuple[float, float, float]
    state: str


def gallbladder_body(
    number: int, mix: GallbladderMix, shapes: Path | None = None, lesions: LesionSettings | None = None
) -> GallbladderBody:
    """Body `number`: its own gallbladder in another state, or one put where it has none.

    Args:
        shapes: folder with the ICRP label maps; every fourth body is deformed from them where they are there.
        lesions: beside the fossa; None draws them with the mix's chance.
    """
    from ..synthesis.body import BodySettings, make_body
    from ..synthesis.distractors import DistractorSettings, add_distractors
    from ..synthesis.organs import Organ
    from ..synthesis.phantom_body import find_phantoms, load_phantom, make_phantom_body

    rng = np.random.default_rng((mix.seed, number, 13))
    wanted = BodySettings(spacing_zyx_mm=(3.0, GRID_MM, GRID_MM), isodense_stomach=0.2)
    phantoms = find_phantoms(shapes) if shapes is not None else []
    if phantoms and number % 4 == 2:
        body = make_phantom_body(rng, wanted, load_phantom(phantoms[number // 4 % len(phantoms)]))
    else:
        body = make_body(rng, wanted)
    spacing = body.geometry.spacing_zyx_mm
    own = body.labels_zyx == Organ.GALLBLADDER
    hu, liver = body.hu_zyx.astype(np.float32), body.liver_zyx.copy()
    occupied, state, place = own, "plain" if own.any() else "", None
    tissue = LiverTissue.measure(hu, liver, spacing, rng)
    if own.any():
        place = np.argwhere(own).mean(axis=0)
        if rng.random() < 0.75:
            occupied, look = restate(tissue, own, rng)
            occupied, state = occupied | own, look.state.value
    else:
        spot = fossa_spot(tissue, rng)
        if spot is not None:
            place = spot[0]
            made = add_gallbladder(tissue, rng, spot=spot) if rng.random() < mix.gallbladder else None
            if made is not None:
                occupied, state = made[0], made[1].state.value
    hu, liver = tissue.hu, tissue.liver
    settings = DistractorSettings(gallbladder=0.0, fissure=0.2, dark_vessels=0.1, bowel=0.25, fluid=0.1)
    distracted = add_distractors(hu, liver, spacing, rng, settings, protected_zyx=occupied)
    hu, liver = distracted.hu_zyx, distracted.liver_zyx
    found = np.zeros(hu.shape, np.uint16)
    if place is not None and (lesions is not None or rng.random() < mix.lesions):
        hu, liver, found = lesions_near(hu, liver, occupied, place, spacing, rng, 40.0, lesions)
    labels = liver.astype(np.uint8)
    labels[occupied] = 2
    return GallbladderBody(hu, labels, found, spacing, state)


def _body_case(number: int, mix: GallbladderMix, shapes: Path | None) -> TrainingCase:
    from ..data.cases import crop_to_liver

    body = gallbladder_body(number, mix, shapes)
    case = TrainingCase(
        f"gallbladder-body{number:04d}",
        "",
        encode_hu(body.hu_zyx),
        body.labels_zyx,
        body.spacing_zyx_mm,
        "gallbladder body",
    )
    return crop_to_liver(case, 45.0)


Task = tuple[Callable[..., TrainingCase], tuple, Path]


def _make(task: Task) -> Path:
    make, arguments, target = task
    save_mapped(make(*arguments), target)
    return target


def gallbladder_cases(
    data: Path,
    real: Sequence[TrainingCase],
    cache: Path,
    mix: GallbladderMix | None = None,
    *,
    workers: int = 1,
    progress: Progress = silent,
) -> list[TrainingCase]:
    """All training cases; the validation patients' slices are not among them.

    Args:
        data: folder with `slices/` and, where there, `shapes/`.
        real: labelled volumes on the training grid; they are made into variants, never used as they are.
        cache: synthetic cases are kept there.
    """
    mix = mix or GallbladderMix()
    folder = cache / f"gallbladders-{mix.key()}"
    slices = [one for one in axial_slices(data) if not one.validation]
    tasks: list[Task] = []
    for one in slices:
        if one.kind == "none":
            for number in range(mix.paintings):
                tasks.append((painted_slice, (one, number, mix), folder / f"s{one.number:03d}-{number}"))
    for case in real:
        for number in range(mix.tissue_variants):
            tasks.append((tissue_case, (case, number, mix), folder / f"{case.name}-{number}"))
    for number in range(mix.bodies):
        tasks.append((_body_case, (number, mix, data / "shapes"), folder / f"body{number:04d}"))
    left = [task for task in tasks if not task[2].is_dir()]
    if left:
        with synthesis_pool(workers) as pool:
            for done, _ in enumerate(pool.map(_make, left, chunksize=4), start=1):
                progress("synthesising gallbladders", done / len(left))
    return [one.case(GRID_MM) for one in slices] + [load_mapped(task[2]) for task in tasks]
