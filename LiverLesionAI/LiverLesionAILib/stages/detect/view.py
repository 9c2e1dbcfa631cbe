"""The part of a volume that a detector sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class View:
    """The part of a volume that a detector sees, and how large.

    Attributes:
        rows, columns: of every slice.
        slices: whose boxes are wanted; their neighbours are seen too.
    """

    rows: slice
    columns: slice
    slices: range


def view_around(
    near_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float], margin_mm: float = 10.0
) -> View | None:
    """The smallest view that holds a mask with a margin in plane; None for an empty mask."""
    used = [np.flatnonzero(near_zyx.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    if not used[0].size:
        return None
    spans = []
    for axis in (1, 2):
        margin = int(np.ceil(margin_mm / spacing_zyx_mm[axis]))
        low, high = int(used[axis][0]) - margin, int(used[axis][-1]) + 1 + margin
        spans.append(slice(max(0, low), min(near_zyx.shape[axis], high)))
    return View(spans[0], spans[1], range(int(used[0][0]), int(used[0][-1]) + 1))
