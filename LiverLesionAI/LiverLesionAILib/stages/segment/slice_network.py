"""A network that sees a stack of slices, as the families of several stages run it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...models.weights import ModelEntry
from ...support.progress import Progress, silent
from .inference import class_probabilities

if TYPE_CHECKING:
    from ..faces import Runtime

Opened = TypeVar("Opened", bound="SliceNetwork")


@dataclass(frozen=True, eq=False)
class SliceNetwork:
    """Says for each pixel of the middle slice of a stack which of its classes it is.

    Attributes:
        CLASSES: how many it tells apart, background included.
        STAGE: what the reader is told meanwhile.
        BATCHES: how many times the device's batch goes at once: coarse slices are small.
        entry, network: network in inference form.
        batch: slices at once.
    """

    CLASSES: ClassVar[int]
    STAGE: ClassVar[str]
    BATCHES: ClassVar[int] = 1

    entry: ModelEntry
    network: nn.Module
    batch: int = 8

    @classmethod
    def opened(cls: type[Opened], entry: ModelEntry, runtime: Runtime) -> Opened:
        """See :meth:`~..faces.Runtime.open`."""
        return cls(entry, runtime.network(entry), cls.BATCHES * runtime.device.batch)

    def classes(self, hu_zyx: NDArray[np.float32], progress: Progress = silent) -> NDArray[np.uint8]:
        """(CLASSES - 1, z, y, x), 0..255: of each class but the background, on the grid it learnt on."""
        return class_probabilities(
            self.network,
            self.entry.input,
            hu_zyx,
            classes=self.CLASSES,
            batch=self.batch,
            progress=progress,
            stage=self.STAGE,
        )
