"""Measures lesions and the liver on the masks the reader sees.

Pure functions of the masks, the CT and its geometry; each lesion is worked on in its bounding box only, so
that the panel can call :func:`measure_mask` after every edit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ...case.findings import Box, Lesion, Measurement, PointLps, as_kept
from ...support.errors import InputError
from ...volume.ct import Geometry, permuted, reoriented_geometry
from ...volume.geometry import triple
from ...volume.masks import BoxSlices, bounding_box, label_boxes
from .calipers import measure_calipers

# How many points of the liver's outline are asked for their distance to a lesion first; then twice as many.
QUERY_FIRST = 256


@dataclass(frozen=True)
class LiverMeasurement:
    """The whole liver.

    Attributes:
        volume_ml: liver with its lesions.
        hu_mean: mean of the liver without its lesions; NaN where nothing is left to average.
        tumour_burden_percent: share of the volume that is lesion; 0 without a liver.
    """

    volume_ml: float
    hu_mean: float
    tumour_burden_percent: float


def measure_mask(
    mask_zyx: NDArray[np.bool_],
    hu_zyx: NDArray,
    geometry: Geometry,
    liver_zyx: NDArray[np.bool_] | None = None,
    *,
    liver_volume_ml: float | None = None,
) -> Measurement:
    """Measure one lesion.

    Volume is the voxel count times the voxel volume; HU mean and SD (population SD, 0 for one voxel) are over
    the mask. "Axial" slices are those along the array axis most nearly along the patient's S. The distance to
    the surface is between the two outlines (halfway between voxels), so 0 where the lesion reaches or leaves
    the liver; the edge of the scan is no surface of the liver, holes in the liver mask are.

    Args:
        mask_zyx: bool on `geometry`, not empty.
        hu_zyx: HU on `geometry`.
        geometry: any orientation, oblique and anisotropic included.
        liver_zyx: bool on `geometry`, with or without the lesion. None: the distance to its surface and the
            share of it are NaN; otherwise every number is finite.
        liver_volume_ml: volume of the liver with all its lesions; counted here when not given.

    Raises:
        InputError: the mask is empty.
    """
    box = bounding_box(mask_zyx)
    if box is None:
        raise InputError(
            "The lesion's mask is empty, so there is nothing to measure. Paint it or delete the lesion."
        )
    mask = np.asarray(mask_zyx[box], bool)
    if liver_zyx is not None and liver_volume_ml is None:
        outside = np.count_nonzero(mask & ~np.asarray(liver_zyx[box], bool))
        voxels = np.count_nonzero(liver_zyx) + outside
        liver_volume_ml = float(voxels) * geometry.voxel_volume_mm3 / 1000.0
    return _measure_crop(mask, box, hu_zyx, geometry, liver_zyx, liver_volume_ml)


def measure_case(
    labels_zyx: NDArray[np.uint16],
    liver_zyx: NDArray[np.bool_],
    hu_zyx: NDArray,
    geometry: Geometry,
    scores: Mapping[int, float] | None = None,
) -> tuple[Lesion, ...]:
    """Measure every lesion of a case.

    A lesion's number is its label, so that after an edit the others keep theirs;
    :func:`.masks.number_by_size` gives labels that run from the largest lesion down.

    Args:
        labels_zyx: 0 none, k the lesion with number k; numbers may be missing.
        liver_zyx: bool; lesions outside it count as liver.
        hu_zyx, geometry: the CT; all three arrays are on `geometry`.
        scores: number -> 0..1; 1 for those not named.

    Returns:
        Lesions in order of number, unclassified, source MASK, status AI; every number in them is finite.
    """
    boxes = label_boxes(labels_zyx)
    if not boxes:
        return ()
    liver = np.asarray(liver_zyx, bool)
    if any((labels_zyx[box][~liver[box]] == number).any() for number, box in boxes.items()):
        liver = np.array(liver_zyx, bool)
        for number, box in boxes.items():
            liver[box] |= labels_zyx[box] == number
    liver_volume_ml = float(np.count_nonzero(liver)) * geometry.voxel_volume_mm3 / 1000.0
    lesions = []
    for number, box in sorted(boxes.items()):
        mask = labels_zyx[box] == number
        score = float((scores or {}).get(number, 1.0))
        # Rounded twice, 17.54998 mm would be 17.5 in one table and 17.6 in another.
        measured = as_kept(_measure_crop(mask, box, hu_zyx, geometry, liver, liver_volume_ml))
        centroid_zyx = np.argwhere(mask).mean(axis=0) + [s.start for s in box]
        lesions.append(
            Lesion(
                number=number,
                score=score,
                centre_lps=triple(geometry.index_to_lps(centroid_zyx)),
                box=box_of(box, geometry, score),
                measurement=measured,
            )
        )
    return tuple(lesions)


def measure_liver(
    labels_zyx: NDArray[np.uint16], liver_zyx: NDArray[np.bool_], hu_zyx: NDArray, geometry: Geometry
) -> LiverMeasurement:
    """Measure the whole liver, lesions outside `liver_zyx` included; arrays as in :func:`measure_case`."""
    n_lesion, n_parenchyma, hu_sum = 0, 0, 0.0
    for labels, liver, hu in zip(labels_zyx, liver_zyx, hu_zyx, strict=True):
        lesion = labels > 0
        n_lesion += int(np.count_nonzero(lesion))
        parenchyma = np.asarray(liver, bool) & ~lesion
        n = int(np.count_nonzero(parenchyma))
        if n:
            n_parenchyma += n
            hu_sum += float(hu[parenchyma].sum(dtype=np.float64))
    n_liver = n_lesion + n_parenchyma
    return LiverMeasurement(
        volume_ml=n_liver * geometry.voxel_volume_mm3 / 1000.0,
        hu_mean=hu_sum / n_parenchyma if n_parenchyma else float("nan"),
        tumour_burden_percent=100.0 * n_lesion / n_liver if n_liver else 0.0,
    )


def box_of(box: BoxSlices, geometry: Geometry, score: float = 1.0) -> Box:
    """The patient-space box around array slices: outer voxel faces, axes along the grid."""
    start, stop = np.array([[s.start, s.stop] for s in box]).T
    size_zyx_mm = (stop - start) * np.array(geometry.spacing_zyx_mm)
    return Box(
        centre_lps=triple(geometry.index_to_lps((start + stop - 1) / 2)),
        size_xyz_mm=triple(size_zyx_mm[::-1]),
        directions_lps=tuple(float(d) for d in geometry.directions_lps.ravel()),
        score=score,
    )


def surface_distance_mm(
    mask_zyx: NDArray[np.bool_],
    box: BoxSlices,
    liver_zyx: NDArray[np.bool_],
    spacing_zyx_mm: tuple[float, float, float],
) -> float:
    """The smallest distance between the outlines of a lesion and of the liver; exact.

    Outlines are the points halfway between a voxel and a face neighbour on the other side, as for calipers.

    Args:
        mask_zyx: the lesion, cropped to `box` of the scan; counts as liver.
        box: where it lies in `liver_zyx`.
        liver_zyx: bool, the whole scan.
        spacing_zyx_mm: voxel size.

    Returns:
        mm. Where no voxel of the scan is outside the liver, the distance to the scan's edge.
    """
    spacing = np.array(spacing_zyx_mm)
    shape = np.array(liver_zyx.shape)
    start, stop = np.array([[s.start, s.stop] for s in box]).T
    # Nothing farther away than a place already known to be outside needs to be looked at.
    reach = np.minimum(_ray_bound_mm(mask_zyx, start, liver_zyx, spacing) / spacing, shape)
    low = np.maximum(start - np.ceil(reach).astype(int) - 1, 0)
    high = np.minimum(stop + np.ceil(reach).astype(int) + 1, shape)
    liver = np.array(liver_zyx[tuple(map(slice, low, high))], bool)
    liver[tuple(map(slice, start - low, stop - low))] |= mask_zyx
    distance_mm = _gap_mm(mask_zyx, start - low, liver, spacing)
    if np.isfinite(distance_mm):
        return distance_mm
    return float(min((start * spacing).min(), ((shape - stop) * spacing).min()))


def _ray_bound_mm(
    mask: NDArray[np.bool_], start: NDArray, liver_zyx: NDArray[np.bool_], spacing: NDArray
) -> float:
    """An upper bound of the distance to the surface: from each side of the lesion straight out, or inf."""
    best = float("inf")
    for axis in range(3):
        for layer, step in ((0, -1), (mask.shape[axis] - 1, 1)):
            at = np.argwhere(mask.take(layer, axis))
            at = at[len(at) // 2]
            index = [int(i) for i in np.insert(at, axis, layer) + start]
            first = index[axis] + step
            line: list[int | slice] = list(index)
            line[axis] = slice(first, None) if step > 0 else slice(None, index[axis])
            outside = np.flatnonzero(~np.asarray(liver_zyx[tuple(line)], bool)[::step])
            if outside.size:
                best = min(best, float(outside[0] * spacing[axis]))
    return best


def _gap_mm(mask: NDArray[np.bool_], at: NDArray, liver: NDArray[np.bool_], spacing: NDArray) -> float:
    """Distance between the outline of `mask`, placed at `at` in `liver`, and that of `liver`; or inf."""
    outer_mm = _outline(liver) * spacing
    if not len(outer_mm):
        return float("inf")
    inner_mm = (_outline(np.pad(mask, 1)) + (at - 1)) * spacing
    # Points are asked in order of a lower bound, until no later one can be nearer: their distance to the
    # lesion's box, and to a ball around it.
    low, high = inner_mm.min(axis=0), inner_mm.max(axis=0)
    beyond = np.maximum(np.maximum(low - outer_mm, outer_mm - high), 0.0)
    least = np.sqrt(np.einsum("ij,ij->i", beyond, beyond))
    middle = (low + high) / 2
    radius = np.linalg.norm(inner_mm - middle, axis=1).max()
    least = np.maximum(least, np.linalg.norm(outer_mm - middle, axis=1) - radius)
    order = np.argsort(least, kind="stable")
    tree = cKDTree(inner_mm)
    best, first, size = float("inf"), 0, QUERY_FIRST
    while first < len(order) and least[order[first]] < best:
        chosen = outer_mm[order[first : first + size]]
        best = min(best, float(tree.query(chosen, distance_upper_bound=best)[0].min()))
        first, size = first + size, 2 * size
    return best


def _outline(voxels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, 3) z, y, x indices halfway between every voxel inside and each of its 6 neighbours outside."""
    points = []
    for axis in range(3):
        here = tuple(slice(None, -1) if a == axis else slice(None) for a in range(3))
        there = tuple(slice(1, None) if a == axis else slice(None) for a in range(3))
        changes = voxels[here] ^ voxels[there]
        index = np.stack(np.unravel_index(np.flatnonzero(changes), changes.shape), axis=1).astype(float)
        index[:, axis] += 0.5
        points.append(index)
    return np.concatenate(points)


def _measure_crop(
    mask: NDArray[np.bool_],
    box: BoxSlices,
    hu_zyx: NDArray,
    geometry: Geometry,
    liver_zyx: NDArray[np.bool_] | None,
    liver_volume_ml: float | None,
) -> Measurement:
    """:func:`measure_mask` for a mask cropped to its bounding box."""
    hu = hu_zyx[box][mask].astype(np.float64)
    crop = geometry.cropped(tuple(s.start for s in box), tuple(s.stop for s in box))
    axial = reoriented_geometry(crop)
    calipers = measure_calipers(permuted(mask, crop, axial), axial.spacing_zyx_mm[1:])

    def ends_lps(ends_yx: NDArray) -> tuple[PointLps, PointLps]:
        index_zyx = np.insert(ends_yx, 0, calipers.slice_index, axis=1)
        first, second = axial.index_to_lps(index_zyx)
        return triple(first), triple(second)

    volume_ml = float(np.count_nonzero(mask)) * geometry.voxel_volume_mm3 / 1000.0
    distance_mm, percent = float("nan"), float("nan")
    if liver_zyx is not None:
        distance_mm = surface_distance_mm(mask, box, liver_zyx, geometry.spacing_zyx_mm)
    if liver_volume_ml is not None:
        percent = 100.0 * (volume_ml / max(liver_volume_ml, volume_ml))
    return Measurement(
        volume_ml=volume_ml,
        long_axis_mm=calipers.long_mm,
        short_axis_mm=calipers.short_mm,
        long_axis_lps=ends_lps(calipers.long_yx),
        short_axis_lps=ends_lps(calipers.short_yx),
        hu_mean=float(hu.mean()),
        hu_sd=float(hu.std()),
        surface_distance_mm=distance_mm,
        percent_of_liver=percent,
    )
