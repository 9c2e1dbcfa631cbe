"""The findings as tables: for a spreadsheet (CSV), for programs (JSON), for the terminal (text).

Numbers that do not exist (a lesion found as a box only has no volume) are empty cells, null, and "-".
"""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..case.findings import Box, CaseResult, Lesion, LesionSource, LesionStatus, Measurement, PointLps
from ..case.wording import (
    class_probability,
    found_by,
    is_measured,
    millilitres,
    notes,
    position_text,
    slice_number,
    small,
    summary,
)
from ..support.files import write_text
from ..volume.ct import Geometry

CSV_FILE = "findings.csv"
JSON_FILE = "findings.json"
JSON_FORMAT = "LiverLesionAI findings"
JSON_VERSION = 1
LIVER_NOTE = "Volume with lesions; density without; share = tumour burden."

# Columns of the text table that hold words, by their two header lines.
TEXT_HEADERS = (
    ["", "Class"],
    ["Reader's", "class"],
    ["Found", "by"],
    ["", "Status"],
    ["Centre", "mm"],
)

CSV_COLUMNS = (
    "Case",
    "Finding",
    "Number",
    "Class",
    "Class probability",
    "Reader class",
    "Score",
    "Long axis (mm)",
    "Short axis (mm)",
    "Volume (mL)",
    "Mean density (HU)",
    "SD density (HU)",
    "Distance to liver surface (mm)",
    "Share of liver (%)",
    "Axial slice (1 = most inferior)",
    "Centre x LPS (mm)",
    "Centre y LPS (mm)",
    "Centre z LPS (mm)",
    "Position",
    "Found by",
    "Status",
    "Contrast phase",
    "Phase probability",
    "Notes",
)


def write_tables(result: CaseResult, folder: Path) -> tuple[Path, Path]:
    """Write ``findings.csv`` (UTF-8 with a byte order mark, for Excel) and ``findings.json``, atomically.

    Raises:
        OutputError: no space or no permission.
    """
    folder = Path(folder)
    write_text(folder / CSV_FILE, findings_csv(result), "utf-8-sig")
    write_text(folder / JSON_FILE, json.dumps(findings_json(result), indent=2, allow_nan=False) + "\n")
    return folder / CSV_FILE, folder / JSON_FILE


def findings_csv(result: CaseResult) -> str:
    """One row per lesion and a last one for the whole liver, under one header row.

    "Class" is the model's, "Reader class" what the reader made of it, empty where the reader said nothing.
    The liver's row gives the liver's volume with its lesions, the mean density without them, their share of
    it (tumour burden) and the notes for the reader. Comma-separated, decimal points, lines end in CR LF.
    """
    phase = result.phase
    case = {
        "Case": result.case_name,
        "Contrast phase": phase.name if phase else "",
        "Phase probability": _fixed(phase.probability, 2) if phase else "",
    }
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, restval="")
    writer.writeheader()
    for lesion in result.lesions:
        m = _known(lesion)
        x, y, z = (_fixed(c, 1) for c in lesion.centre_lps)
        row = {
            "Finding": "lesion",
            "Number": lesion.number,
            "Class": lesion.model_class or "",
            "Class probability": _fixed(class_probability(lesion), 3),
            "Reader class": lesion.reader_class or "",
            "Score": _fixed(lesion.score, 3),
            "Long axis (mm)": _fixed(m.long_axis_mm, 1),
            "Short axis (mm)": _fixed(m.short_axis_mm, 1),
            "Volume (mL)": _fixed(m.volume_ml, 3),
            "Mean density (HU)": _fixed(m.hu_mean, 1),
            "SD density (HU)": _fixed(m.hu_sd, 1),
            "Distance to liver surface (mm)": _fixed(m.surface_distance_mm, 1),
            "Share of liver (%)": _fixed(m.percent_of_liver, 3),
            "Axial slice (1 = most inferior)": slice_number(lesion, result.geometry)[0],
            "Centre x LPS (mm)": x,
            "Centre y LPS (mm)": y,
            "Centre z LPS (mm)": z,
            "Position": position_text(lesion.centre_lps),
            "Found by": found_by(lesion),
            "Status": lesion.status_text,
            "Notes": lesion.note,
        }
        writer.writerow(_safe({**case, **row}))
    writer.writerow(
        _safe(
            {
                **case,
                "Finding": "liver",
                "Volume (mL)": _fixed(result.liver_volume_ml, 3),
                "Mean density (HU)": _fixed(result.liver_hu_mean, 1),
                "Share of liver (%)": _fixed(result.tumour_burden_percent, 3),
                "Notes": " ".join((LIVER_NOTE, *notes(result))),
            }
        )
    )
    return buffer.getvalue()


def findings_json(result: CaseResult) -> dict[str, Any]:
    """The findings for other programs: units are in the names, points are LPS mm, unknown numbers None."""
    return {
        "format": JSON_FORMAT,
        "format_version": JSON_VERSION,
        "case": result.case_name,
        "contrast_phase": None
        if result.phase is None
        else {
            "name": result.phase.name,
            "probability": _rounded(result.phase.probability, 4),
            "warning": result.phase.warning,
        },
        "coordinates": "LPS, mm (x to the patient's left, y to posterior, z to superior)",
        "liver": {
            "volume_ml": _rounded(result.liver_volume_ml, 3),
            "mean_hu_without_lesions": _rounded(result.liver_hu_mean, 2),
            "tumour_burden_percent": _rounded(result.tumour_burden_percent, 4),
            "lesion_count": len(result.lesions),
        },
        "lesions": [_lesion_json(lesion, result.geometry) for lesion in result.lesions],
        "notes": list(notes(result)),
        "computation": {
            "version": result.version,
            "device": result.device,
            "models": dict(result.models),
            "seconds": {stage: _rounded(s, 2) for stage, s in result.timings_s.items()},
        },
    }


def findings_text(result: CaseResult, width: int = 100) -> str:
    """The findings for the terminal: a summary, a table with a line per lesion, notes.

    Args:
        width: columns of the terminal. Class, status and position are left out where they say nothing; if the
            table is still too wide, its last columns are.
    """
    lines = [f"{_one_line(result.case_name)}: {summary(result)}"]
    if result.phase is not None:
        lines.append(_one_line(replace(result.phase, warning="").text))
    if result.lesions:
        lines += ["", *_table(result, width), ""]
    lines += [f"Note: {_one_line(note)}" for note in notes(result)]
    if result.timings_s:
        models = ", ".join(f"{name} {digest}" for name, digest in result.models.items())
        seconds = sum(result.timings_s.values())
        lines.append(
            f"Computed in {seconds:.1f} s on {result.device}" + (f" with {models}." if models else ".")
        )
    wrapped = []
    for line in lines:
        # Rows of the table fit already, and their spaces have to stay.
        wrapped += textwrap.wrap(line, width, subsequent_indent="  ") if len(line) > width else [line]
    return "\n".join(wrapped).rstrip("\n") + "\n"


def _table(result: CaseResult, width: int) -> list[str]:
    """Two header lines, a rule, and a line per lesion."""
    columns = [column for column in _columns(result) if any(cell not in ("", "-") for cell in column[2:])]
    while True:
        widths = [max(map(len, column)) for column in columns]
        if sum(widths) + 2 * (len(widths) - 1) <= width or len(columns) == 1:
            break
        columns.pop()
    lines = []
    for cells in zip(*columns, strict=True):
        padded = (
            cell.ljust(n) if column[:2] in TEXT_HEADERS else cell.rjust(n)
            for cell, n, column in zip(cells, widths, columns, strict=True)
        )
        lines.append("  ".join(padded).rstrip())
    return [*lines[:2], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[2:]]


def _columns(result: CaseResult) -> list[list[str]]:
    """Every column as two header lines and a cell per lesion, the least needed last."""
    known = [_known(lesion) for lesion in result.lesions]
    slices = [slice_number(lesion, result.geometry) for lesion in result.lesions]
    of_slices = f"of {slices[0][1]}"
    boxes = any(lesion.source in (LesionSource.BOX, LesionSource.BOTH) for lesion in result.lesions)
    edited = any(lesion.edited or lesion.status is not LesionStatus.UNDECIDED for lesion in result.lesions)
    return [
        ["", "#", *(str(lesion.number) for lesion in result.lesions)],
        ["", "Class", *(_class_cell(lesion) for lesion in result.lesions)],
        ["Reader's", "class", *(_short(lesion.reader_class) for lesion in result.lesions)],
        ["", "Score", *(small(lesion.score, 2) for lesion in result.lesions)],
        [
            "Long x short",
            "axis, mm",
            *(_pair(m.long_axis_mm, " x ", m.short_axis_mm, 1) for m in known),
        ],
        ["Volume", "mL", *(millilitres(m.volume_ml) for m in known)],
        ["Mean +/- SD", "HU", *(_pair(m.hu_mean, " +/- ", m.hu_sd, 0) for m in known)],
        ["To liver", "edge, mm", *(small(m.surface_distance_mm, 1) for m in known)],
        ["% of", "liver", *(small(m.percent_of_liver, 2 if m.percent_of_liver < 10 else 1) for m in known)],
        ["Slice", of_slices, *(str(number) for number, _ in slices)],
        ["Found", "by", *(found_by(lesion) if boxes else "" for lesion in result.lesions)],
        ["", "Status", *(lesion.status_text if edited else "" for lesion in result.lesions)],
        ["Centre", "mm", *(position_text(lesion.centre_lps, 0) for lesion in result.lesions)],
    ]


def _pair(first: float, between: str, second: float, digits: int) -> str:
    known = math.isfinite(first) or math.isfinite(second)
    return f"{small(first, digits)}{between}{small(second, digits)}" if known else "-"


def _class_cell(lesion: Lesion) -> str:
    name, probability = _short(lesion.model_class), class_probability(lesion)
    return f"{name} {probability:.2f}" if math.isfinite(probability) else name


def _short(class_name: str | None) -> str:
    if class_name is None:
        return "-"
    name = _one_line(class_name)
    return name if len(name) <= 14 else name[:13] + "."


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _known(lesion: Lesion) -> Measurement:
    """The measurement, with NaN for what a lesion without a mask does not have."""
    m = lesion.measurement
    if is_measured(lesion):
        return m
    axes = {k: getattr(m, k) if getattr(m, k) > 0 else math.nan for k in ("long_axis_mm", "short_axis_mm")}
    unknown = ("volume_ml", "hu_mean", "hu_sd", "surface_distance_mm", "percent_of_liver")
    return replace(m, **axes, **dict.fromkeys(unknown, math.nan))


def _fixed(value: float, digits: int) -> str:
    """A number for a cell: always the same number of decimals, empty when unknown."""
    return f"{value:.{digits}f}" if math.isfinite(value) else ""


def _rounded(value: float, digits: int) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


def _safe(row: dict[str, Any]) -> dict[str, Any]:
    """Texts that a spreadsheet would take for a formula get an apostrophe in front; numbers stay numbers."""
    free_text = ("Case", "Class", "Reader class", "Contrast phase", "Notes")
    return {k: f"'{v}" if k in free_text and v[:1] in tuple("=+-@\t\r") and v else v for k, v in row.items()}


def _lesion_json(lesion: Lesion, geometry: Geometry) -> dict[str, Any]:
    m = _known(lesion)
    slice_index, slice_count = slice_number(lesion, geometry)

    def box_json(box: Box) -> dict[str, Any]:
        return {
            "centre_lps_mm": [_rounded(c, 2) for c in box.centre_lps],
            "size_mm": [_rounded(s, 2) for s in box.size_xyz_mm],
            "directions_lps": [_rounded(d, 6) for d in box.directions_lps],
            "score": _rounded(box.score, 4),
        }

    def ends(points: tuple[PointLps, PointLps]) -> list[list[float | None]] | None:
        return [[_rounded(c, 2) for c in p] for p in points] if is_measured(lesion) else None

    return {
        "number": lesion.number,
        "class": lesion.model_class,
        "class_probabilities": {name: _rounded(p, 4) for name, p in lesion.class_probabilities.items()},
        "reader_class": lesion.reader_class,
        "note": lesion.note,
        "score": _rounded(lesion.score, 4),
        "long_axis_mm": _rounded(m.long_axis_mm, 2),
        "short_axis_mm": _rounded(m.short_axis_mm, 2),
        "long_axis_ends_lps_mm": ends(m.long_axis_lps),
        "short_axis_ends_lps_mm": ends(m.short_axis_lps),
        "volume_ml": _rounded(m.volume_ml, 4),
        "mean_hu": _rounded(m.hu_mean, 2),
        "sd_hu": _rounded(m.hu_sd, 2),
        "distance_to_liver_surface_mm": _rounded(m.surface_distance_mm, 2),
        "percent_of_liver": _rounded(m.percent_of_liver, 4),
        "axial_slice_from_below": slice_index,
        "axial_slice_count": slice_count,
        "centre_lps_mm": [_rounded(c, 2) for c in lesion.centre_lps],
        "position": position_text(lesion.centre_lps),
        "box": box_json(lesion.box),
        "class_box": None if lesion.class_box is None else box_json(lesion.class_box),
        "found_by": lesion.source.value,
        "outline_proposed": lesion.source is LesionSource.BOX and is_measured(lesion),
        "status": lesion.status.value,
        "edited": lesion.edited,
    }
