"""Masks and boxes brought into one list of lesions: found by both, by the mask only, by the box only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...case.findings import Box
from ...volume.ct import Geometry
from ...volume.masks import components, copied
from .contrast import ContrastSettings, level_and_spread, stands_out
from .link import LinkedBox

EdgesZyx = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Start and stop of a box, outer edges in voxels of a grid."""


@dataclass(frozen=True)
class ProposalSettings(ContrastSettings):
    """How a mask is grown inside a box.

    Attributes:
        proposal_share: of the box's ellipsoid that a grown mask has to fill.
    """

    proposal_share: float


@dataclass(frozen=True, eq=False)
class Matched:
    """Which boxes belong to which masks.

    Attributes:
        by_label: label of a mask -> its best box.
        alone: boxes without a mask, best first.
    """

    by_label: dict[int, LinkedBox]
    alone: list[LinkedBox]


def ellipsoid(edges: EdgesZyx, shape_zyx: tuple[int, ...], scale: float = 1.0) -> tuple:
    """The ellipsoid in a box, times `scale`.

    Returns:
        (cut, inside): slices of the grid, not empty, and bool on them; at least the middle voxel is inside.
    """
    start, stop = (np.asarray(edge, float) for edge in edges)
    middle, half = (start + stop) / 2, np.maximum((stop - start) / 2 * scale, 0.5)
    shape = np.asarray(shape_zyx)
    low = np.clip(np.floor(middle - half), 0, shape - 1).astype(int)
    high = np.clip(np.ceil(middle + half), low + 1, shape).astype(int)
    distance = np.zeros(tuple(high - low))
    for axis in range(3):
        along = (np.arange(low[axis], high[axis]) + 0.5 - middle[axis]) / half[axis]
        distance += (along**2).reshape([-1 if a == axis else 1 for a in range(3)])
    inside = distance <= 1.0
    if not inside.any():
        inside[np.unravel_index(distance.argmin(), distance.shape)] = True
    return tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True)), inside


def inside_liver(boxes: Sequence[LinkedBox], closed_zyx: NDArray[np.bool_], least: float) -> list[LinkedBox]:
    """Boxes in or at the liver.

    Args:
        closed_zyx: bool, the liver closed, holes filled and grown a little
            (:func:`~LiverLesionAILib.stages.segment.masks.closed_liver`), on the boxes' grid.
        least: share of the box's ellipsoid that must lie in it.
    """
    kept = []
    for box in boxes:
        cut, inside = ellipsoid((box.start_zyx, box.stop_zyx), closed_zyx.shape)
        if closed_zyx[cut][inside].mean() >= least:
            kept.append(box)
    return kept


def match_masks(boxes: Sequence[LinkedBox], labels_zyx: NDArray[np.integer], least: float) -> Matched:
    """Match boxes with masks on one grid.

    A box belongs to the masks of which it holds at least `least` of the voxels, and to the mask that fills
    at least `least` of its ellipsoid: several boxes can lie in one large lesion, and one box round several
    small ones. A mask keeps its best box.

    Args:
        labels_zyx: 0 none, k lesion k.
    """
    counts = np.bincount(labels_zyx.ravel()) if labels_zyx.size else np.zeros(1, int)
    by_label: dict[int, LinkedBox] = {}
    alone = []
    for box in sorted(boxes, key=lambda b: -b.score):
        edges = (box.start_zyx, box.stop_zyx)
        cut, round_inside = ellipsoid(edges, labels_zyx.shape)
        filled = np.bincount(labels_zyx[cut][round_inside], minlength=1)
        box_cut = tuple(
            slice(max(0, int(np.floor(a))), max(0, int(np.ceil(b)))) for a, b in zip(*edges, strict=True)
        )
        held = np.bincount(labels_zyx[box_cut].ravel(), minlength=1)
        mine = {int(n) for n in np.flatnonzero(held) if n and held[n] >= least * counts[n]}
        mine |= {int(n) for n in np.flatnonzero(filled) if n and filled[n] >= least * round_inside.sum()}
        for label in mine:
            by_label.setdefault(label, box)
        if not mine:
            alone.append(box)
    return Matched(by_label, alone)


def box_on_grid(box: LinkedBox, source: Geometry, target: Geometry) -> EdgesZyx:
    """A box's edges in voxels of another grid whose axes run the same way."""
    corners = np.array([box.start_zyx, box.stop_zyx]) - 0.5
    moved = target.lps_to_index(source.index_to_lps(corners)) + 0.5
    return tuple(map(float, moved[0])), tuple(map(float, moved[1]))  # type: ignore[return-value]


def patient_box(edges: EdgesZyx, geometry: Geometry, score: float) -> Box:
    """Edges in voxels of a grid as a box in patient space."""
    start, stop = (np.asarray(edge, float) for edge in edges)
    x, y, z = (float(v) for v in geometry.index_to_lps((start + stop) / 2 - 0.5))
    dz, dy, dx = (float(v) for v in (stop - start) * np.array(geometry.spacing_zyx_mm))
    return Box((x, y, z), (dx, dy, dz), tuple(float(d) for d in geometry.directions_lps.ravel()), score)


def proposed_mask(
    edges: EdgesZyx,
    hu_zyx: NDArray,
    liver_zyx: NDArray[np.bool_],
    taken_zyx: NDArray,
    spacing_zyx_mm: tuple[float, float, float],
    settings: ProposalSettings,
) -> tuple[tuple[slice, slice, slice], NDArray[np.bool_]]:
    """A mask for a lesion that only a detector saw, grown inside its box.

    The density of the box's core is the lesion's, the median of the liver round the box the other; what is
    nearer to the first (after smoothing), hangs together with the core and lies in the box's
    ellipsoid, a little widened, is proposed. Where the two are too alike, the ellipsoid itself is.

    Args:
        edges: on the grid of the arrays.
        liver_zyx: bool, with its lesions.
        taken_zyx: not 0 where lesions are already; these are neither liver nor proposed.

    Returns:
        (cut, mask): where in the grid, and bool there; empty only where everything is taken.
    """
    around, _ = ellipsoid(edges, hu_zyx.shape, scale=2.2)
    low = np.array([s.start for s in around])
    local: EdgesZyx = tuple(tuple(np.asarray(e, float) - low) for e in edges)  # type: ignore[assignment]
    shape = tuple(s.stop - s.start for s in around)
    smooth = ndimage.gaussian_filter(
        hu_zyx[around].astype(np.float32), settings.noise_mm / np.array(spacing_zyx_mm)
    )
    free = taken_zyx[around] == 0

    def placed(scale: float) -> NDArray[np.bool_]:
        cut, inside = ellipsoid(local, shape, scale)
        out = np.zeros(shape, bool)
        out[cut] = inside
        return out & free

    whole, core, wide = placed(1.0), placed(0.4), placed(1.2)
    bounds = np.zeros(shape, bool)
    first, last = (np.clip(np.rint(edge), 0, shape).astype(int) for edge in local)
    bounds[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = True
    proposal = whole
    ring = liver_zyx[around] & free & ~wide
    if core.any() and ring.sum() >= 50:
        lesion_hu, (liver_hu, spread_hu) = float(np.median(smooth[core])), level_and_spread(smooth[ring])
        if stands_out(lesion_hu, liver_hu, spread_hu, settings):
            contrast = abs(lesion_hu - liver_hu)
            alike = np.abs(smooth - lesion_hu) < np.minimum(np.abs(smooth - liver_hu), contrast)
            pieces, _ = components(alike & wide & bounds, 6)
            at_core = np.bincount(pieces[core], minlength=2)[1:]
            if at_core.any():
                grown = ndimage.binary_fill_holes(pieces == 1 + int(at_core.argmax())) & free
                if grown.sum() >= settings.proposal_share * whole.sum():
                    proposal = grown
    return around, proposal


def labels_with_proposals(
    labels_zyx: NDArray[np.uint16],
    boxes: Sequence[EdgesZyx],
    hu_zyx: NDArray,
    liver_zyx: NDArray[np.bool_],
    spacing_zyx_mm: tuple[float, float, float],
    settings: ProposalSettings,
) -> tuple[NDArray[np.uint16], dict[int, int]]:
    """Labels with a proposed mask for every box.

    Returns:
        (labels_zyx, box_of): a new array, and new label -> index in `boxes`; a box in which nothing was free
        is left out.
    """
    labels = copied(labels_zyx)
    box_of: dict[int, int] = {}
    following = int(labels.max(initial=0)) + 1
    for index, edges in enumerate(boxes):
        cut, mask = proposed_mask(edges, hu_zyx, liver_zyx, labels, spacing_zyx_mm, settings)
        if mask.any():
            labels[cut][mask] = following
            box_of[following] = index
            following += 1
    return labels, box_of
