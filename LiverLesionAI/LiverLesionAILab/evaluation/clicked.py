"""What the network that answers clicks gives for a lesion of known outline, after one and two clicks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.stages.detect.click import outline
from LiverLesionAILib.stages.detect.click_input import Clicks, Point
from LiverLesionAILib.volume.overlap import dice
from numpy.typing import NDArray

from ..training.click_places import worst

if TYPE_CHECKING:
    from LiverLesionAILib.stages.detect.star import Surroundings
    from torch import nn


@dataclass(frozen=True)
class ClickAnswer:
    """Dice with the truth after one and after two clicks.

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
    """The network; eval mode."""

    network: nn.Module

    def answer(
        self, seen: Surroundings, lesion_zyx: NDArray[np.bool_], drawn_zyx: NDArray[np.bool_], at: Point
    ) -> ClickAnswer:
        """A click in a lesion, and one in the largest error of the answer.

        Args:
            seen: the surroundings; lesion_zyx: the lesion, and drawn_zyx: what a click gives without the
                network, on their grid.
            at: voxel of the first click.
        """
        started = time.process_time()
        one = outline(self.network, seen, drawn_zyx, Clicks((at,)))
        seconds = time.process_time() - started
        again = worst(one, lesion_zyx, seen.spacing_zyx_mm)
        if again is None:
            return ClickAnswer(1.0, 1.0, "", seconds)
        place, missing = again
        clicks = Clicks((at, place)) if missing else Clicks((at,), (place,))
        two = outline(self.network, seen, one, clicks)
        return ClickAnswer(
            dice(one, lesion_zyx), dice(two, lesion_zyx), "missing" if missing else "too much", seconds
        )
