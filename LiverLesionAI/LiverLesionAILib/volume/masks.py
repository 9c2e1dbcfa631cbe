"""Bounding boxes, numbers and pieces of masks and label maps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Scalar = TypeVar("Scalar", bound=np.generic)
BoxSlices = tuple[slice, slice, slice]
# Neighbours of a voxel, by the rank of scipy's structuring element.
_RANKS = {6: 1, 18: 2, 26: 3}


def bounding_box(mask_zyx: NDArray[Any], margin: int | Sequence[int] = 0) -> BoxSlices | None:
    """The smallest box of slices that holds every non-zero voxel, or None if there is none.

    Args:
        mask_zyx: z, y, x; a plane is `plane[None]`.
        margin: voxels by which the box is widened on both sides, as far as the array goes; one for all axes
            or one for each.
    """
    # One slice at a time: a reduction over a whole scan at once would be several times slower.
    filled = np.flatnonzero([bool(plane.any()) for plane in mask_zyx])
    if not filled.size:
        return None
    flat = np.zeros(mask_zyx.shape[1:], bool)
    for plane in mask_zyx[filled[0] : filled[-1] + 1]:
        np.logical_or(flat, plane, out=flat)
    used = (filled, np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0)))
    margins = [margin] * 3 if isinstance(margin, int) else margin
    z, y, x = (
        slice(max(0, int(u[0]) - m), min(n, int(u[-1]) + 1 + m))
        for u, n, m in zip(used, mask_zyx.shape, margins, strict=True)
    )
    return z, y, x


def within_mm(
    mask_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float], reach_mm: float
) -> NDArray[np.bool_]:
    """Voxels whose centre is at most `reach_mm` from one of the mask, which are in it too.

    A ball is a stack of rows: the mask, widened along x by half a row's length, is laid over itself at the
    row's place, eight voxels of a row in a byte. A distance transform takes some thirty times as long.
    """
    depth, height, width = mask_zyx.shape
    step_z, step_y, step_x = spacing_zyx_mm
    rows: dict[int, list[tuple[int, int]]] = {}
    for z in range(min(depth, int(reach_mm / step_z) + 2)):
        for y in range(min(height, int(reach_mm / step_y) + 2)):
            x = np.arange(min(width, int(reach_mm / step_x) + 2))
            half = np.sqrt((z * step_z) ** 2 + (y * step_y) ** 2 + (x * step_x) ** 2) <= reach_mm
            if half.any():
                rows.setdefault(int(np.flatnonzero(half)[-1]), []).append((z, y))
    wide = np.array(mask_zyx, bool)
    widened, packed = 0, np.packbits(wide, axis=2)
    out = np.zeros_like(packed)
    for half_width in sorted(rows):
        if half_width > widened:
            while widened < half_width:
                before = wide.copy()
                wide[:, :, 1:] |= before[:, :, :-1]
                wide[:, :, :-1] |= before[:, :, 1:]
                widened += 1
            packed = np.packbits(wide, axis=2)
        for z, y in rows[half_width]:
            for dz, dy in {(z, y), (z, -y), (-z, y), (-z, -y)}:
                out[_moved(dz, depth), _moved(dy, height)] |= packed[_moved(-dz, depth), _moved(-dy, height)]
    return np.unpackbits(out, axis=2, count=width).view(bool)


def fill_holes(mask_zyx: NDArray[np.bool_]) -> None:
    """Fill, in place and slice by slice, what a mask encloses: `ndimage.binary_fill_holes` of each plane.

    A hole is a piece of the outside (voxels that share a side) that does not reach the edge of its plane.
    Pieces are numbered once, where binary_fill_holes lets the outside grow step by step: a sixth of the time.
    """
    for plane in mask_zyx:
        rows = np.flatnonzero(plane.any(axis=1))
        if not rows.size:
            continue
        columns = np.flatnonzero(plane.any(axis=0))
        # What reaches the edge of the mask's box goes on outside of it, where nothing encloses it.
        part = plane[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        pieces, count = ndimage.label(~part)
        enclosed = np.ones(count + 1, bool)
        for edge in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
            enclosed[edge] = False
        enclosed[0] = False
        if enclosed.any():
            part |= enclosed[pieces]


def _moved(by: int, size: int) -> slice:
    """What lies in an axis of a size where something of that size was moved by so many voxels."""
    return slice(max(0, by), size + min(0, by))


def copied(array_zyx: NDArray[Scalar]) -> NDArray[Scalar]:
    """A copy; slices that hold nothing take no memory until somebody writes to them."""
    out = np.zeros(array_zyx.shape, array_zyx.dtype)
    put(out, array_zyx)
    return out


def put(zeros_zyx: NDArray[Scalar], part_zyx: NDArray[Scalar]) -> None:
    """Write what is not empty into zeros of the same shape: pages that nobody writes take no memory."""
    box = bounding_box(part_zyx)
    if box is not None:
        zeros_zyx[box] = part_zyx[box]


def with_numbers(labels_zyx: NDArray[Any], numbers: Collection[int]) -> NDArray[np.bool_]:
    """Where one of these labels is: `np.isin`, looking only where there are labels."""
    out = np.zeros(labels_zyx.shape, bool)
    for number, box in label_boxes(labels_zyx).items() if numbers else ():
        if number in numbers:
            out[box] |= labels_zyx[box] == number
    return out


def ball_diameter_mm(volume_mm3: float) -> float:
    """Diameter of the ball of a volume."""
    return float((6 / np.pi * volume_mm3) ** (1 / 3))


def components(mask_zyx: NDArray[Any], neighbours: int = 26) -> tuple[NDArray[np.int32], int]:
    """Label the connected pieces of a mask.

    Args:
        mask_zyx: z, y, x; non-zero is inside.
        neighbours: 6, 18 or 26 of a voxel are connected to it.

    Returns:
        (labels_zyx, n): int32, 0 outside, 1..n in scan order.

    Raises:
        ValueError: another number of neighbours.
    """
    if neighbours not in _RANKS:
        raise ValueError(f"A voxel has 6, 18 or 26 neighbours, not {neighbours}.")
    structure = ndimage.generate_binary_structure(3, _RANKS[neighbours])
    labels = np.empty(mask_zyx.shape, np.int32)
    return labels, int(ndimage.label(mask_zyx, structure, output=labels))


def largest_component(mask_zyx: NDArray[Any], neighbours: int = 6) -> NDArray[np.bool_]:
    """The largest connected piece of a mask, the first of equally large ones; an empty mask stays empty."""
    labels, count = components(mask_zyx, neighbours)
    if count <= 1:
        return labels > 0
    largest: NDArray[np.bool_] = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
    return largest


def label_boxes(labels_zyx: NDArray[Any]) -> dict[int, BoxSlices]:
    """The bounding box of every label that occurs, by label."""
    whole = bounding_box(labels_zyx)
    if whole is None:
        return {}
    boxes: dict[int, BoxSlices] = {}
    for number, part in enumerate(ndimage.find_objects(labels_zyx[whole]), start=1):
        if part is not None:
            z, y, x = (slice(s.start + w.start, s.stop + w.start) for s, w in zip(part, whole, strict=True))
            boxes[number] = z, y, x
    return boxes


def number_by_size(labels_zyx: NDArray[Any]) -> tuple[NDArray[np.uint16], dict[int, int]]:
    """Renumber lesions 1, 2, ... from the largest voxel count down; equally large ones keep their order.

    Args:
        labels_zyx: integer labels, 0 none; numbers may be missing.

    Returns:
        (labels_zyx, new_numbers): uint16 array, and old number -> new number.
    """
    boxes = label_boxes(labels_zyx)
    counts = {n: int(np.count_nonzero(labels_zyx[box] == n)) for n, box in boxes.items()}
    ordered = sorted(counts, key=lambda n: (-counts[n], n))
    new_numbers = {old: new for new, old in enumerate(ordered, start=1)}
    out = np.zeros(labels_zyx.shape, np.uint16)
    for old, new in new_numbers.items():
        box = boxes[old]
        out[box][labels_zyx[box] == old] = new
    return out, new_numbers


def drop_islands(labels_zyx: NDArray[Any], smallest_voxels: float) -> None:
    """Clear, in place, pieces of a lesion that lie apart from its largest piece and have fewer voxels.

    Args:
        labels_zyx: integer labels, 0 none. Voxels that share a corner belong together.
        smallest_voxels: pieces of this size stay.
    """
    for number, box in label_boxes(labels_zyx).items():
        pieces, count = components(labels_zyx[box] == number)
        if count < 2:
            continue
        sizes = np.bincount(pieces.ravel())
        sizes[0] = 0
        small = sizes < min(smallest_voxels, sizes.max())
        small[0] = False
        labels_zyx[box][small[pieces]] = 0
