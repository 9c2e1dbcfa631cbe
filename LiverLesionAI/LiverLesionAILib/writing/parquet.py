"""A table as Parquet, for programs that read many: columns with types, where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..support.files import replacing
from ..support.text import printable


def write_parquet(
    path: Path, rows: Sequence[Mapping[str, str]], columns: Sequence[str], numbers: Sequence[str]
) -> bool:
    """Write rows of texts; what is missing is null. False where pyarrow is not installed.

    Args:
        columns: in this order.
        numbers: those of them that hold numbers.

    Raises:
        OutputError: no space or no permission.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return False
    table = {}
    for name in columns:
        cells = [printable(row.get(name, "")) for row in rows]
        if name in numbers:
            values = [float(cell) if cell else None for cell in cells]
            table[name] = pyarrow.array(values, pyarrow.float64())
        else:
            table[name] = pyarrow.array(cells, pyarrow.string())
    # By an open file: pyarrow takes no path that is not UTF-8.
    with replacing(path) as part, part.open("wb") as file:
        pyarrow.parquet.write_table(pyarrow.table(table), file)
    return True
