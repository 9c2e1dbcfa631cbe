"""`liverlesionai evaluate SYNTHLIVER --part slices | classes`: detectors and classifiers on SynthLiver-1."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent

from ..data.synthliver import read_class_slices, read_synth_slices
from ..synthesis.synthliver.plan import NAME
from .boxes import BoxDetector, boxes_from_file, evaluate_boxes
from .set_models import box_model, class_model
from .set_reports import SetReport, boxes_text, classes_text, write_boxes_report, write_classes_report
from .slice_classes import Classifier, classes_from_file, evaluate_classes

Method = TypeVar("Method")


def run_set_part(
    args: argparse.Namespace,
    *,
    detectors: Mapping[str, BoxDetector] | None = None,
    classifiers: Mapping[str, Classifier] | None = None,
    progress: Progress = silent,
    say: Callable[[str], None] = print,
) -> int:
    """Evaluate as the options say.

    Args:
        args: parsed options of `evaluate`, `part` slices or classes.
        detectors, classifiers: further methods, for commands that compare networks of their own.
        progress: told of every slice.
        say: prints tables and where the files are.

    Returns:
        0.

    Raises:
        LiverLesionAIError: inputs missing or mismatched, output not writable, cancelled.
    """
    split = args.split or "test"
    settings = {"part": args.part, "split": split, "seed": args.seed, "draws": args.draws}
    draws = {"seed": args.seed, "n_draws": args.draws, "progress": progress}
    report = SetReport(args.out, f"{NAME}, {split}", settings, figures=not args.no_figures)
    if args.part == "slices":
        keys = read_synth_slices(args.data, split)
        keys = [k for k in keys if not args.cases or k.name in args.cases.split(",")]
        found = _methods(args, detectors, boxes_from_file, lambda name: box_model(name, args.device))
        results = evaluate_boxes(keys, found, **draws)
        say(boxes_text(results))
        written = write_boxes_report(results, report)
    else:
        settings["division"] = args.division
        slices = read_class_slices(args.data, split, args.division)
        slices = [s for s in slices if not args.cases or s.name in args.cases.split(",")]
        named = _methods(args, classifiers, classes_from_file, lambda name: class_model(name, args.device))
        classes = evaluate_classes(slices, named, **draws)
        say(classes_text(classes))
        written = write_classes_report(classes, report)
    say(f"Written to {args.out}: {', '.join(written)}")
    return 0


def _methods(
    args: argparse.Namespace,
    given: Mapping[str, Method] | None,
    from_file: Callable[[Path], Method],
    of_model: Callable[[str], Method],
) -> dict[str, Method]:
    """All methods by name: those given, files of --predicted, models of --model."""
    methods: dict[str, Method] = dict(given or {})
    for text in args.predicted:
        name, _, file = text.rpartition("=")
        add_method(methods, name or Path(file).stem, from_file(Path(file)))
    for name in args.model:
        add_method(methods, name, of_model(name))
    if not methods:
        raise InputError("Nothing to evaluate: give --model NAME or --predicted FILE.")
    return methods


def add_method(methods: dict[str, Method], name: str, method: Method) -> None:
    """Add a method to those to evaluate.

    Raises:
        InputError: there is one of that name.
    """
    if name in methods:
        raise InputError(f"Two methods are called {name}; name them with --predicted NAME=PATH.")
    methods[name] = method
