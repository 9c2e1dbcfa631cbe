"""Organs and lesions as a segmentation file that opens in 3D Slicer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..case.description import CaseScene, SceneSegment
from ..case.findings import CaseResult
from . import nrrd


def write_masks(path: Path, result: CaseResult) -> None:
    """Liver and lesions as a Slicer segmentation; a layer for each organ, one for all lesions.

    Raises:
        OSError: it cannot be written.
    """
    layers: list[NDArray] = []
    segments: list[nrrd.FileSegment] = []
    described = CaseScene.of(result).segments
    organs = [segment for segment in described if segment.lesion is None]
    lesions = [segment for segment in described if segment.lesion is not None]
    for organ, mask_zyx in zip(organs, organ_masks(result), strict=True):
        segments.append(_file_segment(organ, len(layers), 1))
        layers.append(mask_zyx.view(np.uint8))
    segments += [_file_segment(segment, len(layers), segment.lesion.number) for segment in lesions]
    dtype = np.dtype(np.uint8)
    if lesions or not layers:
        if result.lesion_labels_zyx.max(initial=0) > 255:
            dtype = np.dtype(np.uint16)
        layers.append(result.lesion_labels_zyx)
    nrrd.write_segmentation(path, layers, result.geometry, segments, dtype=dtype)


def organ_masks(result: CaseResult) -> list[NDArray[np.bool_]]:
    """Masks of the organs that are seen, in the order of their segments."""
    masks = (result.liver_zyx, result.gallbladder_zyx)
    return [mask for mask in masks if mask is not None and mask.any()]


def _file_segment(segment: SceneSegment, layer: int, label: int) -> nrrd.FileSegment:
    z, y, x = segment.mask.slices
    extent = (x.start, x.stop - 1, y.start, y.stop - 1, z.start, z.stop - 1)
    return nrrd.FileSegment(
        segment.segment_id, segment.name, segment.colour, segment.tags, layer, label, extent
    )
