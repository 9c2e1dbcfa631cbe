"""Training of the network that answers clicks: its loss, with second clicks where the first answer errs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.models.weights import build_network
from LiverLesionAILib.stages.detect.click_input import click_channel
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.masks import components
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ..data.cases import TrainingCase, crop_to_liver, data_folder, lits_cases
from .click_sampling import IGNORED, ClickSampler
from .loop import take_weights, train
from .recipe_cases import training_cases

if TYPE_CHECKING:
    from torch import nn

    from .recipes import Recipe

VOLUME_GRID_MM = (2.5, 1.25, 1.25)
"""Of the variants and bodies: those that the segmenters learn from."""

REAL_GRID_MM = (2.0, 0.9, 0.9)
"""Of the real cases: about their own pixels."""

INSIDE, OUTSIDE = 3, 4
"""Channels of the clicks."""

AGAIN = 0.42
"""Share of a batch that gets a second click."""


def click_cases(
    chosen: Recipe, hold_out: str, cache: Path, workers: int, progress: Progress = silent
) -> list[TrainingCase]:
    """Real cases, their variants and synthetic bodies, without the held-out patients."""
    on_grid = replace(chosen, spec=replace(chosen.spec, spacing_zyx_mm=VOLUME_GRID_MM))
    cases = [c for c in training_cases(on_grid, hold_out, cache, workers, progress) if c.kind != "real"]
    real = lits_cases(data_folder(), cache / "cases", REAL_GRID_MM)
    return [*cases, *(crop_to_liver(c, 30.0) for c in real if c.patient not in set(hold_out))]


def second_click(
    answer: NDArray[np.bool_], truth: NDArray[np.bool_], known: NDArray[np.bool_], depth_step: float
) -> tuple[NDArray[np.int_], bool] | None:
    """Where a reader would click next: deepest in the largest error, voxels z, y, x; whether in the lesion.

    Args:
        known: where the truth is known.
        depth_step: how many pixels the distance of two slices is.

    Returns:
        None where there is no error of more than some voxels.
    """
    best: tuple[NDArray[np.int_], bool] | None = None
    largest = 8
    for wrong, inside in ((truth & ~answer, True), (answer & ~truth & known, False)):
        pieces, count = components(wrong, 6)
        if not count:
            continue
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
        if sizes.max() > largest:
            largest = int(sizes.max())
            piece = np.pad(pieces == 1 + int(sizes.argmax()), 1)
            depth = ndimage.distance_transform_edt(piece, sampling=(depth_step, 1.0, 1.0))
            best = np.array(np.unravel_index(np.argmax(depth), depth.shape)) - 1, inside
    return best


def clicked_again(images: Tensor, logits: Tensor, labels: Tensor, depth_step: float) -> Tensor:
    """The images with a second click in them, where the first answer errs.

    Args:
        images: (B, channels * D, H, W); logits: (B, D, H, W), the answer to the first clicks; labels: alike.
    """
    batch, depth, height, width = labels.shape
    shape = (depth, height, width)
    again = images.clone().reshape(batch, -1, *shape)
    for number in range(batch):
        truth, known = (labels[number] == 1).numpy(), (labels[number] != IGNORED).numpy()
        found = second_click((logits[number] > 0).numpy(), truth, known, depth_step)
        if found is not None:
            point, inside = found
            channel = torch.from_numpy(click_channel(point[None], shape, depth_step))
            place = INSIDE if inside else OUTSIDE
            again[number, place] = torch.maximum(again[number, place], channel)
    return again.reshape(images.shape)


def click_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy and soft Dice of every sample; (B, D, H, W) both, `IGNORED` counts nowhere.

    Cross entropy alone would count small lesions for little: a sample's Dice is as large for each.
    """
    known = (labels != IGNORED).float()
    truth, logits = (labels == 1).float(), logits.float()
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * known
    # Near the lesion counts more: most of a crop is plain.
    near = F.max_pool2d(truth, 5, 1, 2)
    weight = 0.2 + near
    mean = (entropy * weight).sum(dim=(1, 2, 3)) / (weight * known).sum(dim=(1, 2, 3)).clamp(min=1)
    found = logits.sigmoid() * known
    both = (found * truth).sum(dim=(1, 2, 3))
    dice = (2 * both + 1) / (found.sum(dim=(1, 2, 3)) + truth.sum(dim=(1, 2, 3)) + 1)
    return (mean + 1 - dice).mean()


def loss_with_second_clicks(
    network: nn.Module, depth_step: float, images: Tensor, labels: Tensor, _step: int
) -> Tensor:
    """The loss of a batch, a share of it after a second click on where the network's own answer errs."""
    count = round(AGAIN * len(images))
    if count:
        with torch.no_grad():
            logits = network(images[:count]).logits.float().cpu()
        again = clicked_again(images[:count].float().cpu(), logits, labels[:count].cpu(), depth_step)
        images = torch.cat([again.to(images.device, images.dtype), images[count:]])
    return click_loss(network(images).logits, labels)


def fit_clicks(
    chosen: Recipe,
    cases: Sequence[TrainingCase],
    folder: Path,
    device: str,
    progress: Progress = silent,
    start: Path | None = None,
) -> nn.Module:
    """Train `chosen` on clicks in the cases' lesions; settings and counts are kept in `run.json`."""
    torch.manual_seed(chosen.loop.seed)
    network = build_network(chosen.network, asdict(chosen.config))
    if start is not None:
        take_weights(network, torch.load(start, weights_only=True))
    sampler = ClickSampler(cases, chosen.spec, chosen.crop, chosen.loop.seed)
    counts: dict[str, int] = {}
    for site in sampler.sites:
        kind = sampler.cases[site.case].kind
        counts[kind] = counts.get(kind, 0) + 1
    patients = sorted({case.patient for case in cases if case.patient})
    facts = {
        **asdict(chosen),
        "lesions": counts,
        "patients": patients,
        "start": None if start is None else start.name,
    }
    write_text(folder / "run.json", json.dumps(facts, indent=1))
    depth_step = chosen.spec.spacing_zyx_mm[0] / chosen.spec.spacing_zyx_mm[1]
    return train(
        network,
        sampler.batch,
        chosen.loop,
        folder,
        device=device,
        batch_loss=partial(loss_with_second_clicks, network, depth_step),
        progress=progress,
        workers=0,
    )
