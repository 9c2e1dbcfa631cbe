"""Augmented samples for the network that answers clicks; (seed, number) always give the same one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from LiverLesionAILib.stages.detect.click_input import FAR, stacked
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from .click_crops import TrainingCrop

IGNORED = -1.0
"""Label of voxels that teach nothing."""


@dataclass(frozen=True)
class ClickAugment:
    """Chance in a sample.

    Attributes:
        kind_shares: of the kinds of cases; size_shares: of lesions up to so many mm, in the order given.
        recoloured: chance that the lesion's difference from its liver is changed, by factors between these.
        contrast, level_hu: as log2 about the liver's level; by so much at most.
        noisy, noise_hu, grain: chance of noise, its SD at most, and the SD in pixels of its smoothing.
        blurred, blur: chance, and SD in pixels.
        shaken: pixels by which clicks lie elsewhere at most; unsure: SD in pixels of the outline's distance.
    """

    kind_shares: tuple[tuple[str, float], ...] = (("real", 0.3), ("variant", 0.55), ("body", 0.15))
    size_shares: tuple[tuple[float, float], ...] = ((8.0, 0.3), (15.0, 0.34), (30.0, 0.24), (500.0, 0.12))
    recoloured: float = 0.4
    factors: tuple[float, float] = (0.55, 1.4)
    contrast: float = 0.3
    level_hu: float = 6.0
    noisy: float = 0.5
    noise_hu: float = 10.0
    grain: float = 1.6
    blurred: float = 0.3
    blur: tuple[float, float] = (0.4, 1.2)
    shaken: float = 1.0
    unsure: float = 0.3


class ClickSampler:
    """Draws a crop and changes it."""

    def __init__(self, crops: Sequence[TrainingCrop], seed: int, augment: ClickAugment | None = None) -> None:
        self.crops, self.seed, self.augment = list(crops), seed, augment or ClickAugment()
        shares, sizes = dict(self.augment.kind_shares), self.augment.size_shares
        cells: dict[tuple[str, int], list[int]] = {}
        for number, crop in enumerate(self.crops):
            band = next(k for k, (largest, _) in enumerate(sizes) if crop.meta.diameter_mm <= largest)
            cells.setdefault((crop.meta.kind, band), []).append(number)
        self.cells = {cell: members for cell, members in cells.items() if shares.get(cell[0], 0) > 0}
        if not self.cells:
            raise ValueError("there is no lesion to click on")
        weights = np.array([shares[kind] * sizes[band][1] for kind, band in self.cells])
        self.weights = weights / weights.sum()

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """Samples first .. first + size - 1: (B, channels * D, H, W) and labels (B, D, H, W)."""
        seen, labels = zip(*(self.sample(first + i) for i in range(size)), strict=True)
        return torch.from_numpy(np.stack(seen)), torch.from_numpy(np.stack(labels))

    def sample(self, number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Sample `number`: channels * D slices, and the share of lesion, 0..1 or IGNORED, (D, H, W)."""
        own, rng = self.augment, np.random.default_rng((self.seed, number))
        members = list(self.cells.values())[int(rng.choice(len(self.weights), p=self.weights))]
        crop = self.crops[members[int(rng.integers(len(members)))]]
        meta, level = crop.meta, crop.meta.level_hu
        volumes = [
            np.asarray(crop.hu, np.float32),
            np.asarray(crop.distance, np.float32) / 127,
            np.asarray(crop.near),
            np.asarray(crop.truth, np.float32) / 255,
            np.asarray(crop.unknown),
        ]
        clicks = [np.array(points, float).reshape(-1, 3) for points in (meta.inside, meta.outside)]
        (hu, distance, near, truth, unknown), clicks = turned(volumes, clicks, rng)
        if rng.random() < own.recoloured:
            hu = recoloured(hu, truth, level, float(rng.uniform(*own.factors)))
        hu = _intensities(hu, level, rng, own)
        reach = np.array([0.3, 1.0, 1.0]) * own.shaken
        inside = clicks[0] + rng.uniform(-1, 1, clicks[0].shape) * reach
        distance = np.clip(distance + rng.normal(0, own.unsure) / FAR, -1, 1)
        seen = stacked(
            hu,
            level,
            meta.spread_hu,
            distance.astype(np.float32),
            near,
            inside,
            clicks[1],
            meta.pixel_mm,
            meta.depth_mm,
        )
        labels = np.where(unknown, np.float32(IGNORED), truth).astype(np.float32)
        return seen.reshape(-1, *hu.shape[1:]), labels


def turned(
    volumes: Sequence[NDArray], clicks: Sequence[NDArray], rng: np.random.Generator
) -> tuple[list[NDArray], list[NDArray]]:
    """Volumes and clicks mirrored along each axis by chance, rows and columns exchanged by chance."""
    volumes, clicks = list(volumes), [points.copy() for points in clicks]
    for axis in range(3):
        if rng.random() < 0.5:
            volumes = [np.flip(volume, axis) for volume in volumes]
            for points in clicks:
                points[:, axis] = volumes[0].shape[axis] - 1 - points[:, axis]
    if rng.random() < 0.5:
        volumes = [volume.swapaxes(1, 2) for volume in volumes]
        clicks = [points[:, [0, 2, 1]] for points in clicks]
    return volumes, clicks


def recoloured(
    hu: NDArray[np.float32], lesion: NDArray[np.float32], level_hu: float, factor: float
) -> NDArray[np.float32]:
    """The lesion's difference from the liver times a factor: fainter, or stronger.

    Its noise stays: what is smooth is changed alone.
    """
    smooth = ndimage.gaussian_filter(hu, (0.6, 1.2, 1.2))
    soft = ndimage.gaussian_filter(lesion, (0.3, 0.8, 0.8))
    return np.asarray(hu + soft * np.float32(factor - 1) * (smooth - np.float32(level_hu)), np.float32)


def _intensities(
    hu: NDArray[np.float32], level_hu: float, rng: np.random.Generator, own: ClickAugment
) -> NDArray[np.float32]:
    """Another scanner, another dose."""
    contrast = np.float32(2 ** float(rng.uniform(-own.contrast, own.contrast)))
    shift = np.float32(level_hu + rng.uniform(-own.level_hu, own.level_hu))
    hu = (hu - np.float32(level_hu)) * contrast + shift
    if rng.random() < own.noisy:
        noise, grain = rng.standard_normal(hu.shape, np.float32), float(rng.uniform(0, own.grain))
        if grain > 0.4:
            noise = ndimage.gaussian_filter(noise, (0, grain, grain))
        hu = hu + noise * np.float32(rng.uniform(0, own.noise_hu) / noise.std())
    if rng.random() < own.blurred:
        blur = float(rng.uniform(*own.blur))
        hu = ndimage.gaussian_filter(hu, (0, blur, blur))
    return np.asarray(hu, np.float32)
