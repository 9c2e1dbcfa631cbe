"""The comparison command on a tiny set in SynthLiver-1's layout: runs, keeps what is there, prints both."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.compare.classifier_tables import (
    COLUMNS,
    PUBLISHED,
    difference_text,
    paired_class_gain,
    paired_text,
    table_text,
)
from LiverLesionAILab.compare.classifiers import (
    Bench,
    Division,
    add_classifier_arguments,
    run_compare_classifiers,
    set_sources,
)
from LiverLesionAILab.data.synthliver import read_class_slices
from LiverLesionAILab.evaluation.class_models import network_classifier
from LiverLesionAILab.synthesis.synthliver.classes import COLUMNS as TABLE
from LiverLesionAILab.synthesis.synthliver.volumes import write_nifti
from LiverLesionAILab.training.classes import LESION_BIT, LIVER_BIT, ClassSettings
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.networks.dadrn import CLASSES, SIZES, VARIANTS, Dadrn, variant
from LiverLesionAILib.support.errors import LiverLesionAIError
from LiverLesionAILib.volume.ct import Geometry


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
    assert main(["--rows", str(tmp_path / "rows.json.gz")]) == 0
    assert capsys.readouterr().out == text, "from the kept rows alone"
    with pytest.raises(LiverLesionAIError, match="data: give it"):
        main([])
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
    with pytest.raises(LiverLesionAIError, match=r"trunk\.pt"):
        main([*options, "--start", str(tmp_path / "trunk.pt")])


def test_all_variants_start_from_what_fits_of_one_network(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trunk is there before the first step; what has no counterpart starts anew."""
    torch.manual_seed(5)
    trunk = Dadrn(variant("DRN50", SIZES["compact"]))
    start = tmp_path / "trunk.pt"
    torch.save(trunk.state_dict(), start)
    seen: dict[str, Dadrn] = {}

    def train(network: Dadrn, batches: object, settings: object, folder: Path, **options: object) -> Dadrn:
        seen[folder.name.split("-division")[0]] = network
        return network.eval()

    monkeypatch.setattr("LiverLesionAILab.training.classify.train", train)
    options = [str(tiny_set), "--out", str(tmp_path), "--variants", "DADR50-B,SEResnet50", "--seeds", "1"]
    assert main([*options, "--divisions", "1", "--steps", "2", "--start", str(start)]) == 0
    for name, part in (("DADR50-B", "groups.3.0.body.0.0"), ("SEResnet50", "groups.0.0.body.0.0")):
        own = dict(seen[name].backbone.named_parameters())
        known = dict(trunk.backbone.named_parameters())
        assert own[f"{part}.weight"].equal(known[f"{part}.weight"]), name
    for network in seen.values():
        assert not torch.equal(network.classify.weight[:, :128], trunk.classify.weight), "anew in all of them"
    assert not seen["DADR50-B"].spatial.beta.any()
    assert "other livers" in (tmp_path / "comparison.txt").read_text()


def test_variants_share_batches_and_prepared_slices(tiny_set: Path) -> None:
    chosen = recipe("dadrn")
    division = Division(tiny_set, 1, ClassSettings(chosen.spec))
    bench = Bench(division, chosen)
    images, labels = bench.batch(4, 3)
    assert images.shape == (3, 3, 160, 160) and images.dtype == torch.float32
    bench._sampler = None
    again, same = bench.batch(4, 3)
    assert again.equal(images) and same.equal(labels)
    network = Dadrn(variant("DRN50", SIZES["compact"])).eval()
    one = division.test[3]
    kept = network_classifier(network, bench.chosen.spec, prepared=division.prepared)
    first = kept(one, one.load())
    assert list(division.prepared) == [one.name] and one.load() is one.load()
    alone = network_classifier(network, bench.chosen.spec)(one, one.load())
    for found in (kept(one, one.load()), alone):
        assert np.allclose(found.probabilities, first.probabilities, atol=1e-6)
        assert np.allclose(found.attention_yx, first.attention_yx, atol=1e-6)


def test_intervals_of_kept_slices_are_over_patients() -> None:
    patient, truth = list("aabbccdd"), [0, 1, 0, 1, 0, 1, 0, 1]

    def record(said: list[int]) -> dict[str, object]:
        names = [f"s{k}" for k in range(8)]
        return {"slices": {"name": names, "patient": patient, "truth": truth, "said": said}}

    plain, better = record([0, 0, 0, 0, 0, 0, 0, 1]), record([0, 1, 0, 1, 0, 1, 0, 1])
    gain = paired_class_gain([better["slices"]], [plain["slices"]])
    assert gain.value == pytest.approx(0.375) and gain.n_patients == 4
    # Of four patients three gain half of one of two classes' slices each.
    assert 0.0 <= gain.low <= 0.25 and gain.high == pytest.approx(0.5)
    text = paired_text({"DRN50": {"r": plain}, "DADR50-B": {"r": better}, "CADR50-A": {"r": {}}})
    assert f"+0.375 [{gain.low:.3f}, 0.500]" in text and "CADR50-A" not in text
    assert paired_text({"DADR50-B": {"r": better}}) == ""


def test_differences_are_within_a_run() -> None:
    results = {
        "DRN50": {"a": {"class mean": 0.5}, "b": {"class mean": 0.7}},
        "CADR50-A": {"a": {"class mean": 0.6}, "b": {"class mean": 0.68}},
        "CADR50-B": {"a": {"class mean": 0.59}, "b": {"class mean": 0.69}},
        "DADR50-B": {"b": dict.fromkeys(CLASSES, 0.9)},
    }
    text = difference_text(results)
    assert "+0.040   0.060     1 of 2     +0.051" in text
    # Of a run that kept the classes alone; the paper's blank cell follows from its classes too.
    assert "+0.200   0.000     1 of 1     +0.061" in text
    assert "CADR50-A minus -B         +0.000   0.010     1 of 2     +0.029   sigmoid over softmax" in text
    assert "DADR50-B comes 1. of 4" in text
    assert difference_text({"CADR50-A": results["CADR50-A"]}) == ""


def test_the_table_has_the_mean_of_the_runs_and_the_published_figures() -> None:
    runs = [
        {"accuracy": 0.5, "class mean": 0.4, "FNH": 0.2},
        {"accuracy": 0.7, "class mean": 0.6, "FNH": 0.4},
    ]
    lines = table_text({"CADR50-A": runs}).splitlines()
    assert "0.600 (0.100)" in lines[1] and "0.500 (0.100)" in lines[1] and "0.300 (0.100)" in lines[1]
    # The paper gives no plain accuracy: that cell is empty, and its own stands below the mean of classes.
    assert lines[2].index("0.859") > lines[1].index("0.600") + 10 and "0.853" in lines[2]
    assert len(lines) == 3


def test_every_variant_has_published_figures() -> None:
    assert set(PUBLISHED) == set(VARIANTS)
    assert all(set(figures) <= set(COLUMNS) for figures in PUBLISHED.values())
    assert "accuracy" not in PUBLISHED["DADR50-B"]
    for name, known in (("DRN50", 0.8083), ("DADR50-B", 0.8690), ("SADR50-B", 0.791), ("CADR50-B", 0.830)):
        assert PUBLISHED[name]["class mean"] == pytest.approx(known, abs=5e-4)
    assert PUBLISHED["DRN50"]["at HEM"] == 0.3798
