"""Detectors and classifiers on slices: scores against other implementations, files, reports."""

from __future__ import annotations

import argparse
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.data.deeplesion import KeySlice
from LiverLesionAILab.data.synthliver import ClassSlice, read_class_slices, read_synth_slices
from LiverLesionAILab.evaluation import command, set_command
from LiverLesionAILab.evaluation.boxes import Detections, boxes_from_file, evaluate_boxes
from LiverLesionAILab.evaluation.set_models import boxes_in_slice, series_volume
from LiverLesionAILab.evaluation.slice_classes import (
    ClassPrediction,
    classes_from_file,
    evaluate_classes,
    score_predictions,
)
from LiverLesionAILab.synthesis.synthliver.classes import COLUMNS
from LiverLesionAILab.synthesis.synthliver.images import write_nifti, write_png16
from LiverLesionAILab.synthesis.synthliver.plan import CLASSES
from LiverLesionAILab.synthesis.synthliver.slices import COLUMNS as TABLE
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import Geometry

pytest.importorskip("matplotlib")


def key_slice(number: int, boxes: list, interval_mm: float = 2.5) -> KeySlice:
    array = np.array(boxes, float).reshape(-1, 4)
    sizes = (array[:, 2:] - array[:, :2]).max(axis=1, initial=0)
    return KeySlice(
        name=f"{number:06d}_01_01_005",
        patient=f"p{number // 2}",
        folder=Path("nowhere"),
        slice_index=5,
        boxes_xyxy_px=array,
        diameters_mm=sizes,
        short_axes_mm=sizes,
        types=("LV",) * len(array),
        pixel_mm=1.0,
        slice_interval_mm=interval_mm,
        split="test",
    )


class TestBoxes:
    keys = (
        key_slice(0, [[10, 10, 18, 18], [40, 40, 80, 80]]),
        key_slice(1, [[10, 10, 30, 30]], 1.0),
        key_slice(2, [[50, 50, 58, 58]]),
        key_slice(3, [[5, 5, 45, 45]], 1.0),
    )

    def test_a_perfect_detector_and_one_that_finds_nothing(self) -> None:
        results = evaluate_boxes(
            self.keys,
            {
                "all": lambda key: Detections.make(key.boxes_xyxy_px, np.ones(len(key.boxes_xyxy_px))),
                "none": lambda key: Detections.make([], []),
            },
            n_draws=50,
        )
        for rate, value in results["all"].sensitivity.items():
            assert (value.value, value.low, value.high) == (1.0, 1.0, 1.0), rate
        assert results["all"].ap50.value == 1.0
        assert results["none"].sensitivity[4.0].value == 0.0
        assert results["none"].ap50.value == 0.0
        assert results["all"].ap50.n_patients == 2

    def test_figures_by_hand(self) -> None:
        """Two of five found (0.9, 0.6); false ones at 0.8 and 0.7 in one image."""
        found = {
            self.keys[0].name: ([[10, 10, 18, 19], [100, 0, 120, 20], [0, 90, 9, 99]], [0.9, 0.8, 0.7]),
            self.keys[1].name: ([[10, 10, 30, 28]], [0.6]),
        }

        def detect(key: KeySlice) -> Detections:
            return Detections.make(*found.get(key.name, ([], [])))

        result = evaluate_boxes(self.keys, {"x": detect}, n_draws=200)["x"]
        assert result.sensitivity[0.5].value == pytest.approx(2 / 5), "2 false ones in 4 images"
        assert result.summary.groups["diameter < 10 mm"] == (0.5, 2)
        assert result.summary.groups["diameter 10-30 mm"] == (1.0, 1)
        assert result.summary.groups["diameter > 30 mm"] == (0.0, 2)
        assert result.summary.groups["slice interval < 2.5 mm"] == (0.5, 2)
        # Precision 1 up to recall 1/5, 2/4 up to 2/5.
        assert result.ap50.value == pytest.approx(0.2 * 1 + 0.2 * 0.5)
        assert result.ap50.value == result.summary.ap50
        # The patient of the last two images alone finds nothing; that of the first two finds 2 of 3.
        assert result.ap50.low == 0.0
        assert result.sensitivity[4.0].high == pytest.approx(2 / 3)

    def test_files_of_predictions(self, tmp_path: Path) -> None:
        path = tmp_path / "boxes.json"
        name = self.keys[0].name
        path.write_text(json.dumps({name: {"boxes_xyxy_px": [[1, 2, 3, 4]], "scores": [0.5]}}))
        detect = boxes_from_file(path)
        assert detect(self.keys[0]).boxes_xyxy_px.tolist() == [[1, 2, 3, 4]]
        with pytest.raises(InputError, match=f"nothing for {self.keys[1].name}"):
            detect(self.keys[1])
        for text in ("{", "[]", json.dumps({name: {"scores": []}})):
            path.write_text(text)
            with pytest.raises(InputError, match="holds no boxes"):
                boxes_from_file(path)

    def test_boxes_of_masks(self) -> None:
        class Result:
            lesion_labels_zyx = np.zeros((3, 20, 20), np.uint8)
            lesions = (argparse.Namespace(number=1, score=0.9), argparse.Namespace(number=2, score=0.4))

        Result.lesion_labels_zyx[1, 2:5, 3:9] = 1
        Result.lesion_labels_zyx[1, 10:12, 3:5] = 1
        Result.lesion_labels_zyx[2, 15:17, 15:17] = 2
        found = boxes_in_slice(Result, 1)
        assert sorted(found.boxes_xyxy_px.tolist()) == [[3, 2, 9, 5], [3, 10, 5, 12]]
        assert found.scores.tolist() == [0.9, 0.9]
        assert len(boxes_in_slice(Result, 0).scores) == 0


def class_slice(number: int, kind: str) -> ClassSlice:
    return ClassSlice(f"s{number}", f"p{number // 3}", kind, 0.0, Path("i"), Path("m"))


class TestClasses:
    def test_scores_agree_with_scikit_learn(self) -> None:
        metrics = pytest.importorskip("sklearn.metrics")
        rng = np.random.default_rng(3)
        slices = [class_slice(k, CLASSES[int(rng.integers(5))]) for k in range(90)]
        probabilities = rng.dirichlet(np.ones(5), 90)
        for row, one in zip(probabilities, slices, strict=True):
            row[one.index] += 0.3
        result = score_predictions(slices, probabilities / 1.3, n_draws=300)
        truth, predicted = [s.index for s in slices], probabilities.argmax(axis=1)
        assert result.accuracy.value == pytest.approx(metrics.accuracy_score(truth, predicted))
        assert result.macro_f1.value == pytest.approx(metrics.f1_score(truth, predicted, average="macro"))
        assert result.macro_f1.value == pytest.approx(result.scores.f1)
        assert result.accuracy.low < result.accuracy.value < result.accuracy.high
        assert result.accuracy.n_patients == 30
        assert result.localisation == {}

    def test_localisation_counts_right_class_and_place(self) -> None:
        slices = [class_slice(k, kind) for k, kind in enumerate(("HCC", "HCC", "HCC", "CYST", "Normal"))]
        probabilities = np.eye(5)[[3, 3, 0, 1, 0]]
        result = score_predictions(slices, probabilities, [True, False, True, True, None], n_draws=20)
        assert result.localisation["HCC"].n_slices == 3
        assert result.localisation["HCC"].accuracy == pytest.approx(1 / 3)
        assert result.localised_of["CYST"].value == 1.0
        assert set(result.localisation) == {"HCC", "CYST"}

    def test_files_of_predictions(self, tmp_path: Path) -> None:
        path = tmp_path / "p.csv"
        path.write_text("name,Normal,CYST,FNH,HCC,HEM\ns1,0.1,0.2,0.3,0.3,0.1\n")
        classify = classes_from_file(path)
        assert classify(class_slice(1, "HCC"), None).probabilities.tolist() == [0.1, 0.2, 0.3, 0.3, 0.1]
        with pytest.raises(InputError, match="no row for s2"):
            classify(class_slice(2, "HCC"), None)
        path.write_text("name,CYST\ns1,1\n")
        with pytest.raises(InputError, match="no class probabilities"):
            classes_from_file(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny set: three key slices of two patients, and four class slices with bright squares as lesions."""
    root = tmp_path_factory.mktemp("set")
    rows = [",".join(TABLE)]
    rng = np.random.default_rng(0)
    for patient, keys in ((1, (3, 5)), (2, (4,))):
        for z in range(1, 8):
            hu = rng.integers(0, 100, (30, 40)).astype(np.int16)
            write_png16(hu, root / "slices" / "Images_png" / f"{patient:06d}_01_01" / f"{z:03d}.png")
        for key in keys:
            values = {
                **dict.fromkeys(TABLE, "0"),
                "File_name": f"{patient:06d}_01_01_{key:03d}.png",
                "Patient_index": str(patient),
                "Key_slice_index": str(key),
                "Bounding_boxes": '"6, 8, 16, 18"',
                "Lesion_diameters_Pixel_": '"10, 9"',
                "Coarse_lesion_type": "4",
                "Spacing_mm_px_": '"1, 1, 2.5"',
                "Train_Val_Test": "3",
            }
            rows.append(",".join(values[c] for c in TABLE))
    (root / "slices" / "DL_info.csv").write_text("\n".join(rows) + "\n")
    table = [",".join(COLUMNS)]
    geometry = Geometry.make((3, 30, 40), (2.5, 1.0, 1.0))
    for k, kind in enumerate(("Normal", "HCC", "HEM", "HCC")):
        hu, labels = np.full((3, 30, 40), 60, np.int16), np.ones((3, 30, 40), np.uint8)
        if kind != "Normal":
            hu[:, 5:12, 6:14], labels[:, 5:12, 6:14] = 120, 2
        write_nifti(hu, geometry, root / "classes" / "images" / f"s{k}.nii.gz")
        write_nifti(labels, geometry, root / "classes" / "masks" / f"s{k}.nii.gz")
        table.append(f"s{k},p{k},{kind},test,train,{0 if kind == 'Normal' else 56}")
    (root / "classes" / "classes.csv").write_text("\n".join(table) + "\n")
    return root


def parse(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_evaluate_arguments(parser)
    return parser.parse_args([str(word) for word in words])


class Tags(HTMLParser):
    """Open tags of a page; fails where one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_command_on_slices(data: Path, tmp_path: Path) -> None:
    keys = read_synth_slices(data, "test")
    assert [k.boxes_xyxy_px.tolist() for k in keys] == [[[5, 7, 15, 17]]] * 3
    table = {
        k.name: {"boxes_xyxy_px": [[5, 7, 15, 17], [0, 0, 4, 4]], "scores": [0.4 + 0.1 * n, 0.45]}
        for n, k in enumerate(keys)
    }
    (tmp_path / "mine.json").write_text(json.dumps(table))
    said: list[str] = []
    args = parse(data, "--part", "slices", "--predicted", tmp_path / "mine.json", "--out", tmp_path / "out")
    args.draws = 50
    assert command.run_evaluate(args, say=said.append) == 0
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    method = found["methods"]["mine"]
    assert method["lesions"] == 3
    # Above 0.45 two are found without a false one; the third comes with three false ones in three images.
    assert method["sensitivity"]["0.5"]["value"] == pytest.approx(2 / 3)
    assert method["sensitivity"]["1"]["value"] == 1.0
    assert found["settings"]["split"] == "test"
    text = "\n".join(said)
    assert "66.7" in text
    assert "3 key slices of 2 patients, 3 lesions" in text
    page = (tmp_path / "out" / "evaluation.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert page.count("data:image/png;base64,") == 1
    # The predictions it kept can be scored again.
    again = boxes_from_file(tmp_path / "out" / "mine_boxes.json")
    assert again(keys[0]).boxes_xyxy_px.tolist() == [[5, 7, 15, 17], [0, 0, 4, 4]]


def test_command_on_classes_with_a_callable(data: Path, tmp_path: Path) -> None:
    def classify(one: ClassSlice, image) -> ClassPrediction:
        bright = image.hu[1] > 100
        return ClassPrediction(np.eye(5)[3 if bright.any() else 0], bright.astype(float))

    said: list[str] = []
    args = parse(data, "--part", "classes", "--out", tmp_path / "out")
    args.draws = 50
    set_command.run_set_part(args, classifiers={"bright": classify}, say=said.append)
    method = json.loads((tmp_path / "out" / "evaluation.json").read_text())["methods"]["bright"]
    assert method["accuracy"]["value"] == pytest.approx(3 / 4)
    assert method["localisation"]["HCC"]["accuracy"]["value"] == 1.0
    assert method["localisation"]["HEM"]["n_correct"] == 0
    assert method["slices"]["s2"]["truth"] == CLASSES.index("HEM")
    for name in ("confusion_bright.png", "reliability.png", "evaluation.html", "evaluation.txt"):
        assert (tmp_path / "out" / name).stat().st_size > 100
    assert "localised (right class and place)" in "\n".join(said)
    results = evaluate_classes(read_class_slices(data, "test"), {"bright": classify}, n_draws=20)
    assert results["bright"].names == ("s0", "s1", "s2", "s3")


def test_command_refuses_what_makes_no_sense(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Nothing to evaluate"):
        command.run_evaluate(parse(data, "--part", "slices"))
    with pytest.raises(InputError, match="coarse_unet finds no boxes"):
        command.run_evaluate(parse(data, "--part", "slices", "--model", "coarse_unet"))
    with pytest.raises(InputError, match="gives s0 no 5 probabilities"):
        evaluate_classes(read_class_slices(data, "test"), {"x": lambda s, i: ClassPrediction(np.ones(3))})
    with pytest.raises(InputError, match="0 predictions for 0 slices"):
        score_predictions([], np.zeros((0, 5)))


def test_the_series_around_a_key_slice(data: Path) -> None:
    (key, *_) = read_synth_slices(data, "test")
    volume, first = series_volume(key)
    assert first == 1
    assert volume.hu_zyx.shape == (7, 30, 40)
    assert volume.geometry.spacing_zyx_mm == (2.5, 1.0, 1.0)


def test_a_network_sees_the_liver_and_its_map_lies_on_the_slice(data: Path) -> None:
    torch = pytest.importorskip("torch")
    from LiverLesionAILab.evaluation.class_models import network_classifier
    from LiverLesionAILib.models.inputs import InputSpec

    class Bright(torch.nn.Module):
        """Speaks for class 3 by what is bright in the middle slice."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))

        def head(self, features: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(features), 5)
            return logits.index_fill(1, torch.tensor([3]), 1.0) * features.mean(dim=(1, 2, 3))[:, None] * 50

        def forward(self, x: torch.Tensor) -> argparse.Namespace:
            # As strided convolutions with odd kernels see: cell k around pixel 8 k.
            bright = (x[:, 1:2] > 0.5).float() * self.weight
            features = torch.nn.functional.avg_pool2d(bright, 9, 8, padding=4)
            return argparse.Namespace(logits=self.head(features), features=features)

    spec = InputSpec(spacing_zyx_mm=(3.0, 0.8, 0.8), window_hu=(0.0, 140.0), in_slices=3)
    classify = network_classifier(Bright().eval(), spec)
    for one in read_class_slices(data, "test"):
        image = one.load()
        found = classify(one, image)
        assert found.attention_yx.shape == image.hu.shape[1:]
        if one.kind == "Normal":
            assert found.probabilities == pytest.approx(np.full(5, 0.2), abs=1e-6)
            continue
        assert found.probabilities.argmax() == 3
        # The lesion lies at rows 5 to 11 and columns 6 to 13.
        weights = found.attention_yx / found.attention_yx.sum()
        rows, columns = np.indices(weights.shape)
        assert (weights * rows).sum() == pytest.approx(8, abs=1.0)
        assert (weights * columns).sum() == pytest.approx(9.5, abs=1.0)


def test_volumes_by_phase_liver_and_thickness(tmp_path: Path) -> None:
    """Three scans: the arterial ones are predicted wholly, the portal venous one not at all."""
    geometry = Geometry.make((6, 20, 24), (2.5, 1.5, 1.5))
    rng = np.random.default_rng(0)
    for k, phase in enumerate(("arterial", "portal venous", "arterial")):
        folder = tmp_path / "set" / "volumes" / "test" / f"synth{k:03d}"
        labels = np.zeros(geometry.shape_zyx, np.uint8)
        labels[1:5, 2:18, 2:22] = 1
        labels[2:4, 4:8, 4:8], labels[2:4, 10:14, 10:14] = 2, 3
        write_nifti(rng.integers(0, 90, labels.shape).astype(np.int16), geometry, folder / "ct.nii.gz")
        write_nifti(labels, geometry, folder / "labels.nii.gz")
        facts = {"phase": phase, "liver": "fatty", "spacing_zyx_mm": [2.5, 1.5, 1.5], "lesions": []}
        (folder / "lesions.json").write_text(json.dumps(facts))
        predicted = np.minimum(labels, 2) if phase == "arterial" else np.minimum(labels, 1)
        write_nifti(predicted, geometry, tmp_path / "mine" / f"synth{k:03d}.nii.gz")
    said: list[str] = []
    args = parse(tmp_path / "set", "--predicted", tmp_path / "mine", "--out", tmp_path / "out")
    args.draws = 50
    assert command.run_evaluate(args, say=said.append) == 0
    groups = json.loads((tmp_path / "out" / "evaluation.json").read_text())["groups"]["mine"]
    assert list(groups) == ["phase arterial", "phase portal venous", "slices 2.5 mm", "fatty liver"]
    arterial = {"scans": 2, "lesions": 4, "found": 4, "tumour_dice": 1.0, "false_per_scan": 0.0}
    assert groups["phase arterial"] == arterial
    assert groups["phase portal venous"]["found"] == 0
    assert groups["fatty liver"]["tumour_dice"] == pytest.approx(2 / 3)
    assert "phase arterial" in said[0]
    page = (tmp_path / "out" / "evaluation.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "By phase, liver and slices" in page
