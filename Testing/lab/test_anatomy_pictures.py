"""`compare livers`: sheets of anatomy to look at."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.evaluation.anatomy_pictures import (
    add_picture_arguments,
    draw_anatomy_sheet,
    front_view,
    run_pictures,
    slice_rgb,
)
from LiverLesionAILib.case.anatomy import CouinaudSegment, LiverAnatomy, Vessel
from LiverLesionAILib.support.errors import InputError
from support.evaluation_scans import write_image
from support.vessel_phantom import GRID, vessel_case

pytest.importorskip("matplotlib", reason="matplotlib is not installed")


def _write(path: Path, array: np.ndarray) -> None:
    write_image(path, array, GRID.spacing_zyx_mm, GRID.origin_lps)


def _arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_picture_arguments(parser)
    return parser.parse_args(given)


def test_a_sheet_shows_slices_segments_and_vessels(tmp_path: Path, monkeypatch) -> None:
    from LiverLesionAILab.evaluation import anatomy_pictures as pictures

    ct, result = vessel_case()
    _write(tmp_path / "one_ct.nii.gz", np.asarray(ct.hu_zyx))
    labels = np.where(result.lesion_labels_zyx > 0, 2, result.liver_zyx).astype(np.uint8)
    _write(tmp_path / "one_mask.nii.gz", labels)
    _write(tmp_path / "alone_ct.nii.gz", np.asarray(ct.hu_zyx))
    drawn, told = [], []
    draw = pictures.draw_anatomy_sheet
    monkeypatch.setattr(pictures, "draw_anatomy_sheet", lambda *given: (drawn.append(given[1]), draw(*given)))
    out = tmp_path / "out"
    arguments = _arguments(str(tmp_path), "--out", str(out))
    assert run_pictures(arguments, lambda text, share: told.append(text)) == 0
    assert [path.name for path in out.iterdir()] == ["one.png"]
    assert told == ["anatomy of one"]
    (anatomy,) = drawn
    assert anatomy.has_segments
    z = anatomy.geometry.shape_zyx[0] // 2
    rgb = slice_rgb(ct.hu_zyx[z], anatomy, z)
    assert rgb.min() >= 0 and rgb.max() <= 1
    untouched = (anatomy.segments_zyx[z] == 0) & (anatomy.vessels_zyx[z] == 0)
    # Outside the liver the picture stays grey; inside each segment has its own tint.
    assert np.ptp(rgb[untouched], axis=-1).max() == 0
    tinted = [s for s in CouinaudSegment if (anatomy.segments_zyx[z] == s).any()]
    grey = slice_rgb(ct.hu_zyx[z], replace(anatomy, segments_zyx=np.zeros_like(anatomy.segments_zyx)), z)
    assert len(tinted) > 2
    assert all(np.abs(rgb - grey)[anatomy.segments_zyx[z] == s].max() > 0.02 for s in tinted)
    front = front_view(anatomy)
    assert front.shape == (anatomy.geometry.shape_zyx[0], anatomy.geometry.shape_zyx[2], 3)
    seen = {tuple(np.round(c / c.max(), 1)) for c in front[np.ptp(front, axis=-1) > 0.05]}
    assert len(seen) > 1 and any((anatomy.vessels_zyx == v).any() for v in Vessel)


def test_a_folder_without_outlined_livers_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="NAME_mask"):
        run_pictures(_arguments(str(tmp_path), "--out", str(tmp_path / "out")))


def test_a_long_title_is_no_wider_than_its_sheet(tmp_path, monkeypatch):
    """LiTS 4's, which says that nearly all is portal, lost both of its ends."""
    import matplotlib.pyplot as plt

    shown = []
    close = plt.close

    def measured(figure):
        figure.canvas.draw()
        shown.append((figure._suptitle.get_window_extent(), figure.bbox))
        close(figure)

    monkeypatch.setattr(plt, "close", measured)
    said = "Vessels of one kind are far more than of the other: look whether names are right. " * 4
    volume, _ = vessel_case()
    draw_anatomy_sheet(volume, LiverAnatomy.blank(volume.geometry, said), tmp_path / "a.png", "a liver")
    ((title, sheet),) = shown
    assert title.x0 >= sheet.x0 and title.x1 <= sheet.x1
