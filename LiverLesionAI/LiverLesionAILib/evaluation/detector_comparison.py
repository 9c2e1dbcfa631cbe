"""`liverlesionai compare`: CS-Att against what it is built on, trained alike, scored alike.

R-FCN with 3 slices, 3DCE with 9, 15 and 21, both attentions with 9, 15 and 21, and each attention alone with
15: tables 1 and 3 of the CS-Att paper, on DeepLesion or on anything in its layout (the slices of
SynthLiver-1). Every variant gets the same budget and seeds; finished runs are kept, so that an interrupted
comparison goes on.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING

from ..errors import InputError
from ..files import write_text
from ..progress import Progress, part, silent
from ..training.readers.deeplesion import KeySlice
from ..training.readers.synthliver import read_synth_slices
from .boxes import BoxDetector, BoxResult, Detections, boxes_from_file, boxes_json, evaluate_boxes
from .froc import RATES_PER_IMAGE
from .set_reports import boxes_text, write_boxes_report
from .tables import align, number

if TYPE_CHECKING:
    from ..inputs import InputSpec
    from ..networks.cs_att import CsAtt, CsAttConfig
    from ..training.loop import LoopSettings


@dataclass(frozen=True)
class Variant:
    """One row of the comparison.

    Attributes:
        images: M; contextual, spatial: the attentions.
        published: sensitivity in per cent at 0.5, 1, 2, 4, 8, 16 false positives per image on DeepLesion.
        against: the row whose published difference is shown beside ours.
    """

    name: str
    images: int
    contextual: bool
    spatial: bool
    published: tuple[float, ...]
    against: str = ""


VARIANTS = (
    Variant("R-FCN, 3 slices", 1, False, False, (56.5, 67.7, 76.9, 82.8, 87.0, 89.8)),
    Variant("3DCE, 9", 3, False, False, (61.7, 71.9, 79.2, 84.3, 87.8, 89.7), "R-FCN, 3 slices"),
    Variant("3DCE, 15", 5, False, False, (63.0, 73.1, 80.2, 85.2, 87.8, 89.7), "R-FCN, 3 slices"),
    Variant("3DCE, 21", 7, False, False, (63.2, 73.4, 80.9, 85.6, 88.4, 90.2), "R-FCN, 3 slices"),
    Variant("CS-Att, 9", 3, True, True, (67.8, 76.3, 82.9, 86.6, 89.3, 90.7), "3DCE, 9"),
    Variant("CS-Att, 15", 5, True, True, (70.8, 78.6, 83.9, 87.5, 89.9, 91.4), "3DCE, 15"),
    Variant("CS-Att, 21", 7, True, True, (71.4, 78.5, 84.0, 87.6, 90.2, 91.4), "3DCE, 21"),
    Variant("contextual only, 15", 5, True, False, (64.0, 74.0, 81.4, 86.0, 88.6, 90.5), "3DCE, 15"),
    Variant("spatial only, 15", 5, False, True, (69.0, 77.4, 83.1, 86.7, 89.1, 90.8), "3DCE, 15"),
)


def add_compare_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare`."""
    parser.add_argument("data", type=Path, help="DeepLesion, SynthLiver-1 or anything in DeepLesion's layout")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="runs, tables and figures")
    parser.add_argument("--size", choices=("compact", "paper"), default="compact", help="of the networks")
    parser.add_argument("--steps", type=int, default=2000, help="training steps of every variant")
    parser.add_argument("--batch", type=int, default=4, help="key slices a step")
    parser.add_argument("--crop", type=int, default=256, help="edge of the training crops, px")
    parser.add_argument("--seeds", type=int, default=3, help="how many trainings of each variant")
    parser.add_argument(
        "--window", default="-150,250", metavar="LOW,HIGH", help="HU; the papers' is -1024,3071"
    )
    parser.add_argument("--types", default="", metavar="TYPE,...", help="only key slices with these lesions")
    parser.add_argument("--only", default="", metavar="NAME;...", help="only these variants")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--no-figures", action="store_true", help="only tables and JSON")


def run_compare(
    args: argparse.Namespace, progress: Progress = silent, say: Callable[[str], None] = print
) -> int:
    """Train and score every variant and seed; prints and writes the tables.

    Raises:
        InputError: options or data that make no sense.
        Cancelled: from `progress`; finished and started runs stay and the same command goes on.
    """
    import torch

    torch.set_num_threads(args.threads)
    names = [name.strip() for name in args.only.split(";") if name.strip()]
    unknown = [name for name in names if name not in {v.name for v in VARIANTS}]
    if unknown or args.seeds < 1 or args.steps < 1:
        known = "; ".join(v.name for v in VARIANTS)
        raise InputError(f"--only {args.only}, --seeds, --steps: choose among {known}, and numbers from 1.")
    chosen = [v for v in VARIANTS if not names or v.name in names]
    kinds = set(args.types.split(",")) - {""}
    train, test = (_key_slices(args.data, split, kinds) for split in ("train", "test"))
    runs = [(variant, seed) for variant in chosen for seed in range(args.seeds)]
    results: dict[str, list[BoxResult]] = {}
    for k, (variant, seed) in enumerate(runs):
        along = part(progress, k / len(runs), (k + 1) / len(runs))
        result = _one(args, variant, seed, train, test, along)
        results.setdefault(variant.name, []).append(result)
    text = comparison_text(results)
    say(text)
    write_text(args.out / "comparison.txt", text + "\n")
    write_text(args.out / "comparison.json", json.dumps(comparison_json(results, args), indent=1) + "\n")
    settings = {"steps": args.steps, "batch": args.batch, "size": args.size, "window": args.window, "seed": 0}
    first = {name: each[0] for name, each in results.items()}
    say(boxes_text(first))
    figures = not args.no_figures
    write_boxes_report(first, args.out, f"{args.data.name}, test, seed 0", figures=figures, settings=settings)
    return 0


def _key_slices(data: Path, split: str, kinds: set[str]) -> list[KeySlice]:
    keys = [k for k in read_synth_slices(data, split) if not kinds or kinds & set(k.types)]
    if not keys:
        raise InputError(f"{data}: no key slice of the split {split} with these lesions.")
    return keys


def _window(text: str) -> tuple[float, float]:
    try:
        low, high = (float(value) for value in text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise InputError(f"--window {text}: give two rising HU values, such as -150,250.")
    return low, high


def _one(
    args: argparse.Namespace,
    variant: Variant,
    seed: int,
    train: Sequence[KeySlice],
    test: Sequence[KeySlice],
    progress: Progress,
) -> BoxResult:
    from ..networks.cs_att import SIZES
    from ..training.key_slices import PAPER_INPUT
    from ..training.loop import LoopSettings

    config = replace(
        SIZES[args.size], images=variant.images, contextual=variant.contextual, spatial=variant.spatial
    )
    spec = replace(PAPER_INPUT, in_slices=config.in_slices, window_hu=_window(args.window))
    slug = "".join(c if c.isalnum() else "-" for c in variant.name.lower()).replace("--", "-")
    folder = args.out / "runs" / f"{slug}-{seed}"
    found = folder / "boxes.json"
    if not found.is_file():
        loop = LoopSettings(
            steps=args.steps, batch=args.batch, learning_rate=1e-3, seed=seed, checkpoint_every=100
        )
        network = fit_key_slices(
            config, spec, train, args.crop, loop, folder, args.device, part(progress, 0, 0.8)
        )
        detect = key_slice_detector(network, spec)
        (made,) = evaluate_boxes(
            test, {variant.name: detect}, n_draws=10, progress=part(progress, 0.8, 1.0)
        ).values()
        write_text(found, json.dumps(boxes_json(made.images)))
    return evaluate_boxes(test, {variant.name: boxes_from_file(found)}, seed=0)[variant.name]


def fit_key_slices(
    config: CsAttConfig,
    spec: InputSpec,
    keys: Sequence[KeySlice],
    crop: int,
    loop: LoopSettings,
    folder: Path,
    device: str = "cpu",
    progress: Progress = silent,
) -> CsAtt:
    """Train CS-Att on key slices; what is in `folder` already goes on."""
    import torch

    from ..networks.cs_att import CsAtt
    from ..training.detection import detection_loss
    from ..training.key_slices import KeySliceSampler
    from ..training.loop import train

    torch.manual_seed(loop.seed)
    network = CsAtt(config)
    sampler = KeySliceSampler(keys, spec, crop, loop.seed)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"config": asdict(config), "input": spec.to_json(), "loop": asdict(loop), "crop": crop}
    write_text(folder / "run.json", json.dumps(settings, indent=1))
    loss = partial(detection_loss, network, loop.seed)
    return train(  # type: ignore[return-value]
        network, sampler.batch, loop, folder, device=device, batch_loss=loss, progress=progress
    )


def key_slice_detector(network: CsAtt, spec: InputSpec) -> BoxDetector:
    """A trained network as a detector on key slices, whole images."""
    import torch
    import torch.nn.functional as F

    from ..networks.cs_att import DetectSettings
    from ..training.key_slices import prepare

    # A free-response curve up to 16 false boxes an image needs many faint ones.
    how = DetectSettings(least_score=0.001, most=60)

    def detect(key: KeySlice) -> Detections:
        prepared = prepare(key, spec)
        image = prepared.image()[None]
        size = (image.shape[2], image.shape[3])
        below, right = (-n % network.multiple for n in size)
        parameter = next(network.parameters())
        image = F.pad(image, (0, right, 0, below), value=-1.0).to(parameter.device, parameter.dtype)
        with torch.inference_mode():
            (found,), _ = network.detect(network.window(image), size, how)
        return Detections.make(prepared.to_key_slice(found.boxes), found.scores.double().cpu().numpy())

    return detect


def comparison_text(results: Mapping[str, Sequence[BoxResult]]) -> str:
    """Ours (mean over seeds, SD where there are several) and the published values, and both differences to
    the row that a variant builds on."""
    rates = list(RATES_PER_IMAGE)
    ours = {name: _means(each) for name, each in results.items()}
    lines = [["sensitivity at FP per image, %", *(f"{r:g}" for r in rates), "AP50, %"]]
    gains = [["difference at FP per image, points", *(f"{r:g}" for r in rates)]]
    for variant in VARIANTS:
        if variant.name not in ours:
            continue
        cells = [
            _spread([100 * r.summary.sensitivity[rate] for r in results[variant.name]]) for rate in rates
        ]
        cells.append(_spread([100 * r.summary.ap50 for r in results[variant.name]]))
        lines.append([variant.name, *cells])
        lines.append(["  published, DeepLesion", *(f"{p:.1f}" for p in variant.published), ""])
        if variant.against in ours:
            pairs = zip(ours[variant.name], ours[variant.against], strict=True)
            gains.append([f"{variant.name} - {variant.against}", *(f"{a - b:+.1f}" for a, b in pairs)])
            base = next(v for v in VARIANTS if v.name == variant.against).published
            published = zip(variant.published, base, strict=True)
            gains.append(["  published, DeepLesion", *(f"{a - b:+.1f}" for a, b in published)])
    text = align(lines)
    if len(gains) > 1:
        text += "\n\n" + align(gains)
    return text + "\n\n" + _groups_text(results)


def _groups_text(results: Mapping[str, Sequence[BoxResult]]) -> str:
    names = list(dict.fromkeys(g for each in results.values() for r in each for g in r.summary.groups))
    table = [["sensitivity, % at 4 FP per image", *results]]
    for group in names:
        cells = []
        for each in results.values():
            values = [100 * r.summary.groups[group][0] for r in each if group in r.summary.groups]
            cells.append(number(mean(values), 1) if values else "-")
        table.append([group, *cells])
    return align(table)


def _means(each: Sequence[BoxResult]) -> list[float]:
    return [100 * mean(r.summary.sensitivity[rate] for r in each) for rate in RATES_PER_IMAGE]


def _spread(values: Sequence[float]) -> str:
    if any(not math.isfinite(v) for v in values):
        return "-"
    return f"{mean(values):.1f}" + (f" ({stdev(values):.1f})" if len(values) > 1 else "")


def comparison_json(results: Mapping[str, Sequence[BoxResult]], args: argparse.Namespace) -> dict:
    """Everything in the tables, per seed."""
    published = {v.name: v.published for v in VARIANTS}
    return {
        "settings": {
            k: getattr(args, k) for k in ("size", "steps", "batch", "crop", "seeds", "window", "types")
        },
        "variants": {
            name: {
                "published_deeplesion_percent": published[name],
                "seeds": [
                    {
                        "sensitivity": {f"{k:g}": v for k, v in r.summary.sensitivity.items()},
                        "ap50": r.summary.ap50,
                        "groups": {g: list(values) for g, values in r.summary.groups.items()},
                    }
                    for r in each
                ],
            }
            for name, each in results.items()
        },
    }
