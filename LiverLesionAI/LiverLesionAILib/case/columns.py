"""The table of findings: every column with its heading, unit, digits and where its value comes from.

CSV, JSON's numbers, the text for the terminal, the scene's table and the panel's are cut from it, so that a
number cannot differ between them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from .anatomy import POSSIBLE, Vessel
from .findings import Lesion
from .terminology import class_probability, lesion_title
from .wording import found_by

Value = str | float | None


SHARES = ("class_probability", "probability")
"""Columns whose numbers are estimates between 0 and 1."""
MOST_DIGITS = 6
"""Of a probability in a file: a case that was stored holds no more."""


@dataclass(frozen=True)
class Column:
    """One column of the findings.

    Attributes:
        key: its name in JSON; for what is measured, the field of `Measurement` is `field`.
        heading: in files, without the unit.
        short: in the scene's table, without the unit.
        value: what a lesion has in it; None, NaN or "" where there is nothing.
        unit: "" for texts and pure numbers.
        digits: after the point, for reading; None for texts and whole numbers.
        file_digits: after the point in CSV; JSON has one more.
        field: of `Measurement`, "" for what does not come from there.
    """

    key: str
    heading: str
    short: str
    value: Callable[[Lesion], Value]
    unit: str = ""
    digits: int | None = None
    file_digits: int = 0
    field: str = ""

    @property
    def file_heading(self) -> str:
        """Heading in CSV: "Volume (mL)"."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading

    @property
    def table_heading(self) -> str:
        """Heading in the scene's table: "Volume [mL]"."""
        return f"{self.short} [{self.unit}]" if self.unit else self.short

    def number(self, lesion: Lesion) -> float:
        """Its value as a number; NaN where there is none."""
        value = self.value(lesion)
        return math.nan if value is None else float(value)

    def rounded(self, lesion: Lesion) -> float:
        """Its number for reading, rounded; NaN where there is none."""
        return round(self.number(lesion), self.digits or 0)

    def file_text(self, lesion: Lesion) -> str:
        """Its cell in CSV: always the same number of decimals, empty where there is nothing."""
        if self.digits is None:
            value = self.value(lesion)
            return "" if value is None else str(value)
        cell = share_cell if self.key in SHARES else fixed
        return cell(self.number(lesion), self.file_digits)

    def json_number(self, lesion: Lesion) -> float | None:
        """Its number in JSON; None where there is none."""
        number = self.number(lesion)
        return round(number, self.file_digits + 1) if math.isfinite(number) else None


def fixed(value: float, digits: int) -> str:
    """A number for a cell: always the same number of decimals, empty when unknown.

    Halves go up, of the number with two decimals more: a case that was stored and read again, which rounds at
    the sixth, has the same cells.
    """
    if not math.isfinite(value):
        return ""
    near = Decimal(repr(round(float(value), digits + 2)))
    text = f"{near.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):.{digits}f}"
    return text if float(text) else text.lstrip("-")


def share_cell(probability: float, digits: int) -> str:
    """A probability for a cell: with as many more decimals as an estimate needs that is not 1."""
    cells = (fixed(probability, n) for n in range(digits, MOST_DIGITS + 1))
    return next((cell for cell in cells if float(cell or 0) < 1), fixed(probability, digits))


def _measured(
    key: str, field: str, heading: str, short: str, unit: str, digits: int, file_digits: int
) -> Column:
    def value(lesion: Lesion) -> float | None:
        return None if lesion.measurement is None else float(getattr(lesion.measurement, field))

    return Column(key, heading, short, value, unit, digits, file_digits, field)


def _level(key: str, field: str, heading: str, unit: str, digits: int) -> Column:
    """What the class's reasons say in words, as a number: of the CT that was analysed."""

    def value(lesion: Lesion) -> float | None:
        level = None if lesion.enhancement is None else lesion.enhancement.analysed
        return None if level is None else float(getattr(level, field))

    return Column(key, heading, heading, value, unit, digits, digits)


def _property(key: str, heading: str) -> Column:
    """A measured property of enhancement: "yes", "no", or empty where the phases cannot show it."""

    def value(lesion: Lesion) -> str:
        said = None if lesion.enhancement is None else getattr(lesion.enhancement, key)
        return "" if said is None else "yes" if said else "no"

    return Column(key, heading, heading, value)


def _vessel(vessel: Vessel, key: str, field: str, what: str, unit: str, digits: int) -> Column:
    def value(lesion: Lesion) -> float | None:
        contact = None if lesion.anatomy is None else lesion.anatomy.contact(vessel)
        return None if contact is None else float(getattr(contact, field))

    heading = f"{vessel.title}: {what}"
    return Column(key, heading, heading, value, unit, digits, digits)


def _of_vessel(vessel: Vessel) -> tuple[Column, ...]:
    """A lesion and the nearest vessel of a kind: how far, how they touch, and whether it is surely one."""
    key = ("hepatic_vein", "portal_vein", "ivc", "portal_or_hepatic")[vessel - 1]
    figures = (
        _vessel(vessel, f"{key}_mm", "distance_mm", "distance", "mm", 1),
        _vessel(vessel, f"{key}_contact_mm", "length_mm", "contact", "mm", 1),
        _vessel(vessel, f"{key}_contact_degrees", "angle_deg", "contact of the circumference", "degrees", 0),
    )
    if vessel not in (Vessel.HEPATIC, Vessel.PORTAL):
        return figures

    def sure(lesion: Lesion) -> str:
        contact = None if lesion.anatomy is None else lesion.anatomy.contact(vessel)
        return "" if contact is None else "yes" if contact.sure else "no"

    heading = f"{vessel.title}: surely that tree"
    return (*figures, Column(f"{key}_sure", heading, heading, sure))


ANATOMY = (
    Column("segment", "Couinaud segment", "Segment", lambda one: one.anatomy.text if one.anatomy else ""),
    Column("hemiliver", "Hemiliver", "Hemiliver", lambda one: one.anatomy.hemiliver if one.anatomy else ""),
    *(column for vessel in POSSIBLE for column in _of_vessel(vessel)),
)
"""Where a lesion lies; shown where the liver's anatomy was computed."""

ENHANCEMENT = (
    _level("core_hu", "lesion_hu", "Core density", "HU", 0),
    _level("beside_hu", "liver_hu", "Liver beside", "HU", 0),
    _level("edge_mm", "edge_mm", "Edge width", "mm", 1),
    _level("rim_hu", "rim_hu", "Rim above core and liver", "HU", 0),
    _property("aphe", "APHE measured"),
    _property("washout", "Washout measured"),
    _property("capsule", "Capsule measured"),
)
"""The figures behind a class, each in a column of its own."""

COLUMNS: tuple[Column, ...] = (
    Column("number", "Number", "Lesion", lambda lesion: lesion.number),
    Column("name", "Name", "Name", lesion_title),
    Column("class", "Class", "Class", lambda lesion: lesion.model_class),
    Column(
        "class_probability",
        "Class probability",
        "Class probability",
        class_probability,
        digits=2,
        file_digits=3,
    ),
    Column("class_reasons", "Class reasons", "Reasons", lambda lesion: lesion.class_reasons),
    *ENHANCEMENT,
    Column("reader_class", "Reader class", "Reader class", lambda lesion: lesion.reader_class),
    Column("status", "Status", "Status", lambda lesion: lesion.status_text),
    Column("score", "Score", "Score", lambda lesion: lesion.score, digits=2, file_digits=3),
    Column(
        "probability",
        "Lesion probability",
        "Lesion probability",
        lambda lesion: lesion.probability,
        digits=2,
        file_digits=3,
    ),
    _measured("long_axis_mm", "long_axis_mm", "Long axis", "Long axis", "mm", 1, 1),
    _measured("short_axis_mm", "short_axis_mm", "Short axis", "Short axis", "mm", 1, 1),
    _measured("volume_ml", "volume_ml", "Volume", "Volume", "mL", 2, 3),
    _measured("mean_hu", "hu_mean", "Mean density", "Mean", "HU", 0, 1),
    _measured("sd_hu", "hu_sd", "SD density", "SD", "HU", 0, 1),
    _measured(
        "distance_to_liver_surface_mm",
        "surface_distance_mm",
        "Distance to liver surface",
        "To surface",
        "mm",
        1,
        1,
    ),
    _measured("percent_of_liver", "percent_of_liver", "Share of liver", "Of liver", "%", 2, 3),
    *ANATOMY,
    Column("found_by", "Found by", "Found by", found_by),
    Column("note", "Notes", "Note", lambda lesion: lesion.note),
)
BY_KEY = {column.key: column for column in COLUMNS}
MEASURED = tuple(column for column in COLUMNS if column.field)
SCENE_TABLE = (
    tuple(
        BY_KEY[key]
        for key in ("number", "name", "class", "class_probability", "reader_class", "status", "score")
    )
    + MEASURED
)
"""Columns of the table in the scene."""
