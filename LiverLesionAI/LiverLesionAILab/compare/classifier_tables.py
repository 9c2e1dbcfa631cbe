"""Tables of the classifiers' comparison: the figures, what was published, and the differences of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from LiverLesionAILib.networks.dadrn import CLASSES
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray

from ..metrics.bootstrap import Interval, bootstrap

PUBLISHED: dict[str, dict[str, float]] = {
    name: dict(zip(("Normal", "CYST", "FNH", "HCC", "HEM"), by_class, strict=True))
    | {"class mean": sum(by_class) / len(by_class)}
    | dict(zip(("f1", "precision", "recall"), overall[1:], strict=False))
    | dict(zip(("at CYST", "at FNH", "at HCC", "at HEM"), places, strict=False))
    for name, by_class, overall, places in (
        (
            "DRN50",
            (0.9788, 0.9327, 0.7596, 0.8427, 0.5278),
            (0.8083, 0.8197, 0.8294, 0.8207),
            (0.5110, 0.6676, 0.5941, 0.3798),
        ),
        (
            "SEResnet50",
            (0.9334, 0.9327, 0.7788, 0.9116, 0.5917),
            (0.8296, 0.8265, 0.8552, 0.8149),
            (0.1898, 0.0742, 0.7327, 0.2532),
        ),
        (
            "RAResnet50",
            (0.9675, 0.9182, 0.7596, 0.8227, 0.5556),
            (0.8047, 0.8041, 0.8304, 0.7905),
            (0.2628, 0.0742, 0.6931, 0.3292),
        ),
        ("SADR50-A", (0.9577, 0.9096, 0.8132, 0.8816, 0.6625), (0.8449, 0.8372, 0.8463, 0.8346), ()),
        ("SADR50-B", (0.9334, 0.8761, 0.7775, 0.8220, 0.5458), (), ()),
        ("CADR50-A", (0.9675, 0.9551, 0.8530, 0.9016, 0.6181), (0.8591, 0.8263, 0.8506, 0.8149), ()),
        ("CADR50-B", (0.9588, 0.9413, 0.8324, 0.8322, 0.5847), (), ()),
        ("DADR50-A", (0.9690, 0.9451, 0.7802, 0.8024, 0.7069), (0.8407, 0.8213, 0.8446, 0.8111), ()),
        (
            "DADR50-B",
            (0.9804, 0.9551, 0.8159, 0.9116, 0.6819),
            (0.8690, 0.8412, 0.8528, 0.8386),
            (0.5986, 0.6676, 0.7327, 0.5064),
        ),
    )
}
"""The paper's tables, on its own patients: class-wise accuracy, overall figures, localisation ("at").

What the paper calls accuracy (first of the overall figures) is in all seven rows that have it the mean of
the class-wise ones, to four digits: "class mean" here, also for the two rows whose cell is blank. It gives no
plain accuracy, and none stands beside ours.
"""

OVERALL = ("accuracy", "class mean", "f1", "precision", "recall")
COLUMNS = (*OVERALL, *CLASSES, *(f"at {name}" for name in CLASSES[1:]), "ece")


def table_text(results: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Mean (and SD over runs) of every variant, with the published figure in the line below."""
    lines = ["variant      " + "".join(f"{c:>14}" for c in COLUMNS)]
    for name, runs in results.items():
        cells = []
        for column in COLUMNS:
            values = np.array([value for run in runs if (value := figure(run, column)) is not None], float)
            cells.append(f"{values.mean():.3f} ({values.std():.3f})" if len(values) else "-")
        lines.append(f"{name:<13}" + "".join(f"{cell:>14}" for cell in cells))
        known = PUBLISHED.get(name, {})
        cells = [f"{known[column]:.3f}" if column in known else "" for column in COLUMNS]
        lines.append(f"{'  published':<13}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def figure(run: Mapping[str, float], column: str) -> float | None:
    """A figure of a run; the mean of the class-wise accuracies also of runs that did not keep it."""
    if column == "class mean" and column not in run and all(name in run for name in CLASSES):
        return float(np.mean([run[name] for name in CLASSES]))
    return run.get(column)


def confusion_text(matrices: Sequence[Sequence[Sequence[int]]]) -> str:
    """Confusion matrix summed over runs, rows the true class in per cent."""
    total = np.sum(matrices, axis=0)
    shares = 100 * total / np.maximum(total.sum(axis=1, keepdims=True), 1)
    lines = ["true \\ said  " + "".join(f"{name:>8}" for name in CLASSES)]
    lines += [
        f"{name:<13}" + "".join(f"{v:8.1f}" for v in row) for name, row in zip(CLASSES, shares, strict=True)
    ]
    return "\n".join(lines)


PLAIN, WHOLE = "DRN50", "DADR50-B"
"""The network without attention, and the paper's own."""


def difference_text(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Class mean of every variant minus the plain network's of the same division and seed, and the paper's.

    Then what its sigmoid gains over its softmax, which is the paper's second result.

    Args:
        results: variant -> run (division and seed) -> figures.
    """
    if PLAIN not in results:
        return ""
    lines = [
        f"class mean minus {PLAIN}'s".ljust(24) + f"{'mean':>8}{'SD':>8}{'ahead in':>11}{'published':>11}"
    ]
    for name in results:
        line = _gap_line(f"{name:<22}", results, name, PLAIN)
        if name != PLAIN and line:
            lines.append(line)
    for a, b in SIGMOID_SOFTMAX:
        line = _gap_line(f"{f'{a} minus -B':<22}", results, a, b) if {a, b} <= set(results) else ""
        if line:
            lines.append(f"{line}   sigmoid over softmax")
    if WHOLE in results:
        means = {n: float(np.mean([_class_mean(f) for f in runs.values()])) for n, runs in results.items()}
        place = sorted(means, key=lambda n: -means[n]).index(WHOLE) + 1
        lines.append(f"{WHOLE} comes {place}. of {len(means)} in the mean of classes; in the paper 1. of 9.")
    return "\n".join(lines)


def paired_text(records: Mapping[str, Mapping[str, Mapping[str, Any]]], n_draws: int = 2000) -> str:
    """Class mean minus the plain network's with 95 % intervals over patients; "" where slices were not kept.

    Means over the runs that both have; a patient who is drawn comes along in every run that tests her.

    Args:
        records: variant -> run -> its record with "slices": names, patients, truth, said.
    """
    plain = records.get(PLAIN, {})
    lines = []
    for name, runs in records.items():
        shared = [run for run in runs if run in plain and "slices" in runs[run] and "slices" in plain[run]]
        if name == PLAIN or not shared:
            continue
        pairs = [(runs[run]["slices"], plain[run]["slices"]) for run in shared]
        if any(own["name"] != other["name"] for own, other in pairs):
            raise InputError(f"{name} and {PLAIN} were judged on different slices.")
        gain = paired_class_gain([own for own, _ in pairs], [other for _, other in pairs], n_draws=n_draws)
        lines.append(f"{name:<22}{gain.value:>+10.3f} [{gain.low:.3f}, {gain.high:.3f}]")
    return "\n".join([f"class mean minus {PLAIN}'s, 95 % over patients", *lines]) if lines else ""


def paired_class_gain(
    runs: Sequence[Mapping[str, Any]],
    others: Sequence[Mapping[str, Any]],
    *,
    seed: int = 0,
    n_draws: int = 2000,
) -> Interval:
    """What runs have more of the mean of the class-wise accuracies than others, means over runs.

    Args:
        runs, others: "patient", "truth" and "said" of every slice; patients are drawn, of all runs alike.
    """
    patients = sorted({one for run in runs for one in run["patient"]})
    number = {one: k for k, one in enumerate(patients)}

    def prepared(run: Mapping[str, Any]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        truth = np.array(run["truth"])
        right = np.array(run["said"]) == truth
        return np.array([number[one] for one in run["patient"]]), truth, right.astype(float)

    own, other = ([prepared(run) for run in part] for part in (runs, others))

    def mean_of(part: Sequence[tuple], times: NDArray[np.int64]) -> float:
        each = []
        for who, truth, right in part:
            total = np.bincount(truth, times[who], len(CLASSES))
            hit = np.bincount(truth, times[who] * right, len(CLASSES))
            each.append(float((hit[total > 0] / total[total > 0]).mean()) if total.any() else float("nan"))
        return float(np.mean(each))

    def gain(rows: NDArray[np.int64]) -> float:
        times = np.bincount(rows, minlength=len(patients))
        return mean_of(own, times) - mean_of(other, times)

    return bootstrap(gain, patients, seed=seed, n_draws=n_draws)


SIGMOID_SOFTMAX = (("SADR50-A", "SADR50-B"), ("CADR50-A", "CADR50-B"))


def _class_mean(run: Mapping[str, float]) -> float:
    value = figure(run, "class mean")
    return float("nan") if value is None else value


def _gap_line(title: str, results: Mapping[str, Mapping[str, Mapping[str, float]]], a: str, b: str) -> str:
    """The difference of two variants over the runs that both have; "" where there is none."""
    shared = [run for run in results[a] if run in results[b]]
    if not shared:
        return ""
    gaps = np.array([_class_mean(results[a][run]) - _class_mean(results[b][run]) for run in shared])
    ahead = f"{int((gaps > 0).sum())} of {len(gaps)}"
    paper = PUBLISHED[a]["class mean"] - PUBLISHED[b]["class mean"]
    return f"{title}{gaps.mean():>+10.3f}{gaps.std():>8.3f}{ahead:>11}{paper:>+11.3f}"
