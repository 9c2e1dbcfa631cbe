"""Tables for the terminal: plain text, aligned, no wider than they need to be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..metrics.bootstrap import Interval, PairedComparison
from ..metrics.classification import ClassificationScores
from ..metrics.lesions import DETECTION_BANDS, count_by_size
from ..metrics.segmentation import SliceScores
from .cases import CaseRow
from .summary import PAIRED, Summary

DASH = "-"


def number(value: float, digits: int = 3) -> str:
    """A number, or a dash for an undefined one."""
    return DASH if math.isnan(value) else f"{value:.{digits}f}"


def with_interval(interval: Interval, digits: int = 3) -> str:
    """`0.612 [0.512, 0.701]`; without the brackets where there is no interval."""
    text = number(interval.value, digits)
    if math.isnan(interval.low):
        return text
    return f"{text} [{number(interval.low, digits)}, {number(interval.high, digits)}]"


def digits_of(unit: str) -> int:
    """Digits after the point that a figure of this unit deserves."""
    return 3 if unit == "" else 1


def align(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns padded to their widest cell; the first `left` flush left, the others flush right.

    The first row is the heading and gets a rule below it.
    """
    widths = [max(len(row[c]) for row in rows) for c in range(len(rows[0]))]
    lines = []
    for k, row in enumerate(rows):
        cells = [
            cell.ljust(w) if c < left else cell.rjust(w)
            for c, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if k == 0:
            lines.append("  ".join("-" * w for w in widths).rstrip())
    return "\n".join(lines)


def case_table(rows: Sequence[CaseRow]) -> str:
    """One line per scan."""
    with_liver = any(row.liver for row in rows)
    timed = any(row.seconds is not None for row in rows)
    bands = [c.band for c in count_by_size([r.lesions for r in rows]) if c.n_lesions]
    heading = ["case", "patient", *(["liver Dice"] if with_liver else []), "tumour Dice", "HD95 mm", "found"]
    heading += [band.name for band in bands]
    heading += ["false", *(["s"] if timed else [])]
    lines = [heading]
    for row in rows:
        counts = {c.band: c for c in count_by_size([row.lesions], DETECTION_BANDS)}
        line = [row.name, row.patient]
        if with_liver:
            line.append(number(row.liver.dice) if row.liver else DASH)
        line += [number(row.tumour.dice), number(row.tumour.hausdorff95_mm, 1)]
        line.append(f"{row.lesions.n_found}/{row.lesions.n_lesions}")
        for band in bands:
            count = counts[band]
            line.append(f"{count.n_found}/{count.n_lesions}" if count.n_lesions else DASH)
        line.append(str(row.lesions.n_false))
        if timed:
            line.append(DASH if row.seconds is None else f"{row.seconds:.1f}")
        lines.append(line)
    return align(lines, left=2)


def summary_table(summaries: Sequence[Summary]) -> str:
    """The figures of one or several methods side by side, with 95 % intervals over patients."""
    keys: dict[str, tuple[str, str, str]] = {}
    for summary in summaries:
        for score in summary.scores:
            unit = f", {score.unit}" if score.unit else ""
            keys.setdefault(score.key, (score.group, score.label + unit, score.unit))
    # Lines that only some methods have stay within their group.
    groups = list(dict.fromkeys(group for group, _, _ in keys.values()))
    lines = [["", *(s.method for s in summaries)]]
    for group in groups:
        lines.append([group, *("" for _ in summaries)])
        for key, (own, label, unit) in keys.items():
            if own != group:
                continue
            cells = []
            for summary in summaries:
                score = next((s for s in summary.scores if s.key == key), None)
                if score is None:
                    cells.append(DASH)
                    continue
                text = with_interval(score.interval, digits_of(unit))
                cells.append(f"{text}  ({score.of})" if score.of else text)
            lines.append([f"  {label}", *cells])
    n = summaries[0]
    foot = (
        f"{n.n_cases} scans of {n.n_patients} patients; 95 % bootstrap intervals over patients in brackets."
    )
    return f"{align(lines, left=1 + len(summaries))}\n{foot}"


def slice_table(parts: Mapping[str, SliceScores]) -> str:
    """The per-slice protocol (MSCD's table 1), in per cent and pixels."""
    lines = [["per slice with tumour", "slices", "Dice", "Hausdorff px", "Jaccard", "precision", "recall"]]
    lines[0] += ["specificity", "F1"]
    for method, s in parts.items():
        values = [s.jaccard, s.precision, s.recall, s.specificity, s.f1]
        lines.append(
            [method, str(s.n_slices), f"{100 * s.dice:.2f}", number(s.hausdorff_px, 2)]
            + [f"{100 * v:.2f}" for v in values]
        )
    return align(lines)


def paired_table(first: str, second: str, paired: Mapping[str, PairedComparison]) -> str:
    """Two methods on the same scans."""
    lines = [[f"{second} against {first}", first, second, "difference", "p", "better/worse/equal"]]
    for key, c in paired.items():
        better, worse = (c.losses, c.wins) if "lower is better" in PAIRED[key][0] else (c.wins, c.losses)
        lines.append(
            [
                PAIRED[key][0],
                number(c.a),
                number(c.b),
                with_interval(c.difference),
                f"{c.p_value:.3f}",
                f"{better}/{worse}/{c.ties}",
            ]
        )
    exact = "all" if all(c.exact for c in paired.values()) else "random"
    return f"{align(lines)}\np: two-sided permutation test over patients ({exact} sign changes)."


def classification_table(results: Mapping[str, ClassificationScores]) -> str:
    """Overall scores, class-wise accuracy and the confusion matrix of classifiers."""
    classes = next(iter(results.values())).classes
    lines = [["", "accuracy", "F1", "precision", "recall", "calibration error"]]
    each = [["accuracy by class", *classes]]
    for method, s in results.items():
        error = math.nan if s.calibration_error is None else s.calibration_error
        values = (s.accuracy, s.f1, s.precision, s.recall, error)
        lines.append([method, *(number(v, 4) for v in values)])
        each.append([method, *(number(float(v), 4) for v in s.accuracy_by_class)])
    text = f"{align(lines)}\n\n{align(each)}"
    for method, s in results.items():
        table = [[f"{method}: true \\ predicted", *classes]]
        table += [
            [name, *(str(n) for n in row)] for name, row in zip(classes, s.confusion.tolist(), strict=True)
        ]
        text += "\n\n" + align(table)
    return text
