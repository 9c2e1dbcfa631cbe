"""Where a classifier looked: Grad-CAM (Selvaraju et al. 2017), guided backpropagation (Springenberg et al.
2015), guided Grad-CAM, and the weakly supervised localisation that DADRN makes of the first.

All of it works on networks that were loaded for inference, also where gradients are switched off around the
call.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn


class Classifier(Protocol):
    """A network whose prediction is a head on its last map, as :class:`~.dadrn.Dadrn`."""

    def __call__(self, x: Tensor) -> object: ...

    def head(self, features: Tensor) -> Tensor: ...


@contextmanager
def gradients() -> Iterator[None]:
    """Gradients on, whatever surrounds it."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def grad_cam(network: Classifier, features: Tensor, classes: Tensor) -> Tensor:
    """ReLU(sum_k w_k A^k) with w_k = 1/Z sum_ij dy/dA^k_ij, y the logit of the class that is asked about.

    Args:
        network: whose head made the logits.
        features: the map A it made them from (its output's field `features`), (B, C, H, W).
        classes: (B,) class indices.

    Returns:
        (B, H, W) float32, not negative; 0 everywhere where nothing speaks for the class.
    """
    with gradients():
        # A copy: what was made in inference mode may not enter a graph.
        maps = features.detach().clone().requires_grad_()
        logits = network.head(maps)
        score = logits.gather(1, classes.to(logits.device)[:, None]).sum()
        (slope,) = torch.autograd.grad(score, maps)
    weights = slope.float().mean(dim=(2, 3), keepdim=True)
    return F.relu((weights * features.detach().float()).sum(dim=1))


@contextmanager
def guided_rectifiers(network: nn.Module) -> Iterator[None]:
    """Within it, gradients that a rectifier hands back are cut at zero as well."""

    def positive(module: nn.Module, given: tuple[Tensor, ...], out: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(F.relu(g) for g in given)

    hooks = [
        part.register_full_backward_hook(positive) for part in network.modules() if isinstance(part, nn.ReLU)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def guided_backpropagation(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Gradient of the class's logit by the input, through rectifiers that pass positive gradients only.

    Args:
        network: in eval mode; every rectifier an `nn.ReLU`.
        images: (B, S, H, W).
        classes: (B,) class indices.

    Returns:
        (B, S, H, W) float32.
    """
    with gradients(), guided_rectifiers(network):
        seen = images.detach().clone().requires_grad_()
        logits = network(seen).logits
        score = logits.gather(1, classes.to(logits.device)[:, None]).sum()
        (slope,) = torch.autograd.grad(score, seen)
    return slope.float()


def on_input(maps: Tensor, size_yx: tuple[int, int], stride: int) -> Tensor:
    """Maps of a network at the size of its input, bilinear; beyond the last cell its value.

    Cell i of a map made by odd kernels with `stride` looks at input pixel stride * i. `interpolate` takes it
    for the middle of stride pixels and puts everything half a stride too far down and right.

    Args:
        maps: (B, h, w); size_yx: of the input, pixels.

    Returns:
        (B, H, W).
    """
    axes = [
        torch.arange(size, device=maps.device, dtype=maps.dtype) * (2 / (stride * max(1, cells - 1))) - 1
        for size, cells in zip(size_yx, maps.shape[-2:], strict=True)
    ]
    y, x = torch.meshgrid(*axes, indexing="ij")
    grid = torch.stack([x, y], dim=-1).expand(len(maps), -1, -1, -1)
    return F.grid_sample(maps[:, None], grid, mode="bilinear", padding_mode="border", align_corners=True)[
        :, 0
    ]


def guided_grad_cam(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Guided backpropagation times Grad-CAM at the input's size, (B, S, H, W) float32.

    Args:
        network: with a `multiple`, the input's pixels per cell of its last map.
        images, classes: as for :func:`guided_backpropagation`.
    """
    with torch.no_grad():
        features = network(images.detach()).features
    coarse = grad_cam(network, features, classes)  # type: ignore[arg-type]
    size = (int(images.shape[-2]), int(images.shape[-1]))
    fine = on_input(coarse, size, int(network.multiple))  # type: ignore[arg-type]
    return guided_backpropagation(network, images, classes) * fine[:, None]


@dataclass(frozen=True, eq=False)
class Localisation:
    """Where a map says the lesion is.

    Attributes:
        mask_yx: bool, the map at or above the threshold, the part that holds its peak.
        box_yx: ((y0, x0), (y1, x1)), stops not included.
        peak_yx: of the map.
    """

    mask_yx: NDArray[np.bool_]
    box_yx: tuple[tuple[int, int], tuple[int, int]]
    peak_yx: tuple[int, int]


def localise(map_yx: NDArray, threshold: float = 0.5) -> Localisation | None:
    """The part of a map at or above `threshold` of its maximum that is connected with its peak; None of an
    empty map.

    Raises:
        ValueError: the threshold is not within 0..1, 0 excluded.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold}: choose a share of the map's maximum")
    values = np.asarray(map_yx)
    top = float(values.max(initial=0.0))
    if not top > 0:
        return None
    peak = np.unravel_index(int(values.argmax()), values.shape)
    parts, _ = ndimage.label(values >= threshold * top, structure=np.ones((3, 3)))
    mask = parts == parts[peak]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Localisation(
        mask,
        ((int(rows[0]), int(columns[0])), (int(rows[-1]) + 1, int(columns[-1]) + 1)),
        (int(peak[0]), int(peak[1])),
    )
