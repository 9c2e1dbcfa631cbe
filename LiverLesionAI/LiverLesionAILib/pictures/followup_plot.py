"""A patient's targets over time as a small SVG: changes from the baseline as lines, until now as bars."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from xml.sax.saxutils import escape

from ..case.colours import DIFFERENT_COLOURS, lesion_colour
from ..case.course import Course, proposed_targets, sums_over_time, target_sizes
from ..case.recist import PARTIAL, PROGRESS, TargetSize

WIDTH, HEIGHT = 720, 320
LINES = 56, 44, 380, 216
"""Left, top, width, height of the plot over time."""
BARS = 520, 44, 184, 216
LEAST, MOST = -100.0, 100.0
"""Per cent shown at least; more than `MOST` makes the axis longer."""
WORDS: Mapping[str, str] = {
    "title": "Targets over time, change of the long axis from the baseline in per cent",
    "lines": "Change from the baseline, %",
    "bars": "Until now, %",
    "lesion": "lesion",
    "sum": "sum",
    "scan": "scan",
    "partial": "partial response",
    "progression": "progression",
}
"""What the drawing says, to be replaced by words of another language."""


@dataclass(frozen=True)
class TargetCurve:
    """One target over time.

    Attributes:
        name: "lesion 1", "lesion 2 → 3" where its number in this scan is another one, "lesion 4 → –" where
            it is not listed any more; or "sum".
        colour: of the lesion in this scan's views, #rrggbb.
        percent: change from the baseline at each scan; NaN where it is not known.
        low, high: the same at the ends of the measurements' intervals; NaN where there are none.
    """

    name: str
    colour: str
    percent: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def target_curves(
    course: Course,
    targets: Sequence[int] | None = None,
    elsewhere: Sequence[Sequence[TargetSize]] = (),
    words: Mapping[str, str] = WORDS,
) -> tuple[TargetCurve, ...]:
    """The liver's targets, then the sum of all; empty without a target."""
    chosen = proposed_targets(course) if targets is None else tuple(targets)
    if course.failed or not chosen:
        return ()
    sizes = target_sizes(course, chosen)
    tracks = [track for track in course.tracks if set(track.numbers[0]) & set(chosen)]
    curves = []
    colours = _colours([(track.numbers[0], track.numbers[-1]) for track in tracks])
    for k, track in enumerate(tracks):
        numbers = tuple(n for n in track.numbers[0] if n in chosen)
        column = [row[k] for row in sizes]
        ends = [size.interval_mm for size in column]
        baseline = column[0].counted_mm
        curves.append(
            TargetCurve(
                f"{words['lesion']} {_numbers_text(numbers, track.numbers[-1])}",
                colours[k],
                _changes([size.counted_mm for size in column], baseline),
                _changes([None if end is None else end[0] for end in ends], baseline),
                _changes([None if end is None else end[1] for end in ends], baseline),
            )
        )
    total = [None if math.isnan(mm) else mm for mm in sums_over_time(course, targets, elsewhere)]
    unknown = (math.nan,) * len(total)
    curves.append(TargetCurve(words["sum"], "#222222", _changes(total, total[0]), unknown, unknown))
    return tuple(curves)


def _numbers_text(before: tuple[int, ...], now: tuple[int, ...]) -> str:
    """The baseline's numbers, and this scan's where they are others: no lesion is taken for another one."""
    first = "+".join(map(str, before))
    return first if before == now else f"{first} \N{RIGHTWARDS ARROW} {'+'.join(map(str, now)) or '–'}"


def _colours(numbers: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[str]:
    """#rrggbb by (numbers in the baseline, in this scan): as in this scan's views, each once.

    What this scan does not list takes the next colour from its number in the baseline on that is free.
    """
    made = [_hex(lesion_colour(now[0])) if now else "" for _, now in numbers]
    for k, (before, now) in enumerate(numbers):
        if not now:
            from_here = [_hex(lesion_colour(before[0] + n)) for n in range(DIFFERENT_COLOURS)]
            made[k] = next((colour for colour in from_here if colour not in made), from_here[0])
    return made


def _changes(lengths: Sequence[float | None], baseline: float | None) -> tuple[float, ...]:
    if not baseline:
        return (math.nan,) * len(lengths)
    return tuple(math.nan if mm is None else 100 * (mm - baseline) / baseline for mm in lengths)


def _hex(colour: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(255 * c):02x}" for c in colour)


def followup_svg(
    course: Course,
    targets: Sequence[int] | None = None,
    elsewhere: Sequence[Sequence[TargetSize]] = (),
    words: Mapping[str, str] = WORDS,
    day_text: Callable[[date], str] = date.isoformat,
) -> str:
    """The drawing; "" without a target. It names scans by their dates, and nobody.

    Args:
        words: see :data:`WORDS`; `day_text`: how that language writes a date.
    """
    curves = target_curves(course, targets, elsewhere, words)
    if not curves:
        return ""
    values = [p for curve in curves for p in (*curve.percent, *curve.high) if math.isfinite(p)]
    top = max(MOST / 2, 20 * math.ceil(max([0.0, *values]) / 20))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape(words['title'])}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LINES[0], 24, words["lines"], bold=True),
        _text(BARS[0], 24, words["bars"], bold=True),
        *_lines(course, curves, top, words, day_text),
        *_bars(curves, top),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _height(percent: float, frame: tuple[int, int, int, int], top: float) -> float:
    return frame[1] + frame[3] * (top - percent) / (top - LEAST)


def _lines(
    course: Course,
    curves: Sequence[TargetCurve],
    top: float,
    words: Mapping[str, str],
    day_text: Callable[[date], str],
) -> list[str]:
    left, _, width, _ = LINES
    days = [point.day for point in course.points]
    known = [day for day in days if day is not None]
    dated = len(known) == len(days) and len(set(known)) == len(known) and known == sorted(known)
    steps = [(day - known[0]).days for day in known] if dated else list(range(len(days)))
    at = [left + 8 + (width - 16) * step / max(1, steps[-1]) for step in steps]
    made = _frame(LINES, top)
    cuts = [(-100 * PARTIAL, words["partial"])]
    total = curves[-1].percent
    nadir = min((p for p in total[:-1] if math.isfinite(p)), default=math.nan)
    if math.isfinite(nadir):
        cuts.append(((1 + PROGRESS) * (100 + nadir) - 100, words["progression"]))
    labels = []
    for percent, name in cuts:
        y = _height(percent, LINES, top)
        made.append(_line(left, y, left + width, y, "#888888", dash="5 4"))
        # The label of the lower line stands below it, so that two that are close stay readable.
        below = percent == min(cut for cut, _ in cuts)
        label = f"{name} ({words['sum']}) {percent:+.0f} %"
        # On the left, where every curve is still at zero.
        text = _text(left + 4, y + (12 if below else -4), label, size=10)
        # Once in thick white below it, so that no curve runs through; few viewers know paint-order.
        labels += [text.replace("<text ", '<text stroke="#ffffff" stroke-width="3" '), text]
    for curve in curves:
        thick = 3 if curve is curves[-1] else 1.6
        there = [k for k, p in enumerate(curve.percent) if math.isfinite(p)]
        points = " ".join(f"{at[k]:.1f},{_height(curve.percent[k], LINES, top):.1f}" for k in there)
        made.append(
            f'<polyline points="{points}" fill="none" stroke="{curve.colour}" stroke-width="{thick}"/>'
        )
        for k in there:
            y = _height(curve.percent[k], LINES, top)
            made.append(f'<circle cx="{at[k]:.1f}" cy="{y:.1f}" r="3.2" fill="{curve.colour}"/>')
            if k and math.isfinite(curve.low[k]) and math.isfinite(curve.high[k]):
                ends = [_height(p, LINES, top) for p in (curve.low[k], curve.high[k])]
                made.append(_line(at[k], ends[0], at[k], ends[1], curve.colour))
    made += labels
    for k, x in enumerate(at):
        day = days[k]
        label = f"{words['scan']} {k + 1}" if day is None else day_text(day)
        made.append(_text(x, LINES[1] + LINES[3] + 18, label, end=k > 0, size=10))
    x = float(left)
    for curve in curves:
        made.append(f'<rect x="{x:.0f}" y="{HEIGHT - 24}" width="12" height="12" fill="{curve.colour}"/>')
        made.append(_text(x + 17, HEIGHT - 14, curve.name, size=11))
        x += max(100, 32 + 6.5 * len(curve.name))
    return made


def _bars(curves: Sequence[TargetCurve], top: float) -> list[str]:
    left, _, width, _ = BARS
    made = _frame(BARS, top)
    ordered = sorted(curves[:-1], key=lambda c: -c.percent[-1] if math.isfinite(c.percent[-1]) else math.inf)
    shown = [*ordered, curves[-1]]
    step = width / len(shown)
    zero = _height(0, BARS, top)
    for k, curve in enumerate(shown):
        x, percent = left + (k + 0.15) * step, curve.percent[-1]
        if not math.isfinite(percent):
            made.append(_text(x + 0.35 * step, zero - 6, "?", middle=True))
            continue
        y = _height(percent, BARS, top)
        made.append(
            f'<rect x="{x:.1f}" y="{min(y, zero):.1f}" width="{0.7 * step:.1f}" '
            f'height="{max(1.0, abs(y - zero)):.1f}" fill="{curve.colour}"/>'
        )
        made.append(
            _text(
                x + 0.35 * step,
                (y - 5) if percent >= 0 else (y + 13),
                f"{percent:+.0f}",
                middle=True,
                size=11,
            )
        )
    return made


def _frame(frame: tuple[int, int, int, int], top: float) -> list[str]:
    left, _, width, _ = frame
    made = []
    step = 50 if top - LEAST <= 400 else 100
    for percent in range(int(LEAST), int(top) + 1, step):
        y = _height(percent, frame, top)
        made.append(_line(left, y, left + width, y, "#222222" if percent == 0 else "#dddddd"))
        made.append(_text(left - 6, y + 4, f"{percent:+d}" if percent else "0", end=True, size=10))
    return made


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="1"{dashes}/>'
    )


def _text(
    x: float,
    y: float,
    said: str,
    *,
    end: bool = False,
    middle: bool = False,
    bold: bool = False,
    size: int = 12,
) -> str:
    anchor = "end" if end else "middle" if middle else "start"
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#222222"{weight}>'
        f"{escape(said)}</text>"
    )
