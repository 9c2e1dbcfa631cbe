"""Run a slice-stack network over a volume, in slabs along z so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from ...models.inputs import OUTSIDE_HU, InputSpec
from ...models.one_thread_each import for_each
from ...support.progress import Progress, part, silent
from .region import FinerSettings, near_liver


def padded_size(size_yx: tuple[int, int], multiple: int) -> tuple[int, int]:
    """The next multiple in both directions."""
    return tuple(int(np.ceil(n / multiple)) * multiple for n in size_yx)  # type: ignore[return-value]


def class_probabilities(
    network: nn.Module,
    spec: InputSpec,
    hu_zyx: NDArray,
    *,
    classes: int,
    pyramid: Sequence[float] = (1.0,),
    batch: int = 8,
    progress: Progress = silent,
    stage: str = "segmenting",
    collect: Callable[[NDArray[np.intp], Any, tuple[int, int]], None] | None = None,
    slices: Sequence[int] | None = None,
) -> NDArray[np.uint8]:
    """Probabilities of every class but the background for every voxel.

    Args:
        network: eval mode; takes (B, in_slices, H, W) in its own dtype and device, gives `.logits`.
        hu_zyx: HU on the network's grid.
        classes: number of output classes.
        pyramid: scales, times the input's own magnification, at which every slice is seen; probabilities
            are resampled bilinearly to full size and averaged (SFAN paper, section 3, multi-scale inference).
        batch: slices at once.
        collect: called with (slices, network output with attention, unpadded size) for the scale nearest 1.
        slices: to compute; None computes all. The others are seen as neighbours.

    Returns:
        (classes - 1, z, y, x) uint8, 0..255 for probability 0..1; z counts `slices`.
    """
    wanted = np.array(range(len(hu_zyx)) if slices is None else slices, np.intp)
    out = np.empty((classes - 1, len(wanted), *hu_zyx.shape[1:]), np.uint8)
    at_once = max(batch, RESIZED)
    units = [wanted[first : first + at_once] for first in range(0, len(wanted), at_once)]
    compute = partial(_of_slices, network, spec, hu_zyx, pyramid, batch, collect is not None)

    def take(number: int, found: Found) -> None:
        first = number * at_once
        last = first + len(units[number])
        out[:, first:last] = found.probabilities
        for part_of_collected in found.collected:
            assert collect is not None
            collect(*part_of_collected)
        progress(stage, last / len(wanted))

    for_each(compute, units, take, next(network.parameters()).device)
    return out


RESIZED = 4
"""Slices that are enlarged together at least: their neighbours are mostly each other."""


class Found(NamedTuple):
    """What a network says of some slices.

    Attributes:
        probabilities: (classes - 1, z, y, x), 0..255.
        collected: what is gathered: (slices, output, unpadded size), ...
    """

    probabilities: NDArray[np.uint8]
    collected: Sequence[tuple[NDArray[np.intp], Any, tuple[int, int]]]


def _of_slices(
    network: nn.Module,
    spec: InputSpec,
    hu_zyx: NDArray,
    pyramid: Sequence[float],
    batch: int,
    collecting: bool,
    centres: NDArray[np.intp],
) -> Found:
    """The mean over a pyramid of scales in some slices; see :func:`class_probabilities`."""
    indices = spec.stack_indices(centres, len(hu_zyx))
    low = int(indices.min())
    slab = torch.from_numpy(spec.normalise(hu_zyx[low : int(indices.max()) + 1]))
    stacks = torch.from_numpy(indices - low)
    size_yx = hu_zyx.shape[1:]
    multiple = int(getattr(network, "multiple", 1))
    nearest_one = min(pyramid, key=lambda scale: abs(scale - 1.0))
    total: Tensor | None = None
    collected = []
    for scale in pyramid:
        images, inner_yx = _images(network, spec, slab, scale * spec.magnify, multiple)
        asked = collecting and scale == nearest_one
        parts = []
        for first in range(0, len(centres), batch):
            stack = images[stacks[first : first + batch].to(images.device)]
            output = network(stack.contiguous(memory_format=torch.channels_last), return_attention=asked)
            if asked:
                collected.append((centres[first : first + batch], output, inner_yx))
            logits = output.logits[..., : inner_yx[0], : inner_yx[1]]
            probabilities = logits.float().softmax(dim=1)[:, 1:]
            if probabilities.shape[-2:] != size_yx:
                probabilities = F.interpolate(
                    probabilities, size=size_yx, mode="bilinear", align_corners=False
                )
            parts.append(probabilities)
        seen = torch.cat(parts)
        total = seen if total is None else total + seen
    assert total is not None
    mean = (total * (255.0 / len(pyramid))).round_().clamp_(0, 255).to(torch.uint8)
    return Found(mean.permute(1, 0, 2, 3).cpu().numpy(), collected)


def _images(
    network: nn.Module, spec: InputSpec, slab: Tensor, scale: float, multiple: int
) -> tuple[Tensor, tuple[int, int]]:
    """Slices (n, y, x) as the network sees them, (n, H, W), and their size without padding."""
    parameter = next(network.parameters())
    images = slab.to(parameter.device)[None]
    if scale != 1.0:
        size = tuple(max(1, round(n * scale)) for n in slab.shape[1:])
        images = F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=scale < 1)
    height, width = images.shape[-2:]
    below, right = (
        p - n for p, n in zip(padded_size((height, width), multiple), (height, width), strict=True)
    )
    air = float(spec.normalise(OUTSIDE_HU))
    images = F.pad(images, (0, right, 0, below), mode="constant", value=air)
    return images[0].to(parameter.dtype), (height, width)


class Slab(NamedTuple):
    """Neighbouring slices that share one box around the liver.

    Attributes:
        slices: those that are wanted.
        rows, columns: the box.
    """

    slices: Sequence[int]
    rows: slice
    columns: slice


Look = Callable[[Sequence[Slab], Sequence[float], Progress], NDArray[np.uint8]]
"""Probability of tumour, 0..255, in slabs at the mean of scales."""


def liver_and_tumour(
    network: nn.Module,
    spec: InputSpec,
    hu_zyx: NDArray,
    *,
    liver_scales: Sequence[float] = (1.0,),
    lesion_scales: Sequence[float] = (1.0,),
    near_zyx: NDArray[np.bool_] | None = None,
    margin_mm: float = 12.0,
    finer: FinerSettings | None = None,
    batch: int = 8,
    progress: Progress = silent,
    collect: Callable[[NDArray[np.intp], Any, tuple[int, int]], None] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Probability of liver or tumour, and of tumour, each at the scales it is seen best at.

    The liver is a large organ told by what surrounds it, a lesion a few voxels: where the scales differ, the
    liver is found first, and lesions only within `margin_mm` of the box around it, slab by slab.

    Args:
        network: gives background, liver and tumour.
        hu_zyx: HU on the network's grid.
        liver_scales, lesion_scales: image pyramids, see :func:`class_probabilities`.
        near_zyx: bool, where a liver can be at all; None for everywhere.
        finer: where the finest of several scales is looked at; None for everywhere.
        batch: slices at once at scale 1; fewer where they are enlarged.

    Returns:
        (liver_zyx, tumour_zyx), uint8 0..255; tumour is 0 outside the box.
    """
    same = tuple(liver_scales) == tuple(lesion_scales)
    areas = [sum(scale**2 for scale in scales) for scales in (liver_scales, lesion_scales)]
    first_share = 1.0 if same else areas[0] / sum(areas)
    probabilities = class_probabilities(
        network,
        spec,
        hu_zyx,
        classes=3,
        pyramid=liver_scales,
        batch=_slices_at_once(batch, spec, liver_scales),
        progress=part(progress, 0.0, first_share),
        stage="segmenting liver and lesions" if same else "segmenting the liver",
        collect=collect,
    )
    liver = np.clip(probabilities.sum(axis=0, dtype=np.uint16), 0, 255).astype(np.uint8)
    if same:
        return liver, probabilities[1]
    seen = liver >= 128
    if near_zyx is not None:
        seen &= near_zyx
    if not seen.any():
        return liver, np.zeros_like(liver)
    slabs = _slabs_near(seen, tuple(int(np.ceil(margin_mm / step)) for step in spec.spacing_zyx_mm))
    rest = part(progress, first_share, 1.0)
    look: Look = partial(_tumour_in, network, spec, hu_zyx, batch)
    if finer is None or len(set(lesion_scales)) < 2:
        return liver, look(slabs, lesion_scales, rest)
    near = near_liver(seen, spec.spacing_zyx_mm, margin_mm)
    reach = int(np.ceil(finer.finer_reach_mm / spec.spacing_zyx_mm[0]))
    return liver, _closer(look, slabs, lesion_scales, near, finer.finer_suspicion, reach, rest)


def _closer(
    look: Look,
    slabs: Sequence[Slab],
    scales: Sequence[float],
    near_zyx: NDArray[np.bool_],
    suspicion: float,
    reach: int,
    progress: Progress,
) -> NDArray[np.uint8]:
    """Probability of tumour, 0..255, over all scales, but over the finest one only about suspected slices."""
    finest = max(scales)
    others = tuple(scale for scale in scales if scale != finest)
    share = sum(scale**2 for scale in others) / sum(scale**2 for scale in scales)
    tumour = look(slabs, others, part(progress, 0.0, share))
    suspected = ((tumour >= suspicion * 255) & near_zyx).any(axis=(1, 2))
    wanted = ndimage.maximum_filter1d(suspected, 2 * reach + 1, mode="constant")
    chosen = [slab._replace(slices=[z for z in slab.slices if wanted[z]]) for slab in slabs]
    fine = look([slab for slab in chosen if slab.slices], (finest,), part(progress, share, 1.0))
    progress("segmenting lesions", 1.0)
    # The mean over all scales, as where all are looked at together.
    weight, count = len(others), len(scales)
    both = tumour[wanted].astype(np.uint16) * weight + fine[wanted].astype(np.uint16) * (count - weight)
    tumour[wanted] = (both + count // 2) // count
    return tumour


def _slabs_near(seen_zyx: NDArray[np.bool_], margin_zyx: tuple[int, ...]) -> list[Slab]:
    """The slabs within a margin (voxels) of the liver that is seen, which is not empty."""
    depth, seen = margin_zyx[0], seen_zyx
    found = np.flatnonzero(seen.any(axis=(1, 2)))
    last = min(len(seen), int(found[-1]) + 1 + depth)
    slabs = []
    for first in range(max(0, int(found[0]) - depth), last, SLAB):
        slices = range(first, min(first + SLAB, last))
        # What the liver takes of these slices and of those nearby: at the dome it is a fraction of the whole.
        outline = seen[max(0, first - depth) : slices.stop + depth].any(axis=0)
        if outline.any():
            rows, columns = (_span(outline.any(axis=1 - axis), margin_zyx[axis + 1]) for axis in range(2))
            slabs.append(Slab(slices, rows, columns))
    return slabs


def _tumour_in(
    network: nn.Module,
    spec: InputSpec,
    hu_zyx: NDArray,
    batch: int,
    slabs: Sequence[Slab],
    scales: Sequence[float],
    progress: Progress,
) -> NDArray[np.uint8]:
    """Probability of tumour, 0..255, in the slabs' boxes; 0 elsewhere."""
    tumour = np.zeros(hu_zyx.shape, np.uint8)
    batch = _slices_at_once(batch, spec, scales)
    at_once = max(batch, RESIZED)
    units = [
        slab._replace(slices=slab.slices[first : first + at_once])
        for slab in slabs
        for first in range(0, len(slab.slices), at_once)
    ]

    def compute(slab: Slab) -> Found:
        box = hu_zyx[:, slab.rows, slab.columns]
        return _of_slices(network, spec, box, scales, batch, False, np.array(slab.slices, np.intp))

    def take(number: int, found: Found) -> None:
        slab = units[number]
        tumour[slab.slices, slab.rows, slab.columns] = found.probabilities[1]
        progress("segmenting lesions", (number + 1) / len(units))

    for_each(compute, units, take, next(network.parameters()).device)
    return tumour


SLAB = 8
"""Slices that share one box around the liver."""


def _span(used: NDArray[np.bool_], margin: int) -> slice:
    where = np.flatnonzero(used)
    return slice(max(0, int(where[0]) - margin), min(len(used), int(where[-1]) + 1 + margin))


def _slices_at_once(batch: int, spec: InputSpec, scales: Sequence[float]) -> int:
    """So that memory stays what `batch` slices take at scale 1."""
    return max(1, round(batch / max(1.0, (max(scales) * spec.magnify) ** 2)))
