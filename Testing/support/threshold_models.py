"""Networks that call a voxel liver or tumour by its HU alone: the pipeline around them runs in a second."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import Manifest, ModelEntry
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from torch import Tensor, nn

WINDOW_HU = (-200.0, 200.0)
LIVER_HU, LESION_HU, MUSCLE_HU, FAT_HU = 120, 170, 50, -100


class ByHu(nn.Module):
    """Liver from 85 HU, tumour from 145 HU, in between both blurred outlines are liver."""

    multiple = 16

    def __init__(self, classes: int, before: Callable[[Tensor], None]) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.classes, self.before = classes, before

    def forward(self, x: Tensor, return_attention: bool = False) -> SimpleNamespace:
        self.before(x)
        hu = x[:, x.shape[1] // 2].float() * 200
        if self.classes == 2:
            logits = torch.stack([torch.zeros_like(hu), (hu - 85) / 4], dim=1)
        else:
            liver = torch.minimum((hu - 85) / 4, (145 - hu) / 4)
            logits = torch.stack([torch.zeros_like(hu), liver, (hu - 145) / 4], dim=1)
        return SimpleNamespace(logits=logits.clamp(-12, 12), attention=None)


class ThresholdModels:
    """Stands in for a ModelStore; `before` sees every input, and may raise."""

    def __init__(self, before: Callable[[Tensor], None] = lambda x: None) -> None:
        spec = InputSpec((4.0, 4.0, 4.0), WINDOW_HU, 3)
        entries = (
            ModelEntry("coarse", "locate", "by_hu", {}, spec, "", "a" * 64),
            ModelEntry("sfan", "segment", "by_hu", {}, spec, "", "b" * 64),
        )
        self.manifest = Manifest(Path(), entries)
        self.before, self.released, self.asked = before, 0, []

    def network(self, name: str, device: str, precision: str) -> nn.Module:
        self.asked.append((name, device, precision))
        network = ByHu(2 if name == "coarse" else 3, self.before)
        return network.to(device=device, dtype=getattr(torch, precision)).eval()

    def release(self) -> None:
        self.released += 1


def phantom(seed: int = 0) -> tuple[CtVolume, np.ndarray]:
    """A fat and muscle cylinder with a liver ball of 75 mm radius and two lesions in it.

    And the lesions' labels.
    """
    spacing = (4.0, 3.0, 3.0)
    geometry = Geometry.make((64, 120, 120), spacing, (-180.0, -180.0, 0.0))
    z, y, x = np.meshgrid(
        *[np.arange(n) * s for n, s in zip(geometry.shape_zyx, spacing, strict=True)], indexing="ij"
    )
    hu = np.full(geometry.shape_zyx, -1000.0)
    middle = np.hypot(y - 180, x - 180)
    hu[middle < 165] = FAT_HU
    hu[middle < 150] = MUSCLE_HU

    def ball(centre: tuple[float, float, float], radius_mm: float) -> np.ndarray:
        return (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 < radius_mm**2

    hu[ball((128, 180, 150), 75)] = LIVER_HU
    labels = np.zeros(hu.shape, np.uint16)
    labels[ball((128, 180, 170), 18)] = 1
    labels[ball((140, 180, 115), 12)] = 2
    hu[labels > 0] = LESION_HU
    hu += np.random.default_rng(seed).normal(0, 4, hu.shape)
    return CtVolume(np.rint(hu).astype(np.int16), geometry, "phantom"), labels
