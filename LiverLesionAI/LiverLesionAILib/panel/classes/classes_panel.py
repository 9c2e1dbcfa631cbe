"""The parts of the panel about what lesions may be: contrast phases and LI-RADS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import qt

from ...review.case_view import CaseView, ListedLesion
from ..parameters import PanelParameters
from ..run.other_scans import ChosenPhases
from .lirads_panel import LiRadsPanel
from .phases_panel import SELECTORS, PhasesPanel


class ClassesHost(Protocol):
    """The panel, as these parts see it."""

    ui: Any
    case: CaseView
    parameters: PanelParameters | None

    def selection(self) -> list[ListedLesion]:
        """The selected lesions."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class ClassesPanel:
    """Shows its parts together.

    Attributes:
        selectors: lists of CTs that go along with the chosen one.
    """

    def __init__(self, host: ClassesHost, write_note: Callable[[str, str], None]) -> None:
        """`write_note`: (row ID, text), as one step that can be undone."""
        ui = host.ui
        self.selectors = tuple(getattr(ui, name) for name in SELECTORS)
        self.phases = PhasesPanel(host)
        self.lirads = LiRadsPanel(host, write_note)
        # A section that opens shows all that is in it: hide again what has nothing to say.
        for section in (ui.classesSection, ui.liradsSection):
            section.connect("contentsCollapsed(bool)", lambda collapsed: qt.QTimer.singleShot(0, self.show))

    def show(self) -> None:
        """Show what the scene holds."""
        self.phases.show()
        self.lirads.show()

    def selected(self) -> None:
        """Another lesion was selected."""
        self.lirads.show()

    def settings(self) -> dict[str, Any]:
        """How often classes are met, where the reader has chosen."""
        return self.phases.settings()

    def phases_of(self, volume: Any) -> tuple[ChosenPhases, tuple[str, ...]]:
        """The contrast phases that go along with a volume, and what is doubtful about them."""
        return self.phases.chosen(volume), self.phases.warnings(volume)
