"""Tables of `liverlesionai compare detectors`: ours beside what was published, and both differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev

from ..evaluation.tables import align, number
from ..metrics.froc import RATES_PER_IMAGE
from .detector_kept import KeptRun, paired_gain
from .detector_rows import VARIANTS, Variant


def comparison_text(results: Mapping[str, Sequence[KeptRun]], foot: str = "") -> str:
    """Measured and published values, and both differences to the row that a variant builds on.

    Measured ones are means over seeds, with SD where there are several.
    """
    rates = list(RATES_PER_IMAGE)
    rows = {v.name: v for v in VARIANTS}
    lines = [["sensitivity at FP per image, %", *(f"{r:g}" for r in rates), "AP50, %"]]
    gains = [["difference at FP per image, points", *(f"{r:g}" for r in rates), "AP50"]]
    for name, each in results.items():
        variant = rows[name]
        lines.append([name, *(_spread(values) for values in _figures(each))])
        lines.append(["  published, DeepLesion", *(_value(p) for p in _published(variant))])
        if variant.against in results:
            other = results[variant.against]
            # Seeds are paired where both have them: they draw the same samples.
            pairs = zip(_figures(each), _figures(other), strict=True)
            steps = ([a - b for a, b in zip(one, two, strict=False)] for one, two in pairs)
            gains.append([f"{name} - {variant.against}", *(_spread(s, "+") for s in steps)])
            told = zip(_published(variant), _published(rows[variant.against]), strict=True)
            gains.append(["  published, DeepLesion", *(_value(a - b, "+") for a, b in told)])
    text = align(lines)
    if foot:
        text += f"\n{foot}"
    if len(gains) > 1:
        text += "\n\n" + align(gains)
    return text + "\n\n" + _groups_text(results) + _paired_text(results)


def _paired_text(results: Mapping[str, Sequence[KeptRun]]) -> str:
    """Differences of the means over seeds with 95 % intervals over patients; "" without a pair."""
    rows = [["difference of means, points [95 %]", *(f"{r:g}" for r in RATES_PER_IMAGE)]]
    for variant in VARIANTS:
        for other in (variant.against, variant.beside):
            if variant.name in results and other in results:
                gains = paired_gain(results[variant.name], results[other])
                cells = (f"{100 * g.value:+.1f} [{100 * g.low:.1f}, {100 * g.high:.1f}]" for g in gains)
                rows.append([f"{variant.name} - {other}", *cells])
    if len(rows) == 1:
        return ""
    return f"\n\n{align(rows)}\nMeans over seeds, intervals over patients (2000 draws), seeds not drawn."


def _groups_text(results: Mapping[str, Sequence[KeptRun]]) -> str:
    """One row a variant, one column a group, so that many variants fit."""
    first = next(iter(results.values()))[0].summary.groups
    table = [["sensitivity, % at 4 FP per image", *(f"{group} ({n})" for group, (_, n) in first.items())]]
    for name, each in results.items():
        found = ([100 * r.summary.groups[group][0] for r in each] for group in first)
        table.append([name, *(number(mean(values), 1) for values in found)])
    return align(table)


def _figures(each: Sequence[KeptRun]) -> list[list[float]]:
    """Per column the value of every seed, per cent."""
    columns = [[100 * r.summary.sensitivity[rate] for r in each] for rate in RATES_PER_IMAGE]
    return [*columns, [100 * r.summary.ap50 for r in each]]


def _published(variant: Variant) -> tuple[float, ...]:
    return (*variant.published, variant.published_ap50)


def _value(value: float, sign: str = "") -> str:
    return f"{value:{sign}.1f}" if math.isfinite(value) else ""


def _spread(values: Sequence[float], sign: str = "") -> str:
    if not values or any(not math.isfinite(v) for v in values):
        return "-"
    return f"{mean(values):{sign}.1f}" + (f" ({stdev(values):.1f})" if len(values) > 1 else "")


def comparison_json(results: Mapping[str, Sequence[KeptRun]], settings: Mapping[str, object]) -> dict:
    """Everything in the tables, per seed."""
    rows = {v.name: v for v in VARIANTS}
    return {
        "settings": dict(settings),
        "variants": {
            name: {
                "published_deeplesion_percent": [
                    p if math.isfinite(p) else None for p in _published(rows[name])
                ],
                "seeds": [
                    {
                        "sensitivity": {f"{k:g}": v for k, v in r.summary.sensitivity.items()},
                        "ap50": r.summary.ap50,
                        "groups": {g: list(values) for g, values in r.summary.groups.items()},
                    }
                    for r in each
                ],
            }
            for name, each in results.items()
        },
    }
