"""What the slices of a DICOM scan say that contradicts itself or one another, though they can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ..support.text import printable
from .dicom_claim_checks import claim_doubts, claim_notes
from .dicom_frames import CATEGORIES, Frame
from .dicom_places import distances_mm

# Numbers of which fewer are in order say nothing about positions.
MOST_OUT_OF_ORDER = 0.4
_SETTINGS = {
    "ConvolutionKernel": "reconstruction kernel",
    "KVP": "tube voltage",
    "SliceThickness": "slice thickness",
    "ContrastBolusAgent": "contrast agent",
    "FrameOfReferenceUID": "frame of reference",
}


def slice_doubts(frames: Sequence[Frame], numbers: Collection[int] = ()) -> list[str]:
    """Sentences for the reader about slices that contradict themselves or one another.

    Args:
        frames: one per slice, in the order of their positions.
        numbers: instance numbers of all images of the series.
    """
    found = [*_rescale(frames), *_photometric(frames), *_settings(frames), *claim_doubts(frames)]
    if len(frames) > 2:
        found += [*_order(frames), *_every_other(frames, numbers)]
    return found


def slice_notes(frames: Sequence[Frame]) -> list[str]:
    """Sentences about what differs between slices and is allowed to."""
    notes = list(claim_notes(frames))
    for name, values in (
        ("rescale slope or intercept", {(f.slope, f.intercept) for f in frames}),
        ("number of stored bits", {(f.format.allocated, f.format.stored, f.format.signed) for f in frames}),
        ("padding value", {f.padding for f in frames}),
        ("transfer syntax", {f.format.syntax for f in frames}),
    ):
        if len(values) > 1:
            notes.append(f"The slices differ in {name}; each was read with its own.")
    numbers = sorted({f.category("AcquisitionNumber") for f in frames})
    if 1 < len(numbers) < len(frames) / 2:
        notes.append(
            f"The scan was made in {len(numbers)} parts, one above the other (acquisition numbers "
            f"{', '.join(numbers[:6])}{' ...' if len(numbers) > 6 else ''})."
        )
    return notes


def _share(count: int, frames: Sequence[Frame]) -> str:
    return "All slices have" if count == len(frames) else f"{count} of {len(frames)} slices have"


def _rescale(frames: Sequence[Frame]) -> Iterator[str]:
    for wrong, count in Counter(f.rescale for f in frames if f.rescale).items():
        yield (
            f"{_share(count, frames)} {wrong}; 1 was taken for a missing slope and 0 for a missing "
            "intercept. Check the densities: air must be -1000 HU and water 0."
        )


def _photometric(frames: Sequence[Frame]) -> Iterator[str]:
    inverted = sum(f.format.photometric == "MONOCHROME1" for f in frames)
    if inverted:
        yield (
            f"{_share(inverted, frames)} the photometric interpretation MONOCHROME1 (low values are shown "
            "bright); it does not change the densities, which were read as stored. Check that air is dark."
        )


def _settings(frames: Sequence[Frame]) -> Iterator[str]:
    for key, name in _SETTINGS.items():
        values = Counter(frame.categories[list(CATEGORIES).index(key)] for frame in frames)
        few = len(frames) - max(values.values())
        if len(values) > 1 and few > 0 and len(values) <= max(2, len(frames) // 3):
            yield (
                f"{few} of {len(frames)} slices differ from the others in {name}; check that they belong "
                "together."
            )


def _order(frames: Sequence[Frame]) -> Iterator[str]:
    """Positions against what else tells the order of slices."""
    distances = distances_mm(frames)
    step = float(np.median(np.diff(distances)))
    against: dict[str, NDArray[np.int64]] = {}
    instances = [f.instance for f in frames]
    if frames[0].frames == 1 and len(set(instances)) == len(frames):
        against["instance numbers"] = _out_of_order(np.array(instances, float))
    in_stack = [f.claims.in_stack for f in frames]
    if frames[0].frames > 1 and None not in in_stack and len(set(in_stack)) == len(frames):
        against["places in the stack"] = _out_of_order(np.array(in_stack, float))
    locations = [f.location_mm for f in frames]
    if all(v is not None for v in locations):
        against["slice locations"] = _off_location(np.array(locations, float), distances, step)
    wrong = {name: k for name, k in against.items() if 0 < len(k) <= MOST_OUT_OF_ORDER * len(frames)}
    if wrong:
        k = max(wrong.values(), key=len)
        names = ", ".join(printable(frames[i].path.name) for i in k[:4]) + (" ..." if len(k) > 4 else "")
        yield (
            f"The positions of {len(k)} slice{'s' if len(k) > 1 else ''} contradict their "
            f"{' and '.join(wrong)} ({names}). They were placed by their positions; look whether the anatomy "
            "is continuous there."
        )


def _out_of_order(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices that are not in the longest run of rising (or falling) numbers."""
    best: NDArray[np.int64] = np.arange(len(numbers))
    for sign in (1, -1):
        outside = np.setdiff1d(np.arange(len(numbers)), _longest_rise(sign * numbers))
        if len(outside) < len(best):
            best = outside
    return best


def _longest_rise(numbers: NDArray[np.float64]) -> list[int]:
    """Indices of a longest increasing subsequence."""
    ends: list[float] = []
    last: list[int] = []
    before = np.full(len(numbers), -1)
    for k, number in enumerate(numbers):
        place = int(np.searchsorted(ends, number))
        before[k] = last[place - 1] if place else -1
        ends[place : place + 1] = [number]
        last[place : place + 1] = [k]
    chain, k = [], last[-1]
    while k >= 0:
        chain.append(int(k))
        k = int(before[k])
    return chain[::-1]


def _off_location(
    locations: NDArray[np.float64], distances: NDArray[np.float64], step: float
) -> NDArray[np.int64]:
    """Indices whose slice location does not follow the positions that most follow.

    With a tilted gantry locations grow by less than the distance along the normal, evenly.
    """
    slope = float(np.median(np.diff(locations) / np.diff(distances)))
    offset = locations - slope * distances
    return np.flatnonzero(np.abs(offset - np.median(offset)) > max(0.5 * step, 0.3))


def _every_other(frames: Sequence[Frame], numbers: Collection[int]) -> Iterator[str]:
    """Slices that are evenly missing: the grid looks whole."""
    own = np.array([f.instance for f in frames])
    jumps = np.abs(np.diff(own))
    typical = int(np.median(jumps))
    between = set(range(int(own.min()), int(own.max()) + 1)) - set(own.tolist())
    skipped = (
        frames[0].frames == 1
        and typical > 1
        and float((jumps == typical).mean()) >= 0.8
        and not between & set(numbers)
    )
    step = float(np.median(np.diff(distances_mm(frames))))
    thickness = np.array([f.thickness_mm or np.nan for f in frames])
    thick = float(np.nanmedian(thickness)) if np.isfinite(thickness).any() else np.nan
    gap = thick > 0 and step > 1.5 * thick
    if skipped:
        first = ", ".join(str(n) for n in sorted(own.tolist())[:3])
        yield (
            f"Of every {typical} images only one is there (numbers {first} ...): the slices between are "
            "missing. Lesions smaller than the gap may be missed; give the whole series."
        )
    elif gap:
        yield (
            f"The slices are {thick:g} mm thick and {step:.1f} mm apart: what lies between was not imaged, "
            "or slices are missing. Lesions smaller than the gap may be missed."
        )
