"""Loads Designer's .ui files as Slicer's loader does.

Known qMRML and ctk classes, unknown ones become QWidget.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import ctk_widgets, mrml_widgets

QT_CLASSES = set(QtUiTools.QUiLoader().availableWidgets())


class UiLoader:
    """``qt.QUiLoader``: one method, load."""

    def load(self, file: QtCore.QFile) -> QtWidgets.QWidget:
        content = bytes(file.readAll().data())
        root = ElementTree.fromstring(content)
        connections = root.find("connections")
        wanted = [] if connections is None else list(connections)
        if connections is not None:
            root.remove(connections)
        self._check_headers(root)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = _Loader().load(buffer)
        for section in widget.findChildren(ctk_widgets.ctkCollapsibleButton):
            section.make_room()
        widget._ui_connections = [
            (c.findtext("sender"), c.findtext("signal"), c.findtext("receiver"), c.findtext("slot"))
            for c in wanted
        ]
        for sender, signal, receiver, slot in widget._ui_connections:
            _wire(_named(widget, sender), signal, _named(widget, receiver), slot)
        return widget

    def _check_headers(self, root: ElementTree.Element) -> None:
        for custom in root.iter("customwidget"):
            name, header = custom.findtext("class"), custom.findtext("header")
            if header != f"{name}.h":
                raise ValueError(f"{name}: the header in the .ui file is {header}, not {name}.h")


class _Loader(QtUiTools.QUiLoader):
    def createWidget(
        self, class_name: str, parent: QtWidgets.QWidget | None = None, name: str = ""
    ) -> QtWidgets.QWidget:
        known: dict[str, Any] = {**ctk_widgets.WIDGETS, **mrml_widgets.WIDGETS}
        if class_name in known:
            widget = known[class_name](parent)
        elif class_name in QT_CLASSES:
            return super().createWidget(class_name, parent, name)
        else:
            widget = QtWidgets.QWidget(parent)
        widget.setObjectName(name)
        return widget


def _named(root: QtWidgets.QWidget, name: str | None) -> QtCore.QObject:
    if root.objectName == name:
        return root
    found = root.findChild(QtCore.QObject, name)
    if found is None:
        raise ValueError(f"The .ui file connects {name}, which is not in it.")
    return found


def _wire(sender: Any, signal: str, receiver: Any, slot: str) -> None:
    getattr(sender, signal.split("(")[0]).connect(getattr(receiver, slot.split("(")[0]))
