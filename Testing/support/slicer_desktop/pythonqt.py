"""Makes PySide6 objects answer the way Slicer's PythonQt does.

- Qt properties are attributes (``button.text``, ``button.text = "x"``); calling one raises TypeError.
- ``obj.connect("clicked(bool)", f)`` and ``obj.disconnect(...)`` take the signal's text.
- ``className()`` and ``delete()`` exist.

The classes are changed in place, so that objects which C++ creates (a table's header, what a .ui file
holds) answer
alike. Every name the product asks of a Qt object is noted in :data:`asked`, for the test that holds it
against the
real application.
"""

from __future__ import annotations

import ast
import ctypes
import functools
import inspect
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

PRODUCT = Path(__file__).resolve().parents[3] / "LiverLesionAI"

# Static functions of the same name win over the property in PythonQt.
KEPT_METHODS = {("QTimer", "singleShot"), ("QShortcut", "key"), ("QShortcut", "context")}

asked: set[tuple[str, str]] = set()


def _property(name: str) -> property:
    def read(self: QtCore.QObject) -> Any:
        return QtCore.QObject.property(self, name)

    def write(self: QtCore.QObject, value: Any) -> None:
        QtCore.QObject.setProperty(self, name, value)

    return property(read, write)


def _make_attributes(cls: type) -> None:
    meta = cls.staticMetaObject  # type: ignore[attr-defined]
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        name = meta.property(index).name()
        if (cls.__name__, name) not in KEPT_METHODS:
            setattr(cls, name, _property(name))


def _signal(source: QtCore.QObject, text: str) -> Any:
    name = text.split("(")[0]
    signal = getattr(source, name, None)
    if signal is None or not hasattr(signal, "connect"):
        raise ValueError(f"{type(source).__name__} has no signal {text}")
    return signal


def _connect(source: QtCore.QObject) -> Callable[..., bool]:
    def connect(signal: str, receiver: Callable[..., Any]) -> bool:
        arguments = signal[signal.index("(") + 1 : signal.rindex(")")]
        found = _signal(source, signal)
        # The old style passes what the text lists, so "clicked()" passes nothing.
        found.connect(receiver if arguments else _no_arguments(source, signal, receiver))
        return True

    return connect


def _no_arguments(source: QtCore.QObject, signal: str, receiver: Callable[..., Any]) -> Callable[..., Any]:
    kept = source.__dict__.setdefault("_stand_in_connections", {})

    def call(*_: Any) -> None:
        receiver()

    kept[(signal, receiver)] = call
    return call


def _disconnect(source: QtCore.QObject) -> Callable[..., bool]:
    def disconnect(signal: str | None = None, receiver: Callable[..., Any] | None = None) -> bool:
        if signal is None:
            return False
        kept = source.__dict__.get("_stand_in_connections", {})
        found = _signal(source, signal)
        try:
            if receiver is None:
                found.disconnect()
            else:
                found.disconnect(kept.pop((signal, receiver), receiver))
        except (RuntimeError, TypeError):
            return False
        return True

    return disconnect


def _lookup(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def get(self: QtCore.QObject, name: str) -> Any:
        if name == "connect":
            return _connect(self)
        if name == "disconnect":
            return _disconnect(self)
        if not name.startswith("_") and _asked_by_product():
            _note(self, name)
        return original(self, name)

    return get


def _keep_singletons_alive() -> None:
    """PySide6 6.12 gives None, True and False back uncounted: Python 3.11 ends after ten thousand calls.

    From 3.12 on they are immortal; before, their counts are set high enough here.
    """
    if sys.version_info < (3, 12):
        for singleton in (None, True, False):
            ctypes.c_ssize_t.from_address(id(singleton)).value += 1 << 40


def install() -> None:
    """Change PySide6's classes; safe to call again."""
    if getattr(QtCore.QObject, "_answers_like_pythonqt", False):
        return
    _keep_singletons_alive()
    # By getattr: PySide6 makes its classes when they are first asked for.
    found = [getattr(module, name) for module in (QtCore, QtGui, QtWidgets) for name in dir(module)]
    classes = [cls for cls in found if isinstance(cls, type) and issubclass(cls, QtCore.QObject)]
    for cls in classes:
        _make_attributes(cls)
    # Some classes of PySide6 look attributes up in their own way, so each of those is changed.
    own = {cls: cls.__getattribute__ for cls in classes}
    for cls, original in own.items():
        if cls is QtCore.QObject or cls.__getattribute__ is not QtCore.QObject.__getattribute__:
            cls.__getattribute__ = _lookup(original)  # type: ignore[method-assign]
    QtCore.QObject.name = property(lambda self: self.objectName)  # type: ignore[attr-defined]
    QtCore.QObject.className = lambda self: self.metaObject().className()  # type: ignore[attr-defined]
    QtCore.QObject.delete = lambda self: shiboken6.delete(self)  # type: ignore[attr-defined]
    QtCore.QObject._answers_like_pythonqt = True  # type: ignore[attr-defined]


def _asked_by_product() -> bool:
    return sys._getframe(2).f_code.co_filename.startswith(str(PRODUCT))


def _note(self: QtCore.QObject, name: str) -> None:
    """Remember what was asked of a Qt class; what a Python subclass has of its own was not asked of Qt."""
    if name in object.__getattribute__(self, "__dict__"):
        return
    for cls in type(self).__mro__:
        if cls.__module__.startswith(("PySide6", "slicer_desktop")):
            asked.add((cls.__name__, name))
            return
        if name in vars(cls) or name in _set_by(cls):
            return


@functools.cache
def _set_by(cls: type) -> frozenset[str]:
    """Names that a class's methods set on `self`.

    Its own, also where an object lacks them (the wrapper that C++ gets for an object whose first wrapper has
    gone).
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return frozenset()
    return frozenset(
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    )
