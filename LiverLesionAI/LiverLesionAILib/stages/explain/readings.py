"""What every attention of a network weighs in one slice.

Rows, gates and weights as they act, that is after their softmax or sigmoid, and how much each changes the map
it stands on. Read by the same code that :mod:`...networks.health` watches with: what is shown and what is
judged are the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ...models.inputs import InputSpec, liver_level_hu
from ...models.weights import ModelEntry
from ...networks.dadrn import Dadrn
from ...networks.health import How, Mechanism, Seen, watched
from ...networks.mechanisms import mechanisms_of
from ...support.progress import Progress, silent
from ..classify.liver_box import LiverCrop
from ..classify.liver_slices import Placement, place
from ..segment.inference import padded_size
from .health import LiverPart, answer_of

AFFINITIES = ("affinity", "sigmoid affinity")


class Frame(Protocol):
    """Where a network's maps of a slice lie on the slice."""

    def cell(self, point_yx: tuple[int, int], size_yx: tuple[int, int]) -> tuple[int, int]:
        """The cell of a map of this size that holds a voxel of the slice."""

    def on_slice(self, map_yx: NDArray) -> NDArray[np.float32]:
        """A map, cell by cell, on the slice's voxels."""


@dataclass(frozen=True)
class PaddedFrame:
    """The whole slice, enlarged, and padded below and to the right.

    Attributes:
        slice_yx: the slice, voxels; seen_yx: the same enlarged; padded_yx: with its padding.
    """

    slice_yx: tuple[int, int]
    seen_yx: tuple[int, int]
    padded_yx: tuple[int, int]

    def cell(self, point_yx: tuple[int, int], size_yx: tuple[int, int]) -> tuple[int, int]:
        """See :class:`Frame`."""
        sizes = zip(point_yx, self.slice_yx, self.seen_yx, self.padded_yx, size_yx, strict=True)
        y, x = (
            min(int((p + 0.5) * seen / n * cells / padded), cells - 1) for p, n, seen, padded, cells in sizes
        )
        return y, x

    def on_slice(self, map_yx: NDArray) -> NDArray[np.float32]:
        """See :class:`Frame`; between cells nothing is known, and a smoothed map would move its peaks."""
        cells = torch.from_numpy(np.asarray(map_yx, np.float32))[None, None]
        full = F.interpolate(cells, size=self.padded_yx, mode="nearest-exact")
        full = full[..., : self.seen_yx[0], : self.seen_yx[1]]
        return F.interpolate(full, size=self.slice_yx, mode="nearest-exact")[0, 0].numpy()


@dataclass(frozen=True)
class PlacedFrame:
    """A square round the liver, as slice classifiers see it (:class:`..classify.liver_slices.Placement`)."""

    slice_yx: tuple[int, int]
    placement: Placement
    stride: int

    def cell(self, point_yx: tuple[int, int], size_yx: tuple[int, int]) -> tuple[int, int]:
        """See :class:`Frame`; of a point outside of the square the nearest cell."""
        where, middle = self.placement, (self.placement.edge - 1) / 2
        seen = ((p - c) / where.scale + middle for p, c in zip(point_yx, where.centre_yx, strict=True))
        y, x = (int(np.clip(round(s / self.stride), 0, n - 1)) for s, n in zip(seen, size_yx, strict=True))
        return y, x

    def on_slice(self, map_yx: NDArray) -> NDArray[np.float32]:
        """See :class:`Frame`; 0 outside of the square."""
        cells = torch.from_numpy(np.asarray(map_yx, np.float32))[None, None]
        grid = self.placement.inverse_grid(self.slice_yx, self.stride)[None]
        return F.grid_sample(cells, grid, mode="nearest", padding_mode="zeros", align_corners=False)[
            0, 0
        ].numpy()


@dataclass(frozen=True, eq=False)
class Reading:
    """What one attention weighs in one slice.

    Attributes:
        network: its entry's name; mechanism: as :class:`~...networks.health.Mechanism` names it.
        size_yx: of the map the attention stands on; (0, 0) where it sees no map.
        weights: kind -> weights of the slice. "affinity", "sigmoid affinity": of a point's row (h, w) where
            positions gather from positions, (C, C) where channels do; "slice weights": (N,) of the bag;
            "image weights": (M, h, w), mean over channels; "image gate", "squeeze gate": (C,);
            "place gate": (h, w), or (M, h, w) of M images.
        change_yx: how much the attention changes the map in each cell, against what the cell holds;
            None where the attention does not give a map of the size it was given.
        frame: places maps on the slice.
    """

    network: str
    mechanism: str
    size_yx: tuple[int, int]
    weights: dict[str, NDArray[np.float32]]
    change_yx: NDArray[np.float32] | None
    frame: Frame

    @property
    def of_positions(self) -> bool:
        """Whether positions gather from positions, rather than channels from channels."""
        return self.mechanism.startswith("spatial")

    @property
    def affinity(self) -> NDArray[np.float32] | None:
        """The row of the point, or the channels' matrix; None of attention that has none."""
        return next((self.weights[kind] for kind in AFFINITIES if kind in self.weights), None)


@singledispatch
def frame_of(network: nn.Module, spec: InputSpec, liver: LiverPart) -> Frame:
    """Where a network's maps lie on the one slice of `liver`; `spec` as it reads a scan."""
    high, wide = liver.hu_zyx.shape[1:]
    seen = max(1, round(high * spec.magnify)), max(1, round(wide * spec.magnify))
    return PaddedFrame((high, wide), seen, padded_size(seen, int(getattr(network, "multiple", 1))))


@frame_of.register
def _of_classes(network: Dadrn, _spec: InputSpec, liver: LiverPart) -> Frame:
    high, wide = liver.hu_zyx.shape[1:]
    (z,) = (int(n) for n in liver.slices)
    return PlacedFrame((high, wide), place(liver.liver_zyx[z]), network.multiple)


def part_of(
    crop: LiverCrop, spec: InputSpec, slices: Sequence[int], phase: Sequence[float] | None = None
) -> LiverPart:
    """A liver on a network's grid as the network sees it; `crop` is on the grid of `spec`."""
    hu = np.asarray(crop.hu_zyx, np.float32)
    shift = np.float32(spec.shift_hu(liver_level_hu(hu[crop.liver_zyx])))
    return LiverPart(hu + shift, crop.liver_zyx, np.asarray(slices, np.intp), phase)


def read_attention(
    entry: ModelEntry,
    network: nn.Module,
    liver: LiverPart,
    point_yx: tuple[int, int],
    progress: Progress = silent,
) -> list[Reading]:
    """Every attention of a network in one slice; [] of networks without any.

    Args:
        network: of the entry, in inference form.
        liver: on the grid of `entry.input`, with the one slice that is asked about.
        point_yx: voxel of that slice whose rows of spatial affinities are read.
    """
    mechanisms = mechanisms_of(network)
    if not mechanisms:
        return []
    frame = frame_of(network, entry.input.enlarged(entry.scales), liver)
    answer = answer_of(network, entry, liver)
    recorders = [_Recorder(mechanism, frame, point_yx) for mechanism in mechanisms]
    looks = _looks(recorders)
    for number, together in enumerate(looks):
        progress(f"attention of {entry.name}", number / len(looks))
        with torch.inference_mode(), ExitStack() as all_watched:
            for one in together:
                all_watched.enter_context(watched(replace(one.mechanism, run=one.run), None, one.seen))
            answer()
    return [
        Reading(entry.name, one.mechanism.name, one.size_yx, one.weights, one.change_yx, frame)
        for one in recorders
    ]


def _looks(recorders: Sequence[_Recorder]) -> list[list[_Recorder]]:
    """What can be watched in one look: a method of a module has room for one watcher."""
    looks: list[dict[tuple[int, str], _Recorder]] = []
    for one in recorders:
        place = id(one.mechanism.module), one.mechanism.method
        free = next((look for look in looks if place not in look), None)
        if free is None:
            looks.append({place: one})
        else:
            free[place] = one
    return [list(look.values()) for look in looks]


class _Recorder:
    """Stands before a mechanism and keeps what it weighs and what it changes."""

    def __init__(self, mechanism: Mechanism, frame: Frame, point_yx: tuple[int, int]) -> None:
        self.mechanism, self._frame, self._point_yx = mechanism, frame, point_yx
        self.size_yx: tuple[int, int] = (0, 0)
        self.weights: dict[str, NDArray[np.float32]] = {}
        self.change_yx: NDArray[np.float32] | None = None

    def run(self, how: How | None, seen: Seen, *args: Any, **named: Any) -> Any:
        before = args[0]
        self.size_yx = (int(before.shape[-2]), int(before.shape[-1]))
        result = self.mechanism.run(how, seen, *args, **named)
        after = result[0] if isinstance(result, tuple) else result
        if isinstance(after, Tensor) and before.ndim == 4 and after.shape == before.shape:
            was = before[0].float()
            changed = (after[0].float() - was).norm(dim=0) / was.norm(dim=0).clamp(min=1e-6)
            self.change_yx = changed.cpu().numpy()
        return result

    def seen(self, kind: str, weights: Tensor) -> None:
        one = weights[0].float()
        if kind in AFFINITIES and self.mechanism.name.startswith("spatial"):
            y, x = self._frame.cell(self._point_yx, self.size_yx)
            one = one[y * self.size_yx[1] + x].reshape(self.size_yx)
        elif kind in ("image weights", "place gate") and one.ndim == 4:
            one = one.mean(dim=1)
        self.weights[kind] = one.cpu().numpy()
