"""Where points of one scan lie in another, on a coarse lattice: a registration small enough to be kept."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .geometry import Geometry, Vec3, triple
from .masks import bounding_box

LATTICE_MM = 8.0
MARGIN_MM = 40.0
STEP_MM = 0.02
"""Shifts are kept to this."""
SETTLED_MM, MOST_STEPS = 0.1, 60


class Movement(Protocol):
    """What a registration says of points."""

    def points(self, points_lps: NDArray[Any]) -> NDArray[np.float64]:
        """(n, 3) points of the first scan in the second, LPS mm."""


def came_from(point_lps: NDArray[np.float64], movement: Movement) -> NDArray[np.float64] | None:
    """The first scan's point that lies at one of the second, by iteration; None where it does not settle."""
    guess: NDArray[np.float64] = np.array(point_lps, np.float64)
    for _ in range(MOST_STEPS):
        step = movement.points(guess[None])[0] - point_lps
        guess = guess - step
        if np.abs(step).max() < SETTLED_MM:
            return guess
    return None


@dataclass(frozen=True, eq=False)
class PointMap:
    """From one scan's patient space to another's.

    Attributes:
        lattice: around the liver of the first scan.
        shifts_lps: (z, y, x, 3), mm: how far a lattice point moves along each axis of LPS.
    """

    lattice: Geometry
    shifts_lps: NDArray[np.float32]

    @classmethod
    def sampled(
        cls, points: Callable[[NDArray[Any]], NDArray[Any]], liver_zyx: NDArray[np.bool_], geometry: Geometry
    ) -> PointMap:
        """A transform of points, sampled around a liver.

        Args:
            points: (n, 3) LPS mm -> (n, 3) LPS mm.

        Raises:
            ValueError: the mask is empty.
        """
        box, coarse = bounding_box(liver_zyx), geometry.with_spacing((LATTICE_MM,) * 3)
        if box is None:
            raise ValueError("no liver to follow")
        ends = [[s.start - 0.5 for s in box], [s.stop - 0.5 for s in box]]
        low, high = np.asarray(coarse.lps_to_index(geometry.index_to_lps(ends)))
        margin = np.ceil(MARGIN_MM / LATTICE_MM)
        lattice = coarse.cropped(np.floor(low - margin).astype(int), np.ceil(high + margin + 1).astype(int))
        index = np.moveaxis(np.indices(lattice.shape_zyx), 0, -1).reshape(-1, 3)
        here = np.asarray(lattice.index_to_lps(index))
        shifts = (np.asarray(points(here)) - here).reshape(*lattice.shape_zyx, 3)
        return cls(lattice, shifts.astype(np.float32))

    def points(self, points_lps: NDArray[Any]) -> NDArray[np.float64]:
        """(n, 3) points of the first scan in the second, LPS mm; outside of the lattice as at its edge."""
        here = np.atleast_2d(np.asarray(points_lps, float))
        index = np.asarray(self.lattice.lps_to_index(here)).T
        moved = [
            ndimage.map_coordinates(self.shifts_lps[..., axis], index, order=1, mode="nearest")
            for axis in range(3)
        ]
        there: NDArray[np.float64] = here + np.stack(moved, axis=-1)
        return there

    def back(self, point_lps: Vec3) -> Vec3 | None:
        """The first scan's point that lies at one of the second; None where that does not settle."""
        found = came_from(np.asarray(point_lps, float), self)
        return None if found is None else triple(found)

    @property
    def text(self) -> str:
        """To be kept with a scene; some hundred kilobytes."""
        grid = self.lattice
        steps = np.clip(np.rint(self.shifts_lps / STEP_MM), -32768, 32767).astype("<i2")
        return json.dumps({
            "shape_zyx": grid.shape_zyx,
            "spacing_zyx_mm": grid.spacing_zyx_mm,
            "origin_lps": grid.origin_lps,
            "directions_lps": np.asarray(grid.directions_lps).ravel().tolist(),
            "step_mm": STEP_MM,
            "steps": base64.b64encode(zlib.compress(steps.tobytes(), 9)).decode("ascii"),
        })  # fmt: skip

    @classmethod
    def from_text(cls, text: str) -> PointMap | None:
        """The way back from :attr:`text`; None where it is damaged."""
        try:
            known = json.loads(text)
            grid = Geometry.make(
                known["shape_zyx"], known["spacing_zyx_mm"], known["origin_lps"], known["directions_lps"]
            )
            steps = np.frombuffer(zlib.decompress(base64.b64decode(known["steps"])), "<i2")
            shifts = steps.reshape(*grid.shape_zyx, 3).astype(np.float32) * float(known["step_mm"])
        except (ValueError, KeyError, TypeError, zlib.error):
            return None
        return cls(grid, shifts)
