"""The part of a volume that a detector sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...volume.masks import bounding_box


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
    box = bounding_box(near_zyx, [0, *(int(np.ceil(margin_mm / s)) for s in spacing_zyx_mm[1:])])
    return None if box is None else View(box[1], box[2], range(box[0].start, box[0].stop))
