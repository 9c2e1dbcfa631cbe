"""Whether the attention of a network attends: what its weights look like, and what it decides.

Every attention of a network is a :class:`Mechanism`. It is watched while the network answers, and replaced
on the way: switched off, replaced by its own average, or fed with what another place or slice has. Nothing
is trained and nothing stays changed.

A mechanism is *alive* when its weights are within the bounds of its kind (:data:`BOUNDS`, each beside its
reason) and the network's own answer changes by at least :data:`LEAST_EFFECT` under one of the replacements
that count for that kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

Word = Literal["off", "averaged", "elsewhere"]
REPLACEMENTS: tuple[Word, ...] = ("off", "averaged", "elsewhere")

How = Word | Callable[[Tensor], Tensor]
"""One of the replacements, or what is given for what a mechanism gathers or weights by, (T, C, h, w)."""

LEAST_EFFECT = 0.01
"""Mean change of a probability, where there is one, below which a reader could not tell the difference."""

SHUT, SATURATED_LOW, SATURATED_HIGH = 0.1, 0.02, 0.98


@dataclass(frozen=True)
class Bound:
    """What the weights of a kind of attention have to look like.

    Attributes:
        figures: figure -> (lowest, highest).
        decides: the replacements that show an effect of this kind.
        reason: why, in words.
    """

    figures: dict[str, tuple[float, float]]
    decides: tuple[Word, ...]
    reason: str


BOUNDS: dict[str, Bound] = {
    "affinity": Bound(
        {"entropy": (0.1, 0.95)},
        ("averaged", "elsewhere"),
        "a softmax row of an entropy below 0.1 of its range copies one cell, above 0.95 it is a mean",
    ),
    "sigmoid affinity": Bound(
        {"saturated": (0.0, 0.8), "positions": (0.05, 1.0)},
        ("averaged", "elsewhere"),
        "where most sigmoids are 0 or 1, or hardly differ within a row, what is gathered is a global sum",
    ),
    "slice weights": Bound(
        {"entropy": (0.1, 0.95)},
        ("averaged", "elsewhere"),
        "one image of the bag alone, or all alike, is no choice among neighbours",
    ),
    "image gate": Bound(
        {"shut": (0.0, 0.25), "slices": (0.005, 1.0)},
        ("averaged", "elsewhere"),
        "the paper's gate depends on the bag: channels shut in every slice, or one gate for all, do not",
    ),
    "place gate": Bound(
        {"mean": (0.02, 0.98), "positions": (0.02, 1.0)},
        ("averaged", "elsewhere"),
        "a gate over places has to differ between them",
    ),
    "squeeze gate": Bound(
        {"shut": (0.0, 0.5), "channels": (0.02, 1.0)},
        ("off",),
        "channels are weighted; that the weights hardly vary between slices is no fault of a squeeze gate",
    ),
    "image weights": Bound(
        {"entropy": (0.1, 0.95)},
        ("averaged", "elsewhere"),
        "weights of neighbouring images that are all alike choose none of them",
    ),
}

Seen = Callable[..., None]
Run = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Mechanism:
    """One attention of a network.

    Attributes:
        name: "spatial context, level 4".
        kinds: of its weights, in :data:`BOUNDS`; the figures of each are told.
        module: whose `method` is replaced.
        run: run(how or None, seen, *the method's arguments); `seen(kind, weights)` is told what it saw.
        method: "forward" but for attention that has no module of its own.
    """

    name: str
    kinds: tuple[str, ...]
    module: nn.Module
    run: Run
    method: str = "forward"


@dataclass
class Figures:
    """Mean figures of one kind of weights over what was seen."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, **figures: float) -> None:
        """Note figures of one group of images."""
        for name, value in figures.items():
            self.values.setdefault(name, []).append(value)

    def mean(self) -> dict[str, float]:
        """Of all that was noted."""
        return {name: sum(each) / len(each) for name, each in self.values.items()}


def figures_of(kind: str, weights: Tensor) -> dict[str, float]:
    """Figures of weights, each 0..1.

    Args:
        weights: "affinity", "sigmoid affinity": (B, J, I) rows; "slice weights": (T, N); "image weights":
            (B, M, C, h, w), the largest over M 1; "image gate", "squeeze gate": (T, C); "place gate":
            (T, ..., h, w).

    Returns:
        `entropy` over its range; `mean`; `saturated` share; `shut`: share of channels below 0.1 in every
        slice; SD over `slices`, `positions` and `channels` where the weights have such an axis.
    """
    w = weights.detach().float()
    if kind in ("affinity", "slice weights"):
        rows = w.reshape(-1, w.shape[-1])
        entropy = float(torch.special.entr(rows).sum(dim=1).mean()) / math.log(max(2, rows.shape[1]))
        spread = float((w.std(dim=-2, correction=0) * w.shape[-1]).mean()) if w.shape[-2] > 1 else 0.0
        where = "slices" if kind == "slice weights" else "positions"
        return {"entropy": entropy, "largest": float(rows.amax(dim=1).mean()), where: spread}
    if kind == "sigmoid affinity":
        share = ((w < SATURATED_LOW) | (w > SATURATED_HIGH)).float().mean()
        return {
            "saturated": float(share),
            "mean": float(w.mean()),
            "positions": float(w.std(dim=-1, correction=0).mean()),
        }
    if kind == "image weights":
        rows = (w / w.sum(dim=1, keepdim=True)).movedim(1, -1)
        entropy = float(torch.special.entr(rows).sum(dim=-1).mean()) / math.log(max(2, rows.shape[-1]))
        return {
            "entropy": entropy,
            "mean": float(w.mean()),
            "positions": float(w.std(dim=(3, 4), correction=0).mean()),
        }
    if kind == "place gate":
        return {
            "mean": float(w.mean()),
            "positions": float(w.std(dim=(-2, -1), correction=0).mean()),
            "slices": float(w.std(dim=0, correction=0).mean()),
        }
    return {
        "mean": float(w.mean()),
        "shut": float((w.amax(dim=0) < SHUT).float().mean()),
        "slices": float(w.std(dim=0, correction=0).mean()),
        "channels": float(w.std(dim=1, correction=0).mean()),
    }


@contextmanager
def watched(mechanism: Mechanism, how: How | None, seen: Seen) -> Iterator[None]:
    """The network with one mechanism watched, or replaced."""

    def instead(*args: Any, **named: Any) -> Any:
        return mechanism.run(how, seen, *args, **named)

    # In the instance: its class's own method comes back when it is deleted.
    object.__setattr__(mechanism.module, mechanism.method, instead)
    try:
        yield
    finally:
        object.__delattr__(mechanism.module, mechanism.method)


@dataclass(frozen=True)
class Effect:
    """How far the answer changes, probability: its mean where there is something, and its largest."""

    mean: float
    largest: float


def effect(before: Tensor, after: Tensor, least: float = 0.05) -> Effect:
    """The change between two answers of one shape, 0..1; means are over what either calls `least` or more."""
    change = (after.float() - before.float()).abs()
    there = torch.maximum(before, after) >= least
    mean = float(change[there].mean()) if bool(there.any()) else 0.0
    return Effect(mean, float(change.max()) if change.numel() else 0.0)


@dataclass(frozen=True)
class Health:
    """What was measured of one mechanism of one network.

    Attributes:
        network, mechanism: names.
        figures: kind of weights -> figure -> mean.
        effects: replacement -> change of the answer.
        alive: see the module.
        why: what is out of bounds, or that nothing is; the reasons of bounds stand in :data:`BOUNDS`.
    """

    network: str
    mechanism: str
    figures: dict[str, dict[str, float]]
    effects: dict[str, Effect]
    alive: bool
    why: str


def examine(name: str, mechanism: Mechanism, answer: Callable[[], Tensor]) -> Health:
    """Measure one mechanism.

    Args:
        name: of the network.
        answer: runs the network on what it is examined on; probabilities, of the same shape every time.
    """
    noted: dict[str, Figures] = {}

    def seen(kind: str, weights: Tensor) -> None:
        noted.setdefault(kind, Figures()).add(**figures_of(kind, weights))

    def ignored(kind: str, weights: Tensor) -> None:
        pass

    with torch.inference_mode():
        with watched(mechanism, None, seen):
            before = answer()
        effects = {}
        for how in REPLACEMENTS:
            with watched(mechanism, how, ignored):
                effects[how] = effect(before, answer())
    figures = {kind: found.mean() for kind, found in noted.items()}
    alive, why = judged(figures, effects)
    return Health(name, mechanism.name, figures, effects, alive, why)


def judged(figures: dict[str, dict[str, float]], effects: dict[str, Effect]) -> tuple[bool, str]:
    """Whether figures and effects are those of an attention that attends, and what is wrong otherwise."""
    faults = []
    for kind, found in figures.items():
        bound = BOUNDS[kind]
        out = [
            f"{figure} {found[figure]:.3f} is not within {low:g}..{high:g}"
            for figure, (low, high) in bound.figures.items()
            if not low <= found[figure] <= high
        ]
        if out:
            faults.append(f"{kind}: {', '.join(out)}")
    decides = {how for kind in figures for how in BOUNDS[kind].decides}
    if decides and max(effects[how].mean for how in decides) < LEAST_EFFECT:
        how = " or ".join(sorted(decides))
        faults.append(f"{how}, the answer changes by less than {LEAST_EFFECT:g} on average")
    return not faults, "; ".join(faults) or "within bounds, and the answer depends on it"
