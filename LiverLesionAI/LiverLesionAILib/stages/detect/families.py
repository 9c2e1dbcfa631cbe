"""Families of box detectors: how each is run over a view, and what it can tell of one lesion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from ...case.findings import AttentionMap
from ...models.inputs import OUTSIDE_HU, InputSpec
from ...models.weights import ModelEntry
from ...support.progress import Progress, silent
from ...volume.ct import Geometry
from ..explain.cs_att import lesion_attention
from ..explain.va import volumetric_lesion_attention
from ..faces import Runtime
from ..segment.inference import padded_size
from .click import outline
from .click_input import Clicks
from .link import LinkedBox, SliceBoxes
from .slice_boxes import slice_boxes
from .star import Surroundings
from .view import View
from .volumetric import volumetric_slice_boxes

STAGE = "looking for lesion boxes"


@dataclass(frozen=True, eq=False)
class SliceDetector:
    """A network that sees a stack of slices and puts boxes into the middle one.

    Attributes:
        entry, network: network in inference form.
        batch: slices at once.
        explained: whether maps are wanted.
    """

    entry: ModelEntry
    network: nn.Module
    batch: int = 4
    explained: bool = False

    @classmethod
    def opened(cls, entry: ModelEntry, runtime: Runtime) -> SliceDetector:
        """See :meth:`~..faces.Runtime.open`."""
        return cls(entry, runtime.network(entry), runtime.device.batch, runtime.explain)

    @property
    def input(self) -> InputSpec:
        """See :class:`~..faces.Detector`."""
        return self.entry.input.enlarged(self.entry.scales)

    def boxes(self, hu_zyx: NDArray, view: View, progress: Progress = silent) -> SliceBoxes:
        """See :class:`~..faces.Detector`."""
        spec, shape_yx = (
            self.input,
            (view.rows.stop - view.rows.start, view.columns.stop - view.columns.start),
        )
        size_yx = tuple(max(1, round(n * spec.magnify)) for n in shape_yx)
        below, right = (
            padded - n
            for padded, n in zip(
                padded_size(size_yx, int(getattr(self.network, "multiple", 1))), size_yx, strict=True
            )
        )
        parameter = next(self.network.parameters())
        scale = np.tile(np.array(shape_yx) / np.array(size_yx), 2)
        shift = np.tile([view.rows.start, view.columns.start], 2)
        slices: list[int] = []
        boxes: list[NDArray[np.float64]] = []
        scores: list[NDArray[np.float64]] = []
        with torch.inference_mode():
            for first in range(0, len(view.slices), self.batch):
                group = np.array(view.slices[first : first + self.batch])
                stack = hu_zyx[spec.stack_indices(group, len(hu_zyx))][..., view.rows, view.columns]
                images = torch.from_numpy(spec.normalise(stack))
                if size_yx != shape_yx:
                    images = F.interpolate(images, size=size_yx, mode="bilinear", align_corners=False)
                images = F.pad(images, (0, right, 0, below), value=float(spec.normalise(OUTSIDE_HU)))
                found = self.network(images.to(parameter.device, parameter.dtype))
                for z, (where, score) in zip(group, found, strict=True):
                    slices += [int(z)] * len(score)
                    boxes.append(where.double().cpu().numpy().reshape(-1, 4) * scale + shift)
                    scores.append(score.double().cpu().numpy())
                progress(STAGE, (first + len(group)) / len(view.slices))
        return SliceBoxes.make(slices, np.concatenate(boxes or [()]), np.concatenate(scores or [()]))

    def explain(
        self, hu_zyx: NDArray, view: View, geometry: Geometry, box: LinkedBox
    ) -> tuple[AttentionMap, ...]:
        """Nothing: a plain network says nothing of its attention."""
        return ()


class CsAttDetector(SliceDetector):
    """CS-Att and 3DCE: the backbone sees every three-slice image once, windows are gathered from that."""

    def boxes(self, hu_zyx: NDArray, view: View, progress: Progress = silent) -> SliceBoxes:
        """See :class:`~..faces.Detector`."""
        network, spec = self.network, self.input
        return slice_boxes(network, spec, hu_zyx, view, batch=self.batch, progress=progress)  # type: ignore[arg-type]

    def explain(
        self, hu_zyx: NDArray, view: View, geometry: Geometry, box: LinkedBox
    ) -> tuple[AttentionMap, ...]:
        """See :class:`~..faces.Detector`."""
        if not self.explained:
            return ()
        return lesion_attention(self.network, self.input, hu_zyx, view, geometry, box)  # type: ignore[arg-type]


class VolumetricDetector(SliceDetector):
    """VA Faster R-CNN: every slice with a bag of its neighbours."""

    def boxes(self, hu_zyx: NDArray, view: View, progress: Progress = silent) -> SliceBoxes:
        """See :class:`~..faces.Detector`."""
        return volumetric_slice_boxes(
            self.network,  # type: ignore[arg-type]
            self.input,
            hu_zyx,
            rows=view.rows,
            columns=view.columns,
            slices=view.slices,
            batch=self.batch,
            progress=progress,
            stage=STAGE,
        )

    def explain(
        self, hu_zyx: NDArray, view: View, geometry: Geometry, box: LinkedBox
    ) -> tuple[AttentionMap, ...]:
        """See :class:`~..faces.Detector`."""
        if not self.explained:
            return ()
        network, spec = self.network, self.input
        return volumetric_lesion_attention(network, spec, hu_zyx, view, geometry, box)  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class ClickNetwork:
    """Outlines what a reader clicks on.

    Attributes:
        entry, network: network in inference form.
    """

    entry: ModelEntry
    network: nn.Module

    @classmethod
    def opened(cls, entry: ModelEntry, runtime: Runtime) -> ClickNetwork:
        """See :meth:`~..faces.Runtime.open`."""
        return cls(entry, runtime.network(entry))

    def outline(self, seen: Surroundings, drawn_zyx: NDArray[np.bool_], clicks: Clicks) -> NDArray[np.bool_]:
        """See :func:`~.click.outline`."""
        return outline(self.network, seen, drawn_zyx, clicks)
