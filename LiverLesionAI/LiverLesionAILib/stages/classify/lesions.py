"""Class of every lesion: DADRN on the liver slices that go through it, gathered by how much of it they show.

The network answers for a whole slice of liver. A slice that several lesions share is therefore seen once per
lesion, the others filled with what looks like liver; slices with one lesion alone are seen as they are.

A lesion that the network knows none of its classes for is "indeterminate". It was shown metastases and
treated lesions, and taught to divide its answer evenly among the classes for those; the score is the answer's
entropy together with what a linear layer beside the classifier says, and its threshold is calibrated on
lesions. Of networks without that layer it is what the most probable class lacks to certainty. A lesion whose
slices look normal to the network is indeterminate as well: that it does not see the lesion is no class of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from ...case.classes import LesionClass
from ...case.findings import AttentionMap, Box
from ...models.inputs import InputSpec
from ...networks.dadrn import as_told
from ...networks.parts.gradients import grad_cam
from ...support.progress import Progress, silent
from .lesion_map import lesion_map
from .liver_box import LiverCrop
from .liver_slices import Placement, fill_with_liver, place, slice_input

INDETERMINATE = LesionClass.INDETERMINATE.code
NORMAL = 0
"""Index of the class without a lesion."""


@dataclass(frozen=True)
class ClassifySettings:
    """How slices become a lesion's class.

    Attributes:
        temperature: logits are divided by it.
        outlier_threshold: a lesion whose score (:func:`outlier_score`) is above it is indeterminate.
        most_slices: through one lesion.
        least_share: of its largest slice's area, under which a slice through a lesion tells nothing of it.
        others_mm: how far around other lesions is filled as well.
        least_weight: of a phase that is surely not arterial, against 1 of one that surely is.
    """

    PREFIX: ClassVar[str] = "class_"

    temperature: float
    outlier_threshold: float
    most_slices: int
    least_share: float
    others_mm: float
    least_weight: float


@dataclass(frozen=True, eq=False)
class ClassAnswer:
    """What the classifier says of one lesion.

    Attributes:
        name: a class, or "indeterminate".
        probabilities: by class, sum 1.
        outlier: score of :func:`outlier_score`, 0..1.
        unlike: what :meth:`~.dadrn.Dadrn.unlike` says, mean of the slices; None of networks that say nothing.
        explained: the class that `map` explains: the most probable one that is a lesion's.
        map: Grad-CAM on the slices through the lesion, 0..1 of its largest value; None where not asked for.
        box: around the map above half of its largest value; None where the map is empty or not asked for.
    """

    name: str
    probabilities: Mapping[str, float]
    outlier: float
    explained: str
    map: AttentionMap | None = None
    box: Box | None = None
    unlike: float | None = None


ENTROPY_WEIGHT = 4.0
"""Of the answer's entropy, 0..1, against the logit of the network's layer for outliers. Chosen, as the score
itself, on the bodies that the threshold is calibrated on; better there than either alone, than the largest
logit, the energy (Liu et al. 2020) and the Mahalanobis distance of the pooled map (Lee et al. 2018)."""


def outlier_score(probabilities: NDArray, unlike: NDArray | None = None) -> NDArray[np.float64]:
    """How unlike the classes a lesion is, 0..1; (..., classes) -> (...).

    Args:
        unlike: (...), mean logit of the network's layer for outliers. With it the score is the logistic of
            that and the entropy of the lesion classes' shares, of at most 1. Without it, 1 minus the share of
            the most probable of them, and not less than the probability of "normal": 0 sure of one class,
            0.75 of none among four.
    """
    values = np.asarray(probabilities, float)
    lesions = np.delete(values, NORMAL, axis=-1)
    shares = lesions / np.maximum(lesions.sum(axis=-1, keepdims=True), 1e-9)
    if unlike is None:
        return np.maximum(1 - shares.max(axis=-1), values[..., NORMAL])
    entropy = -(shares * np.log(np.maximum(shares, 1e-12))).sum(axis=-1) / np.log(shares.shape[-1])
    return 1 / (1 + np.exp(-(np.asarray(unlike, float) + ENTROPY_WEIGHT * (entropy - 0.5))))


def named(
    probabilities: NDArray, classes: Sequence[str], settings: ClassifySettings, unlike: float | None = None
) -> tuple[str, str, float]:
    """(class or "indeterminate", most probable lesion class, outlier score) of probabilities.

    And of what the layer for outliers says, where the network has one.
    """
    values = np.asarray(probabilities, float)
    best = 1 + int(np.delete(values, NORMAL).argmax())
    score = float(outlier_score(values, None if unlike is None else np.asarray(unlike)))
    seen = int(values.argmax()) != NORMAL and score <= settings.outlier_threshold
    return (classes[best] if seen else INDETERMINATE), classes[best], score


def answered_among(
    only: Sequence[str], name: str, probabilities: Mapping[str, float]
) -> tuple[str, str, dict[str, float]]:
    """(class or "indeterminate", class to explain, probabilities of sum 1), some classes left out.

    A network with more classes than its paper's answers with those alone: what it calls one of the others is
    none of them, as it was to a network that never knew them.

    Args:
        only: classes that may be answered, the first of them without a lesion.
        name, probabilities: of the whole answer.
    """
    left = {c: p for c, p in probabilities.items() if c in only}
    whole = sum(left.values()) or 1.0
    lesions = [c for c in left if c != only[NORMAL]]
    explained = max(lesions, key=lambda c: left[c])
    others = {c: p for c, p in probabilities.items() if c != only[NORMAL]}
    sayable = name in only and max(others, key=lambda c: others[c]) in only
    return (name if sayable else INDETERMINATE), explained, {c: p / whole for c, p in left.items()}


def probabilities_of(
    network: nn.Module, images: Tensor, temperature: float = 1.0, batch: int = 16
) -> tuple[NDArray[np.float32], Tensor]:
    """Probabilities (n, classes) of inputs (n, S, H, W), and the maps that the answers come from."""
    parameter = next(network.parameters())
    found, maps = [], []
    with torch.inference_mode():
        for part in images.split(batch):
            part = part.to(parameter.device, parameter.dtype).contiguous(memory_format=torch.channels_last)
            output = network(part)
            found.append((output.logits.float() / temperature).softmax(dim=1).cpu())
            maps.append(output.features)
    return torch.cat(found).numpy(), torch.cat(maps)


def unlike_of(network: nn.Module, features: Tensor) -> NDArray[np.float64] | None:
    """(n,) logits of the network's layer for outliers from its maps; None of networks without one."""
    if not hasattr(network, "unlike"):
        return None
    with torch.inference_mode():
        said = network.unlike(features)  # type: ignore[operator]
    return None if said is None else said.double().cpu().numpy()


def classify_slices(
    network: nn.Module,
    spec: InputSpec,
    hu_zyx: NDArray[np.float32],
    liver_zyx: NDArray[np.bool_],
    *,
    temperature: float = 1.0,
    phase: Sequence[float] | None = None,
    batch: int = 16,
    progress: Progress = silent,
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Class of every slice of the liver, as the paper has it.

    Args:
        hu_zyx, liver_zyx: on the network's grid.
        phase: probability of each contrast phase, for networks that take it.

    Returns:
        (slices, (n, classes) probabilities); slices that show less than 3 cm2 of liver are left out.
    """
    pixel_mm2 = spec.spacing_zyx_mm[1] * spec.spacing_zyx_mm[2]
    slices = np.flatnonzero(liver_zyx.sum(axis=(1, 2)) * pixel_mm2 >= 300)
    found = []
    for first in range(0, len(slices), batch):
        some = slices[first : first + batch]
        images = [_input(spec, hu_zyx, liver_zyx, int(z))[0] for z in some]
        told = as_told(network, torch.stack(images), phase)
        found.append(probabilities_of(network, told, temperature, batch)[0])
        progress("classifying slices", (first + len(some)) / len(slices))
    count = len(network.config.classes)  # type: ignore[union-attr, arg-type]
    return slices, np.concatenate(found) if found else np.zeros((0, count), np.float32)


def classify_lesions(
    network: nn.Module,
    spec: InputSpec,
    crop: LiverCrop,
    settings: ClassifySettings,
    *,
    phase: Sequence[float] | None = None,
    only: Sequence[str] = (),
    maps: bool = True,
    batch: int = 16,
    progress: Progress = silent,
) -> dict[int, ClassAnswer]:
    """Class of every lesion.

    Args:
        network: in inference form, with `config.classes`.
        crop: on the network's grid.
        phase: probability of each contrast phase, for networks that take it.
        only: of the network's classes those that may be answered (:func:`answered_among`); () for all, and
            without effect on a network that lacks one of them.
        maps: also make Grad-CAM maps and boxes.

    Returns:
        By lesion number; lesions without a voxel on this grid are left out.
    """
    found: dict[int, ClassAnswer] = {}
    boxes = ndimage.find_objects(crop.labels_zyx)
    numbers = [number for number, box in enumerate(boxes, start=1) if box is not None]
    for index, number in enumerate(numbers):
        progress("classifying lesions", index / len(numbers))
        asked = lesion_inputs(spec, crop, number, settings)
        found[number] = _classified(network, crop, asked, number, settings, phase, only, maps, batch)
    progress("classifying lesions", 1.0)
    return found


def _classified(
    network: nn.Module,
    crop: LiverCrop,
    asked: LesionInputs,
    number: int,
    settings: ClassifySettings,
    phase: Sequence[float] | None,
    only: Sequence[str],
    maps: bool,
    batch: int,
) -> ClassAnswer:
    """Class of one lesion from the slices through it."""
    answer, features = answer_of(network, asked, settings, phase, only, batch)
    if not maps:
        return answer
    classes = tuple(network.config.classes)  # type: ignore[union-attr, arg-type]
    chosen = torch.full((len(asked.slices),), classes.index(answer.explained))
    planes = grad_cam(network, features, chosen).cpu()  # type: ignore[arg-type]
    stride = int(getattr(network, "multiple", 8))
    shape = (crop.liver_zyx.shape[1], crop.liver_zyx.shape[2])
    grids = [where.inverse_grid(shape, stride) for where in asked.placements]
    shown, box = lesion_map(
        number, answer.name, answer.explained, planes, asked.slices, grids, crop.liver_zyx, crop.geometry
    )
    return replace(answer, map=shown, box=box)


@dataclass(frozen=True, eq=False)
class LesionInputs:
    """What a network is shown of one lesion.

    Attributes:
        images: (n, in_slices, edge, edge); placements: where each lies on its slice.
        slices: (n,) on the grid; weights: (n,), sum 1.
    """

    images: Tensor
    placements: tuple[Placement, ...]
    slices: NDArray[np.intp]
    weights: NDArray[np.float64]


def lesion_inputs(spec: InputSpec, crop: LiverCrop, number: int, settings: ClassifySettings) -> LesionInputs:
    """The slices through a lesion, the others in them filled with liver; `crop` is on the network's grid."""
    labels_zyx, liver_zyx = crop.labels_zyx, crop.liver_zyx
    slices, weights = slices_through(labels_zyx == number, settings)
    inputs = [
        _input(spec, crop.hu_zyx, liver_zyx, int(z), _others(labels_zyx, number, int(z), spec, settings))
        for z in slices
    ]
    images, placements = zip(*inputs, strict=True)
    return LesionInputs(torch.stack(images), placements, slices, weights)


def answer_of(
    network: nn.Module,
    asked: LesionInputs,
    settings: ClassifySettings,
    phase: Sequence[float] | None = None,
    only: Sequence[str] = (),
    batch: int = 16,
) -> tuple[ClassAnswer, Tensor]:
    """A lesion's class without a map, and the slices' maps that it comes from.

    Args:
        phase, only: as for :func:`classify_lesions`.
    """
    images = as_told(network, asked.images, phase)
    each, features = probabilities_of(network, images, settings.temperature, batch)
    mean = (each * asked.weights[:, None]).sum(axis=0)
    classes = tuple(network.config.classes)  # type: ignore[union-attr, arg-type]
    said = unlike_of(network, features)
    unlike = None if said is None else float(said @ asked.weights)
    name, explained, score = named(mean, classes, settings, unlike)
    probabilities = {c: float(p) for c, p in zip(classes, mean, strict=True)}
    if only and set(only) < set(classes):
        name, explained, probabilities = answered_among(only, name, probabilities)
    return ClassAnswer(name, probabilities, score, explained, unlike=unlike), features


def slices_through(
    lesion_zyx: NDArray[np.bool_], settings: ClassifySettings
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Slices that show a lesion, and their weights: its area in each, sum 1.

    Slices with little of it are left out, and of many an even selection is taken, its largest among them.
    """
    areas = lesion_zyx.sum(axis=(1, 2)).astype(float)
    good = np.flatnonzero(areas >= max(1.0, settings.least_share * areas.max()))
    if len(good) > settings.most_slices:
        largest = int(np.flatnonzero(good == areas.argmax())[0])
        picks = np.unique(np.linspace(0, len(good) - 1, settings.most_slices - 1).round().astype(int))
        good = good[np.unique(np.append(picks, largest))]
    return good, areas[good] / areas[good].sum()


def _others(
    labels_zyx: NDArray[np.integer], number: int, z: int, spec: InputSpec, settings: ClassifySettings
) -> NDArray[np.bool_] | None:
    """What other lesions take of a slice and its neighbours; None where there are none."""
    half = spec.in_slices // 2
    slab = labels_zyx[max(0, z - half) : z + half + 1]
    others = ((slab > 0) & (slab != number)).any(axis=0)
    if not others.any():
        return None
    steps = max(1, round(settings.others_mm / spec.spacing_zyx_mm[1]))
    return ndimage.binary_dilation(others, iterations=steps) & (labels_zyx[z] != number)


def _input(
    spec: InputSpec,
    hu_zyx: NDArray[np.float32],
    liver_zyx: NDArray[np.bool_],
    z: int,
    filled_yx: NDArray[np.bool_] | None = None,
) -> tuple[Tensor, Placement]:
    stack = np.asarray(hu_zyx[spec.stack_indices(np.array([z]), len(hu_zyx))[0]], np.float32)
    if filled_yx is not None:
        # The seed is the slice's: the same CT gives the same answer.
        stack = fill_with_liver(stack, filled_yx, liver_zyx[z], np.random.default_rng(z))
    where = place(liver_zyx[z])
    return slice_input(stack, liver_zyx[z], spec, where), where
