"""The pictures of the panel, kept as artefacts: made, 380 px wide, and readable in both styles."""

from __future__ import annotations

import numpy as np
import pytest
from support.desk import Desk, add_volume, five_lesions
from support.panel_pictures import draw_views, side_by_side, take, take_all

pytest.importorskip("PySide6")


def pixels(path) -> np.ndarray:
    """(height, width, 3) of a PNG."""
    from PySide6.QtGui import QImage

    image = QImage(str(path)).convertToFormat(QImage.Format_RGB888)
    data = np.frombuffer(image.constBits(), np.uint8).copy().reshape(image.height(), image.bytesPerLine())
    return data[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


def test_pictures_of_the_panel(pytestconfig):
    made = take_all(pytestconfig.rootpath / "artefacts" / "panel")
    assert len(made) == 10
    for path in made:
        picture = pixels(path)
        assert picture.shape[1] == 380, path
        assert (np.median(picture) < 128) == ("dark" in path.name), path
        # Nothing wider than the panel: its right edge is background from top to bottom.
        assert (picture[:, -3:] == picture[0, -1]).all(), path


def share(picture: np.ndarray, colour: tuple[float, float, float], within: int = 40) -> float:
    """Share of a picture's pixels that are about this colour (0..1 each)."""
    distance = np.abs(picture.astype(int) - np.round(255 * np.array(colour))).max(axis=2)
    return float((distance < within).mean())


def test_pictures_of_the_views(pytestconfig, tmp_path):
    """Masks, boxes, diameters, map, legend and surfaces are really seen, in Slicer's own views."""
    pytest.importorskip("trame_slicer", reason="Slicer's views without a display are not installed")
    from LiverLesionAILib.case.colours import lesion_colour

    folder = pytestconfig.rootpath / "artefacts" / "panel"
    desk = Desk("truth")
    try:
        volume = add_volume("CT", five_lesions())
        volume.GetDisplayNode().SetAutoWindowLevel(False)
        volume.GetDisplayNode().SetWindowLevel(4000.0, 2000.0)
        desk.turn()
        desk.analyze()
        desk.ui.mapBox.checked = True
        desk.choose(0)
        desk.turn(1.2)
        panel = take(desk, tmp_path, "views")
        views = draw_views(desk, folder / "views")
        made = side_by_side(panel, views, folder / "panel_and_views.png")
        shown = {name: pixels(path) for name, path in views.items()}
        desk.ui.hideAllButton.click()
        desk.turn(0.1)
        hidden = {name: pixels(path) for name, path in draw_views(desk, tmp_path / "off").items()}
    finally:
        desk.close()
    for name in shown:
        changed = np.abs(shown[name].astype(int) - hidden[name]).max(axis=2) > 20
        assert changed.mean() > 0.05, name
    red, bare = shown["red"], hidden["red"]
    # The outline in the lesion's colour, the white diameters with their label, the legend's red.
    for colour, least in ((lesion_colour(1), 0.002), ((1, 1, 1), 0.0005), ((1, 0, 0), 0.0005)):
        assert share(red, colour, 30) > least, colour
        assert share(bare, colour, 30) < least / 5, colour
    assert pixels(made).shape[1] > 1000
