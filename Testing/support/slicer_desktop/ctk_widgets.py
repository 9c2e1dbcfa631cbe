"""The widgets of ``ctk`` that the panel uses."""

from __future__ import annotations

from PySide6 import QtCore, QtGui, QtWidgets


class ctkCollapsibleButton(QtWidgets.QWidget):
    """A headline that opens and closes what is below it."""

    contentsCollapsed = QtCore.Signal(bool)
    toggled = QtCore.Signal(bool)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._collapsed = False

    def _get_text(self) -> str:
        return self._text

    def _set_text(self, text: str) -> None:
        self._text = text
        self.update()

    def _get_collapsed(self) -> bool:
        return self._collapsed

    def _set_collapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget):
                child.setVisible(not collapsed)
        self.updateGeometry()
        self.update()
        self.contentsCollapsed.emit(collapsed)
        self.toggled.emit(not collapsed)

    text = QtCore.Property(str, _get_text, _set_text)
    collapsed = QtCore.Property(bool, _get_collapsed, _set_collapsed)
    checked = QtCore.Property(
        bool, lambda self: not self._collapsed, lambda self, on: self._set_collapsed(not on)
    )

    def click(self) -> None:
        self._set_collapsed(not self._collapsed)

    def childEvent(self, event: QtCore.QChildEvent) -> None:
        super().childEvent(event)
        if event.added() and self._collapsed and isinstance(event.child(), QtWidgets.QWidget):
            event.child().setVisible(False)

    def _header(self) -> int:
        return self.fontMetrics().height() + 8

    def make_room(self) -> None:
        """Keep the layout below the headline; the loader calls this when the contents are in."""
        if self.layout() is not None:
            self.layout().setContentsMargins(6, self._header() + 4, 6, 4)

    def sizeHint(self) -> QtCore.QSize:
        if self._collapsed or self.layout() is None:
            return QtCore.QSize(100, self._header())
        return self.layout().sizeHint()

    minimumSizeHint = sizeHint

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        option = QtWidgets.QStyleOptionButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(0, 0, self.width, self._header())
        style = self.style()
        style.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, option, painter, self)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, (self._header() - 10) // 2, 10, 10)
        element = QtWidgets.QStyle.PrimitiveElement
        style.drawPrimitive(
            element.PE_IndicatorArrowRight if self._collapsed else element.PE_IndicatorArrowDown,
            arrow,
            painter,
            self,
        )
        painter.setPen(option.palette.color(QtGui.QPalette.ColorRole.ButtonText))
        painter.drawText(
            QtCore.QRect(24, 0, self.width - 28, self._header()),
            QtCore.Qt.AlignmentFlag.AlignVCenter,
            self._text,
        )
        painter.end()

    def mousePressEvent(self, event: QtGui.QMouseEvent) -> None:
        if event.position().y() < self._header():
            self.click()


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider with a spin box."""

    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, 1000)
        self._box = QtWidgets.QDoubleSpinBox(self)
        self._box.setRange(0.0, 99.0)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._box)
        self._tracking = True
        self._slider.valueChanged.connect(self._from_slider)
        self._box.valueChanged.connect(self._from_box)

    def _from_slider(self, position: int) -> None:
        low, high = self._box.minimum, self._box.maximum
        self._box.value = low + (high - low) * position / 1000

    def _from_box(self, value: float) -> None:
        self._place()
        self.valueChanged.emit(value)

    def _place(self) -> None:
        low, high = self._box.minimum, self._box.maximum
        self._slider.blockSignals(True)
        self._slider.value = round(1000 * (self._box.value - low) / max(high - low, 1e-12))
        self._slider.blockSignals(False)

    def _forward(name: str, kind: type):  # type: ignore[no-untyped-def,misc]
        def write(self, value):  # type: ignore[no-untyped-def]
            setattr(self._box, name, value)
            self._place()

        return QtCore.Property(kind, lambda self: getattr(self._box, name), write)

    value = _forward("value", float)
    minimum = _forward("minimum", float)
    maximum = _forward("maximum", float)
    singleStep = _forward("singleStep", float)
    decimals = _forward("decimals", int)
    suffix = _forward("suffix", str)
    prefix = _forward("prefix", str)

    def _set_tracking(self, on: bool) -> None:
        self._tracking = on
        self._slider.tracking = on
        self._box.keyboardTracking = on

    tracking = QtCore.Property(bool, lambda self: self._tracking, _set_tracking)

    def setValue(self, value: float) -> None:
        self.value = value


WIDGETS = {cls.__name__: cls for cls in (ctkCollapsibleButton, ctkSliderWidget)}


class ctkMessageBox(QtWidgets.QMessageBox):
    """Never opens in a test: what a test wants answered is put into `answers` before."""

    answers: list[int] = []  # noqa: RUF012

    def exec_(self) -> int:
        if not self.answers:
            raise AssertionError(f"An unexpected dialog: {self.text}")
        return self.answers.pop(0)
