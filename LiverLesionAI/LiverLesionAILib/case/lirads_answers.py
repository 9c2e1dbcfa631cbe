"""What the reader has said for LI-RADS, of the patient and lesion by lesion, and the category it leads to."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ..support.errors import InputError
from .classes import Phase
from .findings import Lesion, LesionStatus
from .lirads import UNSAID, AtRisk, LiRads, Observation, Proposal, lirads


@dataclass(frozen=True)
class Answers:
    """What the reader says of one lesion; None where nothing was said. See :class:`.lirads.Observation`.

    Attributes:
        confirmed: the reader has looked: what was measured counts where nothing else is said.
    """

    benign_excluded: bool | None = None
    tumour_in_vein: bool | None = None
    targetoid: bool | None = None
    arterial_enhancement: bool | None = None
    washout: bool | None = None
    capsule: bool | None = None
    growth: bool | None = None
    confirmed: bool = False


@dataclass(frozen=True)
class CaseAnswers:
    """What the reader says of a case.

    Attributes:
        patient: whether it is at risk.
        lesions: by tracking UID.
    """

    patient: AtRisk = field(default_factory=AtRisk)
    lesions: Mapping[str, Answers] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """To be kept with the case; the way back is :meth:`from_text`."""
        said = {uid: asdict(one) for uid, one in self.lesions.items()}
        return json.dumps({"patient": asdict(self.patient), "lesions": said}, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str | None) -> CaseAnswers:
        """Nothing said where there is no text, or a damaged one."""
        try:
            known = json.loads(text or "{}")
            patient = AtRisk(**_of_kind(AtRisk, known.get("patient", {})))
            said = {
                str(uid): Answers(**_of_kind(Answers, one)) for uid, one in known.get("lesions", {}).items()
            }
            return cls(patient, said)
        except (ValueError, TypeError, AttributeError):
            return cls()


def category(patient: AtRisk, answers: Answers, lesion: Lesion, phases: Iterable[Phase] = ()) -> LiRads:
    """The category of a lesion by what the reader says, with every step to it.

    Args:
        phases: that the reader says were looked at; without any those that were measured, once confirmed.

    Raises:
        InputError: the reader says that it is no lesion, or its size is not known.
    """
    if not lesion.status.counts:
        raise InputError(f"Lesion {lesion.number} was marked as {lesion.status.title}: it has no category.")
    if lesion.measurement is None:
        raise InputError(f"Lesion {lesion.number} has only a box. Outline it first: its size is needed.")
    proposal = Proposal.of(lesion.enhancement)
    measured = proposal if answers.confirmed else Proposal()

    def counted(name: str) -> bool | None:
        said: bool | None = getattr(answers, name)
        found: bool | None = getattr(measured, name)
        return found if said is None else said

    seen = Observation(
        lesion.measurement.long_axis_mm,
        counted("arterial_enhancement"),
        counted("washout"),
        counted("capsule"),
        answers.growth,
        counted("targetoid"),
        answers.tumour_in_vein,
        answers.benign_excluded,
        lesion.status is LesionStatus.TREATED,
    )
    return lirads(patient, tuple(phases) or measured.phases, seen, proposal.phases)


def outcome(found: LiRads) -> str:
    """The last line: a category, or why there is none."""
    if found.category is not None:
        return f"Category: {found.category.value}, if every answer above is the reader's."
    consider = f" ({found.consider.value})" if found.consider.value else ""
    unsaid = bool(found.steps) and found.steps[-1].answer == UNSAID
    why = "the last question is not answered yet" if unsaid else "the last answer does not allow one"
    return f"No category{consider}: {why}."


def _of_kind(kind: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Only what the kind has, and only answers: yes, no, nothing, a number of years."""
    names = {one.name for one in fields(kind)}
    kept = {}
    for name, value in given.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if name not in names or not (value is None or isinstance(value, bool) or number):
            continue
        if number is not (name == "age_years") and value is not None:
            continue
        if number and not math.isfinite(value):
            continue
        kept[name] = value
    return kept
