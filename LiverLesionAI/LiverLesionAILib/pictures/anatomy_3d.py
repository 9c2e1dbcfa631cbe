"""What a 3D picture of segments, vessels and a planned resection is made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..case.anatomy import CouinaudSegment, Vessel
from ..case.colours import Colour, lesion_colour
from ..case.findings import CaseResult
from ..volume.masks import bounding_box
from .view_3d import FINE_GRID_MM, GRID_MM, Part, RenderJob, write_job

RESECTED: Colour = (0.85, 0.15, 0.12)
REMAINING: Colour = (0.80, 0.62, 0.52)
OPACITY, RESECTED_OPACITY = 0.28, 0.5
WIDTH, HEIGHT = 900, 720


def start_anatomy_3d(result: CaseResult) -> RenderJob:
    """Begin a picture of segments and vessels, or of the planned resection; wait for it or close it."""
    return RenderJob(result, WIDTH, HEIGHT, _write)


def _write(result: CaseResult, path: Path, width: int, height: int) -> None:
    write_job(result, list(_parts(result)), path, width, height, boxes=False)


def _parts(result: CaseResult) -> Iterator[Part]:
    """Vessels and lesions in full colour within what is resected and remains, or within the segments."""
    anatomy, resection = result.anatomy, result.resection
    if anatomy is not None:
        for vessel in Vessel:
            yield from _part(anatomy.vessels_zyx == vessel, vessel.colour, None, FINE_GRID_MM)
    for lesion in result.lesions:
        inside = result.lesion_labels_zyx == lesion.number
        yield from _part(inside, lesion_colour(lesion.number), None, FINE_GRID_MM)
    if resection is not None:
        yield from _part(result.liver_zyx & ~resection.mask_zyx, REMAINING, OPACITY)
        yield from _part(_apart(result.liver_zyx, resection.mask_zyx), RESECTED, RESECTED_OPACITY)
    elif anatomy is not None and anatomy.has_segments:
        for segment in CouinaudSegment:
            yield from _part(anatomy.segments_zyx == segment, segment.colour, OPACITY)
    else:
        yield from _part(result.liver_zyx, REMAINING, OPACITY)


def _apart(liver_zyx: NDArray[np.bool_], resected_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is resected, a voxel off what remains: two faces in one place would be drawn in patches."""
    return liver_zyx & resected_zyx & ~ndimage.binary_dilation(liver_zyx & ~resected_zyx)


def _part(
    mask_zyx: NDArray[np.bool_], colour: Colour, opacity: float | None, grid_mm: float = GRID_MM
) -> Iterator[Part]:
    where = bounding_box(mask_zyx)
    if where is not None:
        yield Part(mask_zyx[where], where, colour, opacity, grid_mm)
