"""One DICOM scan as a volume."""

from __future__ import annotations

import numpy as np

from ..support.errors import GeometryError, InputError
from ..support.progress import Progress
from ..volume.ct import CtVolume
from .dicom_pixels import read_hu
from .dicom_series import Stack, slice_positions
from .dicom_source import source_of
from .slices import SliceStack, regular, slices_at

# Single damaged slices are bridged like missing ones; beyond this share the scan is not worth it.
MOST_DAMAGED = 0.25


def load_stack(stack: Stack, source: str, progress: Progress) -> CtVolume:
    """Decode a scan and put its slices onto an even grid by their positions.

    Args:
        stack: chosen by :func:`~.dicom_series.choose`.
        source: name of the folder or file, for the volume's name and messages.

    Raises:
        InputError: too many damaged images, or slices that make no volume.
        Cancelled: `progress` asked for it.
    """
    info, frames = stack.info, list(stack.frames)
    label = f"{source}, {info.label}"
    places = slice_positions(frames)
    place_of = {k: p for p, place in enumerate(places) for k in place}
    values = np.zeros((len(places), *frames[0].shape_yx), np.int16)
    taken = np.full(len(places), -1)
    damaged: list[str] = []
    differing = 0
    for done, (k, hu) in enumerate(read_hu(frames)):
        if done % 8 == 0:
            progress("Reading", done / len(frames))
        p = place_of[k]
        if hu is None:
            damaged.append(frames[k].path.name)
        elif taken[p] < 0:
            values[p], taken[p] = hu, k
        elif not np.array_equal(values[p], hu):
            differing += 1
            if frames[k].instance < frames[taken[p]].instance:
                values[p], taken[p] = hu, k
    warnings = _warnings(stack, places, damaged, differing)
    good = taken >= 0
    if good.sum() < len(places) * (1 - MOST_DAMAGED) or not good.any():
        raise InputError(
            f"{label}: {int((~good).sum())} of {len(places)} slices cannot be read (such as {damaged[0]}). "
            "The files are damaged or incomplete: copy or export them again."
        )
    if not good.all():
        values = values[good]
    positions = np.array([frames[k].position_lps for k in taken[good]])
    row, column = np.reshape(frames[0].orientation, (2, 3))  # type: ignore[arg-type]
    try:
        values, geometry, changes = regular(
            values, SliceStack(positions, row, column, frames[0].spacing_yx_mm)  # type: ignore[arg-type]
        )  # fmt: skip
    except GeometryError as error:
        raise InputError(
            f"{label}: the slices do not make a volume. {error} Export the series again."
        ) from error
    name = source + (f" - {info.description}" if info.description else "")
    at_slices = [None if k is None else frames[taken[good][k]] for k in slices_at(geometry, positions)]
    return CtVolume(
        np.ascontiguousarray(values), geometry, name, (*warnings, *changes), dicom=source_of(at_slices)
    )


def _warnings(stack: Stack, places: list[list[int]], damaged: list[str], differing: int) -> list[str]:
    info = stack.info
    sentences = []
    if info.doubt:
        sentences.append(f"{info.label[0].upper()}{info.label[1:]}: {info.doubt}.")
    if damaged:
        names = ", ".join(damaged[:3]) + (" ..." if len(damaged) > 3 else "")
        sentences.append(
            f"{len(damaged)} damaged slice file{'s' if len(damaged) > 1 else ''} left out ({names})."
        )
    repeated = sum(len(place) > 1 for place in places)
    if repeated:
        same = (
            "they differ, the first of each was used" if differing else "they are equal, one of each was used"
        )
        sentences.append(
            f"{repeated} slice position{'s hold' if repeated > 1 else ' holds'} more than one image; {same}."
        )
    return sentences
