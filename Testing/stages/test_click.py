"""A lesion's outline by the network that answers clicks: its crops, channels, and the way back to the CT."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.networks import click_unet
from LiverLesionAILib.stages.detect.click_input import (
    CHANNELS,
    SCALES,
    Clicks,
    click_channel,
    click_crop,
    near_liver,
    network_input,
    scale_for,
)
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.overlap import dice

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

SPEC = InputSpec((2.0, 1.0, 1.0), (-100.0, 220.0), click_unet.DEPTH, 100.0)
EDGE = click_unet.EDGE
SHAPE, SPACING = (50, 120, 120), (2.5, 1.0, 1.0)
Z, Y, X = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]


def ball(at: tuple[int, int, int], radius_mm: float) -> np.ndarray:
    far = ((Z - at[0]) * SPACING[0]) ** 2 + ((Y - at[1]) * SPACING[1]) ** 2 + ((X - at[2]) * SPACING[2]) ** 2
    return far <= radius_mm**2


class Dark(torch.nn.Module):
    """In place of the network: what is 25 HU below the liver is lesion, but not round clicks beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> SimpleNamespace:
        _, narrow, _, _, beside, _ = x.reshape(len(x), CHANNELS, -1, *x.shape[2:]).unbind(dim=1)
        return SimpleNamespace(logits=torch.where((narrow < -0.5) & (beside < 0.3), 6.0, -6.0) + self.bias)


def liver_with(*lesions: np.ndarray) -> np.ndarray:
    hu = np.full(SHAPE, 60.0, np.float32)
    for lesion in lesions:
        hu[lesion] = 10
    return hu


def outlined(hu: np.ndarray, clicks: Clicks) -> np.ndarray | None:
    from LiverLesionAILib.stages.detect.click import outline

    return outline(Dark().eval(), SPEC, hu, SPACING, clicks, 60.0)


@pytest.mark.parametrize("radius_mm", [3.0, 8.0, 22.0, 42.0])
def test_lesions_of_any_size_are_outlined_at_the_scans_own_grid(radius_mm: float) -> None:
    lesion = ball((25, 60, 60), radius_mm)
    found = outlined(liver_with(lesion), Clicks(((25.0, 61.0, 59.0),)))
    assert found is not None and found.shape == SHAPE
    assert dice(found, lesion) > (0.75 if radius_mm < 5 else 0.88)


def test_only_what_was_clicked_on_is_outlined() -> None:
    one, other = ball((25, 60, 50), 7.0), ball((25, 60, 72), 7.0)
    found = outlined(liver_with(one, other), Clicks(((25.0, 60.0, 50.0),)))
    assert found is not None and dice(found, one) > 0.85 and not (found & other).any()
    both = outlined(liver_with(one, other), Clicks(((25.0, 60.0, 50.0), (25.0, 60.0, 72.0))))
    assert both is not None and dice(both, one | other) > 0.85
    less = outlined(liver_with(ball((25, 60, 60), 9.0)), Clicks(((25.0, 60.0, 60.0),), ((25.0, 60.0, 66.0),)))
    assert less is not None and less[25, 60, 57] and not less[25, 60, 66]


def test_where_the_network_sees_nothing_it_says_so() -> None:
    assert outlined(liver_with(), Clicks(((25.0, 60.0, 60.0),))) is None


def test_at_the_edge_of_the_ct_what_is_beyond_is_air() -> None:
    hu = np.full(SHAPE, 55.0, np.float32)
    crop = click_crop(hu, np.ones(SHAPE, np.float32), SPACING, (0.0, 0.0, 0.0), 1.0, SPEC, EDGE)
    assert crop.hu.shape == (SPEC.in_slices, EDGE, EDGE)
    assert (crop.hu[0] == -160).all() and (crop.probability[:, 0] == 0).all()
    assert crop.hu[-1, -1, -1] == pytest.approx(55) and crop.probability[-1, -1, -1] == pytest.approx(1)
    assert np.allclose(crop.inside_crop([(0.0, 0.0, 0.0)]), (np.array(crop.hu.shape) - 1) / 2)


def test_clicks_are_where_they_are() -> None:
    points = np.array([[4.0, 20.0, 30.0], [10.0, 5.0, 8.0]])
    channel = click_channel(points, (SPEC.in_slices, EDGE, EDGE), 2.0)
    assert channel[4, 20, 30] == 1 and channel[10, 5, 8] == 1 and 0 < channel[0, 47, 47] < 0.1
    assert channel[5, 20, 30] == pytest.approx(channel[4, 22, 30])
    assert not click_channel(np.zeros((0, 3)), (4, 8, 8), 2.0).any()
    hu = liver_with(ball((25, 60, 60), 7.0))
    crop = click_crop(hu, None, SPACING, (25.0, 60.0, 60.0), 2.0, SPEC, EDGE)
    seen = network_input(crop, Clicks(((25.0, 60.0, 60.0),)), SPEC, 40.0)
    assert seen.shape == (CHANNELS * SPEC.in_slices, EDGE, EDGE) and np.abs(seen).max() <= 2
    volumes = seen.reshape(CHANNELS, SPEC.in_slices, EDGE, EDGE)
    assert not volumes[2].any() and not volumes[4].any() and (volumes[5] == 1).all()
    assert volumes[1, 0, 0, 0] == 0, "liver at its level"
    assert np.unravel_index(volumes[3].argmax(), volumes[3].shape) in ((7, 23, 23), (8, 24, 24), (7, 23, 24))


def test_large_lesions_are_seen_at_a_coarser_scale() -> None:
    assert [scale_for((d, d, d), SPEC, EDGE) for d in (8.0, 19.0, 25.0, 50.0, 300.0)] == [
        1,
        1,
        2,
        4,
        SCALES[-1],
    ]


def test_a_lesion_may_reach_a_little_out_of_the_liver() -> None:
    near = near_liver(ball((25, 60, 60), 12.0), SPACING)
    assert near[25, 60, 60 + 21] and not near[25, 60, 60 + 24]
    assert not near_liver(np.zeros(SHAPE, bool), SPACING).any()


def test_the_network_answers_every_voxel_of_a_crop() -> None:
    network = click_unet.build(click_unet.SIZES["compact"]).eval()
    assert 0.2e6 < sum(p.numel() for p in network.parameters()) < 0.4e6
    with torch.inference_mode():
        out = network(torch.zeros(2, CHANNELS * 16, 32, 48)).logits
    assert out.shape == (2, 16, 32, 48)


class TestAskedByThePanel:
    """`analysis.clicked`: a part of a CT and clicks in mm, in; a mask on the part's own grid, out."""

    LESION = ball((25, 60, 50), 9.0)
    STORE = SimpleNamespace(
        manifest=SimpleNamespace(
            choose=lambda task, name: ModelEntry(name, task, "click_unet", {}, SPEC, "", "")
        ),
        network=lambda name, device, precision: Dark().eval(),
    )

    def ask(self, geometry: Geometry, hu: np.ndarray, index: tuple[int, int, int]) -> np.ndarray:
        from LiverLesionAILib.analysis.clicked import outline_clicked

        point = [float(v) for v in geometry.index_to_lps(index)]
        request = {"model": "click_unet", "device": "cpu", "precision": "float32", "level_hu": 60.0}
        clicks = {"inside_lps": [point], "outside_lps": []}
        return outline_clicked(CtVolume(hu, geometry), {**request, **clicks}, self.STORE).lesion_labels_zyx

    def test_on_the_ct_as_it_is_stored_and_turned_round(self) -> None:
        hu = liver_with(self.LESION)
        plain = self.ask(Geometry.make(SHAPE, SPACING, (5.0, -7.0, 30.0)), hu, (25, 60, 50))
        assert dice(plain > 0, self.LESION) > 0.88
        # A sagittal series: its slices are along x.
        turned = Geometry.make(
            (SHAPE[2], SHAPE[0], SHAPE[1]), (1.0, 2.5, 1.0), directions_lps=[[0, 0, 1], [1, 0, 0], [0, 1, 0]]
        )
        other = self.ask(turned, np.ascontiguousarray(hu.transpose(2, 0, 1)), (50, 25, 60))
        assert dice(other.transpose(1, 2, 0) > 0, self.LESION) > 0.88

    def test_a_click_elsewhere_is_refused_and_nothing_is_nothing(self) -> None:
        geometry = Geometry.make(SHAPE, SPACING)
        assert not self.ask(geometry, liver_with(), (25, 60, 50)).any()
        with pytest.raises(InputError, match="outside the CT"):
            self.ask(geometry, liver_with(), (60, 60, 50))
