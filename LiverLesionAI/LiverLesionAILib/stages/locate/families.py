"""The family of networks that find the liver on a coarse grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...support.progress import Progress, silent
from ..segment.slice_network import SliceNetwork


class SliceLocator(SliceNetwork):
    """Tells the liver from the background on coarse slices."""

    CLASSES, STAGE, BATCHES = 2, "looking for the liver", 2

    def probability(self, hu_zyx: NDArray[np.float32], progress: Progress = silent) -> NDArray[np.uint8]:
        """See :class:`~..faces.Locator`."""
        return self.classes(hu_zyx, progress)[0]
