"""Connected components of masks, and what belongs to what between two sets of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.volume.masks import components, copied
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from .segmentation import NAN, surface_points


@dataclass(frozen=True, eq=False)
class Components:
    """Components of a mask, numbered 1..n by size, largest first.

    Attributes:
        labels: int32 of the mask's shape.
        places, numbers: flat index and number of every voxel of the mask; working on these alone is what
            keeps a scan of 60 million voxels fast.
        sizes: voxels of component 1..n.
    """

    labels: NDArray[np.int32]
    places: NDArray[np.int64]
    numbers: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, mask: NDArray[np.bool_], connectivity: int) -> Components:
        labels, n = components(mask, connectivity)
        places = np.flatnonzero(labels)
        numbers = labels.ravel()[places].astype(np.int64)
        sizes = np.bincount(numbers, minlength=n + 1)[1:]
        order = np.argsort(-sizes, kind="stable")
        ranks = np.zeros(n + 1, np.int64)
        ranks[1 + order] = np.arange(1, n + 1)
        numbers = ranks[numbers]
        labels.ravel()[places] = numbers
        return cls(labels, places, numbers, sizes[order])

    def cropped(self, box: tuple[slice, ...]) -> Components:
        """The same on a box that holds them all."""
        labels = copied(self.labels[box])
        places = np.flatnonzero(labels)
        return Components(labels, places, labels.ravel()[places].astype(np.int64), self.sizes)

    @property
    def n(self) -> int:
        return len(self.sizes)

    def centres_zyx(self) -> NDArray[np.float64]:
        """(n, 3) centroids."""
        sums = [
            np.bincount(self.numbers, weights=axis, minlength=self.n + 1)[1:]
            for axis in np.unravel_index(self.places, self.labels.shape)
        ]
        return np.stack(sums, axis=1) / np.maximum(self.sizes, 1)[:, None]


def matched_ious(overlaps: NDArray, sizes: NDArray, found_sizes: NDArray) -> NDArray[np.float64]:
    """IoU of every lesion with the component matched to it one to one, best pairs first."""
    best = np.zeros(len(sizes))
    rows, columns = np.nonzero(overlaps)
    shared = overlaps[rows, columns]
    ious = shared / (sizes[rows] + found_sizes[columns] - shared)
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    for i in np.argsort(-ious, kind="stable"):
        row, column = int(rows[i]), int(columns[i])
        if row not in used_rows and column not in used_columns:
            used_rows.add(row)
            used_columns.add(column)
            best[row] = ious[i]
    return best


def owners(labels: NDArray, found: Components, overlaps: NDArray, spacing: NDArray) -> NDArray[np.int64]:
    """The lesion that each predicted voxel (in the order of `found.places`) belongs to, 0 for none."""
    touched = overlaps > 0
    only = np.zeros(found.n + 1, np.int64)
    alone = touched.sum(axis=0) == 1
    only[1:] = np.where(alone, np.arange(1, len(touched) + 1) @ touched, 0)
    owners = only[found.numbers]
    for j in np.flatnonzero(touched.sum(axis=0) > 1):
        members = found.numbers == j + 1
        flat = found.places[members]
        owner = labels.ravel()[flat].astype(np.int64)
        owner[owner > overlaps.shape[0]] = 0
        rest = owner == 0
        if rest.any():
            rivals = np.flatnonzero(touched[:, j]) + 1
            borders = [surface_points(labels == k) for k in rivals]
            tree = cKDTree(np.concatenate(borders) * spacing)
            loose = np.stack(np.unravel_index(flat[rest], labels.shape), axis=1)
            owner[rest] = np.repeat(rivals, [len(b) for b in borders])[tree.query(loose * spacing)[1]]
        owners[members] = owner
    return owners


def diameters(
    places: NDArray,
    numbers: NDArray,
    n: int,
    shape: tuple[int, ...],
    diameter: Callable[[NDArray[np.bool_]], float],
) -> NDArray[np.float64]:
    """What `diameter` says of each of the voxel sets 1..n; NaN for empty ones."""
    values = np.full(n, NAN)
    for k in range(1, n + 1):
        flat = places[numbers == k]
        if flat.size:
            index = np.stack(np.unravel_index(flat, shape), axis=1)
            index -= index.min(axis=0)
            mask = np.zeros(index.max(axis=0) + 1, bool)
            mask[tuple(index.T)] = True
            values[k - 1] = diameter(mask)
    return values
