"""Figures of an evaluation, with matplotlib and without its global state.

Every function returns a `matplotlib.figure.Figure`; :func:`png_bytes` turns one into a file. Colours are
distinguishable for colour-blind readers (Okabe and Ito).
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..metrics.bands import DETECTION_BANDS
from ..metrics.bootstrap import ratio_interval
from ..metrics.classification import ClassificationScores
from ..metrics.freeresponse import FreeResponse
from .cases import CaseRow
from .pictures import CasePicture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
MARKERS = "osD^vPX"
REFERENCE_COLOUR, PREDICTED_COLOUR = "#56B4E9", "#E69F00"
DPI = 110


def png_bytes(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def jpeg_bytes(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as a JPEG file, a fifth of the PNG's size where a CT slice fills it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="jpg", dpi=dpi, pil_kwargs={"quality": 88})
    return buffer.getvalue()


def froc_figure(curves: Mapping[str, FreeResponse], unit: str, rates: Sequence[float]) -> Figure:
    """Free-response curves with a logarithmic axis of false findings; each ends where its scores do.

    Args:
        curves: method -> curve.
        unit: "scan" or "image".
        rates: where the protocol reads the curves; marked.
    """
    figure, axes = _new(5.6, 4.0)
    low, high = min(rates) / 2, max(rates) * 1.5
    for colour, (method, curve) in zip(COLOURS, curves.items(), strict=False):
        x = np.maximum(curve.false_per_unit, low)
        axes.step(
            x, curve.sensitivity, where="post", color=colour, label=f"{method} ({curve.n_lesions} lesions)"
        )
        shown = [r for r in rates if r <= curve.false_per_unit[-1]]
        axes.plot(shown, [curve.at(r) for r in shown], "o", color=colour, markersize=4)
        axes.plot(x[-1:], curve.sensitivity[-1:], "|", color=colour, markersize=9)
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high)
    axes.set_xticks(list(rates), [f"{r:g}" for r in rates])
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(f"false findings per {unit}")
    axes.set_ylabel("share of lesions found")
    axes.legend(loc="lower right", fontsize=8)
    return figure


def size_figure(methods: Mapping[str, Sequence[CaseRow]], *, seed: int = 0, n_draws: int = 1000) -> Figure:
    """Share of lesions found by size, with 95 % intervals over patients; the numbers are lesions."""
    figure, axes = _new(5.6, 3.6)
    first = next(iter(methods.values()))
    there = {
        b: [sum(b.holds(x.diameter_mm) for x in r.lesions.reference) for r in first] for b in DETECTION_BANDS
    }
    bands = [b for b in DETECTION_BANDS if sum(there[b])]
    width = 0.8 / len(methods)
    for k, (colour, (method, rows)) in enumerate(zip(COLOURS, methods.items(), strict=False)):
        patients = [row.patient for row in rows]
        for i, band in enumerate(bands):
            found = [sum(band.holds(x.diameter_mm) and x.found for x in r.lesions.reference) for r in rows]
            share = ratio_interval(found, there[band], patients, seed=seed, n_draws=n_draws)
            x = i + (k - (len(methods) - 1) / 2) * width
            axes.bar(x, share.value, width * 0.92, color=colour, label=method if i == 0 else None)
            if not math.isnan(share.low):
                axes.vlines(x, share.low, share.high, color="black", linewidth=1)
    axes.set_xticks(range(len(bands)), [f"{b.name}\n(n = {sum(there[b])})" for b in bands])
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share of lesions found")
    if len(methods) > 1:
        figure.legend(loc="outside upper right", ncols=len(methods), fontsize=8)
    return figure


def cases_figure(methods: Mapping[str, Sequence[CaseRow]]) -> Figure:
    """Tumour Dice of every scan, scans ordered by the first method."""
    first = next(iter(methods.values()))
    order = [row.name for row in sorted(first, key=lambda row: row.tumour.dice)]
    figure, axes = _new(max(5.6, 0.16 * len(order) + 2.0), 3.6)
    for colour, marker, (method, rows) in zip(COLOURS, MARKERS, methods.items(), strict=False):
        values = {row.name: row.tumour.dice for row in rows}
        axes.plot(
            range(len(order)), [values[n] for n in order], marker, color=colour, markersize=5, label=method
        )
    axes.set_xticks(range(len(order)), order, rotation=90 if len(order) > 8 else 0, fontsize=7)
    axes.set_ylim(-0.02, 1.02)
    axes.set_ylabel("tumour Dice")
    axes.legend(fontsize=8)
    return figure


def limits_of_agreement(difference: ArrayLike) -> tuple[float, float, float]:
    """(bias, lower, upper): mean of differences, and that -+ 1.96 sample standard deviations.

    Bland and Altman 1986. NaN for what takes more differences than there are.
    """
    difference = np.asarray(difference, float)
    if difference.size == 0:
        return math.nan, math.nan, math.nan
    bias = float(difference.mean())
    spread = 1.96 * float(difference.std(ddof=1)) if difference.size > 1 else math.nan
    return bias, bias - spread, bias + spread


def bland_altman_figure(
    pairs: Mapping[str, tuple[ArrayLike, ArrayLike]], quantity: str, unit: str, *, relative: bool = False
) -> Figure:
    """Differences between method and reference against their mean, with bias and 95 % limits of agreement.

    Args:
        pairs: method -> (reference, predicted), one positive value per found lesion or scan.
        quantity: "lesion volume"; unit: "mL".
        relative: differences in per cent of the mean, for quantities over several orders of magnitude.
    """
    figure, axes = _new(5.6, 3.8)
    means: list[float] = []
    reach = 1.0 if relative else 0.0
    shown_unit = "%" if relative else unit
    for colour, marker, (method, (reference, predicted)) in zip(
        COLOURS, MARKERS, pairs.items(), strict=False
    ):
        a, b = np.asarray(reference, float), np.asarray(predicted, float)
        mean = (a + b) / 2
        difference = 100 * (b - a) / mean if relative else b - a
        bias, low, high = limits_of_agreement(difference)
        label = f"{method}: {bias:+.1f} {shown_unit}"
        if not math.isnan(low):
            label += f" ({low:+.1f} to {high:+.1f})"
        axes.plot(mean, difference, marker, color=colour, markersize=4, alpha=0.7, label=label)
        for value, style in ((bias, "-"), (low, "--"), (high, "--")):
            if not math.isnan(value):
                axes.axhline(value, color=colour, linestyle=style, linewidth=1)
                reach = max(reach, abs(value))
        means.extend(mean.tolist())
        reach = max(reach, float(np.abs(difference).max(initial=0.0)))
    axes.axhline(0, color="grey", linewidth=0.6)
    if means and max(means) > 30 * min(means) > 0:
        axes.set_xscale("log")
    if not relative:
        reach = max(reach, 0.01 * max(means, default=1.0))
    axes.set_ylim(-1.15 * reach, 1.15 * reach)
    axes.set_xlabel(f"mean of reference and method, {quantity}, {unit}")
    axes.set_ylabel(f"method - reference, {shown_unit}" + (" of the mean" if relative else ""))
    figure.legend(
        loc="outside upper left", fontsize=8, title="bias (95 % limits of agreement)", title_fontsize=8
    )
    return figure


def lesion_pairs(
    methods: Mapping[str, Sequence[CaseRow]], of: str
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """(reference, predicted) of every found lesion: `of` is "volume" (mL) or "long axis" (mm)."""
    names = {"volume": ("volume_ml", "predicted_ml"), "long axis": ("long_axis_mm", "predicted_axis_mm")}[of]
    result = {}
    for method, rows in methods.items():
        found = [x for row in rows for x in row.lesions.reference if x.found]
        columns = [np.array([getattr(x, name) for x in found], float) for name in names]
        known = ~np.isnan(columns[0]) & ~np.isnan(columns[1])
        result[method] = (columns[0][known], columns[1][known])
    return result


def confusion_figure(scores: ClassificationScores, title: str = "") -> Figure:
    """The confusion matrix; colours are shares of the true class, numbers are counts."""
    n = len(scores.classes)
    figure, axes = _new(1.6 + 0.72 * n, 1.2 + 0.62 * n)
    shares = scores.confusion / np.maximum(scores.confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i in range(n):
        for j in range(n):
            colour = "white" if shares[i, j] > 0.55 else "black"
            axes.text(j, i, str(scores.confusion[i, j]), ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(n), scores.classes, fontsize=8)
    axes.set_yticks(range(n), scores.classes, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize=9)
    axes.grid(False)
    return figure


def reliability_figure(methods: Mapping[str, ClassificationScores]) -> Figure:
    """How often predictions of a confidence are right; marker areas are shares of the examples."""
    figure, axes = _new(4.2, 4.0)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for colour, (method, scores) in zip(COLOURS, methods.items(), strict=False):
        if not scores.reliability:
            continue
        x = [b.confidence for b in scores.reliability]
        y = [b.accuracy for b in scores.reliability]
        n = np.array([b.n for b in scores.reliability])
        axes.plot(x, y, color=colour, linewidth=1, label=f"{method} (error {scores.calibration_error:.3f})")
        axes.scatter(x, y, s=10 + 150 * n / n.sum(), color=colour, alpha=0.7)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("confidence")
    axes.set_ylabel("share that is right")
    axes.legend(fontsize=8, loc="upper left")
    return figure


def overlay_figure(picture: CasePicture) -> Figure:
    """A slice with the outlines of reference and method; tumours solid, livers dotted."""
    rows, columns = picture.grey_yx.shape
    height_mm, width_mm = rows * picture.spacing_yx_mm[0], columns * picture.spacing_yx_mm[1]
    figure = _figure(4.0, 4.0 * height_mm / width_mm)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture.grey_yx, cmap="gray", vmin=0, vmax=255, aspect="auto")
    for labels, colour in (
        (picture.reference_yx, REFERENCE_COLOUR),
        (picture.predicted_yx, PREDICTED_COLOUR),
    ):
        for least, style, width in ((1, "dotted", 0.9), (2, "solid", 1.3)):
            mask = (labels >= least).astype(float)
            if mask.any():
                # A frame of zeros closes outlines that leave the crop.
                framed = np.pad(mask, 1)
                y, x = np.arange(-1, rows + 1), np.arange(-1, columns + 1)
                axes.contour(x, y, framed, levels=[0.5], colors=[colour], linestyles=style, linewidths=width)
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.axis("off")
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def _new(width: float, height: float) -> tuple[Figure, Axes]:
    figure = _figure(width, height)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    axes.grid(True, linewidth=0.4, alpha=0.5)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes
