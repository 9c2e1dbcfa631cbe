"""Calibration of the slice classifier on patients it was not trained on, and what it does there.

    python -m LiverLesionAILab.training.class_calibration RUN --cache DIR [--hold-out DES] [--bundle MODELS]

The layer that tells lesions of no class is fitted on the bodies of the training, to the network as it is.
Synthetic bodies of another seed give the temperature and the threshold under which a lesion is one of the
classes; bodies of a third seed tell what that does. Real livers that the run left out tell how often a liver
without a lesion is called normal. For a network that is told the phase, bodies of a fourth seed give the
weights of its answers beside what is measured (:mod:`.class_weights`), and bodies of a fifth tell what they
do.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from LiverLesionAILib.analysis.class_priors import EVEN
from LiverLesionAILib.analysis.rules import Rules, settings_from
from LiverLesionAILib.models.weights import Manifest, build_network, save_weights
from LiverLesionAILib.networks.dadrn import CLASSES, DadrnConfig
from LiverLesionAILib.stages.classify.differential import DifferentialSettings
from LiverLesionAILib.stages.classify.lesions import (
    NORMAL,
    ClassifySettings,
    named,
    outlier_score,
    probabilities_of,
    unlike_of,
)
from LiverLesionAILib.stages.phase.estimate import PhaseSettings
from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.support.files import write_text
from numpy.typing import NDArray
from torch import nn

from ..data.cases import TrainingCase, data_folder
from .bundling import bundle
from .class_bank import class_bank, real_livers
from .class_heard import Heard, heard
from .class_pool import pool_bodies
from .class_sampling import plain_inputs
from .class_weights import balanced_accuracy, cross_entropy, fit_weights
from .classes import OUTLIER, ClassSettings, ClassSlices
from .classify import LIVERS, bank_settings, phased_bank
from .outlier_layer import with_outlier_layer
from .recipes import Recipe, recipe

VALIDATION_SEED, VALIDATION_BODIES = 1000, 40
TEST_SEED, TEST_BODIES = 2000, 30
"""Bodies that nothing is fitted to."""
LAYER_BODIES = 60
"""Of each of the training's two sets of bodies: thousands of lesions' slices for the layer's 257 numbers."""
POOL_SEED, POOL_BODIES = 3000, 10
POOL_TEST_SEED = 4000
"""Bodies in four phases: for the weights of both voices; half as many tell what they do."""
KEPT_LESIONS = 0.85
"""Share of lesions of the four classes that the threshold lets through."""


@dataclass(frozen=True, eq=False)
class Answers:
    """A network's answers to slices.

    Attributes:
        logits: (n, classes); labels: (n,), OUTLIER for none of the classes.
        groups: (n,) slices of the same lesions have the same number; arterial: (n,) bool.
        unlike: (n,) what the layer for outliers says; None of networks without one.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    arterial: NDArray[np.bool_]
    unlike: NDArray[np.float64] | None = None


def answers(network: torch.nn.Module, sources: Sequence[ClassSlices]) -> Answers:
    """Run a network over slices as an analysis sees them."""
    spec = recipe("dadrn").spec
    logits, labels, groups, arterial, unlike = [], [], [], [], []
    first = 0
    for source in sources:
        told = bool(getattr(network.config, "phases", 0))
        probabilities, features = probabilities_of(network, plain_inputs(source, spec, phases=told))
        unlike.append(unlike_of(network, features))
        logits.append(np.log(np.maximum(probabilities, 1e-12)))
        # What a network has no class for is an outlier to it.
        known = source.labels < probabilities.shape[1]
        labels.append(np.where(known, source.labels, OUTLIER))
        groups.append(source.groups + first)
        arterial.append(np.array([phase == "arterial" for phase in source.phases]))
        first = int(groups[-1].max()) + 1
    said = None if any(one is None for one in unlike) else np.concatenate(unlike)
    return Answers(*(np.concatenate(part) for part in (logits, labels, groups, arterial)), said)


def softmax(logits: NDArray, temperature: float = 1.0) -> NDArray[np.float64]:
    """(n, classes) logits to probabilities."""
    scaled = np.asarray(logits, float) / temperature
    shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def fit_temperature(logits: NDArray, labels: NDArray) -> float:
    """The temperature under which the labels are most probable (Guo et al. 2017), 0.3 to 5."""
    candidates = np.exp(np.linspace(np.log(0.3), np.log(5.0), 113))
    rows = np.arange(len(labels))
    losses = [-np.log(softmax(logits, t)[rows, labels] + 1e-12).mean() for t in candidates]
    return float(candidates[int(np.argmin(losses))])


def lesion_answers(found: Answers, temperature: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean probabilities of the slices of every volume with lesions, and its label."""
    probabilities = softmax(found.logits, temperature)
    means, labels = [], []
    for group in np.unique(found.groups[found.labels > 0]):
        own = found.groups == group
        means.append(probabilities[own].mean(axis=0))
        labels.append(int(found.labels[own][0]))
    return np.array(means), np.array(labels)


def lesion_unlike(found: Answers) -> NDArray[np.float64] | None:
    """What the layer for outliers says of the volumes of :func:`lesion_answers`; None without one."""
    if found.unlike is None:
        return None
    groups = np.unique(found.groups[found.labels > 0])
    return np.array([found.unlike[found.groups == group].mean() for group in groups])


def fit_threshold(
    probabilities: NDArray, labels: NDArray, kept: float = KEPT_LESIONS, unlike: NDArray | None = None
) -> float:
    """Threshold of the outlier score that lets `kept` of the lesions through that are of a class."""
    return float(np.quantile(outlier_score(probabilities, unlike)[labels != OUTLIER], kept))


def named_outliers(
    probabilities: NDArray, labels: NDArray, share: float, unlike: NDArray | None = None
) -> float | None:
    """Share of lesions of no class that are given one by the threshold that names `share` of the others.

    None where the network calls too many of those normal.
    """
    named_at_all = probabilities.argmax(axis=1) != NORMAL
    scores = np.where(named_at_all, outlier_score(probabilities, unlike), np.inf)
    known = np.sort(scores[labels != OUTLIER])
    threshold = known[max(0, int(np.ceil(share * len(known))) - 1)]
    return round(float((scores[labels == OUTLIER] <= threshold).mean()), 4) if threshold < np.inf else None


def report(
    found: Answers, calibration: Mapping[str, float], classes: Sequence[str] = CLASSES
) -> dict[str, object]:
    """What a calibrated classifier of these classes does with slices and lesions."""
    probabilities = softmax(found.logits, calibration["temperature"])
    known = found.labels != OUTLIER
    answered = probabilities.argmax(axis=1)
    figures: dict[str, object] = {}
    for name, chosen in (("all", known), ("arterial", known & found.arterial)):
        if not chosen.any():
            continue
        right = answered[chosen] == found.labels[chosen]
        confidence = probabilities[chosen].max(axis=1)
        edges = np.clip((confidence * 15).astype(int), 0, 14)
        gaps = [
            abs(float(confidence[edges == b].mean() - right[edges == b].mean())) * float((edges == b).mean())
            for b in np.unique(edges)
        ]
        figures[name] = {
            "slices": int(chosen.sum()),
            "accuracy": round(float(right.mean()), 4),
            "calibration_error": round(sum(gaps), 4),
            "by_class": {
                c: round(float(right[found.labels[chosen] == k].mean()), 4)
                for k, c in enumerate(classes)
                if (found.labels[chosen] == k).any()
            },
        }
    settings = settings_from(calibration, ClassifySettings)
    means, labels = lesion_answers(found, calibration["temperature"])
    unlike = lesion_unlike(found)
    said = [None] * len(means) if unlike is None else unlike
    names = [named(p, classes, settings, u)[0] for p, u in zip(means, said, strict=True)]
    inliers = [(n, classes[k]) for n, k in zip(names, labels, strict=True) if k != OUTLIER]
    outliers = [n for n, k in zip(names, labels, strict=True) if k == OUTLIER]
    figures["lesions"] = {
        "of_a_class": len(inliers),
        "named": _share([n in classes for n, _ in inliers]),
        "right_of_named": _share([n == k for n, k in inliers if n in classes]),
        "of_none": len(outliers),
        "indeterminate_of_none": _share([n not in classes for n in outliers]),
        "named_of_none_where_80_percent_are_named": named_outliers(means, labels, 0.8, unlike)
        if inliers and outliers
        else None,
    }
    return figures


def _share(values: Sequence[bool]) -> float | None:
    return round(float(np.mean(values)), 4) if values else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, report, and keep the numbers beside the run and, where asked for, in the manifest."""
    parser = argparse.ArgumentParser(prog="class_calibration", description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="run folder with weights.pt")
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    parser.add_argument("--hold-out", default="DES", help="real livers that the run left out, as letters")
    parser.add_argument(
        "--bundle", type=Path, metavar="DIR", help="models folder that gets the weights and the numbers"
    )
    parser.add_argument("--bodies", type=int, default=VALIDATION_BODIES, metavar="N", help="to calibrate on")
    parser.add_argument("--test-bodies", type=int, default=TEST_BODIES, metavar="N", help="to report on")
    parser.add_argument(
        "--pool-bodies", type=int, default=POOL_BODIES, metavar="N", help="to weigh both voices on"
    )
    parser.add_argument(
        "--layer-bodies", type=int, default=LAYER_BODIES, metavar="N", help="of each set, for the layer"
    )
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args(arguments)
    for name in ("weights.pt", "curve.csv"):
        if not (args.run / name).is_file():
            parser.error(f"{args.run / name} is missing; train the run first.")
    torch.set_num_threads(args.threads)
    chosen = _trained(args.run)
    real, shapes = _real_livers(args, chosen)
    network = _with_layer(args, chosen, shapes)
    classes = tuple(chosen.config.classes)
    settings = ClassSettings(chosen.spec, bodies=args.bodies, seed=VALIDATION_SEED)
    if chosen.config.phases:
        settings = phased_bank(settings)
    make = partial(class_bank, cache=args.cache, shapes=shapes, workers=args.threads)
    found = answers(network, make(settings))
    known = found.labels != OUTLIER
    temperature = fit_temperature(found.logits[known], found.labels[known])
    means, labels = lesion_answers(found, temperature)
    calibration = {
        "temperature": round(temperature, 3),
        "outlier_threshold": round(fit_threshold(means, labels, unlike=lesion_unlike(found)), 3),
    }
    record: dict[str, object] = {"calibration": calibration, "synthetic": report(found, calibration, classes)}
    if args.test_bodies:
        tested = answers(network, make(replace(settings, bodies=args.test_bodies, seed=TEST_SEED)))
        record["other_bodies"] = report(tested, calibration, classes)
    for source in class_bank(ClassSettings(chosen.spec, bodies=0), args.cache, shapes, real=real):
        if len(source.labels):
            record[source.source] = _liver_report(network, source, calibration)
    if chosen.config.phases:
        record["pool"] = _pooled(network, chosen, calibration, args)
    text = json.dumps(record, indent=1)
    write_text(args.run / "calibration.json", text + "\n")
    print(text)
    if args.bundle:
        own = replace(chosen, config=network.config)
        bundle(own, "dadrn", args.run, args.bundle, weights="calibrated.pt")
        manifest = Manifest.read(args.bundle)
        manifest.with_entry(replace(manifest.find("dadrn"), calibration=calibration)).write()
    return 0


def _trained(run: Path) -> Recipe:
    """The recipe of a run: the bundled network's, with the configuration that the run kept."""
    chosen, kept = recipe("dadrn"), run / "run.json"
    if not kept.is_file():
        return chosen
    config = json.loads(kept.read_text(encoding="utf-8"))["config"]
    return replace(chosen, config=DadrnConfig(**config))


def _pooled(
    network: nn.Module, chosen: Recipe, calibration: dict[str, float], args: argparse.Namespace
) -> dict[str, object]:
    """Fit how far the network counts, put that into `calibration`, and tell what it does on other bodies."""
    rules = Rules()
    classify = settings_from(calibration, ClassifySettings)

    def lesions(bodies: int, seed: int) -> list[Heard]:
        made = pool_bodies(bodies, seed, chosen.spec, classify, rules.part(PhaseSettings), args.cache)
        return heard(made, network, classify)

    even = replace(rules.part(DifferentialSettings), priors=EVEN.shares)
    weights = fit_weights(lesions(args.pool_bodies, POOL_SEED), even)
    calibration.update(weights)
    others = lesions(max(1, args.pool_bodies // 2), POOL_TEST_SEED)
    alone = dict.fromkeys((name for name in weights if name.startswith("network")), 0.0)
    voices = {
        "both": replace(even, **weights),
        "measured": replace(even, **weights | alone),
        "measured_unweighted": replace(even, **alone | {"measured_weight": 1.0}),
    }
    return {
        name: {
            "cross_entropy": round(cross_entropy(others, settings), 4),
            "balanced": balanced_accuracy(others, settings),
        }
        for name, settings in voices.items()
    }


def _real_livers(args: argparse.Namespace, chosen: Recipe) -> tuple[list[TrainingCase], Path | None]:
    """The held-out real livers and the bank of real outlines; none without a data folder."""
    try:
        data = data_folder()
        real = real_livers(data, args.cache, chosen.spec)
    except LiverLesionAIError as error:
        print(f"No real livers: {error}", file=sys.stderr)
        return [], None
    held_out = {LIVERS[letter] for letter in args.hold_out}
    return [case for case in real if case.patient in held_out], data / "shapes" / "lesion_masks.npz"


def _with_layer(args: argparse.Namespace, chosen: Recipe, shapes: Path | None) -> nn.Module:
    """The run's network with a layer for outliers; kept as `calibrated.pt`."""
    network = build_network(chosen.network, asdict(chosen.config))
    state = torch.load(args.run / "weights.pt", weights_only=True)
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    learnt_from = [
        source
        for bank in bank_settings(replace(chosen, bodies=args.layer_bodies))
        for source in class_bank(bank, args.cache, shapes, workers=args.threads)
    ]
    network = with_outlier_layer(network.eval(), learnt_from, chosen.spec)
    save_weights(network, args.run / "calibrated.pt")
    return network


def _liver_report(
    network: nn.Module, source: ClassSlices, calibration: Mapping[str, float]
) -> dict[str, object]:
    """What the network says of one real liver, its normal slices apart."""
    one = answers(network, [source])
    normal = one.labels == 0
    said = softmax(one.logits, calibration["temperature"])[normal].argmax(axis=1)
    return {
        "normal_slices": int(normal.sum()),
        "called_normal": round(float((said == 0).mean()), 4),
        **report(one, calibration, tuple(network.config.classes)),  # type: ignore[union-attr, arg-type]
    }


if __name__ == "__main__":
    sys.exit(main())
