"""What the attentions of one network weigh in the slice of a point, as maps: for the panel's choices.

Of every attention one map. Where positions gather from positions, it is the point's row after the softmax or
sigmoid; of a gate over places, the gate; where channels or slices are weighted, which have no place, how much
the attention changes the network's map at each place, with the weights themselves beside it as bars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...case.findings import AttentionMap, PointLps
from ...support.errors import InputError
from ...support.progress import Progress, silent
from ..classify.liver_box import LiverCrop
from .names import map_prefix, percent

if TYPE_CHECKING:
    from torch import nn

    from ...models.weights import ModelEntry
    from ...volume.ct import Geometry
    from .readings import Reading

MOST_PAIRS = 8
"""Pairs of channels that are listed."""

OPEN, SHUT = 0.9, 0.1
"""A gate above lets nearly all pass, one below nearly nothing."""


def network_maps(
    network: nn.Module,
    entry: ModelEntry,
    crop: LiverCrop,
    point_lps: PointLps,
    progress: Progress = silent,
    phase: Sequence[float] | None = None,
) -> tuple[AttentionMap, ...]:
    """A map for every attention of the network, on the axial slice of the point at the network's own grid.

    Args:
        network: of the entry, in inference form.
        crop: the liver, on any grid with axes along L, P, S.
        phase: probability of each contrast phase, for networks that take it.

    Raises:
        InputError: the point is not on a slice of the liver, or the network has no attention.
    """
    from .readings import part_of, read_attention

    working = crop.on_spacing(entry.input.spacing_zyx_mm)
    z, y, x = (int(n) for n in np.round(working.geometry.lps_to_index(point_lps)))
    inside = all(0 <= n < size for n, size in zip((z, y, x), working.geometry.shape_zyx, strict=True))
    if not inside or not working.liver_zyx[z].any():
        raise InputError("The point is on no slice of the liver. Click inside the liver.")
    found = read_attention(entry, network, part_of(working, entry.input, [z], phase), (y, x), progress)
    if not found:
        raise InputError(f"{entry.name} has no attention that could be shown.")
    plane = working.geometry.cropped((z, 0, 0), (z + 1, *working.geometry.shape_zyx[1:]))
    bag_mm = entry.input.spacing_zyx_mm[0] * int(entry.config.get("bag_step", 1))
    maps = (map_of(reading, map_prefix(entry), plane, bag_mm) for reading in found)
    return tuple(shown for shown in maps if shown is not None)


def map_of(reading: Reading, prefix: str, plane: Geometry, bag_mm: float) -> AttentionMap | None:
    """One attention as a map; None of one that weighs neither places nor a map it stands on.

    Args:
        plane: the slice, of one voxel along z.
        bag_mm: between the images of a bag.
    """
    name, bars = prefix + reading.mechanism, weight_bars(reading, bag_mm)
    size_mm = plane.shape_zyx[2] * plane.spacing_zyx_mm[2] / max(1, reading.size_yx[1])
    cells = f"({size_mm:.2g} mm cells)"
    affinity, place_gate = reading.affinity, reading.weights.get("place gate")
    if affinity is not None and reading.of_positions:
        top = float(affinity.max())
        meaning = f"From which places of its slice the clicked point gathers {cells}"
        if "affinity" in reading.weights:
            meaning += f", after the softmax, against the one that gives most, {percent(top)}."
        else:
            meaning += f": the sigmoid of each, against the largest, {top:.2f}."
        values, highest, unit = affinity / max(top, 1e-12), 1.0, "relative"
    elif place_gate is not None and place_gate.ndim == 2:
        values, highest, unit = place_gate, 1.0, ""
        meaning = f"How much of the network's map passes here {cells}: 1 passes all."
    elif reading.change_yx is not None:
        values, highest, unit = reading.change_yx, max(float(reading.change_yx.max()), 1e-6), "of the map"
        meaning = f"How much this attention changes the network's map here {cells}: 1 is as much as it held."
    else:
        return None
    said = weights_in_words(reading)
    return AttentionMap(
        name=name,
        meaning=f"{meaning} {said}".strip(),
        values_zyx=reading.frame.on_slice(values)[None].astype(np.float32),
        geometry=plane,
        value_range=(0.0, highest),
        unit=unit,
        bars=bars,
    )


def weight_bars(reading: Reading, bag_mm: float) -> Mapping[str, float]:
    """Weights that have no place: of a bag's images, or the strongest pairs of channels."""
    from .va import bag_labels

    slices = reading.weights.get("slice weights")
    if slices is not None:
        return dict(zip(bag_labels(len(slices), 1, bag_mm), map(float, slices), strict=True))
    affinity = reading.affinity
    return {} if affinity is None or reading.of_positions else strongest_pairs(affinity)


def strongest_pairs(matrix: NDArray[np.float32], count: int = MOST_PAIRS) -> dict[str, float]:
    """The channels that gather most from another one: "channel 7 from 12" -> weight; rows gather."""
    others = np.array(matrix, np.float32)
    np.fill_diagonal(others, -np.inf)
    order = np.argsort(others, axis=None)[::-1][: min(count, others.size - len(others))]
    pairs = (np.unravel_index(int(n), others.shape) for n in order)
    return {f"channel {j + 1} from {i + 1}": float(others[j, i]) for j, i in pairs}


def weights_in_words(reading: Reading) -> str:
    """One sentence on the weights; "" where there is nothing but places."""
    gate = next((reading.weights[k] for k in ("image gate", "squeeze gate") if k in reading.weights), None)
    if gate is not None:
        passing, shut = int((gate > OPEN).sum()), int((gate < SHUT).sum())
        words = (
            f"Of {len(gate)} channels {passing} {'passes' if passing == 1 else 'pass'} (above {OPEN:g}) and "
            f"{shut} {'is' if shut == 1 else 'are'} shut (below {SHUT:g})."
        )
        return words + (
            " Bars: what each image of the bag counts." if "slice weights" in reading.weights else ""
        )
    if "slice weights" in reading.weights:
        return "Bars: what each image of the bag counts."
    affinity = reading.affinity
    if affinity is None or reading.of_positions:
        return ""
    own = float(np.diagonal(affinity).mean())
    if "affinity" in reading.weights:
        return (
            f"Of {len(affinity)} channels each keeps {percent(own)} of what it gathers for itself; alike "
            f"for all would be {percent(1 / len(affinity))}. Bars: the pairs that share most."
        )
    return (
        f"The sigmoids between {len(affinity)} channels are {float(affinity.mean()):.2f} on average, "
        f"{float(affinity.std()):.2f} SD. Bars: the pairs that share most."
    )
