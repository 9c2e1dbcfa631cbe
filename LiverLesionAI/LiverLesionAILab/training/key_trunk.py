"""The common trunk of a comparison of detectors.

A plain detector of single three-slice images, trained end to end on the key slices; every variant starts from
what it has learnt, as the papers from ImageNet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.networks.cs_att import SLICES_PER_IMAGE
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from torch import Tensor, nn

from ..data.deeplesion import KeySlice
from .detector_families import Family, image_loss
from .key_slices import KeySliceSampler
from .loop import LoopSettings, train


def read_weights(file: Path) -> dict[str, Tensor]:
    """A state dictionary, read without executing code.

    Raises:
        InputError: the file is missing or holds something else.
    """
    try:
        state = torch.load(file, weights_only=True, map_location="cpu")
        if not all(isinstance(value, Tensor) for value in state.values()):
            raise ValueError("it holds more than tensors")
    except Exception as error:
        raise InputError(f"{file} holds no weights to start from ({error}).") from error
    return state


def take_parts(network: nn.Module, state: dict[str, Tensor], prefixes: Sequence[str] = ("",)) -> list[str]:
    """Copy what has the same name and shape and one of the prefixes; the rest stays as it is.

    Returns:
        Names of what was copied.
    """
    own = network.state_dict()
    fitting = {
        name: value.to(own[name].dtype)
        for name, value in state.items()
        if name in own and value.shape == own[name].shape and name.startswith(tuple(prefixes))
    }
    network.load_state_dict({**own, **fitting})
    return list(fitting)


def fit_trunk(
    family: Family,
    spec: InputSpec,
    keys: Sequence[KeySlice],
    crop: int,
    loop: LoopSettings,
    start: Sequence[Path],
    folder: Path,
    device: str = "cpu",
    progress: Progress = silent,
) -> tuple[nn.Module, int]:
    """Train the family's plain network on single images; what is in `folder` already goes on.

    Args:
        spec: of any number of slices; the middle three are seen.
        start: weights to start from, whatever of them fits.

    Returns:
        The trained network, eval mode; how many of its tensors came from `start`.

    Raises:
        InputError: a start file that cannot be read.
    """
    torch.manual_seed(loop.seed)
    network = family.build(1, False, False)
    taken: set[str] = set()
    for file in start:
        taken.update(take_parts(network, read_weights(file)))
    spec = replace(spec, in_slices=SLICES_PER_IMAGE)
    sampler = KeySliceSampler(keys, spec, crop, loop.seed)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "start": {"files": [file.name for file in start], "tensors": len(taken)},
        "input": spec.to_json(),
        "loop": asdict(loop),
        "crop": crop,
    }
    write_text(folder / "run.json", json.dumps(settings, indent=1))
    loss = partial(image_loss, family, network, loop.seed)
    trained = train(network, sampler.batch, loop, folder, device=device, batch_loss=loss, progress=progress)
    return trained, len(taken)
