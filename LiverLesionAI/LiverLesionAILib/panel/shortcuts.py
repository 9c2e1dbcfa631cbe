"""Keys that work while the panel, or a view beside it, has the focus."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import qt


class Shortcuts:
    """Keys of the window or of one widget, alive only between `enable` and `disable`."""

    def __init__(
        self, parent: qt.QWidget, actions: Mapping[str, Callable[[], None]], *, window: bool = True
    ) -> None:
        self._parent, self._window = parent, window
        self._actions = dict(actions)
        self._made: list[qt.QShortcut] = []

    def enable(self) -> None:
        """Make the keys work."""
        if self._made:
            return
        for key, action in self._actions.items():
            shortcut = qt.QShortcut(self._parent)
            shortcut.setKey(qt.QKeySequence(key))
            shortcut.setContext(qt.Qt.WindowShortcut if self._window else qt.Qt.WidgetWithChildrenShortcut)
            shortcut.connect("activated()", action)
            # Another part of the application has the same key: while the module is open it is meant for us.
            shortcut.connect("activatedAmbiguously()", action)
            self._made.append(shortcut)

    def disable(self) -> None:
        """Give the keys back."""
        for shortcut in self._made:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._made.clear()
