"""What one point attends to in MSCD's spatial context extractors, as maps.

Shown is row i of M, after the softmax: what the network weighs by, even where that is a single cell and the
map is one dot. How much the largest cell gives is told in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...case.findings import AttentionMap, PointLps
from ...support.errors import InputError
from ...volume.ct import CtVolume, Geometry, reorient, resample
from .names import percent

if TYPE_CHECKING:
    from torch import nn

    from ...models.weights import ModelEntry

POINT_MAP = "point attention"
"""In the names of the maps."""

SLICES_BESIDE = 2
"""Slices that are handed over beside those the network sees, so that resampling is that of the whole scan."""


def region_around(
    geometry: Geometry,
    point_lps: PointLps,
    box_zyx: tuple[slice, slice, slice],
    entry: ModelEntry,
    margin_mm: float,
) -> tuple[slice, slice, slice]:
    """What of a CT a network needs for one point: a slab of slices, in plane the liver's box and a margin.

    Args:
        geometry: the CT's grid, any orientation.
        box_zyx: the liver's box on it.
        margin_mm: round the box.

    Raises:
        InputError: the point lies outside that region.
    """
    shape = np.array(geometry.shape_zyx)
    spacing = np.array(geometry.spacing_zyx_mm)
    low = np.array([s.start for s in box_zyx]) - np.ceil(margin_mm / spacing).astype(int)
    high = np.array([s.stop for s in box_zyx]) + np.ceil(margin_mm / spacing).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, shape)
    index = np.round(geometry.lps_to_index(point_lps)).astype(int)
    if (index < low).any() or (index >= high).any():
        raise InputError("The point is outside the liver and its surroundings. Click nearer to the liver.")
    axial = int(np.abs(geometry.directions_lps[2][::-1]).argmax())
    beside_mm = (entry.input.in_slices // 2 + SLICES_BESIDE) * entry.input.spacing_zyx_mm[0]
    reach = int(np.ceil(beside_mm / spacing[axial])) + 1
    low[axial] = max(low[axial], index[axial] - reach)
    high[axial] = min(high[axial], index[axial] + reach + 1)
    z, y, x = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return z, y, x


def point_attention(
    network: nn.Module, entry: ModelEntry, volume: CtVolume, point_lps: PointLps, level_hu: float
) -> tuple[AttentionMap, ...]:
    """A map for each context level, on the axial slice of the point at the network's own grid.

    Each map is M's row after the softmax, divided by its largest value.

    Args:
        network: of the entry, in eval mode.
        volume: the CT round the point, see :func:`region_around`.
        level_hu: the liver's, see :func:`..inputs.liver_level_hu`.

    Raises:
        InputError: the point is not in the volume, or the network has no spatial context.
    """
    from ..segment.inference import class_probabilities

    oriented = reorient(volume)
    working = oriented.geometry.with_spacing(entry.input.spacing_zyx_mm)
    index_zyx = np.round(working.lps_to_index(point_lps)).astype(int)
    if (index_zyx < 0).any() or (index_zyx >= working.shape_zyx).any():
        raise InputError("The point is outside the CT. Click inside the liver.")
    z, y, x = (int(n) for n in index_zyx)
    hu_zyx = resample(oriented.hu_zyx, oriented.geometry, working)
    shifted = hu_zyx + np.float32(entry.input.shift_hu(level_hu))
    scales = entry.scales.get("lesions", (1.0,))
    found: list[_Row] = []

    def collect(_centres: Any, output: Any, inner_yx: tuple[int, int]) -> None:
        found.extend(_rows(output, (y, x), inner_yx, working.shape_zyx[1:]))

    class_probabilities(
        network,
        entry.input,
        shifted,
        classes=int(entry.config.get("classes", 3)),
        pyramid=(min(scales, key=lambda scale: abs(scale - 1.0)),),
        batch=1,
        collect=collect,
        slices=range(z, z + 1),
    )
    if not found:
        raise InputError(f"{entry.name} relates no position to others: it was built without spatial context.")
    plane = working.cropped((z, 0, 0), (z + 1, *working.shape_zyx[1:]))
    return tuple(_map(entry, plane, point_lps, row) for row in found)


@dataclass(frozen=True, eq=False)
class _Row:
    """One level's row of M on the network's working grid.

    Attributes:
        values_yx: against the cell that gives most, 0..1.
        largest_share: what that cell gives, 0..1.
        cell_yx: edges of a cell in voxels.
    """

    level: int
    values_yx: NDArray[np.float32]
    largest_share: float
    cell_yx: tuple[float, float]


def _rows(
    output: Any,
    point_yx: tuple[int, int],
    inner_yx: tuple[int, int],
    size_yx: tuple[int, int],
) -> list[_Row]:
    """A row of M for each context level.

    `inner_yx`: the slice as the network saw it, without padding.
    """
    import torch.nn.functional as F

    from ...networks.mscd import point_affinity

    padded_yx = output.logits.shape[-2:]
    made = []
    for context in output.attention or ():
        if context.keys is None:
            continue
        cell = tuple(p / n for p, n in zip(padded_yx, context.size_yx, strict=True))
        seen = ((i + 0.5) * inner / n for i, inner, n in zip(point_yx, inner_yx, size_yx, strict=True))
        place = [min(int(s / c), n - 1) for s, c, n in zip(seen, cell, context.size_yx, strict=True)]
        row = point_affinity(context, place)
        share = float(row.max())
        # Cell by cell: between cells nothing is known, and a smoothed map would move its peaks to the rim.
        full = F.interpolate(
            row[None, None],
            size=tuple(padded_yx),
            mode="nearest-exact",
        )
        full = full[..., : inner_yx[0], : inner_yx[1]]
        if inner_yx != tuple(size_yx):
            full = F.interpolate(full, size=tuple(size_yx), mode="nearest-exact")
        values = full[0, 0].cpu().numpy()
        edges = tuple(c * n / inner for c, n, inner in zip(cell, size_yx, inner_yx, strict=True))
        made.append(_Row(context.level, values / max(float(values.max()), 1e-12), share, edges))  # type: ignore[arg-type]
    return made


def _map(entry: ModelEntry, plane: Geometry, point_lps: PointLps, row: _Row) -> AttentionMap:
    x, y, z = point_lps
    where = f"{'L' if x >= 0 else 'R'} {abs(x):.0f} {'P' if y >= 0 else 'A'} {abs(y):.0f} S {z:.0f}"
    size_mm = row.cell_yx[0] * plane.spacing_zyx_mm[1]
    meaning = (
        f"From which places of its slice the point {where} gathers context in encoder level "
        f"{row.level + 1} ({size_mm:.2g} mm cells), against the one that gives most, "
        f"{percent(row.largest_share)}."
    )
    return AttentionMap(
        name=f"{map_title(entry)} {row.level + 1}",
        meaning=meaning,
        values_zyx=row.values_yx.astype(np.float32)[None],
        geometry=plane,
        value_range=(0.0, 1.0),
        unit="relative",
    )


def map_title(entry: ModelEntry) -> str:
    """What the names of a model's point maps begin with."""
    return f"{entry.title.split(':')[0].strip() or entry.name} {POINT_MAP}, level"


def request_of(
    point_lps: PointLps, level_hu: float, model: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """A question to the worker, as plain types."""
    return {
        "point_lps": [float(v) for v in point_lps],
        "level_hu": float(level_hu),
        "model": model,
        "device": settings.get("device", "auto"),
        "precision": settings.get("precision", "auto"),
    }
