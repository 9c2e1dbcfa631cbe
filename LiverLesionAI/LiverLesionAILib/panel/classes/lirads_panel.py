"""LI-RADS of the selected lesion: only once the reader says that the patient is at risk, step by step."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Any, Protocol

from ...case.lirads import AtRisk, LiRads, Proposal
from ...case.lirads_answers import Answers, CaseAnswers, category, outcome
from ...review.case_view import CaseView, ListedLesion
from ...support.errors import InputError

ATTR_LIRADS = "LiverLesionAI.LiRads"
"""On the case's table: what the reader has said."""
CHOICES = {"not said": None, "yes": True, "no": False}
OF_PATIENT = {"atRiskBox": "at_risk", "vascularBox": "vascular_or_congenital"}
OF_LESION = {
    "benignBox": "benign_excluded",
    "veinBox": "tumour_in_vein",
    "targetoidBox": "targetoid",
    "apheBox": "arterial_enhancement",
    "washoutBox": "washout",
    "capsuleBox": "capsule",
    "growthBox": "growth",
}
MEASURED = ("targetoid", "arterial_enhancement", "washout", "capsule")
LATER = ("ageLabel", "ageBox", "vascularLabel", "vascularBox")
"""Asked once the patient is at risk; what is asked of a lesion comes after."""
OF_ROWS = (*(f"{name.removesuffix('Box')}Label" for name in OF_LESION), *OF_LESION, "confirmBox")
IN_NOTE = r"LI-RADS CT v2018: [^.]*\."


class LiRadsHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    case: CaseView

    def selection(self) -> list[ListedLesion]:
        """The selected lesions."""


class LiRadsPanel:
    """Keeps what the reader says with the case, and shows where it leads."""

    def __init__(self, host: LiRadsHost, write_note: Callable[[str, str], None]) -> None:
        """`write_note`: (row ID, text), as one step that can be undone."""
        self._host, self._write_note, self._quiet = host, write_note, False
        ui = host.ui
        for name in (*OF_PATIENT, *OF_LESION):
            getattr(ui, name).addItems(list(CHOICES))
            getattr(ui, name).connect("currentIndexChanged(int)", lambda index: self._changed())
        ui.ageBox.connect("valueChanged(int)", lambda years: self._changed())
        ui.confirmBox.connect("toggled(bool)", lambda on: self._changed())
        ui.liradsNoteButton.connect("clicked()", self.to_note)

    def show(self) -> None:
        """What was said of the shown case and of its selected lesion, and what follows."""
        ui, kept, row = self._host.ui, self._kept(), self._row()
        closed, there = ui.liradsSection.collapsed, self._host.case.table is not None
        at_risk = bool(kept.patient.at_risk) and there
        self._quiet = True
        try:
            for name, field in OF_PATIENT.items():
                _choose(getattr(ui, name), getattr(kept.patient, field))
            ui.ageBox.value = round(kept.patient.age_years or 0)
            answers = Answers() if row is None else kept.lesions.get(row.tracking_uid, Answers())
            for name, field in OF_LESION.items():
                _choose(getattr(ui, name), getattr(answers, field))
            ui.confirmBox.checked = answers.confirmed
        finally:
            self._quiet = False
        ui.atRiskBox.setEnabled(there)
        for name in LATER:
            getattr(ui, name).setVisible(at_risk and not closed)
        asked = at_risk and row is not None
        for name in OF_ROWS:
            getattr(ui, name).setVisible(asked and not closed)
        found = self._found(kept, row) if asked else None
        ui.confirmBox.setEnabled(row is not None and bool(Proposal.of(row.enhancement).phases))
        ui.liradsLabel.text = self._text(kept, row, found)
        ui.liradsLabel.setVisible(not closed)
        ui.liradsNoteButton.setVisible(isinstance(found, LiRads) and not closed)

    def to_note(self) -> None:
        """Write the outcome into the lesion's note, in place of an earlier one: the reports have the note."""
        row = self._row()
        found = self._found(self._kept(), row) if row is not None else None
        if row is None or not isinstance(found, LiRads):
            return
        name = found.category.value if found.category else found.consider.value or "no category"
        line = f"LI-RADS CT v2018: {name} (at risk, as I say)."
        rest = re.sub(IN_NOTE, "", row.note).strip()
        self._write_note(row.segment_id, f"{rest} {line}".strip())

    def _found(self, kept: CaseAnswers, row: ListedLesion | None) -> LiRads | str | None:
        if row is None:
            return None
        try:
            return category(kept.patient, kept.lesions.get(row.tracking_uid, Answers()), row)
        except InputError as error:
            return str(error)

    def _text(self, kept: CaseAnswers, row: ListedLesion | None, found: LiRads | str | None) -> str:
        if self._host.case.table is None:
            return "There are no findings yet."
        if kept.patient.at_risk is not True:
            return (
                "LI-RADS is for patients at risk: cirrhosis, chronic hepatitis B, or hepatocellular "
                "carcinoma now or before. Without that there is no category."
            )
        if row is None or found is None:
            return "Select one lesion."
        if isinstance(found, str):
            return escape(found)
        steps = "<br>".join(
            f"{number}. {escape(step.question)} <b>{escape(step.answer)}</b>"
            for number, step in enumerate(found.steps, 1)
        )
        return f"{measured_line(row)}{steps}<br><b>{escape(outcome(found))}</b>"

    def _row(self) -> ListedLesion | None:
        rows = self._host.selection()
        return rows[0] if len(rows) == 1 else None

    def _kept(self) -> CaseAnswers:
        table = self._host.case.table
        return CaseAnswers.from_text(table.GetAttribute(ATTR_LIRADS) if table is not None else None)

    def _changed(self) -> None:
        """The reader has said something: keep it."""
        table, ui = self._host.case.table, self._host.ui
        if self._quiet or table is None:
            return
        kept, row = self._kept(), self._row()
        said = {field: CHOICES[getattr(ui, name).currentText] for name, field in OF_PATIENT.items()}
        patient = AtRisk(age_years=float(ui.ageBox.value) or None, **said)
        lesions = dict(kept.lesions)
        if row is not None and kept.patient.at_risk:
            given = {field: CHOICES[getattr(ui, name).currentText] for name, field in OF_LESION.items()}
            lesions[row.tracking_uid] = Answers(**given, confirmed=bool(ui.confirmBox.checked))
        table.SetAttribute(ATTR_LIRADS, replace(kept, patient=patient, lesions=lesions).text)
        self.show()


def measured_line(row: ListedLesion) -> str:
    """What was measured, for the reader to look at; "" where nothing was."""
    proposal = Proposal.of(row.enhancement)
    names = {"arterial_enhancement": "APHE", "targetoid": "rim-like arterial enhancement"}
    parts = [
        f"{names.get(name, name)} {'yes' if value else 'no'}"
        for name in ("arterial_enhancement", "washout", "capsule", "targetoid")
        if (value := getattr(proposal, name)) is not None
    ]
    if not parts:
        return "Nothing was measured over several phases: choose them under Phases and analyze again.<br>"
    phases = ", ".join(phase.title for phase in proposal.phases)
    return f"Measured ({phases}): {', '.join(parts)}.<br>"


def _choose(box: Any, value: bool | None) -> None:
    box.setCurrentIndex(list(CHOICES.values()).index(value))
