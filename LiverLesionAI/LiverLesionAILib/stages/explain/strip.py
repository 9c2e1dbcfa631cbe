"""The class of every slice of the liver without any mask of a lesion, as the paper of DADRN has it, and why.

A strip along the liver: for each slice the probability of every class, and of slices that show a lesion's
class Grad-CAM, guided backpropagation and guided Grad-CAM. Bounded: of a liver with more slices than
:data:`MOST_EXPLAINED` that many are explained, spread evenly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ...case.class_strip import ClassStrip
from ...case.findings import AttentionMap
from ...networks.dadrn import as_told
from ...networks.parts.gradients import grad_cam, guided_backpropagation, guided_grad_cam
from ...support.progress import Progress, part, silent
from ..classify.lesions import NORMAL, classify_slices, probabilities_of
from ..classify.liver_box import LiverCrop
from ..classify.liver_slices import place, slice_input
from .names import STRIP, slice_label

if TYPE_CHECKING:
    from torch import nn

    from ...models.weights import ModelEntry

MOST_EXPLAINED = 60
BATCH = 8

CAM, GUIDED, GUIDED_CAM = "Grad-CAM", "guided backpropagation", "guided Grad-CAM"
KINDS = (CAM, GUIDED, GUIDED_CAM)
CAVEAT = "The network's own classes of a slice, learnt on simulated enhancement: no diagnosis of a lesion."
"""It names what a phase cannot show as well."""

TOP_PERCENT = 99.95
"""Of the values in the liver: what counts as the strongest; a gradient's largest pixel stands far out."""


def class_strip(
    network: nn.Module,
    entry: ModelEntry,
    crop: LiverCrop,
    *,
    temperature: float = 1.0,
    phase: Sequence[float] | None = None,
    explain: bool = True,
    progress: Progress = silent,
) -> ClassStrip:
    """Classify the slices of a liver.

    Args:
        network: of the entry, in inference form, with `config.classes`.
        crop: the liver, on any grid with axes along L, P, S; its lesions are not looked at.
        temperature: logits are divided by it.
        phase: probability of each contrast phase, for networks that take it.
        explain: also make the maps.
    """
    spec = entry.input
    working = crop.on_spacing(spec.spacing_zyx_mm)
    hu_zyx = np.asarray(working.hu_zyx, np.float32)
    ends = part(progress, 0.0, 0.3 if explain else 1.0)
    slices, each = classify_slices(
        network, spec, hu_zyx, working.liver_zyx, temperature=temperature, phase=phase, progress=ends
    )
    chosen = _spread(np.flatnonzero(each.argmax(axis=1) != NORMAL)) if explain else np.zeros(0, np.intp)
    maps: dict[str, NDArray[np.float32]] = {}
    if explain:
        maps = {kind: np.zeros(working.liver_zyx.shape, np.float32) for kind in KINDS}
        answers = each[chosen].argmax(axis=1)
        for first in range(0, len(chosen), BATCH):
            some = slices[chosen[first : first + BATCH]]
            asked = answers[first : first + BATCH]
            _explain(network, entry, hu_zyx, working.liver_zyx, some, asked, maps, phase)
            progress("explaining slices", 0.3 + 0.7 * (first + len(some)) / len(chosen))
        for values in maps.values():
            inside = values[slices[chosen]][working.liver_zyx[slices[chosen]]]
            top = float(np.percentile(inside, TOP_PERCENT)) if inside.size else 0.0
            np.clip(values / (top or float(values.max()) or 1.0), 0.0, 1.0, out=values)
    classes = tuple(network.config.classes)  # type: ignore[union-attr, arg-type]
    return ClassStrip(
        entry.name, classes, slices, each, slices[chosen], maps, hu_zyx, working.liver_zyx, working.geometry
    )


def _spread(places: NDArray[np.intp]) -> NDArray[np.intp]:
    if len(places) <= MOST_EXPLAINED:
        return places
    return places[np.unique(np.linspace(0, len(places) - 1, MOST_EXPLAINED).round().astype(int))]


def _explain(
    network: nn.Module,
    entry: ModelEntry,
    hu_zyx: NDArray[np.float32],
    liver_zyx: NDArray[np.bool_],
    slices: NDArray[np.intp],
    answers: NDArray[np.intp],
    maps: dict[str, NDArray[np.float32]],
    phase: Sequence[float] | None,
) -> None:
    """Fill in what speaks for each slice's own class."""
    spec = entry.input
    indices = spec.stack_indices(slices, len(hu_zyx))
    where = [place(liver_zyx[z]) for z in slices]
    images = torch.stack(
        [
            slice_input(hu_zyx[rows], liver_zyx[z], spec, placed)
            for z, rows, placed in zip(slices, indices, where, strict=True)
        ]
    )
    images = as_told(network, images, phase)
    parameter = next(network.parameters())
    # Gradients of half precision are noise.
    asked = images.to(parameter.device, parameter.dtype)
    classes = torch.from_numpy(np.asarray(answers, np.int64))
    features = probabilities_of(network, images)[1]
    made = {
        CAM: grad_cam(network, features, classes),  # type: ignore[arg-type]
        # Of either sign and of several slices: its size.
        GUIDED: guided_backpropagation(network, asked, classes)[:, : spec.in_slices].norm(dim=1),
        GUIDED_CAM: guided_grad_cam(network, asked, classes)[:, : spec.in_slices].norm(dim=1),
    }
    strides = {CAM: int(getattr(network, "multiple", 8)), GUIDED: 1, GUIDED_CAM: 1}
    shape = (liver_zyx.shape[1], liver_zyx.shape[2])
    for kind, planes in made.items():
        for z, placed, plane in zip(slices, where, planes.float().cpu(), strict=True):
            grid = placed.inverse_grid(shape, strides[kind])[None]
            full = F.grid_sample(
                plane[None, None], grid, mode="bilinear", padding_mode="border", align_corners=False
            )[0, 0].numpy()
            maps[kind][z] = full * liver_zyx[z]


def strip_maps(strip: ClassStrip) -> tuple[AttentionMap, ...]:
    """The strip's maps for a scene, Grad-CAM first; bars: :func:`slice_label` -> the class's probability."""
    said = strip_in_words(strip)
    sure = strip.probabilities.max(axis=1, initial=0.0)
    slices = zip(strip.heights_mm, strip.answers, sure, strict=True)
    bars = {slice_label(height, name): float(share) for height, name, share in slices}
    meanings = {
        CAM: "Where in each slice the last map speaks for the slice's class",
        GUIDED: "Which pixels speak for the slice's class, by gradients that stay positive",
        GUIDED_CAM: "Which pixels speak for it where Grad-CAM looks",
    }
    return tuple(
        AttentionMap(
            name=f"{STRIP}: {kind}",
            meaning=f"{meanings[kind]}; slices that look normal are dark. {said}",
            values_zyx=strip.maps[kind],
            geometry=strip.geometry,
            unit="relative",
            bars=bars,
        )
        for kind in KINDS
        if kind in strip.maps
    )


def strip_in_words(strip: ClassStrip) -> str:
    """How many slices have each class, and over which heights."""
    if not len(strip.slices):
        return "No slice shows enough liver to be classified."
    counted = ", ".join(f"{name} {count}" for name, count in strip.counts().items())
    rest = _left_out(strip)
    how = f"classified by {strip.model} without any mask of a lesion"
    return f"{len(strip.slices)} slices {how}: {counted}.{rest} {CAVEAT}"


def _left_out(strip: ClassStrip) -> str:
    asked = sum(1 for name in strip.answers if name != strip.classes[NORMAL])
    if not strip.maps or asked <= len(strip.explained):
        return ""
    return f" {len(strip.explained)} of the {asked} that are not normal are explained, evenly spread."
