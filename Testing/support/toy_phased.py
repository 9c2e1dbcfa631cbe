"""A classifier without training that is told the phase and has classes for metastases and benign changes."""

from __future__ import annotations

import torch
from LiverLesionAILib.networks.dadrn import PHASED_CLASSES

from .toy_classifier import BrightOrDark, Output

DARK, BRIGHT = PHASED_CLASSES.index("MET"), PHASED_CLASSES.index("HCC")


class ToldPhase(BrightOrDark):
    """Says MET of dark things, whatever the phase, and HCC of bright ones where it is told an arterial one.

    `told`: what it was told at each call, (B, 4); None where it was told nothing.
    """

    class config:
        classes = PHASED_CLASSES
        phases = 4

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(len(PHASED_CLASSES), 2))
        with torch.no_grad():
            self.weight[BRIGHT, 0] = self.weight[DARK, 1] = 3000.0
            self.weight[PHASED_CLASSES.index("CYST"), 1] = 2000.0
        self.bias = torch.tensor([6.0, *[0.0] * (len(PHASED_CLASSES) - 1)])
        self.told: list[torch.Tensor | None] = []

    def forward(self, x: torch.Tensor) -> Output:
        shares = x[:, 3:, 0, 0] if x.shape[1] > 3 else None
        self.told.append(None if shares is None else shares.detach().clone())
        found = super().forward(x[:, :3])
        if shares is None:
            return found
        features = found.features * torch.stack([shares[:, 1], torch.ones(len(x))], dim=1)[..., None, None]
        return Output(self.head(features), features)
