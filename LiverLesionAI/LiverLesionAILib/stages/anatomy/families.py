"""The family of networks that find a liver's vessels."""

from __future__ import annotations

import numpy as np

from ...support.progress import Progress, silent
from ..segment.slice_network import SliceNetwork
from .face import LiverView, VesselAnswer


class SliceVessels(SliceNetwork):
    """Tells background, liver, portal vein, hepatic veins and IVC apart."""

    CLASSES, STAGE = 5, "looking for vessels"

    @property
    def spacing_zyx_mm(self) -> tuple[float, float, float]:
        """Of the grid that the network learnt on."""
        return self.entry.input.spacing_zyx_mm

    def vessels(self, view: LiverView, progress: Progress = silent) -> VesselAnswer:
        """See :class:`~.face.VesselFinder`."""
        hu_zyx = view.hu_zyx + np.float32(self.entry.input.shift_hu(view.level_hu))
        _, portal, hepatic, ivc = self.classes(hu_zyx, progress)
        kinds_zyx = np.stack([hepatic, portal, ivc])
        any_zyx = np.minimum(kinds_zyx.sum(axis=0, dtype=np.uint16), 255).astype(np.uint8)
        seen = (any_zyx >= 128) & view.liver_zyx & ~view.lesion_zyx
        contrast = float(np.median(view.hu_zyx[seen])) - view.level_hu if seen.any() else float("nan")
        return VesselAnswer(any_zyx, kinds_zyx, contrast)
