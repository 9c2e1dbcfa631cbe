"""Run a network with volumetric attention over a volume.

Features of every slice's image are computed once, and every target takes its bag from them.

The papers evaluate every target by itself, so that an image passes the encoder once for every bag it is in.
Nothing in the encoder depends on the bag: the numbers are the same. Memory does not grow with the volume:
features behind the last bag are forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...models.inputs import OUTSIDE_HU, InputSpec
from ...networks.parts.boxes import clip_boxes
from ...networks.parts.rcnn_pooling import paste_masks
from ...networks.va_rcnn import Features, VaRcnn, VaRcnnOutput
from ...networks.volumetric_attention import bag_indices
from ...support.progress import Progress, part, silent
from ..segment.inference import padded_size
from .link import SliceBoxes

Collect = Callable[[NDArray[np.intp], VaRcnnOutput, tuple[int, int], tuple[int, int]], None]
"""Called with (slices, output, unpadded size, padded size) for every group of targets."""


class Found(NamedTuple):
    """What the network says about a group of target slices.

    Attributes:
        slices: (T,) of the volume.
        output: in the network's pixels.
        size_yx: of the slices as the network sees them, without padding.
        padded_yx: with it.
    """

    slices: NDArray[np.intp]
    output: VaRcnnOutput
    size_yx: tuple[int, int]
    padded_yx: tuple[int, int]


class SlabFeatures:
    """Features of consecutive slices' images, made when first needed.

    Args:
        network: eval mode, on its device and in its precision.
        hu_zyx: HU on the network's grid, its liver's level shifted as `spec` wants.
        scale: slices are enlarged by this in plane.
        batch: images at once.
    """

    def __init__(
        self, network: VaRcnn, spec: InputSpec, hu_zyx: NDArray, scale: float = 1.0, batch: int = 8
    ) -> None:
        self.network, self.spec, self.hu_zyx, self.batch = network, spec, hu_zyx, batch
        height, width = hu_zyx.shape[1:]
        self.size_yx = (max(1, round(height * scale)), max(1, round(width * scale)))
        self.padded_yx = padded_size(self.size_yx, network.multiple)
        self._first = 0
        self._made: Features | None = None

    def images(self, centres: NDArray[np.intp]) -> Tensor:
        """The 2.5D images round slices, (B, in_slices, H, W), padded with air."""
        indices = self.spec.stack_indices(centres, len(self.hu_zyx))
        low = int(indices.min())
        slab = torch.from_numpy(self.spec.normalise(self.hu_zyx[low : int(indices.max()) + 1]))[None]
        if self.size_yx != tuple(slab.shape[2:]):
            shrinks = self.size_yx[0] < slab.shape[2]
            slab = F.interpolate(
                slab, size=self.size_yx, mode="bilinear", align_corners=False, antialias=shrinks
            )
        below, right = (p - s for p, s in zip(self.padded_yx, self.size_yx, strict=True))
        slab = F.pad(slab, (0, right, 0, below), value=float(self.spec.normalise(OUTSIDE_HU)))[0]
        parameter = next(self.network.parameters())
        images = slab.to(parameter.device, parameter.dtype)[torch.from_numpy(indices - low)]
        return images.contiguous(memory_format=torch.channels_last)

    def between(self, first: int, last: int) -> Features:
        """Features of slices first .. last - 1; neither may be smaller than in the call before."""
        if self._made is None or first >= self._stop:
            self._first, self._made = first, None
        elif first > self._first:
            self._made = self._made.rows(slice(first - self._first, None))
            self._first = first
        parts = [] if self._made is None else [self._made]
        for start in range(self._stop, last, self.batch):
            parts.append(self.network.features(self.images(np.arange(start, min(start + self.batch, last)))))
        self._made = Features.joined(parts)
        return self._made

    @property
    def _stop(self) -> int:
        return self._first + (0 if self._made is None else len(self._made.levels[0]))


def walk(
    network: VaRcnn,
    spec: InputSpec,
    hu_zyx: NDArray,
    *,
    slices: range | None = None,
    scale: float | None = None,
    batch: int = 8,
    attention: bool = False,
    progress: Progress = silent,
    stage: str = "looking for lesions",
) -> Iterator[Found]:
    """What the network finds in the slices of a volume, group by group.

    Args:
        network, spec, hu_zyx: see :class:`SlabFeatures`.
        slices: the targets; None for all. The others are seen as neighbours.
        scale: enlargement in plane; None takes the input's own.
        batch: targets at once.
        attention: whether to hand back what was attended to.
    """
    wanted = range(len(hu_zyx)) if slices is None else slices
    factor = spec.magnify if scale is None else scale
    features = SlabFeatures(network, spec, hu_zyx, factor, batch)
    config = network.config
    device = next(network.parameters()).device
    with torch.inference_mode():
        for start in range(0, len(wanted), batch):
            targets = wanted[start : start + batch]
            centres = torch.arange(targets.start, targets.stop, device=device)
            bags = bag_indices(centres, len(hu_zyx), config.bag, config.bag_step)
            low, high = int(bags.min()), int(bags.max()) + 1
            near = features.between(low, high)
            output = network.detect(near, bags - low, features.padded_yx, return_attention=attention)
            yield Found(np.arange(targets.start, targets.stop), output, features.size_yx, features.padded_yx)
            progress(stage, (start + len(targets)) / len(wanted))


def boxes_on_grid(boxes: Tensor, size_yx: tuple[int, int], grid_yx: tuple[int, int]) -> Tensor:
    """Boxes (R, 4) in the network's pixels to voxels of the grid; they may reach into the padding."""
    return boxes * boxes.new_tensor([g / s for g, s in zip(grid_yx, size_yx, strict=True)] * 2)


def volumetric_liver_and_tumour(
    network: VaRcnn,
    spec: InputSpec,
    hu_zyx: NDArray,
    *,
    scales: Sequence[float] = (1.0,),
    batch: int = 8,
    progress: Progress = silent,
    collect: Collect | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Probability of liver or tumour, and of tumour, from instances stacked over the slices.

    Paper, section 3.2: a voxel's probability is that of the instance that claims it most, its score times its
    mask. The liver's is the dense map's where the network has one. A lesion is at most as probable as the
    liver is there: the paper's logical AND of both, which takes away what is seen in stomach, ascites or
    gallbladder.

    Args:
        network: with a mask head; classes background, liver, lesion.
        hu_zyx: HU on the network's grid.
        scales: image pyramid, times the input's own magnification; probabilities are averaged.
        collect: told of every group at the scale nearest 1, with attention.

    Returns:
        (liver_zyx, tumour_zyx), uint8, 0..255 for 0..1.
    """
    liver, tumour = (np.zeros(hu_zyx.shape, np.float32) for _ in range(2))
    grid_yx = (hu_zyx.shape[1], hu_zyx.shape[2])
    nearest_one = min(scales, key=lambda scale: abs(scale - 1.0))
    for number, scale in enumerate(scales):
        wanted = collect if scale == nearest_one else None
        for group in walk(
            network,
            spec,
            hu_zyx,
            scale=scale * spec.magnify,
            batch=max(1, round(batch / max(1.0, scale**2))),
            attention=wanted is not None,
            progress=part(progress, number / len(scales), (number + 1) / len(scales)),
            stage="segmenting liver and lesions",
        ):
            tumour[group.slices] += claimed_on_grid(group, network.config.classes - 1, grid_yx)
            if group.output.dense is None:
                liver[group.slices] += claimed_on_grid(group, 1, grid_yx)
            else:
                liver[group.slices] += dense_on_grid(group, grid_yx)
            if wanted is not None:
                wanted(group.slices, group.output, group.size_yx, group.padded_yx)
    factor = np.float32(255.0 / len(scales))
    liver8 = np.rint(liver * factor).astype(np.uint8)
    return liver8, np.minimum(np.rint(tumour * factor).astype(np.uint8), liver8)


def claimed_on_grid(group: Found, kind: int, grid_yx: tuple[int, int]) -> NDArray[np.float32]:
    """Score times mask of the instance of class `kind` that claims a pixel most, (T, *grid_yx); 0 of none."""
    detections = group.output.detections
    boxes = boxes_on_grid(detections.boxes, group.size_yx, grid_yx)
    made = np.zeros((len(group.slices), *grid_yx), np.float32)
    for row in range(len(group.slices)):
        own = (detections.images == row) & (detections.classes == kind)
        if own.any():
            pasted = paste_masks(detections.masks[own].float(), boxes[own], grid_yx)
            made[row] = (pasted * detections.scores[own, None, None]).amax(dim=0).cpu().numpy()
    return made


def dense_on_grid(group: Found, grid_yx: tuple[int, int]) -> NDArray[np.float32]:
    """Probability of anything but background by the dense map, (T, *grid_yx)."""
    logits = group.output.dense.float()
    logits = F.interpolate(logits, size=group.padded_yx, mode="bilinear", align_corners=False)
    inside = logits.softmax(dim=1)[:, 1:, : group.size_yx[0], : group.size_yx[1]].sum(dim=1, keepdim=True)
    if group.size_yx != grid_yx:
        inside = F.interpolate(inside, size=grid_yx, mode="bilinear", align_corners=False)
    return inside[:, 0].cpu().numpy()


def volumetric_slice_boxes(
    network: VaRcnn,
    spec: InputSpec,
    hu_zyx: NDArray,
    *,
    rows: slice,
    columns: slice,
    slices: range,
    batch: int = 8,
    progress: Progress = silent,
    stage: str = "looking for lesion boxes",
    collect: Collect | None = None,
) -> SliceBoxes:
    """Scored 2D boxes of lesions on some slices.

    Args:
        hu_zyx: HU on the network's grid; rows, columns, slices: the part that is looked at (other slices
            are seen as neighbours).

    Returns:
        Boxes in voxels of `hu_zyx`.
    """
    part_zyx = hu_zyx[:, rows, columns]
    grid_yx = (part_zyx.shape[1], part_zyx.shape[2])
    shift = np.array([rows.start, columns.start] * 2, np.float64)
    where: list[NDArray] = []
    boxes: list[NDArray] = []
    scores: list[NDArray] = []
    for group in walk(
        network,
        spec,
        part_zyx,
        slices=slices,
        batch=batch,
        attention=collect is not None,
        progress=progress,
        stage=stage,
    ):
        found = group.output.detections
        lesion = found.classes == network.config.classes - 1
        own = clip_boxes(boxes_on_grid(found.boxes[lesion], group.size_yx, grid_yx), grid_yx)
        where.append(group.slices[found.images[lesion].cpu().numpy()])
        boxes.append(own.double().cpu().numpy() + shift)
        scores.append(found.scores[lesion].double().cpu().numpy())
        if collect is not None:
            collect(group.slices, group.output, group.size_yx, group.padded_yx)
    return SliceBoxes.make(
        np.concatenate(where or [()]), np.concatenate(boxes or [()]), np.concatenate(scores or [()])
    )
