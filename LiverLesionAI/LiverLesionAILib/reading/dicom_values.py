"""Values of DICOM attributes as Python's, None where there is none or it makes no sense."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import pydicom


def text_of(value: Any) -> str:
    """A value as text, several joined by DICOM's backslash."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple, pydicom.multival.MultiValue)):
        return "\\".join(str(v) for v in value)
    return str(value).strip()


def number(value: Any) -> float | None:
    """A finite number, or None."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None


def whole(value: Any) -> int:
    """A whole number, 0 where there is none."""
    known = number(value)
    return int(known) if known is not None else 0


def whole_or_none(value: Any) -> int | None:
    """A whole number, or None."""
    known = number(value)
    return int(known) if known is not None else None


def numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """A tuple of `count` finite numbers, or None."""
    try:
        result = tuple(float(v) for v in value)
    except (TypeError, ValueError):
        return None
    return result if len(result) == count and all(map(math.isfinite, result)) else None


def orientation(value: Any) -> tuple[float, ...] | None:
    """ImageOrientationPatient as perpendicular unit vectors, six numbers, or None."""
    cosines = numbers(value, 6)
    if cosines is None:
        return None
    axes = np.reshape(cosines, (2, 3))
    lengths = np.linalg.norm(axes, axis=1)
    if np.abs(lengths - 1).max() > 0.01 or abs(float(axes[0] @ axes[1])) > 0.01:
        return None
    return tuple(float(v) for v in (axes / lengths[:, None]).ravel())


def spacing(value: Any) -> tuple[float, float] | None:
    """PixelSpacing: two positive numbers, or None."""
    both = numbers(value, 2)
    return (both[0], both[1]) if both and min(both) > 0 else None


def moment(date_time: Any, day: Any, time: Any) -> float | None:
    """Seconds, from DICOM's DT or DA and TM; without a date, of an unknown day."""
    digits = re.sub(r"[:\-]", "", text_of(date_time)) if date_time else ""
    if len(digits) >= 14:
        day, time = digits[:8], digits[8:].split("+")[0]
    clock = re.fullmatch(r"(\d\d):?(\d\d)?:?(\d\d)?(\.\d+)?", text_of(time))
    if clock is None:
        return None
    hours, minutes, seconds, fraction = clock.groups(default="0")
    total = 3600.0 * int(hours) + 60 * int(minutes) + int(seconds) + float(fraction)
    calendar = re.fullmatch(r"(\d{4})[.\-]?(\d\d)[.\-]?(\d\d)", text_of(day))
    if calendar is not None:
        with contextlib.suppress(ValueError):
            total += 86400.0 * date(*map(int, calendar.groups())).toordinal()
    return total


def known(values: Iterable[float | None]) -> list[float] | None:
    """The values, or None where one is missing."""
    numbers = list(values)
    return None if any(v is None for v in numbers) else numbers  # type: ignore[return-value]
