"""The nine networks of the DADRN paper's tables on the classes of SynthLiver-1, trained alike.

    liverlesionai compare classifiers SYNTHLIVER --out DIR [--start FILE] [--size compact|paper]
        [--variants NAME,...] [--seeds 3] [--divisions 1,2] [--steps N] [--batch N] [--device cpu|cuda]

Every variant is trained on the training patients of each of the set's two divisions with every seed, on the
same samples in the same order; the best of its checkpoints is not looked for. The paper does not say what its
networks start from: with `--start` every backbone takes what fits of the same weights, those of a
plain network trained on other livers. Attention and classifier start anew in all of them, also where they
would fit, and so do the parts of the backbone that only SE-ResNet and residual attention have:

    liverlesionai train dadrn --config spatial=false --config channel=false --out trunk

What is reported is the test patients', as means over seeds and divisions, beside the published figures. A run
that is there is kept: the command goes on where it was stopped. All variants are run with one seed before the
next seed is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from LiverLesionAILib.models.weights import save_weights
from LiverLesionAILib.networks.dadrn import CLASSES, SIZES, VARIANTS, Dadrn, variant
from LiverLesionAILib.networks.parts.blocks import parameter_count
from LiverLesionAILib.support.errors import InputError, LiverLesionAIError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import Geometry, resample

from ..data.synthliver import ClassImage, ClassSlice, read_class_slices
from ..evaluation.class_models import Prepared, network_classifier
from ..evaluation.results import write_json
from ..evaluation.slice_classes import evaluate_classes
from ..training.class_sampling import ClassSampler
from ..training.classes import ClassSettings, ClassSlices, slices_of
from ..training.classify import fit_classifier
from ..training.recipes import Recipe, recipe
from .classifier_tables import (
    COLUMNS,
    PUBLISHED,
    confusion_text,
    difference_text,
    paired_text,
    table_text,
)
from .kept import FILE, add_rows_option, needed, read_rows, write_rows

if TYPE_CHECKING:
    from torch import Tensor

KIND = "classifiers"


def set_sources(slices: Sequence[ClassSlice], settings: ClassSettings) -> list[ClassSlices]:
    """Examples of the set as a sampler takes them: in plane on the network's grid, slices as they lie."""
    sources = []
    for one in slices:
        image = one.load()
        source = Geometry.make(image.hu.shape, image.spacing_zyx_mm)
        target = source.with_spacing((image.spacing_zyx_mm[0], *settings.spec.spacing_zyx_mm[1:]))
        hu = resample(image.hu.astype(np.float32), source, target)
        liver = resample((image.labels > 0).astype(np.float32), source, target) > 0.5
        lesion = resample((image.labels == 2).astype(np.float32), source, target) > 0.5
        data = slices_of(hu, liver, lesion, [1], settings)
        sources.append(
            ClassSlices(
                data,
                np.array([one.index]),
                np.array([0]),
                ("arterial",),
                one.name,
                "body",
                one.patient,
            )
        )
    return sources


@dataclass(frozen=True)
class _Kept(ClassSlice):
    """An example whose pixels are read once."""

    def load(self) -> ClassImage:
        if "image" not in self.__dict__:
            object.__setattr__(self, "image", super().load())
        return self.__dict__["image"]


class Division:
    """Slices of one division of the set, read and prepared once for all its runs.

    Attributes:
        test: slices of the test patients; prepared: those of them that are ready, by name.
    """

    def __init__(self, data: Path, number: int, settings: ClassSettings) -> None:
        self.number = number
        self.sources = set_sources(read_class_slices(data, "train", number), settings)
        names = [f.name for f in fields(ClassSlice)]
        self.test = [
            _Kept(**{name: getattr(one, name) for name in names})
            for one in read_class_slices(data, "test", number)
        ]
        self.prepared: dict[str, Prepared] = {}


class Bench:
    """What all variants share with one seed on one division: the training batches, each made once.

    Args:
        chosen: with its seed, batch and number of steps.
    """

    def __init__(self, division: Division, chosen: Recipe) -> None:
        self.division, self.chosen = division, chosen
        self._sampler = ClassSampler(division.sources, chosen.spec, chosen.loop.seed, edge=chosen.crop)
        self._batches: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """A training batch, made once; in the precision that networks are trained in."""
        import torch

        if (first, size) not in self._batches:
            images, labels = self._sampler.batch(first, size)
            self._batches[(first, size)] = images.to(torch.bfloat16), labels
        images, labels = self._batches[(first, size)]
        return images.float(), labels


def run_one(
    folder: Path,
    name: str,
    bench: Callable[[], Bench],
    device: str,
    progress: Progress = silent,
    start: Path | None = None,
) -> dict[str, Any]:
    """Train and test one variant: figures and what it said of every slice, kept in `folder`/result.json."""
    kept = folder / "result.json"
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    shared = bench()
    own = replace(shared.chosen, config=variant(name, shared.chosen.config))
    network = fit_classifier(
        own, [], folder, device, progress, start=start, batches=shared.batch, only="backbone."
    )
    save_weights(network, folder / "weights.pt")
    classify = network_classifier(network, own.spec, prepared=shared.division.prepared)
    found = evaluate_classes(shared.division.test, {name: classify}, n_draws=20)[name]
    scores = found.scores
    figures = {
        "accuracy": scores.accuracy,
        "class mean": float(np.nanmean(scores.accuracy_by_class)),
        "f1": scores.f1,
        "precision": scores.precision,
        "recall": scores.recall,
        **dict(zip(CLASSES, map(float, scores.accuracy_by_class), strict=True)),
        **{f"at {kind}": place.accuracy for kind, place in found.localisation.items()},
        "ece": float(scores.calibration_error or 0.0),
    }
    seed, division = own.loop.seed, shared.division.number
    record: dict[str, Any] = {"variant": name, "seed": seed, "division": division, "figures": figures}
    record["confusion"] = scores.confusion.tolist()
    record["slices"] = {
        "name": list(found.names),
        "patient": list(found.patients),
        "truth": found.truth.tolist(),
        "said": found.probabilities.argmax(axis=1).tolist(),
    }
    write_json(kept, record)
    return record


def add_classifier_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare classifiers`."""
    parser.add_argument("data", type=Path, nargs="?", help="folder of SynthLiver-1, with its part `classes`")
    parser.add_argument("--out", type=Path, help="folder of the runs, of the tables and of the kept rows")
    add_rows_option(parser)
    parser.add_argument("--size", choices=sorted(SIZES), default="compact")
    parser.add_argument("--variants", default=",".join(VARIANTS), metavar="NAME,...")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--divisions", default="1,2")
    parser.add_argument("--steps", type=int, default=1500, help="of every run: the same budget for all")
    parser.add_argument("--batch", type=int, help="slices a step instead of the recipe's")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="FILE",
        help="weights.pt that every backbone starts from:"
        " of `liverlesionai train dadrn --config spatial=false --config channel=false`, on other livers",
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)


def chosen_recipe(args: argparse.Namespace) -> Recipe:
    """The recipe that all variants are trained by, with the size, steps and batch that were asked for."""
    base = recipe("dadrn")
    loop = replace(
        base.loop,
        steps=args.steps,
        batch=args.batch or base.loop.batch,
        warmup=min(base.loop.warmup, args.steps // 10),
    )
    return replace(base, config=SIZES[args.size], loop=loop, shares={"body": 1.0})


def run_compare_classifiers(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Train, test, and write `comparison.txt`, `comparison.json` and the rows that both are made of.

    Raises:
        LiverLesionAIError: options or data that make no sense.
    """
    if args.rows is not None:
        rows = read_rows(args.rows, KIND)
        print(comparison_text(rows["runs"], rows["settings"]))
        return 0
    needed(args, "data", "out")
    import torch

    torch.set_num_threads(args.threads)
    if args.start is not None and not args.start.is_file():
        raise InputError(f"There is no {args.start}; train it first (see --start), or leave --start out.")
    chosen = chosen_recipe(args)
    loop = chosen.loop
    names = args.variants.split(",")
    for name in names:
        if name not in VARIANTS:
            raise LiverLesionAIError(f"There is no variant {name}. Choose among {', '.join(VARIANTS)}.")
    records: dict[str, dict[str, Any]] = {name: {} for name in names}
    settings = {
        "size": args.size,
        "steps": loop.steps,
        "batch": loop.batch,
        "started": args.start is not None,
    }
    text = ""
    divisions: dict[int, Division] = {}
    for seed in range(args.seeds):
        for number in map(int, args.divisions.split(",")):
            run, made = f"division{number}-seed{seed}", []

            def bench(seed: int = seed, number: int = number, made: list[Bench] = made) -> Bench:
                # Only for runs that are not there yet.
                if number not in divisions:
                    divisions[number] = Division(args.data, number, ClassSettings(chosen.spec))
                if not made:
                    made.append(Bench(divisions[number], replace(chosen, loop=replace(loop, seed=seed))))
                return made[0]

            for name in names:
                folder = args.out / f"{name}-{run}"
                record = run_one(folder, name, bench, args.device, progress, args.start)
                records[name][run] = record
                print(f"{folder.name}: accuracy {record['figures']['accuracy']:.3f}", flush=True)
        # After every seed: a comparison that is stopped has its table.
        text = comparison_text(records, settings)
        write_text(args.out / "comparison.txt", text + "\n")
        write_json(args.out / "comparison.json", {"runs": figures_of(records), "published": PUBLISHED})
        write_rows(args.out / FILE, KIND, {"settings": settings, "runs": records})
    print(text)
    return 0


Records = Mapping[str, Mapping[str, Any]]
"""Variant -> run (division and seed) -> what :func:`run_one` keeps."""


def figures_of(records: Records) -> dict[str, dict[str, dict[str, float]]]:
    """The figures alone."""
    return {name: {run: one["figures"] for run, one in runs.items()} for name, runs in records.items()}


def comparison_text(records: Records, settings: Mapping[str, Any]) -> str:
    """All tables: figures, differences, how they came about, confusion matrices.

    Args:
        settings: "size", "steps", "batch", and whether all "started" from one plain network.
    """
    results, steps, batch = figures_of(records), settings["steps"], settings["batch"]
    started = settings["started"]
    start = "backbone of one plain network trained on other livers" if started else "from scratch"
    command = f"liverlesionai compare classifiers SYNTHLIVER --out DIR --steps {steps} --batch {batch}"
    if started:
        command += " --start trunk/weights.pt"
    parts = [
        command,
        table_text({name: list(runs.values()) for name, runs in results.items()}),
        difference_text(results),
        paired_text(records),
        f"Mean (SD) over {len(next(iter(results.values())))} runs (divisions times seeds), test patients of"
        f" SynthLiver-1: simulated lesions, arterial\nslices. Every run: {start},\n{steps} steps of"
        f" {batch} slices of the division's training patients, last weights, averaged.\nPublished: 1091"
        " slices of patients, networks of 50 layers. Another task: compare the"
        ' differences\nwithin a table, not the figures of one with those of the other. "at": localised by'
        " Grad-CAM with the right class.",
    ]
    for name, runs in records.items():
        count = parameter_count(Dadrn(variant(name, SIZES[settings["size"]])))
        matrices = [one["confusion"] for one in runs.values()]
        parts.append(f"{name}, {count / 1e6:.2f} M parameters\n{confusion_text(matrices)}")
    return "\n\n".join(part for part in parts if part)


__all__ = ["COLUMNS", "PUBLISHED", "add_classifier_arguments", "run_compare_classifiers", "table_text"]
