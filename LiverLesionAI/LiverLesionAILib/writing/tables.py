"""The findings as tables: for a spreadsheet (CSV), for programs (JSON), for the terminal (text).

Numbers that do not exist (a lesion found as a box only has no volume) are empty cells, null, and "-".
"""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..case.anatomy_json import anatomy_findings
from ..case.columns import ANATOMY, BY_KEY, ENHANCEMENT, MEASURED, fixed, share_cell
from ..case.enhancement import describe_enhancement
from ..case.findings import Box, CaseResult, DoubtfulPlace, Lesion, LesionSource, LesionStatus, PointLps
from ..case.lesion_anatomy_json import describe_lesion_anatomy
from ..case.messages import leads
from ..case.resection_json import resection_json
from ..case.terminology import by_probability, class_probability, lesion_probability
from ..case.wording import (
    axial_slice,
    found_by,
    is_proposed,
    look_here,
    millilitres,
    notes,
    position_text,
    slice_number,
    small,
    summary,
)
from ..support.files import write_text
from ..support.text import chance
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
    ["Couinaud", "segment"],
)

_CSV_LESION = tuple(
    BY_KEY[key]
    for key in (
        "number",
        "class",
        "class_probability",
        "reader_class",
        "score",
        "probability",
        *(column.key for column in (*MEASURED, *ENHANCEMENT)),
        "class_reasons",
        "found_by",
        "status",
        "note",
    )
)
CSV_COLUMNS = (
    "Case",
    "Finding",
    *(column.file_heading for column in _CSV_LESION[:-4]),
    "Axial slice (1 = most inferior)",
    "Centre x LPS (mm)",
    "Centre y LPS (mm)",
    "Centre z LPS (mm)",
    "Position",
    "Class reasons",
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
    """One row per lesion, one for the gallbladder where it is seen, and a last one for the whole liver.

    "Class" is the model's, "Reader class" what the reader made of it, empty where the reader said nothing.
    The liver's row gives the liver's volume with its lesions, the mean density without them, their share of
    it (tumour burden) and the notes for the reader. Where the anatomy was computed, its columns follow.
    Comma-separated, decimal points, lines end in CR LF.
    """
    phase = result.phase
    case = {
        "Case": result.case_name,
        "Contrast phase": phase.name if phase else "",
        "Phase probability": share_cell(phase.probability, 2) if phase else "",
    }
    buffer = io.StringIO()
    anatomy = ANATOMY if result.is_placed else ()
    headings = (*CSV_COLUMNS, *(column.file_heading for column in anatomy))
    writer = csv.DictWriter(buffer, headings, restval="")
    writer.writeheader()
    for lesion in result.lesions:
        x, y, z = (fixed(c, 1) for c in lesion.centre_lps)
        row = {
            "Finding": "lesion",
            **{column.file_heading: column.file_text(lesion) for column in (*_CSV_LESION, *anatomy)},
            "Axial slice (1 = most inferior)": slice_number(lesion, result.geometry)[0],
            "Centre x LPS (mm)": x,
            "Centre y LPS (mm)": y,
            "Centre z LPS (mm)": z,
            "Position": position_text(lesion.centre_lps),
        }
        writer.writerow(_safe({**case, **row}))
    if result.gallbladder_ml > 0:
        volume = BY_KEY["volume_ml"]
        row = {
            "Finding": "gallbladder",
            volume.file_heading: fixed(result.gallbladder_ml, volume.file_digits),
        }
        writer.writerow(_safe({**case, **row}))
    writer.writerow(
        _safe(
            {
                **case,
                "Finding": "liver",
                **{
                    BY_KEY[key].file_heading: fixed(value, BY_KEY[key].file_digits)
                    for key, value in _liver(result).items()
                },
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
        "gallbladder": {"volume_ml": _rounded(result.gallbladder_ml, 3)}
        if result.gallbladder_ml > 0
        else None,
        "lesions": [_lesion_json(lesion, result.geometry) for lesion in result.lesions],
        "look_here": [_place_json(place, result.geometry) for place in result.doubtful],
        **({} if result.anatomy is None else {"anatomy": anatomy_findings(result.anatomy)}),
        **({} if result.resection is None else {"resection": resection_json(result.resection)}),
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
    said = [_one_line(note) for note in notes(result)]
    lines = [f"{_one_line(result.case_name)}: {summary(result)}"]
    lines += [f"Warning: {note}" for note in said if leads(note)]
    if result.phase is not None:
        lines.append(_one_line(replace(result.phase, warning="").text))
    if result.lesions:
        lines += ["", *_table(result, width), ""]
    if result.doubtful:
        lines.append(look_here(result))
    lines += [f"Note: {note}" for note in said if not leads(note)]
    if result.anatomy is not None:
        lines += [f"Anatomy: {_one_line(message)}" for message in result.anatomy.messages]
    if result.resection is not None:
        said = result.resection.remnant.text
        lines.append(_one_line(f"Planned resection, {result.resection.text}: {said}"))
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


def _liver(result: CaseResult) -> dict[str, float]:
    """What the whole liver has in the columns of the lesions."""
    return {
        "volume_ml": result.liver_volume_ml,
        "mean_hu": result.liver_hu_mean,
        "percent_of_liver": result.tumour_burden_percent,
    }


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
    """Every column as two header lines and a cell per lesion, the least needed last; surest lesion first."""
    lesions = by_probability(result.lesions)
    slices = [slice_number(lesion, result.geometry) for lesion in lesions]
    of_slices = f"of {slices[0][1]}"
    boxes = any(lesion.source in (LesionSource.BOX, LesionSource.BOTH) for lesion in lesions)
    decided = any(lesion.edited or lesion.status is not LesionStatus.UNDECIDED for lesion in lesions)

    def numbers(key: str) -> list[float]:
        return [BY_KEY[key].number(lesion) for lesion in lesions]

    axes = zip(numbers("long_axis_mm"), numbers("short_axis_mm"), strict=True)
    density = zip(numbers("mean_hu"), numbers("sd_hu"), strict=True)
    return [
        ["", "#", *(str(lesion.number) for lesion in lesions)],
        ["", "Class", *(_class_cell(lesion) for lesion in lesions)],
        ["Reader's", "class", *(_short(lesion.reader_class) for lesion in lesions)],
        [*_sureness(lesions), *(chance(lesion_probability(lesion)) for lesion in lesions)],
        ["Long x short", "axis, mm", *(_pair(long, " x ", short, 1) for long, short in axes)],
        ["Volume", "mL", *map(millilitres, numbers("volume_ml"))],
        ["Mean +/- SD", "HU", *(_pair(mean, " +/- ", sd, 0) for mean, sd in density)],
        ["Slice", of_slices, *(str(number) for number, _ in slices)],
        ["Couinaud", "segment", *(lesion.anatomy.text if lesion.anatomy else "" for lesion in lesions)],
        ["To liver", "edge, mm", *(small(mm, 1) for mm in numbers("distance_to_liver_surface_mm"))],
        ["% of", "liver", *(small(share, 2 if share < 10 else 1) for share in numbers("percent_of_liver"))],
        ["Found", "by", *(found_by(lesion) if boxes else "" for lesion in lesions)],
        ["", "Status", *(lesion.status_text if decided else "" for lesion in lesions)],
        ["Centre", "mm", *(position_text(lesion.centre_lps, 0) for lesion in lesions)],
    ]


def _sureness(lesions: Sequence[Lesion]) -> tuple[str, str]:
    """What the column of sureness is called: a probability where one was calibrated."""
    calibrated = any(lesion.probability is not None for lesion in lesions)
    return ("Lesion", "prob.") if calibrated else ("", "Score")


def _pair(first: float, between: str, second: float, digits: int) -> str:
    known = math.isfinite(first) or math.isfinite(second)
    return f"{small(first, digits)}{between}{small(second, digits)}" if known else "-"


def _class_cell(lesion: Lesion) -> str:
    name, probability = _short(lesion.model_class), class_probability(lesion)
    return name if probability is None else f"{name} {chance(probability)}"


def _short(class_name: str | None) -> str:
    if class_name is None:
        return "-"
    name = _one_line(class_name)
    return name if len(name) <= 14 else name[:13] + "."


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _rounded(value: float, digits: int) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


def _safe(row: dict[str, Any]) -> dict[str, Any]:
    """Texts that a spreadsheet would take for a formula get an apostrophe in front; numbers stay numbers."""
    free_text = ("Case", "Class", "Reader class", "Class reasons", "Contrast phase", "Notes")
    return {k: formula_guarded(v) if k in free_text else v for k, v in row.items()}


def formula_guarded(text: str) -> str:
    """Text that a spreadsheet would take for a formula, with an apostrophe in front; other text as it is."""
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") and text else text


def _box_json(box: Box) -> dict[str, Any]:
    return {
        "centre_lps_mm": [_rounded(c, 2) for c in box.centre_lps],
        "size_mm": [_rounded(s, 2) for s in box.size_xyz_mm],
        "directions_lps": [_rounded(d, 6) for d in box.directions_lps],
        "score": _rounded(box.score, 4),
    }


def _ends_json(points: tuple[PointLps, PointLps]) -> list[list[float | None]]:
    return [[_rounded(c, 2) for c in p] for p in points]


def _place_json(place: DoubtfulPlace, geometry: Geometry) -> dict[str, Any]:
    slice_index, slice_count = axial_slice(place.centre_lps, geometry)
    return {
        "centre_lps_mm": [_rounded(c, 2) for c in place.centre_lps],
        "position": position_text(place.centre_lps),
        "axial_slice_from_below": slice_index,
        "axial_slice_count": slice_count,
        "diameter_mm": _rounded(place.diameter_mm, 2),
        "score": _rounded(place.score, 4),
    }


def _lesion_json(lesion: Lesion, geometry: Geometry) -> dict[str, Any]:
    numbers = {
        column.key: column.json_number(lesion)
        for column in (BY_KEY["score"], BY_KEY["probability"], *MEASURED)
    }
    first = {key: numbers.pop(key) for key in ("score", "probability", "long_axis_mm", "short_axis_mm")}
    measured = lesion.measurement
    slice_index, slice_count = slice_number(lesion, geometry)
    return {
        "number": lesion.number,
        "tracking_uid": lesion.tracking_uid,
        "class": lesion.model_class,
        "class_probabilities": {name: _rounded(p, 4) for name, p in lesion.class_probabilities.items()},
        "class_reasons": lesion.class_reasons,
        "reader_class": lesion.reader_class,
        "note": lesion.note,
        **first,
        "long_axis_ends_lps_mm": None if measured is None else _ends_json(measured.long_axis_lps),
        "short_axis_ends_lps_mm": None if measured is None else _ends_json(measured.short_axis_lps),
        **numbers,
        "axial_slice_from_below": slice_index,
        "axial_slice_count": slice_count,
        "centre_lps_mm": [_rounded(c, 2) for c in lesion.centre_lps],
        "position": position_text(lesion.centre_lps),
        "box": _box_json(lesion.box),
        "class_box": None if lesion.class_box is None else _box_json(lesion.class_box),
        "found_by": lesion.source.value,
        "outline_proposed": is_proposed(lesion),
        "status": lesion.status.value,
        "edited": lesion.edited,
        "enhancement": None if lesion.enhancement is None else describe_enhancement(lesion.enhancement),
        **({} if lesion.anatomy is None else {"anatomy": describe_lesion_anatomy(lesion.anatomy)}),
    }
