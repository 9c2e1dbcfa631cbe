"""Learning which tubes are of one tree: the table of `stages.anatomy.tube_names`, end to end.

Drawn patients beyond SynthLiver-anatomy and beyond those that the naming network has learnt from: its odds
are as unsure on them as in an analysis. The gradient goes through the equations along the tubes (implicitly:
they are solved once more for it).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.case.anatomy import Vessel
from LiverLesionAILib.stages.anatomy.face import VesselFinder
from LiverLesionAILib.stages.anatomy.grid import liver_grid
from LiverLesionAILib.stages.anatomy.naming import unnamed_view, with_odds
from LiverLesionAILib.stages.anatomy.tree_view import TreeNamer, TreeView, tree_view
from LiverLesionAILib.stages.anatomy.tube_names import (
    MOST_PAIR,
    MOST_SHARE,
    MOST_SIGN,
    TubeView,
    start,
    tube_signs,
)
from LiverLesionAILib.stages.anatomy.tube_ways import TubePairs
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.resampling import resample_labels
from numpy.typing import NDArray
from torch import Tensor, nn

from ..synthesis.synthliver.anatomy_case import draw_anatomy
from ..synthesis.synthliver.anatomy_plan import AnatomyPlan, further_plans
from .kept_folders import is_whole, write_folder
from .tree_cases import POORER_SEED, POORER_SHARE, VERSION, poorer_scan, seen_tubes, tree_case

HIDDEN_VOXEL, HIDDEN_PAIR, DROPOUT = 24, 16, 0.2
RATE, DECAY, WARM = 4e-3, 0.02, 30
BY_SIGN = 0.15
"""Weight of the signs' own loss beside that of the answer."""
THIN = 0.4
"""How filled the surroundings of a thin tube are, at most."""
THICK = 0.25
"""A tube counts by its length: a voxel of it one over this and how filled its surroundings are."""


@dataclass(frozen=True, eq=False)
class TubeCase:
    """A patient's tubes.

    Attributes:
        pairs, voxels, between: of `tube_names.tube_signs`, the last two float16.
        usual: (n,) signs as weighed without what is learnt.
        labels: (n,) 0 not asked for, else :class:`Vessel`'s hepatic or portal vein; in the liver only.
    """

    name: str
    pairs: TubePairs
    voxels: NDArray[np.float16]
    between: NDArray[np.float16]
    usual: NDArray[np.float64]
    labels: NDArray[np.uint8]


def tube_cases(
    cache: Path, first: int, count: int, finder: VesselFinder, namer: TreeNamer, progress: Progress = silent
) -> list[TubeCase]:
    """Patients beyond the set, seen as in an analysis; a third in `tree_cases.poorer_scan`.

    Args:
        cache: what is missing there is drawn and seen; the naming network is asked each time.
        first: so many are passed over.
    """
    out = []
    for number, plan in enumerate(further_plans(first + count)[first:], first):
        progress(f"synthesising {plan.name}", (number - first) / count)
        kept = cache / f"tubes-{VERSION}" / plan.name
        if not is_whole(kept, load_seen):
            save_seen(seen_patient(plan, number, finder), kept)
        out.append(tube_case(plan.name, load_seen(kept), namer))
    return out


class SeenTubes(NamedTuple):
    """A patient's tubes before the naming network is asked.

    Attributes:
        view: of `naming.unnamed_view`.
        volumes: what that network sees, of `tree_view`, float16; truth: uint8 of `tree_cases.tree_case`.
    """

    view: TubeView
    volumes: NDArray[np.float16]
    truth_zyx: NDArray[np.uint8]


def seen_patient(plan: AnatomyPlan, number: int, finder: VesselFinder) -> SeenTubes:
    """A patient beyond the set, drawn and seen; `number` is its place among them."""
    case, rng = draw_anatomy(plan), np.random.default_rng((POORER_SEED, number))
    if rng.random() < POORER_SHARE:
        case = poorer_scan(case, rng)
    grid = liver_grid(case.hu_zyx, case.geometry, case.liver_zyx, case.labels_zyx > 1, None)
    found = seen_tubes(case, grid, finder)
    branches = resample_labels(case.branches_zyx, case.geometry, grid.geometry)
    truth, box = tree_case(plan.name, grid, found, branches), tree_view(grid, found).box
    return SeenTubes(unnamed_view(grid, found, box), truth.volumes, truth.labels_zyx)


def tube_case(name: str, seen: SeenTubes, namer: TreeNamer) -> TubeCase:
    """What is learnt of a patient's tubes, the naming network asked."""
    tubes = seen.view.tubes_zyx
    whole = TreeView(np.asarray(seen.volumes, np.float32), tuple(slice(0, n) for n in tubes.shape))
    view = with_odds(seen.view, namer.hepatic_log_odds(whole)[tubes].astype(np.float64))
    pairs = TubePairs.of(tubes)
    voxels, between = (np.clip(one, -6e4, 6e4).astype(np.float16) for one in tube_signs(view, pairs))
    labels = np.where(view.liver_zyx, seen.truth_zyx, 0)[tubes].astype(np.uint8)
    return TubeCase(name, pairs, voxels, between, view.usual, labels)


def save_seen(seen: SeenTubes, folder: Path) -> None:
    """Write what was seen, whole or not at all."""
    parts = {k: v for k, v in seen.view._asdict().items() if k != "course" and v is not None}
    if seen.view.course is not None:
        parts |= {"along": seen.view.course[0], "straight": seen.view.course[1]}

    def write(beside: Path) -> None:
        np.savez(beside / "seen.npz", volumes=seen.volumes, truth_zyx=seen.truth_zyx, **parts)

    write_folder(folder, write, load_seen)


def load_seen(folder: Path) -> SeenTubes:
    """What :func:`save_seen` wrote.

    Raises:
        OSError, ValueError, KeyError: it is missing or damaged.
    """
    try:
        with np.load(folder / "seen.npz", allow_pickle=False) as file:
            parts = {name: file[name] for name in file.files}
    except (EOFError, BadZipFile) as error:
        raise ValueError(f"{folder} holds no whole file") from error
    volumes, truth = parts.pop("volumes"), parts.pop("truth_zyx")
    if "along" in parts:
        parts["course"] = (parts.pop("along"), parts.pop("straight"))
    return SeenTubes(TubeView(**parts), volumes, truth)


class _Solved(torch.autograd.Function):
    """`TubePairs.solved`, and its gradient."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, own: Tensor, signs: Tensor, pairs: TubePairs) -> Tensor:
        terms = [one.detach().double().numpy() for one in (weights, own, signs)]
        ctx.pairs, ctx.found, ctx.terms = pairs, pairs.solved(*terms), terms
        return torch.from_numpy(ctx.found.astype(np.float32))

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        weights, own, signs = ctx.terms
        pairs, found = ctx.pairs, ctx.found
        # The system is symmetric: the same one, with the slopes on its right side.
        adjoint = pairs.solved(weights, own, slopes[0].double().numpy() / own, np.zeros_like(own))
        steps = [v[pairs.first] - v[pairs.second] for v in (adjoint, found)]
        out = (-steps[0] * steps[1], adjoint * (signs - found), adjoint * own)
        return (*(torch.from_numpy(one.astype(np.float32)) for one in out), None)


class TubeField(nn.Module):
    """Both perceptrons, of which the last layers begin with zeros: the rules as they were.

    Args:
        scale: mean and spread of voxels' signs, then of pairs'.
    """

    def __init__(self, scale: Sequence[Tensor]) -> None:
        super().__init__()
        self.scale = list(scale)
        self.voxel = _perceptron(len(scale[0]), HIDDEN_VOXEL, 2, DROPOUT)
        self.pair = _perceptron(len(scale[2]), HIDDEN_PAIR, 1, 0.0)

    def forward(self, case: TubeCase) -> tuple[Tensor, Tensor]:
        """Log odds of a hepatic vein (n,), solved and by each voxel's own signs."""
        said = self.voxel(_scaled(case.voxels, *self.scale[:2]))
        alike = self.pair(_scaled(case.between, *self.scale[2:]))[:, 0]
        signs, own = (torch.from_numpy(v.astype(np.float32)) for v in start(case.usual, case.pairs))
        same = torch.from_numpy(case.pairs.same_course.astype(np.float32))
        signs = signs + MOST_SIGN * said[:, 0]
        weights = same * alike.clamp(-MOST_PAIR, MOST_PAIR).exp()
        share = own * said[:, 1].clamp(-MOST_SHARE, MOST_SHARE).exp()
        solved: Tensor = _Solved.apply(weights, share, signs, case.pairs)
        return solved, signs

    def table(self) -> dict[str, NDArray[np.float32]]:
        """As `tube_names` reads it."""
        out: dict[str, NDArray[np.float32]] = {}
        for name, net, scale in (
            ("voxel", self.voxel, self.scale[:2]),
            ("pair", self.pair, self.scale[2:]),
        ):
            out[f"{name}_mean"], out[f"{name}_spread"] = (one.numpy() for one in scale)
            layers = [layer for layer in net if isinstance(layer, nn.Linear)]
            for number, layer in enumerate(layers):
                out[f"{name}_weight_{number}"] = layer.weight.detach().numpy().copy()
                out[f"{name}_bias_{number}"] = layer.bias.detach().numpy().copy()
        return out


def _perceptron(signs: int, hidden: int, answers: int, dropout: float) -> nn.Sequential:
    last = nn.Linear(hidden, answers)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    first, second = nn.Linear(signs, hidden), nn.Linear(hidden, hidden)
    return nn.Sequential(first, nn.SiLU(), nn.Dropout(dropout), second, nn.SiLU(), last)


def _scaled(values: NDArray[np.float16], mean: Tensor, spread: Tensor) -> Tensor:
    return ((torch.from_numpy(values.astype(np.float32)) - mean) / spread).clamp(-4, 4)


def learn(
    cases: Sequence[TubeCase], epochs: int, seed: int = 0, progress: Progress = silent
) -> tuple[TubeField, list[float]]:
    """The field learnt from patients (moving average of its weights), and the mean loss of each epoch."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    field = TubeField(_scale_of(cases))
    mean = {name: value.clone() for name, value in field.state_dict().items()}
    optimiser = torch.optim.AdamW(field.parameters(), lr=RATE, weight_decay=DECAY)
    losses, step, steps = [], 0, epochs * len(cases)
    for epoch in range(epochs):
        told = []
        for number in rng.permutation(len(cases)):
            progress(f"learning, epoch {epoch + 1}", step / steps)
            along = 0.5 * (1 + math.cos(math.pi * step / steps))
            for group in optimiser.param_groups:
                group["lr"] = RATE * along * min(1.0, (step + 1) / WARM) + 2e-5
            loss = loss_of(field, cases[number])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(field.parameters(), 1.0)
            optimiser.step()
            step += 1
            told.append(loss.item())
            keep = min(0.99, (step + 1) / (step + 10))
            for name, value in field.state_dict().items():
                mean[name].mul_(keep).add_(value, alpha=1 - keep)
        losses.append(float(np.mean(told)))
    field.load_state_dict(mean)
    return field.eval(), losses


def loss_of(field: TubeField, case: TubeCase) -> Tensor:
    """Cross entropy by length of the answer, and a little of the signs' own."""
    asked = torch.from_numpy(case.labels > 0)
    truth = torch.from_numpy((case.labels == Vessel.HEPATIC).astype(np.float32))[asked]
    solved, signs = (one[asked] for one in field(case))
    length = torch.from_numpy((1.0 / (THICK + case.pairs.filled)).astype(np.float32))[asked]
    entropy = F.binary_cross_entropy_with_logits
    answer = (entropy(solved, truth, reduction="none") * length).sum() / length.sum()
    return answer + BY_SIGN * entropy(signs, truth)


def _scale_of(cases: Sequence[TubeCase]) -> list[Tensor]:
    some = [case.voxels[::7].astype(np.float32) for case in cases]
    pairs = [case.between[::50].astype(np.float32) for case in cases]
    out = []
    for values in (np.concatenate(some), np.concatenate(pairs)):
        out += [torch.from_numpy(values.mean(axis=0)), torch.from_numpy(values.std(axis=0) + 1e-3)]
    return out


def right(field: TubeField | None, case: TubeCase) -> tuple[float, float]:
    """Share of the voxels named right, all and thin ones; by the rules without what is learnt for None."""
    with torch.no_grad():
        field = TubeField(_scale_of([case])).eval() if field is None else field
        odds = field(case)[0].numpy()
    asked = case.labels > 0
    hits = ((odds > 0) == (case.labels == Vessel.HEPATIC))[asked]
    thin = hits[case.pairs.filled[asked] < THIN]
    return float(hits.mean()), float(thin.mean()) if len(thin) else float("nan")


def save_table(table: Mapping[str, NDArray[np.float32]], path: Path) -> None:
    """Write a table as `tube_names.tube_table` reads it, float16 but for the scales."""
    kept = {
        name: v if "mean" in name or "spread" in name else v.astype(np.float16) for name, v in table.items()
    }
    np.savez_compressed(path, **kept)  # type: ignore[arg-type]
