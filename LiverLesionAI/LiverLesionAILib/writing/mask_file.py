"""Liver and lesions as a segmentation file that opens in 3D Slicer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..case import terminology as terms
from ..case.colours import LIVER, Colour, lesion_colour
from ..case.findings import CaseResult
from ..case.lesion_masks import lesion_masks
from ..volume.crops import Mask
from . import nrrd

ALGORITHM = "LiverLesionAI"


def write_masks(path: Path, result: CaseResult) -> None:
    """Liver and lesions as a Slicer segmentation; the liver in one layer, all lesions in the next.

    Raises:
        OSError: it cannot be written.
    """
    layers: list[NDArray] = []
    segments: list[nrrd.FileSegment] = []
    geometry = result.geometry

    def add(segment_id: str, name: str, colour: Colour, tags: dict[str, str], label: int, mask: Mask) -> None:
        drawn = {terms.TAG_NAME: name, terms.TAG_MASK: mask.fingerprint(geometry)}
        z, y, x = mask.slices
        extent = (x.start, x.stop - 1, y.start, y.stop - 1, z.start, z.stop - 1)
        segments.append(
            nrrd.FileSegment(segment_id, name, colour, {**tags, **drawn}, len(layers), label, extent)
        )

    liver = Mask.of(result.liver_zyx)
    if liver.count:
        add("liver", terms.LIVER_NAME, LIVER, terms.liver_tags(ALGORITHM), 1, liver)
        layers.append(result.liver_zyx.view(np.uint8))
    masks = lesion_masks(result)
    lesions = [lesion for lesion in result.lesions if lesion.number in masks]
    for lesion in lesions:
        number = lesion.number
        name = terms.lesion_title(lesion)
        tags = terms.lesion_tags(lesion, ALGORITHM)
        add(f"lesion_{number}", name, lesion_colour(number), tags, number, masks[number])
    if lesions or not layers:
        small = result.lesion_labels_zyx.max(initial=0) < 256
        layers.append(result.lesion_labels_zyx.astype(np.uint8 if small else np.uint16, copy=False))
    nrrd.write_segmentation(path, layers, geometry, segments)
