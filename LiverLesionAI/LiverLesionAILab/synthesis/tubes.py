"""Tubes in the liver: vessels, ducts and stents as tapered segments, drawn as soft coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .tissue import LiverTissue


@dataclass(frozen=True)
class Segment:
    """A piece of tube: ends in mm (z, y, x from voxel 0), radii at them in mm."""

    start_mm: NDArray[np.float64]
    end_mm: NDArray[np.float64]
    start_radius_mm: float
    end_radius_mm: float


def grow_tree(
    start_mm: NDArray[np.float64],
    direction: NDArray[np.float64],
    radius_mm: float,
    rng: np.random.Generator,
    least_radius_mm: float = 0.8,
    most: int = 60,
    step_radii: float = 3.0,
    bend: float = 0.25,
    branching: float = 0.35,
) -> list[Segment]:
    """A branching tube that narrows as it goes.

    Args:
        start_mm, direction: where it begins (mm, z, y, x) and the unit vector it sets out along.
        radius_mm: at its beginning; a branch has about 0.75 of its parent's.
        rng: source of all chance.
        least_radius_mm: branches end below it.
        most: number of segments.
        step_radii: length of a segment in radii (at least 4 mm).
        bend: SD of the change of direction at each segment.
        branching: chance of a side branch at each segment.
    """
    segments: list[Segment] = []
    open_ends = [(np.asarray(start_mm, float), np.asarray(direction, float), float(radius_mm))]
    while open_ends and len(segments) < most:
        position, heading, radius = open_ends.pop(0)
        heading = heading + rng.normal(0, bend, 3)
        heading /= np.linalg.norm(heading)
        length = max(4.0, step_radii * radius) * rng.uniform(0.8, 1.3)
        end = position + heading * length
        narrower = radius * rng.uniform(0.86, 0.97)
        segments.append(Segment(position, end, radius, narrower))
        if narrower < least_radius_mm:
            continue
        if rng.random() < branching:
            side = rng.standard_normal(3)
            side -= heading * (side @ heading)
            side /= np.linalg.norm(side)
            angle = rng.uniform(0.5, 1.1)
            branch = np.cos(angle) * heading + np.sin(angle) * side
            open_ends.append((end, branch, narrower * rng.uniform(0.6, 0.85)))
            narrower *= 0.9
        open_ends.append((end, heading, narrower))
    return segments


def draw_tubes(
    tissue: LiverTissue, segments: list[Segment], edge_mm: float = 0.6, hollow_mm: float = 0.0
) -> NDArray[np.float32]:
    """Coverage (0..1) of the tubes over the whole volume.

    Args:
        tissue: gives the grid.
        segments: what to draw.
        edge_mm: SD of the border; at least 0.4 of a voxel is taken.
        hollow_mm: 0 for solid tubes, else thickness of the wall that alone is drawn.
    """
    out = np.zeros(tissue.hu.shape, np.float32)
    spacing = np.asarray(tissue.spacing)
    # A border narrower than a voxel would alias: thin tubes get fainter instead, as partial volume makes
    # them.
    soft = np.float32(max(edge_mm, 0.4 * float(spacing.mean())))
    for piece in segments:
        margin = max(piece.start_radius_mm, piece.end_radius_mm) + hollow_mm + 2.5 * soft
        low = np.floor((np.minimum(piece.start_mm, piece.end_mm) - margin) / spacing).astype(int)
        high = np.ceil((np.maximum(piece.start_mm, piece.end_mm) + margin) / spacing).astype(int) + 1
        low, high = np.maximum(low, 0), np.minimum(high, out.shape)
        if (high <= low).any():
            continue
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        dz, dy, dx = tissue.offsets_mm(box, piece.start_mm / spacing)
        axis = piece.end_mm - piece.start_mm
        length = max(float(np.linalg.norm(axis)), 1e-3)
        az, ay, ax = (axis / length).astype(np.float32)
        along = np.clip(dz * az + dy * ay + dx * ax, 0, np.float32(length))
        distance = np.sqrt((dz - along * az) ** 2 + (dy - along * ay) ** 2 + (dx - along * ax) ** 2)
        radius = np.float32(piece.start_radius_mm) + along * np.float32(
            (piece.end_radius_mm - piece.start_radius_mm) / length
        )
        edge = np.abs(distance - radius) - np.float32(hollow_mm / 2) if hollow_mm else distance - radius
        np.maximum(out[box], 1 / (1 + np.exp(np.clip(edge * (1.702 / soft), -20, 20))), out=out[box])
    return out
