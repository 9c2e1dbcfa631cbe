"""Reports of box detectors and slice classifiers: tables, JSON, figures and one HTML page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from LiverLesionAILib import __version__
from LiverLesionAILib.support.files import write_text

from ..metrics.bootstrap import Interval
from .boxes import BoxResult, boxes_json
from .page import STYLE, figure_html
from .results import figure_module, plain, write_json, write_pictures
from .slice_classes import ClassResult
from .tables import align, classification_table, number, with_interval


def boxes_text(results: Mapping[str, BoxResult]) -> str:
    """All tables of box detectors for the terminal."""
    first = next(iter(results.values()))
    rates = list(first.sensitivity)
    lines = [["sensitivity at FP per image, %", *(f"{rate:g}" for rate in rates), "AP50, %"]]
    for name, result in results.items():
        values = [*result.sensitivity.values(), result.ap50]
        lines.append([name, *(with_interval(_percent(v), 1) for v in values)])
    patients = {image.patient for image in first.images}
    foot = (
        f"{len(first.images)} key slices of {len(patients)} patients, {first.summary.n_lesions} lesions; "
        "IoU above 0.5; 95 % bootstrap intervals over patients in brackets."
    )
    names = list(dict.fromkeys(group for r in results.values() for group in r.summary.groups))
    table = [["sensitivity, % at 4 FP per image (lesions)", *results]]
    for group in names:
        cells = [r.summary.groups.get(group, (math.nan, 0)) for r in results.values()]
        table.append([group, *(f"{number(100 * share, 1)} ({n})" for share, n in cells)])
    return f"{align(lines)}\n{foot}\n\n{align(table)}"


def classes_text(results: Mapping[str, ClassResult]) -> str:
    """All tables of slice classifiers for the terminal."""
    lines = [["", "accuracy", "macro F1"]]
    for name, r in results.items():
        lines.append([name, with_interval(r.accuracy), with_interval(r.macro_f1)])
    first = next(iter(results.values()))
    tables = classification_table({name: r.scores for name, r in results.items()})
    text = (
        f"{align(lines)}\n{len(first.names)} slices of {len(set(first.patients))} patients; 95 % bootstrap "
        f"intervals over patients in brackets.\n\n{tables}"
    )
    shown = {name: r for name, r in results.items() if r.localisation}
    if shown:
        kinds = list(dict.fromkeys(kind for r in shown.values() for kind in r.localisation))
        table = [["localised (right class and place)", *kinds]]
        for name, r in shown.items():
            table.append(
                [name, *(with_interval(r.localised_of[k]) if k in r.localised_of else "-" for k in kinds)]
            )
        text += "\n\n" + align(table)
    return text


@dataclass(frozen=True)
class SetReport:
    """Where a report goes, and what it says of how it was made.

    Attributes:
        out: folder.
        data_set: on what, for the page's title.
        settings: what the numbers depend on.
        figures: also draw figures.
    """

    out: Path
    data_set: str
    settings: Mapping[str, Any]
    figures: bool = True

    def write(
        self, task: str, text: str, methods: Mapping[str, Any], pictures: Mapping[tuple[str, str], bytes]
    ) -> list[str]:
        """Write evaluation.json, evaluation.txt, the pictures and evaluation.html; the names of the files.

        Args:
            task: "boxes" or "classes".
            text: all tables.
            methods: method -> its figures, as JSON has them.
            pictures: (file stem, caption) -> PNG file.
        """
        data = {
            "version": __version__,
            "data_set": self.data_set,
            "task": task,
            "settings": plain(dict(self.settings)),
            "methods": methods,
        }
        write_json(self.out / "evaluation.json", data)
        write_text(self.out / "evaluation.txt", text + "\n")
        page = set_page(
            f"Evaluation on {self.data_set}: {task}",
            "In brackets: 95 % bootstrap intervals over patients. Not for clinical use.",
            [("Scores", text)],
            {caption: png for (_, caption), png in pictures.items()},
        )
        write_text(self.out / "evaluation.html", page)
        return ["evaluation.json", "evaluation.txt", *write_pictures(pictures, self.out), "evaluation.html"]


def write_boxes_report(results: Mapping[str, BoxResult], report: SetReport) -> list[str]:
    """Write evaluation.json, evaluation.txt, froc.png, evaluation.html and NAME_boxes.json (the predictions).

    Returns:
        The names of the files.

    Raises:
        InputError: matplotlib is missing. OutputError: the folder cannot be written.
    """
    methods = {
        name: {
            "images": r.summary.n_images,
            "lesions": r.summary.n_lesions,
            "sensitivity": {f"{rate:g}": plain(v) for rate, v in r.sensitivity.items()},
            "ap50": plain(r.ap50),
            "groups": {k: {"sensitivity": plain(v), "lesions": n} for k, (v, n) in r.summary.groups.items()},
            "free_response": plain(r.summary.curve),
        }
        for name, r in results.items()
    }
    pictures = {}
    if report.figures:
        fig = figure_module()
        curves = {name: r.summary.curve for name, r in results.items()}
        rates = list(next(iter(results.values())).sensitivity)
        caption = "Free response per image: lesions found against false findings (IoU above 0.5)."
        pictures["froc", caption] = fig.png_bytes(fig.froc_figure(curves, "image", rates))
    written = report.write("boxes", boxes_text(results), methods, pictures)
    for name, r in results.items():
        write_json(report.out / f"{name}_boxes.json", boxes_json(r.images))
        written.append(f"{name}_boxes.json")
    return written


def write_classes_report(results: Mapping[str, ClassResult], report: SetReport) -> list[str]:
    """Write evaluation.json, evaluation.txt, confusion matrices, reliability.png and evaluation.html.

    Returns:
        The names of the files.

    Raises:
        InputError: matplotlib is missing. OutputError: the folder cannot be written.
    """
    methods = {
        name: {
            "accuracy": plain(r.accuracy),
            "macro_f1": plain(r.macro_f1),
            "scores": plain(r.scores),
            "localisation": {
                k: {**plain(v), "accuracy": plain(r.localised_of[k])} for k, v in r.localisation.items()
            },
            "slices": {
                n: {"truth": int(t), "probabilities": [round(float(v), 5) for v in p]}
                for n, t, p in zip(r.names, r.truth, r.probabilities, strict=True)
            },
        }
        for name, r in results.items()
    }
    pictures = {}
    if report.figures:
        fig = figure_module()
        for name, r in results.items():
            figure = fig.confusion_figure(r.scores, name)
            pictures[f"confusion_{name}", f"Confusion matrix of {name}."] = fig.png_bytes(figure)
        caption = "How often predictions of a confidence are right."
        figure = fig.reliability_figure({name: r.scores for name, r in results.items()})
        pictures["reliability", caption] = fig.png_bytes(figure)
    return report.write("classes", classes_text(results), methods, pictures)


def set_page(title: str, note: str, texts: Sequence[tuple[str, str]], figures: Mapping[str, bytes]) -> str:
    """A page of tables as they stand in the terminal, and figures; needs no other file.

    Args:
        texts: (heading, text) of each table.
        figures: caption -> PNG file.
    """
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE} pre {{ overflow-x: auto; }}</style></head><body>",
        f'<h1>{escape(title)}</h1><p class="note">{escape(note)}</p>',
        *(f"<h2>{escape(heading)}</h2><pre>{escape(text)}</pre>" for heading, text in texts),
        *(["<h2>Figures</h2>"] if figures else []),
        *(figure_html(png, caption) for caption, png in figures.items()),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _percent(interval: Interval) -> Interval:
    return replace(interval, value=100 * interval.value, low=100 * interval.low, high=100 * interval.high)
