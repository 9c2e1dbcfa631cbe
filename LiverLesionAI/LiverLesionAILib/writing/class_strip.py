"""The class of every slice as files of the case: a table and a picture."""

from __future__ import annotations

import csv
import io

from ..case.class_strip import ClassStrip
from ..pictures.canvas import png_bytes
from ..pictures.class_strip import strip_picture

STRIP_TABLE, STRIP_PICTURE = "classes_per_slice.csv", "classes_per_slice.png"


def strip_files(strip: ClassStrip, said: str) -> dict[str, str | bytes]:
    """The files by name; `said`: the strip in words."""
    return {
        STRIP_TABLE: strip_csv(strip),
        STRIP_PICTURE: png_bytes(strip_picture(strip, strip.classes[0], said)),
    }


def strip_csv(strip: ClassStrip) -> str:
    """A line for each slice, feet first: its height (LPS z, mm), class, probability of every class."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    explained = set(strip.explained.tolist())
    writer.writerow(("height_mm", "class", "probability", "explained", *strip.classes))
    slices = zip(strip.slices, strip.heights_mm, strip.answers, strip.probabilities, strict=True)
    for z, height, name, each in slices:
        shares = (f"{float(p):.4f}" for p in each)
        writer.writerow(
            (
                f"{height:.2f}",
                name,
                f"{float(each.max()):.4f}",
                "yes" if int(z) in explained else "no",
                *shares,
            )
        )
    return buffer.getvalue()
