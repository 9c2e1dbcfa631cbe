"""Rows of `compare attention` as its `attention.json` keeps them, and the table printed again from them.

Masks have each case's Dice ("cases"). Boxes keep `[name, patient, scores of the lesions, scores of the false
boxes]` of every scan or slice, classes `[name, patient, truth, said, ...]` of every slice, said by each seed
("kept"). A row is held against the first, or against the one whose number is its "against"; of one with a
number in "same" the cases are kept there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray

from ..evaluation.scan_boxes import LEAST_MM, ScoredScan
from ..evaluation.tables import align, number
from ..metrics.bootstrap import Interval, bootstrap, compare_paired
from ..metrics.froc import RATES_PER_IMAGE, ImageMatches
from .detector_kept import KeptRun
from .kept import read_rows

KIND = "attention"
AS_IT_IS = "as it is"
BOX_RATE = 1.0
"""False boxes per scan at which detectors are compared."""


class Row(Protocol):
    """What the table needs of a row; see :class:`.attention.Replaced`."""

    @property
    def attention(self) -> str: ...
    @property
    def how(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def difference(self) -> Interval | None: ...
    @property
    def note(self) -> str: ...


def attention_table(rows: Sequence[Row]) -> str:
    """The rows as text; differences with 95 % intervals over patients."""
    return align(
        [
            ["attention", "replaced", "value", "difference", "", ""],
            *(_line(row.attention, row.how, row.value, row.difference, row.note) for row in rows),
        ],
        left=2,
    )


def _line(attention: str, how: str, value: float, change: Interval | None, note: str) -> list[str]:
    cells = ["", ""]
    if change is not None:
        cells = [f"{change.value:+.3f}", f"[{number(change.low)}, {number(change.high)}]"]
    return [attention or AS_IT_IS, how, number(value), *cells, note]


def kept_boxes(scans: Sequence[ScoredScan]) -> list[list[Any]]:
    """What boxes found, scan by scan, of lesions that count."""
    return [[one.name, one.patient, *([_score(s) for s in part] for part in _parts(one))] for one in scans]


def _parts(one: ScoredScan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return one.found_scores[one.diameters_mm >= LEAST_MM], one.false_scores


def _score(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def kept_classes(found: Any) -> list[list[Any]]:
    """What was said of every slice, from a `ClassResult` of :mod:`..evaluation.slice_classes`."""
    said = found.probabilities.argmax(axis=1).tolist()
    return [list(one) for one in zip(found.names, found.patients, found.truth.tolist(), said, strict=True)]


def class_mean(
    truth: NDArray[np.int64], said: NDArray[np.int64], drawn: NDArray[np.int64] | None = None
) -> float:
    """Mean over the classes that occur of the share of their slices that are right."""
    rows = np.arange(len(truth)) if drawn is None else drawn
    right = (said == truth)[rows]
    return float(np.mean([right[truth[rows] == one].mean() for one in np.unique(truth[rows])]))


def kept_text(path: Path, seed: int = 0) -> str:
    """The table of a kept run, its values and intervals computed again from what was kept.

    Raises:
        InputError: the file is missing or damaged, or of another comparison.
    """
    data = read_rows(path, KIND)
    table = [["attention", "replaced", "value", "difference", "", ""]]
    unkept = 0
    try:
        rows = [{**data["rows"][row["same"]], **row} if "same" in row else row for row in data["rows"]]
        for row in rows:
            again = recomputed(row, rows[row.get("against", 0)], seed)
            unkept += again is None
            value, change = again or (row["value"], _interval(row["difference"]))
            table.append(
                _line(row["attention"], row["how"], value, change if row["how"] else None, row["note"])
            )
        head = f"{data['model']}, {data['metric']}"
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{path} holds no whole rows of `compare attention` ({error!r}).") from error
    text = f"{head}\n\n{align(table, left=2)}"
    if unkept:
        text += "\nAs they were printed: what these figures were made of was not kept."
    return text


def _interval(kept: Mapping[str, Any] | None) -> Interval | None:
    return None if kept is None else Interval(**kept)


def recomputed(
    row: Mapping[str, Any], other: Mapping[str, Any], seed: int = 0
) -> tuple[float, Interval] | None:
    """A kept row's value and its difference from another; None where its cases were not kept."""
    if row.get("cases") and other.get("cases"):
        patients = {name: row.get("patients", {}).get(name, name) for name in row["cases"]}
        paired = compare_paired(other["cases"], row["cases"], patients, seed=seed)
        return paired.b, paired.difference
    if not row.get("kept") or not other.get("kept"):
        return None
    if [one[:2] for one in row["kept"]] != [one[:2] for one in other["kept"]]:
        raise ValueError("other cases")
    patients_of = [one[1] for one in row["kept"]]
    if isinstance(row["kept"][0][2], list):
        own, before = (KeptRun((), tuple(_matches(one) for one in of["kept"]), ()) for of in (row, other))
        at = RATES_PER_IMAGE.index(BOX_RATE)

        def value_of(run: KeptRun, drawn: NDArray[np.int64]) -> float:
            return float(run.sensitivity(np.bincount(drawn, minlength=len(run.matches)))[at])
    else:
        own, before = (np.array([one[2:] for one in of["kept"]]).T for of in (row, other))  # type: ignore[misc]

        def value_of(scans: Any, drawn: NDArray[np.int64]) -> float:
            return float(np.mean([class_mean(scans[0], said, drawn) for said in scans[1:]]))

    change = bootstrap(lambda drawn: value_of(own, drawn) - value_of(before, drawn), patients_of, seed=seed)
    return value_of(own, np.arange(len(patients_of))), change


def _matches(kept: Sequence[Any]) -> ImageMatches:
    return ImageMatches(*(np.array([-np.inf if s is None else s for s in part], float) for part in kept[2:]))
