"""A mask network asked about some slices of a scan, where the line would ask it about all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from LiverLesionAILib.models.weights import ModelEntry
    from torch import nn


def tumour_in(
    network: nn.Module, entry: ModelEntry, hu_zyx: NDArray[np.float32], slices: NDArray[np.intp]
) -> Callable[[], NDArray[np.uint8]]:
    """What asks a mask network for the tumour's probability in some slices, (n, y, x), 0..255 for 0..1.

    Networks that see bags are asked about all slices at once: "averaged" and "elsewhere" are over these. What
    no replacement changes, the features of single images, is computed once.
    """
    import torch
    from LiverLesionAILib.networks.va_rcnn import Features, VaRcnn
    from LiverLesionAILib.networks.volumetric_attention import bag_indices
    from LiverLesionAILib.stages.detect.volumetric import Found, SlabFeatures, claimed_on_grid, dense_on_grid
    from LiverLesionAILib.stages.segment.inference import class_probabilities

    scales = entry.scales.get("lesions", (1.0,))[:1]
    if not isinstance(network, VaRcnn):
        return lambda: class_probabilities(
            network, entry.input, hu_zyx, classes=3, pyramid=scales, slices=slices.tolist()
        )[1]
    slab = SlabFeatures(network, entry.input, hu_zyx, scales[0] * entry.input.magnify)
    config = network.config
    bags = bag_indices(torch.from_numpy(slices), len(hu_zyx), config.bag, config.bag_step)
    used, own = bags.unique(return_inverse=True)
    with torch.inference_mode():
        features = Features.joined(
            [network.features(slab.images(some.numpy())) for some in used.split(slab.batch)]
        )

    def ask() -> NDArray[np.uint8]:
        with torch.inference_mode():
            output = network.detect(features, own, slab.padded_yx)
        group, grid_yx = Found(slices, output, slab.size_yx, slab.padded_yx), hu_zyx.shape[1:]
        tumour = claimed_on_grid(group, config.classes - 1, grid_yx)
        liver = dense_on_grid(group, grid_yx) if config.dense else claimed_on_grid(group, 1, grid_yx)
        return np.rint(255.0 * np.minimum(tumour, liver)).astype(np.uint8)

    return ask
