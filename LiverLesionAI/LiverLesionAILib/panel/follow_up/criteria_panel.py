"""The reader's diagnosis, and what it opens: mRECIST of an HCC by its enhancing diameters, Choi of a GIST."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from ...case.comparison import ReaderWords
from ...case.criteria import Diagnosis, not_arterial
from ...case.other_targets import OtherTarget, read_other_targets
from ...review.comparing import ComparedCase

CHOICES: tuple[tuple[str, Diagnosis | None], ...] = (
    ("no further criteria", None),
    ("it is HCC: mRECIST", Diagnosis.HCC),
    ("it is GIST: Choi", Diagnosis.GIST),
)


class CriteriaHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class CriteriaPanel:
    """Offers the criteria of a disease once the reader has named it."""

    def __init__(self, host: CriteriaHost, say: Callable[[str, ReaderWords], None]) -> None:
        """`say`: (label of the undo step, the reader's words as they are now)."""
        self._host, self._say = host, say
        self._compared: ComparedCase | None = None
        ui = host.ui
        for text, diagnosis in CHOICES:
            ui.diagnosisBox.addItem(text, "" if diagnosis is None else diagnosis.name)
        ui.diagnosisBox.connect("activated(int)", self._chosen)
        ui.enhancingEdit.connect("editingFinished()", self._typed)

    def show(self, compared: ComparedCase | None) -> None:
        """Show the diagnosis; diameters can be typed of an HCC whose scans are arterial."""
        self._compared = compared
        if compared is None:
            return
        ui, words = self._host.ui, compared.words
        was = ui.diagnosisBox.blockSignals(True)
        ui.diagnosisBox.setCurrentIndex([diagnosis for _, diagnosis in CHOICES].index(words.diagnosis))
        ui.diagnosisBox.blockSignals(was)
        ui.enhancingEdit.setVisible(words.diagnosis is Diagnosis.HCC)
        ui.enhancingEdit.setEnabled(not not_arterial(compared.course, compared.phases))
        if not ui.enhancingEdit.focus:
            ui.enhancingEdit.text = "; ".join(target.text for target in words.enhancing)

    def _chosen(self, index: int) -> None:
        compared = self._compared
        if compared is None:
            return
        name = self._host.ui.diagnosisBox.itemData(index)
        words = replace(compared.words, diagnosis=Diagnosis[name] if name else None)
        if words != compared.words:
            self._say("diagnosis", words)

    def _typed(self) -> None:
        compared = self._compared
        if compared is None:
            return
        scans = len(compared.course.points)
        made = _diameters(self._host.ui.enhancingEdit.text, scans)
        if made is None:
            self._host.show_message(
                f"Give {scans} diameters in mm for each target, the oldest scan first: 30, 12; 0 where "
                "nothing enhances any more, - where a scan does not show it.",
                "warning",
            )
        elif made != compared.words.enhancing:
            self._say("enhancing diameters", replace(compared.words, enhancing=made))


def _diameters(text: str, scans: int) -> tuple[OtherTarget, ...] | None:
    """The typed diameters; None where they are none, or one has not one for every scan."""
    try:
        made = read_other_targets(text)
    except ValueError:
        return None
    return made if all(len(one.axes_mm) == scans and not one.node for one in made) else None
