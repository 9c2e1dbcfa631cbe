"""The family of networks that find a liver's vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import nn

from ...models.weights import ModelEntry
from ...support.progress import Progress, silent
from ..faces import Runtime
from ..segment.inference import class_probabilities
from .face import LiverView, VesselAnswer

CLASSES = 5
"""Background, liver, portal vein, hepatic veins, IVC."""


@dataclass(frozen=True, eq=False)
class SliceVessels:
    """A network that sees a stack of slices and tells portal vein, hepatic veins and IVC apart.

    Attributes:
        entry, network: network in inference form.
        batch: slices at once.
    """

    entry: ModelEntry
    network: nn.Module
    batch: int = 8

    @classmethod
    def opened(cls, entry: ModelEntry, runtime: Runtime) -> SliceVessels:
        """See :meth:`~..faces.Runtime.open`."""
        return cls(entry, runtime.network(entry), runtime.device.batch)

    @property
    def spacing_zyx_mm(self) -> tuple[float, float, float]:
        """Of the grid that the network learnt on."""
        return self.entry.input.spacing_zyx_mm

    def vessels(self, view: LiverView, progress: Progress = silent) -> VesselAnswer:
        """See :class:`~.face.VesselFinder`."""
        hu_zyx = view.hu_zyx + np.float32(self.entry.input.shift_hu(view.level_hu))
        _, portal, hepatic, ivc = class_probabilities(
            self.network,
            self.entry.input,
            hu_zyx,
            classes=CLASSES,
            batch=self.batch,
            progress=progress,
            stage="looking for vessels",
        )
        kinds_zyx = np.stack([hepatic, portal, ivc])
        any_zyx = np.minimum(kinds_zyx.sum(axis=0, dtype=np.uint16), 255).astype(np.uint8)
        seen = (any_zyx >= 128) & view.liver_zyx & ~view.lesion_zyx
        contrast = float(np.median(view.hu_zyx[seen])) - view.level_hu if seen.any() else float("nan")
        return VesselAnswer(any_zyx, kinds_zyx, contrast)
