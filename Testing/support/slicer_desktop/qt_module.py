"""The module ``qt``: Qt's names in one place, as in Slicer, and only those that the real one has."""

from __future__ import annotations

import types
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from .ui_loader import UiLoader

# PySide6's names for what Qt 5 and PythonQt call otherwise.
RENAMED = {"QUiLoader": UiLoader, "Signal": QtCore.Signal, "Slot": QtCore.Slot, "Property": QtCore.Property}
# In Slicer these two do not exist.
MISSING = {"QTest", "QThread"}


class QtModule(types.ModuleType):
    """Looks names up in PySide6's modules."""

    def __getattr__(self, name: str) -> Any:
        if name in RENAMED:
            return RENAMED[name]
        if name not in MISSING and not name.startswith("_"):
            for module in (QtCore, QtGui, QtWidgets):
                if hasattr(module, name):
                    return getattr(module, name)
        raise AttributeError(f"module 'qt' has no attribute {name!r}")
