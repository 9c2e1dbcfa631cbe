"""What a reader has decided on a case, as a file in its folder: a tick, and every lesion's state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..case.findings import CaseResult, Lesion, LesionStatus
from ..case.interval import by_reader
from ..case.store import load_result
from ..case.wording import lesions_text
from ..support.errors import InputError, OutputError
from ..support.files import write_text
from .tables import JSON_FILE

REVIEW_FILE = "review.json"
SCHEMA, VERSION = "liverlesionai-review", 1


@dataclass(frozen=True)
class Review:
    """A reader's decisions.

    Attributes:
        reviewed: the reader is done with the case.
        statuses: of every lesion by its number, those that the reader drew included.
        burden_percent: of the masks as the reader left them; None where nobody measured it.
    """

    reviewed: bool
    statuses: tuple[tuple[int, LesionStatus], ...] = ()
    burden_percent: float | None = None

    def count(self, *wanted: LesionStatus) -> int:
        """How many lesions have one of these states."""
        return sum(status in wanted for _, status in self.statuses)

    @property
    def lesions(self) -> int:
        """How many lesions count."""
        return sum(status.counts for _, status in self.statuses)


def review_of(
    statuses: Iterable[tuple[int, LesionStatus]], reviewed: bool, burden_percent: float | None = None
) -> Review:
    """A review with its lesions in order of number."""
    return Review(reviewed, tuple(sorted(statuses)), burden_percent)


def write_review(review: Review, folder: Path) -> Path:
    """Write it into a case folder; its path.

    Raises:
        OutputError: no space or no permission.
    """
    content = {
        "schema": SCHEMA,
        "version": VERSION,
        "of": _analysis(folder),
        "reviewed": review.reviewed,
        "lesions": [{"number": number, "status": status.value} for number, status in review.statuses],
        "tumour_burden_percent": review.burden_percent,
    }
    path = folder / REVIEW_FILE
    write_text(path, json.dumps(content, indent=1) + "\n")
    return path


def read_review(folder: Path) -> Review | None:
    """The review of a case; None where there is none, or it is of an earlier analysis."""
    try:
        content = json.loads((folder / REVIEW_FILE).read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA or content["of"] != _analysis(folder):
            return None
        statuses = [(int(one["number"]), LesionStatus(one["status"])) for one in content["lesions"]]
        burden = content["tumour_burden_percent"]
        return review_of(statuses, bool(content["reviewed"]), None if burden is None else float(burden))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def refuse_decided(folder: Path) -> None:
    """Keep what a reader has decided on a case from an analysis into its folder, which would replace it.

    A case that cannot be read says nothing.

    Raises:
        OutputError: the folder holds decisions, classes, outlines or notes of a reader.
    """
    try:
        lesions = with_review(load_result(folder), review := read_review(folder)).lesions
    except InputError:
        return
    count = sum(map(_by_reader, lesions))
    if count or (review is not None and review.reviewed):
        what = f"what a reader has said of {lesions_text(count)}" if count else "a reader's tick"
        raise OutputError(
            f"{folder} holds {what}, which a new analysis would replace. Choose another folder; to give it "
            "up, delete the folder first."
        )


def _by_reader(lesion: Lesion) -> bool:
    placed = lesion.anatomy is not None and bool(lesion.anatomy.reader_segments)
    said = bool(lesion.reader_class or lesion.note) or lesion.status is not LesionStatus.UNDECIDED
    return said or placed or by_reader(lesion)


def with_review(result: CaseResult, review: Review | None) -> CaseResult:
    """The result with the reader's states; lesions that the reader drew are not in it."""
    if review is None:
        return result
    statuses = dict(review.statuses)
    lesions = (
        replace(lesion, status=statuses.get(lesion.number, lesion.status)) for lesion in result.lesions
    )
    return replace(result, lesions=tuple(lesions))


def _analysis(folder: Path) -> str:
    """What says that a folder holds the same analysis as before."""
    try:
        return hashlib.sha256((folder / JSON_FILE).read_bytes()).hexdigest()
    except OSError:
        return ""
