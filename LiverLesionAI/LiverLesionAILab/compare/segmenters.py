"""`liverlesionai compare segmenters FAMILY DATA`: mask networks trained and scored alike.

Either on the real scans, leaving one patient out, or on the training and test scans of SynthLiver-1. The
comparisons and ablations of the SFAN, MSCD and VA papers, by one command each. Every variant gets the
same steps, samples and seeds, the same coarse network finds the liver, and every run that is there already is
kept, so that an interrupted comparison goes on. What the papers report stands beside, on their own patients:
only the differences can be compared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LiverLesionAILib.models.inputs import parse_pyramid
from LiverLesionAILib.models.weights import Manifest, models_folder
from LiverLesionAILib.support.errors import InputError, LiverLesionAIError
from LiverLesionAILib.support.files import replacing, write_text
from LiverLesionAILib.support.progress import Progress, silent

from ..data.cases import LITS_PATIENTS
from ..data.folders import layout_of
from ..data.synthliver import find_synthliver
from .kept import FILE, add_rows_option, needed, read_rows, write_rows
from .segmenter_families import FAMILIES, Variant, trunk_of
from .segmenter_tables import comparison_table, kept_case, slices_table

KIND = "segmenters"


def add_segmenter_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare segmenters`."""
    parser.add_argument(
        "family",
        nargs="?",
        choices=sorted(FAMILIES),
        help="which paper's comparison; data: parts of the training data",
    )
    parser.add_argument(
        "data", type=Path, nargs="?", help="folder of the six labelled LiTS volumes, or of SynthLiver-1"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="runs, tables and kept rows")
    add_rows_option(parser)
    parser.add_argument("--steps", type=int, default=1600, help="training steps of every run (default 1600)")
    parser.add_argument("--seeds", type=int, default=3, help="how many trainings of each variant and fold")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each training")
    parser.add_argument("--device", default="cpu", help="cpu or cuda, of trainings and scoring")
    parser.add_argument(
        "--scans", type=int, metavar="N", help="score only the first N test scans of SynthLiver-1"
    )
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="prepared volumes and variants")
    parser.add_argument(
        "--trunk-steps",
        type=int,
        default=0,
        metavar="N",
        help="first train each network without its attention for N steps; every variant starts from that: "
        "short trainings then differ in the attention, not in luck",
    )
    parser.add_argument(
        "--pyramid",
        metavar="SCALE,...",
        help="scales of inference of all variants, such as 1.0: fast scoring",
    )
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


def trainings(args: argparse.Namespace, variants: Sequence[Variant]) -> list[list[Training]]:
    """Every training that the comparison needs, one folder a run and fold.

    First coarse networks and trunks, which wait for nothing, then what starts from them.
    """
    common = ["--threads", str(args.threads), "--device", args.device, "--cache", str(args.cache)]
    common += ["--bank", str(args.bank)] if args.bank else []
    synth, folds = on_synthliver(args), folds_of(args)
    source = {fold: ("--synthliver", str(args.data)) if synth else ("--hold-out", fold) for fold in folds}

    def training(recipe: str, runs: Path, fold: str, *words: str, config: Sequence[str] = ()) -> Training:
        models = runs / fold
        changes = [word for item in config for word in ("--config", item)]
        where = ["--out", str(models / "run"), "--bundle", str(models)]
        return Training((recipe, *words, *source[fold], *changes, *where, *common), models, recipe)

    first = [training("coarse_unet", args.out / "coarse", fold) for fold in folds if not synth]
    for trunk in {trunk_of(variant): None for variant in variants} if args.trunk_steps else ():
        steps = ("--steps", str(args.trunk_steps))
        first += [
            training(trunk.recipe, trunk_folder(args, trunk), fold, *steps, config=trunk.config)
            for fold in folds
        ]
    # Variants that differ in inference only share a run.
    then: dict[Path, Training] = {}
    for seed in range(args.seeds):
        for variant in variants:
            for fold in folds:
                words = ["--seed", str(seed), "--steps", str(args.steps)]
                if args.trunk_steps:
                    start = trunk_folder(args, trunk_of(variant)) / fold / "run" / "weights.pt"
                    words += ["--start", str(start)]
                words += [word for part in variant.without for word in ("--without", part)]
                words += ["--shares", variant.shares] if variant.shares else []
                runs = args.out / f"{variant.run}-{seed}"
                job = training(variant.recipe, runs, fold, *words, config=variant.config)
                then[job.models] = job
    return [first, list(then.values())]


def trunk_folder(args: argparse.Namespace, trunk: Variant) -> Path:
    """Where the trainings of a trunk are kept."""
    return args.out / f"trunk-{trunk.run}"


def run_training(training: Training) -> None:
    """Train in a process of its own.

    Raises:
        LiverLesionAIError: it failed; the text holds the end of what it said.
    """
    training.models.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "LiverLesionAILib.cli.main", "train", *training.command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-600:]
        raise LiverLesionAIError(f"Training {training.model} into {training.models} failed: {said}")


def score(args: argparse.Namespace, variant: Variant, seed: int) -> Path:
    """Evaluate one variant and seed on scans unseen in training; the path of its `evaluation.json`."""
    from ..evaluation.command import add_evaluate_arguments, run_evaluate
    from ..evaluation.models import method_maker

    pyramid = variant.pyramid or parse_pyramid(args.pyramid)
    name = variant.run if pyramid is None else f"{variant.run}-{'_'.join(map(str, pyramid))}"
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
        chosen += ["--split", "test", "--cases", ",".join(scan.name for scan in scans)]
        chosen += [] if args.family == "mscd" else ["--no-distances"]
        make = method_maker(args.device, None, None, None, pyramid, models=folds / "train")
    else:
        chosen += ["--folds", str(folds)]
        make = method_maker(args.device, None, None, folds, pyramid)
    parser = argparse.ArgumentParser()
    add_evaluate_arguments(parser)
    options = parser.parse_args(chosen)
    options.device = args.device
    run_evaluate(options, method=make, say=lambda _: None)
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
    """Train what is missing, score, print and write the table, and the rows that it is made of.

    Raises:
        LiverLesionAIError: options or data that make no sense, or a training that failed.
    """
    if args.rows is not None:
        say(tables_text(read_rows(args.rows, KIND)))
        return 0
    needed(args, "family", "data", "out")
    family = FAMILIES[args.family]
    names = [name.strip() for name in args.only.split(";") if name.strip()]
    known = [variant.name for variant in family.variants]
    if set(names) - set(known) or min(args.seeds, args.steps, args.jobs) < 1 or args.trunk_steps < 0:
        raise InputError(f"--only takes {'; '.join(known)}; --seeds, --steps and --jobs numbers from 1.")
    parse_pyramid(args.pyramid)
    on_data = any(v.without or v.shares for v in family.variants)
    if on_synthliver(args) and on_data:
        raise InputError(
            f"{args.family}: what the parts of the training data are worth is measured on the real scans; "
            "SynthLiver-1 brings its own."
        )
    if args.trunk_steps and on_data:
        raise InputError(f"{args.family}: --trunk-steps would show every row what it is to go without.")
    variants = [variant for variant in family.variants if not names or variant.name in names]
    missing = [[training for training in part if not training.done] for part in trainings(args, variants)]
    total, trained = sum(map(len, missing)), 0
    for part in missing:
        with ThreadPoolExecutor(args.jobs) as pool:
            for _ in pool.map(train, part):
                trained += 1
                progress(f"trained {trained} of {total}", 0.9 * trained / total)
    results, curves = scored_runs(args, variants, evaluate, progress)
    progress("done", 1.0)
    rows = {
        "family": args.family,
        "steps": args.steps,
        "trunk_steps": args.trunk_steps,
        "scored_on": protocol(args),
        "runs": results,
        "curves": curves,
    }
    text = tables_text(rows)
    say(text)
    write_text(args.out / f"{args.family}.txt", text + "\n")
    write_rows(args.out / FILE, KIND, rows)
    return 0


def scored_runs(
    args: argparse.Namespace,
    variants: Sequence[Variant],
    evaluate: Callable[[argparse.Namespace, Variant, int], Path],
    progress: Progress,
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, list[dict[str, Any]]]]:
    """Variant -> of each seed the cases by name, and -> its free response."""
    results: dict[str, list[dict[str, Any]]] = {}
    curves: dict[str, list[dict[str, Any]]] = {}
    for variant in variants:
        for seed in range(args.seeds):
            progress(f"scoring {variant.name}", 0.9)
            path = evaluate(args, variant, seed)
            (method,) = json.loads(path.read_text(encoding="utf-8"))["methods"].values()
            cases = {case["name"]: kept_case(case) for case in method["cases"]}
            results.setdefault(variant.name, []).append(cases)
            curves.setdefault(variant.name, []).append(method.get("free_response") or {})
    return results, curves


def tables_text(rows: Mapping[str, Any]) -> str:
    """The tables of a run's rows, as they are kept.

    Raises:
        InputError: they are of no family, or the trainings of a variant were scored on different scans.
    """
    family = FAMILIES.get(rows["family"])
    if family is None:
        raise InputError(f"There is no comparison {rows['family']} that these rows could be of.")
    text = comparison_table(
        family,
        rows["runs"],
        steps=rows["steps"],
        curves=rows["curves"],
        scored_on=rows["scored_on"],
        trunk_steps=rows["trunk_steps"],
    )
    return text + "\n\n" + slices_table(family, rows["runs"]) if rows["family"] == "mscd" else text


def protocol(args: argparse.Namespace) -> str:
    """What the networks are trained and scored on, in words."""
    scales = parse_pyramid(args.pyramid)
    at = f" at {', '.join(f'{scale:g}' for scale in scales)} times the size" if scales else ""
    if not on_synthliver(args):
        return f"Real scans, one patient left out{at}"
    count = len(find_synthliver(args.data, "test")[: args.scans])
    return f"SynthLiver-1, trained on its training scans, scored on {count} test scans{at}"
