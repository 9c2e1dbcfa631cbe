"""A lesion's outline mended by the network for clicks: its crops, channels, and the way back to the CT."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.networks import click_unet
from LiverLesionAILib.stages.detect.click_input import (
    CHANNELS,
    DEPTH,
    DISTANCE,
    EDGE,
    FINEST_MM,
    Clicks,
    click_channel,
    crop_grid,
    distance_channel,
    near_liver,
    stacked,
)
from LiverLesionAILib.stages.detect.star import LiverLevel, Surroundings
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.crops import Mask
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.overlap import dice
from LiverLesionAILib.volume.packed_mask import pack_mask

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.stages.detect.click import LEAST, outline

SHAPE, SPACING = (50, 120, 120), (2.5, 1.0, 1.0)
Z, Y, X = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
LEVEL = LiverLevel(60.0, 10.0)


def ball(at: tuple[int, int, int], radius_mm: float) -> np.ndarray:
    far = ((Z - at[0]) * SPACING[0]) ** 2 + ((Y - at[1]) * SPACING[1]) ** 2 + ((X - at[2]) * SPACING[2]) ** 2
    return far <= radius_mm**2


class Dark(torch.nn.Module):
    """In place of the network: what is 25 HU below the liver is lesion, but not round clicks beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> SimpleNamespace:
        volumes = x.reshape(len(x), CHANNELS, -1, *x.shape[2:])
        narrow, beside = volumes[:, 1], volumes[:, 6]
        return SimpleNamespace(logits=torch.where((narrow < -0.5) & (beside < 0.3), 6.0, -6.0) + self.bias)


class Outline(torch.nn.Module):
    """In place of the network: it leaves the outline as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> SimpleNamespace:
        volumes = x.reshape(len(x), CHANNELS, -1, *x.shape[2:])
        return SimpleNamespace(logits=3 * volumes[:, DISTANCE] + LEAST + self.bias)


def liver_with(*lesions: np.ndarray) -> np.ndarray:
    hu = np.full(SHAPE, 60.0, np.float32)
    for lesion in lesions:
        hu[lesion] = 10
    return hu


def surroundings(hu: np.ndarray, near: np.ndarray | None = None) -> Surroundings:
    return Surroundings(hu, SPACING, np.ones(SHAPE, bool) if near is None else near, LEVEL)


def outlined(hu: np.ndarray, drawn: np.ndarray, clicks: Clicks, network: torch.nn.Module | None = None):
    return outline((network or Dark()).eval(), surroundings(hu), drawn, clicks)


@pytest.mark.parametrize("radius_mm", [3.0, 8.0, 22.0, 42.0])
def test_lesions_of_any_size_are_mended_at_the_scans_own_grid(radius_mm: float) -> None:
    lesion = ball((25, 60, 60), radius_mm)
    found = outlined(liver_with(lesion), ball((25, 61, 59), 0.7 * radius_mm), Clicks(((25.0, 61.0, 59.0),)))
    assert found.shape == SHAPE and dice(found, lesion) > (0.75 if radius_mm < 5 else 0.9)


@pytest.mark.parametrize("radius_mm", [3.0, 8.0, 22.0, 42.0])
def test_an_outline_goes_to_the_network_and_back_as_it_is(radius_mm: float) -> None:
    lesion = ball((25, 60, 60), radius_mm)
    back = outlined(liver_with(lesion), lesion, Clicks(((25.0, 60.0, 60.0),)), Outline())
    assert dice(back, lesion) > (0.9 if radius_mm < 5 else 0.97)


def test_only_what_was_clicked_on_is_outlined() -> None:
    one, other = ball((25, 60, 50), 7.0), ball((25, 60, 72), 7.0)
    found = outlined(liver_with(one, other), one, Clicks(((25.0, 60.0, 50.0),)))
    assert dice(found, one) > 0.85 and not (found & other).any()
    both = outlined(liver_with(one, other), one, Clicks(((25.0, 60.0, 50.0), (25.0, 60.0, 72.0))))
    assert dice(both, one | other) > 0.85
    wide = ball((25, 60, 60), 9.0)
    less = outlined(liver_with(wide), wide, Clicks(((25.0, 60.0, 60.0),), ((25.0, 60.0, 66.0),)))
    assert less[25, 60, 57] and not less[25, 60, 66]


def test_where_the_network_sees_nothing_what_is_drawn_stays_within_reach_of_the_liver() -> None:
    drawn, near = ball((25, 60, 60), 6.0), np.broadcast_to(X < 62, SHAPE)
    found = outline(Dark().eval(), surroundings(liver_with(), near), drawn, Clicks(((25.0, 60.0, 60.0),)))
    assert np.array_equal(found, drawn & near)
    lesion = liver_with(ball((25, 60, 60), 8.0))
    cut = outline(Dark().eval(), surroundings(lesion, near), drawn, Clicks(((25.0, 60.0, 60.0),)))
    assert cut.any() and not (cut & ~near).any()


def test_an_outline_fills_half_of_its_crop_and_clicks_are_in_it() -> None:
    click = Clicks(((25.0, 60.0, 60.0),))
    small, large = (crop_grid(ball((25, 60, 60), r), click, SPACING) for r in (4.0, 24.0))
    assert small.pixel_mm == FINEST_MM and large.pixel_mm == pytest.approx(49 / 24)
    assert small.depth_mm == 2.5 and small.first[0] == round(small.first[0]), "slices as they are"
    assert large.depth_mm > 5
    far = crop_grid(ball((25, 60, 60), 4.0), Clicks(click.inside, ((25.0, 60.0, 90.0),)), SPACING)
    (at,) = far.inside_crop([(25.0, 60.0, 90.0)])
    assert (at >= 0).all() and (at < (DEPTH, EDGE, EDGE)).all()
    nothing = crop_grid(np.zeros(SHAPE, bool), click, SPACING)
    assert nothing.pixel_mm == FINEST_MM
    assert (distance_channel(np.zeros(SHAPE, bool), nothing) == -1).all()


def test_the_outlines_channel_is_the_signed_distance_in_pixels() -> None:
    lesion = ball((25, 60, 60), 24.0)
    grid = crop_grid(lesion, Clicks(((25.0, 60.0, 60.0),)), SPACING)
    channel = distance_channel(lesion, grid)
    assert channel.min() == -1 and channel.max() == 1
    (at,) = np.round(grid.inside_crop([(25.0, 60.0, 60.0 + 24.0 - 3 * grid.pixel_mm)])).astype(int)
    assert channel[tuple(at)] == pytest.approx(3 / 6, abs=0.12)


def test_at_the_edge_of_the_ct_what_is_beyond_is_air() -> None:
    hu = np.full(SHAPE, 55.0, np.float32)
    grid = crop_grid(np.zeros(SHAPE, bool), Clicks(((0.0, 0.0, 0.0),)), SPACING)
    crop = grid.drawn(hu, -160.0)
    assert crop.shape == (DEPTH, EDGE, EDGE) and (crop[0] == -160).all()
    assert crop[-1, -1, -1] == pytest.approx(55)
    part = grid.drawn(hu[10:], -160.0, (10, 0, 0))
    assert (part == -160).all(), "what begins farther on is beyond this crop"


def test_clicks_are_where_they_are() -> None:
    points = np.array([[4.0, 20.0, 30.0], [10.0, 5.0, 8.0]])
    channel = click_channel(points, (DEPTH, EDGE, EDGE), 2.0)
    assert channel[4, 20, 30] == 1 and channel[10, 5, 8] == 1 and 0 < channel[0, 47, 47] < 0.1
    assert channel[5, 20, 30] == pytest.approx(channel[4, 22, 30])
    assert not click_channel(np.zeros((0, 3)), (4, 8, 8), 2.0).any()
    plain, near = np.full((DEPTH, EDGE, EDGE), 60.0, np.float32), np.ones((DEPTH, EDGE, EDGE), bool)
    volumes = stacked(plain, 60.0, 10.0, plain * 0, near, points[:1], points[1:], 0.5, 4.0)
    assert volumes.shape == (CHANNELS, DEPTH, EDGE, EDGE) and not volumes[1:4].any()
    assert volumes[5, 4, 20, 30] == 1 and volumes[6, 10, 5, 8] == 1
    assert volumes[7, 0, 0, 0] == -0.5 and volumes[8, 0, 0, 0] == 1.0


def test_a_lesion_may_reach_a_little_out_of_the_liver() -> None:
    near = near_liver(ball((25, 60, 60), 12.0), SPACING)
    assert near[25, 60, 60 + 21] and not near[25, 60, 60 + 24]
    assert not near_liver(np.zeros(SHAPE, bool), SPACING).any()


def test_the_network_begins_with_the_outline_and_answers_every_voxel() -> None:
    torch.manual_seed(0)
    network = click_unet.build(click_unet.SIZES["compact"]).eval()
    assert 0.1e6 < sum(p.numel() for p in network.parameters()) < 0.3e6
    seen = torch.zeros(2, CHANNELS, DEPTH, 32, EDGE)
    seen[:, DISTANCE] = torch.linspace(-1, 1, EDGE)
    with torch.inference_mode():
        out = network(seen.flatten(1, 2)).logits
    assert out.shape == (2, DEPTH, 32, EDGE)
    assert (torch.abs(out - 3 * seen[:, DISTANCE]) < 0.5).all()


class TestAskedByThePanel:
    """`analysis.clicked`: a part of a CT, masks and clicks in mm, in; a mask on the part's own grid, out."""

    LESION = ball((25, 60, 50), 9.0)
    DRAWN = ball((25, 60, 50), 6.0)
    STORE = SimpleNamespace(
        manifest=SimpleNamespace(
            choose=lambda task, name: ModelEntry(
                name, task, "click_unet", {}, InputSpec((1.0, 1.0, 1.0), (-160.0, 240.0), DEPTH), "", ""
            )
        ),
        network=lambda name, device, precision: Dark().eval(),
    )

    def ask(
        self,
        geometry: Geometry,
        hu: np.ndarray,
        index: tuple[int, int, int],
        drawn: np.ndarray,
        liver: np.ndarray | None = None,
    ) -> np.ndarray:
        from LiverLesionAILib.analysis.clicked import outline_clicked

        point = [float(v) for v in geometry.index_to_lps(index)]
        request = {
            "model": "click_unet",
            "device": "cpu",
            "precision": "float32",
            "level_hu": 60.0,
            "spread_hu": 10.0,
            "inside_lps": [point],
            "outside_lps": [],
            "drawn": pack_mask(Mask.of(drawn), geometry),
            "liver": "" if liver is None else pack_mask(Mask.of(liver), geometry),
        }
        return outline_clicked(CtVolume(hu, geometry), request, self.STORE).lesion_labels_zyx

    def test_on_the_ct_as_it_is_stored_and_turned_round(self) -> None:
        hu = liver_with(self.LESION)
        plain = self.ask(Geometry.make(SHAPE, SPACING, (5.0, -7.0, 30.0)), hu, (25, 60, 50), self.DRAWN)
        assert dice(plain > 0, self.LESION) > 0.88
        # A sagittal series: its slices are along x.
        turned = Geometry.make(
            (SHAPE[2], SHAPE[0], SHAPE[1]), (1.0, 2.5, 1.0), directions_lps=[[0, 0, 1], [1, 0, 0], [0, 1, 0]]
        )
        stored, drawn = (np.ascontiguousarray(a.transpose(2, 0, 1)) for a in (hu, self.DRAWN))
        other = self.ask(turned, stored, (50, 25, 60), drawn)
        assert dice(other.transpose(1, 2, 0) > 0, self.LESION) > 0.88

    def test_nothing_is_drawn_far_from_the_liver(self) -> None:
        geometry = Geometry.make(SHAPE, SPACING)
        liver = np.broadcast_to(X < 40, SHAPE)
        found = self.ask(geometry, liver_with(self.LESION), (25, 60, 48), self.DRAWN, liver)
        assert found.any() and not found[:, :, 50:].any() and found[:, :, :49].any()

    def test_a_click_elsewhere_and_a_damaged_mask_are_refused(self) -> None:
        from LiverLesionAILib.analysis.clicked import outline_clicked

        geometry = Geometry.make(SHAPE, SPACING)
        with pytest.raises(InputError, match="outside the CT"):
            self.ask(geometry, liver_with(), (60, 60, 50), self.DRAWN)
        request = {"model": "", "device": "cpu", "precision": "float32", "drawn": "torn", "liver": ""}
        with pytest.raises(InputError, match="cannot be read"):
            outline_clicked(CtVolume(liver_with(), geometry), request, self.STORE)
