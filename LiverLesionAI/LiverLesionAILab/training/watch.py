"""What is watched while a network trains: curves for TensorBoard, and the validation that ends it early."""

from __future__ import annotations

import copy
import csv
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class Watch:
    """Curves and validation of one run; goes on where an interrupted run stopped.

    Attributes:
        best: weights of the averaged network at the best validation so far; None without validation.
        over: no better validation for `patience` of them.
    """

    def __init__(self, folder: Path, patience: int, step: int, writes: bool = True) -> None:
        """
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
            with open(table, newline="") as file:
                rows = [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]
            self.rows = [row for row in rows if row[0] <= step]
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
            beside = self.folder / f".best.pt.{os.getpid()}"
            torch.save(self.best, beside)
            os.replace(beside, self.folder / "best.pt")
        beside = self.folder / f".validation.csv.{os.getpid()}"
        with open(beside, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("step", "loss"))
            writer.writerows((number, f"{value:.6f}") for number, value in self.rows)
        os.replace(beside, self.folder / "validation.csv")

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
