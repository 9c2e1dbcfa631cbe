"""Run a slice-stack network over a volume, in slabs along z so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..inputs import AIR_HU, InputSpec
from ..progress import Progress, silent


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
    temperature: float = 1.0,
    batch: int = 8,
    progress: Progress = silent,
    stage: str = "segmenting",
    collect: Callable[[NDArray[np.intp], Any, tuple[int, int]], None] | None = None,
) -> NDArray[np.uint8]:
    """Probabilities of every class but the background for every voxel.

    Args:
        network: eval mode; takes (B, in_slices, H, W) in its own dtype and device, gives `.logits`.
        hu_zyx: HU on the network's grid.
        classes: number of output classes.
        pyramid: scales, times the input's own magnification, at which every slice is seen; probabilities are resampled bilinearly to full size and
            averaged (SFAN paper, section 3, multi-scale inference).
        temperature: logits are divided by it (calibration).
        batch: slices at once.
        collect: called with (slices, network output with attention, unpadded size) for the scale nearest 1.

    Returns:
        (classes - 1, z, y, x) uint8, 0..255 for probability 0..1.
    """
    parameter = next(network.parameters())
    device, dtype = parameter.device, parameter.dtype
    n_slices, height, width = hu_zyx.shape
    multiple = int(getattr(network, "multiple", 1))
    nearest_one = min(pyramid, key=lambda scale: abs(scale - 1.0))
    out = np.empty((classes - 1, n_slices, height, width), np.uint8)
    with torch.inference_mode():
        for first in range(0, n_slices, batch):
            centres = np.arange(first, min(first + batch, n_slices))
            indices = spec.stack_indices(centres, n_slices)
            low = int(indices.min())
            slab = torch.from_numpy(spec.normalise(hu_zyx[low : int(indices.max()) + 1]))
            images = slab[torch.from_numpy(indices - low)].to(device)
            total: Tensor | None = None
            for scale in pyramid:
                wanted = collect if scale == nearest_one else None
                factor = scale * spec.magnify
                logits = _logits(network, images, factor, multiple, dtype, spec, centres, wanted)
                probabilities = (logits.float() / temperature).softmax(dim=1)[:, 1:]
                if probabilities.shape[-2:] != (height, width):
                    probabilities = F.interpolate(
                        probabilities, size=(height, width), mode="bilinear", align_corners=False
                    )
                total = probabilities if total is None else total + probabilities
            mean = total * (255.0 / len(pyramid))
            out[:, centres] = mean.round_().clamp_(0, 255).to(torch.uint8).permute(1, 0, 2, 3).cpu().numpy()
            progress(stage, float(centres[-1] + 1) / n_slices)
    return out


def _logits(
    network: nn.Module,
    images: Tensor,
    scale: float,
    multiple: int,
    dtype: torch.dtype,
    spec: InputSpec,
    centres: NDArray[np.intp],
    collect: Callable[[NDArray[np.intp], Any, tuple[int, int]], None] | None,
) -> Tensor:
    height, width = images.shape[-2:]
    if scale != 1.0:
        size = (max(1, round(height * scale)), max(1, round(width * scale)))
        images = F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=scale < 1)
    inner_yx = images.shape[-2:]
    padded_yx = padded_size(inner_yx, multiple)
    air = float(spec.normalise(AIR_HU))
    images = F.pad(
        images, (0, padded_yx[1] - inner_yx[1], 0, padded_yx[0] - inner_yx[0]), mode="constant", value=air
    )
    images = images.to(dtype).contiguous(memory_format=torch.channels_last)
    output = network(images, return_attention=collect is not None)
    if collect is not None:
        collect(centres, output, (inner_yx[0], inner_yx[1]))
    return output.logits[..., : inner_yx[0], : inner_yx[1]]
