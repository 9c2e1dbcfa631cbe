"""Trained weights on their way into the manifest: names, calibration, curves, and the mean of two models."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.training.bundling import bundle, bundle_means
from LiverLesionAILab.training.recipes import MEANS, RECIPES, Recipe
from LiverLesionAILib.models.weights import MEAN, Manifest, build_network, load_network, save_weights


def trained(name: str, folder: Path) -> tuple[Recipe, str, Path]:
    """What a finished run of that recipe leaves behind, with untrained weights."""
    chosen = RECIPES[name]
    folder.mkdir()
    save_weights(build_network(chosen.network, asdict(chosen.config)), folder / "weights.pt")
    (folder / "curve.csv").write_text("step,loss\n1,0.5\n")
    return chosen, chosen.bundled_as or name, folder


def test_a_run_becomes_a_model_with_its_curve(tmp_path: Path) -> None:
    entry = bundle(*trained("mscd", tmp_path / "run"), tmp_path / "models")
    manifest = Manifest.read(tmp_path / "models")
    assert manifest.find("mscd") == entry
    assert entry.scales == RECIPES["mscd"].scales and entry.calibration == RECIPES["mscd"].calibration
    assert (tmp_path / "models" / "mscd_curve.csv").read_text().startswith("step")
    load_network(entry, manifest.folder)


def test_the_second_part_takes_the_place_of_the_first(tmp_path: Path) -> None:
    bundle(*trained("sfan", tmp_path / "first"), tmp_path / "models")
    second = bundle(*trained("sfan_finish", tmp_path / "second"), tmp_path / "models")
    manifest = Manifest.read(tmp_path / "models")
    assert [entry.name for entry in manifest.entries] == ["sfan"]
    assert manifest.find("sfan") == second
    assert second.input.magnify == 1.75 and second.scales == RECIPES["sfan_finish"].scales


def test_calibration_stays_for_the_same_input_only(tmp_path: Path) -> None:
    first = trained("sfan", tmp_path / "first")
    folder = tmp_path / "models"
    calibrated = replace(bundle(*first, folder), calibration={"tumour_threshold": 0.4})
    Manifest(folder, (calibrated,)).write()
    assert bundle(*first, folder).calibration == {"tumour_threshold": 0.4}
    assert (
        bundle(*trained("sfan_finish", tmp_path / "second"), folder).calibration["tumour_threshold"] == 0.25
    )


def test_a_mean_joins_when_all_its_members_are_there(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    bundle(*trained("sfan", tmp_path / "one"), folder)
    assert bundle_means(folder) == []
    bundle(*trained("mscd", tmp_path / "two"), folder)
    (mean,) = bundle_means(folder)
    manifest = Manifest.read(folder)
    assert [entry.name for entry in manifest.entries] == ["sfan", "mscd", "sfan_mscd"]
    assert (mean.network, mean.members, mean.file) == (MEAN, MEANS["sfan_mscd"].members, "")
    assert manifest.choose("segment").name == "sfan"


def test_the_bundled_detectors_are_what_their_recipes_train() -> None:
    for entry in Manifest.read().entries:
        chosen = RECIPES.get(entry.name)
        if chosen is None or entry.task != "detect":
            continue
        assert entry.input == chosen.spec and entry.scales == chosen.scales
        # A setting that came after the weights is at its default in them.
        known = json.loads(json.dumps({**asdict(type(chosen.config)()), **entry.config}))
        assert known == json.loads(json.dumps(asdict(chosen.config)))
        assert entry.calibration == chosen.calibration


def test_a_detector_reads_at_its_first_lesion_scale() -> None:
    entry = Manifest.read().find("va_faster_rcnn")
    assert entry.input.enlarged(entry.scales).magnify == pytest.approx(1.96)
    assert entry.input.enlarged({}) == entry.input
    assert entry.input.enlarged({"lesions": (1.2, 1.68)}).magnify == pytest.approx(1.75 * 1.2)
