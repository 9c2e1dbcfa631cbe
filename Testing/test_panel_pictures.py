"""The pictures of the panel, kept as artefacts: made, 380 px wide, and readable in both styles."""

from __future__ import annotations

import numpy as np
import pytest
from panel_pictures import take_all

pytest.importorskip("PySide6")


def pixels(path) -> np.ndarray:
    """(height, width, 3) of a PNG."""
    from PySide6.QtGui import QImage

    image = QImage(str(path)).convertToFormat(QImage.Format_RGB888)
    data = np.frombuffer(image.constBits(), np.uint8).copy().reshape(image.height(), image.bytesPerLine())
    return data[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)


def test_pictures_of_the_panel(pytestconfig):
    made = take_all(pytestconfig.rootpath / "artefacts" / "panel")
    assert len(made) == 8
    for path in made:
        picture = pixels(path)
        assert picture.shape[1] == 380, path
        assert (np.median(picture) < 128) == ("dark" in path.name), path
        # Nothing wider than the panel: its right edge is background from top to bottom.
        assert (picture[:, -3:] == picture[0, -1]).all(), path
