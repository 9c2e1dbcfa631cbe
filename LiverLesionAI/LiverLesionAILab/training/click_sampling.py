"""Augmented samples for the network that answers clicks; (seed, number) always give the same one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.models.inputs import InputSpec, liver_level_hu
from LiverLesionAILib.stages.detect.click_input import SCALES, click_channel, scale_for, stacked
from LiverLesionAILib.volume.masks import ball_diameter_mm, components
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ..data.cases import LIVER_OR_TUMOUR, UNKNOWN, TrainingCase, decode_hu

IGNORED = 255
"""Label of voxels that teach nothing."""

SMALLEST_MM = 2.5
"""Pieces of a mask below this diameter are nobody's lesion."""


@dataclass(frozen=True)
class ClickAugment:
    """Chance in a sample.

    Attributes:
        kind_shares: of the kinds of cases; size_shares: of lesions up to so many mm, in the order given.
        deepest: chance that the click is where the lesion is deepest; else it is anywhere in `Site.deep`.
        turn_degree, scale: about the click, in the slices; scale as log2. too_fine: chance of a crop that
            is too small for the lesion, as the first one that is looked at.
        off_centre: chance that the click is not in the crop's middle, and by how many pixels at most.
        recoloured: chance that the lesion's difference from its liver is changed, by factors between these.
        with_probability: chance that a segmenter's probability is shown, made from the truth with errors.
        level_hu, contrast, noise_hu, blur: intensities; contrast as log2 about the liver's level; blur in
            pixels.
        thick: chance of slices that are two or three times as thick.
    """

    kind_shares: tuple[tuple[str, float], ...] = (("real", 0.2), ("variant", 0.62), ("body", 0.18))
    size_shares: tuple[tuple[float, float], ...] = ((8.0, 0.36), (15.0, 0.3), (30.0, 0.22), (500.0, 0.12))
    deepest: float = 0.4
    turn_degree: float = 30.0
    scale: float = 0.35
    too_fine: float = 0.3
    off_centre: tuple[float, float] = (0.35, 8.0)
    recoloured: float = 0.4
    factors: tuple[float, float] = (-0.9, 1.3)
    with_probability: float = 0.4
    level_hu: float = 8.0
    contrast: float = 0.3
    noise_hu: float = 14.0
    blur: float = 0.9
    thick: float = 0.3


@dataclass(frozen=True, eq=False)
class Site:
    """A lesion of a case.

    Attributes:
        case: its number; box: of the lesion in it.
        mask: which voxels of the box are the lesion's.
        deepest, deep: voxels of the box where a click may lie, (3,) and (n, 3).
        extent_mm: of the box; diameter_mm: of the ball of its volume.
    """

    case: int
    box: tuple[slice, slice, slice]
    mask: NDArray[np.bool_]
    deepest: NDArray[np.int_]
    deep: NDArray[np.int_]
    extent_mm: NDArray[np.float64]
    diameter_mm: float


DEEP = 0.35
"""A click lies at least so deep, as a share of the greatest depth: readers don't aim at the edge."""

MOST_PLACES = 500


def sites_of(number: int, case: TrainingCase) -> list[Site]:
    """The lesions of a case: the pieces of its tumour."""
    tumour = np.asarray(case.labels_zyx) == 2
    pieces, count = components(tumour)
    found, spacing = [], np.array(case.spacing_zyx_mm)
    for piece, box in enumerate(ndimage.find_objects(pieces, max_label=count), start=1):
        if box is None:
            continue
        mask = pieces[box] == piece
        diameter = ball_diameter_mm(float(mask.sum() * spacing.prod()))
        if diameter < SMALLEST_MM:
            continue
        depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing)[1:-1, 1:-1, 1:-1]
        deepest = np.array(np.unravel_index(np.argmax(depth), mask.shape))
        deep = np.argwhere(depth >= DEEP * depth.max())
        deep = deep[:: 1 + len(deep) // MOST_PLACES]
        found.append(Site(number, box, mask, deepest, deep, np.array(mask.shape) * spacing, diameter))
    return found


class ClickSampler:
    """Draws a lesion, a click in it, and the crop round it."""

    def __init__(
        self,
        cases: Sequence[TrainingCase],
        spec: InputSpec,
        edge: int,
        seed: int,
        augment: ClickAugment | None = None,
    ) -> None:
        self.cases, self.spec, self.edge, self.seed = list(cases), spec, edge, seed
        self.augment = augment or ClickAugment()
        self.sites = [site for number, case in enumerate(self.cases) for site in sites_of(number, case)]
        if not self.sites:
            raise ValueError("there is no lesion to click on")
        self.shift_hu = [spec.shift_hu(_level(case)) for case in self.cases]
        shares, sizes = dict(self.augment.kind_shares), self.augment.size_shares
        cells: dict[tuple[str, int], list[int]] = {}
        for index, site in enumerate(self.sites):
            band = next(k for k, (largest, _) in enumerate(sizes) if site.diameter_mm <= largest)
            cells.setdefault((self.cases[site.case].kind, band), []).append(index)
        self.cells = {cell: members for cell, members in cells.items() if shares.get(cell[0], 0) > 0}
        weights = np.array([shares[kind] * sizes[band][1] for kind, band in self.cells])
        self.weights = weights / weights.sum()

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """Samples first .. first + size - 1: (B, channels * D, H, W) and labels (B, D, H, W)."""
        seen, labels = zip(*(self.sample(first + i) for i in range(size)), strict=True)
        return torch.from_numpy(np.stack(seen)), torch.from_numpy(np.stack(labels))

    def sample(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Sample `number`, with one click in the lesion; labels 1 are what was clicked on."""
        own, rng = self.augment, np.random.default_rng((self.seed, number))
        members = list(self.cells.values())[int(rng.choice(len(self.weights), p=self.weights))]
        site = self.sites[members[int(rng.integers(len(members)))]]
        case, spacing = self.cases[site.case], np.array(self.cases[site.case].spacing_zyx_mm)
        click = np.array([b.start for b in site.box]) + _click_in(site, rng, own)
        scale = _scale(site, self.spec, self.edge, rng, own)
        shape = (self.spec.in_slices, self.edge, self.edge)
        at = (np.array(shape) - 1) / 2
        chance, reach = own.off_centre
        if rng.random() < chance:
            at = at + rng.uniform(-1, 1, 3) * np.array([reach / 2, reach, reach])
        volumes = _views(case, site, _places(rng, own, at, click, scale, self.spec, spacing, shape))
        # Turned round, a lesion is another one.
        flips = [axis for axis in range(3) if rng.random() < 0.5]
        volumes = np.flip(volumes, [axis + 1 for axis in flips]).copy()
        for axis in flips:
            at[axis] = shape[axis] - 1 - at[axis]
        hu = decode_hu(volumes[0]) + np.float32(self.shift_hu[site.case])
        lesion, level = volumes[1] > 0.5, np.float32(self.spec.liver_hu or 100.0)
        if rng.random() < own.recoloured:
            hu = recoloured(hu, volumes[1], level, float(rng.uniform(*own.factors)))
        hu = _intensities(hu, level, rng, own)
        probability = np.zeros(shape, np.float32)
        if rng.random() < own.with_probability:
            probability = _suspicion(volumes[2], rng)
        inside = click_channel(at[None], shape, self.spec.spacing_zyx_mm[0] / self.spec.spacing_zyx_mm[1])
        seen = stacked(hu, probability, inside, np.zeros(shape, np.float32), scale, self.spec)
        labels = np.where(lesion, 1, np.where(volumes[3] > 0.3, IGNORED, 0)).astype(np.uint8)
        return seen.reshape(-1, *shape[1:]), labels


def _level(case: TrainingCase) -> float:
    labels = np.asarray(case.labels_zyx)
    return liver_level_hu(decode_hu(np.asarray(case.grey_zyx)[(labels == 1) | (labels == 2)]))


def _click_in(site: Site, rng: np.random.Generator, own: ClickAugment) -> NDArray[np.float64]:
    """Voxel of the site's box."""
    if rng.random() < own.deepest:
        return site.deepest.astype(float)
    places = site.deep
    return places[int(rng.integers(len(places)))] + rng.uniform(-0.3, 0.3, 3)


def _scale(site: Site, spec: InputSpec, edge: int, rng: np.random.Generator, own: ClickAugment) -> float:
    scale = scale_for(site.extent_mm, spec, edge)
    if scale > SCALES[0] and rng.random() < own.too_fine:
        scale /= 2
    return float(scale * 2 ** rng.uniform(-own.scale, own.scale))


def _places(
    rng: np.random.Generator,
    own: ClickAugment,
    at: NDArray,
    click: NDArray,
    scale: float,
    spec: InputSpec,
    spacing: NDArray,
    shape: tuple[int, int, int],
) -> NDArray[np.float32]:
    """(D, H, W, 3) voxels z, y, x of the case that the crop's voxels lie at."""
    turn = np.deg2rad(rng.uniform(-own.turn_degree, own.turn_degree))
    stretch = 2 ** rng.uniform(-0.12, 0.12, 3)
    mm = [
        (np.arange(n) - a) * s * scale * k
        for n, a, s, k in zip(shape, at, spec.spacing_zyx_mm, stretch, strict=True)
    ]
    z, y, x = np.meshgrid(*mm, indexing="ij")
    turned = np.stack([z, np.cos(turn) * y + np.sin(turn) * x, np.cos(turn) * x - np.sin(turn) * y], axis=-1)
    return (turned / spacing + click).astype(np.float32)


def _views(case: TrainingCase, site: Site, places: NDArray[np.float32]) -> NDArray[np.float32]:
    """CT (grey), the lesion, all tumour, what is unknown, at places of a case: (4, D, H, W)."""
    size = np.array(case.grey_zyx.shape)
    low = np.clip(np.floor(places.min(axis=(0, 1, 2))).astype(int) - 2, 0, size - 1)
    high = np.clip(np.ceil(places.max(axis=(0, 1, 2))).astype(int) + 3, low + 1, size)
    cut = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    labels = np.asarray(case.labels_zyx[cut])
    lesion = np.zeros(labels.shape, np.float32)
    boxes = [
        (
            slice(max(b.start, c.start) - c.start, min(b.stop, c.stop) - c.start),
            slice(max(b.start, c.start) - b.start, min(b.stop, c.stop) - b.start),
        )
        for b, c in zip(site.box, cut, strict=True)
    ]
    lesion[tuple(there for there, _ in boxes)] = site.mask[tuple(here for _, here in boxes)]
    unknown = (labels == UNKNOWN) | (labels == LIVER_OR_TUMOUR)
    stack = torch.from_numpy(np.stack([case.grey_zyx[cut], lesion, labels == 2, unknown]).astype(np.float32))
    # Voxels that a larger one of the crop takes in are averaged, or noise would be drawn, not tissue.
    step = [float(np.abs(np.diff(places, axis=axis)).max(initial=1.0)) for axis in range(3)]
    factors = [min(max(1, round(s)), n) for s, n in zip(step, stack.shape[1:], strict=True)]
    start = low.astype(np.float32)
    if max(factors) > 1:
        stack = F.avg_pool3d(stack[None], factors, ceil_mode=True)[0]
    index = (places - start - (np.array(factors, np.float32) - 1) / 2) / np.array(factors, np.float32)
    half = (np.array(stack.shape[1:], np.float32) - 1) / 2
    grid = torch.from_numpy((index / np.maximum(half, 0.5) - 1)[..., ::-1].astype(np.float32).copy())
    found = F.grid_sample(stack[None], grid[None], mode="bilinear", padding_mode="zeros", align_corners=True)
    return found[0].numpy()


def recoloured(
    hu: NDArray[np.float32], lesion: NDArray[np.float32], level: np.float32, factor: float
) -> NDArray[np.float32]:
    """The lesion's difference from the liver times a factor: fainter, stronger, or bright instead of dark.

    Its noise stays: what is smooth is changed alone.
    """
    smooth = ndimage.gaussian_filter(hu, (0.8, 1.5, 1.5))
    soft = ndimage.gaussian_filter(np.clip(lesion, 0, 1), (0.5, 0.8, 0.8))
    changed: NDArray[np.float32] = hu + soft * np.float32(factor - 1) * (smooth - level)
    return changed


def _intensities(
    hu: NDArray[np.float32], level: np.float32, rng: np.random.Generator, own: ClickAugment
) -> NDArray[np.float32]:
    """Another scanner, another dose, other slices."""
    contrast = np.float32(2 ** float(rng.uniform(-own.contrast, own.contrast)))
    hu = (hu - level) * contrast + level + np.float32(rng.uniform(-own.level_hu, own.level_hu))
    noise = rng.standard_normal(hu.shape, np.float32)
    if rng.random() < 0.5:
        noise = ndimage.gaussian_filter(noise, (0.3, 0.7, 0.7)) * np.float32(2.2)
    hu = hu + noise * np.float32(rng.uniform(0, own.noise_hu))
    if rng.random() < own.thick:
        image, times = torch.from_numpy(hu)[None, None], int(rng.integers(2, 4))
        thick = F.avg_pool3d(image, (times, 1, 1))
        hu = F.interpolate(thick, size=hu.shape, mode="trilinear", align_corners=False)[0, 0].numpy()
    blur = float(rng.uniform(0, own.blur))
    return ndimage.gaussian_filter(hu, (0, blur, blur)) if blur > 0.3 else hu


def _suspicion(tumour: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """What a segmenter might have given: the truth, shifted, blurred, in doubt, in parts."""
    moved = np.roll(tumour, tuple(int(v) for v in rng.integers((-1, -3, -3), (2, 4, 4))), (0, 1, 2))
    soft = ndimage.gaussian_filter(moved, (0.7, *(float(rng.uniform(0.8, 3.0)),) * 2))
    field = ndimage.zoom(
        rng.uniform(0, 1.6, (3, 4, 4)), [n / m for n, m in zip(tumour.shape, (3, 4, 4), strict=True)], order=1
    )
    peak = float(rng.choice([rng.uniform(0.02, 0.3), rng.uniform(0.3, 1.0)]))
    return np.clip(peak * soft * field, 0, 1).astype(np.float32)
