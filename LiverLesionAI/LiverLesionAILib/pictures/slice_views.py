"""Slices of a result as pictures: CT, liver and lesion outlines, boxes, diameters, letters and a scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from ..case.colours import LIVER, Colour, lesion_colour
from ..case.description import CT_LEVEL_HU, CT_WINDOW_HU, lesion_axes
from ..case.findings import Box, CaseResult, Lesion, PointLps
from ..volume.ct import CtVolume, Geometry, permuted, reoriented_geometry
from ..volume.masks import bounding_box, label_boxes
from .canvas import Canvas, Point
from .planes import AXIAL, PixelGrid, Plane

WHITE: Colour = (1.0, 1.0, 1.0)
_SOFT: Colour = (0.86, 0.88, 0.9)


@dataclass(frozen=True, eq=False)
class Upright:
    """A case turned so that its axes run most nearly along L, P, S; voxels unchanged."""

    volume: CtVolume
    liver_zyx: NDArray[np.bool_]
    labels_zyx: NDArray[np.uint16]
    lesions: tuple[Lesion, ...]
    boxes_zyx: dict[int, tuple[slice, slice, slice]]

    @classmethod
    def of(cls, result: CaseResult, volume: CtVolume) -> Upright:
        """Turn a case; arrays are views."""
        geometry = reoriented_geometry(volume.geometry)
        hu = permuted(volume.hu_zyx, volume.geometry, geometry)
        liver = permuted(result.liver_zyx, volume.geometry, geometry)
        labels = permuted(result.lesion_labels_zyx, volume.geometry, geometry)
        boxes = label_boxes(labels)
        return cls(CtVolume(hu, geometry, volume.name), liver, labels, result.lesions, boxes)

    @property
    def geometry(self) -> Geometry:
        """The upright grid."""
        return self.volume.geometry

    def areas(self, plane: Plane) -> dict[int, NDArray[np.int64]]:
        """Lesion number -> its voxels in every slice of the plane."""
        others = tuple(a for a in range(3) if a != plane.axis)
        found = {}
        for lesion in self.lesions:
            counts = np.zeros(self.geometry.shape_zyx[plane.axis], np.int64)
            box = self.boxes_zyx.get(lesion.number)
            if box is not None:
                counts[box[plane.axis]] = (self.labels_zyx[box] == lesion.number).sum(axis=others)
            else:
                lo, hi = _box_index(lesion.box, self.geometry)
                middle = round((lo[plane.axis] + hi[plane.axis]) / 2)
                counts[min(max(middle, 0), len(counts) - 1)] = 1
            found[lesion.number] = counts
        return found


def best_slices(case: Upright, plane: Plane, count: int) -> list[int]:
    """The slices that show the lesions best: each lesion near its largest section, as many as fit.

    Without lesions: the slice with most liver, or the middle one.
    """
    areas = case.areas(plane)
    if not areas:
        sums = case.liver_zyx.sum(axis=tuple(a for a in range(3) if a != plane.axis))
        return [int(sums.argmax()) if sums.any() else case.geometry.shape_zyx[plane.axis] // 2]
    left, chosen = dict(areas), []
    while left and len(chosen) < count:
        # Start from the largest lesion not yet shown; of its good slices take the one that shows most others.
        number = max(left, key=lambda k: (left[k].sum(), -k))
        good = np.flatnonzero(left[number] >= 0.9 * left[number].max())
        shown = np.array([sum(a[i] >= 0.75 * a.max() for a in left.values()) for i in good])
        area = left[number][good]
        index = int(good[np.lexsort((area, shown))[-1]])
        chosen.append(index)
        left = {k: a for k, a in left.items() if a[index] < 0.75 * a.max() and k != number}
    return sorted(chosen, reverse=plane.flip_rows is False)


def draw_slice(
    case: Upright,
    plane: Plane,
    index: int,
    *,
    width: int,
    height: int,
    margin_mm: float | None = None,
    text_size: float = 20.0,
    snug: bool = False,
    around: tuple[PointLps, float] | None = None,
    titled: bool = True,
) -> Canvas:
    """One slice, as large as fits into width x height at its true proportions.

    Args:
        margin_mm: show the liver with this margin; None shows the whole body.
        snug: make the picture no larger than what it shows.
        around: show this many mm across a point (LPS) instead, as far as the scan goes.
        titled: say, in English, which slice it is.
    """
    hu = _slice(case.volume.hu_zyx, plane, index).astype(np.float32)
    if around is None:
        window = _window(case, plane, hu, margin_mm)
    else:
        window = _window_around(case, plane, *around, width / height)
    grid = PixelGrid.of(case.geometry, plane, window, width, height, snug)
    canvas = Canvas(grid.width, grid.height)
    rows, columns = grid.rows, grid.columns
    grey = _sample(hu, rows, columns, order=1, outside=-1000.0)
    canvas.paste(np.clip((grey - CT_LEVEL_HU) / CT_WINDOW_HU + 0.5, 0, 1), 0, 0)
    liver = _slice(case.liver_zyx, plane, index)
    thin = max(1.2, text_size / 13)
    if liver.any():
        canvas.region(_soft(liver, rows, columns), LIVER, outline=1.0, width=1.2 * thin)
    _draw_lesions(canvas, case, plane, index, grid, text_size)
    _furnish(canvas, plane, grid.scale, text_size)
    if titled:
        said = f"{plane.name}  slice {index + 1} of {case.geometry.shape_zyx[plane.axis]}"
        canvas.text(said, 0.5 * text_size, 0.5 * text_size, size=text_size, colour=_SOFT)
    return canvas


def _draw_lesions(
    canvas: Canvas, case: Upright, plane: Plane, index: int, grid: PixelGrid, text_size: float
) -> None:
    """Masks, boxes, axes and numbers of the lesions in a slice."""
    thin = max(1.2, text_size / 13)
    labels = _slice(case.labels_zyx, plane, index)
    shown = []
    for lesion in case.lesions:
        colour = lesion_colour(lesion.number)
        mask = labels == lesion.number
        lo, hi = _box_index(lesion.box, case.geometry)
        boxed_only = lesion.number not in case.boxes_zyx
        if not mask.any() and not (boxed_only and lo[plane.axis] <= index <= hi[plane.axis]):
            continue
        if mask.any():
            soft = _soft(mask, grid.rows, grid.columns)
            canvas.region(soft, colour, fill=0.22, outline=1.0, width=1.3 * thin)
        corners = [
            grid.at(r, c)
            for r, c in (
                (lo[plane.rows], lo[plane.columns]),
                (lo[plane.rows], hi[plane.columns]),
                (hi[plane.rows], hi[plane.columns]),
                (hi[plane.rows], lo[plane.columns]),
            )
        ]
        grown = _grown(corners, 3 * thin)
        canvas.polygon(grown, colour, width=0.8 * thin, alpha=0.95, dash=0.0)
        _draw_axes(canvas, lesion, case.geometry, plane, index, grid, thin)
        shown.append((lesion.number, grown, colour))
    _number_boxes(canvas, shown, text_size)


def _draw_axes(
    canvas: Canvas,
    lesion: Lesion,
    geometry: Geometry,
    plane: Plane,
    index: int,
    grid: PixelGrid,
    thin: float,
) -> None:
    """The RECIST axes where they lie in this slice."""
    if plane is not AXIAL:
        return
    for axis in lesion_axes(lesion, ""):
        points = geometry.lps_to_index(np.array(axis.ends_lps))
        if np.abs(points[:, plane.axis] - index).max() > 0.5:
            continue
        start, end = (grid.at(p[plane.rows], p[plane.columns]) for p in points)
        if np.hypot(end[0] - start[0], end[1] - start[1]) < 14 * thin:
            continue
        canvas.line(start, end, (0.0, 0.0, 0.0), width=2.2 * thin, alpha=0.45)
        canvas.line(start, end, WHITE, width=thin)
        across = np.array([end[1] - start[1], start[0] - end[0]])
        across = across / (np.hypot(*across) or 1.0) * 2.5 * thin
        for point in (start, end):
            canvas.line(tuple(point - across), tuple(point + across), WHITE, width=thin)


def _number_boxes(canvas: Canvas, shown: Sequence[tuple], text_size: float) -> None:
    """A numbered tag at a corner of each box, where it covers no other tag."""
    taken: list[tuple[float, float, float, float]] = []
    obstacles = [_bounds(corners) for _, corners, _ in shown]
    for number, corners, colour in shown:
        high, wide = text_size * 1.15, text_size * (0.75 + 0.55 * len(str(number)))
        x0, y0, x1, y1 = _bounds(corners)
        places = (
            (x1, y0 - high),
            (x0 - wide, y0 - high),
            (x1, y1),
            (x0 - wide, y1),
            (x1, y0),
            (x0 - wide, y0),
        )

        def cost(place: Point, wide: float = wide, high: float = high) -> float:
            x, y = place
            outside = x < 0 or y < 0 or x + wide > canvas.width or y + high > canvas.height
            box = (x, y, x + wide, y + high)
            covers = sum(_overlap(box, other) for other in taken)
            return 1e6 * outside + 1e3 * covers + sum(_overlap(box, other) for other in obstacles)

        x, y = min(places, key=cost)
        taken.append((x, y, x + wide, y + high))
        canvas.rectangle(x, y, wide, high, colour, 0.92)
        dark = 0.0 if 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] > 0.35 else 1.0
        canvas.text(
            str(number),
            x + wide / 2,
            y + 0.54 * high,
            size=text_size,
            colour=(dark, dark, dark),
            anchor=(0.5, 0.5),
            bold=True,
            halo=0.0,
        )


def _furnish(canvas: Canvas, plane: Plane, scale: float, size: float) -> None:
    """Letters, position, window and a scale bar."""
    width, height, pad = canvas.width, canvas.height, 0.5 * size
    left, right, top, bottom = plane.letters
    canvas.text(left, pad, height / 2, size=1.2 * size, anchor=(0, 0.5), bold=True, colour=_SOFT)
    canvas.text(right, width - pad, height / 2, size=1.2 * size, anchor=(1, 0.5), bold=True, colour=_SOFT)
    canvas.text(top, width / 2, pad, size=1.2 * size, anchor=(0.5, 0), bold=True, colour=_SOFT)
    canvas.text(bottom, width / 2, height - pad, size=1.2 * size, anchor=(0.5, 1), bold=True, colour=_SOFT)
    window = f"W {CT_WINDOW_HU:.0f}  L {CT_LEVEL_HU:.0f}"
    canvas.text(window, width - pad, height - pad, size=size, anchor=(1, 1), colour=_SOFT)
    bar_mm = next((b for b in (100, 50, 20, 10) if b * scale < 0.3 * width), 5)
    x0, y0 = pad, height - pad
    thick = max(2.0, size / 8)
    canvas.rectangle(x0 - 1, y0 - thick - 1, bar_mm * scale + 2, thick + 2, (0.0, 0.0, 0.0), 0.7)
    canvas.rectangle(x0, y0 - thick, bar_mm * scale, thick, WHITE)
    said = f"{bar_mm // 10} cm" if bar_mm >= 10 else f"{bar_mm} mm"
    canvas.text(said, x0, y0 - 2 * thick, size=size, anchor=(0, 1), colour=_SOFT)


def _slice(array_zyx: NDArray, plane: Plane, index: int) -> NDArray:
    return np.take(array_zyx, index, axis=plane.axis)


def _sample(picture: NDArray, rows: NDArray, columns: NDArray, order: int, outside: float) -> NDArray:
    """Values at every (row, column) of two index vectors."""
    where = np.broadcast_arrays(rows[:, None], columns[None, :])
    return ndi.map_coordinates(picture, where, order=order, mode="constant", cval=outside, output=np.float32)


def _soft(mask: NDArray[np.bool_], rows: NDArray, columns: NDArray) -> NDArray[np.float32]:
    """A mask on the picture's pixels, 0..1, smooth enough for a clean outline that stays on its voxels."""
    sigmas = [0.4 / abs(line[1] - line[0]) for line in (rows, columns)]
    field = np.zeros((len(rows), len(columns)), np.float32)
    # Only what the mask reaches: a voxel beyond it, and as far as the filter sees (four sigmas).
    where = tuple(
        _reached(line, mask.any(axis=1 - axis), int(4 * sigma + 0.5) + 1)
        for axis, (line, sigma) in enumerate(zip((rows, columns), sigmas, strict=True))
    )
    if field[where].size:
        near = _sample(mask.astype(np.float32), rows[where[0]], columns[where[1]], order=1, outside=0.0)
        field[where] = ndi.gaussian_filter(near, sigmas)
    return field


def _reached(line: NDArray, used: NDArray[np.bool_], margin: int) -> slice:
    """Pixels of a line of voxel indices that lie within a voxel of those used, with a margin in pixels."""
    voxels = np.flatnonzero(used)
    if not len(voxels):
        return slice(0, 0)
    pixels = np.flatnonzero((line > voxels[0] - 1) & (line < voxels[-1] + 1))
    if not len(pixels):
        return slice(0, 0)
    return slice(max(0, int(pixels[0]) - margin), min(len(line), int(pixels[-1]) + 1 + margin))


def _window(
    case: Upright, plane: Plane, hu: NDArray, margin_mm: float | None
) -> tuple[float, float, float, float]:
    """Rows and columns to show, in voxel faces: r0, r1, c0, c1."""
    spacing = case.geometry.spacing_zyx_mm
    if margin_mm is None:
        mask = _body(hu)
        margin_mm = 8.0
    else:
        mask = case.liver_zyx.any(axis=plane.axis)
    bounds = []
    box = bounding_box(mask[None])
    for axis, array_axis in ((0, plane.rows), (1, plane.columns)):
        lo, hi = (box[axis + 1].start, box[axis + 1].stop) if box else (0, mask.shape[axis])
        grow = margin_mm / spacing[array_axis]
        bounds.append([max(0.0, lo - grow), min(float(mask.shape[axis]), hi + grow)])
    (r0, r1), (c0, c1) = bounds
    return r0, r1, c0, c1


def _window_around(
    case: Upright, plane: Plane, point_lps: PointLps, across_mm: float, aspect: float
) -> tuple[float, float, float, float]:
    """Rows and columns to show, `across_mm` wide round a point, moved rather than cut at the scan's edge."""
    index = case.geometry.lps_to_index(point_lps)
    bounds = []
    for axis, size_mm in ((plane.rows, across_mm / aspect), (plane.columns, across_mm)):
        count, spacing = case.geometry.shape_zyx[axis], case.geometry.spacing_zyx_mm[axis]
        size = min(size_mm / spacing, float(count))
        low = min(max(float(index[axis]) + 0.5 - size / 2, 0.0), count - size)
        bounds.append((low, low + size))
    return (*bounds[0], *bounds[1])


def _body(hu: NDArray) -> NDArray[np.bool_]:
    """The largest piece of tissue in a slice: the body without the table."""
    # Above -150: some CTs come with everything below -160 cut off.
    tissue = hu > -150
    if min(tissue.shape) > 20:
        tissue = ndi.binary_opening(tissue, iterations=3)
    pieces, count = ndi.label(tissue)
    if count == 0:
        return tissue
    return pieces == np.bincount(pieces.ravel())[1:].argmax() + 1


def _box_index(box: Box, geometry: Geometry) -> tuple[NDArray, NDArray]:
    """Smallest and largest z, y, x index (voxel faces are at +-0.5) that a box covers."""
    directions = np.asarray(box.directions_lps, float).reshape(3, 3)
    half = np.array(box.size_xyz_mm) / 2
    signs = np.array(np.meshgrid((-1, 1), (-1, 1), (-1, 1))).reshape(3, -1).T
    index = geometry.lps_to_index(np.array(box.centre_lps) + signs * half @ directions.T)
    return index.min(axis=0), index.max(axis=0)


def _grown(corners: list[Point], by: float) -> list[Point]:
    x0, y0, x1, y1 = _bounds(corners)
    return [(x0 - by, y0 - by), (x1 + by, y0 - by), (x1 + by, y1 + by), (x0 - by, y1 + by)]


def _bounds(corners: Sequence[Point]) -> tuple[float, float, float, float]:
    xs, ys = [c[0] for c in corners], [c[1] for c in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0.0) * max(high, 0.0)
