"""Where a classifier looked.

Grad-CAM (Selvaraju et al. 2017), guided backpropagation (Springenberg et al. 2015), their product, and the
weakly supervised localisation that DADRN makes of it.

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


def guided_backpropagation(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """What in the input speaks for a class: its gradient, of which every ReLU passes only what is positive.

    Args:
        network: gives `.logits`; its ReLUs are modules. In eval mode, its weights not made in inference mode.
        images: (B, S, H, W) input.
        classes: (B,) class indices.

    Returns:
        (B, S, H, W) float32, of either sign.
    """
    hooks = [
        part.register_full_backward_hook(_positive)
        for part in network.modules()
        if isinstance(part, nn.ReLU) and not part.inplace
    ]
    try:
        with gradients():
            seen = images.detach().clone().requires_grad_()
            logits = network(seen).logits
            score = logits.gather(1, classes.to(logits.device)[:, None]).sum()
            (slope,) = torch.autograd.grad(score, seen)
    finally:
        for hook in hooks:
            hook.remove()
    return slope.float()


def _positive(_part: nn.Module, slopes: tuple[Tensor, ...], _given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(slope.clamp(min=0) for slope in slopes)


def guided_grad_cam(network: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Guided backpropagation where Grad-CAM looks: their product, (B, S, H, W) float32.

    Cell i of the map looks at input pixel stride * i; between cells the map is linear, beyond them constant.
    """
    with torch.no_grad():
        features = network(images).features
    cam = grad_cam(network, features, classes)[:, None]  # type: ignore[arg-type]
    height, width = images.shape[-2:]
    stride = max(1, round(height / cam.shape[2]))
    reach = [stride * (n - 1) + 1 for n in cam.shape[-2:]]
    cam = F.interpolate(cam, size=reach, mode="bilinear", align_corners=True)
    cam = F.pad(cam, (0, max(0, width - reach[1]), 0, max(0, height - reach[0])), mode="replicate")
    return guided_backpropagation(network, images, classes) * cam[..., :height, :width]


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
    """The part of a map from `threshold` of its maximum up around its peak; None of an empty map.

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
