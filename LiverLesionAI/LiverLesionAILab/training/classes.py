"""Liver slices of known class for DADRN: synthetic lesions of one type each, in synthetic and real livers.

A liver gets lesions of one type, with the enhancement that this type has in the phase of the scan
(:mod:`..synthesis.appearance`); slices through them carry the type, slices of the same liver without any are
normal. Portal venous livers also serve as arterial ones, their vessels turned as dark as before they fill.
Metastases, benign changes and treated lesions are made as well. A network of the five published classes
learns to name none of them: a classifier that has seen what it must not name says so more reliably than one
that has not (outlier exposure, Hendrycks et al. 2019). One with classes for metastases and benign changes
learns those.

Slices are whole, 8 bits, on one canvas around the liver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from LiverLesionAILib.models.inputs import InputSpec, liver_level_hu
from LiverLesionAILib.networks.dadrn import PHASED_CLASSES
from LiverLesionAILib.volume.masks import bounding_box
from numpy.typing import NDArray
from scipy import ndimage

from ..data.cases import TrainingCase, decode_hu, encode_hu
from ..synthesis.appearance import LesionType, Phase
from ..synthesis.distractors import DistractorSettings, add_distractors
from ..synthesis.lesions import LesionSettings, add_lesions
from .bank import load_shapes
from .class_looks import benign_look, metastasis_look
from .kept_folders import name_digits, settings_key

VERSION = 3

METASTASIS, BENIGN = (PHASED_CLASSES.index(name) for name in ("MET", "BENIGN"))
OUTLIER = len(PHASED_CLASSES)
"""Label of lesions that are of none of the classes; to a network of fewer classes so are those it lacks."""

LABEL_OF: dict[LesionType, int] = {
    LesionType.CYST: 1,
    LesionType.FNH: 2,
    LesionType.HCC: 3,
    LesionType.HAEMANGIOMA: 4,
    LesionType.METASTASIS: METASTASIS,
    LesionType.TREATED: OUTLIER,
}

LIVER_BIT, LESION_BIT = 1, 2


def class_name(label: int) -> str:
    """Of a label; "" for outliers."""
    return PHASED_CLASSES[label] if label < OUTLIER else ""


@dataclass(frozen=True)
class ClassSettings:
    """What a bank of class slices holds.

    Attributes:
        spec: grid and number of slices of a sample.
        canvas: edge of the stored square, pixels; the liver's middle lies in its middle.
        bodies: number of synthetic bodies.
        per_type: liver volumes of each lesion type a body gives; real_per_type: a real liver gives.
        slices: kept of each volume.
        arterial: share of arterial scans; the rest is portal venous, a few unenhanced and delayed.
        habits: metastases have all their habits, and benign changes are made as well (:mod:`.class_looks`).
        diameter_mm, median_mm, spread: sizes of lesions, log-normal; the median by class, "" for outliers.
        smallest_mm2: a slice through less of a lesion than that shows its class to nobody.
        seed: of everything.
    """

    spec: InputSpec
    canvas: int = 184
    bodies: int = 200
    per_type: int = 2
    real_per_type: int = 8
    slices: int = 4
    arterial: float = 0.7
    habits: bool = False
    diameter_mm: tuple[float, float] = (7.0, 90.0)
    median_mm: dict[str, float] = field(
        default_factory=lambda: {
            "FNH": 30.0,
            "HCC": 33.0,
            "CYST": 20.0,
            "HEM": 22.0,
            "MET": 21.0,
            "BENIGN": 24.0,
            "": 21.0,
        }
    )
    spread: float = 0.55
    smallest_mm2: float = 30.0
    distractors: DistractorSettings = field(
        default_factory=lambda: DistractorSettings(
            gallbladder=0.0, bowel=0.0, fluid=0.0, fissure=0.1, dark_vessels=0.1, turned_vessels=0.1
        )
    )
    seed: int = 0

    def key(self) -> str:
        """Names the folder of a bank made with these settings."""
        return settings_key(self, VERSION)


@dataclass(frozen=True, eq=False)
class ClassSlices:
    """Slices of one source.

    Attributes:
        data: (n, in_slices + 1, canvas, canvas) uint8: neighbours and the slice, see
            :func:`~.cases.encode_hu`; last the masks of the slice, bit 1 liver (with its lesions), bit 2
            lesion.
        labels: (n,) index in PHASED_CLASSES, or OUTLIER.
        groups: (n,) number of the liver volume within the source: slices of one share their lesions.
        phases: (n,) of the scan.
        source: name; kind: "body" or "real"; patient: of real ones.
    """

    data: NDArray[np.uint8]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    phases: tuple[str, ...]
    source: str
    kind: str
    patient: str = ""


def arterialised(
    hu_zyx: NDArray[np.float32],
    liver_zyx: NDArray[np.bool_],
    spacing_zyx_mm: tuple[float, float, float],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """A portal venous liver as it looks before its veins fill: parenchyma of 58 to 90 HU, vessels dark."""
    level = liver_level_hu(hu_zyx[liver_zyx])
    sigma = [1.5 / s for s in spacing_zyx_mm]
    smooth = ndimage.gaussian_filter(hu_zyx, sigma)
    vessels = np.clip(smooth - np.float32(level + 8), 0, 80) * liver_zyx
    out = hu_zyx - np.float32(rng.uniform(0.5, 1.35)) * vessels
    return out + np.float32(rng.uniform(58, 90) - level) * liver_zyx


def slices_of(
    hu_zyx: NDArray,
    liver_zyx: NDArray[np.bool_],
    lesion_zyx: NDArray[np.bool_],
    chosen: Sequence[int],
    settings: ClassSettings,
) -> NDArray[np.uint8]:
    """The samples around slices `chosen`: (n, in_slices + 1, canvas, canvas) as in :class:`ClassSlices`."""
    spec, canvas = settings.spec, settings.canvas
    out = np.zeros((len(chosen), spec.in_slices + 1, canvas, canvas), np.uint8)
    grey = encode_hu(hu_zyx)
    masks = liver_zyx.astype(np.uint8) * LIVER_BIT + lesion_zyx.astype(np.uint8) * LESION_BIT
    for number, z in enumerate(chosen):
        ys, xs = np.nonzero(liver_zyx[z])
        middle = ((ys.min() + ys.max()) // 2, (xs.min() + xs.max()) // 2)
        take, put = [], []
        for centre, size in zip(middle, hu_zyx.shape[1:], strict=True):
            start = int(centre) - canvas // 2
            low, high = max(0, start), min(size, start + canvas)
            take.append(slice(low, high))
            put.append(slice(low - start, high - start))
        order = spec.stack_indices(np.array([z]), hu_zyx.shape[0])[0]
        out[(number, slice(0, spec.in_slices), *put)] = grey[(order, *take)]
        out[(number, spec.in_slices, *put)] = masks[(z, *take)]
    return out


def eligible_slices(
    lesion_zyx: NDArray[np.bool_],
    liver_zyx: NDArray[np.bool_],
    spared_zyx: NDArray[np.bool_] | None,
    wanted: bool,
    settings: ClassSettings,
) -> NDArray[np.intp]:
    """Slices that show a lesion well (`wanted`), or none at all, also not beside them.

    Args:
        spared_zyx: what is of unknown class (real lesions); slices with or next to it are left out.
    """
    spacing = settings.spec.spacing_zyx_mm
    pixel_mm2 = spacing[1] * spacing[2]
    liver_mm2 = liver_zyx.sum(axis=(1, 2)) * pixel_mm2
    good = liver_mm2 > 1500
    areas = lesion_zyx.sum(axis=(1, 2)) * pixel_mm2
    if wanted:
        good &= areas >= max(settings.smallest_mm2, 0.3 * float(areas.max()))
    else:
        good &= ~ndimage.binary_dilation(areas > 0, iterations=2)
    if spared_zyx is not None:
        good &= ~ndimage.binary_dilation(spared_zyx.any(axis=(1, 2)), iterations=2)
    return np.flatnonzero(good)


class Gathering:
    """Slices as they are made."""

    def __init__(self, settings: ClassSettings) -> None:
        self.settings = settings
        self.data: list[NDArray[np.uint8]] = []
        self.labels: list[int] = []
        self.groups: list[int] = []
        self.phases: list[str] = []

    def add(
        self,
        hu: NDArray,
        liver: NDArray[np.bool_],
        lesion: NDArray[np.bool_],
        label: int,
        phase: Phase,
        slices: NDArray[np.intp],
    ) -> None:
        """Keep the given slices of a volume."""
        if not len(slices):
            return
        group = self.groups[-1] + 1 if self.groups else 0
        self.data.append(slices_of(hu, liver, lesion, list(slices), self.settings))
        self.labels += [label] * len(slices)
        self.groups += [group] * len(slices)
        self.phases += [phase.value] * len(slices)

    def done(self, source: str, kind: str, patient: str = "") -> ClassSlices:
        """All that was kept."""
        edge, depth = self.settings.canvas, self.settings.spec.in_slices + 1
        data = np.concatenate(self.data) if self.data else np.zeros((0, depth, edge, edge), np.uint8)
        return ClassSlices(
            data,
            np.array(self.labels, int),
            np.array(self.groups, int),
            tuple(self.phases),
            source,
            kind,
            patient,
        )


def lesion_slices(
    gathering: Gathering,
    hu: NDArray[np.float32],
    liver: NDArray[np.bool_],
    spared: NDArray[np.bool_] | None,
    kind: LesionType,
    phase: Phase,
    shapes: object | None,
    rng: np.random.Generator,
    label: int | None = None,
) -> None:
    """Put lesions of one type into a liver and keep slices through them.

    Args:
        label: of the slices; None takes the type's. BENIGN makes benign changes whatever the type.
    """
    settings = gathering.settings
    label = LABEL_OF[kind] if label is None else label
    look = {METASTASIS: metastasis_look, BENIGN: benign_look}.get(label) if settings.habits else None
    made = add_lesions(
        hu,
        liver,
        settings.spec.spacing_zyx_mm,
        rng,
        LesionSettings(
            count=int(rng.choice((1, 2, 3, 4), p=(0.5, 0.25, 0.15, 0.1))),
            type_weights={kind: 1.0},
            phase=phase,
            diameter_mm=settings.diameter_mm,
            median_mm=settings.median_mm[class_name(label)],
            spread=settings.spread,
            large_share=0.03,
            look=look,
        ),
        occupied_zyx=spared,
        shape_bank=shapes,  # type: ignore[arg-type]
    )
    visible = [
        lesion.number
        for lesion in made.lesions
        if abs(lesion.contrast_hu) >= 10 or lesion.appearance.nodules_hu or lesion.appearance.scar_fraction
    ]
    if not visible or len(visible) < len(made.lesions):
        # What nobody can see would teach that a normal liver has this class.
        return
    lesion = made.labels_zyx > 0
    slices = eligible_slices(lesion, made.liver_zyx, spared, True, settings)
    chosen = rng.permutation(slices)[: settings.slices]
    gathering.add(made.hu_zyx, made.liver_zyx, lesion, label, phase, chosen)


def body_slices(number: int, settings: ClassSettings, shapes_file: Path | None) -> ClassSlices:
    """Slices of synthetic body `number`: every lesion type, and none."""
    from ..synthesis.body import BodySettings, make_body
    from ..synthesis.organs import Phase as BodyPhase

    rng = np.random.default_rng((settings.seed, number, 11))
    rest = 1 - settings.arterial
    phases = (Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED, Phase.UNENHANCED)
    drawn = int(rng.choice(4, p=(settings.arterial, 0.7 * rest, 0.15 * rest, 0.15 * rest)))
    phase = phases[drawn]
    body = make_body(
        rng,
        BodySettings(
            spacing_zyx_mm=settings.spec.spacing_zyx_mm,
            phase=BodyPhase(phase.value),
            top_mm=20.0,
            bottom_mm=-200.0,
            coarse_mm=3.0,
        ),
    )
    cut = bounding_box(body.liver_zyx, margin=6)
    assert cut is not None
    hu = body.hu_zyx[cut].astype(np.float32)
    return _from_liver(
        hu, body.liver_zyx[cut], None, phase, False, settings, shapes_file, rng, settings.per_type
    ).done(f"body{number:04d}", "body")


def real_slices(case: TrainingCase, settings: ClassSettings, shapes_file: Path | None) -> ClassSlices:
    """Slices of a real liver: as it is and as an arterial one, without its own lesions."""
    rng = np.random.default_rng((settings.seed, name_digits(case.name), 12))
    hu = decode_hu(case.grey_zyx)
    spared = case.labels_zyx == 2
    liver = (case.labels_zyx == 1) | spared
    for plane in liver:
        # As the pipeline hands it over; what is of unknown class within counts as liver.
        ndimage.binary_fill_holes(plane, output=plane)
    gathering = _from_liver(
        hu,
        liver,
        ndimage.binary_dilation(spared, iterations=2) if spared.any() else None,
        Phase.PORTAL_VENOUS,
        True,
        settings,
        shapes_file,
        rng,
        settings.real_per_type,
    )
    return gathering.done(case.name, "real", case.patient)


def _from_liver(
    hu: NDArray[np.float32],
    liver: NDArray[np.bool_],
    spared: NDArray[np.bool_] | None,
    phase: Phase,
    real: bool,
    settings: ClassSettings,
    shapes_file: Path | None,
    rng: np.random.Generator,
    per_type: int,
) -> Gathering:
    bank = load_shapes(shapes_file) if shapes_file is not None else None
    gathering = Gathering(settings)
    none = np.zeros(liver.shape, bool)
    spacing = settings.spec.spacing_zyx_mm

    def turned() -> tuple[NDArray[np.float32], Phase]:
        if real and rng.random() < settings.arterial:
            return arterialised(hu, liver, spacing, rng), Phase.ARTERIAL
        return hu, phase

    free = eligible_slices(none, liver, spared, False, settings)
    if real:
        gathering.add(hu, liver, none, 0, phase, free)
    for _ in range(2 * per_type):
        image, seen_as = turned()
        changed = add_distractors(image, liver, spacing, rng, settings.distractors, protected_zyx=spared)
        slices = rng.permutation(free)[: settings.slices]
        gathering.add(changed.hu_zyx, changed.liver_zyx, none, 0, seen_as, slices)
    for kind in LABEL_OF:
        # Both kinds of outliers together weigh as much as one class.
        for _ in range(per_type if kind is not LesionType.TREATED else (per_type + 1) // 2):
            image, seen_as = turned()
            lesion_slices(gathering, image, liver, spared, kind, seen_as, bank, rng)
    for _ in range(per_type if settings.habits else 0):
        image, seen_as = turned()
        lesion_slices(gathering, image, liver, spared, LesionType.METASTASIS, seen_as, bank, rng, BENIGN)
    return gathering
