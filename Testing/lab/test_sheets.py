"""Sheets on which synthetic bodies, lesions and distractors lie beside real scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from LiverLesionAILab.synthesis import contact_sheet, lesion_sheet
from LiverLesionAILab.synthesis.body import BodySettings, make_body
from support.evaluation_scans import write_image
from support.vessel_phantom import GRID, vessel_case

pytest.importorskip("matplotlib", reason="matplotlib is not installed")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one scan of a drawn body, its liver and two lesions outlined."""
    folder = tmp_path_factory.mktemp("data")
    ct, result = vessel_case()
    labels = np.where(result.lesion_labels_zyx > 0, 2, result.liver_zyx).astype(np.uint8)
    for name, array in (("ct", np.asarray(ct.hu_zyx)), ("mask", labels)):
        path = folder / "lits" / f"lits001_{name}.nii.gz"
        write_image(path, array, GRID.spacing_zyx_mm, GRID.origin_lps)
    return folder


def _pixels(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_lesions_lie_beside_real_ones_of_the_same_scan(data, tmp_path, capsys, monkeypatch) -> None:
    shown = {}
    crops = lesion_sheet._crops

    def watched(hu: np.ndarray, labels: np.ndarray, spacing: tuple, most: int) -> list:
        made = crops(hu, labels, spacing, most)
        shown[len(shown)] = made
        return made

    monkeypatch.setattr(lesion_sheet, "_crops", watched)
    out = tmp_path / "lesions.png"
    assert lesion_sheet.main([str(out), "--data", str(data), "--spacing", "3", "--seed", "2"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    real, synthetic = shown[0], shown[1]
    assert len(real) == 2 and synthetic
    for crop, outline in (*real, *synthetic):
        assert crop.shape == outline.shape and outline.any()
        # What is outlined differs from the liver around it.
        assert abs(crop[outline].mean() - np.median(crop[~outline & (crop > 80)])) > 3
    assert _pixels(out).std() > 10


def test_every_distractor_has_its_picture(data, tmp_path, monkeypatch) -> None:
    picked = dict(list(lesion_sheet.MAKERS.items())[:3])
    monkeypatch.setattr(lesion_sheet, "MAKERS", picked)
    drawn = []
    add = lesion_sheet.add_distractors

    def watched(hu: np.ndarray, *given: object, **named: object) -> object:
        made = add(hu, *given, **named)
        drawn.append(bool((made.hu_zyx != hu).any()))
        return made

    monkeypatch.setattr(lesion_sheet, "add_distractors", watched)
    out = tmp_path / "distractors.png"
    assert lesion_sheet.main([str(out), "--data", str(data), "--spacing", "3", "--distractors"]) == 0
    assert len(drawn) == 3 and any(drawn) and _pixels(out).std() > 10


def test_without_real_scans_the_sheet_of_lesions_says_so(tmp_path, capsys) -> None:
    assert lesion_sheet.main([str(tmp_path / "a.png"), "--data", str(tmp_path)]) == 2
    assert "give the folder of the real scans" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


@pytest.fixture(scope="module")
def body() -> object:
    """A synthetic body on coarse voxels."""
    settings = BodySettings(spacing_zyx_mm=(5.0, 3.0, 3.0), top_mm=20.0, bottom_mm=-200.0)
    return make_body(np.random.default_rng(3), settings)


def test_bodies_lie_beside_real_scans_with_their_figures(data, body, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(contact_sheet, "make_body", lambda *_: body)
    out = tmp_path / "bodies.png"
    assert contact_sheet.main(["--out", str(out), "--bodies", "1", "--data", str(data)]) == 0
    text = capsys.readouterr().out
    assert f"seed 0: {body.phase.value}" in text and "lits001" in text and f"Sheet: {out}" in text
    liver = float(np.median(body.hu_zyx[body.liver_zyx]))
    assert f"liver {liver:.0f} (" in text and "spleen" in text
    # Of the drawn body the liver alone is known, without its tumours; its noise has an SD of 6 HU.
    own = next(line for line in text.splitlines() if line.startswith("lits001"))
    assert "liver 110 (" in own and "spleen" not in own
    assert _pixels(out).std() > 10


def test_without_real_scans_the_sheet_of_bodies_shows_synthetic_ones(
    body, tmp_path, capsys, monkeypatch
) -> None:
    monkeypatch.setattr(contact_sheet, "make_body", lambda *_: body)
    out = tmp_path / "bodies.png"
    words = ["--out", str(out), "--bodies", "1", "--phantoms", "--data", str(tmp_path)]
    assert contact_sheet.main(words) == 0
    assert "No real scans" in capsys.readouterr().out and out.is_file()
