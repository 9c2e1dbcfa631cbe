"""Whether neighbouring rows and slices of a volume fit each other, or its dimensions were exchanged."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

SLICES = 24
# Neighbours have to fit so much better when they are moved before anything is said.
MARGIN = 0.002
# A gantry tilted by 30 degrees moves slices 12 mm apart by up to this share of the narrowest image.
TILT_SHARE = 0.06
# Narrower images say nothing.
FEWEST_PIXELS = 16
# Whole volumes of repeated slices were resampled so; single ones were not.
REPEATED_SHARE = 0.2
# A mirrored slice has to fit the one before so much better. In CTs of patients sound neighbours have 1.8 and
# more (0.8 along the other axes), turned ones 0.1 to 0.6.
TURNED_SHARE = 0.7
CLIP_HU = (-1000.0, 1000.0)


def row_shift(hu_zyx: NDArray[Any]) -> int:
    """By how many pixels each row would have to move to continue the one before it.

    Rows of a body go on from one to the next. Where a header says another row length than the voxels were
    written
    with, each row starts some pixels further, the same number in all slices.

    Returns:
        pixels along x, 0 for a sound volume and where nothing can be said.
    """
    width = hu_zyx.shape[2]
    if hu_zyx.shape[1] < 2 or width < FEWEST_PIXELS:
        return 0
    product = np.zeros(width // 2 + 1, np.complex128)
    for z in _places(len(hu_zyx)):
        plane = np.clip(np.asarray(hu_zyx[z], np.float32), *CLIP_HU)
        spectrum = _spectrum(plane)
        product += (np.conj(spectrum[:-1]) * spectrum[1:]).sum(axis=0)
    return _best_shift(product, width)


def slice_shift(hu_zyx: NDArray[Any]) -> int:
    """By how many rows each slice would have to move to continue the one before it.

    Returns:
        rows along y, 0 for a sound volume, for shifts that a tilted gantry explains, and where nothing can
        be said.
    """
    rows = hu_zyx.shape[1]
    if rows < FEWEST_PIXELS or hu_zyx.shape[0] < 3:
        return 0
    product = np.zeros(rows // 2 + 1, np.complex128)
    for z in _places(hu_zyx.shape[0] - 1):
        pair = np.clip(np.asarray(hu_zyx[z : z + 2], np.float32), *CLIP_HU)
        spectrum = _spectrum(pair)
        product += (np.conj(spectrum[0]) * spectrum[1]).sum(axis=1)
    shift = _best_shift(product, rows)
    return shift if abs(shift) > TILT_SHARE * rows else 0


def slices_warning(hu_zyx: NDArray[Any]) -> str | None:
    """A sentence where single slices hold nothing, repeat the one before, or are turned over; None mostly.

    Noise is never the same twice, and a body is not its own mirror image: each is a trace of how the volume
    was stored or copied. Slices at the ends may be filled up.
    """
    planes = [np.asarray(plane) for plane in hu_zyx]
    empty = [k for k, plane in enumerate(planes) if plane.min() == plane.max()]
    filled = sorted(set(range(len(planes))) - set(empty))
    if len(filled) < 3:
        return None
    inner = [k for k in empty if filled[0] < k < filled[-1]]
    if inner:
        return (
            f"{_slices(inner)} hold no image (all voxels are {int(planes[inner[0]].flat[0])} HU), though "
            "slices above and below show the body. Lesions there are missed: export the series again."
        )
    pairs = list(pairwise(filled))
    again = [b for a, b in pairs if np.array_equal(planes[a], planes[b])]
    if 0 < len(again) <= REPEATED_SHARE * len(pairs):
        return (
            f"{_slices(again)} repeat the image of the slice before, which no scanner makes: the volume was "
            "put together wrongly, and slices are probably missing. Export the series again."
        )
    seams = [(b, way) for a, b in pairs if (way := _turned(planes[a], planes[b]))]
    if 0 < len(seams) <= REPEATED_SHARE * len(pairs):
        way = seams[0][1]
        return (
            f"From slice {seams[0][0] + 1} of {len(planes)} on the images seem turned over ({way}): they "
            "continue the ones before only when mirrored. Sides and places cannot be trusted; export the "
            "series again."
        )
    return None


def _slices(numbers: list[int]) -> str:
    listed = ", ".join(str(k + 1) for k in numbers[:6]) + (" ..." if len(numbers) > 6 else "")
    return f"{len(numbers)} slice{'s' if len(numbers) > 1 else ''} (number {listed})"


def _turned(before: NDArray[Any], after: NDArray[Any]) -> str:
    """How a slice has to be mirrored to continue the one before clearly better; "" where it does as it is."""
    step = max(1, min(before.shape) // 128)
    one, other = (
        np.clip(np.asarray(plane[::step, ::step], np.float32), *CLIP_HU) for plane in (before, after)
    )
    straight = np.abs(one - other).mean()
    ways = {"left and right": other[:, ::-1], "front and back": other[::-1]}
    best = min(ways, key=lambda way: np.abs(one - ways[way]).mean())
    return best if np.abs(one - ways[best]).mean() < TURNED_SHARE * straight else ""


def continuity_warning(hu_zyx: NDArray[Any]) -> str | None:
    """A sentence where rows or slices do not continue each other; None for a sound volume."""
    if rows := row_shift(hu_zyx):
        return (
            f"The rows of the image do not continue each other: each seems to start {abs(rows)} "
            "pixels off. Its "
            "width in the header is probably wrong or exchanged with another dimension. Look at the "
            "slices before "
            "you trust anything, and convert it from DICOM again."
        )
    if slices := slice_shift(hu_zyx):
        return (
            f"The slices of the image do not continue each other: each seems to start {abs(slices)} "
            "rows off. Its "
            "height and number of slices in the header are probably exchanged or wrong. Look at the "
            "slices before "
            "you trust anything, and convert it from DICOM again."
        )
    return None


def _places(count: int) -> list[int]:
    return sorted({int(k) for k in np.linspace(0, count - 1, SLICES)})


def _spectrum(values: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Fourier transform along the second axis without the mean; SciPy's takes a sixth of NumPy's time."""
    from scipy import fft  # a panel that opens has no use for it

    spectrum: NDArray[np.complex64] = fft.rfft(values - values.mean(axis=1, keepdims=True), axis=1)
    return spectrum


def _best_shift(spectrum: NDArray[np.complex128], length: int) -> int:
    """The circular shift with clearly the highest correlation, in -length/2..length/2; 0 where none is."""
    correlation = np.fft.irfft(spectrum, length)
    best = int(correlation.argmax())
    if correlation[best] <= 0 or correlation[best] - correlation[0] <= MARGIN * correlation[best]:
        return 0
    return best - length if best > length // 2 else best
