"""Gallbladders of all states, put into scans or into the gallbladder that a body already has.

What a radiologist meets: plain, distended, contracted, collapsed and folded, thick-walled (oedema between a
bright mucosa and the bed), stones, sludge, layered contrast medium or dense bile, a folded fundus (phrygian
cap), one buried in its fossa. The shape is a chain of balls along a bent centre line, flattened where it is
collapsed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .anatomy import FOSSA, VISCERAL
from .rendering import coverage
from .texture import gaussian, smooth_noise
from .tissue import Box, LiverTissue

Array = NDArray[np.float32]


class GallbladderState(StrEnum):
    """What a gallbladder looks like."""

    PLAIN = "plain"
    DISTENDED = "distended"
    CONTRACTED = "contracted"
    COLLAPSED = "collapsed"
    THICK_WALLED = "thick-walled"
    STONES = "stones"
    SLUDGE = "sludge"
    LAYERED = "layered"
    PHRYGIAN = "phrygian cap"
    BURIED = "buried"


STATE_WEIGHTS: dict[GallbladderState, float] = {
    GallbladderState.PLAIN: 0.2,
    GallbladderState.DISTENDED: 0.1,
    GallbladderState.CONTRACTED: 0.12,
    GallbladderState.COLLAPSED: 0.18,
    GallbladderState.THICK_WALLED: 0.12,
    GallbladderState.STONES: 0.06,
    GallbladderState.SLUDGE: 0.05,
    GallbladderState.LAYERED: 0.05,
    GallbladderState.PHRYGIAN: 0.05,
    GallbladderState.BURIED: 0.07,
}


@dataclass(frozen=True)
class GallbladderLook:
    """One gallbladder's parts.

    Attributes:
        state: its name.
        length_mm, width_mm: outer, of the unbent shape.
        flat: width across the flattened direction as a share of the other, 0..1.
        fold_degree: how far the fundus is bent back.
        waves: amplitude of the centre line's waves as a share of the width: folds.
        sunk: where the centre lies from the liver's surface, as a share of the width, positive inside.
        wall_mm, wall_hu: thickness and mean density of the wall.
        mucosa_hu: density of its innermost 1.5 mm; None where it is not seen apart.
        bile_hu: density of the contents.
        layer_hu: added to what lies at the bottom; layer_at: height of that level as a share of the width.
        stone_hu: density of stones; None without stones.
        fat_mm: fat between it and what lies beside the liver.
    """

    state: GallbladderState
    length_mm: float
    width_mm: float
    flat: float
    fold_degree: float
    waves: float
    sunk: float
    wall_mm: float
    wall_hu: float
    mucosa_hu: float | None
    bile_hu: float
    layer_hu: float
    layer_at: float
    stone_hu: float | None
    fat_mm: float


def draw_look(
    rng: np.random.Generator, level_hu: float, state: GallbladderState | None = None
) -> GallbladderLook:
    """Draw a gallbladder beside a liver of `level_hu`.

    Args:
        state: None draws it by `STATE_WEIGHTS`.
    """
    if state is None:
        states = list(STATE_WEIGHTS)
        state = states[int(rng.choice(len(states), p=np.array(list(STATE_WEIGHTS.values()))))]
    return _of_state(rng, level_hu, _plain_look(rng, level_hu, state))


def _plain_look(rng: np.random.Generator, level_hu: float, state: GallbladderState) -> GallbladderLook:
    """What all have in common before their state changes it."""
    return GallbladderLook(
        state,
        length_mm=rng.uniform(45, 85),
        width_mm=rng.uniform(20, 36),
        flat=rng.uniform(0.75, 1.0),
        fold_degree=rng.uniform(0, 40),
        waves=rng.uniform(0.0, 0.1),
        sunk=rng.uniform(-0.45, 0.2),
        wall_mm=rng.uniform(0.8, 2.5),
        wall_hu=level_hu + rng.uniform(-40, 10),
        mucosa_hu=None,
        bile_hu=rng.uniform(0, 24) if rng.random() < 0.85 else rng.uniform(24, 45),
        layer_hu=0.0,
        layer_at=rng.uniform(-0.1, 0.3),
        stone_hu=None,
        fat_mm=rng.uniform(1.5, 6) if rng.random() < 0.5 else 0.0,
    )


def _of_state(rng: np.random.Generator, level_hu: float, look: GallbladderLook) -> GallbladderLook:
    """The look with what its state draws anew."""
    state = look.state
    if state is GallbladderState.DISTENDED:
        return replace(
            look, length_mm=rng.uniform(80, 120), width_mm=rng.uniform(36, 52), wall_mm=rng.uniform(0.6, 1.8)
        )
    if state is GallbladderState.CONTRACTED:
        return replace(
            look,
            length_mm=rng.uniform(25, 48),
            width_mm=rng.uniform(8, 17),
            wall_mm=rng.uniform(1.5, 3.0),
            sunk=rng.uniform(-0.6, 0.6),
        )
    if state is GallbladderState.COLLAPSED:
        return replace(
            look,
            length_mm=rng.uniform(35, 75),
            width_mm=rng.uniform(12, 30),
            flat=rng.uniform(0.25, 0.6),
            fold_degree=rng.uniform(20, 150),
            waves=rng.uniform(0.1, 0.4),
            wall_mm=rng.uniform(1.5, 4.0),
            wall_hu=level_hu + rng.uniform(-35, 5),
            mucosa_hu=level_hu + rng.uniform(-15, 25) if rng.random() < 0.5 else None,
            sunk=rng.uniform(-0.4, 0.6),
            bile_hu=rng.uniform(5, 40),
        )
    if state is GallbladderState.THICK_WALLED:
        return replace(
            look,
            width_mm=rng.uniform(18, 45),
            wall_mm=rng.uniform(3.5, 9),
            wall_hu=rng.uniform(12, 60),
            mucosa_hu=level_hu + rng.uniform(-25, 30) if rng.random() < 0.8 else None,
        )
    if state is GallbladderState.STONES:
        return replace(look, stone_hu=rng.uniform(60, 450) if rng.random() < 0.75 else rng.uniform(-40, 0))
    if state is GallbladderState.SLUDGE:
        return replace(look, layer_hu=rng.uniform(12, 50))
    if state is GallbladderState.LAYERED:
        return replace(look, layer_hu=rng.uniform(50, 250), bile_hu=rng.uniform(5, 60))
    if state is GallbladderState.PHRYGIAN:
        return replace(look, length_mm=rng.uniform(60, 100), fold_degree=rng.uniform(100, 165))
    if state is GallbladderState.BURIED:
        return replace(look, width_mm=rng.uniform(14, 34), sunk=rng.uniform(0.3, 0.8), fat_mm=0.0)
    return look


def centre_line(look: GallbladderLook, rng: np.random.Generator) -> NDArray[np.float64]:
    """(n, 4) points along, side, flat and radius, mm, about the middle: neck first, fundus last."""
    n = 28
    t = np.linspace(0.0, 1.0, n)
    # The fundus bends back over the last third.
    angle = np.deg2rad(look.fold_degree) * np.clip((t - 0.55) / 0.25, 0, 1)
    step = look.length_mm / (n - 1)
    along = np.concatenate([[0.0], np.cumsum(np.cos(angle))[:-1]]) * step
    side = np.concatenate([[0.0], np.cumsum(np.sin(angle))[:-1]]) * step
    phase = rng.uniform(0, 2 * np.pi, 2)
    turns = rng.uniform(1.0, 2.5)
    side = side + look.waves * look.width_mm * np.sin(2 * np.pi * turns * t + phase[0])
    flat = look.waves * look.width_mm * np.sin(2 * np.pi * turns * 0.7 * t + phase[1])
    belly = rng.uniform(0.6, 0.75)
    radius = (
        look.width_mm / 2 * np.clip(np.interp(t, [0, 0.2, belly, 0.92, 1], [0.25, 0.55, 1.0, 0.8, 0.5]), 0, 1)
    )
    points = np.stack([along, side, flat, radius], axis=1)
    points[:, :3] -= points[:, :3].mean(axis=0)
    return points


def _frame(along: NDArray, outward: NDArray) -> NDArray[np.float64]:
    """Rows: along the surface, across it, and the flattened direction, mostly outward; orthonormal."""
    along = along / np.linalg.norm(along)
    flat = outward - along * (outward @ along)
    if np.linalg.norm(flat) < 1e-3:
        flat = np.array([along[1], -along[0], 0.0])
    flat = flat / np.linalg.norm(flat)
    return np.stack([along, np.cross(along, flat), flat])


def chain_depth(
    offsets_mm: list[Array], points: NDArray[np.float64], frame: NDArray[np.float64], flat: float
) -> Array:
    """Depth in mm (positive inside) of a chain of balls, flattened along the frame's third axis.

    Args:
        offsets_mm: z, y, x from the centre, broadcastable.
        points: see :func:`centre_line`.
        frame: rows are the shape's axes in z, y, x.
        flat: width along the third axis as a share of the radius.
    """
    local = [sum(o * np.float32(f) for o, f in zip(offsets_mm, row, strict=True)) for row in frame]
    depth: Array | None = None
    for along, side, across, radius in points.astype(np.float32):
        squared = (local[0] - along) ** 2 + (local[1] - side) ** 2
        squared = squared + ((local[2] - across) / np.float32(flat)) ** 2
        here = radius - np.sqrt(squared)
        depth = here if depth is None else np.maximum(depth, here)
    assert depth is not None
    return depth * np.float32(np.sqrt(flat))


def fossa_spot(
    tissue: LiverTissue,
    rng: np.random.Generator,
    toward_zyx: tuple[float, float, float] = VISCERAL,
    near_mm: tuple[float, float, float] | None = FOSSA,
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """A place at the visceral surface that soft tissue or fat lies beside: (voxels, outward unit vector)."""
    spacing = np.array(tissue.spacing)
    for _ in range(8):
        spot = tissue.surface_spot(toward_zyx, rng, near_mm if rng.random() < 0.85 else None)
        if spot is None:
            return None
        position, outward = spot
        beside = np.round(position + outward * 12.0 / spacing).astype(int)
        if (beside < 0).any() or (beside >= tissue.hu.shape).any():
            continue
        around = tuple(slice(max(0, b - 1), b + 2) for b in beside)
        if -150 < float(tissue.hu[around].mean()) < 170:
            return position, outward
    return None


def add_gallbladder(
    tissue: LiverTissue,
    rng: np.random.Generator,
    state: GallbladderState | None = None,
    spot: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> tuple[NDArray[np.bool_], GallbladderLook] | None:
    """Put a gallbladder at the liver's visceral surface; the tissue's image and liver change.

    Args:
        state: None draws one.
        spot: where; None looks for a place.

    Returns:
        (mask_zyx with the wall, what was drawn), or None where there is no place.
    """
    look = draw_look(rng, tissue.level_hu, state)
    spot = spot or fossa_spot(tissue, rng)
    if spot is None:
        return None
    position, outward = spot
    points = centre_line(look, rng)
    reach = float(np.linalg.norm(points[:, :3], axis=1).max() + look.width_mm / 2 + look.fat_mm + 4)
    centre = position - outward * look.width_mm * np.sqrt(look.flat) * look.sunk / np.array(tissue.spacing)
    box = tissue.box_around(centre, reach)
    if box is None:
        return None
    # Fundus forward and down, lying on the surface.
    along = np.array([-0.55, -0.65, -0.2]) + 0.4 * rng.standard_normal(3)
    along -= 0.85 * outward * (along @ outward)
    frame = _frame(along, outward)
    depth = chain_depth(tissue.offsets_mm(box, centre), points, frame, look.flat)
    rough = np.float32(0.05 * look.width_mm * np.sqrt(look.flat))
    depth = depth + rough * smooth_noise(depth.shape, tissue.spacing, max(4.0, 0.4 * look.width_mm), rng)
    return paint(tissue, box, depth, look, rng), look


def restate(
    tissue: LiverTissue,
    mask_zyx: NDArray[np.bool_],
    rng: np.random.Generator,
    state: GallbladderState | None = None,
) -> tuple[NDArray[np.bool_], GallbladderLook]:
    """Another wall and other contents for a gallbladder that is there; its outline stays."""
    look = replace(draw_look(rng, tissue.level_hu, state), fat_mm=0.0)
    reach = [int(np.ceil(8 / s)) for s in tissue.spacing]
    box = tuple(
        slice(max(0, int(w.min()) - r), int(w.max()) + 1 + r)
        for w, r in zip(np.nonzero(mask_zyx), reach, strict=True)
    )
    inside = mask_zyx[box]
    depth = ndimage.distance_transform_edt(inside, sampling=tissue.spacing)
    depth = depth - ndimage.distance_transform_edt(~inside, sampling=tissue.spacing)
    # Half a voxel of either side lies on the outline.
    depth = gaussian(depth.astype(np.float32), 0.8, tissue.spacing)
    thickest = max(1.0, 0.45 * float(depth.max()))
    return paint(tissue, box, depth, replace(look, wall_mm=min(look.wall_mm, thickest)), rng), look


def paint(
    tissue: LiverTissue, box: Box, depth: Array, look: GallbladderLook, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Paint wall and contents where `depth` (mm) is positive; returns the mask on the whole volume."""
    hu = tissue.hu[box]
    stays = ((hu > 170) | (hu < -155)) & ~tissue.liver[box]
    room = np.clip(1 - 1.3 * gaussian(stays, 1.5, tissue.spacing), 0, 1)
    if look.fat_mm:
        free = 1 - gaussian(tissue.liver[box], 1.0, tissue.spacing)
        fat = coverage(depth + np.float32(look.fat_mm), 1.0) * room * np.clip(free, 0, 1)
        fat_hu = np.float32(-95) + 10 * smooth_noise(depth.shape, tissue.spacing, 6.0, rng)
        tissue.paint(box, fat.astype(np.float32), fat_hu, rng)
    content = _contents(tissue, depth, look, rng)
    wall = np.full(depth.shape, look.wall_hu, np.float32)
    wall += 6 * smooth_noise(depth.shape, tissue.spacing, 5.0, rng)
    # A wall is nowhere as thick as elsewhere.
    thick = np.float32(look.wall_mm) * (
        1 + np.float32(0.25) * smooth_noise(depth.shape, tissue.spacing, 12.0, rng)
    )
    if look.mucosa_hu is not None:
        mucosa = coverage(depth - thick + np.float32(1.5), 0.6)
        wall = wall + mucosa * (np.float32(look.mucosa_hu) - wall)
    inner = coverage(depth - thick, 0.7)
    outer = coverage(depth, 0.8) * room
    tissue.paint(box, outer, wall + inner * (content - wall), rng, out_of_liver=0.5)
    mask = np.zeros(tissue.hu.shape, bool)
    mask[box] = outer * tissue.free(box) > 0.5
    return mask


def _contents(tissue: LiverTissue, depth: Array, look: GallbladderLook, rng: np.random.Generator) -> Array:
    """Bile with what lies at its bottom (the patient lies on the back: +y)."""
    content = np.full(depth.shape, look.bile_hu, np.float32)
    inside = np.nonzero(depth > 0)
    if not len(inside[1]):
        return content
    low, high = float(inside[1].min()), float(inside[1].max()) + 1
    middle, half = (low + high) / 2, max((high - low) / 2, 1.0)
    height = ((np.arange(depth.shape[1], dtype=np.float32) - middle) / half)[None, :, None]
    if look.layer_hu:
        content = content + np.float32(look.layer_hu) * np.clip((height - look.layer_at) * 6 + 0.5, 0, 1)
    if look.stone_hu is not None:
        lumps = smooth_noise(depth.shape, tissue.spacing, float(rng.uniform(2.5, 6)), rng)
        at = np.clip((height - 0.2) * 4 + lumps, 0, 1) * (depth > 1.5)
        content = content + at * (np.float32(look.stone_hu) - content)
    return content
