"""Pictures of the panel at 380 px: ``python Testing/panel_pictures.py [FOLDER]`` (default artefacts/panel).

Drawn by the stand-in for the Slicer desktop in a light and a dark style: the layout is the form's, the frames
of Slicer's own widgets are only like the real ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

from desk import Desk, add_volume, five_lesions


def dark_palette():
    """A palette like Slicer's dark style."""
    from PySide6.QtGui import QColor, QPalette

    palette = QPalette()
    tones = {
        QPalette.Window: "#323232",
        QPalette.Base: "#242424",
        QPalette.AlternateBase: "#2d2d2d",
        QPalette.Button: "#3c3c3c",
        QPalette.WindowText: "#e8e8e8",
        QPalette.Text: "#e8e8e8",
        QPalette.ButtonText: "#e8e8e8",
        QPalette.ToolTipBase: "#3c3c3c",
        QPalette.ToolTipText: "#e8e8e8",
        QPalette.PlaceholderText: "#8c8c8c",
        QPalette.Highlight: "#2f7fb5",
        QPalette.HighlightedText: "#ffffff",
        QPalette.Mid: "#555555",
        QPalette.Dark: "#1e1e1e",
    }
    for role, tone in tones.items():
        palette.setColor(role, QColor(tone))
    for role in (QPalette.WindowText, QPalette.Text, QPalette.ButtonText):
        palette.setColor(QPalette.Disabled, role, QColor("#808080"))
    return palette


def take(desk: Desk, folder: Path, name: str) -> Path:
    """Save the panel as it looks now, as high as it wants to be."""
    desk.turn(0.3)
    desk.window.resize(380, max(400, desk.window.layout().sizeHint().height()))
    desk.turn(0.05)
    path = folder / f"panel_{name}.png"
    if not desk.window.grab().save(str(path)):
        raise SystemExit(f"{path} cannot be written")
    return path


def take_all(folder: Path) -> list[Path]:
    """The panel empty, while computing, with findings, while editing, with a message; light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for style in ("light", "dark"):
        desk = Desk("slow")
        application = desk.application
        usual = application.palette()
        try:
            if style == "dark":
                application.setPalette(dark_palette())
            desk.until(lambda d=desk: "CPU" in d.ui.deviceLabel.text)
            made.append(take(desk, folder, f"empty_{style}"))
            add_volume("CT abdomen portal venous 3 mm", five_lesions())
            desk.turn(0.1)
            desk.ui.analyzeButton.click()
            desk.until(lambda d=desk: "s left" in d.ui.stageLabel.text)
            made.append(take(desk, folder, f"running_{style}"))
            desk.ui.analyzeButton.click()
            desk.until(desk.idle)
            desk.panel.queue._client.stop()
            desk.panel.queue._client._command = Desk.command("truth")
            desk.analyze()
            desk.ui.thresholdSlider.value = 0.3
            desk.turn()
            for button in ("nextButton", "acceptButton", "nextButton", "rejectButton", "nextButton"):
                getattr(desk.ui, button).click()
                desk.turn()
            desk.ui.mapBox.checked = True
            desk.panel.show_message("")
            made.append(take(desk, folder, f"findings_{style}"))
            desk.ui.overlaysSection.collapsed = True
            desk.ui.editSection.collapsed = False
            desk.ui.advancedSection.collapsed = False
            desk.panel.queue._client._command = Desk.command("memory")
            desk.panel.queue._client.stop()
            desk.analyze()
            made.append(take(desk, folder, f"editing_{style}"))
        finally:
            application.setPalette(usual)
            desk.close()
    return made


if __name__ == "__main__":
    target = (
        Path(sys.argv[1])
        if len(sys.argv) > 1
        else Path(__file__).resolve().parents[1] / "artefacts" / "panel"
    )
    for path in take_all(target):
        print(path)
