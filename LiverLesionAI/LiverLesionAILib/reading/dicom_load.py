"""One DICOM scan as a volume."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..support.errors import GeometryError, InputError
from ..support.progress import Progress
from ..support.text import printable
from ..volume.contrast import contrast_header
from ..volume.ct import CtVolume
from .dicom_checks import slice_doubts, slice_notes
from .dicom_frames import Frame
from .dicom_pixels import read_hu
from .dicom_places import slice_positions
from .dicom_series import Stack
from .dicom_source import source_of
from .slices import SliceStack, regular, slices_at
from .spectral import energy_doubt

# Single damaged slices are bridged like missing ones; beyond this share the scan is not worth it.
MOST_DAMAGED = 0.25


@dataclass(eq=False)
class _Pixels:
    """Decoded slices of a scan.

    Attributes:
        hu_zyx: int16 HU, one plane per position.
        taken: index of the frame at each position, -1 where none could be decoded.
        damaged: file names and why they could not be decoded.
        odd: what is odd about pixels that were read, with the number of slices.
        differing: images left out because another at their position, with other values, was taken.
    """

    hu_zyx: NDArray[np.int16]
    taken: NDArray[np.int64]
    damaged: dict[str, str] = field(default_factory=dict)
    odd: Counter[str] = field(default_factory=Counter)
    differing: int = 0


def load_stack(stack: Stack, source: str, progress: Progress) -> CtVolume:
    """Decode a scan and put its slices onto an even grid by their positions.

    Args:
        stack: chosen by :func:`~.dicom_choice.choose`.
        source: name of the folder or file, for the volume's name and messages.

    Raises:
        InputError: too many damaged images, or slices that make no volume.
        Cancelled: `progress` asked for it.
    """
    info, frames = stack.info, list(stack.frames)
    label = f"{source}, {info.label}"
    places = slice_positions(frames)
    pixels = _decoded(frames, places, label, progress)
    good = pixels.taken >= 0
    shown = [frames[k] for k in pixels.taken[good]]
    positions = np.array([f.position_lps for f in shown])
    row, column = np.reshape(frames[0].orientation, (2, 3))  # type: ignore[arg-type]
    values = pixels.hu_zyx if good.all() else pixels.hu_zyx[good]
    try:
        values, geometry, changes = regular(
            values, SliceStack(positions, row, column, frames[0].spacing_yx_mm)  # type: ignore[arg-type]
        )  # fmt: skip
    except GeometryError as error:
        raise InputError(
            f"{label}: the slices do not make a volume. {error} Export the series again."
        ) from error
    at_slices = [None if k is None else shown[k] for k in slices_at(geometry, positions)]
    origin = source_of(at_slices)
    doubt = energy_doubt(frames[0].description, frames[0].image_type, origin.kvp if origin else None)
    said = (*_warnings(stack, places, pixels), *slice_doubts(shown, stack.numbers), *changes)
    return CtVolume(
        np.ascontiguousarray(values),
        geometry,
        source.removesuffix(".dcm") + (f" - {info.description}" if info.description else ""),
        ((doubt, *said) if doubt else said),
        tuple(slice_notes(shown)),
        origin,
        contrast_header(origin),
    )


def _decoded(frames: list[Frame], places: list[list[int]], label: str, progress: Progress) -> _Pixels:
    """The pixels at each position; of several images at one, those with the lowest instance number."""
    place_of = {k: p for p, place in enumerate(places) for k in place}
    pixels = _Pixels(
        np.zeros((len(places), *frames[0].shape_yx), np.int16), np.full(len(places), -1, np.int64)
    )
    for done, image in enumerate(read_hu(frames)):
        if done % 8 == 0:
            progress("Reading", done / len(frames))
        k, p = image.k, place_of[image.k]
        pixels.odd.update(image.remarks)
        if image.hu_yx is None:
            pixels.damaged.setdefault(printable(frames[k].path.name), image.problem)
            continue
        before = int(pixels.taken[p])
        if before >= 0 and not np.array_equal(pixels.hu_zyx[p], image.hu_yx):
            pixels.differing += 1
        if before < 0 or frames[k].instance < frames[before].instance:
            pixels.hu_zyx[p], pixels.taken[p] = image.hu_yx, k
    missing = int((pixels.taken < 0).sum())
    if missing > len(places) * MOST_DAMAGED or missing == len(places):
        name, why = next(iter(pixels.damaged.items()))
        raise InputError(
            f"{label}: {missing} of {len(places)} slices cannot be read ({name}: {why}). "
            "The files are damaged or incomplete: copy or export them again."
        )
    return pixels


def _warnings(stack: Stack, places: list[list[int]], pixels: _Pixels) -> list[str]:
    info = stack.info
    sentences = list(stack.remarks)
    if info.doubt:
        sentences.append(f"{info.label[0].upper()}{info.label[1:]}: {info.doubt}.")
    if pixels.damaged:
        names = "; ".join(f"{name}: {why}" for name, why in list(pixels.damaged.items())[:3])
        count = len(pixels.damaged)
        sentences.append(
            f"{count} damaged slice file{'s' if count > 1 else ''} left out ({names}"
            f"{'; ...' if count > 3 else ''})."
        )
    for remark, count in pixels.odd.items():
        sentences.append(
            f"Of {len(stack.frames)} images, {count} {remark}." if count > 1 else f"One image {remark}."
        )
    repeated = sum(len(place) > 1 for place in places)
    if repeated:
        same = (
            "they differ, the first of each was used"
            if pixels.differing
            else "they are equal, one of each was used"
        )
        sentences.append(
            f"{repeated} slice position{'s hold' if repeated > 1 else ' holds'} more than one image; {same}."
        )
    return sentences
