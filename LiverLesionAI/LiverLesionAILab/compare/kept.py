"""Rows of a comparison kept as one small file: per seed and case, enough to print its tables again.

Each `compare` command writes `rows.json.gz` in its `--out` and prints its tables from such a file with
`--rows FILE`, without data, weights or training. It holds numbers alone: no image and no path.
"""

from __future__ import annotations

import argparse
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import replacing

FILE = "rows.json.gz"


def add_rows_option(parser: argparse.ArgumentParser) -> None:
    """`--rows FILE`."""
    parser.add_argument(
        "--rows",
        type=Path,
        metavar="FILE",
        help=f"print the tables again from a {FILE} that a run has left; nothing else is needed or done",
    )


def needed(args: argparse.Namespace, *names: str) -> None:
    """Options that only printing from rows can do without.

    Raises:
        InputError: one is missing.
    """
    for name in names:
        if getattr(args, name) is None:
            raise InputError(f"{name}: give it, or --rows FILE to print the tables of a run that was kept.")


def write_rows(path: Path, kind: str, data: dict[str, Any]) -> None:
    """Keep what a comparison's tables are made of.

    Args:
        kind: of the comparison, its command's word.
        data: what JSON holds; NaN is allowed.

    Raises:
        OutputError: no space, no permission.
    """
    text = json.dumps({"kind": kind, **data}, separators=(",", ":")) + "\n"
    # Without the hour: the same rows are the same file.
    with replacing(path) as part:
        part.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))


def read_rows(path: Path, kind: str) -> dict[str, Any]:
    """What :func:`write_rows` has kept.

    Raises:
        InputError: the file is missing or damaged, or of another comparison.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        found = json.loads(data)
        own = found["kind"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
        raise InputError(f"{path} holds no rows of a comparison ({error}).") from error
    if own != kind:
        raise InputError(f"{path} holds rows of `compare {own}`, not of `compare {kind}`.")
    return found
