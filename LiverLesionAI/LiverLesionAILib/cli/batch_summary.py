"""The summary of a batch: a line per CT."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from .batch_case import Row

SUMMARY_FILE = "summary.csv"
COLUMNS = (
    "case", "status", "lesions", "tumour burden (%)", "liver volume (mL)", "seconds", "message", "input",
)  # fmt: skip
NUMBERS = ("lesions", "tumour burden (%)", "liver volume (mL)", "seconds")


def write_summary(out: Path, rows: Sequence[Row], share: str = "") -> Path:
    """``summary.csv``, a line per input; where it is.

    Args:
        share: "2/8": the part of a job array, which has a summary of its own.

    Raises:
        OutputError: no space or no permission.
    """
    from ..support.files import write_text
    from ..support.text import printable
    from ..writing.tables import formula_guarded

    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for row in rows:
        writer.writerow({key: formula_guarded(printable(value)) for key, value in row.items()})
    mark = "-" + share.replace("/", "-of-") if share else ""
    path = out / f"summary{mark}.csv"
    write_text(path, buffer.getvalue())
    return path
