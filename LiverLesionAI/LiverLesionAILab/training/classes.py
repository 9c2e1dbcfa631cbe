"""Liver slices of known class for DADRN: synthetic lesions of one type each in synthetic bodies and in real
livers.

A liver gets lesions of one type, with the enhancement that this type has in the phase of the scan
(:mod:`..synthesis.appearance`); slices through them carry the type, slices of the same liver without any are
normal. Portal venous livers also serve as arterial ones, their vessels turned as dark as before they fill.
Metastases and treated lesions are made as well: they are of none of the five classes, and a classifier that
has seen what it must not name says so more reliably than one that has not (outlier exposure, Hendrycks et
al. 2019).

Slices are kept whole, 8 bits, on one canvas around the liver, in files that all training processes share.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.models.inputs import InputSpec, liver_level_hu
from LiverLesionAILib.networks.dadrn import CLASSES
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import NDArray
from scipy import ndimage

from ..data.cases import TrainingCase, cached, crop_to_liver, decode_hu, encode_hu, lits_cases
from ..synthesis.appearance import LesionType, Phase
from ..synthesis.distractors import DistractorSettings, add_distractors
from ..synthesis.lesions import LesionSettings, add_lesions
from .bank import load_shapes, move_whole, synthesis_pool

VERSION = 2

OUTLIER = len(CLASSES)
"""Label of lesions that are of none of the classes."""

LABEL_OF: dict[LesionType, int] = {
    LesionType.CYST: 1,
    LesionType.FNH: 2,
    LesionType.HCC: 3,
    LesionType.HAEMANGIOMA: 4,
    LesionType.METASTASIS: OUTLIER,
    LesionType.TREATED: OUTLIER,
}

LIVER_BIT, LESION_BIT = 1, 2


def class_name(label: int) -> str:
    """Of a label; "" for outliers."""
    return CLASSES[label] if label < OUTLIER else ""


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
    diameter_mm: tuple[float, float] = (7.0, 90.0)
    median_mm: dict[str, float] = field(
        default_factory=lambda: {"FNH": 30.0, "HCC": 33.0, "CYST": 20.0, "HEM": 22.0, "": 21.0}
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
        return hashlib.sha256(f"{VERSION} {sorted(asdict(self).items())}".encode()).hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class ClassSlices:
    """Slices of one source.

    Attributes:
        data: (n, in_slices + 1, canvas, canvas) uint8: neighbours and the slice, see
            :func:`~.cases.encode_hu`; last the masks of the slice, bit 1 liver (with its lesions), bit 2
            lesion.
        labels: (n,) index in CLASSES, or OUTLIER.
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


class _Gathering:
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
    gathering: _Gathering,
    hu: NDArray[np.float32],
    liver: NDArray[np.bool_],
    spared: NDArray[np.bool_] | None,
    kind: LesionType,
    phase: Phase,
    shapes: object | None,
    rng: np.random.Generator,
) -> None:
    """Put lesions of one type into a liver and keep slices through them."""
    settings = gathering.settings
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
            median_mm=settings.median_mm[class_name(LABEL_OF[kind])],
            spread=settings.spread,
            large_share=0.03,
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
    gathering.add(made.hu_zyx, made.liver_zyx, lesion, LABEL_OF[kind], phase, chosen)


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
    window = []
    for axis in range(3):
        used = np.flatnonzero(body.liver_zyx.any(axis=tuple(a for a in range(3) if a != axis)))
        window.append(slice(max(0, int(used[0]) - 6), int(used[-1]) + 7))
    cut = tuple(window)
    hu = body.hu_zyx[cut].astype(np.float32)
    return _from_liver(
        hu, body.liver_zyx[cut], None, phase, False, settings, shapes_file, rng, settings.per_type
    ).done(f"body{number:04d}", "body")


def real_slices(case: TrainingCase, settings: ClassSettings, shapes_file: Path | None) -> ClassSlices:
    """Slices of a real liver: as it is and as an arterial one, without its own lesions."""
    digits = int(hashlib.sha256(case.name.encode()).hexdigest()[:8], 16)
    rng = np.random.default_rng((settings.seed, digits, 12))
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
) -> _Gathering:
    bank = load_shapes(shapes_file) if shapes_file is not None else None
    gathering = _Gathering(settings)
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
    return gathering


def save_slices(slices: ClassSlices, folder: Path) -> None:
    """Write `data.npy` and `slices.json`, whole or not at all."""
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    np.save(beside / "data.npy", slices.data)
    meta = {
        "labels": slices.labels.tolist(),
        "groups": slices.groups.tolist(),
        "phases": slices.phases,
        "source": slices.source,
        "kind": slices.kind,
        "patient": slices.patient,
    }
    (beside / "slices.json").write_text(json.dumps(meta))
    move_whole(beside, folder, lambda: bool(load_slices(folder)))


def load_slices(folder: Path) -> ClassSlices:
    """What :func:`save_slices` wrote, memory-mapped.

    Raises:
        OSError, ValueError, KeyError: it is missing or damaged.
    """
    meta = json.loads((folder / "slices.json").read_text())
    data = np.load(folder / "data.npy", mmap_mode="r", allow_pickle=False)
    return ClassSlices(
        data,
        np.array(meta["labels"], int),
        np.array(meta["groups"], int),
        tuple(meta["phases"]),
        meta["source"],
        meta["kind"],
        meta["patient"],
    )


def _make_body(task: tuple[int, ClassSettings, Path | None, Path]) -> None:
    number, settings, shapes, folder = task
    save_slices(body_slices(number, settings, shapes), folder)


def _make_real(task: tuple[TrainingCase, ClassSettings, Path | None, Path]) -> None:
    case, settings, shapes, folder = task
    save_slices(real_slices(case, settings, shapes), folder)


def class_bank(
    settings: ClassSettings,
    cache: Path,
    shapes: Path | None,
    *,
    real: Sequence[TrainingCase] = (),
    workers: int = 1,
    progress: Progress = silent,
) -> list[ClassSlices]:
    """Make (or find) the class slices of all bodies and of `real` livers under `cache`."""
    folder = cache / f"classes-{replace(settings, bodies=0).key()}"
    jobs = [
        (_make_body, (number, settings, shapes, folder / f"body{number:04d}"))
        for number in range(settings.bodies)
    ]
    jobs += [(_make_real, (case, settings, shapes, folder / case.name)) for case in real]
    missing = [job for job in jobs if not _there(job[1][3])]
    if missing and workers == 1:
        # Starting a process takes longer than a small bank.
        for done, (make, task) in enumerate(missing, start=1):
            make(task)
            progress("synthesising slices of every class", done / len(missing))
    elif missing:
        with synthesis_pool(workers) as pool:
            for done, future in enumerate([pool.submit(make, task) for make, task in missing], start=1):
                future.result()
                progress("synthesising slices of every class", done / len(missing))
    return [load_slices(job[1][3]) for job in jobs]


def _there(folder: Path) -> bool:
    try:
        load_slices(folder)
    except (OSError, ValueError, KeyError):
        return False
    return True


def real_livers(data: Path, cache: Path, spec: InputSpec) -> list[TrainingCase]:
    """Real livers for class slices: the labelled ones, and those that are free of lesions."""
    from .healthy import healthy_cases

    cases = [crop_to_liver(c, 15.0) for c in lits_cases(data, cache / "cases", spec.spacing_zyx_mm)]
    grid = list(spec.spacing_zyx_mm)
    made: list[TrainingCase] = []

    def healthy(name: str) -> TrainingCase:
        if not made:
            made.extend(healthy_cases(data, spec.spacing_zyx_mm))
        return next(c for c in made if c.name == name)

    for name in ("smooth", "torso"):
        settings = {"name": f"class-{name}", "spacing": grid, "version": 1}
        try:
            case = cached(cache / "cases", settings, lambda name=name: healthy(name))
        except StopIteration:
            continue
        cases.append(crop_to_liver(case, 15.0))
    return cases
