"""`liverlesionai compare gates DATA`: three remedies for SFAN's semantic gate; see :mod:`.gate_remedies`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent

from ..data.cases import TrainingCase, data_folder
from ..evaluation.results import write_json
from .attention_kept import AS_IT_IS, KIND, kept_text

if TYPE_CHECKING:
    from ..training.recipes import Recipe


def add_gate_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare gates`."""
    parser.add_argument("data", type=Path, help="a SynthLiver-1 with `volumes`")
    parser.add_argument("--learn", type=Path, metavar="DIR", help="the set to learn from; default DATA")
    parser.add_argument("--out", type=Path, default=Path("gates"), help="folder for table and JSON")
    parser.add_argument("--cache", type=Path, default=Path(".train"), help="folder of prepared cases")
    parser.add_argument("--bodies", type=int, default=60, help="synthetic bodies to learn from (default 60)")
    parser.add_argument("--steps", type=int, default=100, help="of learning (default 100)")
    parser.add_argument("--seeds", type=int, default=2, help="learnings (default 2)")
    parser.add_argument("--slices", type=int, default=4, help="slices with lesions of each scan (default 4)")
    parser.add_argument("--limit", type=int, default=0, help="only the first so many validation scans")
    parser.add_argument("--threads", type=int, default=0, help="of the processor; 0 for its own choice")


def run_gates(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Learn, judge, print and write the table.

    Raises:
        LiverLesionAIError: data that are missing or damaged, or no scan with a lesion.
    """
    import torch
    from LiverLesionAILib.models.weights import ModelStore
    from LiverLesionAILib.networks.sfan import Sfan

    from ..training.recipes import RECIPES
    from ..training.sampling import CropSampler
    from .gate_remedies import Budget, Judged, before, judged, learnt, rows_of, spread_of

    if min(args.steps, args.seeds, args.slices) < 1:
        raise InputError("--steps, --seeds and --slices take numbers from 1 on.")
    if args.threads:
        torch.set_num_threads(args.threads)
    store = ModelStore.bundled()
    entry = store.manifest.find("sfan")
    network = store.network(entry.name, "cpu", "float32").requires_grad_(False)
    assert isinstance(network, Sfan)
    chosen, budget = RECIPES["sfan_finish"], Budget(steps=args.steps)
    cases = _cases(args, chosen, progress)
    shares = {"real": 0.7, "body": 0.3}
    drawn = (chosen.augment, chosen.tumour_share, chosen.liver_share)
    path = args.out / "attention.json"
    metric = f"tumour Dice per case, {args.slices} slices with lesions of each scan, mean over seeds"
    known = {"kind": KIND, "model": entry.name, "sha256": entry.sha256, "metric": metric}
    losses, spreads = [], []
    found: dict[Judged, dict[str, float]] = {}
    for seed in range(args.seeds):
        sampler = CropSampler(cases, shares, chosen.spec, budget.edge, seed, *drawn)
        nets, lost = learnt(network, sampler, chosen, budget, seed, progress)
        _, crops = before(network, sampler, 0, budget)
        losses.append({kind: [float(np.mean(p)) for p in (v[:25], v[-25:])] for kind, v in lost.items()})
        spreads.append({kind: spread_of(net, crops) for kind, net in nets.items()})
        one, patients, shown = judged(
            network, entry, nets, seed, args.data, "validation", args.slices, progress, args.limit
        )
        found |= one
        rows = rows_of(found, patients)
        rows[0]["note"] = f"{shown} slices"
        # After every seed: what is there is kept.
        write_json(path, {**known, "losses": losses, "spreads": spreads, "rows": rows})
    print(kept_text(path))
    print(f"{AS_IT_IS}: the bundled weights; losses and spreads of the weights in {path}")
    return 0


def _cases(args: argparse.Namespace, chosen: Recipe, progress: Progress) -> list[TrainingCase]:
    """What is learnt from: the set's training scans and synthetic bodies."""
    from ..training.bodies import body_cases
    from ..training.synthliver_cases import synthliver_cases

    spacing, margin = chosen.spec.spacing_zyx_mm, chosen.margin_mm
    cases = synthliver_cases(args.learn or args.data, "train", args.cache, spacing, margin, progress)
    file = data_folder() / "shapes" / "lesion_masks.npz"
    cases += body_cases(
        spacing,
        margin,
        args.bodies,
        args.cache,
        file if file.is_file() else None,
        seed=chosen.bank.seed,
        mix=chosen.body_mix,
        progress=progress,
    )
    return cases
