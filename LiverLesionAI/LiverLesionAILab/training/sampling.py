"""Random crops of training volumes, augmented; deterministic from a seed and a step number.

Geometry (rotation, scale, anisotropy, shift), intensity (level, contrast, noise with the scan's grain, blur),
slice order and slice thickness are varied: what changes from hospital to hospital.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.models.inputs import InputSpec, liver_level_hu
from LiverLesionAILib.volume.masks import components
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ..data.cases import HU_LOW, HU_RANGE, LIVER_OR_TUMOUR, UNKNOWN, TrainingCase, decode_hu


@dataclass(frozen=True)
class AugmentSettings:
    """Ranges of the augmentation; each value is drawn uniformly within +- or between its bounds.

    Attributes:
        rotate_degree, scale, shear: in plane; scale as log2.
        level_hu: shift of all intensities; contrast: factor about `pivot_hu`, as log2.
        noise_hu: largest SD of the added noise; noise_chance: chance of any.
        grain_px: largest in-plane Gaussian sigma of the noise's grain, in pixels as the network sees them;
            slice_grain: largest share that each neighbouring slice has in a slice's noise.
        blur_px: largest in-plane Gaussian sigma.
        thick_chance: chance to average neighbouring slices, as thicker slices do.
        breathing_chance: chance that the slices are smeared as by breathing: seen at several places along
            a line of up to `breathing_px` pixels, and mixed with their neighbours.
        mirror_chance: chance to mirror left and right.
    """

    rotate_degree: float = 20.0
    scale: float = 0.35
    shear: float = 0.1
    level_hu: float = 25.0
    contrast: float = 0.35
    pivot_hu: float = 60.0
    noise_hu: float = 18.0
    noise_chance: float = 0.4
    grain_px: float = 1.0
    slice_grain: float = 0.0
    blur_px: float = 1.0
    thick_chance: float = 0.3
    breathing_chance: float = 0.0
    breathing_px: float = 9.0
    mirror_chance: float = 0.0


def in_liver(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The liver with its tumours."""
    return (labels == 1) | (labels == 2) | (labels == LIVER_OR_TUMOUR)


class CaseIndex:
    """Where liver and tumour lie in a case, so that crops can be centred on them without searching."""

    def __init__(self, case: TrainingCase) -> None:
        self.case = case
        labels = case.labels_zyx
        self.known_slices = np.flatnonzero((labels != UNKNOWN).any(axis=(1, 2)))
        liver = in_liver(labels)
        self.liver_slices = np.flatnonzero(liver.any(axis=(1, 2)))
        self.level_hu = liver_level_hu(decode_hu(case.grey_zyx[liver])) if liver.any() else float("nan")
        pieces, count = components(labels == 2)
        # Boxes only: keeping the components of many hundred cases would fill the memory.
        self.lesions: list[tuple[slice, ...]] = list(ndimage.find_objects(pieces)) if count else []

    def centre(
        self, rng: np.random.Generator, tumour_share: float, liver_share: float
    ) -> tuple[int, float, float]:
        """A slice and an in-plane centre (z, y, x): on a tumour, on the liver, or anywhere."""
        labels = self.case.labels_zyx
        draw = rng.random()
        if self.lesions and draw < tumour_share:
            box = self.lesions[int(rng.integers(len(self.lesions)))]
            z = int(rng.integers(box[0].start, box[0].stop))
            ys, xs = np.nonzero(labels[z][box[1:]] == 2)
            if len(ys):
                pick = int(rng.integers(len(ys)))
                return z, float(ys[pick] + box[1].start), float(xs[pick] + box[2].start)
        if len(self.liver_slices) and draw < tumour_share + liver_share:
            z = int(rng.choice(self.liver_slices))
            ys, xs = np.nonzero(in_liver(labels[z]))
            pick = int(rng.integers(len(ys)))
            return z, float(ys[pick]), float(xs[pick])
        z = int(rng.choice(self.known_slices))
        if len(self.liver_slices):
            nearest = int(self.liver_slices[np.abs(self.liver_slices - z).argmin()])
            ys, xs = np.nonzero(in_liver(labels[nearest]))
            return z, float(ys.mean()), float(xs.mean())
        return z, labels.shape[1] / 2, labels.shape[2] / 2


def affine_grid(
    rng: np.random.Generator,
    augment: AugmentSettings,
    centre_yx: tuple[float, float],
    crop: int,
    shape_yx: tuple[int, int],
    magnify: float = 1.0,
) -> Tensor:
    """Sampling grid (1, crop, crop, 2) of a random affine map about a centre, enlarging by `magnify`.

    For grid_sample(align_corners=True).
    """
    angle = np.deg2rad(rng.uniform(-augment.rotate_degree, augment.rotate_degree))
    zoom = 2.0 ** rng.uniform(-augment.scale, augment.scale) / magnify
    stretch = 2.0 ** (rng.uniform(-augment.scale, augment.scale) / 4)
    shear = rng.uniform(-augment.shear, augment.shear)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = rotation @ np.array([[1.0, shear], [0.0, 1.0]]) @ np.diag([zoom * stretch, zoom / stretch])
    if rng.random() < augment.mirror_chance:
        matrix = matrix @ np.diag([1.0, -1.0])
    steps = torch.arange(crop, dtype=torch.float32) - (crop - 1) / 2
    ys, xs = torch.meshgrid(steps, steps, indexing="ij")
    source_y = matrix[0, 0] * ys + matrix[0, 1] * xs + centre_yx[0]
    source_x = matrix[1, 0] * ys + matrix[1, 1] * xs + centre_yx[1]
    grid = torch.stack(
        [source_x * (2 / max(1, shape_yx[1] - 1)) - 1, source_y * (2 / max(1, shape_yx[0] - 1)) - 1], dim=-1
    )
    return grid[None]


def augment_intensity(
    image_hu: Tensor, rng: np.random.Generator, augment: AugmentSettings, generator: torch.Generator
) -> Tensor:
    """Level, contrast, thicker slices, blur, grainy noise; (S, H, W) HU in and out."""
    slices = image_hu.shape[0]
    if slices > 1 and rng.random() < augment.thick_chance:
        share = float(rng.uniform(0.15, 0.33))
        padded = torch.cat([image_hu[:1], image_hu, image_hu[-1:]])
        image_hu = (1 - 2 * share) * image_hu + share * (padded[:-2] + padded[2:])
    if augment.breathing_chance and rng.random() < augment.breathing_chance:
        image_hu = breathed(image_hu, rng, augment.breathing_px)
    if rng.random() < 0.3 and augment.blur_px > 0.3:
        image_hu = blurred(image_hu, float(rng.uniform(0.3, augment.blur_px)))
    if rng.random() < augment.noise_chance:
        noise = torch.randn(image_hu.shape, generator=generator)
        grain = float(rng.uniform(0.0, augment.grain_px))
        if grain > 0.3:
            noise = blurred(noise, grain)
        if augment.slice_grain and slices > 1:
            share = float(rng.uniform(0.0, augment.slice_grain))
            padded = torch.cat([noise[:1], noise, noise[-1:]])
            noise = noise + share * (padded[:-2] + padded[2:])
        if grain > 0.3 or augment.slice_grain:
            noise = noise / noise.std().clamp_min(1e-3)
        image_hu = image_hu + noise * float(rng.uniform(0, augment.noise_hu))
    contrast = 2.0 ** rng.uniform(-augment.contrast, augment.contrast)
    level = rng.uniform(-augment.level_hu, augment.level_hu)
    return (image_hu - augment.pivot_hu) * float(contrast) + float(augment.pivot_hu + level)


def blurred(image: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur in plane of (S, H, W)."""
    radius = max(1, int(np.ceil(2.5 * sigma_px)))
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma_px) ** 2)
    taps = taps / taps.sum()
    x = F.pad(image[:, None], (radius, radius, radius, radius), mode="replicate")
    return F.conv2d(F.conv2d(x, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))[:, 0]


def breathed(image: Tensor, rng: np.random.Generator, largest_px: float) -> Tensor:
    """Smeared as by breathing, (S, H, W) in and out: the liver moves along z, so slices mix, and in plane.

    The labels stay: where a lesion lies is its middle place.
    """
    slices = image.shape[0]
    share = float(rng.uniform(0.1, 0.33))
    padded = torch.cat([image[:1], image, image[-1:]]) if slices > 1 else image.expand(3, -1, -1)
    image = (1 - 2 * share) * image + share * (padded[:-2] + padded[2:])
    length, angle = float(rng.uniform(2.0, largest_px)), float(rng.uniform(0, np.pi))
    half = int(np.ceil(length / 2))
    kernel = torch.zeros(2 * half + 1, 2 * half + 1)
    places = np.linspace(-length / 2, length / 2, 4 * half + 1)
    # As long at the ends of its way as everywhere else together: breath is held longest there.
    weights = np.where(np.abs(places) > 0.35 * length, 2.0, 1.0)
    for place, weight in zip(places, weights, strict=True):
        kernel[round(half + place * np.sin(angle)), round(half + place * np.cos(angle))] += float(weight)
    x = F.pad(image[:, None], (half, half, half, half), mode="replicate")
    return F.conv2d(x, (kernel / kernel.sum())[None, None])[:, 0]


class CropSampler:
    """Draws training samples from cases; the sample for (seed, number) is always the same one.

    Args:
        cases: the volumes.
        shares: kind -> share of the samples ("real", "variant", "body"); kinds without a case are left out.
        spec: what the network wants to see.
        crop: edge of the square crop in pixels.
        seed: with the sample's number it decides everything.
        tumour_share, liver_share: of crops centred on a tumour, on the liver; the rest anywhere.
    """

    def __init__(
        self,
        cases: list[TrainingCase],
        shares: dict[str, float],
        spec: InputSpec,
        crop: int,
        seed: int,
        augment: AugmentSettings | None = None,
        tumour_share: float = 0.45,
        liver_share: float = 0.4,
    ) -> None:
        self.cases = cases
        self._indices: dict[int, CaseIndex] = {}
        weights = np.zeros(len(cases))
        for kind, share in shares.items():
            members = [i for i, case in enumerate(cases) if case.kind == kind]
            # Patients count alike within a kind, however many volumes each has.
            patients = {cases[i].patient for i in members}
            for patient in patients:
                own = [i for i in members if cases[i].patient == patient]
                weights[own] = share / len(patients) / len(own)
        if not weights.sum():
            raise ValueError(f"no case is of a kind in {shares}")
        self.weights = weights / weights.sum()
        self.cumulative = np.cumsum(self.weights)
        self.spec, self.crop, self.seed = spec, crop, seed
        self.augment = augment or AugmentSettings()
        self.tumour_share, self.liver_share = tumour_share, liver_share

    def _index(self, number: int) -> CaseIndex:
        if number not in self._indices:
            self._indices[number] = CaseIndex(self.cases[number])
        return self._indices[number]

    def draw(self, rng: np.random.Generator) -> tuple[CaseIndex, int, tuple[float, float]]:
        """A case, a slice of it and where in the slice (y, x) the crop's centre lies."""
        drawn = int(np.searchsorted(self.cumulative, rng.random(), side="right"))
        index = self._index(min(drawn, len(self.cases) - 1))
        z, y, x = index.centre(rng, self.tumour_share, self.liver_share)
        jitter = self.crop * 0.2 / self.spec.magnify
        return index, z, (y + rng.uniform(-jitter, jitter), x + rng.uniform(-jitter, jitter))

    def sample(self, number: int) -> tuple[Tensor, Tensor]:
        """Sample `number`: image (in_slices, crop, crop) float32 in -1..1 and labels (crop, crop) int64."""
        rng = np.random.default_rng((self.seed, number))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        index, z, centre = self.draw(rng)
        case = index.case
        order = self.spec.stack_indices(np.array([z]), case.grey_zyx.shape[0])[0]
        if rng.random() < 0.5:
            order = order[::-1]
        shape_yx = case.grey_zyx.shape[1:]
        grid = affine_grid(rng, self.augment, centre, self.crop, shape_yx, self.spec.magnify)
        image = torch.from_numpy(case.grey_zyx[order].astype(np.float32))[None]
        image = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=True)[0]
        labels = torch.from_numpy(case.labels_zyx[z].astype(np.float32))[None, None]
        labels = F.grid_sample(labels, grid, mode="nearest", padding_mode="zeros", align_corners=True)[0, 0]
        image = image * (HU_RANGE / 255) + (HU_LOW + self.spec.shift_hu(index.level_hu))
        # Outside the stored volume stays air whatever the intensity augmentation does.
        image = augment_intensity(image, rng, self.augment, generator)
        low, high = self.spec.window_hu
        image = (image * (2 / (high - low)) - (high + low) / (high - low)).clamp_(-1, 1)
        return image, labels.round().long()

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """Samples first .. first + size - 1, stacked: (B, S, H, W) and (B, H, W)."""
        images, labels = zip(*(self.sample(first + i) for i in range(size)), strict=True)
        return torch.stack(images), torch.stack(labels)
