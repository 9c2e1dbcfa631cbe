"""VA networks over whole volumes: the numbers of the per-target evaluation, each image computed once."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import Manifest, ModelEntry
from LiverLesionAILib.networks.parts.rcnn import Detections
from LiverLesionAILib.networks.va_rcnn import Features, VaRcnn, VaRcnnOutput
from LiverLesionAILib.networks.va_rcnn_config import VaRcnnConfig
from LiverLesionAILib.networks.volumetric_attention import LevelAttention
from LiverLesionAILib.stages.detect.volumetric import (
    SlabFeatures,
    volumetric_liver_and_tumour,
    volumetric_slice_boxes,
    walk,
)
from LiverLesionAILib.stages.explain.va import VolumetricAttentionCollector, gate_on_grid
from LiverLesionAILib.volume.ct import Geometry
from support.threshold_models import ThresholdModels, phantom

CONFIG = VaRcnnConfig(
    bag=5,
    bag_step=2,
    block="basic",
    depths=(1, 1, 1),
    widths=(6, 8, 12),
    pooled_stem=False,
    pyramid_channels=8,
    anchor_sizes=(8, 16, 32, 64),
    mean_affinity=True,
    mask_width=6,
    mask_depth=1,
    head_width=16,
    proposals_before=20,
    proposals=10,
    dense=True,
    score_threshold=0.2,
    detections=4,
)
SPEC = InputSpec((2.5, 1.25, 1.25), (-100.0, 200.0), 3, magnify=1.4)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def network() -> VaRcnn:
    torch.manual_seed(1)
    made = VaRcnn(CONFIG)
    with torch.no_grad():
        # Untrained heads say the same of everything; these do not.
        made.box_head.score.weight.normal_(std=0.2)
        made.rpn.objectness.weight.normal_(std=0.2)
        for part in made.attention:
            part.channel.excite.weight.normal_(std=1.0)
            part.spatial.excite.weight.normal_(std=0.5)
    return made.eval()


@pytest.fixture
def hu() -> np.ndarray:
    return np.random.default_rng(0).normal(60, 60, (17, 40, 34)).astype(np.float32)


def per_target(network: VaRcnn, spec: InputSpec, hu: np.ndarray, target: int) -> VaRcnnOutput:
    """As the papers evaluate: the whole bag through the encoder for one target."""
    config = network.config
    bag = target + (np.arange(config.bag) - config.bag // 2) * config.bag_step
    images = SlabFeatures(network, spec, hu, spec.magnify).images(bag.clip(0, len(hu) - 1))
    with torch.inference_mode():
        return network(images, torch.arange(config.bag)[None], return_attention=True)


class TestWalk:
    @pytest.mark.parametrize("batch", [1, 4, 30])
    def test_equals_the_per_target_evaluation(self, network: VaRcnn, hu: np.ndarray, batch: int) -> None:
        seen = 0
        for group in walk(network, SPEC, hu, batch=batch, attention=True):
            found = group.output.detections
            for row, z in enumerate(group.slices):
                alone = per_target(network, SPEC, hu, int(z))
                own = found.images == row
                assert int(own.sum()) == len(alone.detections.scores)
                for name in ("boxes", "scores", "masks"):
                    here, there = getattr(found, name)[own], getattr(alone.detections, name)
                    assert torch.allclose(here, there, atol=1e-4), (name, z)
                assert torch.equal(found.classes[own], alone.detections.classes)
                assert torch.allclose(group.output.dense[row], alone.dense[0], atol=1e-4)
                for level, expected in zip(group.output.attention, alone.attention, strict=True):
                    assert torch.allclose(level.spatial_gate[row], expected.spatial_gate[0], atol=1e-4)
                seen += int(own.sum())
        assert seen > 20, "the comparison is about something"

    def test_every_image_passes_the_encoder_once(self, network: VaRcnn, hu: np.ndarray) -> None:
        passed: list[int] = []
        network.encoder.register_forward_hook(lambda _, given, __: passed.append(len(given[0])))
        groups = list(walk(network, SPEC, hu, batch=4))
        assert [z for group in groups for z in group.slices] == list(range(17))
        assert sum(passed) == 17
        passed.clear()
        list(walk(network, SPEC, hu, batch=4, slices=range(6, 11)))
        assert sum(passed) == 5 + 2 * 4

    def test_features_behind_are_forgotten(self, network: VaRcnn) -> None:
        features = SlabFeatures(network, SPEC, np.zeros((60, 16, 16), np.float32), batch=4)
        with torch.inference_mode():
            for first in range(0, 52, 4):
                known = features.between(first, first + 8)
                assert {len(level) for level in known.levels} == {8}
                assert {len(e.spatial) for e in known.embedded} == {8}


class Scripted(VaRcnn):
    """Says that each target holds a liver (16 .. 112 x 16 .. 96 px) and a lesion (32 .. 64 x 40 .. 80 px)."""

    def detect(
        self,
        features: Features,
        bags: torch.Tensor,
        size_yx: tuple[int, int],
        return_attention: bool = False,
    ) -> VaRcnnOutput:
        count = len(bags)
        boxes = torch.tensor([[16.0, 16, 112, 96], [32.0, 40, 64, 80]]).repeat(count, 1)
        detections = Detections(
            boxes,
            torch.tensor([0.9, 0.8]).repeat(count),
            torch.tensor([1, 2]).repeat(count),
            torch.arange(count).repeat_interleave(2),
            torch.ones(2 * count, 28, 28),
        )
        seen = LevelAttention(
            spatial_slices=torch.full((count, 5), 0.2), spatial_gate=torch.full((count, 8, 8), 0.7)
        )
        return VaRcnnOutput(detections, (seen,) * 3 if return_attention else None)


class TestOnTheGrid:
    def scripted(self, **changes: object) -> Scripted:
        return Scripted(replace(CONFIG, dense=False, **changes)).eval()

    def test_masks_lie_where_the_boxes_are(self) -> None:
        spec = replace(SPEC, magnify=1.6)
        hu = np.zeros((4, 80, 70), np.float32)
        liver, tumour = volumetric_liver_and_tumour(self.scripted(), spec, hu)
        assert tumour.shape == hu.shape and tumour.dtype == np.uint8
        # 1.6 times enlarged: 20 .. 40 x 25 .. 50 voxels.
        assert (tumour[:, 21:39, 26:49] == round(0.8 * 255)).all()
        assert not tumour[:, :19].any() and not tumour[:, 41:].any() and not tumour[:, :, :24].any()
        assert np.abs(liver[:, 12:68, 12:58] - 0.9 * 255).max() <= 1
        assert not liver[:, 71:].any()

    def test_a_lesion_outside_the_liver_is_dropped(self) -> None:
        class Outside(Scripted):
            def detect(self, *args: object, **kwargs: object) -> VaRcnnOutput:
                found = super().detect(*args, **kwargs)
                boxes = found.detections.boxes.clone()
                boxes[0::2] = torch.tensor([64.0, 16, 112, 96])
                return found._replace(detections=found.detections._replace(boxes=boxes))

        network = Outside(replace(CONFIG, dense=False)).eval()
        liver, tumour = volumetric_liver_and_tumour(network, SPEC, np.zeros((2, 90, 80), np.float32))
        assert liver.any() and tumour.max() < 128

    def test_boxes_lie_there_too(self) -> None:
        spec = replace(SPEC, magnify=1.6)
        hu = np.zeros((6, 90, 90), np.float32)
        found = volumetric_slice_boxes(
            self.scripted(), spec, hu, rows=slice(5, 85), columns=slice(10, 80), slices=range(2, 5)
        )
        assert found.slices.tolist() == [2, 3, 4]
        assert np.allclose(found.boxes_yx, [[25, 35, 45, 60]] * 3)
        assert np.allclose(found.scores, 0.8)

    def test_pyramid_is_the_mean_over_scales(self) -> None:
        hu = np.zeros((2, 80, 70), np.float32)
        spec = replace(SPEC, magnify=1.0)
        both = volumetric_liver_and_tumour(self.scripted(), spec, hu, scales=(1.0, 2.0))[1]
        parts = [volumetric_liver_and_tumour(self.scripted(), spec, hu, scales=(s,))[1] for s in (1.0, 2.0)]
        assert np.abs(both - np.mean(parts, axis=0)).max() <= 1

    def test_liver_comes_from_the_dense_map_where_there_is_one(self, network: VaRcnn, hu: np.ndarray) -> None:
        with torch.no_grad():
            network.dense.weight.zero_()
            network.dense.bias.copy_(torch.tensor([0.0, 1.0, 0.0]))
        liver, tumour = volumetric_liver_and_tumour(network, SPEC, hu)
        expected = round(255 * (1 + np.e) / (2 + np.e))
        assert (liver == expected).all()
        assert tumour.any() and tumour.max() <= expected


class TestShown:
    def test_gate_keeps_its_place(self) -> None:
        gate = torch.zeros(1, 16, 16)
        gate[0, 4, 10] = 1.0
        placed = gate_on_grid(gate, (60, 50), (64, 64), (30, 25))[0]
        peak = np.unravel_index(placed.argmax(), placed.shape)
        # Cell (4, 10) of stride 4 lies round pixel (18, 42); the grid is half as fine.
        assert abs(peak[0] - 8.5) <= 1 and abs(peak[1] - 20.5) <= 1

    def test_maps_of_a_run(self) -> None:
        network = Scripted(replace(CONFIG, dense=False)).eval()
        hu = np.zeros((9, 80, 70), np.float32)
        geometry = Geometry.make(hu.shape, (2.5, 1.25, 1.25))
        collector = VolumetricAttentionCollector(network, hu.shape, SPEC.magnify)
        assert not collector.filled
        volumetric_liver_and_tumour(network, SPEC, hu, collect=collector)
        assert collector.filled
        maps = collector.maps(geometry)
        assert len(maps) == 3 and len({m.name for m in maps}) == 3
        assert np.allclose(maps[0].values_zyx, 0.7, atol=1e-3)
        assert maps[0].bars == pytest.approx(
            {"-10 mm": 0.2, "-5 mm": 0.2, "key slice": 0.2, "+5 mm": 0.2, "+10 mm": 0.2}
        )
        labels = np.zeros(hu.shape, np.uint16)
        labels[3:6, 30:40, 30:42] = 2
        (lesion,) = collector.lesion_maps(geometry, labels, {2: 7})
        assert lesion.lesion_number == 7 and lesion.name.endswith("lesion 7")
        assert list(lesion.bars) == list(maps[0].bars)
        assert np.allclose(lesion.values_zyx, 0.2)
        # 25 mm round the lesion in plane, as far as the bag reaches along z.
        assert lesion.geometry.shape_zyx == (9, 50, 52)


class Store(ThresholdModels):
    """The phantom's coarse network, a VA Mask R-CNN that segments and a VA Faster R-CNN that detects."""

    def __init__(self, network: VaRcnn) -> None:
        super().__init__()
        spec = InputSpec((4.0, 3.0, 3.0), (-200.0, 200.0), 3)
        entries = (
            self.manifest.entries[0],
            ModelEntry("va", "segment", "va_mask_rcnn", asdict(CONFIG), spec, "", "c" * 64),
            ModelEntry("boxes", "detect", "va_faster_rcnn", asdict(CONFIG), spec, "", "d" * 64),
        )
        self.manifest = Manifest(self.manifest.folder, entries)
        self.va = network

    def network(self, name: str, device: str, precision: str) -> torch.nn.Module:
        if name == "coarse":
            return super().network(name, device, precision)
        return self.va


def test_the_whole_line_with_both(network: VaRcnn) -> None:
    volume, _ = phantom()
    with torch.no_grad():
        network.dense.weight.zero_()
        network.dense.bias.copy_(torch.tensor([0.0, 3.0, 0.0]))
    result = analyze(
        volume,
        Settings(device="cpu", precision="float32", tumour_threshold=0.2, score_threshold=0.2),
        Store(network),
    )
    assert result.liver_volume_ml > 1000
    assert set(result.models) == {"coarse", "va", "boxes"}
    every = [m.name for m in result.attention]
    assert len(set(every)) == len(every)
    names = [m.name for m in result.attention if m.lesion_number is None]
    assert [n for n in names if n.startswith("VA spatial gate")]
    assert result.probabilities["tumour"].values_zyx.any()
    for lesion in result.lesions:
        own = [m for m in result.attention if m.lesion_number == lesion.number]
        assert any(sum(m.bars.values()) == pytest.approx(1.0, abs=1e-3) for m in own)
