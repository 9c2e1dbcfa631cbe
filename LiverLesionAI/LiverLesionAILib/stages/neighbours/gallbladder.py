"""The gallbladder: where it is, and what of the liver and its lesions it is.

A network of its own gives every voxel's probability of liver (with its lesions) and of gallbladder (with its
wall). A lesion whose mask is mostly gallbladder is none; gallbladder voxels leave the liver and its lesions.
What lies beside the gallbladder, or half in it, stays a lesion and is reported as doubtful.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.masks import (
    BoxSlices,
    bounding_box,
    components,
    copied,
    fill_holes,
    label_boxes,
    with_numbers,
    within_mm,
)
from .ends import EndSettings, is_end, meeting
from .lobes import own_lobes

RING_MM = 2.0
"""Between this and twice this from a lesion lie its surroundings: clear of its blurred border."""


@dataclass(frozen=True)
class GallbladderSettings(EndSettings):
    """How the gallbladder's probability becomes a mask, and what it means for a lesion; lobes, ends.

    Attributes:
        below_mm: how far below the liver's box it is looked for.
        leftmost, highest: where it can lie, as shares of the liver's width from its right end, and of its
            height from below.
        threshold: voxels at or above it are gallbladder.
        peak: the mean of its surest tenth has to reach this; else none is seen.
        smallest_ml: a smaller one is none; a lesion that shares so much with one is doubtful.
        from_liver_mm: a part that comes nowhere so near the coarse liver is bowel.
        fragment_mm: parts farther from its largest part than this do not belong to it.
        fat_hu: smoothed voxels below are fat or gas, never gallbladder.
        lesion_share: a lesion of which so much is gallbladder is not one.
        enclosed: unless liver surrounds it by more than this share: then it stays, whole, and is doubtful,
            but for the end of a gallbladder that goes on beyond it (see :func:`~.ends.is_end`).
        doubt_share: one of which so much is gallbladder is doubtful, and loses that part; of which less is,
            keeps it.
        beside_mm: so is one whose border lies as close to the gallbladder over `beside_share` of it.
        beside_share: see `beside_mm`.
        solid_mm: a part of the gallbladder that is dense as tissue over such a width is reported.
        solid_level: as dense as tissue is denser than this share of the liver's HU.
        bright_hu: what is brighter than the liver by more is stone or contrast medium.
    """

    below_mm: float
    leftmost: float
    highest: float
    threshold: float
    peak: float
    smallest_ml: float
    from_liver_mm: float
    fragment_mm: float
    fat_hu: float
    lesion_share: float
    enclosed: float
    doubt_share: float
    beside_mm: float
    beside_share: float
    solid_mm: float
    solid_level: float
    bright_hu: float


@dataclass(frozen=True, eq=False)
class Separated:
    """Liver, lesions and gallbladder, apart, all on one grid.

    Attributes:
        liver_zyx: bool, lesions included, without the gallbladder.
        labels_zyx: uint16, lesions; numbers stay what they were, those of `removed` are gone.
        gallbladder_zyx: bool, without the lesions that stay whole.
        shares: lesion label before -> share of it that is gallbladder, 0..1.
        removed: labels that were gallbladder.
        doubtful: labels that stay and cannot be told from the gallbladder with certainty.
        solid_mm: width of the widest part of the gallbladder that is dense as tissue; 0 where there is none.
    """

    liver_zyx: NDArray[np.bool_]
    labels_zyx: NDArray[np.uint16]
    gallbladder_zyx: NDArray[np.bool_]
    shares: dict[int, float]
    removed: tuple[int, ...] = ()
    doubtful: tuple[int, ...] = ()
    solid_mm: float = 0.0


def gallbladder_mask(
    probability_zyx: NDArray[np.uint8],
    hu_zyx: NDArray[np.float32],
    spacing_zyx_mm: tuple[float, float, float],
    settings: GallbladderSettings,
    liver_zyx: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """The one gallbladder, or an empty mask.

    Args:
        probability_zyx: 0..255.
        hu_zyx: HU on the same grid.
        liver_zyx: the coarse liver there; None where it is not known, so that nothing is too far from it.
    """
    level = max(1, round(settings.threshold * 255))
    none = np.zeros(probability_zyx.shape, bool)
    likely = probability_zyx >= level
    if not likely.any():
        return none
    smooth = ndimage.gaussian_filter(np.asarray(hu_zyx, np.float32), [1.0 / s for s in spacing_zyx_mm])
    likely &= smooth >= settings.fat_hu
    parts, count = components(likely)
    if not count:
        return none
    index = np.arange(1, count + 1)
    weights = ndimage.sum_labels(probability_zyx.astype(np.float32), parts, index)
    at_liver = None
    if liver_zyx is not None:
        at_liver = within_mm(liver_zyx, spacing_zyx_mm, settings.from_liver_mm)
        weights[~np.isin(index, parts[at_liver])] = 0.0
        if not weights.any():
            return none
    main = parts == 1 + int(np.argmax(weights))
    near = within_mm(main, spacing_zyx_mm, settings.fragment_mm)
    mask = main | np.isin(parts, np.setdiff1d(np.unique(parts[near]), 0))
    if at_liver is not None:
        mask = own_lobes(mask, probability_zyx, at_liver, spacing_zyx_mm, settings)
    values = np.sort(probability_zyx[mask])
    volume_ml = float(mask.sum()) * float(np.prod(spacing_zyx_mm)) / 1000.0
    if volume_ml < settings.smallest_ml or values[-max(1, len(values) // 10) :].mean() < settings.peak * 255:
        return none
    fill_holes(mask)
    return mask


def separate_gallbladder(
    liver_zyx: NDArray[np.bool_],
    labels_zyx: NDArray[np.uint16],
    gallbladder_zyx: NDArray[np.bool_],
    hu_zyx: NDArray,
    spacing_zyx_mm: tuple[float, float, float],
    settings: GallbladderSettings,
) -> Separated:
    """Take the gallbladder out of liver and lesions.

    Args:
        liver_zyx: bool, lesions included.
        labels_zyx: lesions, 0 for none.
        gallbladder_zyx: bool.
        hu_zyx: HU; all on one grid.
    """
    if not gallbladder_zyx.any():
        return Separated(liver_zyx, labels_zyx, gallbladder_zyx, {})
    voxel_ml = float(np.prod(spacing_zyx_mm)) / 1000.0
    boxes = label_boxes(labels_zyx)
    inner = {n: np.count_nonzero((labels_zyx[at] == n) & gallbladder_zyx[at]) for n, at in boxes.items()}
    shares = {n: inner[n] / np.count_nonzero(labels_zyx[at] == n) for n, at in boxes.items()}
    like = [n for n, share in shares.items() if share >= settings.lesion_share]
    on_grid = liver_zyx, labels_zyx, gallbladder_zyx, hu_zyx, spacing_zyx_mm
    inside = {n for n in like if _stays(n, boxes[n], *on_grid, settings)}
    removed = tuple(n for n in like if n not in inside)
    # What hangs on the gallbladder of a removed lesion (its wall, partial volume) is not liver tissue proven.
    gone = with_numbers(labels_zyx, removed)
    # A lesion of which little looks like gallbladder is a lesion there too: a necrotic one is fluid in parts.
    whole = [n for n, share in shares.items() if share < settings.doubt_share or n in inside]
    gallbladder_zyx = copied(gallbladder_zyx)
    gallbladder_zyx[with_numbers(labels_zyx, whole)] = False
    kept, liver = copied(labels_zyx), copied(liver_zyx)
    kept[gone] = 0
    kept[gallbladder_zyx] = 0
    doubtful = tuple(
        n
        for n, share in shares.items()
        if n not in removed
        and (
            share >= settings.doubt_share
            or inner[n] * voxel_ml >= settings.smallest_ml
            or _beside(labels_zyx, n, boxes[n], gallbladder_zyx, spacing_zyx_mm, settings)
        )
    )
    gone[gallbladder_zyx] = False
    liver[gallbladder_zyx] = False
    _leave_out_outside_part(gone, liver_zyx, labels_zyx, liver)
    return Separated(
        liver,
        kept,
        gallbladder_zyx,
        shares,
        removed,
        doubtful,
        solid_width_mm(gallbladder_zyx, hu_zyx, liver, spacing_zyx_mm, settings),
    )


def _stays(
    number: int,
    at: tuple[slice, ...],
    liver_zyx: NDArray[np.bool_],
    labels_zyx: NDArray[np.uint16],
    gallbladder_zyx: NDArray[np.bool_],
    hu_zyx: NDArray,
    spacing_zyx_mm: tuple[float, float, float],
    settings: GallbladderSettings,
) -> bool:
    """Whether a lesion that looks like gallbladder, in the box `at`, is one all the same.

    Liver surrounds it, and it is no end of a gallbladder that goes on beyond it.
    """
    if enclosed(liver_zyx, labels_zyx, gallbladder_zyx, number, at, spacing_zyx_mm) <= settings.enclosed:
        return False
    lesion = labels_zyx == number
    box = bounding_box(lesion | gallbladder_zyx, 2)
    assert box is not None
    lesion, organ = lesion[box], gallbladder_zyx[box]
    bare = liver_zyx[box] & (labels_zyx[box] == 0) & ~organ
    return not is_end(meeting(lesion, organ, bare, hu_zyx[box], spacing_zyx_mm), settings)


def _leave_out_outside_part(
    rest_zyx: NDArray[np.bool_],
    liver_zyx: NDArray[np.bool_],
    labels_zyx: NDArray[np.uint16],
    out_zyx: NDArray[np.bool_],
) -> None:
    """Clear in `out_zyx` what of a removed lesion's rest no liver encloses: it came with the lesion."""
    # Closing looks two voxels far, then two more.
    cut = bounding_box(rest_zyx, 4)
    if cut is None:
        return
    bare = ndimage.binary_closing(liver_zyx[cut] & (labels_zyx[cut] == 0), iterations=2)
    out_zyx[cut][rest_zyx[cut] & ~bare] = False


def enclosed(
    liver_zyx: NDArray[np.bool_],
    labels_zyx: NDArray[np.uint16],
    gallbladder_zyx: NDArray[np.bool_],
    number: int,
    box: BoxSlices,
    spacing_zyx_mm: tuple[float, float, float],
) -> float:
    """Share, 0..1, of a lesion's surroundings that is bare liver: a gallbladder hangs out of it.

    Args:
        box: of the lesion.
    """
    cut = _widened(box, 2 * RING_MM, spacing_zyx_mm)
    bare = liver_zyx[cut] & (labels_zyx[cut] == 0) & ~gallbladder_zyx[cut]
    distance = ndimage.distance_transform_edt(labels_zyx[cut] != number, sampling=spacing_zyx_mm)
    ring = (distance > RING_MM) & (distance <= 2.0 * RING_MM + max(spacing_zyx_mm) / 2)
    return float(bare[ring].mean()) if ring.any() else 0.0


def _widened(box: BoxSlices, by_mm: float, spacing_zyx_mm: tuple[float, float, float]) -> BoxSlices:
    """A box and so much around it, as far as an array goes."""
    margin = [int(np.ceil(by_mm / s)) + 1 for s in spacing_zyx_mm]
    z, y, x = (slice(max(0, b.start - m), b.stop + m) for b, m in zip(box, margin, strict=True))
    return z, y, x


def _beside(
    labels_zyx: NDArray[np.uint16],
    number: int,
    box: BoxSlices,
    gallbladder_zyx: NDArray[np.bool_],
    spacing_zyx_mm: tuple[float, float, float],
    settings: GallbladderSettings,
) -> bool:
    """Whether so much of a lesion's border lies at the gallbladder."""
    cut = _widened(box, settings.beside_mm, spacing_zyx_mm)
    near = gallbladder_zyx[cut]
    if not near.any():
        return False
    lesion = labels_zyx[cut] == number
    border = lesion & ~ndimage.binary_erosion(lesion, border_value=1)
    distance = ndimage.distance_transform_edt(~near, sampling=spacing_zyx_mm)
    return bool((distance[border] <= settings.beside_mm).mean() >= settings.beside_share)


def solid_width_mm(
    gallbladder_zyx: NDArray[np.bool_],
    hu_zyx: NDArray,
    liver_zyx: NDArray[np.bool_],
    spacing_zyx_mm: tuple[float, float, float],
    settings: GallbladderSettings,
) -> float:
    """Width of the widest part of the gallbladder that is as dense as tissue.

    A mass in its wall, sludge, a wall collapsed upon itself; 0 where it is nowhere `solid_mm` wide.

    Stones and contrast medium are denser than tissue and do not count.
    """
    box = bounding_box(gallbladder_zyx)
    if box is None or not liver_zyx.any():
        return 0.0
    smooth = ndimage.gaussian_filter(np.asarray(hu_zyx[box], np.float32), [1.5 / s for s in spacing_zyx_mm])
    level = float(np.median(hu_zyx[liver_zyx]))
    solid = gallbladder_zyx[box] & (smooth > settings.solid_level * level)
    solid &= smooth < level + settings.bright_hu
    if not solid.any():
        return 0.0
    depth = ndimage.distance_transform_edt(np.pad(solid, 1), sampling=spacing_zyx_mm)
    width = 2.0 * float(depth.max())
    return width if width >= settings.solid_mm else 0.0


def messages(separated: Separated, sure: Collection[int], volume_ml: float) -> list[str]:
    """What the reader has to know about the gallbladder.

    Args:
        sure: labels, before, of the lesions that would have been listed: of fainter ones nobody asked.
        volume_ml: of the gallbladder.
    """
    if not separated.gallbladder_zyx.any():
        return []
    said = []
    count = sum(label in sure for label in separated.removed)
    if count:
        which = "1 region was" if count == 1 else f"{count} regions were"
        said.append(
            f"{which} taken for the gallbladder ({volume_ml:.0f} mL) and not listed as a lesion. Look at the "
            "segment Gallbladder if a lesion of its bed or wall is in question."
        )
    if separated.solid_mm:
        said.append(
            f"A part of the gallbladder {separated.solid_mm:.0f} mm wide is as dense as tissue: a mass in "
            "its wall, dense bile or a collapsed wall. Look at it."
        )
    return said
