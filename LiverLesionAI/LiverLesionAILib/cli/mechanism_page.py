"""The attention page of a case: a picture of each mechanism, what it says in words, and whether it is alive.

One HTML file, nothing outside of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..pictures.attention import Tile, bars_of, grey, matrix_picture, overlay, sorted_bars, tiles_picture
from ..pictures.canvas import png_bytes
from ..stages.explain.names import percent
from ..support.text import begun
from ..writing.class_strip import STRIP_PICTURE

if TYPE_CHECKING:
    from ..analysis.case_attention import NetworkAttention
    from ..networks.health import Health
    from ..stages.explain.readings import Reading

ATTENTION_PAGE = "attention.html"
PLACE = (
    "Shown is the slice in which the largest lesion is largest, or the liver where there is none; the cross "
    "marks the point whose rows are shown."
)

WORDS = {
    "spatial context": (
        "MSCD, spatial context: from which places of the slice the marked point gathers, after the "
        "softmax. Cells far from it that light up are the long-range context that the paper is about; a "
        "single bright cell is a copy, an even glow a mean. The brightest colour is the largest share, which "
        "stands above each picture."
    ),
    "channel context": (
        "MSCD, channel context: how much each channel (row) gathers from every other (column), after the "
        "softmax. An even matrix means that all channels get the same."
    ),
    "semantic gate (SAT)": (
        "SFAN, semantic gate: how much of each channel of a level passes, decided by the next deeper "
        "level. Channels that differ are weighed; all at one height would choose nothing."
    ),
    "global context gate (GCA)": (
        "SFAN, global context gate: how much of each aligned channel enters the mask, decided by the "
        "deepest level."
    ),
    "dadrn spatial attention": (
        "DADRN, spatial attention: how strongly the marked point gathers from each place of the liver's "
        "slice. All bright means a global average, not likeness. This network sees liver alone, the rest "
        "filled with the liver's own density: what is bright outside the liver is that filling, no organ. "
        "What has no colour at the edge lies outside of what it sees."
    ),
    "dadrn channel attention": (
        "DADRN, channel attention: how strongly each channel (row) gathers from every other (column)."
    ),
    "channel branch": (
        "Volumetric attention, channel branch: below, what each image of the bag counts and, as bars "
        "without names, how much of each channel passes. Above, how much that changes the map at each "
        "place. Where a level is not alive, its gates are alike whatever the neighbours show: what is bright "
        "there has lost channels that are shut for good, and no place was attended to."
    ),
    "spatial branch": (
        "Volumetric attention, spatial branch: how much of the level passes at each place, decided with "
        "the neighbouring images; below, what each image of the bag counts."
    ),
    "contextual attention": (
        "CS-Att, contextual attention: what each neighbouring image counts here against the one that "
        "counts most, mean over channels; below, the mean of each image."
    ),
    "cs_att spatial attention": (
        "CS-Att, spatial attention: what each place of an image counts against its strongest, mean over "
        "channels."
    ),
}
"""What a mechanism says, by its name without the level, or with its network's where two share one."""


@dataclass(frozen=True)
class _Line:
    level: str
    alive: bool
    figures: str
    effects: str
    why: str
    said: str


@dataclass(frozen=True)
class _Mechanism:
    title: str
    words: str
    png: bytes
    tiles: int
    lines: tuple[_Line, ...]


def attention_page(
    case_name: str,
    networks: Sequence[NetworkAttention],
    strip: tuple[bytes, str] | None = None,
    slices: int = 0,
) -> str:
    """The page.

    Args:
        strip: the picture of :mod:`.class_strip` as PNG and its words, where there is one.
        slices: on which health was measured.
    """
    from ..networks.health import BOUNDS, LEAST_EFFECT
    from ..writing.report.html import page_html

    bounds = [
        (
            kind,
            ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in bound.figures.items()),
            bound.reason,
        )
        for kind, bound in BOUNDS.items()
    ]
    page = {
        "case_name": case_name,
        "place": PLACE,
        "strip": None if strip is None else {"png": strip[0], "words": strip[1], "file": STRIP_PICTURE},
        "networks": [_network(one) for one in networks],
        "slices": slices,
        "least": f"{LEAST_EFFECT:g}",
        "bounds": bounds,
    }
    return page_html("attention.html.j2", page=page)


def _network(one: NetworkAttention) -> dict[str, object]:
    return {
        "name": one.entry.name,
        "title": one.entry.title.split(":")[0].strip() or one.entry.name,
        "ran": one.ran,
        "alive": sum(health.alive for health in one.health),
        "count": len(one.health),
        "mechanisms": list(_mechanisms(one)),
    }


def _mechanisms(one: NetworkAttention) -> list[_Mechanism]:
    """The mechanisms of a network, those of several levels side by side."""
    groups: dict[str, list[tuple[Reading, Health]]] = {}
    for reading, health in zip(one.readings, one.health, strict=True):
        groups.setdefault(_without_level(reading.mechanism), []).append((reading, health))
    plane, made = grey(one.hu_yx, one.entry.input.window_hu), []
    step_mm = one.entry.input.spacing_zyx_mm[0] * int(one.entry.config.get("bag_step", 1))
    for title, found in groups.items():
        tiles = [tile for reading, _ in found for tile in tiles_of(reading, plane, one.point_yx, step_mm)]
        words = WORDS.get(title) or WORDS.get(f"{one.entry.network} {title}", "")
        lines = tuple(_line(reading, health) for reading, health in found)
        made.append(_Mechanism(title, words, png_bytes(tiles_picture(tiles)), len(tiles), lines))
    return made


def _without_level(mechanism: str) -> str:
    return re.sub(r", (pyramid )?level \d+$", "", mechanism)


def _level(mechanism: str) -> str:
    found = re.search(r"level \d+$", mechanism)
    return found.group(0) if found else ""


def tiles_of(
    reading: Reading, plane: NDArray[np.float32], point_yx: tuple[int, int], step_mm: float
) -> list[Tile]:
    """One attention as tiles.

    Args:
        plane: the slice, grey 0..1; step_mm: between the images of a bag.
    """
    from ..stages.explain.va import bag_labels

    level, weights, affinity = begun(_level(reading.mechanism) or "slice"), reading.weights, reading.affinity
    if affinity is not None and not reading.of_positions:
        return [
            Tile(
                f"{level}: {len(affinity)} channels, to {float(affinity.max()):.2g}", matrix_picture(affinity)
            )
        ]
    if affinity is not None:
        top = max(float(affinity.max()), 1e-12)
        high = percent(top) if "affinity" in weights else f"{top:.2f}"
        shown = overlay(plane, reading.frame.on_slice(affinity / top), point_yx)
        return [Tile(f"{level}: the largest {high}", shown)]
    bars: tuple[tuple[str, float], ...] = ()
    if "slice weights" in weights:
        named = zip(
            bag_labels(len(weights["slice weights"]), 1, step_mm), weights["slice weights"], strict=True
        )
        bars = bars_of({name: float(value) for name, value in named})
    for kind in ("image weights", "place gate"):
        if kind in weights:
            values = weights[kind]
            middle = values if values.ndim == 2 else values[len(values) // 2]
            if values.ndim == 3:
                bars = bars_of({f"image {k + 1}": float(v.mean()) for k, v in enumerate(values)})
            shown = overlay(plane, reading.frame.on_slice(middle), point_yx)
            return [Tile(f"{level}: {float(middle.min()):.2f} to {float(middle.max()):.2f}", shown, bars)]
    gate = next((weights[k] for k in ("image gate", "squeeze gate") if k in weights), np.zeros(1, np.float32))
    of_gate = Tile(
        f"{level}: channels {float(gate.min()):.2f} to {float(gate.max()):.2f}", None, sorted_bars(gate)
    )
    if reading.change_yx is None:
        return [of_gate]
    top = max(float(reading.change_yx.max()), 1e-12)
    changed = overlay(plane, reading.frame.on_slice(reading.change_yx / top), point_yx)
    return [Tile(f"{level}: changes up to {top:.2f}", changed, bars), of_gate]


def _line(reading: Reading, health: Health) -> _Line:
    from ..stages.explain.network_maps import weights_in_words

    figures = "; ".join(
        f"{kind}: " + ", ".join(f"{name} {value:.3f}" for name, value in found.items())
        for kind, found in health.figures.items()
    )
    effects = ", ".join(f"{effect.mean:.3f} {how}" for how, effect in health.effects.items())
    level = _level(reading.mechanism)
    said = weights_in_words(reading).split(" Bars:")[0]
    said = "" if said.startswith("Bars:") else said
    return _Line(level, health.alive, figures, effects, health.why, said)
