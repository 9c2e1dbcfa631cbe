"""Pictures of the panel at 380 px and of the views beside it.

``python Testing/support/panel_pictures.py [FOLDER]`` (default artefacts/panel): every state of the panel,
light and dark, and the views, from made-up findings. With ``--readme`` in place of the folder: the README's
pictures, from the sample case and the bundled networks, into Resources. With ``--follow-up [FOLDER]``: a
comparison in the panel, and the views with its swipe and side by side.

The panel is drawn by the stand-in for the Slicer desktop: the layout is the form's, the frames of Slicer's
own widgets are only like the real ones. The views are drawn by Slicer's own displayable managers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# As a program it finds the helpers beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.desk import TESTING, WIDTH, Desk, add_volume, five_lesions, wanted_height
from support.follow_up_desk import Mouse, start


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
    desk.window.resize(WIDTH, max(400, wanted_height(desk)))
    desk.turn(0.05)
    path = folder / f"panel_{name}.png"
    if not desk.window.grab().save(str(path)):
        raise SystemExit(f"{path} cannot be written")
    return path


def take_all(folder: Path) -> list[Path]:
    """The panel empty, while computing, with findings, while editing and reporting; light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for style in ("light", "dark"):
        desk = Desk("steady")
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
            desk.ui.editSection.collapsed = True
            desk.ui.advancedSection.collapsed = True
            desk.ui.reportSection.collapsed = False
            made.append(take(desk, folder, f"reporting_{style}"))
        finally:
            application.setPalette(usual)
            desk.close()
    return made


def draw_views(desk: Desk, folder: Path) -> dict[str, Path]:
    """The slice and 3D views of the scene as it is now: "red", "yellow", "green", "3d"."""
    with tempfile.TemporaryDirectory() as scene:
        if not desk.scene.SaveSceneToSlicerDataBundleDirectory(scene):
            raise SystemExit("the scene cannot be saved")
        file = next(Path(scene).glob("*.mrml"))
        command = [sys.executable, str(TESTING / "support" / "view_pictures.py"), str(file), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ})
        if done.returncode:
            raise SystemExit(f"the views cannot be drawn: {done.stderr[-500:]}")
    return {name: folder / f"{name}.png" for name in ("red", "yellow", "green", "3d")}


def side_by_side(panel: Path, views: dict[str, Path], target: Path) -> Path:
    """The panel with the four views on its right, as in Slicer's window."""
    from PySide6.QtCore import QRect, Qt
    from PySide6.QtGui import QImage, QPainter

    left = QImage(str(panel))
    height = left.height()
    tile = (height * 48 // 80, height // 2)
    whole = QImage(left.width() + 2 * tile[0] + 4, height, QImage.Format_RGB888)
    whole.fill(Qt.black)
    painter = QPainter(whole)
    painter.drawImage(0, 0, left)
    for index, name in enumerate(("red", "3d", "green", "yellow")):
        image = QImage(str(views[name])).scaled(*tile, Qt.KeepAspectRatioByExpanding, Qt.SmoothTransformation)
        corner = (left.width() + 2 + (index % 2) * (tile[0] + 2), (index // 2) * (tile[1] + 2))
        cut = QRect((image.width() - tile[0]) // 2, (image.height() - tile[1]) // 2, *tile)
        painter.drawImage(*corner, image, cut.x(), cut.y(), *tile)
    painter.end()
    if not whole.save(str(target)):
        raise SystemExit(f"{target} cannot be written")
    return target


def readme_pictures(folder: Path) -> list[Path]:
    """The sample case analysed by the bundled networks: the panel with its views, and the panel's parts."""
    desk = Desk(None)
    try:
        desk.until(lambda: "PyTorch" in desk.ui.deviceLabel.text, 120)
        desk.click("sampleButton")
        desk.until(desk.idle, 120)
        desk.analyze(600)
        desk.choose(0)
        desk.click("acceptButton")
        desk.choose(1)
        desk.ui.boxesBox.checked = True
        desk.turn(1.5)
        with tempfile.TemporaryDirectory() as parts:
            desk.ui.logSection.setVisible(False)
            first = take(desk, Path(parts), "light")
            made = [side_by_side(first, draw_views(desk, Path(parts)), folder / "panel.png")]
            desk.ui.boxesBox.checked = False
            desk.ui.masksBox.checked = False
            desk.ui.mapBox.checked = True
            names = [desk.ui.mapSelector.itemText(k) for k in range(desk.ui.mapSelector.count)]
            desk.ui.mapSelector.currentIndex = names.index("tumour probability")
            desk.turn(0.5)
            second = take(desk, Path(parts), "map")
            made.append(side_by_side(second, draw_views(desk, Path(parts)), folder / "panel_map.png"))
        return made
    finally:
        desk.close()


def follow_up_pictures(folder: Path) -> list[Path]:
    """Two scans of blocks, really registered: a row dragged over another one, the swipe, side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    desk, made = Desk(), []
    try:
        for section in (desk.ui.findingsSection, desk.ui.overlaysSection, desk.ui.logSection):
            section.collapsed = True
        start(desk)
        desk.analyze()
        mouse, pairs = Mouse(desk), desk.panel.follow_up.compared.followup.pairs
        gone = next(k for k, pair in enumerate(pairs) if not pair.current)
        new = next(k for k, pair in enumerate(pairs) if not pair.prior)
        desk.ui.elsewhereEdit.text = "31.5, 28; n 16, 9"
        desk.ui.elsewhereEdit.editingFinished.emit()
        desk.turn()
        made.append(take(desk, folder, "follow_up"))
        mouse.press(mouse.at(gone))
        mouse.move(mouse.at(new))
        made.append(take(desk, folder, "follow_up_drag"))
        mouse.release(mouse.at(gone))
        desk.choose(0)
        desk.ui.swipeButton.checked = True
        desk.turn(0.1)
        # What comes and goes with a button is not saved with a scene; here it is, to be drawn.
        for index in range(desk.scene.GetNumberOfNodes()):
            desk.scene.GetNthNode(index).SetSaveWithScene(True)
        made += draw_views(desk, folder / "swipe").values()
        desk.ui.swipeButton.checked = False
        desk.ui.besideButton.checked = True
        desk.panel.follow_up._clicked(desk.panel.follow_up.model.index(0, 0))
        desk.turn(0.1)
        draw_views(desk, folder / "beside")
        return [*made, *sorted((folder / "beside").glob("*.png"))]
    finally:
        desk.close()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Pictures of the panel and of the views beside it.")
    parser.add_argument("folder", nargs="?", type=Path, help="default artefacts/panel or artefacts/follow_up")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--readme", action="store_true", help="the README's pictures, into Resources")
    which.add_argument("--follow-up", action="store_true", help="a comparison, with swipe and side by side")
    args = parser.parse_args(arguments)
    root = TESTING.parent
    if args.readme:
        made = readme_pictures(root / "Resources")
    elif args.follow_up:
        made = follow_up_pictures(args.folder or root / "artefacts" / "follow_up")
    else:
        made = take_all(args.folder or root / "artefacts" / "panel")
    for path in made:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
