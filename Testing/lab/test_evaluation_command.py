"""The evaluate command from folders to table, JSON, figures and page."""

from __future__ import annotations

import argparse
import base64
import json
import re
import struct
from dataclasses import asdict
from html.parser import HTMLParser

import numpy as np
import pytest
from LiverLesionAILab.evaluation import command, figures, results, tables
from LiverLesionAILab.metrics.bootstrap import Interval
from LiverLesionAILab.metrics.classification import score_classes
from LiverLesionAILab.metrics.freeresponse import free_response
from LiverLesionAILib.support.errors import InputError, LiverLesionAIError, ModelError, OutputError
from LiverLesionAILib.volume.overlap import dice
from support.evaluation_masks import ball
from support.evaluation_scans import make_labels, write_image, write_scan

pytest.importorskip("matplotlib")


def parse(*words):
    parser = argparse.ArgumentParser()
    command.add_evaluate_arguments(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """data with four scans of three patients, and two methods' masks."""
    root = tmp_path_factory.mktemp("evaluation")
    for k in range(4):
        labels = make_labels(k, 3 if k < 3 else 0)
        name = f"lits{k:03d}"
        write_scan(root / "data", name, labels)
        write_image(root / "one" / f"{name}.nii.gz", np.roll(labels, 1, 2))
        flawed = np.where(labels == 2, 1, labels)
        if k:
            flawed[7, 18:22, 20:24] = 2
        write_image(root / "two" / f"{name}_mask.nii.gz", flawed)
    return root


@pytest.fixture(scope="module")
def report(folders):
    """One run with both methods: (printed text, output folder)."""
    said = []
    out = folders / "out"
    args = parse(folders / "data", "--predicted", folders / "one", "--predicted", f"second={folders / 'two'}")
    args.out, args.draws = out, 200
    assert command.run_evaluate(args, say=said.append) == 0
    return "\n".join(said), out


def test_json_holds_the_truth(folders, report):
    data = json.loads((report[1] / "evaluation.json").read_text())
    assert list(data["methods"]) == ["one", "second"]
    cases = data["methods"]["one"]["cases"]
    assert [c["name"] for c in cases] == [f"lits{k:03d}" for k in range(4)]
    assert [c["patient"] for c in cases] == ["lits-000", "lits-000", "lits-002", "lits-003"]
    for k, case in enumerate(cases):
        labels = make_labels(k, 3 if k < 3 else 0)
        moved = np.roll(labels, 1, 2)
        assert case["liver"]["dice"] == pytest.approx(dice(labels > 0, moved > 0))
        assert case["tumour"]["dice"] == pytest.approx(dice(labels == 2, moved == 2))
    summary = {line["key"]: line for line in data["methods"]["one"]["summary"]}
    assert summary["tumour_dice"]["value"] == pytest.approx(np.mean([c["tumour"]["dice"] for c in cases]))
    assert summary["tumour_dice"]["n_patients"] == 3
    # Undefined values are null, never NaN, which is no JSON.
    assert cases[3]["tumour"]["volume_error_percent"] is None
    assert data["methods"]["second"]["against_first"]["tumour_dice"]["difference"]["n_cases"] == 4
    assert data["rules"]["overlap"] == 0.1


def test_table_shows_every_case_and_method(report):
    text = report[0]
    for k in range(4):
        assert len(re.findall(rf"^lits00{k} ", text, re.MULTILINE)) == 2
    assert "second against one" in text
    assert "4 scans of 3 patients" in text
    assert "false lesions per healthy liver" in text
    # The saved table is the printed one.
    assert (report[1] / "evaluation.txt").read_text().strip() in text


class Page(HTMLParser):
    """Collects what a page refers to and whether tags are closed."""

    def __init__(self):
        super().__init__()
        self.open, self.links, self.images = [], [], []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.links += [v for k, v in attrs if k in ("href", "srcset", "data")]
        if tag == "img":
            self.images.append(values["src"])
            assert values["alt"]
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_whole_and_needs_nothing_else(report):
    text = (report[1] / "evaluation.html").read_text()
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.links == []
    assert "http" not in text
    kinds = [re.match(r"data:image/(png|jpeg);base64,(.*)", source) for source in page.images]
    assert all(kinds)
    heads = {"png": b"\x89PNG", "jpeg": b"\xff\xd8\xff"}
    for match in kinds:
        assert base64.b64decode(match[2]).startswith(heads[match[1]])
    # Four figures without a free-response curve (no scores), and worst cases of both methods.
    assert sum(m[1] == "png" for m in kinds) == 4
    assert sum(m[1] == "jpeg" for m in kinds) >= 8
    assert "missed lesion of" in text
    assert "false lesion of" in text


def test_figures_are_files_of_a_sensible_size(report):
    names = sorted(p.name for p in report[1].iterdir())
    assert names == [
        "evaluation.html",
        "evaluation.json",
        "evaluation.txt",
        "lesions_by_size.png",
        "long_axis_agreement.png",
        "tumour_dice.png",
        "volume_agreement.png",
    ]
    for path in report[1].glob("*.png"):
        width, height = struct.unpack(">II", path.read_bytes()[16:24])
        assert 300 < width < 3000
        assert 200 < height < 2000


def test_a_model_is_run_on_every_scan(folders, tmp_path):
    seen, told = [], []

    def method(name):
        assert name == "sfan"

        def analyse(scan, ct):
            seen.append(scan.name)
            raise InputError("No liver found.")

        return analyse

    args = parse(
        folders / "data", "--model", "sfan", "--out", tmp_path, "--no-figures", "--cases", "lits002,lits000"
    )
    command.run_evaluate(
        args, method=method, progress=lambda stage, f: told.append((stage, f)), say=lambda _: None
    )
    assert seen == ["lits002", "lits000"]
    assert told[0] == ("Evaluating lits002 (1 of 2)", 0.0)
    assert told[-1][1] == 1.0
    data = json.loads((tmp_path / "evaluation.json").read_text())
    assert data["methods"]["sfan"]["cases"][0]["messages"] == ["No liver found."]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evaluation.json", "evaluation.txt"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Nothing to evaluate"),
        (["--predicted", "nowhere"], "nowhere is no folder"),
        (["--cases", "lits009", "--predicted", "{one}"], "no scan lits009"),
        (["--predicted", "{one}", "--predicted", "{one}"], "Two methods are called one"),
        (["--tumour-labels", "x", "--predicted", "{one}"], "not 'x'"),
        (["--tumour-labels", "7", "--predicted", "{one}"], "lits000_mask.nii.gz: unknown label 2"),
    ],
)
def test_mistakes_are_told(folders, tmp_path, words, message):
    args = parse(folders / "data", "--out", tmp_path, *[w.format(one=folders / "one") for w in words])
    with pytest.raises(LiverLesionAIError, match=re.escape(message)):
        command.run_evaluate(args, say=lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    from pathlib import Path

    target = tmp_path / "evaluation.json"
    results.write_json(target, {"a": 0})
    results.write_pictures({("figure", "A figure."): b"before"}, tmp_path)

    def full(self, content):
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="disk is full"):
        results.write_json(target, {"a": 1})
    with pytest.raises(OutputError, match="disk is full"):
        results.write_pictures({("figure", "A figure."): b"after"}, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["evaluation.json", "figure.png"]
    assert json.loads(target.read_text()) == {"a": 0}


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """Untrained models in folds/lits-002 and folds/D (lits004's patient, as training calls it)."""
    torch = pytest.importorskip("torch")
    from LiverLesionAILab.training.recipes import RECIPES
    from LiverLesionAILib.models.weights import Manifest, ModelEntry, build_network, save_weights

    torch.manual_seed(0)
    folds = tmp_path_factory.mktemp("folds")
    for patient in ("lits-002", "D"):
        manifest = Manifest(folds / patient, ())
        for name, network, task in (("coarse_unet", "coarse_unet", "locate"), ("sfan", "sfan", "segment")):
            recipe = next(r for r in RECIPES.values() if r.network == network)
            config = asdict(recipe.config)
            digest = save_weights(build_network(network, config), folds / patient / f"{name}.pt")
            entry = ModelEntry(name, task, network, config, recipe.spec, f"{name}.pt", digest)
            manifest = manifest.with_entry(entry)
        manifest.write()
    return folds


def test_leave_one_patient_out_takes_each_patients_models(untrained, tmp_path):
    """The real pipeline with untrained networks: whatever it says is scored, and a missing fold is told."""
    from LiverLesionAILab.data.volumes import find_plain
    from LiverLesionAILab.evaluation.models import fold_folder

    labels = ball((20, 64, 64), (10, 32, 32), 45, (5.0, 2.5, 2.5)).astype(np.uint8)
    hu = np.where(labels > 0, 100, -900) + np.random.default_rng(0).normal(0, 15, labels.shape)
    hu[:, 20:44, 20:44] -= 160
    for name in ("lits002", "lits003", "lits004"):
        write_image(tmp_path / "data" / f"{name}_ct.nii.gz", hu.astype(np.int16), (5.0, 2.5, 2.5))
        write_image(tmp_path / "data" / f"{name}_mask.nii.gz", labels, (5.0, 2.5, 2.5))
    scans = {scan.name: scan for scan in find_plain(tmp_path / "data")}
    assert fold_folder(untrained, scans["lits002"]) == untrained / "lits-002"
    assert fold_folder(untrained, scans["lits004"]) == untrained / "D"
    args = parse(tmp_path / "data", "--model", "sfan", "--folds", untrained, "--out", tmp_path / "out")
    args.cases, args.device, args.no_figures = "lits002,lits004", "cpu", True
    said = []
    command.run_evaluate(args, say=said.append)
    cases = json.loads((tmp_path / "out" / "evaluation.json").read_text())["methods"]["sfan"]["cases"]
    assert [case["name"] for case in cases] == ["lits002", "lits004"]
    assert all(case["seconds"] > 0 for case in cases)
    assert "may have been trained" not in "".join(said)
    args.cases = "lits003"
    with pytest.raises(ModelError, match="no models made without patient lits-003"):
        command.run_evaluate(args, say=said.append)


def test_case_folders_are_predictions_too(tmp_path):
    from LiverLesionAILab.data.volumes import find_plain
    from LiverLesionAILib.case.findings import CaseResult
    from LiverLesionAILib.case.store import save_result
    from LiverLesionAILib.volume.ct import Geometry

    labels = make_labels(5, 2)
    write_scan(tmp_path / "data", "one", labels)
    (scan,) = find_plain(tmp_path / "data")
    geometry = Geometry.make(labels.shape, (3.0, 1.5, 1.5), (-30.0, 12.0, 400.0))
    result = CaseResult(
        "one", geometry, labels > 0, (labels == 2).astype(np.uint16), timings_s={"segment": 2.0}
    )
    save_result(result, tmp_path / "batch" / "one_ct")
    args = parse(
        tmp_path / "data", "--predicted", tmp_path / "batch", "--out", tmp_path / "out", "--no-figures"
    )
    command.run_evaluate(args, say=lambda _: None)
    (case,) = json.loads((tmp_path / "out" / "evaluation.json").read_text())["methods"]["batch"]["cases"]
    assert (case["liver"]["dice"], case["tumour"]["dice"], case["seconds"]) == (1.0, 1.0, 2.0)
    assert scan.name == case["name"]


def test_free_response_figure_draws_the_curve():
    curve = free_response([0.9, 0.5, -np.inf], [0.7, 0.2], 2)
    figure = figures.froc_figure({"m": curve}, "scan", (0.5, 1, 2))
    line = figure.axes[0].lines[0]
    assert line.get_ydata().tolist() == pytest.approx(curve.sensitivity.tolist())
    dots = figure.axes[0].lines[1]
    # The curve ends at one false finding per scan: nothing is claimed beyond.
    assert dots.get_xdata().tolist() == [0.5, 1]
    assert dots.get_ydata().tolist() == pytest.approx([2 / 3, 2 / 3])


def test_limits_of_agreement():
    reference, predicted = np.array([10.0, 20, 30, 40]), np.array([11.0, 19, 33, 45])
    difference = predicted - reference
    bias, low, high = figures.limits_of_agreement(difference)
    assert bias == pytest.approx(2.0)
    assert high - low == pytest.approx(2 * 1.96 * np.std(difference, ddof=1))
    assert np.isnan(figures.limits_of_agreement([])[0])
    figure = figures.bland_altman_figure({"m": (reference, predicted)}, "lesion volume", "mL", relative=True)
    points = figure.axes[0].lines[0]
    assert points.get_ydata() == pytest.approx(200 * difference / (reference + predicted))
    assert points.get_xdata() == pytest.approx((reference + predicted) / 2)


def test_confusion_and_reliability_figures():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 60)
    table = rng.dirichlet([1, 1, 1], 60)
    scores = score_classes(truth, table.argmax(1), ("a", "b", "c"), table)
    texts = [t.get_text() for t in figures.confusion_figure(scores).axes[0].texts]
    assert texts == [str(n) for n in scores.confusion.ravel()]
    line = figures.reliability_figure({"m": scores}).axes[0].lines[1]
    assert line.get_ydata().tolist() == pytest.approx([b.accuracy for b in scores.reliability])
    text = tables.classification_table({"m": scores})
    assert f"{scores.accuracy:.4f}" in text
    assert "m: true \\ predicted" in text


def test_cells():
    nan = float("nan")
    assert tables.with_interval(Interval(0.5, 0.25, 0.75, 5, 6)) == "0.500 [0.250, 0.750]"
    assert tables.with_interval(Interval(0.5, nan, nan, 1, 1)) == "0.500"
    assert tables.with_interval(Interval(nan, nan, nan, 0, 0)) == "-"
    assert tables.align([["a", "bb"], ["ccc", "d"]]) == "a    bb\n---  --\nccc   d"
