"""A models folder of toys: each model is one file in `networks`, one entry of the manifest, one weight."""

from __future__ import annotations

from pathlib import Path

import pytest
from LiverLesionAILib import networks
from LiverLesionAILib.models import weights
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import Manifest, ModelEntry, build_network, save_weights

SPEC = InputSpec((4.0, 4.0, 4.0), (-200.0, 200.0), 3)

HEAD = """
from dataclasses import dataclass
from types import SimpleNamespace
import torch
from torch import nn

@dataclass(frozen=True)
class CONFIG:
    in_slices: int = 3
    classes: tuple = ("Normal", "BRIGHT", "DARK")
"""

BY_HU = (
    HEAD
    + '''
class ByHu(nn.Module):
    """Liver from 85 HU, tumour from 145 HU."""
    multiple = 16

    def __init__(self):
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(0.25))

    def forward(self, x, return_attention=False):
        hu = x[:, x.shape[1] // 2].float() * 200
        nothing, step = torch.zeros_like(hu), float(self.steepness)
        logits = self.logits_of(hu, nothing, step)
        return SimpleNamespace(logits=logits.clamp(-12, 12), attention=None)

def build(config):
    return ByHu()
'''
)

LOCATOR = (
    BY_HU
    + """
ByHu.logits_of = lambda self, hu, nothing, step: torch.stack([nothing, (hu - 85) * step], dim=1)
"""
)

SEGMENTER = (
    BY_HU
    + """
ByHu.logits_of = lambda self, hu, nothing, step: torch.stack(
    [nothing, torch.minimum((hu - 85) * step, (145 - hu) * step), (hu - 145) * step], dim=1
)
"""
)

DETECTOR = (
    HEAD
    + '''
from scipy import ndimage

class Boxes(nn.Module):
    """A box round everything brighter than 145 HU."""

    def __init__(self):
        super().__init__()
        self.level_hu = nn.Parameter(torch.tensor(145.0))

    def forward(self, images):
        found = []
        for plane in images[:, images.shape[1] // 2].float() * 200:
            spots, count = ndimage.label((plane > self.level_hu).cpu().numpy())
            boxes = [[s[0].start, s[1].start, s[0].stop, s[1].stop] for s in ndimage.find_objects(spots)]
            found.append((torch.tensor(boxes).reshape(-1, 4).float(), torch.full((count,), 0.95)))
        return found

def build(config):
    return Boxes()
'''
)

CLASSIFIER = (
    HEAD
    + '''
class Brightness(nn.Module):
    """Bright or dark by the slice's mean."""
    multiple = 8

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.slope = nn.Parameter(torch.tensor(200.0))

    def head(self, features):
        mean = features.float().mean(dim=(1, 2, 3)) * self.slope
        return torch.stack([torch.full_like(mean, -9.0), mean, -mean], dim=1)

    def forward(self, x):
        features = nn.functional.avg_pool2d(x[:, x.shape[1] // 2][:, None], 8)
        return SimpleNamespace(logits=self.head(features), features=features)

def build(config):
    return Brightness(config)
'''
)

TOYS = {
    "toy_locator": ("locate", LOCATOR),
    "toy_segmenter": ("segment", SEGMENTER),
    "toy_detector": ("detect", DETECTOR),
    "toy_classifier": ("classify", CLASSIFIER),
}


def toy_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the toys and make their folder the one that models are read from; returns it."""
    files, models = folder / "networks", folder / "Models"
    files.mkdir(parents=True)
    models.mkdir()
    monkeypatch.setattr(networks, "__path__", [*networks.__path__, str(files)])
    monkeypatch.setattr(weights, "models_folder", lambda: models)
    manifest = Manifest(models, ())
    for name, (task, source) in TOYS.items():
        (files / f"{name}.py").write_text(source, encoding="utf-8")
        digest = save_weights(build_network(name, {}), models / f"{name}.pt")
        title = f"{name.replace('_', ' ').capitalize()}: for the test"
        entry = ModelEntry(name, task, name, {}, SPEC, f"{name}.pt", digest, title=title)
        manifest = manifest.with_entry(entry)
    manifest.write()
    return models
