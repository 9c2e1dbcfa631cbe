"""`liverlesionai compare segmenters FAMILY DATA`: mask networks trained and scored alike, on the real scans
leaving one patient out, or on the training and test scans of SynthLiver-1.

The comparisons and ablations of the SFAN, MSCD and VA papers, by one command each. Every variant gets the
same steps, samples and seeds, the same coarse network finds the liver, and every run that is there already is
kept, so that an interrupted comparison goes on. What the papers report stands beside, on their own patients:
only the differences can be compared.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, LiverLesionAIError
from ..files import replacing, write_text
from ..progress import Progress, silent
from ..training.cases import LITS_PATIENTS
from ..training.readers.folders import layout_of
from ..training.readers.synthliver import find_synthliver
from ..weights import Manifest, models_folder
from .bands import DICE_BANDS
from .bootstrap import compare_paired, mean_interval
from .segmenter_families import FAMILIES, Family, Variant
from .tables import align, number, with_interval

EQUAL_RATES = (0.5, 1.0, 2.0)
"""False lesions per scan at which variants are compared: networks differ in how readily they speak."""


def add_segmenter_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare segmenters`."""
    parser.add_argument(
        "family", choices=sorted(FAMILIES), help="which paper's comparison; data: parts of the training data"
    )
    parser.add_argument("data", type=Path, help="folder of the six labelled LiTS volumes, or of SynthLiver-1")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="runs and tables")
    parser.add_argument("--steps", type=int, default=1600, help="training steps of every run (default 1600)")
    parser.add_argument("--seeds", type=int, default=3, help="how many trainings of each variant and fold")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each training")
    parser.add_argument("--device", default="cpu", help="cpu or cuda, of trainings and scoring")
    parser.add_argument(
        "--scans", type=int, metavar="N", help="score only the first N test scans of SynthLiver-1"
    )
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="prepared volumes and variants")
    parser.add_argument("--only", default="", metavar="NAME;...", help="only these variants")
    parser.add_argument(
        "--bank",
        type=int,
        metavar="N",
        help="synthesise so many variants of a patient and so many bodies instead of the recipe's",
    )


@dataclass(frozen=True)
class Training:
    """One training: a command, and the models folder that it fills."""

    command: tuple[str, ...]
    models: Path
    model: str

    @property
    def done(self) -> bool:
        """Whether its model is in the manifest."""
        if not (self.models / "manifest.json").is_file():
            return False
        return any(entry.name == self.model for entry in Manifest.read(self.models).entries)


def on_synthliver(args: argparse.Namespace) -> bool:
    """Whether networks are compared on SynthLiver-1 instead of the real scans."""
    return args.data.is_dir() and layout_of(args.data) == "synthliver"


def folds_of(args: argparse.Namespace) -> tuple[str, ...]:
    """Names of the trainings of one variant and seed: the patient left out, or the set's training split."""
    return ("train",) if on_synthliver(args) else tuple(sorted(set(LITS_PATIENTS.values())))


def trainings(args: argparse.Namespace, variants: Sequence[Variant]) -> list[Training]:
    """Every training that the comparison needs, coarse networks first; one folder a run and fold."""
    common = ["--threads", str(args.threads), "--device", args.device, "--cache", str(args.cache)]
    common += ["--bank", str(args.bank)] if args.bank else []
    synth, folds = on_synthliver(args), folds_of(args)
    jobs: dict[Path, Training] = {}
    for fold in () if synth else folds:
        models = args.out / "coarse" / fold
        command = ["coarse_unet", "--hold-out", fold, "--out", str(models / "run"), "--bundle", str(models)]
        jobs[models] = Training((*command, *common), models, "coarse_unet")
    for seed in range(args.seeds):
        for variant in variants:
            for fold in folds:
                models = args.out / f"{variant.run}-{seed}" / fold
                command = [variant.recipe, "--seed", str(seed), "--steps", str(args.steps)]
                command += ["--synthliver", str(args.data)] if synth else ["--hold-out", fold]
                command += [part for item in variant.config for part in ("--config", item)]
                command += [word for part in variant.without for word in ("--without", part)]
                command += ["--shares", variant.shares] if variant.shares else []
                command += ["--out", str(models / "run"), "--bundle", str(models)]
                jobs[models] = Training((*command, *common), models, variant.recipe)
    return list(jobs.values())


def run_training(training: Training) -> None:
    """Train in a process of its own.

    Raises:
        LiverLesionAIError: it failed; the text holds the end of what it said.
    """
    training.models.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "LiverLesionAILib.cli", "train", *training.command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise LiverLesionAIError(f"Training {training.model} into {training.models} failed: {said}")


def score(args: argparse.Namespace, variant: Variant, seed: int) -> Path:
    """Evaluate one variant and seed on scans that its networks have not seen; the path of its
    `evaluation.json`."""
    from .command import add_evaluate_arguments, run_evaluate
    from .models import method_maker

    name = variant.run if variant.pyramid is None else f"{variant.run}-{'_'.join(map(str, variant.pyramid))}"
    out = args.out / "scores" / f"{name}-{seed}"
    if (out / "evaluation.json").is_file():
        return out / "evaluation.json"
    folds = args.out / f"{variant.run}-{seed}"
    synth = on_synthliver(args)
    for fold in folds_of(args):
        with_coarse(folds / fold, models_folder() if synth else args.out / "coarse" / fold)
    chosen = [str(args.data), "--model", variant.recipe, "--out", str(out), "--no-figures"]
    if synth:
        scans = find_synthliver(args.data, "test")[: args.scans]
        chosen += ["--split", "test", "--cases", ",".join(scan.name for scan in scans), "--no-distances"]
        make = method_maker(args.device, None, None, None, variant.pyramid, models=folds / "train")
    else:
        chosen += ["--folds", str(folds)]
        make = method_maker(args.device, None, None, folds, variant.pyramid)
    parser = argparse.ArgumentParser()
    add_evaluate_arguments(parser)
    options = parser.parse_args(chosen)
    options.device = args.device
    run_evaluate(options, method=make, say=lambda text: None)
    return out / "evaluation.json"


def with_coarse(models: Path, coarse: Path) -> None:
    """Put the fold's coarse network beside the network to compare."""
    manifest = Manifest.read(models)
    entry = Manifest.read(coarse).find("coarse_unet")
    target = models / entry.file
    if not target.is_file():
        with replacing(target) as beside:
            beside.write_bytes((coarse / entry.file).read_bytes())
    others = tuple(e for e in manifest.entries if e.name != entry.name)
    Manifest(models, (entry, *others)).write()


def run_compare_segmenters(
    args: argparse.Namespace,
    progress: Progress = silent,
    say: Callable[[str], None] = print,
    train: Callable[[Training], None] = run_training,
    evaluate: Callable[[argparse.Namespace, Variant, int], Path] = score,
) -> int:
    """Train what is missing, score, print and write the table.

    Raises:
        LiverLesionAIError: options or data that make no sense, or a training that failed.
    """
    family = FAMILIES[args.family]
    names = [name.strip() for name in args.only.split(";") if name.strip()]
    known = [variant.name for variant in family.variants]
    if set(names) - set(known) or args.seeds < 1 or args.steps < 1 or args.jobs < 1:
        raise InputError(f"--only takes {'; '.join(known)}; --seeds, --steps and --jobs numbers from 1.")
    if on_synthliver(args) and any(v.without or v.shares for v in family.variants):
        raise InputError(
            f"{args.family}: what the parts of the training data are worth is measured on the real scans; "
            "SynthLiver-1 brings its own."
        )
    variants = [variant for variant in family.variants if not names or variant.name in names]
    missing = [training for training in trainings(args, variants) if not training.done]
    with ThreadPoolExecutor(args.jobs) as pool:
        for number_done, _ in enumerate(pool.map(train, missing), start=1):
            progress(f"trained {number_done} of {len(missing)}", 0.9 * number_done / len(missing))
    results: dict[str, list[dict[str, Any]]] = {}
    curves: dict[str, list[dict[str, Any]]] = {}
    for variant in variants:
        for seed in range(args.seeds):
            progress(f"scoring {variant.name}", 0.9)
            path = evaluate(args, variant, seed)
            (method,) = json.loads(path.read_text(encoding="utf-8"))["methods"].values()
            results.setdefault(variant.name, []).append({case["name"]: case for case in method["cases"]})
            curves.setdefault(variant.name, []).append(method.get("free_response") or {})
    progress("done", 1.0)
    text = comparison_table(family, results, steps=args.steps, curves=curves, scored_on=protocol(args))
    say(text)
    write_text(args.out / f"{args.family}.txt", text + "\n")
    return 0


def protocol(args: argparse.Namespace) -> str:
    """What the networks are trained and scored on, in words."""
    if not on_synthliver(args):
        return "Real scans, one patient left out"
    count = len(find_synthliver(args.data, "test")[: args.scans])
    return f"SynthLiver-1, trained on its training scans, scored on {count} test scans"


def comparison_table(
    family: Family,
    results: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    steps: int,
    curves: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    scored_on: str = "Real scans, one patient left out",
) -> str:
    """A line per variant: means over seeds, intervals over patients, the paired difference from the first.

    Args:
        curves: variant -> free response of every training, as `evaluate` writes it: the share of lesions
            found where all variants give equally many false ones.
        scored_on: what they were trained and scored on, in words.
    """
    rows = [
        [
            "",
            "tumour Dice",
            "SD of seeds",
            "difference",
            "p",
            *(f"Dice {band.name}" for band in DICE_BANDS),
            "found",
            "false per scan",
            *(f"found at {rate:g} false" for rate in EQUAL_RATES),
            *(("published", "difference") if family.unit else ()),
        ]
    ]
    published = {variant.name: variant.published for variant in family.variants}
    first = next(iter(results))
    for name, seeds in results.items():
        patients = {case: row["patient"] for case, row in seeds[0].items()}
        mean = mean_over_seeds(seeds)
        interval = mean_interval(list(mean.values()), [patients[case] for case in mean], seed=0)
        of_seeds = [sum(case_dice(row) for row in seed.values()) / len(seed) for seed in seeds]
        spread = _deviation(of_seeds)
        line = [name, with_interval(interval), number(spread) if len(seeds) > 1 else ""]
        if name == first:
            line += ["", ""]
        else:
            paired = compare_paired(mean_over_seeds(results[first]), mean, patients, seed=0)
            line += [with_interval(paired.difference), number(paired.p_value)]
        line += [number(value) for value in dice_by_band(seeds)]
        lesions = [row["lesions"] for seed in seeds for row in seed.values()]
        total = sum(part["total"] for part in lesions)
        line.append(f"{sum(part['found'] for part in lesions) / total:.2f}" if total else "")
        line.append(f"{sum(part['false'] for part in lesions) / len(lesions):.2f}")
        line += [number(found_at((curves or {}).get(name, ()), rate)) for rate in EQUAL_RATES]
        if not family.unit:
            rows.append(line)
            continue
        ours, theirs = published[name], published[first]
        line.append("" if ours is None else f"{ours:g}")
        both = ours is not None and theirs is not None and name != first
        line.append(f"{ours - theirs:+.1f}" if both else "")
        rows.append(line)
    seeds_used = len(next(iter(results.values())))
    plural = "s" * (seeds_used > 1)
    source = f" Published: {family.unit}, in per cent." if family.unit else ""
    return (
        f"{align(rows)}\n{scored_on}; {steps} steps, {seeds_used} seed{plural} each; "
        "95 % bootstrap intervals over patients in brackets; p: two-sided permutation test over patients. "
        f"Dice of lesions by diameter, missed ones 0. Found at so many false lesions per scan: free response."
        f"{source}"
    )


def found_at(curves: Sequence[Mapping[str, Any]], rate: float) -> float:
    """Share of lesions found with at most `rate` false ones per scan, mean over trainings; NaN without
    curves."""
    best = [
        max((s for s, f in zip(c["sensitivity"], c["false_per_unit"], strict=True) if f <= rate), default=0.0)
        for c in curves
        if c
    ]
    return sum(best) / len(best) if best else math.nan


def case_dice(row: Mapping[str, Any]) -> float:
    """Tumour Dice of a scan; NaN where it is undefined."""
    value = row["tumour"]["dice"]
    return math.nan if value is None else float(value)


def mean_over_seeds(seeds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Scan -> tumour Dice, mean over the trainings.

    Raises:
        InputError: the trainings were not scored on the same scans.
    """
    if any(set(seed) != set(seeds[0]) for seed in seeds):
        raise InputError("The trainings of one variant were scored on different scans; remove `scores`.")
    return {case: sum(case_dice(seed[case]) for seed in seeds) / len(seeds) for case in seeds[0]}


def dice_by_band(seeds: Sequence[Mapping[str, Any]]) -> list[float]:
    """Mean Dice of the lesions of each size band over scans and trainings; NaN for a band without lesions."""
    lesions = [lesion for seed in seeds for row in seed.values() for lesion in row["lesions"]["reference"]]
    groups = (
        [float(lesion["dice"]) for lesion in lesions if band.holds(lesion["diameter_mm"])]
        for band in DICE_BANDS
    )
    return [sum(group) / len(group) if group else math.nan for group in groups]


def _deviation(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
