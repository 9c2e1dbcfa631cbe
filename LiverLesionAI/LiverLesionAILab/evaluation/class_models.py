"""A bundled slice classifier on examples of the five classes, with Grad-CAM as its attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.models.inputs import InputSpec, liver_level_hu
from LiverLesionAILib.volume.ct import Geometry, resample

from ..data.synthliver import ClassImage, ClassSlice
from ..synthesis.synthliver.plan import CLASSES
from .slice_classes import Classifier, ClassPrediction

if TYPE_CHECKING:
    from LiverLesionAILib.stages.classify.liver_slices import Placement
    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Prepared:
    """An example as a network sees it.

    Attributes:
        image: (in_slices, edge, edge) float32.
        where: where that lies on the slice on the network's grid; shape_yx: of that slice.
        source, target: grids of one slice of the example and of the network.
    """

    image: Tensor
    where: Placement
    shape_yx: tuple[int, int]
    source: Geometry
    target: Geometry


def prepare(image: ClassImage, spec: InputSpec) -> Prepared:
    """The middle slice of an example, as the product sees a slice, the liver's outline given."""
    from LiverLesionAILib.stages.classify.liver_slices import place, slice_input

    source = Geometry.make(image.hu.shape, image.spacing_zyx_mm)
    target = source.with_spacing((image.spacing_zyx_mm[0], *spec.spacing_zyx_mm[1:]))
    hu = resample(image.hu.astype(np.float32), source, target)
    liver = resample((image.labels > 0).astype(np.float32), source, target)[1] > 0.5
    hu = hu + np.float32(spec.shift_hu(liver_level_hu(hu[1][liver])))
    where = place(liver)
    stack = hu[spec.stack_indices(np.array([1]), 3)[0]]
    shape = (liver.shape[0], liver.shape[1])
    return Prepared(
        slice_input(stack, liver, spec, where),
        where,
        shape,
        source.cropped((0, 0, 0), (1, *source.shape_zyx[1:])),
        target.cropped((0, 0, 0), (1, *target.shape_zyx[1:])),
    )


def network_classifier(
    network: nn.Module,
    spec: InputSpec,
    temperature: float = 1.0,
    prepared: dict[str, Prepared] | None = None,
) -> Classifier:
    """A network as a classifier of examples.

    Args:
        network: in inference form, on its device; its first classes are those of the set.
        spec: of its input. The three slices are taken as they lie, whatever distance it was trained at.
        temperature: of its calibration.
        prepared: examples that are ready, by name; new ones are added. For several networks of one `spec`.
    """
    import torch
    import torch.nn.functional as F
    from LiverLesionAILib.networks.parts.gradients import grad_cam
    from LiverLesionAILib.stages.classify.lesions import probabilities_of

    def classify(one: ClassSlice, image: ClassImage) -> ClassPrediction:
        ready = prepared.get(one.name) if prepared is not None else None
        if ready is None:
            ready = prepare(image, spec)
            if prepared is not None:
                prepared[one.name] = ready
        given, features = probabilities_of(network, ready.image[None], temperature)
        # No phase is told: an example does not say which. Classes that the set lacks come after its own.
        given = given[:, : len(CLASSES)] / given[:, : len(CLASSES)].sum(axis=1, keepdims=True)
        plane = grad_cam(network, features, torch.tensor([int(given[0].argmax())])).float().cpu()  # type: ignore[arg-type]
        grid = ready.where.inverse_grid(ready.shape_yx, int(getattr(network, "multiple", 8)))[None]
        seen = F.grid_sample(plane[:, None], grid, padding_mode="zeros", align_corners=False)[0].numpy()
        back = resample(seen, ready.target, ready.source)[0]
        # What lies outside the liver was masked away: no place there explains anything.
        return ClassPrediction(given[0], np.clip(back, 0, None) * (image.labels[1] > 0))

    return classify
