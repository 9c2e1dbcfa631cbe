"""The module's own drawings, and which button has which."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import qt

BUTTONS = {
    "previousButton": "Previous",
    "nextButton": "Next",
    "acceptButton": "StatusAccepted",
    "rejectButton": "StatusRejected",
    "notLiverButton": "StatusNotLiver",
    "treatedButton": "StatusTreated",
    "addButton": "Add",
    "correctButton": "Correct",
    "mergeButton": "Merge",
    "splitButton": "Split",
    "deleteButton": "Delete",
    "undoButton": "Undo",
    "redoButton": "Redo",
    "reportButton": "Report",
    "sampleButton": "Sample",
    "queueButton": "Queue",
}


class Icons:
    """Icons by name, from the module's resources."""

    def __init__(self, resource: Callable[[str], str]) -> None:
        self._resource = resource

    def __call__(self, name: str) -> qt.QIcon:
        """An icon; where there is a drawing for selected rows, with that."""
        icon = qt.QIcon(self._resource(f"Icons/{name}.png"))
        selected = self._resource(f"Icons/{name}Selected.png")
        if os.path.isfile(selected):
            # Else Qt tints it with the selection's colour, on which it is not seen.
            icon.addFile(selected, qt.QSize(), qt.QIcon.Selected)
        return icon

    def dress(self, ui: Any) -> None:
        """Give every button its icon."""
        for button, name in BUTTONS.items():
            getattr(ui, button).setIcon(self(name))
