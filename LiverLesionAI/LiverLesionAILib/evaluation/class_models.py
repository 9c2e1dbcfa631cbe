"""A bundled slice classifier on examples of the five classes, with Grad-CAM as its attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..ct import Geometry, resample
from ..inputs import InputSpec, liver_level_hu
from ..training.readers.synthliver import ClassImage, ClassSlice
from .slice_classes import Classifier, ClassPrediction

if TYPE_CHECKING:
    from torch import nn


def network_classifier(network: nn.Module, spec: InputSpec, temperature: float = 1.0) -> Classifier:
    """A network as a classifier of examples: as the product sees a slice, the liver's outline given.

    Args:
        network: in inference form, on its device; its classes are those of the set.
        spec: of its input. The three slices are taken as they lie, whatever distance it was trained at.
        temperature: of its calibration.
    """
    import torch
    import torch.nn.functional as F

    from ..networks.gradients import grad_cam
    from ..stages.classify import probabilities_of
    from ..stages.liver_slices import place, slice_input

    def classify(one: ClassSlice, image: ClassImage) -> ClassPrediction:
        source = Geometry.make(image.hu.shape, image.spacing_zyx_mm)
        target = source.with_spacing((image.spacing_zyx_mm[0], *spec.spacing_zyx_mm[1:]))
        hu = resample(image.hu.astype(np.float32), source, target)
        liver = resample((image.labels > 0).astype(np.float32), source, target)[1] > 0.5
        hu = hu + np.float32(spec.shift_hu(liver_level_hu(hu[1][liver])))
        where = place(liver)
        stack = hu[spec.stack_indices(np.array([1]), 3)[0]]
        given, features = probabilities_of(network, slice_input(stack, liver, spec, where)[None], temperature)
        plane = grad_cam(network, features, torch.tensor([int(given[0].argmax())])).float().cpu()  # type: ignore[arg-type]
        shape = (liver.shape[0], liver.shape[1])
        grid = where.inverse_grid(shape, int(getattr(network, "multiple", 8)))[None]
        seen = F.grid_sample(plane[:, None], grid, padding_mode="zeros", align_corners=False)[0, 0].numpy()
        back = resample(np.repeat(seen[None], 3, axis=0), target, source)[1]
        # What lies outside the liver was masked away: no place there explains anything.
        return ClassPrediction(given[0], np.clip(back, 0, None) * (image.labels[1] > 0))

    return classify
