"""What parts of the report share: tables of cells, pictures with captions."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """Cells as they are printed."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    small: tuple[tuple[str, ...], ...] = ()
    """Beneath each cell in small type, "" for nothing; () where no cell has any."""

    def below(self, row: int, column: int) -> str:
        """What stands beneath a cell."""
        return self.small[row][column] if self.small else ""


@dataclass(frozen=True)
class KeyImage:
    """A picture with its caption; `data` are the bytes of a JPEG or PNG."""

    caption: str
    data: bytes = field(repr=False)
