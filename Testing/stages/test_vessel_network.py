"""The vessel network behind its face: which of its classes is which vessel, at which level it looks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from LiverLesionAILib.case.anatomy import Vessel
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.stages.anatomy.face import LiverView
from LiverLesionAILib.volume.ct import Geometry

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

SPEC = InputSpec((2.5, 1.5, 1.5), (0.0, 200.0), 1, liver_hu=100.0)


class _Output(NamedTuple):
    logits: Any


class _ByBrightness(torch.nn.Module):
    """Classes 0 to 4 for pixels of -1, -0.5, 0, 0.5 and 1."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = torch.nn.Parameter(torch.linspace(-1, 1, 5).reshape(1, 5, 1, 1))

    def forward(self, images: Any, return_attention: bool = False) -> _Output:
        return _Output(-200 * (images - self.levels) ** 2)


def test_each_class_is_the_vessel_it_learnt() -> None:
    from LiverLesionAILib.stages.anatomy.families import SliceVessels

    # 40 HU below the level that the network learnt at: brought there before it looks.
    hu = np.array([0.0, 50, 100, 150, 200], np.float32) - 40
    hu_zyx = np.repeat(hu[None, :, None], 4, axis=2)
    inside = np.ones(hu_zyx.shape, bool)
    view = LiverView(Geometry.make(hu_zyx.shape, SPEC.spacing_zyx_mm), hu_zyx, inside, ~inside, 60.0)
    finder = SliceVessels(ModelEntry("v", "vessels", "unet", {}, SPEC, "", ""), _ByBrightness())
    assert finder.spacing_zyx_mm == SPEC.spacing_zyx_mm
    answer = finder.vessels(view)
    assert answer.kinds_zyx is not None
    found = {vessel: answer.kinds_zyx[vessel - 1, 0, :, 0] for vessel in Vessel}
    assert found[Vessel.PORTAL].tolist() == [0, 0, 255, 0, 0]
    assert found[Vessel.HEPATIC].tolist() == [0, 0, 0, 255, 0]
    assert found[Vessel.IVC].tolist() == [0, 0, 0, 0, 255]
    assert answer.vessel_zyx[0, :, 0].tolist() == [0, 0, 255, 255, 255]
    assert answer.contrast_hu == pytest.approx(50.0)
