"""Attention maps of what ran, on the working grid, each with its meaning and range."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray

from ...case.findings import AttentionMap
from ...volume.ct import Geometry


@dataclass
class SfanAttentionCollector:
    """Gathers SFAN's gate-weighted activations while the segmentation runs; no second pass is needed.

    Attributes:
        shape_zyx: of the working grid.
        magnify: how much larger the network sees it in plane.
    """

    shape_zyx: tuple[int, int, int]
    magnify: float = 1.0
    _levels: list[NDArray[np.float16]] = field(default_factory=list)
    _gates: list[NDArray[np.float32]] = field(default_factory=list)

    def __call__(self, centres: NDArray[np.intp], output: Any, inner_yx: tuple[int, int]) -> None:
        """Take the output for slices `centres`; padding beyond `inner_yx` is cut away."""
        attention = output.attention
        if not self._levels:
            self._levels = [np.zeros(self.shape_zyx, np.float16) for _ in attention.sat_maps]
        padded_yx = output.logits.shape[-2:]
        for level, small in enumerate(attention.sat_maps):
            full = F.interpolate(small[:, None], size=padded_yx, mode="bilinear", align_corners=False)[:, 0]
            full = full[:, : inner_yx[0], : inner_yx[1]]
            if inner_yx != self.shape_zyx[1:]:
                # The network saw the slices magnified.
                full = F.interpolate(
                    full[:, None], size=self.shape_zyx[1:], mode="bilinear", align_corners=False
                )[:, 0]
            self._levels[level][centres] = full.half().cpu().numpy()
        if attention.gca_gates is not None:
            self._gates.append(attention.gca_gates.float().mean(dim=(0, 2)).cpu().numpy())

    @property
    def filled(self) -> bool:
        """Whether an SFAN ran."""
        return bool(self._levels)

    def maps(self, geometry: Geometry) -> tuple[AttentionMap, ...]:
        """One map per level, scaled so that 1 is the 99.5th percentile inside the box."""
        shares = np.mean(self._gates, axis=0) if self._gates else None
        maps = []
        for level, values in enumerate(self._levels):
            array = values.astype(np.float32)
            top = float(np.percentile(array[:: max(1, len(array) // 24), ::3, ::3], 99.5))
            array = np.clip(array / max(top, 1e-6), 0.0, 1.0)
            gate = "" if shares is None else f" Its mean global context gate (GCA) is {shares[level]:.2f}."
            size_mm = geometry.spacing_zyx_mm[1] * 2**level / self.magnify
            maps.append(
                AttentionMap(
                    name=f"SFAN semantic attention, level {level + 1}",
                    meaning=(
                        f"Mean activation of encoder level {level + 1} ({size_mm:.2g} "
                        "mm cells) after its semantic "
                        f"gate (SAT): bright where this level passes much on to the segmentation.{gate}"
                    ),
                    values_zyx=array,
                    geometry=geometry,
                    value_range=(0.0, 1.0),
                    unit="relative",
                    bars={}
                    if shares is None
                    else {f"GCA gate, level {k + 1}": float(share) for k, share in enumerate(shares)},
                )
            )
        return tuple(maps)

    def lesion_maps(
        self, geometry: Geometry, labels_zyx: NDArray[np.uint16], numbers: Mapping[int, int]
    ) -> tuple[AttentionMap, ...]:
        """None: SFAN's gates belong to a level, not to a lesion."""
        return ()
