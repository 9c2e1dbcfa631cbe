"""The class of every slice of a liver, as a strip beside its coronal slice, with examples."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..case.class_strip import ClassStrip
from ..case.colours import class_colour
from .attention import FAINT, GROUND, INK, fitted, grey, overlay
from .canvas import Canvas

WINDOW_HU = (-20.0, 200.0)
SCALE = 2.4
"""Pixels per mm of the coronal slice."""

STRIP_PX, BARS_PX, TILE_PX, PAD_PX, HEAD_PX = 34, 130, 230, 18, 62


def strip_picture(strip: ClassStrip, normal: str, said: str) -> NDArray[np.uint8]:
    """The picture.

    Args:
        normal: name of the class without a lesion, of which no example is shown.
        said: the strip in words, below the title.
    """
    coronal = _coronal(strip)
    examples = _examples(strip, normal)
    high = max(coronal.shape[0], len(examples) * (TILE_PX + PAD_PX), 7 * 26)
    left = coronal.shape[1] + STRIP_PX + BARS_PX + 3 * PAD_PX
    columns = 1 + len(strip.maps) if examples else 0
    canvas = Canvas(max(900, left + columns * (TILE_PX + 6) + PAD_PX), HEAD_PX + high + 3 * PAD_PX, GROUND)
    canvas.text(
        "Class of each slice, without any mask of a lesion", PAD_PX, 8, size=24, colour=INK, bold=True, halo=0
    )
    canvas.text(said, PAD_PX, 36, size=16, colour=FAINT, halo=0)
    top = HEAD_PX + PAD_PX
    canvas.paste(coronal, PAD_PX, top)
    canvas.text("S", PAD_PX + coronal.shape[1] / 2, top + 2, size=18, colour=INK, anchor=(0.5, 0), bold=True)
    canvas.text("R", PAD_PX + 4, top + coronal.shape[0] / 2, size=18, colour=INK, bold=True, anchor=(0, 0.5))
    _draw_strip(canvas, strip, PAD_PX + coronal.shape[1] + 4, top, coronal.shape[0])
    _draw_legend(canvas, strip, PAD_PX, top + coronal.shape[0] + 8)
    for number, place in enumerate(examples):
        _draw_example(canvas, strip, place, left, top + number * (TILE_PX + PAD_PX))
    return canvas.as_uint8()


def _coronal(strip: ClassStrip) -> NDArray[np.float32]:
    """The coronal slice with most liver, head up, (h, w, 3)."""
    row = int(strip.liver_zyx.sum(axis=(0, 2)).argmax())
    depth_mm, _, across_mm = strip.geometry.spacing_zyx_mm
    plane = grey(strip.hu_zyx[::-1, row], WINDOW_HU)
    high, wide = round(plane.shape[0] * depth_mm * SCALE), round(plane.shape[1] * across_mm * SCALE)
    rows = np.minimum(np.arange(high) / (depth_mm * SCALE), plane.shape[0] - 1).astype(int)
    columns = np.minimum(np.arange(wide) / (across_mm * SCALE), plane.shape[1] - 1).astype(int)
    return np.repeat(plane[rows][:, columns][..., None], 3, axis=2)


def _draw_strip(canvas: Canvas, strip: ClassStrip, x: float, top: float, high: int) -> None:
    """A cell for each slice at its height, and how probable its class is."""
    step = strip.geometry.spacing_zyx_mm[0] * SCALE
    depth = strip.hu_zyx.shape[0]
    for z, name, each in zip(strip.slices, strip.answers, strip.probabilities, strict=True):
        y = top + (depth - 1 - int(z)) * step
        canvas.rectangle(x, y, STRIP_PX, step, class_colour(name))
        canvas.rectangle(
            x + STRIP_PX + 6,
            y + 1,
            float(each.max()) * (BARS_PX - 30),
            max(1.0, step - 2),
            class_colour(name),
        )
    right = x + STRIP_PX + 6 + BARS_PX - 30
    canvas.line((right, top), (right, top + high), FAINT, width=1.0, dash=4)
    canvas.text("1", right, top - 2, size=14, colour=FAINT, anchor=(0.5, 1), halo=0)
    canvas.text("probability", x + STRIP_PX + 6, top - 2, size=14, colour=FAINT, anchor=(0, 1), halo=0)


def _draw_legend(canvas: Canvas, strip: ClassStrip, x: float, y: float) -> None:
    for name, count in strip.counts().items():
        canvas.rectangle(x, y, 14, 14, class_colour(name))
        text = f"{name} {count}"
        canvas.text(text, x + 19, y - 2, size=16, colour=INK, halo=0)
        x += 34 + 9 * len(text)


def _examples(strip: ClassStrip, normal: str) -> list[int]:
    """Places in the strip: of each lesion class the explained slice that is surest of it."""
    explained = set(strip.explained.tolist())
    found: dict[str, int] = {}
    for place, (z, name) in enumerate(zip(strip.slices, strip.answers, strict=True)):
        if name == normal or int(z) not in explained:
            continue
        best = found.get(name)
        if best is None or strip.probabilities[place].max() > strip.probabilities[best].max():
            found[name] = place
    return sorted(found.values(), key=lambda place: -float(strip.probabilities[place].max()))


def _draw_example(canvas: Canvas, strip: ClassStrip, place: int, x: int, y: int) -> None:
    z, name = int(strip.slices[place]), strip.answers[place]
    rows, columns = (np.flatnonzero(strip.liver_zyx[z].any(axis=axis)) for axis in (1, 0))
    cut = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    plane = grey(strip.hu_zyx[z][cut], WINDOW_HU)
    shown = [("CT", np.repeat(plane[..., None], 3, axis=2))]
    for kind, values in strip.maps.items():
        part = values[z][cut]
        shown.append((kind, overlay(plane, part / max(float(part.max()), 1e-12))))
    for number, (title, picture) in enumerate(shown):
        left = x + number * (TILE_PX + 6)
        canvas.paste(fitted(picture, TILE_PX, TILE_PX), left, y)
        canvas.text(title, left + 4, y + TILE_PX - 4, size=15, colour=INK, anchor=(0, 1))
    height = strip.heights_mm[place]
    said = f"S {height:.0f} mm: {name} {float(strip.probabilities[place].max()):.2f}"
    canvas.text(said, x + 4, y + 4, size=17, colour=class_colour(name), bold=True)
