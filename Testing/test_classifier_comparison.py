"""The comparison command on a tiny set in SynthLiver-1's layout: runs, keeps what is there, prints both."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.ct import Geometry  # noqa: E402
from LiverLesionAILib.errors import LiverLesionAIError  # noqa: E402
from LiverLesionAILib.evaluation.classifier_comparison import (  # noqa: E402
    COLUMNS,
    PUBLISHED,
    add_classifier_arguments,
    run_compare_classifiers,
    set_sources,
    table_text,
)
from LiverLesionAILib.inputs import InputSpec  # noqa: E402
from LiverLesionAILib.networks.dadrn import CLASSES, VARIANTS  # noqa: E402
from LiverLesionAILib.synthesis.synthliver.classes import COLUMNS as TABLE  # noqa: E402
from LiverLesionAILib.synthesis.synthliver.volumes import write_nifti  # noqa: E402
from LiverLesionAILib.training.classes import LESION_BIT, LIVER_BIT, ClassSettings  # noqa: E402
from LiverLesionAILib.training.readers.synthliver import read_class_slices  # noqa: E402


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    rows = []
    y, x = np.indices((70, 80))
    liver = np.hypot(y - 35, x - 40) < 28
    for split in ("train", "test"):
        for index, kind in enumerate(CLASSES):
            hu = np.where(liver, 75, -100) + np.random.default_rng(index).normal(0, 4, liver.shape)
            labels = liver.astype(np.uint8)
            if index:
                lesion = np.hypot(y - 30, x - 50) < 6 + index
                hu[lesion] += (-60, 30, 60, 90)[index - 1]
                labels[lesion] = 2
            name = f"{split}_{kind}"
            geometry = Geometry.make((3, 70, 80), (2.5, 2.0, 2.0))
            for what, array in (("images", hu), ("masks", labels)):
                volume = np.repeat(array[None], 3, axis=0).astype(np.int16 if what == "images" else np.uint8)
                path = folder / "classes" / what / f"{name}.nii.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_nifti(volume, geometry, path)
            values = (name, name, kind, split, split, f"{4.0 * (labels == 2).sum():.1f}")
            rows.append(dict(zip(TABLE, values, strict=True)))
    with open(folder / "classes" / "classes.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, TABLE)
        writer.writeheader()
        writer.writerows(rows)
    return folder


def main(options: list[str]) -> int:
    parser = argparse.ArgumentParser()
    add_classifier_arguments(parser)
    return run_compare_classifiers(parser.parse_args(options))


def test_examples_as_a_sampler_takes_them(tiny_set: Path) -> None:
    spec = InputSpec((3.0, 1.0, 1.0), (-40.0, 220.0), 3)
    sources = set_sources(read_class_slices(tiny_set, "train"), ClassSettings(spec, canvas=120))
    assert [int(s.labels[0]) for s in sources] == [0, 1, 2, 3, 4]
    for source in sources:
        assert source.data.shape == (1, 4, 120, 120)
        liver = (source.data[0, 3] & LIVER_BIT) > 0
        # 28 pixels of 2 mm are 56 of 1 mm; beyond the canvas's edge it is cut.
        assert liver.sum() == pytest.approx(np.pi * 56**2, rel=0.03)
        assert ((source.data[0, 3] & LESION_BIT) > 0).any() == (source.labels[0] > 0)


def test_the_command(tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    options = [str(tiny_set), "--out", str(tmp_path), "--variants", "DRN50,DADR50-B", "--seeds", "1"]
    options += ["--divisions", "2", "--steps", "3"]
    assert main(options) == 0
    text = (tmp_path / "comparison.txt").read_text()
    assert text in capsys.readouterr().out
    assert "DADR50-B" in text and "0.869" in text and "true \\ said" in text
    record = json.loads((tmp_path / "comparison.json").read_text())
    assert set(record["runs"]) == {"DRN50", "DADR50-B"}
    kept = tmp_path / "DRN50-division2-seed0" / "result.json"
    changed = json.loads(kept.read_text())
    changed["figures"]["accuracy"] = 0.125
    kept.write_text(json.dumps(changed))
    assert main(options) == 0
    assert "DRN50-division2-seed0: accuracy 0.125" in capsys.readouterr().out, "a run that is there is kept"
    with pytest.raises(LiverLesionAIError, match="no variant RESNET"):
        main([*options[:4], "RESNET"])


def test_the_table_has_the_mean_of_the_runs_and_the_published_figures() -> None:
    runs = [{"accuracy": 0.5, "FNH": 0.2}, {"accuracy": 0.7, "FNH": 0.4}]
    lines = table_text({"CADR50-A": runs}).splitlines()
    assert "0.600 (0.100)" in lines[1] and "0.300 (0.100)" in lines[1]
    assert "0.859" in lines[2] and "0.853" in lines[2]
    assert len(lines) == 3


def test_every_variant_has_published_figures() -> None:
    assert set(PUBLISHED) == set(VARIANTS)
    assert all(set(figures) <= set(COLUMNS) for figures in PUBLISHED.values())
    assert PUBLISHED["DADR50-B"]["accuracy"] == 0.8690 and PUBLISHED["DRN50"]["at HEM"] == 0.3798
