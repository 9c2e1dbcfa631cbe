"""Detectors of the comparison as callables from a key slice to boxes.

They start from its slices, or from maps that are there already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..data.deeplesion import KeySlice
from ..evaluation.boxes import BoxDetector, Detections

if TYPE_CHECKING:
    from LiverLesionAILib.models.inputs import InputSpec
    from torch import Tensor, nn

    from ..training.detector_families import Family, Levels
    from ..training.key_maps import MapStore
    from ..training.key_slices import PreparedSlice

LEAST_SCORE, MOST = 0.001, 60
"""A free-response curve up to 16 false boxes an image needs many faint ones."""


def key_slice_detector(family: Family, network: nn.Module, spec: InputSpec) -> BoxDetector:
    """A trained network on whole key slices."""
    import torch
    import torch.nn.functional as F
    from LiverLesionAILib.networks.cs_att import SLICES_PER_IMAGE

    from ..training.key_slices import prepare

    stride = family.strides(network)[-1]

    def detect(key: KeySlice) -> Detections:
        prepared = prepare(key, spec)
        image = prepared.image()
        size = (image.shape[1], image.shape[2])
        below, right = (-n % stride for n in size)
        parameter = next(network.parameters())
        image = F.pad(image, (0, right, 0, below), value=-1.0).to(parameter.device, parameter.dtype)
        images = image.unflatten(0, (-1, SLICES_PER_IMAGE)).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            return _found(family, network, family.maps(network, images), size, prepared)

    return detect


def map_detector(family: Family, network: nn.Module, images: int, store: MapStore) -> BoxDetector:
    """A trained network on the maps of whole key slices, all of which the store holds."""
    import torch

    def detect(key: KeySlice) -> Detections:
        maps = store.get(key)
        parameter = next(network.parameters())
        levels = tuple(level.to(parameter.device) for level in maps.tensors(images, dtype=parameter.dtype))
        with torch.inference_mode():
            return _found(family, network, levels, maps.size_yx, maps.prepared)

    return detect


def _found(
    family: Family, network: nn.Module, levels: Levels, size: tuple[int, int], prepared: PreparedSlice
) -> Detections:
    bag = tuple(level[None] for level in levels)
    boxes, scores = family.detect(network, bag, size, LEAST_SCORE, MOST)
    return Detections.make(prepared.to_key_slice(boxes), _numbers(scores))


def _numbers(values: Tensor) -> object:
    return values.double().cpu().numpy()
