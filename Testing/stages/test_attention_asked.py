"""What is asked of networks: their weights in a slice, the class of every slice, and how questions travel."""

from __future__ import annotations

from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.analysis.attention import Question, answer
from LiverLesionAILib.case.class_strip import ClassStrip
from LiverLesionAILib.case.colours import class_colour
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.networks.dadrn import PHASED_CLASSES, channel_affinity, position_affinity
from LiverLesionAILib.networks.mscd import point_affinity
from LiverLesionAILib.stages.classify.liver_box import LiverCrop
from LiverLesionAILib.stages.classify.liver_slices import place
from LiverLesionAILib.stages.explain import strip as strips
from LiverLesionAILib.stages.explain.health import class_images, slice_stacks
from LiverLesionAILib.stages.explain.names import read_label
from LiverLesionAILib.stages.explain.network_maps import network_maps, strongest_pairs
from LiverLesionAILib.stages.explain.readings import PaddedFrame, PlacedFrame, part_of, read_attention
from LiverLesionAILib.stages.faces import can_weigh
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import silent
from LiverLesionAILib.volume.crops import Mask
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.packed_mask import pack_mask, unpack_whole
from support.toy_attention import toy
from support.toy_classifier import BrightOrDark, Output

SPACING = (3.0, 1.5, 1.5)
SPEC = InputSpec(SPACING, (-40.0, 220.0), 3)
GEOMETRY = Geometry.make((16, 90, 100), SPACING, (-70.0, -60.0, 500.0))
POINT = (7, 40, 30)


def crop() -> LiverCrop:
    """A liver at 80 HU with something bright in slices 5 to 9 and something dark in slices 6 to 10."""
    z, y, x = np.indices(GEOMETRY.shape_zyx)
    liver = ((z - 8) / 7) ** 2 + ((y - 45) / 36) ** 2 + ((x - 50) / 42) ** 2 <= 1
    hu = np.random.default_rng(0).normal(80, 6, liver.shape).astype(np.float32)
    hu[(np.abs(z - 7) <= 2) & (np.hypot(y - 40, x - 30) <= 7)] += 90
    hu[(np.abs(z - 8) <= 2) & (np.hypot(y - 50, x - 70) <= 7)] -= 75
    return LiverCrop(hu, liver, np.zeros(liver.shape, np.uint16), GEOMETRY)


def entry_of(name: str, network: Any = None) -> ModelEntry:
    slices = 3 if name in ("dadrn", "va_mask_rcnn") else 5
    task = "classify" if name == "dadrn" else "segment"
    config = asdict(network.config) if hasattr(network, "config") and name != "dadrn" else {}
    spec = InputSpec(SPACING, (-40.0, 220.0), slices, magnify=1.0 if name == "dadrn" else 0.6)
    return ModelEntry(name, task, name, config, spec, "", "", title=f"{name.upper()}: for the test")


class Smooth(BrightOrDark):
    """As :class:`BrightOrDark`, by ReLUs, so that gradients reach the input."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = torch.nn.ReLU()
        with torch.no_grad():
            self.weight *= 20

    def forward(self, x: torch.Tensor) -> Output:
        middle = x[:, 1]
        parts = self.relu(torch.stack([middle - 0.35, -0.55 - middle], dim=1))
        features = torch.nn.functional.avg_pool2d(parts, 8)
        return Output(self.head(features), features)


def classified(**how: Any) -> ClassStrip:
    return strips.class_strip(Smooth(), entry_of("dadrn"), crop(), **how)


def test_the_strip_says_the_class_of_every_slice_and_where() -> None:
    found = classified()
    said = dict(zip(found.slices.tolist(), found.answers, strict=True))
    assert said[3] == said[12] == "Normal" and said[5] == "HCC" and said[10] == "CYST"
    assert np.diff(found.heights_mm) == pytest.approx(3.0)
    assert set(found.maps) == set(strips.KINDS)
    bright = np.hypot(*(np.indices(GEOMETRY.shape_zyx[1:]) - np.array(POINT[1:])[:, None, None])) <= 20
    for kind, values in found.maps.items():
        assert values.shape == GEOMETRY.shape_zyx and 0 < values.max() <= 1, kind
        assert not values[3].any() and not values[12].any(), kind
        # Slice 5 shows what is bright alone: there, and nowhere else.
        assert values[5][bright].max() > 0.3 and values[5][~bright].max() < 0.05, kind
    for shown in strips.strip_maps(found):
        assert [read_label(label)[1] for label in shown.bars] == list(found.answers)
        assert "without any mask of a lesion" in shown.meaning


def test_the_strip_is_bounded_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "MOST_EXPLAINED", 3)
    found = classified()
    assert len(found.explained) == 3
    asked = sum(name != "Normal" for name in found.answers)
    assert f"3 of the {asked} that are not normal are explained" in strips.strip_in_words(found)
    assert not classified(explain=False).maps


@pytest.mark.parametrize("name", ["mscd", "dadrn", "va_mask_rcnn"])
def test_what_is_read_is_what_the_network_weighs(name: str) -> None:
    network = toy(name)
    entry, z = entry_of(name, network), POINT[0]
    liver = part_of(crop(), entry.input, [z])
    found = {one.mechanism: one for one in read_attention(entry, network, liver, POINT[1:])}
    with torch.inference_mode():
        if name == "dadrn":
            seen = network(class_images(entry.input, liver), return_attention=True).attention
            spatial, channel = found["spatial attention"], found["channel attention"]
            cell = spatial.frame.cell(POINT[1:], seen.size_yx)
            row, matrix = position_affinity(seen, cell), channel_affinity(seen)
            if seen.normalisation == "sigmoid" and seen.mean:
                row, matrix = row * row.numel(), matrix * len(matrix)
        elif name == "mscd":
            stacks = slice_stacks(entry.input, liver, network.multiple)
            contexts = {one.level: one for one in network(stacks, return_attention=True).attention}
            spatial, channel = found["spatial context, level 2"], found["channel context, level 2"]
            cell = spatial.frame.cell(POINT[1:], contexts[1].size_yx)
            row, matrix = point_affinity(contexts[1], cell), contexts[1].channel[0]
        else:
            for one in found.values():
                assert one.weights["slice weights"].sum() == pytest.approx(1, abs=1e-5)
            gate = found["channel branch, pyramid level 1"].weights["image gate"]
            assert gate.shape == (network.config.pyramid_channels,) and ((gate > 0) & (gate < 1)).all()
            place_gate = found["spatial branch, pyramid level 1"]
            assert place_gate.weights["place gate"].shape == place_gate.size_yx
            return
    np.testing.assert_allclose(spatial.affinity, row.numpy(), atol=1e-5)
    np.testing.assert_allclose(channel.affinity, matrix.numpy(), atol=1e-5)
    assert channel.change_yx is not None and channel.change_yx.shape == channel.size_yx


@pytest.mark.parametrize("name", ["mscd", "dadrn", "va_mask_rcnn"])
def test_every_attention_becomes_a_map_on_the_points_slice(name: str) -> None:
    network = toy(name)
    entry = entry_of(name, network)
    assert can_weigh(entry)
    point = tuple(GEOMETRY.index_to_lps(POINT))
    maps = network_maps(network, entry, crop(), point)
    assert len({shown.name for shown in maps}) == len(maps) >= 2
    for shown in maps:
        assert shown.name.startswith(f"{name.upper()}: ")
        assert shown.geometry.shape_zyx == (1, *GEOMETRY.shape_zyx[1:])
        assert shown.geometry.index_to_lps((0, 0, 0))[2] == pytest.approx(point[2])
        assert shown.values_zyx.min() >= 0 and shown.values_zyx.max() <= shown.value_range[1] + 1e-5
    with_bars = [shown for shown in maps if shown.bars]
    assert with_bars and all("Bars:" in shown.meaning for shown in with_bars)


def test_a_point_beside_the_liver_and_a_network_without_attention_are_told() -> None:
    network = toy("dadrn")
    with pytest.raises(InputError, match="on no slice of the liver"):
        network_maps(network, entry_of("dadrn"), crop(), (0.0, 0.0, 300.0))
    with pytest.raises(InputError, match="no attention"):
        network_maps(Smooth(), entry_of("dadrn"), crop(), tuple(GEOMETRY.index_to_lps(POINT)))


def test_a_cell_lies_where_its_map_shows_it() -> None:
    frames = (
        (PaddedFrame((90, 100), (54, 60), (64, 64)), (8, 8)),
        (PlacedFrame((90, 100), place(crop().liver_zyx[8]), 8), (20, 20)),
    )
    for frame, size in frames:
        for point in ((40, 30), (50, 70), (20, 52)):
            cell, one = frame.cell(point, size), np.zeros(size, np.float32)
            one[cell] = 1.0
            shown = frame.on_slice(one)
            assert shown.shape == (90, 100) and shown[point] == 1.0


def test_the_strongest_pairs_leave_out_what_a_channel_keeps() -> None:
    matrix = np.array([[0.9, 0.1, 0.0], [0.3, 0.5, 0.2], [0.0, 0.4, 0.6]], np.float32)
    assert list(strongest_pairs(matrix, 2)) == ["channel 3 from 2", "channel 2 from 1"]
    assert len(strongest_pairs(matrix, 99)) == 6


def test_every_class_of_a_slice_has_a_colour_of_its_own() -> None:
    colours = {class_colour(name) for name in PHASED_CLASSES}
    assert len(colours) == len(PHASED_CLASSES) and class_colour("something new") not in colours


def packed(mask_zyx: np.ndarray) -> str:
    return pack_mask(Mask(mask_zyx, (0, 0, 0)), GEOMETRY)


def test_a_question_travels_with_the_liver() -> None:
    liver = crop().liver_zyx
    whole = unpack_whole(packed(liver), GEOMETRY)
    assert whole is not None and (whole == liver).all()
    assert unpack_whole(packed(liver), Geometry.make((3, 4, 5), (1, 1, 1))) is None
    assert unpack_whole("no text of ours", GEOMETRY) is None


def test_the_worker_answers_for_networks_and_classes() -> None:
    part = crop()
    volume = CtVolume(part.hu_zyx, GEOMETRY, "ct")
    network, entry = toy("dadrn"), entry_of("dadrn")
    store = SimpleNamespace(
        manifest=SimpleNamespace(find=lambda name: replace(entry, name=name)),
        network=lambda name, device, precision: network if name == "dadrn" else Smooth(),
    )
    plain = {"device": "cpu", "precision": "auto", "liver": packed(part.liver_zyx)}
    point = [float(v) for v in GEOMETRY.index_to_lps(POINT)]
    of_network = {**plain, "question": Question.NETWORK.value, "model": "dadrn", "point_lps": point}
    found = answer(volume, of_network, store, silent)  # type: ignore[arg-type]
    assert {shown.name for shown in found.attention} == {
        "DADRN: spatial attention",
        "DADRN: channel attention",
    }
    of_classes = {**plain, "question": Question.CLASSES.value, "model": "smooth"}
    found = answer(volume, of_classes, store, silent)  # type: ignore[arg-type]
    assert [shown.name for shown in found.attention] == [f"Class per slice: {kind}" for kind in strips.KINDS]
    assert not found.liver_zyx.any()
    empty = {**of_classes, "liver": packed(np.zeros_like(part.liver_zyx))}
    with pytest.raises(InputError, match="cannot be read"):
        answer(volume, {**of_classes, "liver": "no text of ours"}, store, silent)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no liver"):
        answer(volume, empty, store, silent)  # type: ignore[arg-type]
