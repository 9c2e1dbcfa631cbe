"""Draws the extension's icon and the panel's button icons.

``python Resources/draw_icons.py`` (needs PySide6).

Strokes have a middle tone that is seen on Slicer's light and dark style.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QGuiApplication, QImage, QPainter, QPainterPath, QPen

ROOT = Path(__file__).resolve().parents[1]
ICONS = ROOT / "LiverLesionAI" / "Resources" / "Icons"
TONE = QColor("#4a90a4")
GREEN = QColor("#3c9d5b")
RED = QColor("#cc5a4a")
AMBER = QColor("#c98a1b")
LIVER = QColor("#b08968")
LIVER_EDGE = QColor("#7f5539")


def pen(colour: QColor, width: float) -> QPen:
    return QPen(colour, width, Qt.SolidLine, Qt.RoundCap, Qt.RoundJoin)


def liver_path() -> QPainterPath:
    """A liver seen from the front, in a 128 x 128 field.

    Large right lobe on the left, thin left lobe on the right.
    """
    path = QPainterPath(QPointF(10, 62))
    path.cubicTo(12, 34, 34, 20, 60, 24)
    path.cubicTo(82, 27, 104, 26, 120, 38)
    path.cubicTo(122, 50, 106, 60, 90, 64)
    path.cubicTo(78, 68, 74, 74, 66, 84)
    path.cubicTo(56, 98, 42, 112, 24, 106)
    path.cubicTo(12, 100, 9, 80, 10, 62)
    return path


def module_icon(p: QPainter) -> None:
    p.setPen(pen(LIVER_EDGE, 4))
    p.setBrush(QBrush(LIVER))
    p.drawPath(liver_path())
    p.setPen(pen(QColor("#e9d8c4"), 3))
    p.setBrush(Qt.NoBrush)
    vessel = QPainterPath(QPointF(70, 60))
    vessel.cubicTo(60, 52, 48, 50, 36, 38)
    vessel.moveTo(70, 60)
    vessel.cubicTo(82, 52, 92, 48, 106, 44)
    p.drawPath(vessel)
    for x, y, radius, colour in ((40, 74, 15, RED), (84, 40, 8, AMBER)):
        p.setPen(Qt.NoPen)
        p.setBrush(QBrush(colour))
        p.drawEllipse(QPointF(x, y), radius, radius)
    p.setBrush(Qt.NoBrush)
    p.setPen(pen(QColor("#16697a"), 5))
    corners = ((18, 52, 1, 1), (62, 52, -1, 1), (18, 96, 1, -1), (62, 96, -1, -1))
    for x, y, dx, dy in corners:
        p.drawLine(QPointF(x, y), QPointF(x + 10 * dx, y))
        p.drawLine(QPointF(x, y), QPointF(x, y + 10 * dy))


def arrow(direction: int) -> Callable[[QPainter], None]:
    def draw(p: QPainter) -> None:
        p.setPen(pen(TONE, 12))
        p.drawPolyline(
            [
                QPointF(64 - 18 * direction, 28),
                QPointF(64 + 22 * direction, 64),
                QPointF(64 - 18 * direction, 100),
            ]
        )

    return draw


def tick(p: QPainter) -> None:
    p.setPen(pen(GREEN, 14))
    p.drawPolyline([QPointF(24, 68), QPointF(52, 98), QPointF(104, 30)])


def cross(p: QPainter) -> None:
    p.setPen(pen(RED, 14))
    p.drawLine(QPointF(30, 30), QPointF(98, 98))
    p.drawLine(QPointF(98, 30), QPointF(30, 98))


def pencil(p: QPainter) -> None:
    p.setPen(pen(AMBER, 10))
    p.drawPolygon([QPointF(26, 102), QPointF(34, 74), QPointF(86, 22), QPointF(106, 42), QPointF(54, 94)])
    p.drawLine(QPointF(74, 36), QPointF(92, 54))


def spark(p: QPainter) -> None:
    """The AI's own finding: a ring of dots round one."""
    p.setPen(Qt.NoPen)
    p.setBrush(QBrush(TONE))
    p.drawEllipse(QPointF(64, 64), 18, 18)
    for k in range(6):
        angle = k * math.pi / 3
        p.drawEllipse(QPointF(64 + 44 * math.cos(angle), 64 + 44 * math.sin(angle)), 8, 8)


def plus(p: QPainter) -> None:
    p.setPen(pen(GREEN, 14))
    p.drawLine(QPointF(64, 24), QPointF(64, 104))
    p.drawLine(QPointF(24, 64), QPointF(104, 64))


def correct(p: QPainter) -> None:
    """An outline with what is too much in it, and what is missing beside it."""
    p.setPen(pen(TONE, 10))
    p.drawEllipse(QPointF(50, 74), 38, 38)
    p.setPen(pen(RED, 10))
    p.drawLine(QPointF(36, 74), QPointF(64, 74))
    p.setPen(pen(GREEN, 10))
    p.drawLine(QPointF(104, 12), QPointF(104, 44))
    p.drawLine(QPointF(88, 28), QPointF(120, 28))


def merge(p: QPainter) -> None:
    p.setPen(pen(TONE, 10))
    path = QPainterPath()
    path.addEllipse(QPointF(46, 64), 30, 30)
    other = QPainterPath()
    other.addEllipse(QPointF(82, 64), 30, 30)
    p.drawPath(path.united(other))


def split(p: QPainter) -> None:
    p.setPen(pen(TONE, 10))
    p.drawArc(QRectF(16, 34, 60, 60), 60 * 16, 240 * 16)
    p.drawArc(QRectF(52, 34, 60, 60), -120 * 16, 240 * 16)
    p.setPen(QPen(RED, 8, Qt.DashLine, Qt.RoundCap))
    p.drawLine(QPointF(64, 16), QPointF(64, 114))


def trash(p: QPainter) -> None:
    p.setPen(pen(RED, 9))
    p.drawLine(QPointF(24, 34), QPointF(104, 34))
    p.drawPolyline([QPointF(34, 36), QPointF(40, 106), QPointF(88, 106), QPointF(94, 36)])
    p.drawPolyline([QPointF(50, 32), QPointF(52, 20), QPointF(76, 20), QPointF(78, 32)])
    for x in (54, 74):
        p.drawLine(QPointF(x, 52), QPointF(x, 90))


def turn(direction: int) -> Callable[[QPainter], None]:
    def draw(p: QPainter) -> None:
        if direction < 0:
            p.translate(128, 0)
            p.scale(-1, 1)
        p.setPen(pen(TONE, 12))
        path = QPainterPath(QPointF(30, 52))
        path.lineTo(78, 52)
        path.cubicTo(116, 52, 116, 104, 78, 104)
        path.lineTo(50, 104)
        p.drawPath(path)
        p.drawPolyline([QPointF(52, 28), QPointF(28, 52), QPointF(52, 76)])

    return draw


def sample(p: QPainter) -> None:
    p.setPen(pen(LIVER_EDGE, 5))
    p.setBrush(QBrush(LIVER))
    p.drawPath(liver_path())
    p.setBrush(QBrush(RED))
    p.setPen(Qt.NoPen)
    p.drawEllipse(QPointF(42, 70), 16, 16)


def report(p: QPainter) -> None:
    """A sheet with a folded corner and lines."""
    p.setPen(pen(TONE, 10))
    sheet = [(76, 16), (28, 16), (28, 112), (100, 112), (100, 40), (76, 16), (76, 40), (100, 40)]
    p.drawPolyline([QPointF(x, y) for x, y in sheet])
    for y in (62, 78, 94):
        p.drawLine(QPointF(48, y), QPointF(80, y))


def queue(p: QPainter) -> None:
    p.setPen(pen(TONE, 10))
    for y in (32, 64, 96):
        p.drawLine(QPointF(48, y), QPointF(108, y))
        p.drawPoint(QPointF(24, y))


def not_liver(p: QPainter) -> None:
    """A liver with a stroke through it."""
    p.setPen(pen(LIVER_EDGE, 9))
    p.drawPath(liver_path())
    p.setPen(pen(RED, 11))
    p.drawLine(QPointF(28, 108), QPointF(100, 20))


def treated(p: QPainter) -> None:
    """A zone round the tip of a needle."""
    p.setPen(pen(TONE, 10))
    p.drawEllipse(QPointF(48, 76), 32, 32)
    p.setPen(pen(GREEN, 11))
    p.drawLine(QPointF(48, 76), QPointF(106, 18))


BUTTONS: dict[str, Callable[[QPainter], None]] = {
    "Previous": arrow(-1),
    "Next": arrow(1),
    "StatusAI": spark,
    "StatusAccepted": tick,
    "StatusRejected": cross,
    "StatusEdited": pencil,
    "StatusNotLiver": not_liver,
    "StatusTreated": treated,
    "Add": plus,
    "Correct": correct,
    "Merge": merge,
    "Split": split,
    "Delete": trash,
    "Undo": turn(1),
    "Redo": turn(-1),
    "Sample": sample,
    "Queue": queue,
    "Report": report,
}


def white(paint: Callable[[QPainter], None]) -> Callable[[QPainter], None]:
    """The same drawing in white, for rows that are selected."""

    def draw_white(p: QPainter) -> None:
        paint(p)
        p.resetTransform()
        p.setCompositionMode(QPainter.CompositionMode_SourceIn)
        p.fillRect(p.viewport(), QColor("white"))

    return draw_white


def draw(path: Path, size: int, paint: Callable[[QPainter], None]) -> None:
    image = QImage(size, size, QImage.Format_ARGB32_Premultiplied)
    image.fill(Qt.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.Antialiasing)
    painter.scale(size / 128, size / 128)
    paint(painter)
    painter.end()
    if not image.save(str(path)):
        raise SystemExit(f"{path} cannot be written")


def main() -> None:
    application = QGuiApplication([])
    ICONS.mkdir(parents=True, exist_ok=True)
    draw(ROOT / "LiverLesionAI.png", 128, module_icon)
    draw(ICONS / "LiverLesionAI.png", 64, module_icon)
    for name, paint in BUTTONS.items():
        draw(ICONS / f"{name}.png", 48, paint)
        if name.startswith("Status"):
            draw(ICONS / f"{name}Selected.png", 48, white(paint))
    del application


if __name__ == "__main__":
    main()
