"""The line that says what happened last, and what to do."""

from __future__ import annotations

from typing import Any

import qt


class MessageLine:
    """Readable on light and on dark."""

    def __init__(self, widget: qt.QWidget, label: Any) -> None:
        self._widget, self._label = widget, label

    def show(self, text: str, kind: str = "info") -> None:
        """Say something; "" hides the line. Kind "info", "warning" or "error"."""
        self._label.text = text
        self._label.setVisible(bool(text))
        dark = self._widget.palette.color(qt.QPalette.Window).lightness() < 128
        colour = {
            "warning": "#ffc14d" if dark else "#8a5200",
            "error": "#ff9085" if dark else "#b3261e",
        }.get(kind)
        self._label.setStyleSheet(f"color: {colour}" if colour else "")
