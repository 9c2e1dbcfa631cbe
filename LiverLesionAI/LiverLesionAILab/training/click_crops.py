"""Crops for the network that answers clicks: a lesion, an outline of it that errs, the clicks so far.

The outline is what a click in the lesion gives by surfaces (`stages.detect.star`), or the truth spoilt as
segmenters and readers spoil it, with a click in what is wrong. Made once for each scan and kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.detect.click_input import (
    DEPTH,
    EDGE,
    HU_LIMITS,
    Clicks,
    crop_grid,
    distance_channel,
    near_liver,
    signed_distance,
)
from LiverLesionAILib.stages.detect.point import PointSettings, frame_round
from LiverLesionAILib.stages.detect.star import LiverLevel, Surroundings, outline_star
from LiverLesionAILib.volume.masks import ball_diameter_mm, components
from numpy.typing import NDArray
from scipy import ndimage

from ..data.cases import LIVER_OR_TUMOUR, UNKNOWN, TrainingCase, decode_hu
from .click_places import deepest, depth_in, worst
from .kept_folders import write_folder

SMALLEST_MM = 4.0
"""Lesions below this diameter are not learnt from: their outline is a matter of two voxels."""

DEEP = 0.35
"""A click lies at least so deep, as a share of the greatest depth: readers don't aim at the edge."""

CORRECTED = 0.75
"""Share of spoilt outlines with a click in what is wrong; of the others the first click alone is known."""

POINT = Rules().part(PointSettings)


@dataclass(frozen=True)
class CropMeta:
    """What is known of a crop.

    Attributes:
        scan, patient, kind: of the case, see :class:`~..data.cases.TrainingCase`.
        diameter_mm: of the lesion's ball.
        level_hu, spread_hu: of the liver.
        pixel_mm, depth_mm: of the crop.
        inside, outside: clicks, voxels of the crop.
    """

    scan: str
    patient: str
    kind: str
    diameter_mm: float
    level_hu: float
    spread_hu: float
    pixel_mm: float
    depth_mm: float
    inside: tuple[tuple[float, float, float], ...]
    outside: tuple[tuple[float, float, float], ...]


@dataclass(frozen=True, eq=False)
class TrainingCrop:
    """A crop: what is known of it, and (DEPTH, EDGE, EDGE) each.

    Attributes:
        hu: float16; distance: int8, 127 times :func:`distance_channel`; near: bool.
        truth: uint8, 255 times the share of lesion; unknown: bool, what teaches nothing.
    """

    meta: CropMeta
    hu: NDArray[np.float16]
    distance: NDArray[np.int8]
    near: NDArray[np.bool_]
    truth: NDArray[np.uint8]
    unknown: NDArray[np.bool_]


@dataclass(frozen=True)
class CropCounts:
    """How many crops a scan gives.

    Attributes:
        lesions: at most, drawn by chance; clicks: places in each of them; views: crops of each outline.
    """

    lesions: int
    clicks: int
    views: int


def crops_of(case: TrainingCase, rng: np.random.Generator, counts: CropCounts) -> list[TrainingCrop]:
    """The crops of a case's lesions, which are the pieces of its tumour."""
    hu, labels, spacing = decode_hu(case.grey_zyx), np.asarray(case.labels_zyx), case.spacing_zyx_mm
    liver = (labels == 1) | (labels == 2) | (labels == LIVER_OR_TUMOUR)
    near, level = near_liver(liver, spacing), LiverLevel.of(hu, liver, spacing)
    pieces, count = components(labels == 2)
    voxel, found = float(np.prod(spacing)), []
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    numbers = [n for n in range(1, count + 1) if ball_diameter_mm(float(sizes[n]) * voxel) >= SMALLEST_MM]
    for number in rng.permutation(numbers)[: counts.lesions].tolist():
        lesion = pieces == number
        diameter = ball_diameter_mm(float(sizes[number]) * voxel)
        for place in (*_places(lesion, spacing, rng, counts.clicks), None):
            seed = deepest(lesion, spacing) if place is None else place
            frame, at = frame_round(seed, hu.shape, spacing, POINT.point_reach_mm)
            seen = Surroundings(hu[frame], spacing, near[frame], level)
            if not seen.inside_zyx[at]:
                continue
            truth, clicks = lesion[frame], Clicks((tuple(map(float, at)),))  # type: ignore[arg-type]
            if place is None:
                drawn = spoilt(truth, spacing, rng) & seen.inside_zyx
                clicks = _corrected(drawn, truth, spacing, clicks, rng)
            else:
                drawn = outline_star(seen, at, POINT)
            unknown = np.isin(labels[frame], (UNKNOWN, LIVER_OR_TUMOUR)) | ((labels[frame] == 2) & ~truth)
            for view in range(counts.views):
                found.append(_crop(case, diameter, seen, drawn, truth, unknown, clicks, rng, view > 0))
    return found


def _places(
    lesion: NDArray[np.bool_], spacing: Sequence[float], rng: np.random.Generator, count: int
) -> list[NDArray[np.int_]]:
    """Where it is clicked on: where it is deepest, then anywhere deep in it."""
    (box,) = ndimage.find_objects(lesion.astype(np.uint8))
    depth = depth_in(lesion[box], spacing)
    deep = np.argwhere(depth >= DEEP * depth.max()) + [s.start for s in box]
    return [deepest(lesion, spacing), *(deep[int(rng.integers(len(deep)))] for _ in range(count - 1))]


def _corrected(
    drawn: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    spacing: Sequence[float],
    clicks: Clicks,
    rng: np.random.Generator,
) -> Clicks:
    wrong = worst(drawn, truth, spacing)
    if wrong is None or rng.random() >= CORRECTED:
        return clicks
    place, missing = wrong
    return Clicks((*clicks.inside, place)) if missing else Clicks(clicks.inside, (place,))


def spoilt(truth: NDArray[np.bool_], spacing: Sequence[float], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A lesion's outline as segmenters and readers err: too large, too small, moved, half, with a leak."""
    radius = float(np.cbrt(truth.sum() * np.prod(spacing) * 0.75 / np.pi))
    field = ndimage.gaussian_filter(
        rng.standard_normal(truth.shape, np.float32), [max(radius / 2, 1.5) / s for s in spacing]
    )
    rough = field / max(float(field.std()), 1e-6) * np.float32(rng.uniform(0, 0.35) * radius)
    out = signed_distance(truth, spacing) + np.float32(rng.uniform(-0.45, 0.5) * radius) + rough > 0
    lesion = np.argwhere(truth)
    mm = [np.arange(n) * s for n, s in zip(truth.shape, spacing, strict=True)]
    kind = int(rng.integers(4))
    if kind == 1:
        by = np.round(rng.uniform(-0.4, 0.4, 3) * radius / np.array(spacing)).astype(int)
        out = np.roll(out, tuple(by.tolist()), (0, 1, 2))
    elif kind == 2:
        towards = rng.standard_normal(3)
        towards /= np.linalg.norm(towards)
        far = [
            d * (axis - c * s)
            for d, axis, c, s in zip(towards, mm, lesion.mean(axis=0), spacing, strict=True)
        ]
        height = far[0][:, None, None] + far[1][:, None] + far[2]
        out = out & (height < rng.uniform(-0.2, 0.5) * radius)
    elif kind == 3:
        centre = lesion[int(rng.integers(len(lesion)))]
        away = [np.square(axis - c * s) for axis, c, s in zip(mm, centre, spacing, strict=True)]
        out = out | (
            away[0][:, None, None] + away[1][:, None] + away[2] < (rng.uniform(0.5, 1.1) * radius) ** 2
        )
    return np.asarray(out, bool)


def _crop(
    case: TrainingCase,
    diameter_mm: float,
    seen: Surroundings,
    drawn: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    unknown: NDArray[np.bool_],
    clicks: Clicks,
    rng: np.random.Generator,
    moved: bool,
) -> TrainingCrop:
    scale, shift = 1.0, np.zeros(3)
    if moved:
        scale, shift = float(2 ** rng.uniform(-0.3, 0.4)), rng.uniform(-1, 1, 3) * (1.5, 5, 5)
    grid = crop_grid(drawn, clicks, seen.spacing_zyx_mm, scale, shift)
    inside, outside = (
        tuple((float(z), float(y), float(x)) for z, y, x in grid.inside_crop(points))
        for points in (clicks.inside, clicks.outside)
    )
    meta = CropMeta(
        case.name,
        case.patient,
        case.kind,
        diameter_mm,
        seen.liver.hu,
        seen.liver.spread_hu,
        grid.pixel_mm,
        grid.depth_mm,
        inside,
        outside,
    )
    return TrainingCrop(
        meta,
        grid.drawn(np.clip(seen.hu_zyx, *HU_LIMITS), HU_LIMITS[0]).astype(np.float16),
        np.rint(127 * distance_channel(drawn, grid)).astype(np.int8),
        grid.drawn(seen.inside_zyx, 0.0) > 0.5,
        np.rint(255 * grid.drawn(truth, 0.0)).astype(np.uint8),
        grid.drawn(unknown, 0.0) > 0.3,
    )


def save_crops(crops: Sequence[TrainingCrop], folder: Path) -> None:
    """Write crops, whole or not at all."""

    def write(beside: Path) -> None:
        for name in ("hu", "distance", "near", "truth", "unknown"):
            whole = [getattr(crop, name) for crop in crops]
            np.save(beside / f"{name}.npy", np.stack(whole) if whole else np.zeros((0, DEPTH, EDGE, EDGE)))
        (beside / "crops.json").write_text(json.dumps([asdict(crop.meta) for crop in crops]))

    write_folder(folder, write, load_crops)


def load_crops(folder: Path) -> list[TrainingCrop]:
    """What :func:`save_crops` wrote, its arrays memory-mapped.

    Raises:
        OSError, ValueError, KeyError: it is missing or damaged.
    """
    metas = json.loads((folder / "crops.json").read_text(encoding="utf-8"))
    if not metas:
        return []
    parts = [
        np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in ("hu", "distance", "near", "truth", "unknown")
    ]
    return [TrainingCrop(CropMeta(**meta), *each) for meta, *each in zip(metas, *parts, strict=True)]
