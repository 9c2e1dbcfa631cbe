"""Weights that torchvision's networks learnt on ImageNet, read by name into the networks here.

A file such as `vgg16-397923af.pth` or `resnet50-0676ba61.pth`, loaded with `weights_only=True`: nothing in it
is executed. What is taken is the backbone: VGG-16's convolutions into CS-Att, ResNet-50's into DADRN (whose
dilated groups have the same kernels) and into the encoders of the VA networks. Heads and attention start
anew. ImageNet's grey values are not a CT's: the first layers adapt in training, as the papers' do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from LiverLesionAILib.networks.cs_att import CsAtt
from LiverLesionAILib.networks.dadrn import Dadrn
from LiverLesionAILib.networks.va_rcnn import VaRcnn
from LiverLesionAILib.support.errors import InputError
from torch import Tensor, nn

VGG16_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
"""Numbers of torchvision's `features` that convolve."""


def read_pretrained(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of weights.

    Raises:
        InputError: it cannot be read, or holds anything but tensors.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # What a damaged or foreign file raises is any of a dozen types.
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} holds no plain weights ({reason}). Give torchvision's .pth file."
        ) from error
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path} is no list of named weights. Give torchvision's .pth file.")
    return dict(state)


def take_pretrained(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Put what fits into the network's backbone.

    Returns:
        Names of the network's weights that were taken.

    Raises:
        InputError: the network has no backbone of these weights' kind, or of another width.
    """
    own = network.state_dict()
    taken = {}
    for name, value in renamed(network, state).items():
        if name not in own:
            continue
        if name.endswith(first_layer(network)) and value.shape[1] != own[name].shape[1]:
            value = for_slices(value, own[name].shape[1])
        if value.shape == own[name].shape:
            taken[name] = value.to(own[name].dtype)
    # Statistics alone would be chance.
    if not any(value.ndim == 4 for value in taken.values()):
        raise InputError(
            "None of these weights fit this network. VGG-16 fits CS-Att, ResNet-50 fits DADRN and the VA "
            "networks, each in its paper's size (--size paper)."
        )
    network.load_state_dict({**own, **taken})
    return sorted(taken)


def renamed(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's names to the network's own; what has no counterpart is left out."""
    if isinstance(network, CsAtt):
        convolutions = [n for n, part in enumerate(network.backbone) if isinstance(part, nn.Conv2d)]
        where = dict(zip(VGG16_CONVOLUTIONS, convolutions, strict=False))
        found = ((re.fullmatch(r"features\.(\d+)\.(weight|bias)", name), v) for name, v in state.items())
        return {
            f"backbone.{where[int(m[1])]}.{m[2]}": v for m, v in found if m is not None and int(m[1]) in where
        }
    if isinstance(network, Dadrn):
        return _resnet(state, "backbone.stem", "backbone.groups", "body")
    if isinstance(network, VaRcnn):
        return _resnet(state, "encoder.stem", "encoder.stages", "layers")
    return {}


def _resnet(state: Mapping[str, Tensor], stem: str, groups: str, body: str) -> dict[str, Tensor]:
    made = {}
    for name, value in state.items():
        if m := re.fullmatch(r"(conv1|bn1)\.(\w+)", name):
            made[f"{stem}.{0 if m[1] == 'conv1' else 1}.{m[2]}"] = value
        elif m := re.fullmatch(r"layer(\d)\.(\d+)\.(conv|bn)(\d)\.(\w+)", name):
            place = f"{groups}.{int(m[1]) - 1}.{m[2]}.{body}.{2 * (int(m[4]) - 1)}"
            made[f"{place}.{0 if m[3] == 'conv' else 1}.{m[5]}"] = value
        elif m := re.fullmatch(r"layer(\d)\.(\d+)\.downsample\.([01])\.(\w+)", name):
            made[f"{groups}.{int(m[1]) - 1}.{m[2]}.shortcut.{m[3]}.{m[4]}"] = value
    return made


def first_layer(network: nn.Module) -> str:
    """How the name of the first convolution's weight ends."""
    return "backbone.0.weight" if isinstance(network, CsAtt) else "stem.0.weight"


def for_slices(weight: Tensor, slices: int) -> Tensor:
    """A first convolution of three colours for so many slices: their mean, so scaled that sums stay."""
    return weight.mean(dim=1, keepdim=True).repeat(1, slices, 1, 1) * (weight.shape[1] / slices)
