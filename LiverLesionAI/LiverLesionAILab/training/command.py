"""`liverlesionai train MODEL`: from the data folder to a run folder with checkpoint, curve and weights."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LiverLesionAILib.models.weights import save_weights
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent

from ..data.cases import TrainingCase
from .bundling import average_weights, bundle, bundle_means
from .calibrate_detector import trained_detector, write_held_out
from .paper_recipes import sized_recipe
from .processes import join, leave
from .recipe_cases import held_out_cases, training_cases
from .recipes import RECIPES, Recipe
from .switches import PARTS, without
from .synthliver_cases import synthliver_cases

if TYPE_CHECKING:
    from torch import nn

    from .classes import ClassSlices


NOT_BESIDE = ("bundle", "plan", "pretrained", "shares", "start", "without")
"""Options that the second look does not have."""

OTHER_DATA = ("classify", "neighbour", "vessels", "trees", "click")
"""Tasks whose networks learn from other samples than a segmenter's volumes."""


def add_train_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `train`."""
    parser.add_argument("model", choices=sorted(RECIPES), help="which recipe to train")
    parser.add_argument(
        "--hold-out", default="", metavar="PATIENTS", help="patients to leave out, as letters: A, BC"
    )
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the network instead of the recipe's, e.g. sat=false; may be given several times",
    )
    parser.add_argument(
        "--validate",
        default="",
        metavar="PATIENTS",
        help="patients to leave out and to stop on: the best averaged weights on them are kept (masks only)",
    )
    parser.add_argument(
        "--patience", type=int, default=10, help="with --validate: stop after so many worse ones (default 10)"
    )
    parser.add_argument("--steps", type=int, help="optimiser steps instead of the recipe's")
    parser.add_argument("--learning-rate", type=float, help="largest one, instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="decides initialisation, samples and synthesis")
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="CPU threads")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument(
        "--out", type=Path, help="run folder (default .train/MODEL-PATIENTS-SEED); resumed if there"
    )
    parser.add_argument(
        "--cache", type=Path, default=Path(".cache"), help="prepared volumes and synthetic variants"
    )
    parser.add_argument(
        "--start", type=Path, metavar="FILE", help="weights.pt of an earlier run to go on from"
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="DIR",
        help="put the trained weights into this models folder and its manifest",
    )
    parser.add_argument(
        "--average",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="with --bundle: bundle the mean of the run's weights and of these (runs that went on from one "
        "another's)",
    )
    _add_size_arguments(parser)
    _add_data_arguments(parser)


def _add_size_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say which size is trained, and from what."""
    parser.add_argument(
        "--size",
        choices=["compact", "attending", "phased", "paper"],
        default="compact",
        help="compact: as bundled; attending: compact with its attention repaired; phased: dadrn told the "
        "contrast phase, with classes for metastases and benign changes; paper: size, input, optimiser "
        "and schedule of the network's paper",
    )
    parser.add_argument(
        "--pretrained",
        type=Path,
        metavar="FILE",
        help="torchvision's ImageNet weights for the backbone: VGG-16 for cs_att, ResNet-50 for others",
    )
    parser.add_argument(
        "--plan", action="store_true", help="estimate time and memory on GPUs, and train nothing"
    )


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say what is learnt from."""
    parser.add_argument(
        "--synthliver",
        type=Path,
        metavar="DIR",
        help="train on the training scans of the SynthLiver-1 in this folder, and on nothing else (the "
        "second look: on the default line's candidates in them as well; click_unet: on their lesions too)",
    )
    parser.add_argument(
        "--without",
        action="append",
        choices=sorted(PARTS),
        default=[],
        help="ablation: train without this part of the data; may be given several times: "
        + "; ".join(f"{name}: {what}" for name, (what, _) in sorted(PARTS.items())),
    )
    parser.add_argument(
        "--shares", default="", metavar="KIND=SHARE,...", help="ablation: real=1 trains on real lesions only"
    )
    parser.add_argument(
        "--teacher",
        action="append",
        default=[],
        metavar="NAME or DIR",
        help="self-training: a bundled mask network, or a training run's folder, that tells liver from "
        "tumour in the single axial slices; of several the mean",
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="dadrn: learn also lesions whose class a reader named, of what `liverlesionai labels` wrote",
    )
    parser.add_argument("--label-cases", type=Path, metavar="DIR", help="with --labels: their case folders")
    parser.add_argument("--label-cts", type=Path, metavar="DIR", help="with --labels: their CTs")
    parser.add_argument(
        "--bank",
        type=int,
        metavar="N",
        help="synthesise so many variants of a patient and so many bodies instead of the recipe's: enough for"
        " a short run",
    )


def run_train(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Train as asked; prints where the run lies.

    Raises:
        LiverLesionAIError: options that make no sense together, data that is missing, a loss that is not
            finite.
    """
    import torch

    chosen = asked_recipe(args)
    if args.plan:
        from .plan import plan_text

        print(plan_text(args.model, chosen))
        return 0
    torch.set_num_threads(args.threads)
    folder = args.out or _run_folder(args, chosen)
    group = join(args.device)
    if group is not None:
        args.device = group.device
        if group.rank:
            progress = silent
    if chosen.task == "classify":
        from .classify import class_sources, fit_classifier

        sources = class_sources(chosen, args.hold_out, args.cache, args.threads, progress)
        sources += _labelled(args, chosen, progress)
        network = fit_classifier(
            chosen, sources, folder, args.device, progress, start=args.start, pretrained=args.pretrained
        )
        return _finish(args, chosen, network, folder)
    own = {"second look": _train_second_look, "trees": _train_trees, "click": _train_clicks}.get(chosen.task)
    if own is not None:
        return own(args, chosen, folder, progress)
    from .fitting import fit

    cases = _cases(args, chosen, progress)
    seen = [case for case in cases if case.patient not in set(args.validate)]
    watched = [case for case in cases if case.patient in set(args.validate) and case.kind == "real"]
    if args.validate and not watched:
        raise InputError(f"There is no labelled scan of {args.validate} to validate on.")
    network = fit(
        chosen,
        seen,
        folder,
        args.device,
        progress,
        start=args.start,
        watched=watched,
        group=group,
        pretrained=args.pretrained,
    )
    writes = group is None or group.rank == 0
    if writes and chosen.task == "detect" and args.hold_out:
        held_out = held_out_cases(chosen, args.hold_out, args.cache)
        spec = chosen.spec.enlarged(chosen.scales)
        print(write_held_out(trained_detector(chosen.network, spec, network.eval()), held_out, folder))
    leave()
    return _finish(args, chosen, network, folder) if writes else 0


def _labelled(args: argparse.Namespace, chosen: Recipe, progress: Progress) -> list[ClassSlices]:
    if args.labels is None:
        return []
    from .classify import bank_settings
    from .label_slices import label_sources

    settings = bank_settings(chosen)[0]
    sources = label_sources(args.labels, args.label_cases, args.label_cts, settings, print, progress)
    lesions = sum(len(set(source.groups.tolist())) for source in sources)
    print(f"{lesions} lesions of {len(sources)} CTs whose class a reader named")
    return sources


def _train_second_look(args: argparse.Namespace, chosen: Recipe, folder: Path, progress: Progress) -> int:
    from .second_look import fit_second_look, second_look_sources

    data = (chosen, args.hold_out, args.cache, args.synthliver, args.threads, progress)
    network = fit_second_look(chosen, second_look_sources(*data), folder, args.device, progress)
    return _finish(args, chosen, network, folder)


def _train_trees(args: argparse.Namespace, chosen: Recipe, folder: Path, progress: Progress) -> int:
    from LiverLesionAILib.analysis.anatomy import vessel_finder
    from LiverLesionAILib.models.weights import ModelStore

    from .tree_cases import tree_cases
    from .tree_training import fit_trees

    finder = vessel_finder(ModelStore.bundled())
    if finder is None:
        raise InputError("Tubes are named on what the bundled vessel network finds: its weights are missing.")
    cases = tree_cases(args.cache, chosen.anatomy, finder, progress, chosen.passed_over)
    return _finish(args, chosen, fit_trees(chosen, cases, folder, args.device, progress, args.start), folder)


def _train_clicks(args: argparse.Namespace, chosen: Recipe, folder: Path, progress: Progress) -> int:
    from .click_cases import ClickBank, click_crops
    from .click_training import fit_clicks

    bank = ClickBank() if args.bank is None else replace(ClickBank(), variants=args.bank)
    crops = click_crops(bank, args.hold_out, args.cache, args.synthliver, args.threads, progress)
    return _finish(args, chosen, fit_clicks(chosen, crops, folder, args.device, progress, args.start), folder)


def asked_recipe(args: argparse.Namespace) -> Recipe:
    """The model's recipe, changed as the options say.

    Raises:
        InputError: options that do not go together.
    """
    chosen = sized_recipe(args.model, args.size)
    beside = chosen.task == "second look"
    if beside and any(getattr(args, name) for name in NOT_BESIDE):
        options = ", ".join(f"--{name}" for name in NOT_BESIDE)
        raise InputError(f"The second look knows no {options}: no stage of an analysis asks it yet.")
    clicks = chosen.task == "click"
    if (args.without or (args.synthliver and not clicks)) and chosen.task in OTHER_DATA:
        raise InputError(
            "--without and --synthliver are for networks that learn tumours from volumes, not for slice "
            "classifiers or neighbours of the liver."
        )
    if args.synthliver and not (beside or clicks) and (args.without or args.hold_out or args.shares):
        raise InputError("--synthliver brings its own data: leave out --without, --hold-out and --shares.")
    if args.labels is not None and chosen.task != "classify":
        raise InputError("--labels are classes of lesions: only dadrn learns them.")
    if (args.labels, args.label_cases, args.label_cts).count(None) not in (0, 3):
        raise InputError(
            "--labels, --label-cases and --label-cts go together: labels, their masks, their CTs."
        )
    if args.teacher and not chosen.shares.get("slice"):
        raise InputError("--teacher is for networks that learn from single axial slices (sfan_finish).")
    if args.average and not args.bundle:
        raise InputError("--average is for what --bundle puts into a models folder: give both.")
    if args.validate and chosen.task not in ("segment", "locate"):
        raise InputError("--validate is for networks that draw masks; leave it out for this one.")
    loop = replace(chosen.loop, seed=args.seed, patience=args.patience if args.validate else 0)
    if args.steps:
        # A short run would else end before its warm-up does.
        loop = replace(loop, steps=args.steps, warmup=min(loop.warmup, max(1, args.steps // 5)))
    if args.learning_rate is not None:
        if not 0 < args.learning_rate < 1:
            raise InputError(f"--learning-rate {args.learning_rate:g}: give a number between 0 and 1.")
        loop = replace(loop, learning_rate=args.learning_rate)
    chosen = replace(chosen, config=changed_config(chosen.config, args.config), loop=loop)
    if args.synthliver and not (beside or clicks):
        chosen = replace(chosen, shares={"real": 1.0})
    elif args.shares:
        shares = {k: float(v) for k, v in (item.split("=") for item in args.shares.split(","))}
        chosen = replace(chosen, shares=shares)
    chosen = replace(without(chosen, args.without), teachers=tuple(args.teacher))
    return chosen if args.bank is None else smaller_bank(chosen, args.bank)


def _run_folder(args: argparse.Namespace, chosen: Recipe) -> Path:
    sized = args.model if args.size == "compact" else f"{args.model}-{args.size}"
    name = "-".join((sized, *(item.replace("=", "_") for item in args.config)))
    left_out = "".join(f"-no-{part}" for part in chosen.loop.without)
    left_out += "-synthliver" if args.synthliver else ""
    return Path(".train") / f"{name}-{args.hold_out or 'all'}-{args.seed}{left_out}"


def _cases(args: argparse.Namespace, chosen: Recipe, progress: Progress) -> list[TrainingCase]:
    if args.synthliver is None:
        return training_cases(chosen, args.hold_out, args.cache, args.threads, progress)
    spacing, cache = chosen.spec.spacing_zyx_mm, args.cache / "synthliver"
    return synthliver_cases(args.synthliver, "train", cache, spacing, chosen.margin_mm, progress)


def smaller_bank(chosen: Recipe, count: int) -> Recipe:
    """A recipe with `count` synthetic variants a patient and `count` bodies at most.

    Raises:
        InputError: `count` is less than one.
    """
    if count < 1:
        raise InputError(f"--bank {count}: give the number of variants of a patient, from 1.")
    return replace(
        chosen,
        bank=replace(chosen.bank, variants_per_patient=min(count, chosen.bank.variants_per_patient)),
        bodies=min(count, chosen.bodies),
        healthy_variants=min(count, chosen.healthy_variants),
        slice_variants=min(count, chosen.slice_variants),
        arterial=min(count, chosen.arterial),
        gallbladders=chosen.gallbladders and chosen.gallbladders.smaller(count),
        anatomy=min(count, chosen.anatomy),
    )


def changed_config(config: Any, changes: Sequence[str]) -> Any:
    """A network's settings with KEY=VALUE in place of its own, as JSON (`false`, `3`, `[1, 2]`) or a word.

    Raises:
        InputError: the network has no such setting; the text lists those it has.
    """
    values = {}
    for change in changes:
        key, _, text = change.partition("=")
        if key not in asdict(config):
            raise InputError(f"The network has no setting {key!r}; it has {', '.join(asdict(config))}.")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = text
        values[key] = tuple(value) if isinstance(value, list) else value
    return replace(config, **values)


def _finish(args: argparse.Namespace, chosen: Recipe, network: nn.Module, folder: Path) -> int:
    """Keep the weights of a finished run, and put them where they were asked for."""
    digest = save_weights(network, folder / "weights.pt")
    print(f"{folder}: {chosen.loop.steps} steps, weights {digest[:12]}")
    if args.bundle:
        kept = "weights.pt"
        if args.average:
            kept = "averaged.pt"
            average_weights(folder / "weights.pt", args.average, folder / kept)
        entry = bundle(chosen, chosen.bundled_as or args.model, folder, args.bundle, kept)
        means = "".join(f" and {mean.name}" for mean in bundle_means(args.bundle))
        print(f"{entry.name}{means} now in {args.bundle}")
    return 0
