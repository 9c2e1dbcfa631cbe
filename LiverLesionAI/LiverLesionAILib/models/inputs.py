"""What a network wants to see: grid, window and slice stacking, shared by training and inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..support.errors import InputError

OUTSIDE_HU = -160.0
"""Lowest HU that the training volumes hold; what lies outside an image counts as this."""

MOST_SHIFT_HU = 60.0
"""A CT's liver is moved to where networks learnt it by at most this; training does the same."""


@dataclass(frozen=True)
class InputSpec:
    """The input of a slice-stack ("2.5D") network.

    Attributes:
        spacing_zyx_mm: of the grid that the network works on.
        window_hu: clipped to this range, then scaled to -1..1.
        in_slices: neighbouring slices given as channels, odd; beyond the ends the last slice is repeated.
        magnify: slices are enlarged in plane by this factor (bilinear) before the network sees them, its
            output brought back: a small lesion then covers enough of the coarser levels' cells to be seen
            there. Costs nothing in storage, where a finer grid would.
        liver_hu: the CT is shifted so that its liver's level (:func:`liver_level_hu`) lies here before the
        window
            is applied, which takes away most of what phase, dose and scanner change; None shifts nothing.
    """

    spacing_zyx_mm: tuple[float, float, float]
    window_hu: tuple[float, float]
    in_slices: int
    liver_hu: float | None = None
    magnify: float = 1.0

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> InputSpec:
        """Inverse of :meth:`to_json`."""
        return cls(
            tuple(data["spacing_zyx_mm"]),
            tuple(data["window_hu"]),
            int(data["in_slices"]),
            data.get("liver_hu"),
            float(data.get("magnify", 1.0)),
        )

    def enlarged(self, scales: Mapping[str, Sequence[float]]) -> InputSpec:
        """The input as a detector reads a scan.

        Magnified further by the first of the scales for lesions, where there are any. Mask networks read
        several and take their mean; boxes have no mean.
        """
        return replace(self, magnify=self.magnify * scales.get("lesions", (1.0,))[0])

    def to_json(self) -> dict[str, Any]:
        """Plain types for the manifest."""
        return asdict(self)

    def normalise(self, hu: NDArray[Any]) -> NDArray[np.float32]:
        """HU to -1..1, any shape."""
        low, high = self.window_hu
        scaled = np.asarray(hu, np.float32) * np.float32(2 / (high - low)) - np.float32(
            (high + low) / (high - low)
        )
        clipped: NDArray[np.float32] = np.clip(scaled, np.float32(-1), np.float32(1))
        return clipped

    def shift_hu(self, level_hu: float) -> float:
        """What to add to a CT whose liver lies at `level_hu`; at most `MOST_SHIFT_HU` either way."""
        if self.liver_hu is None or not np.isfinite(level_hu):
            return 0.0
        return float(np.clip(self.liver_hu - level_hu, -MOST_SHIFT_HU, MOST_SHIFT_HU))

    def stack_indices(self, centres: NDArray[np.integer], n_slices: int) -> NDArray[np.intp]:
        """(B,) centre slices -> (B, in_slices) slice indices, clamped to the volume."""
        half = self.in_slices // 2
        return np.clip(np.asarray(centres)[:, None] + np.arange(-half, half + 1), 0, n_slices - 1)


def liver_level_hu(values_hu: NDArray[Any]) -> float:
    """The HU that most of a liver has.

    The peak of its smoothed histogram, which lesions and vessels do not move.

    Args:
        values_hu: HU of (roughly) the liver's voxels, any shape.

    Returns:
        HU; NaN where there are fewer than 100 values within -60..220 HU.
    """
    values = np.asarray(values_hu).ravel()
    counts, edges = np.histogram(values, bins=140, range=(-60.0, 220.0))
    if counts.sum() < 100:
        return float("nan")
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), 5.0)
    peak = int(smooth.argmax())
    return float((edges[peak] + edges[peak + 1]) / 2)


def parse_pyramid(text: str | None) -> tuple[float, ...] | None:
    """Scales of `--pyramid`, such as "0.5,1,1.5"; None where it was not given.

    Raises:
        InputError: anything but numbers from 0.2 to 3.
    """
    if text is None:
        return None
    try:
        scales = tuple(float(scale) for scale in text.split(","))
    except ValueError:
        scales = ()
    if not (scales and all(0.2 <= scale <= 3 for scale in scales)):
        raise InputError(f"--pyramid {text}: give scales between 0.2 and 3, such as 0.5,1,1.5.")
    return scales
