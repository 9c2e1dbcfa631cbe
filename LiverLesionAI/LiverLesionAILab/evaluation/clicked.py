"""What the network that answers clicks gives for a lesion of known outline, after one and two clicks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.stages.detect.click import outline
from LiverLesionAILib.stages.detect.click_input import Clicks, Point
from LiverLesionAILib.volume.masks import bounding_box, components
from LiverLesionAILib.volume.overlap import dice
from numpy.typing import NDArray
from scipy import ndimage

if TYPE_CHECKING:
    from torch import nn

Spacing = tuple[float, float, float]


@dataclass(frozen=True)
class ClickAnswer:
    """Dice with the truth after one and after two clicks, 0 where nothing is proposed.

    Attributes:
        second: where the second click went: "missing" (in the lesion), "too much" (beside it), "" for none.
        seconds: of processor time for the first click.
    """

    one: float
    two: float
    second: str
    seconds: float


@dataclass(frozen=True, eq=False)
class Clicker:
    """The network with what it sees.

    Attributes:
        network: eval mode; spec: its input.
    """

    network: nn.Module
    spec: InputSpec

    def answer(
        self,
        hu_zyx: NDArray,
        spacing: Spacing,
        lesion_zyx: NDArray[np.bool_],
        near_zyx: NDArray[np.bool_],
        level_hu: float,
        grown_zyx: NDArray[np.bool_],
    ) -> ClickAnswer:
        """A click where a lesion is deepest, and one in the largest error.

        Args:
            hu_zyx, lesion_zyx: the surroundings of a lesion in a CT, and the lesion.
            near_zyx: where a lesion may lie; level_hu: of the liver.
            grown_zyx: what is proposed where the network has no answer.
        """
        nothing = np.zeros(lesion_zyx.shape, bool)

        def proposed(clicks: Clicks) -> NDArray[np.bool_] | None:
            found = outline(self.network, self.spec, hu_zyx, spacing, clicks, level_hu)
            return None if found is None or not (found & near_zyx).any() else found & near_zyx

        point = _point(deepest(lesion_zyx, spacing))
        started = time.process_time()
        one = proposed(Clicks((point,))) if near_zyx[tuple(int(n) for n in point)] else nothing
        seconds = time.process_time() - started
        one = grown_zyx if one is None else one
        again = worst(one, lesion_zyx, spacing)
        if again is None:
            return ClickAnswer(1.0, 1.0, "", seconds)
        place, missing = again
        two = proposed(Clicks((point, place)) if missing else Clicks((point,), (place,)))
        second = "missing" if missing else "too much"
        return ClickAnswer(
            dice(one, lesion_zyx), dice(one if two is None else two, lesion_zyx), second, seconds
        )


def worst(drawn: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Spacing) -> tuple[Point, bool] | None:
    """Where a reader clicks next, deepest in the largest error, and whether lesion is missing there."""
    best, largest = None, 0
    for wrong, missing in ((truth & ~drawn, True), (drawn & ~truth, False)):
        pieces, count = components(wrong, 6)
        sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
        if count and int(sizes.max()) > largest:
            largest = int(sizes.max())
            best = _point(deepest(pieces == 1 + int(sizes.argmax()), spacing)), missing
    return best


def deepest(mask_zyx: NDArray[np.bool_], spacing_zyx_mm: Spacing) -> NDArray[np.int_]:
    """The voxel of a mask that is farthest from its edge."""
    where = bounding_box(mask_zyx)
    assert where is not None
    depth = ndimage.distance_transform_edt(np.pad(mask_zyx[where], 1), sampling=spacing_zyx_mm)
    inner = np.unravel_index(np.argmax(depth), depth.shape)
    return np.array([int(i) - 1 + s.start for i, s in zip(inner, where, strict=True)])


def _point(index: NDArray[np.int_]) -> Point:
    z, y, x = (float(n) for n in index)
    return z, y, x
