"""`liverlesionai compare remedies SET --model NAME`: remedies for a bundled network's spatial attention.

The branch alone is learnt, on slices with lesions of training scans of SynthLiver-1, and judged on those of
validation scans as `compare attention --slices` judges: as they are, and with the target image alone under
noise. Beside the remedies a constant learns as long; each remedy is averaged and fed from elsewhere too. What
it is for, and what came of it: Resources/Benchmarks/attention_protocol.md. Weights are not kept.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent

from ..data.synthliver import find_synthliver
from .attention_kept import BOX_RATE, KIND, kept_boxes, kept_text
from .kept import FILE, write_rows

if TYPE_CHECKING:
    from .asked_slices import AskedScan
    from .attention_variants import Variant

STEPS = {"va_mask_rcnn": 80, "va_faster_rcnn": 80, "cs_att": 60}
"""Networks that there are remedies for, and how long they learn."""

LEARNING_RATE = 1e-3
NOISE_HU = 12.0
MASKS = "tumour Dice per case, in the liver's part of the slices"
BOXES = f"cross-sections of lesions found at {BOX_RATE:g} false box a slice, IoU > 0.5"


def add_remedy_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare remedies`."""
    parser.add_argument("data", type=Path, help="a SynthLiver-1 with training and validation volumes")
    parser.add_argument("--model", choices=sorted(STEPS), default="va_mask_rcnn", help="which network")
    parser.add_argument("--train", type=int, default=12, metavar="N", help="training scans (default 12)")
    parser.add_argument("--slices", type=int, default=4, metavar="N", help="slices of each scan (default 4)")
    parser.add_argument("--steps", type=int, help="of learning; default the protocol's")
    parser.add_argument("--limit", type=int, default=0, help="only the first so many validation scans")
    parser.add_argument("--out", type=Path, default=Path("remedies"), help="folder for the kept rows")


def run_remedies(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Learn, judge, print and keep the rows.

    Raises:
        LiverLesionAIError: scans that are missing or damaged, or none with a lesion.
    """
    from LiverLesionAILib.models.weights import ModelStore

    from .asked_slices import asked_scans

    store = ModelStore.bundled()
    entry = store.manifest.find(args.model)
    family = family_of(store.network(entry.name, "cpu", "float32").eval(), entry)
    # Not cut short by what has no lesion: so many scans are learnt from.
    asked = asked_scans(find_synthliver(args.data, "train")[: args.train], entry, args.slices)
    examples, rng = [], np.random.default_rng(0)
    for one in asked:
        progress(f"{one.scan.name}: slices to learn from", 0.0)
        examples.append(family.asked(one, family.versions(one.hu_zyx, rng)))
    if not examples:
        raise InputError("None of these scans has a lesion to learn from.")
    branches, losses = {}, {}
    for name in (*family.constants, *family.remedies):
        branches[name] = family.branch(name, examples)
        losses[name] = learn(
            family, name, branches[name], examples, args.steps or STEPS[args.model], progress
        )
    examples.clear()
    found: dict[str, dict[str, Any]] = {}
    scans = find_synthliver(args.data, "validation")[: args.limit or None]
    for k, one in enumerate(asked_scans(scans, entry, args.slices)):
        progress(f"slices of {one.scan.name}", k / len(scans))
        for name, answer in judged(family, branches, one).items():
            found.setdefault(name, {})[one.scan.name] = answer
    if not found:
        raise InputError("None of these scans has a lesion.")
    metric = f"{MASKS if family.masks else BOXES}, {args.slices} slices with lesions of each scan"
    rows = rows_of(family, found)
    told = {"model": entry.name, "sha256": entry.sha256, "metric": metric, "losses": losses}
    write_rows(args.out / FILE, KIND, {**told, "rows": rows})
    print(kept_text(args.out / FILE))
    return 0


def family_of(network: Any, entry: Any) -> Any:
    """The remedies of a network's family."""
    from LiverLesionAILib.networks.cs_att import CsAtt

    from .remedies_cs_att import CsAttFamily
    from .remedies_va import VaFamily

    network.requires_grad_(False)
    return CsAttFamily(network, entry) if isinstance(network, CsAtt) else VaFamily(network, entry)


def learn(
    family: Any, name: str, branch: Any, examples: list[Any], steps: int, progress: Progress
) -> list[float]:
    """Learn one branch; the mean losses of the first and the last quarter."""
    import torch

    parts = branch if isinstance(branch, list) else [branch]
    own = [p for part in parts for p in part.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(own, lr=LEARNING_RATE, weight_decay=0.0)
    order, losses = np.random.default_rng(0), []
    with family.using(branch):
        for step in range(steps):
            for group in optimiser.param_groups:
                rising = min(1.0, (step + 1) / 10)
                group["lr"] = LEARNING_RATE * rising * 0.5 * (1 + math.cos(math.pi * step / steps))
            one = examples[int(order.integers(len(examples)))]
            loss = family.loss(branch, one, step, name in family.spoilt)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(own, 1.0)
            optimiser.step()
            losses.append(float(loss.detach()))
            progress(f"learning: {name}", (step + 1) / steps)
    for part in parts:
        part.requires_grad_(False).eval()
    quarter = max(1, steps // 4)
    return [round(float(np.mean(some)), 4) for some in (losses[:quarter], losses[-quarter:])]


def judged(family: Any, branches: Mapping[str, Any], one: AskedScan) -> dict[str, Any]:
    """Every row's answer for a scan, clean and under noise."""
    import torch

    from .attention_variants import variants_of
    from .spoilt import noisy

    asked = family.asked(one, [noisy(one.hu_zyx, NOISE_HU, np.random.default_rng(0))])
    found = {}
    for name, branch in {"": None, **branches}.items():
        with torch.inference_mode(), family.using(branch):
            variants: list[Variant] = [v for v in variants_of(family.asked_of, name) if not v.mechanisms]
            if name in family.remedies:
                ways = ("averaged", "elsewhere")
                every = variants_of(family.asked_of, name)
                variants += [v for v in every if v.attention == family.kind and v.how in ways]
            for variant in variants:
                for noise, version in ((False, None), (True, 0)):
                    with variant.in_place():
                        found[key_of(name, variant.how, noise)] = family.answers(one, asked, version)
    return found


def key_of(name: str, how: str, noise: bool) -> str:
    """Of what was judged."""
    return "; ".join([name or "bundled", *([how] if how else []), *(["noise"] if noise else [])])


def rows_of(family: Any, found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows to keep; what is held against several others is kept once ("same")."""
    rows: list[dict[str, Any]] = []
    number: dict[str, int] = {}

    def add(title: str, how: str, key: str, against: str) -> None:
        row: dict[str, Any] = {"attention": title, "how": how, "note": ""}
        if key in number:
            row["same"] = number[key]
        elif family.masks:
            row["cases"] = {scan: round(float(dice), 6) for scan, dice in found[key].items()}
        else:
            row["kept"] = [
                [one[0], one[1], *([None if s is None else round(s, 4) for s in part] for part in one[2:])]
                for scan in found[key].values()
                for one in kept_boxes(scan)
            ]
        number.setdefault(key, len(rows))
        rows.append({**row, "against": number[against]})

    for noise in (False, True):
        bundled = key_of("", "", noise)
        add("as it is, under noise" if noise else "", "", bundled, bundled)
        for name in family.constants:
            add(name, "learnt", key_of(name, "", noise), bundled)
        for name in family.remedies:
            own = key_of(name, "", noise)
            constant = family.constants[1 if name in family.spoilt else 0]
            add(name, "learnt", own, bundled)
            add(name, "against one number", own, key_of(constant, "", noise))
            for how in ("averaged", "elsewhere"):
                add(name, how, key_of(name, how, noise), own)
    return rows
