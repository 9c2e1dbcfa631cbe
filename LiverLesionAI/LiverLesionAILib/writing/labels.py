"""Training labels of a reader's decisions, as JSON and as a table."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..case.labels import COLUMNS, SCHEMA, SCHEMA_VERSION, TrainingLabel, read_label, training_labels
from ..case.store import load_result
from ..support.errors import InputError, LiverLesionAIError, OutputError
from ..support.files import write_text
from ..support.progress import Progress, silent
from ..support.text import path_text
from .case_folder import is_case_folder
from .review_file import read_review, with_review
from .tables import formula_guarded


def labels_json(labels: Sequence[TrainingLabel]) -> str:
    """Schema and version, how many of each class, and the labels."""
    classes = Counter(label.lesion_class or "no class" for label in labels)
    document = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "cts": len({label.ct for label in labels}),
        "classes": dict(sorted(classes.items())),
        "labels": [label.to_json() for label in labels],
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def labels_csv(labels: Sequence[TrainingLabel]) -> str:
    """One line a label; the first column says which version of the schema it is."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("schema_version", *COLUMNS))
    for label in labels:
        values = ("" if value is None else value for value in label.to_json().values())
        cells = (formula_guarded(v) if isinstance(v, str) else v for v in values)
        table.writerow((SCHEMA_VERSION, *cells))
    return out.getvalue()


def read_labels(path: Path) -> tuple[TrainingLabel, ...]:
    """What :func:`labels_json` made.

    Raises:
        InputError: it cannot be read, is none, is damaged, or a newer version wrote it.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            raise InputError(f"{path_text(path)} holds no training labels of LiverLesionAI.")
        if document["schema_version"] > SCHEMA_VERSION:
            raise InputError(f"{path_text(path)}: a newer version wrote these labels. Update LiverLesionAI.")
        return tuple(read_label(entry) for entry in document["labels"])
    except OSError as error:
        raise InputError(f"{path_text(path)} cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path_text(path)} holds no training labels, or is damaged ({error}). Name the JSON file that "
            "`liverlesionai labels` wrote."
        ) from error


def case_folders(places: Iterable[Path]) -> list[Path]:
    """Case folders among these, and those right inside of folders that are none.

    Raises:
        InputError: one is no case folder and holds none.
    """
    found: list[Path] = []
    for place in places:
        if is_case_folder(place):
            here = [place]
        else:
            here = sorted(one for one in place.iterdir() if is_case_folder(one)) if place.is_dir() else []
        if not here:
            raise InputError(f"{path_text(place)} is no case folder and holds none.")
        found += [one for one in here if one not in found]
    return found


def collect_labels(
    folders: Sequence[Path], say: Callable[[str], None] = lambda sentence: None, progress: Progress = silent
) -> tuple[TrainingLabel, ...]:
    """The labels of case folders, in their order; a case that cannot be read is told and passed over.

    Raises:
        Cancelled: `progress` asked for it.
    """
    labels: list[TrainingLabel] = []
    for done, folder in enumerate(folders):
        progress("Reading the cases", done / len(folders))
        try:
            result = load_result(folder)
            review = read_review(folder)
            found, said = training_labels(result if review is None else with_review(result, review))
        except LiverLesionAIError as error:
            say(f"{path_text(folder)} was left out: {error}")
            continue
        labels += [label for label in found if label not in labels]
        for sentence in said:
            say(f"{path_text(folder)}: {sentence}")
    return tuple(labels)


def write_labels(labels: Sequence[TrainingLabel], target: Path) -> tuple[Path, Path]:
    """Write `target` as JSON and the table beside it; both paths.

    Raises:
        OutputError: it does not end in .json, no space, or no permission.
    """
    if target.suffix.lower() != ".json":
        raise OutputError(
            f"{path_text(target)}: give a file that ends in .json; the table is written beside."
        )
    table = target.with_suffix(".csv")
    write_text(table, labels_csv(labels))
    write_text(target, labels_json(labels))
    return target, table
