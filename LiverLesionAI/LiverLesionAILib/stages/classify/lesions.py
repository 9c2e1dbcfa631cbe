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
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from ...case.classes import LesionClass
from ...case.findings import AttentionMap, Box
from ...models.inputs import InputSpec
from ...networks.parts.gradients import grad_cam, localise
from ...support.progress import Progress, silent
from ...volume.ct import Geometry
from ...volume.masks import bounding_box, components
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
    """(class or "indeterminate", most probable lesion class, outlier score) of five probabilities.

    And of what the layer for outliers says, where the network has one.
    """
    values = np.asarray(probabilities, float)
    best = 1 + int(np.delete(values, NORMAL).argmax())
    score = float(outlier_score(values, None if unlike is None else np.asarray(unlike)))
    seen = int(values.argmax()) != NORMAL and score <= settings.outlier_threshold
    return (classes[best] if seen else INDETERMINATE), classes[best], score


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
    batch: int = 16,
    progress: Progress = silent,
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Class of every slice of the liver, as the paper has it.

    Args:
        hu_zyx, liver_zyx: on the network's grid.

    Returns:
        (slices, (n, classes) probabilities); slices that show less than 3 cm2 of liver are left out.
    """
    pixel_mm2 = spec.spacing_zyx_mm[1] * spec.spacing_zyx_mm[2]
    slices = np.flatnonzero(liver_zyx.sum(axis=(1, 2)) * pixel_mm2 >= 300)
    found = []
    for first in range(0, len(slices), batch):
        some = slices[first : first + batch]
        images = [_input(spec, hu_zyx, liver_zyx, int(z))[0] for z in some]
        found.append(probabilities_of(network, torch.stack(images), temperature, batch)[0])
        progress("classifying slices", (first + len(some)) / len(slices))
    count = len(network.config.classes)  # type: ignore[union-attr, arg-type]
    return slices, np.concatenate(found) if found else np.zeros((0, count), np.float32)


def classify_lesions(
    network: nn.Module,
    spec: InputSpec,
    crop: LiverCrop,
    settings: ClassifySettings,
    *,
    maps: bool = True,
    batch: int = 16,
    progress: Progress = silent,
) -> dict[int, ClassAnswer]:
    """Class of every lesion.

    Args:
        network: in inference form, with `config.classes`.
        crop: on the network's grid.
        maps: also make Grad-CAM maps and boxes.

    Returns:
        By lesion number; lesions without a voxel on this grid are left out.
    """
    found: dict[int, ClassAnswer] = {}
    boxes = ndimage.find_objects(crop.labels_zyx)
    numbers = [number for number, box in enumerate(boxes, start=1) if box is not None]
    for index, number in enumerate(numbers):
        progress("classifying lesions", index / len(numbers))
        found[number] = _classified(network, spec, crop, number, settings, maps, batch)
    progress("classifying lesions", 1.0)
    return found


def _classified(
    network: nn.Module,
    spec: InputSpec,
    crop: LiverCrop,
    number: int,
    settings: ClassifySettings,
    maps: bool,
    batch: int,
) -> ClassAnswer:
    """Class of one lesion from the slices through it, the others in them filled with liver."""
    labels_zyx, liver_zyx = crop.labels_zyx, crop.liver_zyx
    slices, weights = slices_through(labels_zyx == number, settings)
    inputs = [
        _input(spec, crop.hu_zyx, liver_zyx, int(z), _others(labels_zyx, number, int(z), spec, settings))
        for z in slices
    ]
    images = torch.stack([image for image, _ in inputs])
    each, features = probabilities_of(network, images, settings.temperature, batch)
    mean = (each * weights[:, None]).sum(axis=0)
    classes = tuple(network.config.classes)  # type: ignore[union-attr, arg-type]
    said = unlike_of(network, features)
    unlike = None if said is None else float(said @ weights)
    name, explained, score = named(mean, classes, settings, unlike)
    shown, box = None, None
    if maps:
        chosen = torch.full((len(slices),), classes.index(explained))
        planes = grad_cam(network, features, chosen).cpu()  # type: ignore[arg-type]
        stride = int(getattr(network, "multiple", 8))
        grids = [where.inverse_grid(labels_zyx.shape[1:], stride) for _, where in inputs]
        shown, box = _map(number, name, explained, planes, slices, grids, liver_zyx, crop.geometry)
    probabilities = {c: float(p) for c, p in zip(classes, mean, strict=True)}
    return ClassAnswer(name, probabilities, score, explained, shown, box, unlike)


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


def _map(
    number: int,
    name: str,
    explained: str,
    planes: Tensor,
    slices: NDArray[np.intp],
    grids: list[Tensor],
    liver_zyx: NDArray[np.bool_],
    geometry: Geometry,
) -> tuple[AttentionMap, Box | None]:
    """Grad-CAM of the slices put onto the grid, from the first to the last of them; between them linear."""
    first, last = int(slices[0]), int(slices[-1])
    shape = liver_zyx.shape[1:]
    known = np.zeros((len(slices), *shape), np.float32)
    for index, (plane, grid) in enumerate(zip(planes, grids, strict=True)):
        full = F.grid_sample(
            plane[None, None].float(), grid[None], mode="bilinear", padding_mode="border", align_corners=False
        )[0, 0].numpy()
        known[index] = full * liver_zyx[slices[index]]
    values = np.empty((last - first + 1, *shape), np.float32)
    for z in range(first, last + 1):
        after = int(np.searchsorted(slices, z))
        if slices[after] == z:
            values[z - first] = known[after]
            continue
        share = (z - slices[after - 1]) / (slices[after] - slices[after - 1])
        values[z - first] = (1 - share) * known[after - 1] + share * known[after]
    top = float(values.max())
    if top > 0:
        values /= top
    # Only what holds the liver travels on: empty columns would be most of the file.
    used = liver_zyx[first : last + 1].any(axis=0)
    _, *cut = bounding_box(used[None])  # type: ignore[misc]
    values = np.ascontiguousarray(values[(slice(None), *cut)])
    grid = geometry.cropped((first, cut[0].start, cut[1].start), (last + 1, cut[0].stop, cut[1].stop))
    said = f"{explained}" if name == explained else f"{explained}, its most probable class"
    shown = AttentionMap(
        name=f"Grad-CAM, lesion {number}",
        meaning=f"What in the slices through lesion {number} speaks for {said}; 1 is the strongest.",
        values_zyx=values,
        geometry=grid,
        value_range=(0.0, 1.0),
        unit="relative",
        lesion_number=number,
    )
    return shown, _box(values, grid)


def _box(values_zyx: NDArray[np.float32], geometry: Geometry) -> Box | None:
    """The paper's weakly supervised localisation, slice by slice, as one box.

    Where the map is above half of its largest value, connected with that.
    """
    peak = int(values_zyx.max(axis=(1, 2)).argmax())
    if localise(values_zyx[peak]) is None:
        return None
    parts, _ = components(values_zyx >= 0.5 * values_zyx.max())
    at = np.unravel_index(int(values_zyx.argmax()), values_zyx.shape)
    window = bounding_box(parts == parts[at])
    assert window is not None
    start = np.array([s.start for s in window], float)
    stop = np.array([s.stop for s in window], float)
    centre = geometry.index_to_lps((start + stop - 1) / 2)
    size_zyx_mm = (stop - start) * np.array(geometry.spacing_zyx_mm)
    return Box(
        tuple(float(c) for c in centre),  # type: ignore[arg-type]
        tuple(float(s) for s in size_zyx_mm[::-1]),  # type: ignore[arg-type]
        tuple(float(d) for d in np.ravel(geometry.directions_lps)),
    )
