"""Three remedies for SFAN's semantic gate, learnt alike and judged: what `compare gates` runs.

The paper's gate (equation 1) weights the channels of a level by the mean over all places of the level above;
in the bundled weights it hardly varies. Each remedy takes its place, with all else but the 1 x 1 alignment
just behind it frozen, and is held against one learnt weight per channel that learns from the same crops in
the same steps. What each is, and by which rule it is judged, stands in `attention_protocol.md`, section 6.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.networks.parts.upsampling import upsampled
from LiverLesionAILib.networks.sfan import Sfan
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress
from torch import Tensor, nn

from ..data.synthliver import find_synthliver
from ..evaluation.results import plain
from ..metrics.bootstrap import compare_paired
from ..training.losses import TUMOUR, segmentation_loss
from ..training.recipes import Recipe
from ..training.sampling import CropSampler
from .asked_slices import asked_scans, tumour_in

if TYPE_CHECKING:
    from LiverLesionAILib.models.weights import ModelEntry

How = Literal["averaged", "elsewhere"]
Kind = Literal["constant", "standardised", "told", "placed"]
KINDS: tuple[Kind, ...] = ("constant", "standardised", "told", "placed")
TITLES = {
    "constant": "one weight a channel",
    "standardised": "standardised (first remedy)",
    "told": "told what is there (second remedy)",
    "placed": "place by place (third remedy)",
}
SPREAD = 0.5
"""SD over crops (and places) that a new gate's logits start with."""
TOLD_WEIGHT = 0.3
PLACED_LEVELS = 2
"""The finest levels, on which the bundled gates act."""
LEAK = 0.1


class Levels(NamedTuple):
    """What the frozen part gives: the encoder's levels, top first, and the global gate (B, L C', 1, 1)."""

    features: list[Tensor]
    context: Tensor


def levels_of(network: Sfan, images: Tensor) -> Levels:
    """The frozen part of SFAN on images (B, S, H, W)."""
    features: list[Tensor] = []
    with torch.no_grad():
        x = images
        for depth, block in enumerate(network.encoder):
            x = block(x if depth == 0 else F.max_pool2d(x, 2))
            features.append(x)
        return Levels(features, network.gca(features[-1]))


def pooled(x: Tensor, largest: bool) -> Tensor:
    """Mean over places, (B, C, H, W) -> (B, C); with `largest` the maximum beside it, (B, 2 C)."""
    mean = x.mean(dim=(2, 3))
    return torch.cat([mean, x.amax(dim=(2, 3))], dim=1) if largest else mean


class Remedy(nn.Module):
    """What stands in a semantic gate's place: weights of a level's channels from the level above.

    Args:
        kind: see the protocol.
        gate: mean gate of the bundled weights, (C_t,), which every kind starts about.
        above: the level above, of some crops, (n, C_{t+1}, h, w): what it is standardised by.
        hidden: units between the two 1 x 1 convolutions.
    """

    mean: Tensor
    sd: Tensor
    scale: Tensor

    def __init__(self, kind: Kind, gate: Tensor, above: Tensor, hidden: int) -> None:
        super().__init__()
        self.kind = kind
        self.logit = nn.Parameter(torch.logit(gate.clamp(0.01, 0.99)))
        if kind == "constant":
            return
        seen = self._seen(above)
        axes = (0, 2, 3)
        self.register_buffer("mean", seen.mean(dim=axes, keepdim=True))
        self.register_buffer("sd", seen.std(dim=axes, keepdim=True) + 1e-3)
        self.squeeze = nn.Conv2d(seen.shape[1], hidden, 1)
        self.excite = nn.Conv2d(hidden, len(gate), 1)
        with torch.no_grad():
            for layer in (self.squeeze, self.excite):
                nn.init.normal_(layer.weight, std=layer.in_channels**-0.5)
                layer.bias.zero_()  # type: ignore[union-attr]
            made = self._made(seen)
            assert self.excite.bias is not None
            self.excite.bias -= made.mean(dim=axes)
            self.register_buffer("scale", SPREAD / (made.std(dim=axes, keepdim=True) + 1e-6))
        if kind == "told":
            self.tell = nn.Linear(len(gate), 3)
        if kind == "placed":
            self.gain = nn.Parameter(torch.full((1, len(gate), 1, 1), 0.25))

    def _seen(self, above: Tensor) -> Tensor:
        """What the gate is made of, (B, C, h, w), places 1 x 1 where they are pooled."""
        return above if self.kind == "placed" else pooled(above, self.kind == "told")[:, :, None, None]

    def _made(self, seen: Tensor) -> Tensor:
        made: Tensor = self.excite(F.leaky_relu(self.squeeze((seen - self.mean) / self.sd), LEAK))
        return made

    def forward(
        self, above: Tensor, size: tuple[int, int], how: How | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(B or 1, C_t, 1 or H, 1 or W) weights, and what they differ by from their mean logit (B, C_t).

        Args:
            size: (H, W) of the level that is weighted.
            how: what stands in their place: their mean, or another slice's (half a map away).
        """
        logit = self.logit[None, :, None, None]
        if self.kind == "constant":
            return torch.sigmoid(logit), None
        made = self._made(self._seen(above)) * self.scale
        if self.kind != "placed":
            return _other(torch.sigmoid(logit + made), how, (0,), 0), made[:, :, 0, 0]
        factor = size[0] // made.shape[2]
        large = upsampled(torch.tanh(made).permute(0, 2, 3, 1), factor).permute(0, 3, 1, 2)
        return _other(torch.sigmoid(logit) * (1 + self.gain * large), how, (0, 2, 3), 2), None


def _other(gate: Tensor, how: How | None, over: tuple[int, ...], along: int) -> Tensor:
    if how == "averaged":
        return gate.mean(dim=over, keepdim=True).expand_as(gate)
    return gate.roll(max(1, gate.shape[along] // 2), dims=along) if how == "elsewhere" else gate


class Answer(NamedTuple):
    """Logits (B, classes, H, W), and per level what its gate differs by from its mean, None without."""

    logits: Tensor
    made: Sequence[Tensor | None]


class Remedied(nn.Module):
    """SFAN with a remedy in place of its semantic gates; called as the network itself is.

    Args:
        network: the bundled one, frozen; its alignment is copied and learns.
        kind: which remedy.
        gates: mean bundled gates by level; crops: the levels of some crops.
    """

    def __init__(self, network: Sfan, kind: Kind, gates: Sequence[Tensor], crops: Levels) -> None:
        super().__init__()
        self.frozen = [network]  # not a module of this one: its weights neither learn nor are kept
        self.kind = kind
        self.align = copy.deepcopy(network.align).requires_grad_(True)
        kinds: list[Kind] = [
            "constant" if kind == "placed" and level >= PLACED_LEVELS else kind for level in range(len(gates))
        ]
        self.gates = nn.ModuleList(
            Remedy(one, gate, above, bundled.squeeze.out_channels)  # type: ignore[union-attr, arg-type]
            for one, gate, above, bundled in zip(kinds, gates, crops.features[1:], network.sat, strict=True)
        )
        self.how: How | None = None
        self.known: tuple[Tensor, Levels] | None = None

    @property
    def multiple(self) -> int:
        """Height and width of the input must be multiples of this."""
        return self.frozen[0].multiple

    def answer(self, levels: Levels) -> Answer:
        """From what the frozen part gives."""
        network, features = self.frozen[0], levels.features
        made, weighted = [], []
        for gate, (low, above) in zip(self.gates, itertools.pairwise(features), strict=True):
            weights, differs = gate(above, low.shape[-2:], self.how)
            weighted.append(weights * low)
            made.append(differs)
        each = [align(x) for align, x in zip(self.align, [*weighted, features[-1]], strict=True)]
        size = features[0].shape[-2:]
        large = [F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in each[1:]]
        hidden = network.head(levels.context * torch.cat([each[0], *large], dim=1))
        return Answer(network.classify(hidden), made)

    def forward(self, x: Tensor, return_attention: bool = False) -> Answer:
        """Images (B, S, H, W); what the frozen part says of the same images is computed once."""
        if self.known is None or not torch.equal(self.known[0], x):
            self.known = (x.clone(), levels_of(self.frozen[0], x))
        return self.answer(self.known[1])


def told_loss(made: Sequence[Tensor | None], gates: nn.ModuleList, labels: Tensor) -> Tensor:
    """What every gate should know of a crop: whether there is tumour, how much, and how much liver.

    Args:
        labels: (B, H, W); tumour's area counts by its logarithm, liver's by its share.
    """
    area = (labels == TUMOUR).sum(dim=(1, 2)).float()
    liver = ((labels == 1) | (labels == TUMOUR)).float().mean(dim=(1, 2))
    total = labels.new_zeros((), dtype=torch.float32)
    for differs, gate in zip(made, gates, strict=True):
        assert differs is not None
        says = gate.tell(differs)  # type: ignore[operator]
        total = total + F.binary_cross_entropy_with_logits(says[:, 0], (area > 0).float())
        total = total + F.mse_loss(says[:, 1], torch.log1p(area) / 8) + F.mse_loss(says[:, 2], liver)
    return total / len(gates)


@dataclass(frozen=True)
class Budget:
    """Of one learning: steps of `batch` crops, `first` crops to standardise by, peak rates.

    The crops' `edge` is nearly a whole liver's: the gate is made of a mean over what it is shown.
    """

    steps: int = 100
    batch: int = 4
    edge: int = 256
    first: int = 32
    rate: float = 3e-3
    align_rate: float = 3e-4


def learnt(
    network: Sfan, sampler: CropSampler, chosen: Recipe, budget: Budget, seed: int, progress: Progress
) -> tuple[dict[Kind, Remedied], dict[Kind, list[float]]]:
    """All kinds, learnt from the same crops in the same steps; each one's losses, step by step."""
    torch.manual_seed(seed)
    first = 1_000_000 * (seed + 1)
    gates, crops = before(network, sampler, first, budget)
    nets: dict[Kind, Remedied] = {kind: Remedied(network, kind, gates, crops) for kind in KINDS}
    groups = {
        kind: [
            {"params": list(net.gates.parameters()), "lr": budget.rate, "peak": budget.rate},
            {"params": list(net.align.parameters()), "lr": budget.align_rate, "peak": budget.align_rate},
        ]
        for kind, net in nets.items()
    }
    optimisers = {kind: torch.optim.AdamW(groups[kind], weight_decay=0.0) for kind in nets}
    averages = {kind: copy.deepcopy(net.state_dict()) for kind, net in nets.items()}
    losses: dict[Kind, list[float]] = {kind: [] for kind in nets}
    for step in range(budget.steps):
        progress(f"gates, seed {seed}", step / budget.steps)
        images, labels = sampler.batch(first + budget.first + step * budget.batch, budget.batch)
        levels = levels_of(network, images)
        along = 0.5 * (1 + math.cos(math.pi * step / budget.steps)) * min(1.0, (step + 1) / 10)
        decay = min(0.97, (step + 1) / (step + 10))
        for kind, net in nets.items():
            found = net.answer(levels)
            loss = segmentation_loss(found.logits, labels, chosen.loop)
            losses[kind].append(float(loss.detach()))
            if kind == "told":
                loss = loss + TOLD_WEIGHT * told_loss(found.made, net.gates, labels)
            for group in optimisers[kind].param_groups:
                group["lr"] = group["peak"] * along
            optimisers[kind].zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimisers[kind].step()
            for name, value in net.state_dict().items():
                averages[kind][name].lerp_(value, 1 - decay)
    for kind, net in nets.items():
        net.load_state_dict(averages[kind])
    return nets, losses


def before(network: Sfan, sampler: CropSampler, first: int, budget: Budget) -> tuple[list[Tensor], Levels]:
    """Mean bundled gates by level, and the levels of some crops."""
    images, _ = sampler.batch(first, budget.first)
    parts = [levels_of(network, some) for some in torch.split(images, 8)]
    joined = [torch.cat(each) for each in zip(*(part.features for part in parts), strict=True)]
    with torch.no_grad():
        gates = [gate(above).mean(dim=(0, 2, 3)) for gate, above in zip(network.sat, joined[1:], strict=True)]
    return gates, Levels(joined, torch.cat([part.context for part in parts]))


class Judged(NamedTuple):
    """One way a network was asked: kind ("" as bundled), how it was replaced, seed."""

    kind: Kind | Literal[""]
    how: How | None
    seed: int


def judged(
    network: Sfan,
    entry: ModelEntry,
    nets: dict[Kind, Remedied],
    seed: int,
    folder: Path,
    split: str,
    slices: int,
    progress: Progress,
    limit: int = 0,
) -> tuple[dict[Judged, dict[str, float]], dict[str, str], int]:
    """Tumour Dice by scan of every way to ask one seed's, the scans' patients, how many slices were asked.

    Raises:
        InputError: no scan has a lesion, or one is missing or damaged.
    """
    from LiverLesionAILib.volume.overlap import dice

    least = max(1, round(255 * float(entry.calibration["tumour_threshold"])))
    found: dict[Judged, dict[str, float]] = {}
    patients: dict[str, str] = {}
    shown = 0
    scans = find_synthliver(folder, split)[: limit or None]
    for k, one in enumerate(asked_scans(scans, entry, slices)):
        progress(f"slices of {one.scan.name}", k / len(scans))
        patients[one.scan.name], shown = one.scan.patient, shown + len(one.slices)
        truth, liver = one.tumour_zyx[one.slices], one.liver_zyx[one.slices]
        for way, net in _ways(network, nets, seed):
            said = tumour_in(net, entry, one.hu_zyx, one.slices)()
            found.setdefault(way, {})[one.scan.name] = dice(truth, (said >= least) & liver)
    if not patients:
        raise InputError("None of these scans has a lesion.")
    return found, patients, shown


def _ways(network: Sfan, nets: dict[Kind, Remedied], seed: int) -> Iterator[tuple[Judged, nn.Module]]:
    if seed == 0:
        yield Judged("", None, 0), network
    known: tuple[Tensor, Levels] | None = None
    ways: tuple[How | None, ...] = (None, "averaged", "elsewhere")
    for kind, net in nets.items():
        for how in ways if kind != "constant" else (None,):
            net.how, net.known = how, known
            yield Judged(kind, how, seed), net
            # The frozen part has seen these slices: the next one need not ask it again.
            known, net.how, net.known = net.known, None, None


def rows_of(found: dict[Judged, dict[str, float]], patients: dict[str, str]) -> list[dict[str, Any]]:
    """Rows as `compare attention` keeps them: means over seeds, and each seed's."""
    seeds = sorted({way.seed for way in found})
    names = list(patients)

    def row(attention: str, how: str, kind: Kind | Literal[""], asked: How | None, against: int) -> None:
        each = [found[Judged(kind, asked, seed)] for seed in (seeds if kind else [0])]
        cases = {name: float(np.mean([one[name] for one in each])) for name in names}
        other = rows[against]["cases"] if rows else cases
        paired = compare_paired(other, cases, patients, seed=0)
        rows.append(
            {
                "attention": attention,
                "how": how,
                "value": paired.b,
                "difference": plain(paired.difference) if how else None,
                "note": "",
                "against": against,
                "cases": cases,
                "patients": patients,
                "seeds": {name: [round(one[name], 6) for one in each] for name in names},
            }
        )

    rows: list[dict[str, Any]] = []
    row("", "", "", None, 0)
    row(TITLES["constant"], "learnt", "constant", None, 0)
    for kind in KINDS[1:]:
        own = len(rows)
        row(TITLES[kind], "learnt", kind, None, 0)
        row(TITLES[kind], "against one weight", kind, None, 1)
        row(TITLES[kind], "averaged", kind, "averaged", own)
        row(TITLES[kind], "elsewhere", kind, "elsewhere", own)
    return rows


def spread_of(net: Remedied, crops: Levels) -> list[float]:
    """By level: SD of its weights over crops (placed: and places), mean over channels."""
    made = []
    with torch.no_grad():
        for gate, (low, above) in zip(net.gates, itertools.pairwise(crops.features), strict=True):
            weights = gate(above, low.shape[-2:])[0]
            made.append(float(weights.std(dim=(0, 2, 3), correction=0).mean()))
    return made
