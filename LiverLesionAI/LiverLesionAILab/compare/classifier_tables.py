"""Tables of the classifiers' comparison: the figures, what was published, and the differences of both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from LiverLesionAILib.networks.dadrn import CLASSES

PUBLISHED: dict[str, dict[str, float]] = {
    name: dict(zip(("Normal", "CYST", "FNH", "HCC", "HEM"), by_class, strict=True))
    | dict(zip(("accuracy", "f1", "precision", "recall"), overall, strict=False))
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
"""The paper's tables, on its own patients: class-wise accuracy, overall figures, localisation ("at")."""

OVERALL = ("accuracy", "f1", "precision", "recall")
COLUMNS = (*OVERALL, *CLASSES, *(f"at {name}" for name in CLASSES[1:]), "ece")


def table_text(results: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Mean (and SD over runs) of every variant, with the published figure in the line below."""
    lines = ["variant      " + "".join(f"{c:>14}" for c in COLUMNS)]
    for name, runs in results.items():
        cells = []
        for column in COLUMNS:
            values = np.array([run[column] for run in runs if column in run], float)
            cells.append(f"{values.mean():.3f} ({values.std():.3f})" if len(values) else "-")
        lines.append(f"{name:<13}" + "".join(f"{cell:>14}" for cell in cells))
        known = PUBLISHED.get(name, {})
        cells = [f"{known[column]:.3f}" if column in known else "" for column in COLUMNS]
        lines.append(f"{'  published':<13}" + "".join(f"{cell:>14}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def confusion_text(runs: Sequence[Path]) -> str:
    """Confusion matrix summed over runs, rows the true class in per cent."""
    matrices = [json.loads((run / "result.json").read_text(encoding="utf-8"))["confusion"] for run in runs]
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
    """Accuracy of every variant minus the plain network's of the same division and seed; the paper's beside.

    Args:
        results: variant -> run (division and seed) -> figures.
    """
    if PLAIN not in results:
        return ""
    lines = [f"accuracy minus {PLAIN}'s" + f"{'mean':>10}{'SD':>8}{'ahead in':>11}{'published':>11}"]
    for name, runs in results.items():
        shared = [run for run in runs if run in results[PLAIN]]
        if name == PLAIN or not shared:
            continue
        gaps = np.array([runs[run]["accuracy"] - results[PLAIN][run]["accuracy"] for run in shared])
        ours = f"{gaps.mean():>+10.3f}{gaps.std():>8.3f}{f'{int((gaps > 0).sum())} of {len(gaps)}':>11}"
        known = PUBLISHED[name].get("accuracy")
        paper = "" if known is None else f"{known - PUBLISHED[PLAIN]['accuracy']:>+11.3f}"
        lines.append(f"{name:<22}{ours}{paper}")
    if WHOLE in results:
        means = {n: float(np.mean([f["accuracy"] for f in runs.values()])) for n, runs in results.items()}
        place = sorted(means, key=lambda n: -means[n]).index(WHOLE) + 1
        lines.append(f"{WHOLE} comes {place}. of {len(means)} in mean accuracy; in the paper 1. of 9.")
    return "\n".join(lines)
