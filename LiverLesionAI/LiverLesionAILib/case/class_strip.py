"""The classes of a liver's slices, and what speaks for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..volume.ct import Geometry


@dataclass(frozen=True, eq=False)
class ClassStrip:
    """The classes of a liver's slices.

    Attributes:
        model: name of the classifier's entry.
        classes: the first is "Normal".
        slices: of `geometry`, rising; those with less than 3 cm2 of liver are left out.
        probabilities: (n, classes), rows sum to 1.
        explained: the slices that the maps were made for.
        maps: kind ("Grad-CAM", "guided backpropagation", "guided Grad-CAM") -> float32 on `geometry`, 0..1 of
            the strongest in the liver; empty where not asked for.
        hu_zyx, liver_zyx, geometry: the classifier's grid; axes along L, P, S.
    """

    model: str
    classes: tuple[str, ...]
    slices: NDArray[np.intp]
    probabilities: NDArray[np.float32]
    explained: NDArray[np.intp]
    maps: dict[str, NDArray[np.float32]]
    hu_zyx: NDArray[np.float32]
    liver_zyx: NDArray[np.bool_]
    geometry: Geometry

    @property
    def heights_mm(self) -> NDArray[np.float64]:
        """Of the slices along the body, LPS z."""
        return np.array([self.geometry.index_to_lps((int(z), 0, 0))[2] for z in self.slices])

    @property
    def answers(self) -> tuple[str, ...]:
        """The most probable class of each slice."""
        return tuple(self.classes[int(n)] for n in self.probabilities.argmax(axis=1))

    def counts(self) -> dict[str, int]:
        """How many slices have each class; classes without one are left out."""
        answers = self.answers
        return {name: answers.count(name) for name in self.classes if name in answers}
