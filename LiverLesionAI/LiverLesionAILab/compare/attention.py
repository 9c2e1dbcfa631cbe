"""`liverlesionai compare attention DATA --model NAME`: a network with each attention replaced, by its metric.

What `info --attention` tells is how far answers change; this tells whether they get worse. Nothing is
trained: an attention is switched off, averaged, or fed with what another place or slice has
(:mod:`..networks.health`), on slices also averaged over all scans or fed with what another scan has
(:mod:`.other_scans`), on all levels at once, and the network is judged as it is published: tumour Dice
per case of mask networks (masks alone), lesions found at one false box a scan, mean of the class-wise
accuracies of slices. `--slices` judges masks and boxes on some slices with lesions of each scan, which takes
a tenth of the time; boxes then as DeepLesion counts them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import NDArray

from ..data.folders import find_scans, layout_of
from ..data.scan import Scan
from ..data.synthliver import find_synthliver
from ..evaluation.command import evaluate
from ..evaluation.results import plain, write_json
from ..evaluation.sources import method_source
from ..metrics.bootstrap import Interval, bootstrap, compare_paired
from ..synthesis.synthliver.plan import SPLITS
from .attention_kept import (
    AS_IT_IS,
    BOX_RATE,
    KIND,
    attention_table,
    class_mean,
    kept_boxes,
    kept_classes,
    kept_text,
)
from .attention_variants import Variant, variants_of
from .kept import add_rows_option, needed
from .other_scans import OtherScans

if TYPE_CHECKING:
    from LiverLesionAILib.case.findings import CaseResult
    from LiverLesionAILib.models.weights import ModelEntry, ModelStore
    from LiverLesionAILib.volume.ct import CtVolume
    from torch import nn

    from .asked_slices import AskedScan

METRICS = {
    "segment": "tumour Dice per case",
    "detect": f"lesions found at {BOX_RATE:g} false box a scan",
    "classify": "mean of the class-wise accuracies of slices",
}

BY_SLICES = {
    "segment": METRICS["segment"],
    "detect": f"cross-sections of lesions found at {BOX_RATE:g} false box a slice, IoU > 0.5",
}
"""The same where some slices stand for a scan."""


@dataclass(frozen=True)
class Replaced:
    """One row: the network with an attention replaced.

    Attributes:
        attention: which one, "" for the network as it is; how: "off", "averaged", "elsewhere", or of
            :data:`.other_scans.FROM_SCANS`.
        value: the metric.
        difference: to the network as it is, paired over patients; None in its own row.
        note: what else the task tells: lesions found and false ones.
        cases: the metric of each case, where it is a mean over cases.
        kept: what else it can be computed again from: :mod:`.attention_kept`.
    """

    attention: str
    how: str
    value: float
    difference: Interval | None
    note: str = ""
    cases: Mapping[str, float] = field(default_factory=dict)
    kept: Sequence[Any] = ()


def add_attention_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `compare attention`."""
    parser.add_argument(
        "data", type=Path, nargs="?", help="a SynthLiver-1, or a folder of labelled CTs for masks and boxes"
    )
    add_rows_option(parser)
    parser.add_argument("--model", default="mscd", help="which network (default mscd)")
    parser.add_argument(
        "--models", type=Path, metavar="DIR", help="folder of the models; default the bundled ones"
    )
    parser.add_argument("--split", choices=SPLITS, default="validation", help="of SynthLiver-1")
    parser.add_argument("--limit", type=int, default=0, help="only the first so many scans (or slices)")
    parser.add_argument(
        "--slices",
        type=int,
        default=0,
        metavar="N",
        help="masks and boxes: N slices with lesions of each scan, in place of whole scans",
    )
    parser.add_argument("--out", type=Path, default=Path("attention"), help="folder for table and JSON")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")


def run_attention_comparison(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Print and write the table.

    Raises:
        LiverLesionAIError: no such model, a model without attention, or scans that are missing or damaged.
    """
    if args.rows is not None:
        print(kept_text(args.rows))
        return 0
    needed(args, "data")
    from LiverLesionAILib.models.weights import ModelStore

    store = ModelStore.bundled(args.models)
    entry = store.manifest.find(args.model)
    if entry.task not in METRICS:
        raise InputError(
            f"{entry.name} finds neither lesions nor their class: there is nothing to judge it by."
        )
    metric = METRICS[entry.task]
    if args.slices < 0 or (args.slices and entry.task not in BY_SLICES):
        raise InputError("--slices takes a number of slices from 1 on, and is for masks and boxes.")
    if args.slices:
        metric = f"{BY_SLICES[entry.task]}, {args.slices} slices with lesions of each scan"
    rows = JUDGES[entry.task](store, entry, args, progress)
    text = f"{entry.name}, {metric}\n\n{attention_table(rows)}"
    print(text)
    write_text(args.out / "attention.txt", text + "\n")
    known = {"kind": KIND, "model": entry.name, "sha256": entry.sha256, "metric": metric}
    write_json(args.out / "attention.json", {**known, "rows": plain(rows)})
    return 0


def _scans(args: argparse.Namespace) -> list[Scan]:
    layout = layout_of(args.data)
    known = (
        find_synthliver(args.data, args.split) if layout == "synthliver" else find_scans(args.data, layout)
    )
    return known[: args.limit or None]


def judge_masks(
    store: ModelStore, entry: ModelEntry, args: argparse.Namespace, progress: Progress
) -> list[Replaced]:
    """Tumour Dice of the line's masks alone, or of single slices."""
    if args.slices:
        return judge_slices(store, entry, args, progress)
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.analysis.settings import Settings
    from LiverLesionAILib.models.device import choose_device
    from LiverLesionAILib.volume.checking import check_ct

    settings = Settings(segmenter=entry.name, detector="none", classifier=None, device="cpu", attention=False)
    chosen = choose_device("cpu", settings.precision)
    # The store keeps it: the line asks the network whose attentions are replaced.
    variants = variants_of(store.network(entry.name, chosen.name, chosen.precision), entry.name)

    def method(_scan: Scan, ct: CtVolume) -> CaseResult:
        return analyze(check_ct(ct), settings, store)

    sources = {variant.name: method_source(variant.of(method)) for variant in variants}
    found = evaluate(_scans(args), sources, distances=False, pictures=False, progress=progress)
    rows = []
    for variant in variants:
        cases = found[variant.name]
        values, before = ({c.name: c.tumour.dice for c in of} for of in (cases, found[AS_IT_IS]))
        patients = {case.name: case.patient for case in cases}
        lesions = [case.lesions for case in cases]
        note = (
            f"{sum(one.n_found for one in lesions)} of {sum(one.n_lesions for one in lesions)} found, "
            f"{sum(one.n_false for one in lesions)} false"
        )
        rows.append(_paired_row(variant, before, values, patients, args.seed, note))
    return rows


def _paired_row(
    variant: Variant,
    before: Mapping[str, float],
    values: Mapping[str, float],
    patients: Mapping[str, str],
    seed: int,
    note: str,
) -> Replaced:
    """A row of the cases' values against those of the network as it is."""
    paired = compare_paired(before, values, patients, seed=seed)
    change = paired.difference if variant.mechanisms else None
    return Replaced(variant.attention, variant.how, paired.b, change, note, dict(values))


def judge_slices(
    store: ModelStore, entry: ModelEntry, args: argparse.Namespace, progress: Progress
) -> list[Replaced]:
    """Tumour Dice of the network alone on `args.slices` slices of each scan, pooled by scan.

    The slices are spread evenly over those that show a lesion; the box is the true liver's, and what lies
    outside the true liver does not count. Every variant sees the same slices, at the first of the scales that
    the line sees lesions at.

    Raises:
        InputError: no scan has a lesion, or one is missing or damaged.
    """
    from LiverLesionAILib.volume.overlap import dice

    from .asked_slices import asked_scans, tumour_in

    network = store.network(entry.name, "cpu", "float32")
    least = max(1, round(255 * float(entry.calibration["tumour_threshold"])))
    scans = _scans(args)

    def asks(one: AskedScan) -> Callable[[], Any]:
        return tumour_in(network, entry, one.hu_zyx, one.slices)

    others = _noted(network, asked_scans(scans, entry, args.slices), asks, len(scans), progress)
    variants = variants_of(network, entry.name, others)
    found: dict[str, dict[str, float]] = {variant.name: {} for variant in variants}
    patients, shown = {}, 0
    for k, one in enumerate(asked_scans(scans, entry, args.slices)):
        patients[one.scan.name], shown = one.scan.patient, shown + len(one.slices)
        ask = asks(one)
        truth, liver = one.tumour_zyx[one.slices], one.liver_zyx[one.slices]
        for v, variant in enumerate(variants):
            progress(f"slices of {one.scan.name}: {variant.name}", (k + v / len(variants)) / len(scans))
            found[variant.name][one.scan.name] = dice(
                truth, (variant.of(ask, others, one.scan.name)() >= least) & liver
            )
    if not patients:
        raise InputError("None of these scans has a lesion.")
    return [
        _paired_row(variant, found[AS_IT_IS], found[variant.name], patients, args.seed, f"{shown} slices")
        for variant in variants
    ]


def _noted(
    network: nn.Module,
    scans: Iterator[AskedScan],
    asks: Callable[[AskedScan], Callable[[], Any]],
    count: int,
    progress: Progress,
) -> OtherScans:
    """What the attentions make of every scan, before any of it is given to another."""
    from LiverLesionAILib.networks.mechanisms import mechanisms_of

    others = OtherScans(mechanisms_of(network))
    for k, one in enumerate(scans):
        progress(f"slices of {one.scan.name}: what other scans are given", k / count)
        ask = asks(one)
        with others.noting(one.scan.name):
            ask()
    return others


def judge_box_slices(
    store: ModelStore, entry: ModelEntry, args: argparse.Namespace, progress: Progress
) -> list[Replaced]:
    """Cross-sections of lesions that boxes find on some slices, as DeepLesion counts; raises as above."""
    from .asked_slices import asked_scans, boxes_in

    network = store.network(entry.name, "cpu", "float32")
    scans = _scans(args)

    def asks(one: AskedScan) -> Callable[[], Any]:
        return boxes_in(network, entry, one)

    others = _noted(network, asked_scans(scans, entry, args.slices), asks, len(scans), progress)
    variants = variants_of(network, entry.name, others)
    kept: dict[str, list[Any]] = {variant.name: [] for variant in variants}
    for k, one in enumerate(asked_scans(scans, entry, args.slices)):
        ask = asks(one)
        for v, variant in enumerate(variants):
            progress(f"boxes of {one.scan.name}: {variant.name}", (k + v / len(variants)) / len(scans))
            kept[variant.name] += variant.of(ask, others, one.scan.name)()
    if not kept[AS_IT_IS]:
        raise InputError("None of these scans has a lesion.")
    note = f"{sum(len(i.found_scores) for i in kept[AS_IT_IS])} lesions on {len(kept[AS_IT_IS])} slices"
    return [_boxes_row(v, kept[v.name], kept[AS_IT_IS], args.seed, note) for v in variants]


def _boxes_row(
    variant: Variant,
    own: Sequence[Any],
    before: Sequence[Any],
    seed: int,
    note: str = "",
) -> Replaced:
    """A row of what boxes find at :data:`BOX_RATE`, against the network as it is; patients are drawn."""
    from ..evaluation.scan_boxes import boxes_curve

    def gain(drawn: NDArray[np.int64]) -> float:
        one, other = (boxes_curve([of[i] for i in drawn]) for of in (own, before))
        return one.at(BOX_RATE) - other.at(BOX_RATE)

    change = bootstrap(gain, [one.patient for one in own], seed=seed) if variant.mechanisms else None
    value = boxes_curve(own).at(BOX_RATE)
    return Replaced(variant.attention, variant.how, value, change, note, kept=kept_boxes(own))


def judge_boxes(
    store: ModelStore, entry: ModelEntry, args: argparse.Namespace, progress: Progress
) -> list[Replaced]:
    """Lesions that a detector's boxes find inside the true liver, or their cross-sections on some slices."""
    if args.slices:
        return judge_box_slices(store, entry, args, progress)
    from LiverLesionAILib.analysis.rules import settings_from
    from LiverLesionAILib.stages.detect.link import LinkSettings
    from LiverLesionAILib.stages.faces import family_of

    from ..evaluation.scan_boxes import scan_case, scored
    from ..training.calibrate_detector import held_out_scan

    network = store.network(entry.name, "cpu", "float32")
    detector = family_of(entry).load()(entry, network)
    links = settings_from(entry.calibration, LinkSettings)
    variants = variants_of(network, entry.name)
    scans = _scans(args)
    kept: dict[str, list[Any]] = {variant.name: [] for variant in variants}
    for k, scan in enumerate(scans):
        case = scan_case(scan, entry)
        for v, variant in enumerate(variants):
            progress(f"boxes of {scan.name}: {variant.name}", (k + v / len(variants)) / len(scans))
            with variant.in_place():
                found = held_out_scan(detector, case, links)
            kept[variant.name].append(scored(found, scan.patient, entry.calibration))
    return [_boxes_row(v, kept[v.name], kept[AS_IT_IS], args.seed) for v in variants]


def judge_classes(
    store: ModelStore, entry: ModelEntry, args: argparse.Namespace, progress: Progress
) -> list[Replaced]:
    """Classes of SynthLiver-1's slices."""
    from LiverLesionAILib.networks.mechanisms import mechanisms_of

    from ..data.synthliver import read_class_slices
    from ..evaluation.class_models import network_classifier
    from ..evaluation.slice_classes import evaluate_classes

    network = store.network(entry.name, "cpu", "float32")
    classify = network_classifier(network, entry.input, float(entry.calibration.get("temperature", 1.0)), {})
    # Evenly over the list, which is sorted by patient: a short run still sees all classes.
    slices = read_class_slices(args.data, args.split, 1)
    slices = slices[:: max(1, len(slices) // args.limit)] if args.limit else slices
    others = OtherScans(mechanisms_of(network))
    for k, one in enumerate(slices):
        progress(f"{one.name}: what other patients are given", k / len(slices))
        with others.noting(one.patient):
            classify(one, one.load())
    variants = variants_of(network, entry.name, others)

    def classifier(variant: Variant) -> Any:
        return lambda one, image: variant.of(classify, others, one.patient)(one, image)

    found = evaluate_classes(
        slices, {one.name: classifier(one) for one in variants}, seed=args.seed, progress=progress
    )
    rows = []
    for variant in variants:
        own, before = found[variant.name], found[AS_IT_IS]

        def gain(drawn: NDArray[np.int64], own: Any = own, before: Any = before) -> float:
            return _by_class(own, drawn) - _by_class(before, drawn)

        change = bootstrap(gain, own.patients, seed=args.seed) if variant.mechanisms else None
        kept = kept_classes(own)
        rows.append(Replaced(variant.attention, variant.how, _by_class(own), change, kept=kept))
    return rows


def _by_class(found: Any, drawn: NDArray[np.int64] | None = None) -> float:
    """Mean over the classes that occur of the share of their slices that are right."""
    truth, said = found.truth, found.probabilities.argmax(axis=1)
    return class_mean(truth, said, drawn)


JUDGES = {"segment": judge_masks, "detect": judge_boxes, "classify": judge_classes}
