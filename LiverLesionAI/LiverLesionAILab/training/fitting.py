"""A recipe trained on cases."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from LiverLesionAILib.models.weights import build_network
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress
from torch import Tensor, nn

from ..data.cases import LIVER_OR_TUMOUR, TrainingCase
from .detection import DetectionSampler, detection_loss
from .loop import mixed_precision, take_weights, train
from .losses import segmentation_loss
from .pretrained import read_pretrained, take_pretrained
from .processes import Group
from .recipes import Recipe
from .sampling import AugmentSettings, CropSampler
from .slabs import SlabSampler

VALIDATION_SEED = 20_000
"""Which crops of the validation patients are looked at: always the same, and none of a training run's."""


def fit(
    chosen: Recipe,
    cases: Sequence[TrainingCase],
    folder: Path,
    device: str,
    progress: Progress,
    start: Path | None = None,
    watched: Sequence[TrainingCase] = (),
    group: Group | None = None,
    pretrained: Path | None = None,
) -> nn.Module:
    """Train `chosen` on `cases`; the run's settings are kept in `run.json`.

    Args:
        chosen: what to train.
        cases: to learn from.
        folder: of the run.
        device: "cpu" or "cuda".
        progress: told of the loss; may cancel.
        start: weights to go on from.
        watched: scans to validate on, not among `cases`; the best validation's weights are returned.
        group: the processes under `torchrun`.
        pretrained: torchvision's weights for the backbone, see :mod:`.pretrained`.
    """
    torch.manual_seed(chosen.loop.seed)
    network = build_network(chosen.network, asdict(chosen.config))
    if pretrained is not None:
        taken = take_pretrained(network, read_pretrained(pretrained))
        print(f"{pretrained.name}: {len(taken)} weights taken")
    if start is not None:
        for name in take_weights(network, torch.load(start, weights_only=True)):
            print(f"{start.name} has no {name} of this shape: it starts anew")
    if chosen.task == "locate":
        cases = [_liver_only(case) for case in cases]
    make_sampler, own_loss = learnt_from(chosen, network)
    sampler = make_sampler(
        list(cases),
        chosen.shares,
        chosen.spec,
        chosen.crop,
        chosen.loop.seed,
        chosen.augment,
        chosen.tumour_share,
        chosen.liver_share,
    )
    kinds = {kind: sum(c.kind == kind for c in cases) for kind in chosen.shares}
    write_text(folder / "run.json", json.dumps({**asdict(chosen), "cases": kinds}, indent=1))
    return train(
        network,
        sampler.batch,
        chosen.loop,
        folder,
        device=device,
        batch_loss=partial(own_loss, network) if own_loss is not None else None,
        validate=validation(chosen, watched, device) if watched else None,
        group=group,
        progress=progress,
    )


def learnt_from(
    chosen: Recipe, network: nn.Module
) -> tuple[Callable[..., CropSampler], Callable[[nn.Module, Tensor, Tensor, int], Tensor] | None]:
    """What makes a recipe's samples, and the network's own loss of (network, images, labels, step).

    None where it has none: what a detector learns from depends on the truth.
    """
    if chosen.slab_targets:
        bag = {"bag": chosen.config.bag, "bag_step": chosen.config.bag_step}
        make = partial(SlabSampler, targets=chosen.slab_targets, **bag)
        return make, lambda net, images, labels, step: net.training_loss(images, labels, step)
    if hasattr(network, "losses"):
        seed = chosen.loop.seed
        return DetectionSampler, lambda net, *batch: detection_loss(net, seed, *batch)
    return CropSampler, None


def validation(
    chosen: Recipe, watched: Sequence[TrainingCase], device: str, batches: int = 8
) -> Callable[[nn.Module], float]:
    """The loss on fixed crops of scans that training does not see, without augmentation."""
    if chosen.task == "locate":
        watched = [_liver_only(case) for case in watched]
    make_sampler, own_loss = learnt_from(chosen, build_network(chosen.network, asdict(chosen.config)))
    sampler = make_sampler(
        list(watched),
        {"real": 1.0},
        chosen.spec,
        chosen.crop,
        VALIDATION_SEED,
        AugmentSettings(0.0, 0.0, 0.0, 0.0, 0.0, chosen.augment.pivot_hu, 0.0, 0.0, 0.0, 0.0),
        chosen.tumour_share,
        chosen.liver_share,
    )
    fixed = [sampler.batch(number * chosen.loop.batch, chosen.loop.batch) for number in range(batches)]

    def loss(network: nn.Module) -> float:
        total = 0.0
        with torch.inference_mode(), mixed_precision(torch.device(device).type):
            for number, (images, labels) in enumerate(fixed):
                images = images.to(device, memory_format=torch.channels_last)
                labels = labels.to(device)
                if own_loss is not None:
                    total += float(own_loss(network, images, labels, number))
                else:
                    total += float(segmentation_loss(network(images).logits, labels, chosen.loop))
        return total / len(fixed)

    return loss


def _liver_only(case: TrainingCase) -> TrainingCase:
    labels = case.labels_zyx.copy()
    labels[(labels == 2) | (labels == LIVER_OR_TUMOUR)] = 1
    return replace(case, labels_zyx=labels)
