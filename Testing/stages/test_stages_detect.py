"""Detectors over whole volumes: shared features equal the papers' target-by-target evaluation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.networks import cs_att_known
from LiverLesionAILib.networks.cs_att import SIZES, CsAtt, CsAttConfig
from LiverLesionAILib.networks.cs_att_known import judge_window, known_images
from LiverLesionAILib.stages.detect.link import LinkedBox
from LiverLesionAILib.stages.detect.slice_boxes import VolumeWindows, slice_boxes
from LiverLesionAILib.stages.detect.view import View, view_around
from LiverLesionAILib.stages.explain.cs_att import CONTEXTUAL, SPATIAL, lesion_attention
from LiverLesionAILib.volume.ct import Geometry

SMALL = replace(SIZES["compact"], widths=(6, 8, 8, 8), anchor_sizes=(8.0, 16.0), head_width=16)
SPEC = InputSpec((2.5, 1.25, 1.25), (-75.0, 175.0), 9, magnify=1.6)


def network_of(config: CsAttConfig = SMALL) -> CsAtt:
    torch.manual_seed(2)
    network = CsAtt(config).eval()
    with torch.no_grad():
        # An untrained head gives every box the same score.
        network.score.weight.normal_(std=2.0)
        for phi in (network.phi_contextual, network.phi_spatial):
            if phi is not None:
                phi.weight.normal_(std=0.5)
    return network


def volume(slices: int = 12) -> np.ndarray:
    return np.random.default_rng(0).normal(60, 60, (slices, 30, 34)).astype(np.float32)


@pytest.mark.parametrize(
    "changes",
    [
        {"images": 1},
        {"images": 3},
        {"images": 5},
        {"contextual": False},
        {"spatial": False},
        {"contextual": False, "spatial": False},
        {"aligned": False},
    ],
    ids=str,
)
def test_shared_features_equal_target_by_target(changes: dict) -> None:
    network = network_of(replace(SMALL, **changes))
    hu = volume()
    view = View(slice(2, 28), slice(1, 33), range(12))
    found = slice_boxes(network, SPEC, hu, view, batch=5)
    windows = VolumeWindows(network, SPEC, hu, view)
    seen = 0
    for z in range(12):
        stack = torch.stack([windows.image(windows._centre(z + offset)) for offset in network.offsets])
        with torch.inference_mode():
            alone = network.detect(network.window(stack.flatten(0, 1)[None]), windows.size_yx)[0][0]
        boxes, scores = windows.to_grid(alone)
        mine = found.slices == z
        assert np.allclose(found.scores[mine], scores, atol=1e-4)
        assert np.allclose(found.boxes_yx[mine], boxes, atol=1e-4 * 34)
        seen += len(scores)
    assert seen > 20
    assert np.ptp(found.scores) > 0.05, "scores that are all alike would compare nothing"


def test_maps_are_computed_only_where_a_box_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of()
    images = known_images(network, torch.randn(3, 3, 64, 80, generator=torch.Generator().manual_seed(1)))
    boxes = torch.tensor([[4.0, 8.0, 20.0, 30.0], [40.0, 50.0, 41.0, 51.0], [50.0, 60.0, 64.0, 80.0]])
    seen = []
    linear = cs_att_known.F.linear

    def counted(x: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(x.shape))
        return linear(x, *more)

    monkeypatch.setattr(cs_att_known.F, "linear", counted)
    with torch.inference_mode():
        logits, moves = judge_window(network, images, boxes)
        x = torch.stack([one.features for one in images])[None]
        maps = network.maps(network.attend(x)[0])
        expected = network.classify(maps, boxes, torch.zeros(3, dtype=torch.int64))
    assert torch.allclose(logits, expected[0], atol=1e-4) and torch.allclose(moves, expected[1], atol=1e-4)
    # Of 16 x 20 cells the boxes reach 6 x 7, 2 x 2 and 5 x 6 at most.
    (mapped,) = [shape for shape in seen[: seen.index((3, network.hidden.in_features))] if len(shape) == 3]
    assert (mapped[0], mapped[2]) == (3, 8) and 20 < mapped[1] <= 42 + 4 + 30
    with torch.inference_mode():
        none = judge_window(network, images, boxes[:0])
    assert none[0].shape == (0, 2) and none[1].shape == (0, 4)


@pytest.mark.parametrize("which", ["contextual", "spatial"])
@pytest.mark.parametrize("spatial_from", ["refined", "input"])
def test_weights_that_stand_in_for_an_attentions_own_reach_its_boxes(which: str, spatial_from: str) -> None:
    network = network_of(replace(SMALL, spatial_from=spatial_from))
    weights = getattr(network, f"{which}_weights")
    assert not network.replaced and weights(torch.ones(1)) == 1
    images = known_images(network, torch.randn(3, 3, 32, 48, generator=torch.Generator().manual_seed(1)))
    boxes = torch.tensor([[4.0, 8.0, 20.0, 30.0], [10.0, 2.0, 30.0, 20.0]])
    seen = []

    def halved(own: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(own.shape))
        return own / 2

    with torch.inference_mode():
        plain = judge_window(network, images, boxes)[0]
        weights.instead = lambda own: own
        torch.testing.assert_close(judge_window(network, images, boxes)[0], plain, atol=1e-4, rtol=1e-3)
        weights.instead = halved
        assert network.replaced and (judge_window(network, images, boxes)[0] - plain).abs().max() > 1e-3
        assert seen == [(1, 3, *images[0].features.shape)]
        weights.instead = None
        assert torch.equal(judge_window(network, images, boxes)[0], plain)


def test_scores_far_apart_do_not_overflow() -> None:
    network = network_of()
    with torch.no_grad():
        network.phi_contextual.weight.mul_(80)
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        known = known_images(network, images)
        assert max(float(one.power.log().abs().max()) for one in known) > 30, "far beyond what is learnt"
        x = torch.stack([one.features for one in known])
        scores = network.context_scores(x).double()
        weights = (scores - scores.amax(dim=0)).exp()
        assert torch.allclose(cs_att_known.in_context(known).double(), weights * x, atol=1e-4, rtol=1e-4)


def test_the_window_is_the_slices_themselves() -> None:
    network = network_of()
    hu = volume()
    windows = VolumeWindows(
        network, replace(SPEC, magnify=1.0), hu, View(slice(0, 30), slice(0, 34), range(12))
    )
    for z in (0, 1, 6, 11):
        order = np.clip(np.arange(z - 4, z + 5), 0, 11)
        expected = SPEC.normalise(hu[order])
        stack = torch.cat([windows.image(windows._centre(z + offset)) for offset in network.offsets])
        assert np.allclose(stack[:, :30, :34].numpy(), expected, atol=1e-6)


def test_every_image_passes_the_backbone_once_and_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    network = network_of(replace(SMALL, images=5))
    passed, kept = [0], []
    original = network.features

    def counted(images: torch.Tensor) -> torch.Tensor:
        passed[0] += len(images)
        return original(images)

    monkeypatch.setattr(network, "features", counted)
    made = VolumeWindows.known

    def watched(self: VolumeWindows, slices: list[int]) -> object:
        windows = made(self, slices)
        kept.append(len(self._made))
        return windows

    monkeypatch.setattr(VolumeWindows, "known", watched)
    slice_boxes(network, SPEC, volume(40), View(slice(0, 30), slice(0, 34), range(40)), batch=4)
    assert passed[0] == 40 + 2, "all slices, and one beyond each end"
    assert max(kept) <= 12 + 1 + 4


def test_padding_gives_no_box_outside() -> None:
    network = network_of()
    view = View(slice(3, 28), slice(5, 32), range(4, 8))
    found = slice_boxes(network, SPEC, volume(), view)
    assert set(found.slices) <= set(range(4, 8))
    assert found.boxes_yx[:, :2].min() >= 3
    assert found.boxes_yx[:, 2].max() <= 28 + 1e-6
    assert found.boxes_yx[:, 3].max() <= 32 + 1e-6


def test_view_holds_the_liver_with_a_margin() -> None:
    near = np.zeros((10, 40, 50), bool)
    near[3:6, 10:20, 30:48] = True
    view = view_around(near, (2.5, 1.0, 2.0), margin_mm=4.0)
    assert (view.slices, view.rows, view.columns) == (range(3, 6), slice(6, 24), slice(28, 50))
    assert view_around(np.zeros((3, 4, 5), bool), (1.0, 1.0, 1.0)) is None


def test_attention_lies_where_the_lesion_is() -> None:
    network = network_of()
    hu, geometry = volume(), Geometry.make((12, 30, 34), (2.5, 1.25, 1.25), (10.0, -20.0, 30.0))
    view = View(slice(0, 30), slice(0, 34), range(12))
    box = LinkedBox((4, 10, 12), (7, 16, 20), 0.9, 0.9, 2.0, 5, {5: (10.0, 12.0, 16.0, 20.0)})
    contextual, spatial = lesion_attention(network, SPEC, hu, view, geometry, box, margin_mm=5.0)
    assert (contextual.name, spatial.name) == (CONTEXTUAL, SPATIAL)
    for shown in (contextual, spatial):
        assert shown.values_zyx.shape == shown.geometry.shape_zyx == (9, 14, 16)
        assert shown.values_zyx.min() >= 0
        assert shown.values_zyx.max() <= 1
        assert np.allclose(shown.geometry.origin_lps, geometry.index_to_lps((1, 6, 8)))
        low, high = shown.value_range
        assert 0 <= low <= shown.values_zyx.min() <= shown.values_zyx.max() <= high <= 1.05
        # Three slices of one image share its weights.
        assert np.array_equal(shown.values_zyx[0], shown.values_zyx[2])
        assert not np.array_equal(shown.values_zyx[2], shown.values_zyx[3])
    assert list(contextual.bars) == ["-7.5 mm", "key slice", "+7.5 mm"]
    inside = contextual.values_zyx[:, 4:10, 4:12]
    for value, image in zip(contextual.bars.values(), (0, 3, 6), strict=True):
        assert value == pytest.approx(float(inside[image].mean()), abs=1e-5)


def test_attention_at_the_end_of_a_scan_is_cut_not_shifted() -> None:
    network = network_of()
    view = View(slice(0, 30), slice(0, 34), range(12))
    geometry = Geometry.make((12, 30, 34), (2.5, 1.25, 1.25))
    box = LinkedBox((0, 10, 12), (2, 16, 20), 0.9, 0.9, 2.0, 1, {1: (10.0, 12.0, 16.0, 20.0)})
    contextual, _ = lesion_attention(network, SPEC, volume(), view, geometry, box)
    # The window runs from -3 to 5: slices 0..2 are the key image, 3..5 the next; the first is outside.
    assert contextual.geometry.shape_zyx[0] == 6
    assert np.array_equal(contextual.values_zyx[0], contextual.values_zyx[2])
    assert not np.array_equal(contextual.values_zyx[2], contextual.values_zyx[3])
    assert contextual.values_zyx[1, 10:16, 12:20].mean() == pytest.approx(
        contextual.bars["key slice"], abs=1e-5
    )
