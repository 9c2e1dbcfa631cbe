"""The families of networks that find a liver's vessels and that name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...models.weights import ModelEntry
from ...support.progress import Progress, silent
from ..segment.slice_network import SliceNetwork
from .face import LiverView, VesselAnswer
from .tree_view import TreeView

if TYPE_CHECKING:
    from ..faces import Runtime


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


@dataclass(frozen=True, eq=False)
class TreeNetwork:
    """Tells hepatic veins from the portal vein with the whole liver in view.

    Attributes:
        entry, network: network in inference form.
    """

    entry: ModelEntry
    network: nn.Module

    @classmethod
    def opened(cls, entry: ModelEntry, runtime: Runtime) -> TreeNetwork:
        """See :meth:`~..faces.Runtime.open`."""
        return cls(entry, runtime.network(entry))

    def hepatic_log_odds(self, view: TreeView, progress: Progress = silent) -> NDArray[np.float32]:
        """See :class:`~.tree_view.TreeNamer`."""
        progress("naming vessels", 0.0)
        shape = view.volumes.shape[1:]
        multiple = int(getattr(self.network, "multiple", 1))
        depth, height, width = shape
        parameter = next(self.network.parameters())
        padded = torch.empty(len(view.volumes), *(n + -n % multiple for n in shape), dtype=parameter.dtype)
        padded[:, :depth, :height, :width] = torch.from_numpy(view.volumes)
        # What is beyond the edge is as the edge.
        padded[:, depth:, :height, :width] = padded[:, depth - 1 : depth, :height, :width]
        padded[:, :, height:, :width] = padded[:, :, height - 1 : height, :width]
        padded[..., width:] = padded[..., width - 1 : width]
        flat = padded.reshape(1, -1, *padded.shape[2:])
        with torch.inference_mode():
            logits = self.network(flat.to(parameter.device)).logits
        odds: NDArray[np.float32] = logits[0].float().cpu().numpy()
        return odds[tuple(slice(0, n) for n in shape)]
