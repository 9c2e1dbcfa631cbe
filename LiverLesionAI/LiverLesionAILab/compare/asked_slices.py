"""A mask network or a detector asked about some slices of a scan, where the line would ask it about all.

Networks that see bags are asked about all slices at once: what is averaged over slices, or taken from another
one, is over these. What no replaced attention changes, the features of single images, is computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..data.cases import decode_hu
from ..data.scan import LIVER, TUMOUR, Scan
from ..evaluation.scan_boxes import LEAST_MM, ScoredScan, scan_case
from ..metrics.froc import ImageBoxes, match_image

if TYPE_CHECKING:
    from LiverLesionAILib.models.inputs import InputSpec
    from LiverLesionAILib.models.weights import ModelEntry
    from LiverLesionAILib.networks.va_rcnn import Features, VaRcnn
    from LiverLesionAILib.stages.detect.volumetric import Found, SlabFeatures
    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class AskedScan:
    """A scan on a network's grid, with the slices that are asked about.

    Attributes:
        scan: where it is from.
        spacing_zyx_mm: of the grid.
        hu_zyx: float32 HU, its liver's level shifted; liver_zyx, tumour_zyx: the truth, lesions in the liver.
        slices: rising, each with a lesion.
    """

    scan: Scan
    spacing_zyx_mm: tuple[float, float, float]
    hu_zyx: NDArray[np.float32]
    liver_zyx: NDArray[np.bool_]
    tumour_zyx: NDArray[np.bool_]
    slices: NDArray[np.intp]


def asked_scans(scans: Sequence[Scan], entry: ModelEntry, count: int) -> Iterator[AskedScan]:
    """Each scan that has a lesion, with `count` slices spread evenly over those that show one.

    Raises:
        InputError: a scan is missing or damaged.
    """
    from LiverLesionAILib.models.inputs import liver_level_hu

    for scan in scans:
        case = scan_case(scan, entry)
        liver, tumour = np.isin(case.labels_zyx, (LIVER, TUMOUR)), case.labels_zyx == TUMOUR
        found = np.flatnonzero(tumour.any(axis=(1, 2)))
        if not len(found):
            continue
        chosen = found[np.linspace(0, len(found) - 1, min(count, len(found))).round().astype(int)]
        hu = decode_hu(case.grey_zyx)
        hu += np.float32(entry.input.shift_hu(liver_level_hu(hu[liver])))
        yield AskedScan(scan, case.spacing_zyx_mm, hu, liver, tumour, chosen)


def tumour_in(
    network: nn.Module, entry: ModelEntry, hu_zyx: NDArray[np.float32], slices: NDArray[np.intp]
) -> Callable[[], NDArray[np.uint8]]:
    """What asks a mask network for the tumour's probability in some slices, (n, y, x), 0..255 for 0..1."""
    import torch
    from LiverLesionAILib.networks.va_rcnn import VaRcnn
    from LiverLesionAILib.stages.detect.volumetric import Found
    from LiverLesionAILib.stages.segment.inference import class_probabilities

    if not isinstance(network, VaRcnn):
        scales = entry.scales.get("lesions", (1.0,))[:1]
        return lambda: class_probabilities(
            network, entry.input, hu_zyx, classes=3, pyramid=scales, slices=slices.tolist()
        )[1]
    slab, features, own = _bags(network, entry.input.enlarged(entry.scales), hu_zyx, slices)

    def ask() -> NDArray[np.uint8]:
        with torch.inference_mode():
            output = network.detect(features, own, slab.padded_yx)
        group = Found(slices, output, slab.size_yx, slab.padded_yx)
        return claimed_tumour(network, group, hu_zyx.shape[1:])

    return ask


def claimed_tumour(network: VaRcnn, group: Found, grid_yx: tuple[int, int]) -> NDArray[np.uint8]:
    """The tumour's probability by instances, where the liver is, (T, *grid_yx), 0..255 for 0..1."""
    from LiverLesionAILib.stages.detect.volumetric import claimed_on_grid, dense_on_grid

    config = network.config
    tumour = claimed_on_grid(group, config.classes - 1, grid_yx)
    liver = dense_on_grid(group, grid_yx) if config.dense else claimed_on_grid(group, 1, grid_yx)
    return np.rint(255.0 * np.minimum(tumour, liver)).astype(np.uint8)


def _bags(
    network: VaRcnn, spec: InputSpec, hu_zyx: NDArray[np.float32], slices: NDArray[np.intp]
) -> tuple[SlabFeatures, Features, Tensor]:
    """Slices in a network's pixels, the features of all images of their bags, and the bags (T, N)."""
    import torch
    from LiverLesionAILib.networks.va_rcnn import Features
    from LiverLesionAILib.networks.volumetric_attention import bag_indices
    from LiverLesionAILib.stages.detect.volumetric import SlabFeatures

    slab, config = SlabFeatures(network, spec, hu_zyx, spec.magnify), network.config
    bags = bag_indices(torch.from_numpy(slices), len(hu_zyx), config.bag, config.bag_step)
    used, own = bags.unique(return_inverse=True)
    with torch.inference_mode():
        parts = [network.features(slab.images(some.numpy())) for some in used.split(slab.batch)]
    return slab, Features.joined(parts), own


Boxes = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Boxes (n, 4) y0, x0, y1, x1 in voxels, and scores (n,)."""


def boxes_in(network: nn.Module, entry: ModelEntry, asked: AskedScan) -> Callable[[], list[ScoredScan]]:
    """What asks a detector for the boxes in the asked slices, beside those of the lesions' cross-sections.

    Boxes count whose middle lies in the true liver. Each slice is told as a scan of its own is.
    """
    import torch
    from LiverLesionAILib.networks.cs_att import CsAtt
    from LiverLesionAILib.stages.detect.slice_boxes import VolumeWindows
    from LiverLesionAILib.stages.detect.view import view_around
    from LiverLesionAILib.stages.detect.volumetric import boxes_on_grid

    view = view_around(asked.liver_zyx, asked.spacing_zyx_mm)
    assert view is not None
    if isinstance(network, CsAtt):
        windows = VolumeWindows(network, entry.input, asked.hu_zyx, view)
        with torch.inference_mode():
            known = windows.known(asked.slices.tolist())

        def found() -> list[Boxes]:
            return [windows.to_grid(windows.judged([window])[0]) for window in known]
    else:
        part_zyx = asked.hu_zyx[:, view.rows, view.columns]
        shift = np.array([view.rows.start, view.columns.start] * 2, float)
        slab, features, own = _bags(network, entry.input.enlarged(entry.scales), part_zyx, asked.slices)  # type: ignore[arg-type]

        def found() -> list[Boxes]:
            all_found = network.detect(features, own, slab.padded_yx).detections
            lesion = all_found.classes == network.config.classes - 1
            boxes = boxes_on_grid(all_found.boxes, slab.size_yx, part_zyx.shape[1:]).double().numpy() + shift
            each = [(lesion & (all_found.images == k)).numpy() for k in range(len(own))]
            return [(boxes[k], all_found.scores.double().numpy()[k]) for k in each]

    def ask() -> list[ScoredScan]:
        with torch.inference_mode():
            return scored_slices(asked, found())

    return ask


def scored_slices(asked: AskedScan, found: Sequence[Boxes]) -> list[ScoredScan]:
    """Boxes found in the asked slices, on the whole grid, matched with the lesions' cross-sections."""
    import torch

    from ..training.detection import instance_boxes, instances_of

    made = []
    for z, boxes in zip(asked.slices, found, strict=True):
        tumour = torch.from_numpy(2 * asked.tumour_zyx[z].astype(np.int64))
        truth = instance_boxes(instances_of(tumour)).numpy()
        m = match_image(ImageBoxes(truth, *_inside(*boxes, asked.liver_zyx[z])))
        # All sizes count.
        sizes = np.full(len(m.found_scores), LEAST_MM)
        made.append(ScoredScan(asked.scan.name, asked.scan.patient, sizes, m.found_scores, m.false_scores))
    return made


def _inside(boxes: NDArray[np.float64], scores: NDArray[np.float64], liver_yx: NDArray[np.bool_]) -> Boxes:
    """The boxes whose middle lies in the liver."""
    middle = np.floor((boxes[:, :2] + boxes[:, 2:]) / 2).astype(int)
    y, x = (np.clip(middle[:, k], 0, liver_yx.shape[k] - 1) for k in (0, 1))
    keep = liver_yx[y, x]
    return boxes[keep], scores[keep]
