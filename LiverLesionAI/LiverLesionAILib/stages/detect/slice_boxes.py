"""Run a detector over a volume.

The backbone sees every three-slice image once, windows are gathered from what it made of them.

The papers evaluate every target slice by itself, so that each slice passes the backbone once for every window
it is in. Nothing in the backbone depends on the window: the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...models.inputs import OUTSIDE_HU, InputSpec
from ...models.one_thread_each import Unit, for_each
from ...networks.cs_att import SLICES_PER_IMAGE, CsAtt, CsAttention, Detections, DetectSettings
from ...networks.cs_att_known import KnownImage, judge_window, known_images
from ...support.progress import Progress, silent
from ..segment.inference import padded_size
from .link import SliceBoxes
from .view import View


class VolumeWindows:
    """Windows of a volume for :class:`~LiverLesionAILib.networks.cs_att.CsAtt`.

    Features are computed when first needed and forgotten when no later slice needs them: memory does not grow
    with the number of slices.

    Args:
        network: eval mode, on its device and in its precision.
        hu_zyx: HU on the network's grid, its liver's level shifted as `spec` wants.
        view: what is looked at.
        batch: three-slice images and windows at once, on a GPU.
    """

    def __init__(self, network: CsAtt, spec: InputSpec, hu_zyx: NDArray, view: View, batch: int = 8) -> None:
        self.network, self.spec, self.view, self.batch = network, spec, view, batch
        self._hu = hu_zyx[:, view.rows, view.columns]
        height, width = self._hu.shape[1:]
        self.size_yx = (max(1, round(height * spec.magnify)), max(1, round(width * spec.magnify)))
        self._padded_yx = padded_size(self.size_yx, network.multiple)
        self._made: dict[int, KnownImage] = {}
        # Beyond the ends the last slice is repeated, so all images further out are the same.
        self._last = len(hu_zyx)

    def image(self, centre: int) -> Tensor:
        """The three-slice image round a slice, (3, H, W), padded with air; in the network's precision."""
        around = np.clip(np.arange(centre - 1, centre + SLICES_PER_IMAGE - 1), 0, self._last - 1)
        values = torch.from_numpy(self.spec.normalise(self._hu[around]))[None]
        if self.size_yx != values.shape[-2:]:
            values = F.interpolate(values, size=self.size_yx, mode="bilinear", align_corners=False)
        below, right = (p - s for p, s in zip(self._padded_yx, self.size_yx, strict=True))
        air = float(self.spec.normalise(OUTSIDE_HU))
        parameter = next(self.network.parameters())
        return F.pad(values, (0, right, 0, below), value=air)[0].to(parameter.device, parameter.dtype)

    def _centre(self, slice_index: int) -> int:
        return min(max(slice_index, -1), self._last)

    def known(self, slices: Sequence[int]) -> list[list[KnownImage]]:
        """The M images of the windows of these (rising) key slices."""
        offsets = self.network.offsets
        centres = [[self._centre(z + o) for o in offsets] for z in slices]
        needed = sorted({centre for window in centres for centre in window} - set(self._made))
        groups = self._together(needed)

        def made(group: Sequence[int]) -> list[KnownImage]:
            return known_images(self.network, torch.stack([self.image(centre) for centre in group]))

        def take(number: int, images: list[KnownImage]) -> None:
            self._made.update(zip(groups[number], images, strict=True))

        for_each(made, groups, take, self._device)
        windows = [[self._made[centre] for centre in window] for window in centres]
        done = self._centre(min(slices) + offsets[0])
        for centre in [c for c in self._made if c < done]:
            del self._made[centre]
        return windows

    def _together(self, units: Sequence[Unit]) -> list[Sequence[Unit]]:
        # On a CPU one fits into the caches, several do not; a GPU is busy with several only.
        size = self.batch if self._device.type == "cuda" else 1
        return [units[first : first + size] for first in range(0, len(units), size)]

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def detections(self, slices: Sequence[int]) -> list[Detections]:
        """Boxes in pixels of the images of these (rising) key slices."""
        found: list[Detections] = []
        groups = self._together(self.known(slices))
        for_each(self.judged, groups, lambda _, some: found.extend(some), self._device)
        return found

    def judged(self, windows: Sequence[list[KnownImage]]) -> list[Detections]:
        """Boxes in pixels of the images of windows that :meth:`known` has made."""
        network, how = self.network, DetectSettings()
        key = torch.stack([window[len(window) // 2].features.movedim(0, 2) for window in windows])
        proposed, owner = network.regions(*network.propose(key.movedim(3, 1)), self.size_yx, how)
        found = []
        for number, window in enumerate(windows):
            boxes = proposed[owner == number]
            found.append(network.pick(boxes, *judge_window(network, window, boxes), self.size_yx, how))
        return found

    def to_grid(self, found: Detections) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Boxes in voxels of the whole grid, with their scores."""
        shape = np.array(self._hu.shape[1:])
        scale = np.tile(shape / np.array(self.size_yx), 2)
        shift = np.tile([self.view.rows.start, self.view.columns.start], 2)
        boxes = found.boxes.double().cpu().numpy() * scale + shift
        return boxes, found.scores.double().cpu().numpy()


def slice_boxes(
    network: CsAtt,
    spec: InputSpec,
    hu_zyx: NDArray,
    view: View,
    *,
    batch: int = 4,
    progress: Progress = silent,
    stage: str = "looking for lesion boxes",
) -> SliceBoxes:
    """Scored 2D boxes on the slices of a view.

    Args:
        network, spec, hu_zyx, view: see :class:`VolumeWindows`.
        batch: key slices whose images are made together; on a GPU images and windows at once.

    Returns:
        Boxes in voxels of `hu_zyx`'s grid.
    """
    windows = VolumeWindows(network, spec, hu_zyx, view, batch)
    wanted = list(view.slices)
    slices: list[int] = []
    boxes: list[NDArray[np.float64]] = []
    scores: list[NDArray[np.float64]] = []
    for first in range(0, len(wanted), batch):
        group = wanted[first : first + batch]
        for z, one in zip(group, windows.detections(group), strict=True):
            where, score = windows.to_grid(one)
            slices += [z] * len(score)
            boxes.append(where)
            scores.append(score)
        progress(stage, (first + len(group)) / len(wanted))
    return SliceBoxes.make(slices, np.concatenate(boxes or [()]), np.concatenate(scores or [()]))


def window_attention(
    network: CsAtt, spec: InputSpec, hu_zyx: NDArray, view: View, key_slice: int
) -> tuple[CsAttention, VolumeWindows]:
    """What the network attends to when it looks at one key slice; with the windows, for their grid."""
    windows = VolumeWindows(network, spec, hu_zyx, view)
    with torch.inference_mode():
        (window,) = windows.known([key_slice])
        _, attention = network.attend(torch.stack([image.features for image in window])[None])
    return attention, windows
