"""The evaluation as one HTML page that needs no other file: tables, figures, the worst cases as overlays."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape

from ..metrics.bootstrap import PairedComparison
from .cases import CaseRow
from .figures import PREDICTED_COLOUR, REFERENCE_COLOUR, jpeg_bytes, overlay_figure
from .summary import PAIRED, Summary
from .tables import digits_of, number, with_interval

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1b1f24; background: #fff; max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
h3 { font-size: 1rem; margin-bottom: 0.3rem; }
.note { color: #57606a; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th, td { padding: 0.2rem 0.8rem; text-align: right; border-bottom: 1px solid #e3e6ea; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } tr.group td { font-weight: 600; padding-top: 0.8rem; }
figure { display: inline-block; margin: 0.5rem 1rem 0.5rem 0; vertical-align: top; }
figure img { display: block; max-width: 100%; }
figcaption { font-size: 0.85rem; color: #57606a; max-width: 26rem; }
.key { display: inline-block; width: 1.6rem; height: 0; border-top: 3px solid; vertical-align: middle; }
@media print { h2 { page-break-after: avoid; } figure { page-break-inside: avoid; } }
"""


def evaluation_page(
    data_set: str,
    methods: Mapping[str, Sequence[CaseRow]],
    summaries: Mapping[str, Summary],
    paired: Mapping[str, Mapping[str, PairedComparison]],
    figures: Mapping[str, bytes],
    n_worst: int = 6,
    tables: Mapping[str, str] | None = None,
) -> str:
    """The page's text.

    Args:
        data_set: what was evaluated on.
        methods, summaries, paired: as in :func:`~.results.evaluation_json`.
        figures: caption -> PNG file.
        tables: heading -> further table, as in the terminal.
        n_worst: cases shown with pictures for each method.
    """
    first = next(iter(summaries.values()))
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Evaluation on {escape(data_set)}</title><style>{STYLE}</style></head><body>",
        f"<h1>Evaluation on {escape(data_set)}</h1>",
        f'<p class="note">{first.n_cases} scans of {first.n_patients} patients. In brackets: 95 % bootstrap '
        "intervals over patients. Not for clinical use.</p>",
        "<h2>Summary</h2>",
        _summary(summaries),
    ]
    if any(paired.values()):
        parts.append(f"<h2>Compared with {escape(next(iter(methods)))} on the same scans</h2>")
        parts.extend(_paired(next(iter(methods)), name, rows) for name, rows in paired.items() if rows)
    if any(s.slices for s in summaries.values()):
        parts += ["<h2>Per slice with tumour</h2>", _slices(summaries)]
    for heading, text in (tables or {}).items():
        parts.append(f"<h2>{escape(heading)}</h2><pre>{escape(text)}</pre>")
    if figures:
        parts.append("<h2>Figures</h2>")
        parts.extend(figure_html(png, caption) for caption, png in figures.items())
    parts += ["<h2>Cases</h2>", *(_cases(name, rows) for name, rows in methods.items())]
    for name, rows in methods.items():
        parts.append(_worst(name, rows, n_worst))
    parts.append("</body></html>\n")
    return "\n".join(part for part in parts if part)


def worst_first(rows: Sequence[CaseRow]) -> list[CaseRow]:
    """Lowest tumour Dice first; among equals the one with more lesions missed or invented."""

    def rank(row: CaseRow) -> tuple[float, int]:
        wrong = row.lesions.n_lesions - row.lesions.n_found + row.lesions.n_false
        return row.tumour.dice, -wrong

    return sorted(rows, key=rank)


def _table(rows: Sequence[Sequence[str]], groups: Sequence[int] = ()) -> str:
    """Cells are HTML already; rows whose index is in `groups` are headings."""
    head = "".join(f"<th>{cell}</th>" for cell in rows[0])
    body = []
    for k, row in enumerate(rows[1:], start=1):
        cells = "".join(f"<td>{cell}</td>" for cell in row)
        body.append(f'<tr class="group">{cells}</tr>' if k in groups else f"<tr>{cells}</tr>")
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(body)}</table></div>'


def _summary(summaries: Mapping[str, Summary]) -> str:
    lines: list[list[str]] = [["", *(escape(name) for name in summaries)]]
    groups = []
    names = list(dict.fromkeys(score.group for s in summaries.values() for score in s.scores))
    for group in names:
        groups.append(len(lines))
        lines.append([escape(group), *("" for _ in summaries)])
        keys = {
            score.key: score
            for s in reversed(summaries.values())
            for score in s.scores
            if score.group == group
        }
        order = dict.fromkeys(
            score.key for s in summaries.values() for score in s.scores if score.group == group
        )
        for key in order:
            line = [escape(keys[key].label + (f", {keys[key].unit}" if keys[key].unit else ""))]
            for summary in summaries.values():
                score = next((s for s in summary.scores if s.key == key), None)
                if score is None:
                    line.append("-")
                    continue
                note = f' <span class="note">({escape(score.of)})</span>' if score.of else ""
                line.append(escape(with_interval(score.interval, digits_of(score.unit))) + note)
            lines.append(line)
    return _table(lines, groups)


def _paired(first: str, second: str, rows: Mapping[str, PairedComparison]) -> str:
    lines = [[escape(second), escape(first), escape(second), "difference", "p"]]
    for key, c in rows.items():
        lines.append(
            [
                escape(PAIRED[key][0]),
                number(c.a),
                number(c.b),
                with_interval(c.difference),
                f"{c.p_value:.3f}",
            ]
        )
    return _table(lines)


def _slices(summaries: Mapping[str, Summary]) -> str:
    heading = ["method", "slices", "Dice %", "Hausdorff px", "Jaccard %", "precision %", "recall %"]
    lines = [[*heading, "specificity %", "F1 %"]]
    for name, summary in summaries.items():
        s = summary.slices
        if s is not None:
            shares = [s.jaccard, s.precision, s.recall, s.specificity, s.f1]
            lines.append(
                [escape(name), str(s.n_slices), f"{100 * s.dice:.2f}", number(s.hausdorff_px, 2)]
                + [f"{100 * v:.2f}" for v in shares]
            )
    return _table(lines)


def _cases(name: str, rows: Sequence[CaseRow]) -> str:
    lines = [
        [
            "case",
            "patient",
            "liver Dice",
            "tumour Dice",
            "HD95 mm",
            "volume error mL",
            "found",
            "false",
            "notes",
        ]
    ]
    for row in rows:
        lines.append(
            [
                escape(row.name),
                escape(row.patient),
                number(row.liver.dice) if row.liver else "-",
                number(row.tumour.dice),
                number(row.tumour.hausdorff95_mm, 1),
                number(row.tumour.volume_error_ml, 1),
                f"{row.lesions.n_found}/{row.lesions.n_lesions}",
                str(row.lesions.n_false),
                escape(" ".join(row.messages)),
            ]
        )
    return f"<h3>{escape(name)}</h3>{_table(lines)}"


def figure_html(image: bytes, caption: str, kind: str = "png") -> str:
    data = base64.b64encode(image).decode()
    text = escape(caption)
    shown = f'<img alt="{text}" src="data:image/{kind};base64,{data}">'
    return f"<figure>{shown}<figcaption>{text}</figcaption></figure>"


def _worst(name: str, rows: Sequence[CaseRow], n_worst: int) -> str:
    shown = [row for row in worst_first(rows) if row.pictures][:n_worst]
    if not shown:
        return ""
    parts = [
        f"<h2>Worst cases of {escape(name)}</h2>",
        '<p class="note">Tumours solid, livers dotted: '
        f'<span class="key" style="color:{REFERENCE_COLOUR}"></span> '
        f'reference, <span class="key" style="color:{PREDICTED_COLOUR}"></span> {escape(name)}. '
        "Axial, the patient's right on the left.</p>",
    ]
    for row in shown:
        parts.append(
            f"<h3>{escape(row.name)}: tumour Dice {number(row.tumour.dice)}, found {row.lesions.n_found} of "
            f"{row.lesions.n_lesions}, {row.lesions.n_false} false</h3>"
        )
        parts.extend(figure_html(jpeg_bytes(overlay_figure(p)), p.caption, "jpeg") for p in row.pictures)
    return "\n".join(parts)
