"""Vessels and Couinaud segments as a segmentation file of their own, which opens in 3D Slicer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..case.anatomy import CouinaudSegment, LiverAnatomy, Vessel
from ..case.anatomy_description import structure_id, structure_tags
from ..volume.geometry import Geometry
from ..volume.masks import bounding_box
from . import nrrd

ANATOMY = "anatomy.seg.nrrd"


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
    extent = (x.start, x.stop - 1, y.start, y.stop - 1, z.start, z.stop - 1)
    return nrrd.FileSegment(
        structure_id(one), one.title, one.colour, structure_tags(one), layer, int(one), extent
    )
