"""The nine networks of the DADRN paper's tables on the classes of SynthLiver-1, trained alike.

    python -m LiverLesionAILib.evaluation.classifier_comparison SYNTHLIVER --out DIR [--size compact|paper]
        [--variants NAME,...] [--seeds 3] [--divisions 1,2] [--steps N] [--device cpu|cuda]

Every variant is trained on the training patients of each of the set's two divisions with every seed, from
scratch, on the same samples in the same order; the best of its checkpoints is not looked for. What is
reported is the test patients', as means over seeds and divisions, beside the published figures. A run that
is there is kept: the command goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..ct import Geometry, resample
from ..errors import LiverLesionAIError
from ..files import write_text
from ..networks.blocks import parameter_count
from ..networks.dadrn import CLASSES, SIZES, VARIANTS, Dadrn, variant
from ..progress import Progress, silent
from ..training.classes import ClassSettings, ClassSlices, slices_of
from ..training.classify import fit_classifier
from ..training.readers.synthliver import ClassSlice, read_class_slices
from ..training.recipes import Recipe, recipe
from ..weights import save_weights
from .class_models import network_classifier
from .results import write_json
from .slice_classes import evaluate_classes

PUBLISHED: dict[str, dict[str, float]] = {
    name: dict(zip(("Normal", "CYST", "FNH", "HCC", "HEM"), by_class, strict=True))
    | dict(zip(("accuracy", "f1", "precision", "recall"), overall, strict=False))
    | dict(zip(("at CYST", "at FNH", "at HCC", "at HEM"), places, strict=False))
    for name, by_class, overall, places in (
        (
            "DRN50",
            (0.9788, 0.9327, 0.7596, 0.8427, 0.5278),
            (0.8083, 0.8197, 0.8294, 0.8207),
            (0.5110, 0.6676, 0.5941, 0.3798),
        ),
        (
            "SEResnet50",
            (0.9334, 0.9327, 0.7788, 0.9116, 0.5917),
            (0.8296, 0.8265, 0.8552, 0.8149),
            (0.1898, 0.0742, 0.7327, 0.2532),
        ),
        (
            "RAResnet50",
            (0.9675, 0.9182, 0.7596, 0.8227, 0.5556),
            (0.8047, 0.8041, 0.8304, 0.7905),
            (0.2628, 0.0742, 0.6931, 0.3292),
        ),
        ("SADR50-A", (0.9577, 0.9096, 0.8132, 0.8816, 0.6625), (0.8449, 0.8372, 0.8463, 0.8346), ()),
        ("SADR50-B", (0.9334, 0.8761, 0.7775, 0.8220, 0.5458), (), ()),
        ("CADR50-A", (0.9675, 0.9551, 0.8530, 0.9016, 0.6181), (0.8591, 0.8263, 0.8506, 0.8149), ()),
        ("CADR50-B", (0.9588, 0.9413, 0.8324, 0.8322, 0.5847), (), ()),
        ("DADR50-A", (0.9690, 0.9451, 0.7802, 0.8024, 0.7069), (0.8407, 0.8213, 0.8446, 0.8111), ()),
        (
            "DADR50-B",
            (0.9804, 0.9551, 0.8159, 0.9116, 0.6819),
            (0.8690, 0.8412, 0.8528, 0.8386),
            (0.5986, 0.6676, 0.7327, 0.5064),
        ),
    )
}
"""The paper's tables, on its own patients: class-wise accuracy, overall figures, localisation ("at")."""

OVERALL = ("accuracy", "f1", "precision", "recall")
COLUMNS = (*OVERALL, *CLASSES, *(f"at {name}" for name in CLASSES[1:]), "ece")


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


def run_one(
    folder: Path,
    data: Path,
    name: str,
    seed: int,
    division: int,
    chosen: Recipe,
    device: str,
    progress: Progress = silent,
) -> dict[str, float]:
    """Train and test one variant with one seed on one division; its figures, kept in `folder`/result.json."""
    kept = folder / "result.json"
    if kept.is_file():
        return json.loads(kept.read_text())["figures"]
    own = replace(chosen, config=variant(name, chosen.config), loop=replace(chosen.loop, seed=seed))
    sources = set_sources(read_class_slices(data, "train", division), ClassSettings(chosen.spec))
    network = fit_classifier(own, sources, folder, device, progress)
    save_weights(network, folder / "weights.pt")
    found = evaluate_classes(
        read_class_slices(data, "test", division),
        {name: network_classifier(network, chosen.spec)},
        n_draws=200,
    )[name]
    scores = found.scores
    figures = {
        "accuracy": scores.accuracy,
        "f1": scores.f1,
        "precision": scores.precision,
        "recall": scores.recall,
        **dict(zip(CLASSES, map(float, scores.accuracy_by_class), strict=True)),
        **{f"at {kind}": place.accuracy for kind, place in found.localisation.items()},
        "ece": float(scores.calibration_error or 0.0),
    }
    record: dict[str, Any] = {"variant": name, "seed": seed, "division": division, "figures": figures}
    record["confusion"] = scores.confusion.tolist()
    write_json(kept, record)
    return figures


def table_text(results: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Mean (and SD over runs) of every variant, with the published figure in the line below."""
    lines = ["variant      " + "".join(f"{c:>14}" for c in COLUMNS)]
    for name, runs in results.items():
        cells = []
        for column in COLUMNS:
            values = np.array([run[column] for run in runs if column in run], float)
            cells.append(f"{values.mean():.3f} ({values.std():.3f})" if len(values) else "-")
        lines.append(f"{name:<13}" + "".join(f"{cell:>14}" for cell in cells))
        known = PUBLISHED.get(name, {})
        cells = [f"{known[column]:.3f}" if column in known else "" for column in COLUMNS]
        lines.append(f"{'  published':<13}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def confusion_text(runs: Sequence[Path]) -> str:
    """Confusion matrix summed over runs, rows the true class in per cent."""
    matrices = [json.loads((run / "result.json").read_text())["confusion"] for run in runs]
    total = np.sum(matrices, axis=0)
    shares = 100 * total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    lines = ["true \\ said  " + "".join(f"{name:>8}" for name in CLASSES)]
    lines += [
        f"{name:<13}" + "".join(f"{v:8.1f}" for v in row) for name, row in zip(CLASSES, shares, strict=True)
    ]
    return "\n".join(lines)


def add_classifier_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare classifiers`."""
    parser.add_argument("data", type=Path, help="folder of SynthLiver-1, with its part `classes`")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and of the tables")
    parser.add_argument("--size", choices=sorted(SIZES), default="compact")
    parser.add_argument("--variants", default=",".join(VARIANTS), metavar="NAME,...")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--divisions", default="1,2")
    parser.add_argument("--steps", type=int, default=1500, help="of every run: the same budget for all")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)


def run_compare_classifiers(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Train, test, and write `comparison.txt` and `comparison.json`.

    Raises:
        LiverLesionAIError: options or data that make no sense.
    """
    import torch

    torch.set_num_threads(args.threads)
    base = recipe("dadrn")
    chosen = replace(
        base, config=SIZES[args.size], loop=replace(base.loop, steps=args.steps), shares={"body": 1.0}
    )
    results: dict[str, list[dict[str, float]]] = {}
    folders: dict[str, list[Path]] = {}
    for name in args.variants.split(","):
        if name not in VARIANTS:
            raise LiverLesionAIError(f"There is no variant {name}. Choose among {', '.join(VARIANTS)}.")
        for division in map(int, args.divisions.split(",")):
            for seed in range(args.seeds):
                folder = args.out / f"{name}-division{division}-seed{seed}"
                figures = run_one(folder, args.data, name, seed, division, chosen, args.device, progress)
                results.setdefault(name, []).append(figures)
                folders.setdefault(name, []).append(folder)
                print(f"{folder.name}: accuracy {figures['accuracy']:.3f}", flush=True)
    text = table_text(results)
    for name, runs in folders.items():
        count = parameter_count(Dadrn(variant(name, chosen.config)))
        text += f"\n\n{name}, {count / 1e6:.2f} M parameters\n{confusion_text(runs)}"
    write_text(args.out / "comparison.txt", text + "\n")
    write_json(args.out / "comparison.json", {"runs": results, "published": PUBLISHED})
    print(text)
    return 0
