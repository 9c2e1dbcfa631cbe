"""The family of networks that find the liver on a coarse grid."""

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
class SliceLocator:
    """A network that sees a stack of coarse slices.

    Attributes:
        entry, network: network in inference form.
        batch: slices at once.
    """

    entry: ModelEntry
    network: nn.Module
    batch: int = 16

    @classmethod
    def opened(cls, entry: ModelEntry, runtime: Runtime) -> SliceLocator:
        """See :meth:`~..faces.Runtime.open`; coarse slices are small, so twice as many go at once."""
        return cls(entry, runtime.network(entry), 2 * runtime.device.batch)

    def probability(self, hu_zyx: NDArray[np.float32], progress: Progress = silent) -> NDArray[np.uint8]:
        """See :class:`~..faces.Locator`."""
        return class_probabilities(
            self.network,
            self.entry.input,
            hu_zyx,
            classes=2,
            batch=self.batch,
            progress=progress,
            stage="looking for the liver",
        )[0]
