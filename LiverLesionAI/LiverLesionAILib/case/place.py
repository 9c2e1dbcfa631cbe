"""Where a lesion lies: its box, its diameters, where its class was seen. Written as tags, read from them.

Patient space (LPS, mm) throughout, so that a scan whose axes Slicer turns round when it loads it changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .findings import Box, Lesion, PointLps
from .tags import TAG_AXES, TAG_BOX, Axis, axes_text, box_text, parse_axes, parse_box
from .terminology import TAG_CLASS_BOX

TAG_BOX_MOVED = "LiverLesionAI.BoxMoved"
""""1" where the reader has moved the box: it does not follow the mask any more."""

PLACE_TAGS = (TAG_BOX, TAG_AXES, TAG_CLASS_BOX, TAG_BOX_MOVED)


@dataclass(frozen=True)
class Place:
    """Where one lesion lies.

    Attributes:
        long_axis_lps, short_axis_lps: RECIST's, two end points each; None where nothing was measured.
        class_box: where the classifier saw its class.
        moved: the reader has moved the box.
    """

    box: Box | None = None
    long_axis_lps: Axis | None = None
    short_axis_lps: Axis | None = None
    class_box: Box | None = None
    moved: bool = False

    @classmethod
    def of(cls, lesion: Lesion) -> Place:
        """The place of a lesion as the analysis gives it."""
        measured = lesion.measurement
        if measured is None or not measured.long_axis_mm > 0:
            return cls(lesion.box, class_box=lesion.class_box)
        return cls(lesion.box, measured.long_axis_lps, measured.short_axis_lps, lesion.class_box)

    @property
    def centre_lps(self) -> PointLps | None:
        """Where to look: the middle of the long axis, on the slice it was measured on, else the box's."""
        if self.long_axis_lps is not None:
            (ax, ay, az), (bx, by, bz) = self.long_axis_lps
            return ((ax + bx) / 2, (ay + by) / 2, (az + bz) / 2)
        return None if self.box is None else self.box.centre_lps


def place_tags(place: Place) -> dict[str, str]:
    """The tags of a place; an empty text stands for what there is not."""
    measured = place.long_axis_lps is not None and place.short_axis_lps is not None
    return {
        TAG_BOX: box_text(place.box),
        TAG_AXES: axes_text(place.long_axis_lps, place.short_axis_lps) if measured else "",  # type: ignore[arg-type]
        TAG_CLASS_BOX: box_text(place.class_box),
        TAG_BOX_MOVED: "1" if place.moved else "",
    }


def read_place(tag: Callable[[str], str]) -> Place:
    """The way back: `tag` gives a tag's text by name, "" where there is none. Damaged tags count as none."""
    axes = parse_axes(tag(TAG_AXES))
    return Place(
        parse_box(tag(TAG_BOX)),
        None if axes is None else axes[0],
        None if axes is None else axes[1],
        parse_box(tag(TAG_CLASS_BOX)),
        tag(TAG_BOX_MOVED) == "1",
    )
