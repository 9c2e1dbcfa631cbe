"""`liverlesionai labels`: what readers decided on cases, as labels to train on."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.progress import TimedProgress
from ..support.text import path_text
from .progress_bar import add_progress_option, progress_of

if TYPE_CHECKING:
    from .tools import Commands


def add_labels_command(commands: Commands) -> None:
    """The parser of `labels`."""
    labels = commands.add_parser(
        "labels", help="readers' decisions and classes of cases as training labels, without patient data"
    )
    labels.add_argument(
        "cases", type=Path, nargs="+", metavar="CASE", help="case folders, or folders of them"
    )
    labels.add_argument(
        "--out", type=Path, required=True, metavar="FILE.json", help="a CSV is written beside"
    )
    add_progress_option(labels)
    labels.set_defaults(run=run_labels)


def run_labels(args: argparse.Namespace) -> int:
    """Collect and write them.

    Raises:
        InputError: a place holds no case.
        OutputError: no space or no permission.
    """
    from ..writing.labels import case_folders, collect_labels, write_labels

    said: list[str] = []
    bar = progress_of(args)
    try:
        folders = case_folders(args.cases)
        labels = collect_labels(folders, said.append, TimedProgress(bar))
    finally:
        bar.done()
    for sentence in said:
        print(sentence)
    written = write_labels(labels, args.out)
    classes = Counter(label.lesion_class or "no class" for label in labels)
    listed = ", ".join(f"{name} {count}" for name, count in sorted(classes.items()))
    lesions, cases = _counted(len(labels), "lesion"), _counted(len(folders), "case")
    print(f"{lesions} of {cases} that a reader decided on{': ' * bool(listed)}{listed}")
    for path in written:
        print(f"  {path_text(path)}")
    return 0


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
