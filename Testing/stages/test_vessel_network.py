"""The vessel network behind its face: which of its classes is which vessel, at which level it looks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from LiverLesionAILib.case.anatomy import NAMED, Vessel
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.stages.anatomy.face import LiverView, VesselAnswer
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
    found = {vessel: answer.kinds_zyx[vessel - 1, 0, :, 0] for vessel in NAMED}
    assert found[Vessel.PORTAL].tolist() == [0, 0, 255, 0, 0]
    assert found[Vessel.HEPATIC].tolist() == [0, 0, 0, 255, 0]
    assert found[Vessel.IVC].tolist() == [0, 0, 0, 0, 255]
    assert answer.vessel_zyx[0, :, 0].tolist() == [0, 0, 255, 255, 255]
    assert answer.contrast_hu == pytest.approx(50.0)


class _Asked:
    """Says portal vein along the liver's right border, and cava below; notes what it was asked."""

    spacing_zyx_mm = (4.0, 2.0, 2.0)

    def __init__(self, kinds: bool = True) -> None:
        self.views: list[LiverView] = []
        self.kinds = kinds

    def vessels(self, view: LiverView, progress: Any = None) -> VesselAnswer:
        self.views.append(view)
        kinds = np.zeros((3, *view.geometry.shape_zyx), np.uint8)
        points = view.geometry.index_to_lps(np.moveaxis(np.indices(view.geometry.shape_zyx), 0, -1))
        kinds[Vessel.PORTAL - 1][points[..., 0] < 20] = 200
        return VesselAnswer(kinds.max(axis=0), kinds if self.kinds else None)


def test_a_network_is_asked_round_the_liver_and_answers_on_the_scans_own_grid() -> None:
    """The scan is stored from left to right and from the head down."""
    from LiverLesionAILib.stages.anatomy.network import vessel_probability

    turned = np.diag([-1.0, 1.0, -1.0])
    geometry = Geometry.make((40, 60, 60), (4.0, 2.0, 2.0), (118.0, 0.0, 156.0), turned)
    lps = np.moveaxis(geometry.index_to_lps(np.moveaxis(np.indices(geometry.shape_zyx), 0, -1)), -1, 0)
    liver = (lps[0] < 60) & (lps[1] < 50) & (lps[2] > 60) & (lps[2] < 120)
    lesions = liver & (lps[0] < 10) & (lps[1] < 10)
    hu = np.where(lesions, 900.0, np.where(liver, 105.0, -80.0)).astype(np.float32)
    finder = _Asked()
    found = vessel_probability(finder, hu, geometry, liver, lesions)
    (view,) = finder.views
    assert np.allclose(view.geometry.directions_lps, np.eye(3))
    assert view.geometry.shape_zyx[0] < 40 and view.geometry.spacing_zyx_mm == (4.0, 2.0, 2.0)
    assert view.level_hu == pytest.approx(105.0), "lesions do not count for the liver's level"
    near = (lps[0] < 19) & (lps[1] < 50) & (lps[2] > 60) & (lps[2] < 120)
    assert (found[Vessel.PORTAL][near & ~lesions] == 200).all()
    assert not found[Vessel.PORTAL][lps[0] > 21].any() and not found[Vessel.PORTAL][lesions].any()
    assert not found[Vessel.IVC].any()
    coarse = view.geometry.with_spacing((8.0, 4.0, 4.0))
    onto = vessel_probability(finder, hu, geometry, liver, lesions, onto=coarse)
    assert onto[Vessel.PORTAL].shape == coarse.shape_zyx and onto[Vessel.PORTAL].max() == 200
    none = np.zeros_like(liver)
    assert vessel_probability(finder, hu, geometry, none, none) == {}
    assert vessel_probability(finder, hu, geometry, liver, liver) == {}, "nothing but lesion"
    assert len(finder.views) == 2, "without a healthy liver nobody is asked"
    assert vessel_probability(_Asked(kinds=False), hu, geometry, liver, lesions) == {}
