"""Vessels and Couinaud segments as a segmentation file of their own, which opens in 3D Slicer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..case.anatomy import CouinaudSegment, LiverAnatomy, Vessel
from ..case.terminology import (
    TAG_ALGORITHM_NAME,
    TAG_ALGORITHM_TYPE,
    TAG_TERMINOLOGY,
    algorithm_type,
    anatomy_terminology,
)
from ..volume.geometry import Geometry
from ..volume.masks import bounding_box
from . import nrrd

ANATOMY = "anatomy.seg.nrrd"
ALGORITHM = "LiverLesionAI anatomy"


def write_anatomy(path: Path, anatomy: LiverAnatomy) -> None:
    """Segments in one layer, vessels in another, as far as there are any; cropped to what is not empty.

    Raises:
        OSError: it cannot be written.
    """
    box = bounding_box((anatomy.segments_zyx > 0) | (anatomy.vessels_zyx > 0))
    if box is None:
        nrrd.write_segmentation(path, [anatomy.segments_zyx], anatomy.geometry, [])
        return
    geometry: Geometry = anatomy.geometry.cropped([s.start for s in box], [s.stop for s in box])
    layers = [np.ascontiguousarray(anatomy.segments_zyx[box]), np.ascontiguousarray(anatomy.vessels_zyx[box])]
    kinds: tuple[type[CouinaudSegment] | type[Vessel], ...] = (CouinaudSegment, Vessel)
    segments = [
        _file_segment(one, layer, layers[layer])
        for layer, kind in enumerate(kinds)
        for one in kind
        if (layers[layer] == one).any()
    ]
    nrrd.write_segmentation(path, layers, geometry, segments)


def _file_segment(
    one: CouinaudSegment | Vessel, layer: int, labels_zyx: NDArray[np.uint8]
) -> nrrd.FileSegment:
    z, y, x = bounding_box(labels_zyx == one) or (slice(0, 1),) * 3
    tags = {
        TAG_TERMINOLOGY: anatomy_terminology(one.code),
        TAG_ALGORITHM_TYPE: algorithm_type(edited=False),
        TAG_ALGORITHM_NAME: ALGORITHM,
    }
    extent = (x.start, x.stop - 1, y.start, y.stop - 1, z.start, z.stop - 1)
    name = f"{type(one).__name__}_{one.name}"
    return nrrd.FileSegment(name, one.title, one.colour, tags, layer, int(one), extent)
