"""``slicer.parameterNodeWrapper`` for the parameter types and widgets that the panel uses.

Values live in a real vtkMRMLScriptedModuleNode under the names the real wrapper uses, so a saved scene
holds them.
Like the real one it binds by exact widget type, registers each connection anew at every connect, and
forgets a
connection only by the tag that connectParametersToGui returned.
"""

from __future__ import annotations

import enum
import types
import typing
from dataclasses import dataclass
from typing import Any

import slicer
import vtk
from PySide6 import QtWidgets

from . import ctk_widgets, mrml_widgets


@dataclass(frozen=True)
class WithinRange:
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Minimum:
    minimum: float


@dataclass(frozen=True)
class Maximum:
    maximum: float


@dataclass(frozen=True)
class Choice:
    choices: Any


@dataclass(frozen=True)
class Decimals:
    value: int


@dataclass(frozen=True)
class SingleStep:
    value: float


@dataclass(frozen=True)
class Default:
    value: Any = None


def _split(kind: Any) -> tuple[Any, list[Any]]:
    if typing.get_origin(kind) is typing.Annotated:
        base, *notes = typing.get_args(kind)
        return base, notes
    return kind, []


def _note(notes: list[Any], cls: type) -> Any:
    return next((n for n in notes if isinstance(n, cls)), None)


def _is_node(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)


class _Parameter:
    """Reads and writes one value in the node."""

    def __init__(self, name: str, kind: Any, default: Any) -> None:
        self.name, self.kind = name, kind
        self.base, self.notes = _split(kind)
        if default is None and self.base in (int, float, str, bool):
            default = self.base()
        if default is None and isinstance(self.base, type) and issubclass(self.base, enum.Enum):
            default = next(iter(self.base))
        self.default = default

    def is_in(self, node: Any) -> bool:
        return bool(node.HasParameter(self.name))

    def check(self, value: Any) -> None:
        if _is_node(self.base):
            if value is not None and not isinstance(value, self.base):
                raise TypeError(f"{self.name} takes a {self.base.__name__}")
            return
        if self.base is float and isinstance(value, int):
            value = float(value)
        if not isinstance(value, self.base):
            raise TypeError(f"{self.name} takes {self.base}, not {value!r}")
        limits = _note(self.notes, WithinRange)
        if limits is not None and not limits.minimum <= value <= limits.maximum:
            raise ValueError(f"{self.name} = {value} is outside {limits.minimum}..{limits.maximum}")

    def write(self, node: Any, value: Any) -> None:
        self.check(value)
        if _is_node(self.base):
            node.SetParameter(self.name, "")
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        elif isinstance(value, enum.Enum):
            node.SetParameter(self.name, value.name)
        else:
            node.SetParameter(self.name, str(value))

    def read(self, node: Any) -> Any:
        if not self.is_in(node):
            self.write(node, self.default)
        if _is_node(self.base):
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if isinstance(self.base, type) and issubclass(self.base, enum.Enum):
            return self.base[text]
        return text == "True" if self.base is bool else self.base(text)


class GuiConnector:
    """One parameter bound to one widget."""

    def __init__(self, widget: Any, signal: str, read: Any, write: Any) -> None:
        self._widget, self._signal, self.read, self.write = widget, getattr(widget, signal), read, write
        self._callback: Any = None

    def changed(self) -> None:
        if self._callback:
            self._callback()

    def _slot(self, *_: Any) -> None:
        self.changed()

    def onChanged(self, callback: Any) -> None:
        if callback is None and self._callback is not None:
            self._signal.disconnect(self._slot)
        elif callback is not None and self._callback is None:
            self._signal.connect(self._slot)
        self._callback = callback


def _attribute(widget: Any, signal: str, name: str) -> GuiConnector:
    return GuiConnector(
        widget, signal, lambda: getattr(widget, name), lambda value: setattr(widget, name, value)
    )


def createGuiConnector(widget: Any, kind: Any) -> GuiConnector:
    base, notes = _split(kind)
    exact = type(widget)
    if base is bool and exact is QtWidgets.QCheckBox:
        return _attribute(widget, "stateChanged", "checked")
    if base is bool and exact is QtWidgets.QPushButton and widget.checkable:
        return _attribute(widget, "toggled", "checked")
    if base is float and exact in (QtWidgets.QDoubleSpinBox, ctk_widgets.ctkSliderWidget):
        for note, name in ((Decimals, "decimals"), (SingleStep, "singleStep")):
            if (found := _note(notes, note)) is not None:
                setattr(widget, name, found.value)
        limits = _note(notes, WithinRange)
        if limits is None:
            raise RuntimeError("Cannot have a connection to a slider where the float type is unbounded.")
        widget.minimum, widget.maximum = limits.minimum, limits.maximum
        return _attribute(widget, "valueChanged", "value")
    if base is int and exact in (QtWidgets.QSpinBox, QtWidgets.QSlider):
        limits = _note(notes, WithinRange)
        if limits is not None:
            widget.setRange(limits.minimum, limits.maximum)
        return _attribute(widget, "valueChanged", "value")
    if base is str and exact is QtWidgets.QLineEdit:
        return _attribute(widget, "textChanged", "text")
    if exact is QtWidgets.QComboBox and isinstance(base, type) and issubclass(base, enum.Enum):
        label = getattr(base, "label", lambda e: e.name)
        members = list(base)
        widget.clear()
        widget.addItems([label(e) for e in members])
        return GuiConnector(
            widget,
            "currentIndexChanged",
            lambda: members[widget.currentIndex],
            lambda value: setattr(widget, "currentIndex", members.index(value)),
        )
    if exact is QtWidgets.QComboBox and _note(notes, Choice) is not None:
        choices = list(_note(notes, Choice).choices)
        widget.clear()
        widget.addItems([str(c) for c in choices])
        return GuiConnector(
            widget,
            "currentIndexChanged",
            lambda: choices[widget.currentIndex],
            lambda value: setattr(widget, "currentIndex", choices.index(value)),
        )
    if _is_node(base) and exact is mrml_widgets.qMRMLNodeComboBox:
        widget.nodeTypes = [base.__name__]
        return GuiConnector(widget, "currentNodeChanged", widget.currentNode, widget.setCurrentNode)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{kind}' to widget type '{exact}'")


def parameterNodeWrapper(cls: type) -> type:
    """Turn a class of annotated names into typed access to a parameter node."""
    parameters = {
        name: _Parameter(name, kind, getattr(cls, name, None))
        for name, kind in typing.get_type_hints(cls, include_extras=True).items()
    }

    def make_property(parameter: _Parameter) -> property:
        return property(
            lambda self: parameter.read(self.parameterNode),
            lambda self, value: parameter.write(self.parameterNode, value),
        )

    for name, parameter in parameters.items():
        setattr(cls, name, make_property(parameter))

    def init(self: Any, node: Any) -> None:
        self.parameterNode = node
        self._guis, self._next, self._updating = {}, 0, False
        for parameter in parameters.values():
            if not parameter.is_in(node):
                parameter.write(node, parameter.default)

    def update_gui(self: Any) -> None:
        if self._updating:
            return
        self._updating = True
        try:
            for mapping in self._guis.values():
                for name, connector in mapping.items():
                    connector.write(getattr(self, name))
        finally:
            self._updating = False

    def connect_parameters(self: Any, mapping: dict[str, Any]) -> int:
        unknown = set(mapping) - set(parameters)
        if unknown:
            raise ValueError(f"Cannot find a param with the given name: {unknown}")
        connectors = {name: createGuiConnector(w, parameters[name].kind) for name, w in mapping.items()}
        tag, self._next = self._next, self._next + 1
        self._guis[tag] = connectors
        for name, connector in connectors.items():
            connector.write(getattr(self, name))

            def callback(name: str = name, connector: GuiConnector = connector) -> None:
                if not self._updating:
                    setattr(self, name, connector.read())

            connector.onChanged(callback)
        self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: update_gui(self))
        return tag

    def disconnect(self: Any, tag: int) -> None:
        for connector in self._guis.pop(tag, {}).values():
            connector.onChanged(None)

    cls.__init__ = init
    cls.allParameters = parameters
    cls.connectParametersToGui = connect_parameters
    cls.disconnectGui = disconnect
    cls.dataType = staticmethod(lambda name: parameters[name].kind)
    cls.getValue = lambda self, name: getattr(self, name)
    cls.setValue = lambda self, name, value: setattr(self, name, value)
    cls.StartModify = lambda self: self.parameterNode.StartModify()
    cls.EndModify = lambda self, was: self.parameterNode.EndModify(was)
    cls.AddObserver = lambda self, event, callback, priority=0.0: self.parameterNode.AddObserver(
        event, callback, priority
    )
    cls.RemoveObserver = lambda self, tag: self.parameterNode.RemoveObserver(tag)
    cls.Modified = lambda self: self.parameterNode.Modified()
    return cls


def module() -> types.ModuleType:
    """The module to put at ``slicer.parameterNodeWrapper``."""
    made = types.ModuleType("slicer.parameterNodeWrapper")
    for item in (
        WithinRange,
        Minimum,
        Maximum,
        Choice,
        Decimals,
        SingleStep,
        Default,
        GuiConnector,
        createGuiConnector,
        parameterNodeWrapper,
    ):
        setattr(made, item.__name__, item)
    return made
