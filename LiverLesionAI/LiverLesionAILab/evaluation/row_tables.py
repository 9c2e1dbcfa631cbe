"""Rows of one dataclass as a CSV file and back, and shares of them with their intervals."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from LiverLesionAILib.support.files import replacing
from scipy import stats

Row = TypeVar("Row")

_READ: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda text: text == "True",
}


def write_csv(rows: Iterable[Any], kind: type, path: Path) -> None:
    """One line a row of the dataclass `kind`, beside and renamed."""
    with replacing(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(kind)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_csv(kind: type[Row], path: Path) -> list[Row]:
    """The way back; `kind` holds str, int, float and bool, columns that are missing take its defaults.

    Raises:
        OSError, KeyError, TypeError, ValueError: it is no such table.
    """
    kinds = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type]
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    return [kind(**{name: _READ[kinds[name]](text) for name, text in line.items()}) for line in lines]


def share_lines(what: str, shares: Sequence[tuple[str, int, int]]) -> list[str]:
    """(text, good, of how many) as a Markdown table with 95 % intervals (Wilson); of none is left out."""
    lines = [f"| {what} | n | share | 95 % interval |", "|---|---|---|---|"]
    for text, good, count in shares:
        if count:
            low, high = stats.binomtest(int(good), count).proportion_ci(method="wilson")
            lines.append(f"| {text} | {count} | {good / count:.2f} | {low:.2f} to {high:.2f} |")
    return lines
