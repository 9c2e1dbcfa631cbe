"""The cohort as a folder that opens in a browser without a network: a page, pictures, reports.

Nothing in it names a case: cases are numbers, and which is which stands in ``key.csv``, outside of the
folder, so that the folder can be shown to others.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...case.findings import CaseResult
from ...case.followup_json import FOLLOWUP_FILE
from ...case.messages import message_of
from ...case.store import load_result
from ...case.wording import messages
from ...support.errors import InputError, LiverLesionAIError
from ...support.files import replacing, write_text
from ...support.progress import Progress, silent
from ...support.text import path_text, printable
from ..case_folder import is_case_folder
from ..review_file import read_review, with_review
from ..tables import JSON_FILE, findings_csv, findings_json, formula_guarded
from .cards import Card, card_of, with_outliers

PAGE, KEY, TABLE = "index.html", "key.csv", "cases.csv"
FOLDER = "cohort"
TEMPLATE = Path(__file__).resolve().parents[2] / "data" / "Cohort" / "index.html"
PICTURES = ("axial", "coronal", "3d")
THUMBNAIL_PX = 320
NO_REPORTS = 'The cards link to no reports: they need jinja2 (pip install "liverlesionai[report]").'


def write_cohort(out: Path, say: Callable[[str], None] = print, progress: Progress = silent) -> Path:
    """Make or renew ``cohort/`` in a folder of case folders; the page's path.

    Args:
        say: called with what could not be shown, and why.

    Raises:
        InputError: there is no case folder in it.
        OutputError: no space or no permission.
        Cancelled: from `progress`.
    """
    try:
        folders = sorted(path for path in out.iterdir() if path.is_dir() and is_case_folder(path))
    except OSError as error:
        raise InputError(
            f"{path_text(out)}: the folder cannot be read ({error.strerror}). Check it."
        ) from error
    if not folders:
        raise InputError(
            f"{path_text(out)}: holds no case folder. Name the folder that `batch --out` filled."
        )
    numbers = _numbers(out / KEY, folders)
    cards, said = [], {}
    for done, folder in enumerate(folders):
        progress(f"case {numbers[folder.name]}", done / len(folders))
        try:
            cards.append(_write_case(folder, numbers[folder.name], out / FOLDER, said))
        except (LiverLesionAIError, OSError, ValueError, KeyError, TypeError) as error:
            say(f"{path_text(folder)} is left out: {error}")
    for sentence in said:
        say(sentence)
    cards = with_outliers(cards)
    data = json.dumps([card.to_json() for card in cards])
    page = TEMPLATE.read_text(encoding="utf-8").replace("/*CARDS*/[]", _in_script(data))
    write_text(out / FOLDER / TABLE, _table(cards))
    write_text(out / FOLDER / PAGE, page)
    progress("done", 1.0)
    return out / FOLDER / PAGE


def _in_script(text: str) -> str:
    """JSON that cannot end the script element it stands in."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _numbers(key: Path, folders: Sequence[Path]) -> dict[str, int]:
    """Each case's number, which it keeps; the key is written before anything uses it."""
    numbers: dict[str, int] = {}
    try:
        with key.open(encoding="utf-8-sig", newline="") as file:
            numbers = {row["folder"]: int(row["number"]) for row in csv.DictReader(file)}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path_text(key)}: the key to the cases' numbers cannot be read ({error}). Repair it, or move "
            "it away for new numbers."
        ) from error
    for folder in folders:
        numbers.setdefault(folder.name, max(numbers.values(), default=0) + 1)
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)
    writer.writerow(("number", "folder"))
    writer.writerows((number, name) for name, number in sorted(numbers.items(), key=lambda item: item[1]))
    write_text(key, buffer.getvalue())
    return numbers


def _write_case(folder: Path, number: int, target: Path, said: dict[str, None]) -> Card:
    review = read_review(folder)
    result = with_review(load_result(folder), review)
    followup = _read(folder / FOLLOWUP_FILE)
    names = {folder.name, result.case_name, *(p["name"] for p in (followup or {}).get("time_points", ()))}
    said_of_it = tuple(_unnamed(text, names) for text in messages(result))
    result = replace(result, case_name=f"Case {number}", messages=said_of_it)
    own = target / str(number)
    if own.exists():
        shutil.rmtree(own)
    own.mkdir(parents=True)
    findings = findings_json(result)
    card = card_of(number, findings, followup, review)
    links = []
    if (report := _report(result, folder, said)) is not None:
        write_text(own / "report.html", report)
        links.append(("Report", "report.html"))
    for name in PICTURES:
        if (folder / f"{name}.png").is_file():
            shutil.copyfile(folder / f"{name}.png", own / f"{name}.png")
            links.append((name.capitalize() if name != "3d" else "3D", f"{name}.png"))
    write_text(own / "findings.csv", findings_csv(result), "utf-8-sig")
    write_text(own / JSON_FILE, json.dumps(findings, indent=2) + "\n")
    links.append(("Table", "findings.csv"))
    thumbnail = _thumbnail(folder / "axial.png", own / "thumbnail.png")
    return replace(
        card,
        warnings=tuple(printable(_unnamed(text, names)) for text in card.warnings),
        links=tuple((text, f"{number}/{name}") for text, name in links),
        thumbnail=f"{number}/{thumbnail}" if thumbnail else "",
    )


def _unnamed(text: str, names: Iterable[str]) -> str:
    """A sentence without the names of cases; its own words stay, whatever a case is called ("CT")."""

    def without(text: str) -> str:
        for name in sorted(filter(None, names), key=len, reverse=True):
            text = text.replace(name, "this case")
        return text

    message = message_of(text)
    return without(text) if message is None else message.changed(text, without)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _report(result: CaseResult, folder: Path, said: dict[str, None]) -> str | None:
    """The report without patient data; None where jinja2 is missing."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        said[NO_REPORTS] = None
        return None
    from ..report.content import Options, report_content
    from ..report.html import report_html

    picture = folder / "axial.png"
    overview = picture.read_bytes() if picture.is_file() else None
    return report_html(report_content(result, None, Options(), {}, overview))


def _thumbnail(picture: Path, target: Path) -> str:
    """A small copy of a picture; its name, "" where there is no picture."""
    if not picture.is_file():
        return ""
    import SimpleITK as sitk

    image = sitk.ReadImage(str(picture))
    step = max(1, round(max(image.GetSize()) / THUMBNAIL_PX))
    with replacing(target) as part:
        sitk.WriteImage(sitk.BinShrink(image, [step, step]), str(part), useCompression=True)
    return target.name


def _table(cards: Sequence[Card]) -> str:
    """The cards as a table, with what readers have decided so far."""
    columns = (
        "number", "lesions", "decided", "burden_percent", "liver_ml", "phase", "change", "doubt", "reason",
        "outlier", "segments", "warnings",
    )  # fmt: skip
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for card in sorted(cards, key=lambda card: card.number):
        row = {**card.to_json(), "warnings": " ".join(card.warnings)}
        cells = {name: "" if row[name] is None else row[name] for name in columns}
        writer.writerow({k: formula_guarded(v) if isinstance(v, str) else v for k, v in cells.items()})
    return buffer.getvalue()
