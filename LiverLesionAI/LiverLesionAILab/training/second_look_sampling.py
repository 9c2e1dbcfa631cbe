"""Augmented samples of the second look; the sample for (seed, number) is always the same one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.models.inputs import InputSpec
from numpy.typing import NDArray
from torch import Tensor

from ..data.cases import decode_hu
from .loop import LoopSettings
from .second_look_cases import MARGIN, Candidates
from .second_look_crops import EDGE, Crop, network_input

SMOOTHING = 0.03
"""Of the labels: a few of them are wrong."""


@dataclass(frozen=True)
class SecondLookAugment:
    """Chance in a sample.

    Attributes:
        lesion_share: of the samples that are lesions; kind_shares: of the kinds among either, where there.
        turn_degree, scale, shift: about the middle, in the slices; scale as log2; shift in voxels.
        level_hu, contrast, noise_hu, blur: intensities; contrast as log2 about the liver's 100 HU; blur in
            voxels.
        ball_chance: chance that the mask is replaced by an ellipsoid as large: what is in it has to be
            judged, not its outline.
        without_probability: chance that the first network's probability is not shown.
    """

    lesion_share: float = 0.42
    kind_shares: tuple[tuple[str, float], ...] = (
        ("blob", 0.45),
        ("outline", 0.2),
        ("gallbladder", 0.12),
        ("line", 0.35),
    )
    turn_degree: float = 25.0
    scale: float = 0.25
    shift: float = 3.0
    level_hu: float = 10.0
    contrast: float = 0.25
    noise_hu: float = 14.0
    blur: float = 0.9
    ball_chance: float = 0.25
    without_probability: float = 0.5


class SecondLookSampler:
    """Draws training samples from stored crops."""

    def __init__(
        self,
        sources: Sequence[Candidates],
        spec: InputSpec,
        seed: int,
        augment: SecondLookAugment | None = None,
    ) -> None:
        augment = augment or SecondLookAugment()
        self.sources, self.spec, self.seed, self.augment = list(sources), spec, seed, augment
        self.members: dict[tuple[bool, str], NDArray[np.int64]] = {}
        shares: Mapping[str, float] = dict(augment.kind_shares)
        for lesion in (False, True):
            for kind in shares:
                pairs = [
                    (number, index)
                    for number, source in enumerate(self.sources)
                    for index in np.flatnonzero(source.lesion == lesion)
                    if source.kinds[index] == kind
                ]
                if pairs:
                    self.members[(lesion, kind)] = np.array(pairs)
        if len({lesion for lesion, _ in self.members}) < 2:
            raise ValueError("lesions and false candidates are both needed to learn from")
        self.shares = shares

    def sample(self, number: int) -> tuple[Tensor, float]:
        """Sample `number`: (3 * depth + 1, EDGE, EDGE) in -1..1, and 1 for a lesion."""
        rng = np.random.default_rng((self.seed, number))
        lesion = bool(rng.random() < self.augment.lesion_share)
        kinds = [kind for kind in self.shares if (lesion, kind) in self.members]
        weights = np.array([self.shares[kind] for kind in kinds])
        kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
        pairs = self.members[(lesion, kind)]
        source, index = pairs[int(rng.integers(len(pairs)))]
        stored = self.sources[source]
        return torch.from_numpy(self._augmented(stored, int(index), rng)), float(lesion)

    def _augmented(self, stored: Candidates, index: int, rng: np.random.Generator) -> NDArray[np.float32]:
        own = self.augment
        ct, probability, mask = (np.asarray(part) for part in stored.data[index])
        zoom = 2 ** float(rng.uniform(-own.scale, own.scale))
        if rng.random() < own.ball_chance:
            mask = _ellipsoid(mask, rng)
        if rng.random() < own.without_probability:
            probability = np.zeros_like(probability)
        volumes = torch.from_numpy(np.stack([ct, probability, mask]).astype(np.float32))[None]
        moved = F.grid_sample(
            volumes,
            _grid(rng, own, zoom, ct.shape),
            mode="bilinear",
            padding_mode="border",
            align_corners=True,
        )[0].numpy()
        if rng.random() < 0.5:
            moved = moved[:, :, :, ::-1]
        if rng.random() < 0.5:
            moved = moved[:, ::-1]
        hu = _intensities(decode_hu(moved[0]), rng, own)
        scale = float(stored.scales[index]) * zoom
        crop = Crop(hu, moved[1] / np.float32(255), moved[2] / np.float32(255), scale)
        return network_input(crop, self.spec, 0.0)

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """Samples first .. first + size - 1."""
        inputs, labels = zip(*(self.sample(first + i) for i in range(size)), strict=True)
        return torch.stack(inputs), torch.tensor(labels)


def _ellipsoid(mask: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """About as large as a mask, and where it is."""
    inside = np.argwhere(mask > 127)
    if not len(inside):
        return mask
    middle = inside.mean(axis=0)
    radii = np.maximum(np.sqrt(5.0) * inside.std(axis=0), 1.0) * rng.uniform(0.85, 1.2, 3)
    grid = np.ogrid[tuple(slice(0, n) for n in mask.shape)]
    far = sum(((g - m) / r) ** 2 for g, m, r in zip(grid, middle, radii, strict=True))
    return np.where(far <= 1, 255, 0).astype(np.uint8)


def _grid(rng: np.random.Generator, own: SecondLookAugment, zoom: float, shape: Sequence[int]) -> Tensor:
    """Where the voxels of a sample come from in a stored crop, for `grid_sample`."""
    turn = np.deg2rad(rng.uniform(-own.turn_degree, own.turn_degree))
    shift = rng.uniform(-own.shift, own.shift, 3)
    depth, edge = shape[0] - 2 * MARGIN, EDGE
    z, y, x = np.meshgrid(
        *(np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in (depth, edge, edge)), indexing="ij"
    )
    turned = np.stack(
        [
            zoom * (np.cos(turn) * x - np.sin(turn) * y) + shift[2],
            zoom * (np.sin(turn) * x + np.cos(turn) * y) + shift[1],
            zoom * z + shift[0],
        ],
        axis=-1,
    )
    half = (np.array(shape[::-1], np.float32) - 1) / 2
    return torch.from_numpy((turned / half).astype(np.float32))[None]


def _intensities(
    hu: NDArray[np.float32], rng: np.random.Generator, own: SecondLookAugment
) -> NDArray[np.float32]:
    """Another scanner, another dose."""
    contrast = 2 ** float(rng.uniform(-own.contrast, own.contrast))
    hu = (hu - 100) * np.float32(contrast) + np.float32(100 + rng.uniform(-own.level_hu, own.level_hu))
    if rng.random() < 0.3:
        hu = np.stack([hu[max(0, i - 1) : i + 2].mean(axis=0) for i in range(len(hu))])
    noise = rng.standard_normal(hu.shape, np.float32) * np.float32(rng.uniform(0, own.noise_hu))
    image = torch.from_numpy(np.ascontiguousarray(hu + noise))[None, None]
    blur = float(rng.uniform(0, own.blur))
    if blur > 0.3:
        taps = torch.exp(-0.5 * (torch.arange(-2, 3) / blur) ** 2)
        taps = taps / taps.sum()
        image = F.conv3d(image, taps.reshape(1, 1, 1, 5, 1), padding=(0, 2, 0))
        image = F.conv3d(image, taps.reshape(1, 1, 1, 1, 5), padding=(0, 0, 2))
    return image[0, 0].numpy()


def second_look_loss(logits: Tensor, labels: Tensor, _settings: LoopSettings | None = None) -> Tensor:
    """Cross entropy against labels a little smoothed; both (B,)."""
    targets = labels.float() * (1 - 2 * SMOOTHING) + SMOOTHING
    return F.binary_cross_entropy_with_logits(logits.float(), targets)
