"""Attention as pictures: maps over a slice, matrices of channels, gates and weights as bars, in tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas

TILE_PX = 300
"""Edge of a tile's picture."""

BARS_PX = 96
HEAD_PX = 30
GAP_PX = 10
GROUND, INK, FAINT, BAR = (0.08, 0.08, 0.09), (0.95, 0.95, 0.95), (0.66, 0.66, 0.68), (0.30, 0.62, 0.72)

_IRON = np.array(
    [
        (0.0, 0.0, 0.0),
        (0.24, 0.03, 0.46),
        (0.71, 0.12, 0.42),
        (0.96, 0.45, 0.13),
        (0.99, 0.83, 0.23),
        (1, 1, 0.9),
    ],
    np.float32,
)
"""Dark to bright in even steps of lightness."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One tile.

    Attributes:
        title: above it.
        picture: RGB (h, w, 3), 0..1; None for bars alone.
        bars: label -> value, drawn below, the highest of the height given by `full`; labels may be "".
        full: value of a bar that fills its place.
    """

    title: str
    picture: NDArray[np.float32] | None = None
    bars: Sequence[tuple[str, float]] = field(default_factory=tuple)
    full: float = 1.0


def iron(values: NDArray) -> NDArray[np.float32]:
    """Values 0..1 as colours, (..., 3)."""
    steps = np.linspace(0, 1, len(_IRON))
    clipped = np.clip(np.asarray(values, np.float32), 0, 1)
    return np.stack([np.interp(clipped, steps, _IRON[:, k]) for k in range(3)], axis=-1).astype(np.float32)


def grey(hu: NDArray, window_hu: tuple[float, float]) -> NDArray[np.float32]:
    """HU as grey, 0..1."""
    low, high = window_hu
    return np.clip((np.asarray(hu, np.float32) - low) / (high - low), 0, 1)


def overlay(
    grey_yx: NDArray, map_yx: NDArray, point_yx: tuple[int, int] | None = None, least: float = 0.08
) -> NDArray[np.float32]:
    """A map 0..1 over a grey slice: clear where it is low, in colour where it is high; a cross at a point."""
    values = np.clip(np.asarray(map_yx, np.float32), 0, 1)
    share = np.clip((values - least) / 0.3, 0, 0.75)[..., None]
    mixed = (1 - share) * np.repeat(np.asarray(grey_yx, np.float32)[..., None], 3, axis=2) + share * iron(
        values
    )
    if point_yx is not None:
        y, x = point_yx
        for step in range(2, 6):
            for dy, dx in ((step, 0), (-step, 0), (0, step), (0, -step)):
                if 0 <= y + dy < mixed.shape[0] and 0 <= x + dx < mixed.shape[1]:
                    mixed[y + dy, x + dx] = (0.2, 1.0, 0.9)
    return mixed.astype(np.float32)


def matrix_picture(matrix: NDArray) -> NDArray[np.float32]:
    """A matrix of channels in colours, from 0 to its 99.5th percentile; rows gather from columns."""
    values = np.asarray(matrix, np.float32)
    return iron(values / max(float(np.percentile(values, 99.5)), 1e-12))


def fitted(rgb: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """A picture in a box, its shape kept, by nearest pixels: cells stay cells."""
    scale = min(width / rgb.shape[1], height / rgb.shape[0])
    wide, high = max(1, round(rgb.shape[1] * scale)), max(1, round(rgb.shape[0] * scale))
    rows = np.minimum((np.arange(high) + 0.5) / scale, rgb.shape[0] - 1).astype(int)
    columns = np.minimum((np.arange(wide) + 0.5) / scale, rgb.shape[1] - 1).astype(int)
    out = np.empty((height, width, 3), np.float32)
    out[:] = GROUND
    top, left = (height - high) // 2, (width - wide) // 2
    out[top : top + high, left : left + wide] = rgb[rows][:, columns]
    return out


def tiles_picture(tiles: Sequence[Tile], columns: int = 4) -> NDArray[np.uint8]:
    """Tiles in rows of up to `columns`."""
    wide = min(columns, len(tiles))
    lines = -(-len(tiles) // wide)
    picture = TILE_PX if any(tile.picture is not None for tile in tiles) else 0
    bars = BARS_PX if any(tile.bars for tile in tiles) else 0
    step_x, step_y = TILE_PX + GAP_PX, HEAD_PX + picture + bars + GAP_PX
    canvas = Canvas(wide * step_x + GAP_PX, lines * step_y + GAP_PX, GROUND)
    for number, tile in enumerate(tiles):
        x, y = GAP_PX + number % wide * step_x, GAP_PX + number // wide * step_y
        canvas.text(tile.title, x, y + 2, size=19, colour=INK, halo=0)
        if tile.picture is not None:
            canvas.paste(fitted(tile.picture, TILE_PX, TILE_PX), x, y + HEAD_PX)
        if tile.bars:
            _draw_bars(canvas, tile, x, y + HEAD_PX + picture)
    return canvas.as_uint8()


def _draw_bars(canvas: Canvas, tile: Tile, x: int, y: int) -> None:
    """Bars side by side, labels below where there is room, values above where there are few."""
    few = len(tile.bars) <= 7
    top, base = y + (20 if few else 6), y + BARS_PX - 22
    step = TILE_PX / len(tile.bars)
    for number, (label, value) in enumerate(tile.bars):
        high = max(1, round((base - top) * min(1.0, max(0.0, value / tile.full))))
        left = x + number * step
        canvas.rectangle(left + 0.1 * step, base - high, max(1.0, 0.8 * step), high, BAR)
        middle = left + step / 2
        if few:
            canvas.text(
                f"{value:.2f}", middle, base - high - 2, size=15, colour=FAINT, anchor=(0.5, 1), halo=0
            )
            canvas.text(label, middle, base + 3, size=15, colour=FAINT, anchor=(0.5, 0), halo=0)
    canvas.line((x, base), (x + TILE_PX, base), FAINT, width=1.0)
    if not few:
        label = f"{len(tile.bars)} channels, highest first; full height {tile.full:.2g}"
        canvas.text(label, x, base + 3, size=15, colour=FAINT, halo=0)


def bars_of(values: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Named bars in the order given."""
    return tuple(values.items())


def sorted_bars(values: NDArray) -> tuple[tuple[str, float], ...]:
    """Bars without names, highest first."""
    return tuple(("", float(value)) for value in np.sort(np.asarray(values, float))[::-1])
