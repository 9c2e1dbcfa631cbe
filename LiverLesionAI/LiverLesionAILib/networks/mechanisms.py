"""The attentions of the five papers' networks, as :mod:`.health` watches and replaces them.

"averaged" is the mean over positions or channels for what is gathered by an affinity, over slices for gates.
"elsewhere" is what the position or channel half a map away gathers, the gate of another slice, the
neighbours of another slice's bag. What is given from outside (a callable) has the form (T, C, h, w): what is
gathered; gates and weights, the images of a window beside its channels.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .cs_att import CsAtt
from .dadrn import Dadrn
from .health import How, Mechanism, Seen
from .mscd import Mscd
from .sfan import Sfan
from .va_rcnn import VaRcnn


def mechanisms_of(network: nn.Module) -> tuple[Mechanism, ...]:
    """Every attention of a network of the papers; () of a network without any."""
    if isinstance(network, Mscd):
        return tuple(
            Mechanism(f"{title}, level {int(level) + 1}", ("affinity",), part, partial(run, part))
            for level, block in network.context.items()
            for title, part, run in (
                ("spatial context", block.spatial, _mscd_spatial),
                ("channel context", block.channel, _mscd_channel),
            )
            if part is not None
        )
    if isinstance(network, Sfan):
        gates = [
            (f"semantic gate (SAT), level {i + 1}", g) for i, g in enumerate(getattr(network, "sat", ()))
        ]
        gates += [("global context gate (GCA)", network.gca)] if hasattr(network, "gca") else []
        return tuple(Mechanism(name, ("squeeze gate",), g, partial(_gate, type(g), g)) for name, g in gates)
    if isinstance(network, Dadrn):
        kind = "sigmoid affinity" if network.config.normalisation == "sigmoid" else "affinity"
        parts = [
            (name, getattr(network, name, None), run)
            for name, run in (("spatial", _dadrn_spatial), ("channel", _dadrn_channel))
        ]
        return tuple(
            Mechanism(f"{name} attention", (kind,), part, partial(run, part, kind))
            for name, part, run in parts
            if part is not None
        )
    if isinstance(network, VaRcnn):
        return tuple(
            Mechanism(
                f"{title} branch, pyramid level {level + 1}", kinds, part, partial(_branch, type(part), part)
            )
            for level, attention in enumerate(network.attention)
            for title, part, kinds in (
                ("channel", attention.channel, ("slice weights", "image gate")),
                ("spatial", attention.spatial, ("slice weights", "place gate")),
            )
            if part is not None
        )
    if isinstance(network, CsAtt):
        parts = (
            ("contextual", network.phi_contextual, network.contextual_weights, "image weights"),
            ("spatial", network.phi_spatial, network.spatial_weights, "place gate"),
        )
        return tuple(
            Mechanism(f"{name} attention", (kind,), weights, partial(_cs_att, kind), "instead")
            for name, phi, weights, kind in parts
            if phi is not None
        )
    return ()


def _replaced(gathered: Tensor, how: How | None, dim: int, size_yx: torch.Size) -> Tensor:
    """What an affinity gathers, (B, C, P), or what stands in its place; `dim` counts who gathers."""
    if callable(how):
        return how(gathered.unflatten(2, size_yx)).flatten(2)
    if how == "averaged":
        return gathered.mean(dim=dim, keepdim=True).expand_as(gathered)
    return gathered.roll(gathered.shape[dim] // 2, dims=dim) if how == "elsewhere" else gathered


def _mscd_spatial(part: Any, how: How | None, seen: Seen, x: Tensor) -> Tensor:
    if how == "off":
        return x
    keys, queries = part.embed(x)
    made = []
    # Image by image: M of a fine level has tens of millions of entries.
    for key, query, image in zip(keys, queries, x, strict=True):
        rows = (key.float() @ query.float().T).softmax(dim=1)
        seen("affinity", rows[None])
        made.append(rows.to(x.dtype) @ image.flatten(1).T)
    gathered = torch.stack(made)
    if callable(how):
        gathered = _replaced(gathered.transpose(1, 2), how, 2, x.shape[2:]).transpose(1, 2)
    else:
        gathered = _replaced(gathered, how, 1, x.shape[2:])
    return part.alpha * gathered.transpose(1, 2).reshape(x.shape) + x


def _mscd_channel(part: Any, how: How | None, seen: Seen, x: Tensor) -> Tensor:
    if how == "off":
        return x
    rows = part.affinity(x)
    seen("affinity", rows)
    mixed = _replaced(rows.to(x.dtype).transpose(1, 2) @ x.flatten(2), how, 1, x.shape[2:])
    return part.beta * mixed.reshape(x.shape) + x


def _dadrn_spatial(part: Any, kind: str, how: How | None, seen: Seen, x: Tensor) -> tuple[Tensor, Any]:
    embeddings = part.embeddings(x, along=1)
    alpha = part.affinity(*embeddings)
    seen(kind, alpha * alpha.shape[-1] if kind != "affinity" and part.mean else alpha)
    value = part.value(x).flatten(2)
    gathered = _replaced(value @ alpha.to(value.dtype).transpose(1, 2), how, 2, x.shape[2:])
    return (x if how == "off" else part.beta * gathered.reshape(x.shape) + x), embeddings


def _dadrn_channel(part: Any, kind: str, how: How | None, seen: Seen, x: Tensor) -> tuple[Tensor, Tensor]:
    alpha = part.affinity(*part.embeddings(x, along=2))
    seen(kind, alpha * alpha.shape[-1] if kind != "affinity" and part.mean else alpha)
    value = part.value(x).flatten(2)
    gathered = _replaced(alpha.to(value.dtype) @ value, how, 1, x.shape[2:])
    return (x if how == "off" else part.beta * gathered.reshape(x.shape) + x), alpha


def _other(gate: Tensor, how: How | None) -> Tensor:
    """A gate (T, C, h, w), or what stands in its place."""
    if callable(how):
        return how(gate)
    if how == "off":
        return torch.ones_like(gate)
    if how == "averaged":
        return gate.mean(dim=0, keepdim=True).expand_as(gate)
    return gate.roll(max(1, len(gate) // 2), dims=0) if how == "elsewhere" else gate


def _gate(kind: Any, part: Any, how: How | None, seen: Seen, x: Tensor) -> Tensor:
    gate = kind.forward(part, x)
    seen("squeeze gate", gate.flatten(1))
    return _other(gate, how)


def _branch(
    kind: Any, part: Any, how: How | None, seen: Seen, target: Tensor, own: Tensor, bags: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    if how == "elsewhere":
        # The target itself stays; its neighbours are another slice's.
        middle = bags.shape[1] // 2
        others = bags.roll(max(1, len(bags) // 2), dims=0)
        bags = torch.cat([others[:, :middle], bags[:, middle : middle + 1], others[:, middle + 1 :]], dim=1)
    _, weights, gate = kind.forward(part, target, own, bags)
    seen("slice weights", weights)
    if gate.shape[-1] == 1:
        seen("image gate", gate.flatten(1))
    else:
        seen("place gate", gate[:, 0])
    gate = gate if how == "elsewhere" else _other(gate, how)
    return target * gate, weights, gate


def _cs_att(kind: str, how: How | None, seen: Seen, weights: Tensor) -> Tensor:
    """(B, M, C, h, w), or what stands in its place: means over places, or the weights half a map below."""
    seen(kind, weights)
    if callable(how):
        return how(weights.flatten(1, 2)).reshape(weights.shape)
    if how == "off":
        return torch.ones_like(weights)
    if how == "averaged":
        return weights.mean(dim=(3, 4), keepdim=True).expand_as(weights)
    return weights.roll(weights.shape[3] // 2, dims=3) if how == "elsewhere" else weights
