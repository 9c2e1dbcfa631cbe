"""Families of mask networks: how each is run over a region, and what it can tell of its attention."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ...case.findings import AttentionMap, PointLps
from ...models.weights import ModelEntry
from ...support.progress import Progress, part, silent
from ...volume.ct import CtVolume
from ..detect.volumetric import volumetric_liver_and_tumour
from ..explain.mscd_point import point_attention
from ..explain.sfan import SfanAttentionCollector
from ..explain.va import VolumetricAttentionCollector
from ..faces import Probabilities, Runtime, Segmenter
from .inference import liver_and_tumour
from .region import Region

ShapeZyx = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class SliceSegmenter:
    """A network that sees a stack of slices and says what each pixel of the middle one is.

    Attributes:
        entry, network: network in inference form.
        batch: slices at once.
        explain: whether attention maps are wanted.
    """

    entry: ModelEntry
    network: nn.Module
    batch: int = 8
    explain: bool = False

    @classmethod
    def opened(cls, entry: ModelEntry, runtime: Runtime) -> SliceSegmenter:
        """See :meth:`~..faces.Runtime.open`."""
        return cls(entry, runtime.network(entry), runtime.device.batch, runtime.explain)

    def collector(self, shape_zyx: ShapeZyx) -> SfanAttentionCollector | None:
        """What gathers attention while the network runs; None for plain networks."""
        return None

    def probabilities(self, region: Region, progress: Progress = silent) -> Probabilities:
        """See :class:`~..faces.Segmenter`: liver and lesions each at the scales they are seen best at."""
        collector = self.collector(region.hu_zyx.shape) if self.explain else None
        liver, tumour = liver_and_tumour(
            self.network,
            self.entry.input,
            region.shifted(self.entry.input),
            liver_scales=self.entry.scales.get("liver", (1.0,)),
            lesion_scales=self.entry.scales.get("lesions", (1.0,)),
            near_zyx=region.near_zyx,
            finer=region.finer,
            batch=self.batch,
            progress=progress,
            collect=collector,
        )
        return Probabilities(liver, tumour, () if collector is None else (collector,))


class SfanSegmenter(SliceSegmenter):
    """SFAN: its gates are gathered on the way."""

    def collector(self, shape_zyx: ShapeZyx) -> SfanAttentionCollector:
        return SfanAttentionCollector(shape_zyx, self.entry.input.magnify)  # type: ignore[arg-type]


class MscdSegmenter(SliceSegmenter):
    """MSCD: relates every position to every other, and can be asked about one."""

    def attend(self, volume: CtVolume, point_lps: PointLps, level_hu: float) -> tuple[AttentionMap, ...]:
        """See :class:`~..faces.Attentive`."""
        return point_attention(self.network, self.entry, volume, point_lps, level_hu)


class VolumetricSegmenter(SliceSegmenter):
    """VA Mask R-CNN: instances in bags of slices, stacked to a volume."""

    def probabilities(self, region: Region, progress: Progress = silent) -> Probabilities:
        """See :class:`~..faces.Segmenter`."""
        collector = None
        if self.explain:
            shape, magnify = region.hu_zyx.shape, self.entry.input.magnify
            collector = VolumetricAttentionCollector(self.network, shape, magnify)  # type: ignore[arg-type]
        liver, tumour = volumetric_liver_and_tumour(
            self.network,  # type: ignore[arg-type]
            self.entry.input,
            region.shifted(self.entry.input),
            scales=self.entry.scales.get("lesions", (1.0,)),
            batch=self.batch,
            progress=progress,
            collect=collector,
        )
        return Probabilities(liver, tumour, () if collector is None else (collector,))


@dataclass(frozen=True, eq=False)
class MeanSegmenter:
    """Several segmenters on one grid, heard alike; without weights of its own."""

    entry: ModelEntry
    members: tuple[Segmenter, ...]

    @classmethod
    def opened(cls, entry: ModelEntry, runtime: Runtime) -> MeanSegmenter:
        """See :meth:`~..faces.Runtime.open`."""
        find = runtime.store.manifest.find
        return cls(entry, tuple(runtime.open(find(name)) for name in entry.members))

    def probabilities(self, region: Region, progress: Progress = silent) -> Probabilities:
        """See :class:`~..faces.Segmenter`: the mean over the members, each at its own scales."""
        count = len(self.members)
        totals = [np.zeros(region.hu_zyx.shape, np.uint16) for _ in range(2)]
        explainers: tuple = ()
        for number, member in enumerate(self.members):
            found = member.probabilities(region, part(progress, number / count, (number + 1) / count))
            for total, values in zip(totals, found[:2], strict=True):
                total += values
            explainers += found.explainers
        return Probabilities(*(_mean(total, count) for total in totals), explainers)


def _mean(total: NDArray[np.uint16], count: int) -> NDArray[np.uint8]:
    return ((total + count // 2) // count).astype(np.uint8)
