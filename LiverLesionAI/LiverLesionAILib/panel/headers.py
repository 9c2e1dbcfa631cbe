"""What the panel's tables say above their columns."""

from __future__ import annotations

from typing import Any

import qt


def column_header(heading: str, tip: str, role: int) -> Any:
    """A column's heading, and its tip, as a model's `headerData` gives them; None for other roles."""
    if role == qt.Qt.DisplayRole:
        return heading
    return tip if role == qt.Qt.ToolTipRole else None
