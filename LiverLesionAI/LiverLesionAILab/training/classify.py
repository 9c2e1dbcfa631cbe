"""Training of the slice classifier: its slices, and the loop over them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from torch import Tensor

from ..data.cases import LITS_PATIENTS, data_folder
from .class_bank import class_bank, real_livers
from .class_sampling import DEFAULT_SHARES, PHASED_SHARES, ClassSampler, class_loss
from .classes import ClassSettings, ClassSlices
from .loop import take_weights, train

if TYPE_CHECKING:
    from torch import nn

    from .recipes import Recipe

LIVERS = {
    **{letter: letter for letter in sorted(set(LITS_PATIENTS.values()))},
    "S": "healthy:smooth",
    "T": "healthy:torso",
}
"""Letters of the real livers that a run can leave out: the labelled patients, and two without lesions."""


def class_sources(
    chosen: Recipe, hold_out: str, cache: Path, workers: int, progress: Progress = silent
) -> list[ClassSlices]:
    """Slices of synthetic bodies, and, where there is a data folder, of real livers not held out.

    Raises:
        InputError: `hold_out` names a liver that does not exist.
    """
    unknown = set(hold_out) - set(LIVERS)
    if unknown:
        raise InputError(f"There is no liver {', '.join(sorted(unknown))}; choose among {', '.join(LIVERS)}.")
    without = {LIVERS[letter] for letter in hold_out}
    try:
        data = data_folder()
        real = real_livers(data, cache, chosen.spec)
    except InputError:
        data, real = None, []
    shapes = data / "shapes" / "lesion_masks.npz" if data is not None else None
    if shapes is not None and not shapes.is_file():
        shapes = None
    kept = [case for case in real if case.patient not in without]
    sources = [
        source
        for settings in bank_settings(chosen)
        for source in class_bank(settings, cache, shapes, real=kept, workers=workers, progress=progress)
    ]
    return [source for source in sources if len(source.labels)]


def bank_settings(chosen: Recipe) -> list[ClassSettings]:
    """Two sets of synthetic bodies, and of lesions in the real livers.

    The second has more in it that is no lesion and was called one: fissures, vessels that are dark or not yet
    filled.
    """
    first = ClassSettings(chosen.spec, bodies=chosen.bodies)
    if getattr(chosen.config, "phases", 0):
        return [phased_bank(first)]
    more = replace(first.distractors, fissure=0.3, dark_vessels=0.25, turned_vessels=0.25)
    return [first, replace(first, seed=1, distractors=more)]


def more_classes(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Weights of a network of fewer classes: its rows of the classifier first, the others as they begin."""
    own, out = network.state_dict(), dict(state)
    for name in ("classify.weight", "classify.bias"):
        if name in state and len(state[name]) < len(own[name]):
            kept = state[name].to(own[name].dtype)
            out[name] = torch.cat([kept, own[name][len(kept) :]])
    return out


def phased_bank(settings: ClassSettings) -> ClassSettings:
    """Of a network that is told the phase: all habits, fewer arterial scans; few slices of many bodies."""
    return replace(settings, habits=True, arterial=0.45, per_type=1, real_per_type=3, slices=3)


def fit_classifier(
    chosen: Recipe,
    sources: Sequence[ClassSlices],
    folder: Path,
    device: str,
    progress: Progress = silent,
    start: Path | None = None,
    batches: Callable[[int, int], tuple[Tensor, Tensor]] | None = None,
    only: str = "",
    pretrained: Path | None = None,
) -> nn.Module:
    """Train `chosen` on slices; the run's settings are kept in `run.json`.

    Args:
        start: weights of which what fits is taken; the rest starts anew.
        batches: where batches come from, in place of `sources`; drawn in this process, which may keep them.
        pretrained: torchvision's weights for the backbone, see :mod:`.pretrained`.
        only: take only parts of `start` whose names begin so, without a word on the others.
    """
    from LiverLesionAILib.models.weights import build_network

    torch.manual_seed(chosen.loop.seed)
    network = build_network(chosen.network, asdict(chosen.config))
    if pretrained is not None:
        from .pretrained import read_pretrained, take_pretrained

        taken = take_pretrained(network, read_pretrained(pretrained))
        print(f"{pretrained.name}: {len(taken)} weights taken")
    if start is not None:
        state = torch.load(start, weights_only=True)
        state = more_classes(state, network)
        anew = take_weights(network, {k: v for k, v in state.items() if k.startswith(only)})
        for name in () if only else anew:
            print(f"{start.name} has no {name} of this shape: it starts anew")
    workers = 0 if batches is not None else 1
    told = bool(getattr(chosen.config, "phases", 0))
    if batches is None:
        batches = ClassSampler(
            sources,
            chosen.spec,
            chosen.loop.seed,
            shares=PHASED_SHARES if told else DEFAULT_SHARES,
            real_share=chosen.shares.get("real", 0.0),
            edge=chosen.crop,
            phases=told,
        ).batch
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted({source.source for source in sources if source.kind == "real"})
    record = {**asdict(chosen), "real_livers": names, "bodies": sum(s.kind == "body" for s in sources)}
    (folder / "run.json").write_text(json.dumps(record, indent=1))
    return train(
        network,
        batches,
        chosen.loop,
        folder,
        device=device,
        loss_of=class_loss,
        progress=progress,
        workers=workers,
    )
