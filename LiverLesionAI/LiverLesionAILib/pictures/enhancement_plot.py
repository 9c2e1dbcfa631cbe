"""A lesion's density over the contrast phases beside liver, aorta and vena cava, as a small picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..case.colours import Colour
from ..case.enhancement import CURVES, Enhancement
from .canvas import Canvas

WIDTH, HEIGHT = 420, 260
LEFT, TOP, RIGHT, BOTTOM = 46, 16, 96, 36
"""Margins of the plot, pixels."""

_INK: Colour = (0.13, 0.13, 0.13)
_PALE: Colour = (0.86, 0.86, 0.86)
COLOURS: Mapping[str, Colour] = {
    "lesion": (0.10, 0.10, 0.10),
    "liver": (0.62, 0.38, 0.12),
    "aorta": (0.80, 0.12, 0.16),
    "cava": (0.16, 0.36, 0.75),
}
NAMES = {"lesion": "lesion", "liver": "liver", "aorta": "aorta", "cava": "vena cava"}


def enhancement_plot(
    one: Enhancement, colour: Colour | None = None, words: Mapping[str, str] | None = None
) -> NDArray[np.uint8] | None:
    """The picture, (260, 420, 3); None with less than two phases, which are no curve.

    Phases stand side by side at even distances: their times after the injection are not known.

    Args:
        colour: of the lesion in the views; None draws it black.
        words: names of phases (by value) and curves in another language.
    """
    if len(one.levels) < 2:
        return None
    words = words or {}
    values = [level.curve(name) for level in one.levels for name in CURVES]
    known = [v for v in values if math.isfinite(v)]
    low = min(0.0, 50 * math.floor(min(known) / 50))
    high = max(150.0, 50 * math.ceil(max(known) / 50))
    canvas = Canvas(WIDTH, HEIGHT, (1.0, 1.0, 1.0))

    def y_of(hu: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - hu) / (high - low)

    inner = WIDTH - LEFT - RIGHT
    xs = [LEFT + inner * (k + 0.5) / len(one.levels) for k in range(len(one.levels))]
    step = 50 if high - low <= 300 else 100
    for hu in np.arange(low, high + 1, step):
        canvas.line((LEFT, y_of(hu)), (LEFT + inner, y_of(hu)), _PALE, width=1)
        _say(canvas, f"{hu:.0f}", LEFT - 5, y_of(hu), (1.0, 0.5))
    _say(canvas, "HU", 4, HEIGHT - BOTTOM + 8, (0.0, 0.0))
    for x, level in zip(xs, one.levels, strict=True):
        _say(canvas, words.get(level.phase.value, level.phase.value), x, HEIGHT - BOTTOM + 8, (0.5, 0.0))
    _curves(canvas, one, xs, y_of, {**COLOURS, "lesion": colour or COLOURS["lesion"]}, words)
    return canvas.as_uint8()


def _curves(
    canvas: Canvas,
    one: Enhancement,
    xs: list[float],
    y_of: Callable[[float], float],
    colours: Mapping[str, Colour],
    words: Mapping[str, str],
) -> None:
    """The lines with their names at the right end, moved apart where they would lie on each other."""
    names = []
    for name in reversed(CURVES):
        points = [
            (x, y_of(level.curve(name)))
            for x, level in zip(xs, one.levels, strict=True)
            if math.isfinite(level.curve(name))
        ]
        width = 3.2 if name == "lesion" else 1.8
        for start, end in pairwise(points):
            canvas.line(start, end, colours[name], width=width)
        for x, y in points:
            canvas.rectangle(x - 3, y - 3, 6, 6, colours[name])
        if points:
            names.append((points[-1][1], name))
    last = -math.inf
    for y, name in sorted(names):
        last = max(y, last + 17)
        said = words.get(name, NAMES[name])
        canvas.text(
            said, xs[-1] + 12, last, size=17, colour=colours[name], anchor=(0.0, 0.5), halo=0, bold=True
        )


def _say(canvas: Canvas, said: str, x: float, y: float, anchor: tuple[float, float]) -> None:
    canvas.text(said, x, y, size=16, colour=_INK, anchor=anchor, halo=0)
