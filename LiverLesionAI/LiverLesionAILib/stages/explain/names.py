"""How maps that are asked for are named, and what their bars are called: for those who make and show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...models.weights import ModelEntry

STRIP = "Class per slice"
"""The names of its maps begin with it; their bars are the slices."""


def map_prefix(entry: ModelEntry) -> str:
    """What the names of a network's maps begin with."""
    return f"{entry.title.split(':')[0].strip() or entry.name}: "


def slice_label(height_mm: float, name: str) -> str:
    """What a slice of the strip is called: its height, LPS z, and its class."""
    return f"{height_mm:.1f} mm, {name}"


def read_label(label: str) -> tuple[float, str]:
    """Inverse of :func:`slice_label`."""
    height, _, name = label.partition(" mm, ")
    return float(height), name


def percent(share: float) -> str:
    """A share in per cent, of two digits or whole numbers."""
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.2g} %"
