"""`liverlesionai train MODEL`: from the data folder to a run folder with checkpoint, curve and weights."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LiverLesionAILib.models.weights import MEAN, Manifest, ModelEntry, save_weights
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import replacing, sha256_of
from LiverLesionAILib.support.progress import Progress, silent

from ..data.cases import LITS_PATIENTS, TrainingCase, crop_to_liver, data_folder, lits_cases
from .bank import BankSettings, build_bank, load_mapped
from .bodies import background_cases, body_cases
from .calibrate_detector import trained_detector, write_held_out
from .detection import DetectionSampler, detection_loss
from .healthy import healthy_cases
from .loop import segmentation_loss, take_weights, train
from .processes import Group, join, leave
from .recipes import MEANS, RECIPES, Recipe, recipe
from .sampling import AugmentSettings, CropSampler
from .slabs import SlabSampler
from .switches import PARTS, without
from .synthliver_cases import synthliver_cases

if TYPE_CHECKING:
    from torch import Tensor, nn

VALIDATION_SEED = 20_000
"""Which crops of the validation patients are looked at: always the same, and none of a training run's."""


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
        "--synthliver",
        type=Path,
        metavar="DIR",
        help="train on the training scans of the SynthLiver-1 in this folder, and on nothing else",
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
        "--bank",
        type=int,
        metavar="N",
        help="synthesise so many variants of a patient and so many bodies instead of the recipe's: enough for"
        " a short run",
    )


def bundle(chosen: Recipe, name: str, run: Path, folder: Path, weights: str = "weights.pt") -> ModelEntry:
    """Put a finished run's weights and curve into a models folder and its manifest; calibration and scales
    are kept where the input stays the same.

    Args:
        name: of the model in the manifest.
        run: folder of the run, with `weights` and `curve.csv`.
        folder: models folder; made where it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest.read(folder) if (folder / "manifest.json").is_file() else Manifest(folder, ())
    # What was calibrated for another input says nothing about this one.
    old = next((e for e in manifest.entries if e.name == name and e.input == chosen.spec), None)
    kept = folder / f"{name}_compact.pt"
    for source, target in ((run / weights, kept), (run / "curve.csv", folder / f"{name}_curve.csv")):
        with replacing(target) as beside:
            shutil.copyfile(source, beside)
    entry = ModelEntry(
        name=name,
        task=chosen.task,
        network=chosen.network,
        config=json.loads(json.dumps(asdict(chosen.config))),
        input=chosen.spec,
        file=kept.name,
        sha256=sha256_of(kept),
        calibration=old.calibration if old else chosen.calibration,
        card=f"{name}.md",
        title=chosen.title,
        scales=old.scales if old else chosen.scales,
    )
    manifest.with_entry(entry).write()
    return entry


def bundle_means(folder: Path) -> list[ModelEntry]:
    """Put every mean whose members are in the manifest of `folder` there, last; returns them."""
    manifest = Manifest.read(folder)
    names = {entry.name for entry in manifest.entries}
    added = []
    for name, mean in MEANS.items():
        if not names.issuperset(mean.members):
            continue
        entry = replace(
            manifest.find(mean.members[0]),
            name=name,
            network=MEAN,
            config={"members": list(mean.members)},
            file="",
            sha256="",
            calibration=mean.calibration,
            scales={},
            card=f"{mean.members[-1]}.md",
            title=mean.title,
        )
        manifest = manifest.with_entry(entry)
        added.append(entry)
    if added:
        manifest.write()
    return added


def training_cases(
    chosen: Recipe, hold_out: str, cache: Path, workers: int, progress: Progress = silent
) -> list[TrainingCase]:
    """Real cases, their variants and synthetic bodies for a recipe, without the held-out patients."""
    unknown = set(hold_out) - set(LITS_PATIENTS.values())
    if unknown:
        raise InputError(f"There is no patient {', '.join(sorted(unknown))}; patients are A to E.")
    data = data_folder()
    whole = lits_cases(data, cache / "cases", chosen.spec.spacing_zyx_mm)
    real = [crop_to_liver(c, chosen.margin_mm) if chosen.margin_mm is not None else c for c in whole]
    grid = "x".join(f"{s:g}" for s in chosen.spec.spacing_zyx_mm)
    margin = "whole" if chosen.margin_mm is None else f"m{chosen.margin_mm:g}"
    cases = list(real)
    shapes: Path | None = data / "shapes" / "lesion_masks.npz"
    if not shapes.is_file():
        shapes = None
    if chosen.shares.get("variant", 0):
        folder = cache / f"bank-{grid}-{margin}-{chosen.bank.key()}"
        variants = build_bank(
            real,
            folder,
            chosen.bank,
            shapes=shapes,
            workers=workers,
            progress=progress,
        )
        cases += [load_mapped(variant) for variant in variants]
    if chosen.shares.get("body", 0):
        cases += body_cases(
            chosen.spec.spacing_zyx_mm,
            chosen.margin_mm,
            chosen.bodies,
            cache,
            shapes,
            seed=chosen.bank.seed,
            mix=chosen.body_mix,
            workers=workers,
            progress=progress,
        )
    if chosen.shares.get("background", 0):
        cases += background_cases(data, chosen.spec.spacing_zyx_mm)
    if chosen.shares.get("healthy", 0):
        healthy = healthy_cases(data, chosen.spec.spacing_zyx_mm)
        healthy = [crop_to_liver(case, chosen.margin_mm or 45.0) for case in healthy]
        cases += healthy
        if chosen.healthy_variants and healthy:
            # Half of them without a lesion: what these livers teach first is that they are free.
            settings = replace(
                chosen.bank, variants_per_patient=chosen.healthy_variants, lesion_free_share=0.5
            )
            variants = build_bank(
                healthy,
                cache / f"healthy-{grid}-{margin}-{settings.key()}",
                settings,
                shapes=shapes,
                workers=workers,
                progress=progress,
            )
            cases += [load_mapped(variant) for variant in variants]
    return [case for case in cases if case.patient not in set(hold_out)]


def run_train(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Train as asked; prints where the run lies."""
    import torch

    torch.set_num_threads(args.threads)
    chosen = recipe(args.model)
    if args.steps:
        # A short run would else end before its warm-up does.
        warmup = min(chosen.loop.warmup, max(1, args.steps // 5))
        chosen = replace(chosen, loop=replace(chosen.loop, steps=args.steps, warmup=warmup))
    if args.shares:
        shares = {k: float(v) for k, v in (item.split("=") for item in args.shares.split(","))}
        chosen = replace(chosen, shares=shares)
    if (args.without or args.synthliver) and chosen.task == "classify":
        raise InputError(
            "--without and --synthliver are for networks that learn from volumes, not for slice classifiers."
        )
    if args.synthliver and (args.without or args.hold_out or args.shares):
        raise InputError("--synthliver brings its own data: leave out --without, --hold-out and --shares.")
    chosen = without(chosen, args.without)
    if args.bank is not None:
        chosen = smaller_bank(chosen, args.bank)
    chosen = replace(
        chosen,
        config=changed_config(chosen.config, args.config),
        loop=replace(chosen.loop, seed=args.seed, patience=args.patience if args.validate else 0),
    )
    name = "-".join((args.model, *(item.replace("=", "_") for item in args.config)))
    left_out = "".join(f"-no-{part}" for part in chosen.loop.without)
    left_out += "-synthliver" if args.synthliver else ""
    folder = args.out or Path(".train") / f"{name}-{args.hold_out or 'all'}-{args.seed}{left_out}"
    group = join(args.device)
    if group is not None:
        args.device = group.device
        if group.rank:
            progress = silent
    if chosen.task == "classify":
        from .classify import class_sources, fit_classifier

        sources = class_sources(chosen, args.hold_out, args.cache, args.threads, progress)
        network = fit_classifier(chosen, sources, folder, args.device, progress, start=args.start)
        return _finish(args, chosen, network, folder)
    if args.validate and chosen.task not in ("segment", "locate"):
        raise InputError("--validate is for networks that draw masks; leave it out for this one.")
    if args.synthliver is not None:
        chosen = replace(chosen, shares={"real": 1.0})
        spec, margin = chosen.spec, chosen.margin_mm
        cases = synthliver_cases(
            args.synthliver, "train", args.cache / "synthliver", spec.spacing_zyx_mm, margin, progress
        )
    else:
        cases = training_cases(chosen, args.hold_out, args.cache, args.threads, progress)
    seen = [case for case in cases if case.patient not in set(args.validate)]
    watched = [case for case in cases if case.patient in set(args.validate) and case.kind == "real"]
    if args.validate and not watched:
        raise InputError(f"There is no labelled scan of {args.validate} to validate on.")
    network = fit(chosen, seen, folder, args.device, progress, start=args.start, watched=watched, group=group)
    writes = group is None or group.rank == 0
    if writes and chosen.task == "detect" and args.hold_out:
        held_out = held_out_cases(chosen, args.hold_out, args.cache)
        spec = chosen.spec.enlarged(chosen.scales)
        print(write_held_out(trained_detector(chosen.network, spec, network.eval()), held_out, folder))
    leave()
    return _finish(args, chosen, network, folder) if writes else 0


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
    )


def held_out_cases(chosen: Recipe, hold_out: str, cache: Path) -> list[TrainingCase]:
    """The labelled scans that a run has left out."""
    names = tuple(name for name, patient in LITS_PATIENTS.items() if patient in hold_out)
    cases = lits_cases(data_folder(), cache / "cases", chosen.spec.spacing_zyx_mm, names)
    return [crop_to_liver(c, chosen.margin_mm) if chosen.margin_mm is not None else c for c in cases]


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
        entry = bundle(chosen, chosen.bundled_as or args.model, folder, args.bundle)
        means = "".join(f" and {mean.name}" for mean in bundle_means(args.bundle))
        print(f"{entry.name}{means} now in {args.bundle}")
    return 0


def fit(
    chosen: Recipe,
    cases: Sequence[TrainingCase],
    folder: Path,
    device: str,
    progress: Progress,
    start: Path | None = None,
    watched: Sequence[TrainingCase] = (),
    group: Group | None = None,
) -> nn.Module:
    """Train `chosen` on `cases`; the run's settings are kept in `run.json`.

    Args:
        start: weights to go on from.
        watched: scans to validate on, not among `cases`; the best validation's weights are returned.
        group: the processes under `torchrun`.
    """
    import torch
    from LiverLesionAILib.models.weights import build_network

    torch.manual_seed(chosen.loop.seed)
    network = build_network(chosen.network, asdict(chosen.config))
    if start is not None:
        for name in take_weights(network, torch.load(start, weights_only=True)):
            print(f"{start.name} has no {name} of this shape: it starts anew")
    if chosen.task == "locate":
        cases = [_liver_only(case) for case in cases]
    make_sampler, own_loss = learnt_from(chosen, network)
    sampler = make_sampler(
        list(cases),
        chosen.shares,
        chosen.spec,
        chosen.crop,
        chosen.loop.seed,
        chosen.augment,
        chosen.tumour_share,
        chosen.liver_share,
    )
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {kind: sum(c.kind == kind for c in cases) for kind in chosen.shares}
    (folder / "run.json").write_text(json.dumps({**asdict(chosen), "cases": kinds}, indent=1))
    return train(
        network,
        sampler.batch,
        chosen.loop,
        folder,
        device=device,
        batch_loss=partial(own_loss, network) if own_loss is not None else None,
        validate=validation(chosen, watched, device) if watched else None,
        group=group,
        progress=progress,
    )


def learnt_from(
    chosen: Recipe, network: nn.Module
) -> tuple[Callable[..., CropSampler], Callable[[nn.Module, Tensor, Tensor, int], Tensor] | None]:
    """What makes a recipe's samples, and the loss of (network, images, labels, step) where the network has
    one of its own: what a detector learns from depends on the truth."""
    if chosen.slab_targets:
        bag = {"bag": chosen.config.bag, "bag_step": chosen.config.bag_step}
        make = partial(SlabSampler, targets=chosen.slab_targets, **bag)
        return make, lambda net, images, labels, step: net.training_loss(images, labels, step)
    if hasattr(network, "losses"):
        seed = chosen.loop.seed
        return DetectionSampler, lambda net, *batch: detection_loss(net, seed, *batch)
    return CropSampler, None


def validation(
    chosen: Recipe, watched: Sequence[TrainingCase], device: str, batches: int = 8
) -> Callable[[nn.Module], float]:
    """The loss on fixed crops of scans that training does not see, without augmentation."""
    import torch
    from LiverLesionAILib.models.weights import build_network

    if chosen.task == "locate":
        watched = [_liver_only(case) for case in watched]
    make_sampler, own_loss = learnt_from(chosen, build_network(chosen.network, asdict(chosen.config)))
    sampler = make_sampler(
        list(watched),
        {"real": 1.0},
        chosen.spec,
        chosen.crop,
        VALIDATION_SEED,
        AugmentSettings(0.0, 0.0, 0.0, 0.0, 0.0, chosen.augment.pivot_hu, 0.0, 0.0, 0.0, 0.0),
        chosen.tumour_share,
        chosen.liver_share,
    )
    fixed = [sampler.batch(number * chosen.loop.batch, chosen.loop.batch) for number in range(batches)]

    def loss(network: nn.Module) -> float:
        total = 0.0
        with torch.inference_mode(), torch.autocast(torch.device(device).type, torch.bfloat16):
            for number, (images, labels) in enumerate(fixed):
                images = images.to(device, memory_format=torch.channels_last)
                labels = labels.to(device)
                if own_loss is not None:
                    total += float(own_loss(network, images, labels, number))
                else:
                    total += float(segmentation_loss(network(images).logits, labels, chosen.loop))
        return total / len(fixed)

    return loss


def _liver_only(case: TrainingCase) -> TrainingCase:
    labels = case.labels_zyx.copy()
    labels[labels == 2] = 1
    return replace(case, labels_zyx=labels)


__all__ = ["BankSettings", "add_train_arguments", "fit", "run_train", "training_cases"]
