"""The family of networks that tell an organ beside the liver."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...models.weights import ModelEntry
from ...support.progress import Progress, silent
from ..faces import Runtime
from ..segment.inference import class_probabilities


@dataclass(frozen=True, eq=False)
class SliceNeighbour:
    """A network that sees a stack of slices and tells background, liver and one neighbour apart.

    Attributes:
        entry, network: network in inference form.
        batch: slices at once.
    """

    entry: ModelEntry
    network: nn.Module
    batch: int = 8

    @classmethod
    def opened(cls, entry: ModelEntry, runtime: Runtime) -> SliceNeighbour:
        """See :meth:`~..faces.Runtime.open`."""
        return cls(entry, runtime.network(entry), runtime.device.batch)

    def probability(self, hu_zyx: NDArray[np.float32], progress: Progress = silent) -> NDArray[np.uint8]:
        """See :class:`~..faces.Neighbour`."""
        return class_probabilities(
            self.network,
            self.entry.input,
            hu_zyx,
            classes=3,
            batch=self.batch,
            progress=progress,
            stage="looking for the gallbladder",
        )[1]
