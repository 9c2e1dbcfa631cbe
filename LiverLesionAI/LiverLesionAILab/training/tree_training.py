"""Training of the network that names tubes: augmented views of whole livers, and the loss on their tubes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.case.anatomy import Vessel
from LiverLesionAILib.models.weights import build_network
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import NDArray
from torch import Tensor

from .loop import take_weights, train
from .optimisers import LoopSettings
from .tree_cases import TreeCase

if TYPE_CHECKING:
    from torch import nn

    from .recipes import Recipe

HU, TUBES, NEARER, TREES, VESSELS = 0, 1, 9, 10, 11
"""Channels of a view that are changed by chance."""


@dataclass(frozen=True)
class TreeAugment:
    """Chance in a sample.

    Attributes:
        shape_zyx: of a sample, voxels: most of a liver.
        turn_degree, scale: about each axis; scale of each axis as log2.
        contrast, noise: of the density, as shares of its scale.
        gaps: chance of a tube's missing in balls, and how many; gap_voxels: their radii.
        without: chance that the roots' distances, and that the vessel network's opinion are not shown.
    """

    shape_zyx: tuple[int, int, int] = (64, 80, 96)
    turn_degree: float = 9.0
    scale: float = 0.16
    contrast: float = 0.3
    noise: float = 0.08
    gaps: int = 10
    gap_voxels: tuple[float, float] = (2.0, 5.0)
    without: float = 0.2


class TreeSampler:
    """Samples of whole livers; the sample for (seed, number) is always the same one."""

    def __init__(self, cases: Sequence[TreeCase], seed: int, augment: TreeAugment | None = None) -> None:
        self.cases, self.seed, self.augment = list(cases), seed, augment or TreeAugment()

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """Samples first .. first + size - 1: (B, channels * D, H, W), and labels (B, D, H, W)."""
        views, labels = zip(*(self.sample(first + i) for i in range(size)), strict=True)
        return torch.stack(views), torch.stack(labels)

    def sample(self, number: int) -> tuple[Tensor, Tensor]:
        """Sample `number`."""
        epoch, place = divmod(number, len(self.cases))
        order = np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.cases))
        rng = np.random.default_rng((self.seed, 2, number))
        case = self.cases[int(order[place])]
        # Torch makes single precision of half ten times faster than numpy.
        volumes = torch.from_numpy(np.array(case.volumes)).float()
        grid = _places(rng, self.augment, case.labels_zyx.shape)
        near = {"padding_mode": "border", "align_corners": True}
        moved = F.grid_sample(volumes[None], grid, mode="bilinear", **near)[0].numpy()
        labels = torch.from_numpy(case.labels_zyx.astype(np.float32))[None, None]
        taken = F.grid_sample(labels, grid, mode="nearest", padding_mode="zeros", align_corners=True)[0, 0]
        changed(moved, rng, self.augment)
        depth, height, width = moved.shape[1:]
        return torch.from_numpy(moved.reshape(-1, height, width)), taken.to(torch.uint8)


def changed(volumes: NDArray[np.float32], rng: np.random.Generator, own: TreeAugment) -> None:
    """Density, gaps and missing signs by chance, in place."""
    hu = volumes[HU]
    hu *= np.float32(2 ** rng.uniform(-own.contrast, own.contrast))
    hu += rng.normal(0, own.noise * rng.random(), hu.shape).astype(np.float32)
    at = np.argwhere(volumes[TUBES] > 0.5)
    for middle in at[rng.integers(0, len(at), rng.integers(0, own.gaps + 1))] if len(at) else ():
        radius = rng.uniform(*own.gap_voxels)
        low = np.maximum(np.floor(middle - radius), 0).astype(int)
        high = np.ceil(middle + radius).astype(int) + 1
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        z, y, x = (
            np.arange(a, min(b, n)) - m for a, b, n, m in zip(low, high, hu.shape, middle, strict=True)
        )
        kept = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 > radius**2
        for channel in (TUBES, NEARER, TREES, VESSELS):
            volumes[channel][box] *= kept
    if rng.random() < own.without:
        volumes[NEARER] = 0
    if rng.random() < own.without:
        volumes[TREES] = 0


def _places(rng: np.random.Generator, own: TreeAugment, shape: Sequence[int]) -> Tensor:
    """Where the voxels of a sample come from in a case, for `grid_sample`."""
    turns = np.deg2rad(rng.uniform(-own.turn_degree, own.turn_degree, 3))
    matrix = np.eye(3)
    for axis, angle in enumerate(turns):
        a, b = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    matrix = matrix * 2 ** rng.uniform(-own.scale, own.scale, 3)
    size, target = np.array(shape), np.array(own.shape_zyx)
    # A liver larger than the sample is cut somewhere.
    spare = np.abs(size - target) / 2 + 4
    middle = (size - 1) / 2 + rng.uniform(-1, 1, 3) * np.where(size > target, spare, 4)
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in own.shape_zyx]
    steps = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    index = steps @ torch.from_numpy(matrix.T.astype(np.float32)) + torch.from_numpy(
        middle.astype(np.float32)
    )
    scaled = 2 * index / torch.tensor([n - 1 for n in shape], dtype=torch.float32) - 1
    return scaled.flip(-1)[None]


def tree_loss(logits: Tensor, labels: Tensor, _settings: LoopSettings) -> Tensor:
    """Cross entropy on tubes, hepatic and portal veins of each sample with the same weight."""
    losses = []
    for own, truth in zip(logits, labels, strict=True):
        parts = [
            F.softplus(sign * own[truth == kind]).mean()
            for kind, sign in ((int(Vessel.HEPATIC), -1.0), (int(Vessel.PORTAL), 1.0))
            if bool((truth == kind).any())
        ]
        losses.append(torch.stack(parts).mean() if parts else own.sum() * 0.0)
    return torch.stack(losses).mean()


def fit_trees(
    chosen: Recipe,
    cases: Sequence[TreeCase],
    folder: Path,
    device: str,
    progress: Progress = silent,
    start: Path | None = None,
) -> nn.Module:
    """Train `chosen` on views; the run's settings and patients are kept in `run.json`.

    Args:
        start: weights to go on from.
    """
    torch.manual_seed(chosen.loop.seed)
    network = build_network(chosen.network, asdict(chosen.config))
    if start is not None:
        take_weights(network, torch.load(start, weights_only=True))
    sampler = TreeSampler(cases, chosen.loop.seed)
    facts = {
        **asdict(chosen),
        "patients": [case.name for case in cases],
        "start": None if start is None else start.name,
    }
    write_text(folder / "run.json", json.dumps(facts, indent=1))
    return train(
        network,
        sampler.batch,
        chosen.loop,
        folder,
        device=device,
        loss_of=tree_loss,
        progress=progress,
        workers=0,
    )
