"""The family of networks that tell an organ beside the liver."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...support.progress import Progress, silent
from ..segment.slice_network import SliceNetwork


class SliceNeighbour(SliceNetwork):
    """Tells background, liver and one neighbour apart."""

    CLASSES, STAGE = 3, "looking for the gallbladder"

    def probability(self, hu_zyx: NDArray[np.float32], progress: Progress = silent) -> NDArray[np.uint8]:
        """See :class:`~..faces.Neighbour`."""
        return self.classes(hu_zyx, progress)[1]
