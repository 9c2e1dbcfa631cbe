"""How the attention of the networks fares on one CT; see :mod:`...networks.health` for what is measured.

A few slices spread over the liver stand for the scan. A network's own answer is: of masks the tumour's
probability in every cell, of boxes the score of the best box over every cell or, where proposals do not
depend on the attention, of every proposal; of slice classes their probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import singledispatch
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ...models.inputs import InputSpec
from ...models.weights import ModelEntry
from ...networks.cs_att import CsAtt, DetectSettings
from ...networks.dadrn import Dadrn, as_told
from ...networks.health import BOUNDS, Health, examine
from ...networks.mechanisms import mechanisms_of
from ...networks.va_rcnn import VaRcnn
from ...networks.volumetric_attention import bag_indices
from ...support.progress import Progress, part, silent
from ..classify.liver_slices import place, slice_input
from ..detect.slice_boxes import VolumeWindows
from ..detect.view import View
from ..detect.volumetric import SlabFeatures
from ..segment.inference import padded_size

CELL_PX = 8
"""Edge of the cells that boxes are told apart by."""


@dataclass(frozen=True, eq=False)
class LiverPart:
    """A liver on a network's grid.

    Attributes:
        hu_zyx: float32 HU, the liver's level where the network wants it.
        liver_zyx: bool.
        slices: the slices that are looked at, rising.
        phase: probability of each contrast phase, for networks that take it; None tells none.
    """

    hu_zyx: NDArray[np.float32]
    liver_zyx: NDArray[np.bool_]
    slices: NDArray[np.intp]
    phase: Sequence[float] | None = None


def spread_slices(liver_zyx: NDArray[np.bool_], count: int) -> NDArray[np.intp]:
    """Up to `count` slices evenly over those with at least a third of the largest area of the mask."""
    areas = liver_zyx.sum(axis=(1, 2))
    good = np.flatnonzero(areas >= max(1, areas.max() / 3))
    return good[np.unique(np.linspace(0, len(good) - 1, min(count, len(good))).round().astype(int))]


def health_of(
    entry: ModelEntry, network: nn.Module, liver: LiverPart, progress: Progress = silent
) -> list[Health]:
    """Every attention of a network, in its order; [] of networks without any.

    Args:
        network: of the entry, in inference form.
        liver: on the grid of `entry.input`.
    """
    mechanisms = mechanisms_of(network)
    if not mechanisms:
        return []
    answer = answer_of(network, entry, liver)
    found = []
    for number, mechanism in enumerate(mechanisms):
        found.append(examine(entry.name, mechanism, answer))
        progress(f"attention of {entry.name}", (number + 1) / len(mechanisms))
    return found


@singledispatch
def answer_of(network: nn.Module, entry: ModelEntry, liver: LiverPart) -> Callable[[], Tensor]:
    """What asks a network about a liver and gives its answer as probabilities of one shape.

    Without another family's registration: of a mask network, the tumour's probability.
    """
    spec = entry.input.enlarged(entry.scales)
    images = slice_stacks(spec, liver, int(getattr(network, "multiple", 1))).to(next(network.parameters()))
    return lambda: torch.cat([network(images).logits.float().softmax(dim=1)[:, -1]])


@answer_of.register
def _of_classes(network: Dadrn, entry: ModelEntry, liver: LiverPart) -> Callable[[], Tensor]:
    images = as_told(network, class_images(entry.input, liver), liver.phase).to(next(network.parameters()))
    return lambda: network(images).logits.float().softmax(dim=1)


@answer_of.register
def _of_bags(network: VaRcnn, entry: ModelEntry, liver: LiverPart) -> Callable[[], Tensor]:
    return _boxes_of_bags(network, entry.input.enlarged(entry.scales), liver)


@answer_of.register
def _of_windows(network: CsAtt, entry: ModelEntry, liver: LiverPart) -> Callable[[], Tensor]:
    return _scores_of_windows(network, entry.input, liver)


def slice_stacks(spec: InputSpec, liver: LiverPart, multiple: int) -> Tensor:
    """The slices as a mask network sees them, (B, in_slices, H, W)."""
    indices = spec.stack_indices(liver.slices, len(liver.hu_zyx))
    images = torch.from_numpy(spec.normalise(liver.hu_zyx[indices]))
    size = [max(1, round(n * spec.magnify)) for n in images.shape[-2:]]
    images = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
    high, wide = padded_size((size[0], size[1]), multiple)
    return F.pad(images, (0, wide - size[1], 0, high - size[0]), value=-1.0)


def class_images(spec: InputSpec, liver: LiverPart) -> Tensor:
    """The slices as a slice classifier sees them, (B, in_slices, edge, edge)."""
    indices = spec.stack_indices(liver.slices, len(liver.hu_zyx))
    return torch.stack(
        [
            slice_input(liver.hu_zyx[rows], liver.liver_zyx[z], spec, place(liver.liver_zyx[z]))
            for z, rows in zip(liver.slices, indices, strict=True)
        ]
    )


def _boxes_of_bags(network: VaRcnn, spec: InputSpec, liver: LiverPart) -> Callable[[], Tensor]:
    config = network.config
    slab = SlabFeatures(network, spec, liver.hu_zyx, spec.magnify)
    device = next(network.parameters()).device
    bags = bag_indices(
        torch.from_numpy(liver.slices).to(device), len(liver.hu_zyx), config.bag, config.bag_step
    )
    used, own = bags.unique(return_inverse=True)
    with torch.inference_mode():
        features = network.features(slab.images(used.cpu().numpy()))

    def answer() -> Tensor:
        output = network.detect(features, own, slab.padded_yx)
        cells = [-(-n // CELL_PX) for n in slab.padded_yx]
        scores = torch.zeros(len(own), *cells)
        found = output.detections
        lesions = found.classes == config.classes - 1
        for box, score, image in zip(
            found.boxes[lesions], found.scores[lesions], found.images[lesions], strict=True
        ):
            y0, x0, y1, x1 = (int(v) // CELL_PX for v in box)
            over = scores[int(image), y0 : y1 + 1, x0 : x1 + 1]
            over.clamp_(min=float(score))
        return scores

    return answer


def _scores_of_windows(network: CsAtt, spec: InputSpec, liver: LiverPart) -> Callable[[], Tensor]:
    shape = liver.hu_zyx.shape
    view = View(slice(0, shape[1]), slice(0, shape[2]), range(shape[0]))
    windows = VolumeWindows(network, spec, liver.hu_zyx, view)
    with torch.inference_mode():
        seen = [windows.known([int(z)])[0] for z in liver.slices]
        x = torch.stack([torch.stack([image.features for image in window]) for window in seen])
        key = x[:, x.shape[1] // 2]
        boxes, images = network.regions(*network.propose(key), windows.size_yx, DetectSettings())

    def answer() -> Tensor:
        attended, _ = network.attend(x.clone())
        return network.classify(network.maps(attended), boxes, images)[0].softmax(dim=1)[:, 1]

    return answer


def health_json(found: Sequence[Health]) -> str:
    """The figures for a program: {"mechanisms": [...], "bounds": {...}}."""
    bounds: dict[str, Any] = {kind: asdict(bound) for kind, bound in BOUNDS.items()}
    return json.dumps({"mechanisms": [asdict(one) for one in found], "bounds": bounds}, indent=1)


def health_text(found: Sequence[Health]) -> str:
    """The figures for a reader: a line each, and below it what is out of bounds."""
    lines = [
        "Mean change of the network's own answer (probability, where there is something) when an attention",
        "is off, replaced by its average, or fed with another place's or slice's; alive: see the bounds.",
        "",
        f"{'network':<15} {'attention':<38} {'off':>6} {'avg':>6} {'else':>6}  alive",
    ]
    for one in found:
        effects = "".join(f" {one.effects[how].mean:>6.3f}" for how in ("off", "averaged", "elsewhere"))
        lines.append(f"{one.network:<15} {one.mechanism:<38}{effects}  {'yes' if one.alive else 'NO'}")
        for kind, figures in one.figures.items():
            said = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
            lines.append(f"{'':<17}{kind}: {said}")
        if not one.alive:
            lines.append(f"{'':<17}NO: {one.why}")
    lines += ["", "Bounds:"]
    for kind, bound in BOUNDS.items():
        limits = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in bound.figures.items())
        lines.append(f"  {kind}: {limits}; {bound.reason}.")
    return "\n".join(lines)


def all_health(
    asked: Sequence[tuple[ModelEntry, nn.Module, LiverPart]], progress: Progress = silent
) -> list[Health]:
    """Of several networks, one after the other."""
    found: list[Health] = []
    for number, (entry, network, liver) in enumerate(asked):
        share = 1 / len(asked)
        found += health_of(entry, network, liver, part(progress, number * share, (number + 1) * share))
    return found
