"""The summary of many cases: a line per CT, with what readers have decided on it since."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from ..case.findings import LesionStatus
from ..case.lesion_anatomy_json import segments_in
from ..support.errors import InputError
from ..support.files import write_text
from ..support.text import path_text, printable
from .parquet import write_parquet
from .review_file import Review, read_review
from .tables import JSON_FILE, formula_guarded

SUMMARY_FILE = "summary.csv"
COLUMNS = (
    "case", "status", "lesions", "tumour burden (%)", "liver volume (mL)", "seconds", "message", "input",
    "segments", "reviewed", "accepted", "rejected", "lesions after review", "tumour burden after review (%)",
)  # fmt: skip
NUMBERS = (
    "lesions", "tumour burden (%)", "liver volume (mL)", "seconds", "accepted", "rejected",
    "lesions after review", "tumour burden after review (%)",
)  # fmt: skip
REVIEWED = COLUMNS[9:]

Row = dict[str, str]
"""Column of the summary -> cell."""


def write_summary(out: Path, rows: Sequence[Row], share: str = "") -> Path:
    """``summary.csv``, a line per input, with the reviews that lie in the case folders; where it is.

    Args:
        share: "2/8": the part of a job array, which has a summary of its own.

    Raises:
        OutputError: no space or no permission.
    """
    mark = "-" + share.replace("/", "-of-") if share else ""
    path = out / f"summary{mark}.csv"
    write_text(path, _csv([with_decisions(row, out) for row in rows]))
    return path


def write_parquet_summary(out: Path, rows: Sequence[Row], share: str = "") -> bool:
    """The same as Parquet; False where pyarrow is not installed.

    Raises:
        OutputError: no space or no permission.
    """
    mark = "-" + share.replace("/", "-of-") if share else ""
    decided = [with_decisions(row, out) for row in rows]
    return write_parquet(out / f"summary{mark}.parquet", decided, COLUMNS, NUMBERS)


def renew_summary(out: Path) -> bool:
    """Take the reviews into the summary that is there; False where there is none.

    A Parquet beside it is renewed too where pyarrow is installed.

    Raises:
        InputError: it cannot be read.
        OutputError: no space or no permission.
    """
    path = out / SUMMARY_FILE
    if not path.is_file():
        return False
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        rows = [{name: _unguarded(line.get(name) or "") for name in COLUMNS} for line in lines]
    except (OSError, ValueError, csv.Error, AttributeError) as error:
        raise InputError(f"{path_text(path)}: it cannot be read ({error}). Run `batch` again.") from error
    write_summary(out, rows)
    if path.with_suffix(".parquet").is_file():
        write_parquet_summary(out, rows)
    return True


def with_decisions(row: Row, out: Path) -> Row:
    """A line with what a reader has decided on its case; empty cells where nobody has."""
    review = read_review(out / row["case"]) if row.get("case") else None
    return {**row, **dict.fromkeys(REVIEWED, ""), **(_cells(review) if review else {})}


def counts_of(folder: Path) -> Row:
    """What a case folder that is there says of its lesions, and warns of; empty where it cannot be read."""
    try:
        findings = json.loads((folder / JSON_FILE).read_text(encoding="utf-8"))
        liver = findings["liver"]
        anatomy = findings.get("anatomy") or {}
        return {
            "lesions": str(len(findings["lesions"])),
            "tumour burden (%)": _number(liver["tumour_burden_percent"], 2),
            "liver volume (mL)": _number(liver["volume_ml"], 0),
            "message": " ".join((*findings.get("notes", ()), *anatomy.get("notes", ()))),
            "segments": segments_in(findings),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _cells(review: Review) -> Row:
    return {
        "reviewed": "yes" if review.reviewed else "",
        "accepted": str(review.count(LesionStatus.ACCEPTED)),
        "rejected": str(review.count(LesionStatus.REJECTED, LesionStatus.NOT_LIVER)),
        "lesions after review": str(review.lesions),
        "tumour burden after review (%)": _number(review.burden_percent, 2),
    }


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _csv(rows: Sequence[Row]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for row in rows:
        writer.writerow({key: formula_guarded(printable(value)) for key, value in row.items()})
    return buffer.getvalue()


def _unguarded(cell: str) -> str:
    """A cell as it was before its formula was made harmless, which is done again when it is written."""
    return cell[1:] if cell.startswith("'") and formula_guarded(cell[1:]) == cell else cell
