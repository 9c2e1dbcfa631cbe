"""What a network wants to see: grid, window and slice stacking, shared by training and inference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

AIR_HU = -160.0
"""Lowest HU that the training volumes hold; what lies outside an image counts as this."""


@dataclass(frozen=True)
class InputSpec:
    """The input of a slice-stack ("2.5D") network.

    Attributes:
        spacing_zyx_mm: of the grid that the network works on.
        window_hu: clipped to this range, then scaled to -1..1.
        in_slices: neighbouring slices given as channels, odd; beyond the ends the last slice is repeated.
    """

    spacing_zyx_mm: tuple[float, float, float]
    window_hu: tuple[float, float]
    in_slices: int

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> InputSpec:
        """Inverse of :meth:`to_json`."""
        return cls(tuple(data["spacing_zyx_mm"]), tuple(data["window_hu"]), int(data["in_slices"]))

    def to_json(self) -> dict[str, Any]:
        """Plain types for the manifest."""
        return asdict(self)

    def normalise(self, hu: NDArray) -> NDArray[np.float32]:
        """HU to -1..1, any shape."""
        low, high = self.window_hu
        scaled = np.asarray(hu, np.float32) * np.float32(2 / (high - low)) - np.float32(
            (high + low) / (high - low)
        )
        return np.clip(scaled, -1.0, 1.0, out=scaled)

    def stack_indices(self, centres: NDArray[np.integer], n_slices: int) -> NDArray[np.intp]:
        """(B,) centre slices -> (B, in_slices) slice indices, clamped to the volume."""
        half = self.in_slices // 2
        return np.clip(np.asarray(centres)[:, None] + np.arange(-half, half + 1), 0, n_slices - 1)
