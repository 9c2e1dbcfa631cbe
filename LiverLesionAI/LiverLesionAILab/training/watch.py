"""What is watched while a network trains: curves for TensorBoard, and the validation that ends it early."""

from __future__ import annotations

import copy
import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from LiverLesionAILib.support.files import replacing
from torch import Tensor, nn


class Watch:
    """Curves and validation of one run; goes on where an interrupted run stopped.

    Attributes:
        best: weights of the averaged network at the best validation so far; None without validation.
        over: no better validation for `patience` of them.
    """

    def __init__(self, folder: Path, patience: int, step: int, writes: bool = True) -> None:
        """Start, or go on.

        Args:
            folder: gets `validation.csv`, `best.pt` and `tensorboard/` (where TensorBoard is installed).
            patience: so many validations without a better one are enough; 0 for no end.
            step: what a resumed run has behind it; later rows of an older run are dropped.
            writes: only the first of several processes writes.
        """
        self.folder, self.patience, self.writes = folder, patience, writes
        self.rows: list[tuple[int, float]] = []
        self.best: dict[str, Tensor] | None = None
        table = folder / "validation.csv"
        if step and table.is_file():
            self.rows = [(int(row[0]), row[1]) for row in read_rows(table) if row[0] <= step]
            if self.rows and (folder / "best.pt").is_file():
                self.best = torch.load(folder / "best.pt", weights_only=True)
        self._board: Any = _board(folder / "tensorboard", step) if writes else None

    @property
    def over(self) -> bool:
        """Whether the last `patience` validations brought nothing better."""
        if not self.patience or not self.rows:
            return False
        losses = [loss for _, loss in self.rows]
        return len(losses) - 1 - losses.index(min(losses)) >= self.patience

    def note(self, name: str, value: float, step: int) -> None:
        """A point of a curve."""
        if self._board is not None:
            self._board.add_scalar(name, value, step)

    def validated(self, loss: float, average: nn.Module, step: int) -> None:
        """Remember a validation, and the weights if it is the best one."""
        better = not self.rows or loss < min(earlier for _, earlier in self.rows)
        self.rows.append((step, loss))
        self.note("validation loss", loss, step)
        if better:
            self.best = copy.deepcopy(average.state_dict())
        if not self.writes:
            return
        if better:
            with replacing(self.folder / "best.pt") as part:
                torch.save(self.best, part)
        rows = [(number, f"{value:.6f}") for number, value in self.rows]
        write_rows(self.folder / "validation.csv", ("step", "loss"), rows)

    def close(self) -> None:
        """Write what is left."""
        if self._board is not None:
            self._board.close()


def _board(folder: Path, step: int) -> Any:
    """TensorBoard's writer, None where it is not installed: curves are in CSV files all the same."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step or None)


def read_rows(path: Path) -> list[tuple[float, ...]]:
    """The numbers of a curve that :func:`write_rows` wrote; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [tuple(float(value) for value in row) for row in list(csv.reader(file))[1:]]


def write_rows(path: Path, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a curve as CSV, whole or not at all."""
    with replacing(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(heading)
        writer.writerows(rows)
