"""`liverlesionai cohort`: a folder of cases as one page for a browser."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.progress import TimedProgress
from ..support.text import path_text
from .progress_bar import add_progress_option, progress_of

if TYPE_CHECKING:
    from .tools import Commands


def add_cohort_command(commands: Commands) -> None:
    """The parser of `cohort`."""
    cohort = commands.add_parser("cohort", help="a page with a card for each case that `batch` made")
    cohort.add_argument("folder", type=Path, help="folder with case folders: what `batch --out` was given")
    add_progress_option(cohort)
    cohort.set_defaults(run=run_cohort)


def run_cohort(args: argparse.Namespace) -> int:
    """Make or renew the page."""
    from ..writing.cohort.page import KEY, write_cohort
    from ..writing.summary import renew_summary

    bar = progress_of(args)
    said: list[str] = []
    try:
        page = write_cohort(args.folder, said.append, TimedProgress(bar))
    finally:
        bar.done()
    renew_summary(args.folder)
    for sentence in said:
        print(sentence)
    print(f"Open {path_text(page)} in a browser.")
    print(f"Which number is which case: {path_text(args.folder / KEY)}. It is not in the page's folder.")
    return 0
