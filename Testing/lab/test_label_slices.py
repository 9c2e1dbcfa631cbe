"""Readers' classes from case folder to training: nothing of the patient in between."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.fuzz import writers
from LiverLesionAILab.training.class_sampling import ClassSampler
from LiverLesionAILab.training.classes import METASTASIS, OUTLIER, ClassSettings
from LiverLesionAILab.training.label_slices import digests_of, label_sources
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILib.case.findings import CaseResult, LesionStatus, PhaseEstimate
from LiverLesionAILib.case.labels import masks_only, training_labels
from LiverLesionAILib.case.manifest import RunManifest, ct_digest
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.writing.case_folder import MARKER
from LiverLesionAILib.writing.labels import read_labels
from support.case_factory import small_case

SETTINGS = ClassSettings(InputSpec((6.0, 3.0, 3.0), (-40.0, 220.0), 3), canvas=96, slices=2)
GRID = Geometry.make((24, 80, 84), (5.0, 3.0, 3.0), (-90.0, -80.0, 20.0))
NAME = "Muster^Max 1949"


def run_of(volume: CtVolume, ct_phase: str = "") -> RunManifest:
    return RunManifest("0", {}, {}, {}, {}, {}, ct_digest(volume), ct_phase=ct_phase)


def decided(volume: CtVolume, result: CaseResult) -> CaseResult:
    """A cyst, a metastasis, and one that the reader turned down."""
    first, second, third = result.lesions
    lesions = (
        replace(first, reader_class="Metastasis", status=LesionStatus.ACCEPTED, note=f"as in {NAME}"),
        replace(second, reader_class="cyst", edited=True),
        replace(third, status=LesionStatus.REJECTED),
    )
    phase = PhaseEstimate("portal venous", 0.9)
    return replace(result, case_name=NAME, lesions=lesions, phase=phase, run=run_of(volume))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CT as a file, its case in a folder, and another case on which nobody decided."""
    folder = tmp_path_factory.mktemp("cohort")
    volume, result = small_case(GRID, 4)
    (folder / "cts").mkdir()
    (folder / "cts" / "ct.nii").write_bytes(writers.nifti(volume.hu_zyx))
    (folder / "cts" / "other.nii").write_bytes(writers.nifti(volume.hu_zyx + np.int16(7)))
    read = read_ct(folder / "cts" / "ct.nii")
    result = replace(result, geometry=read.geometry)
    for name, case in (("one", decided(read, result)), ("two", replace(result, run=run_of(read)))):
        save_result(case, folder / "cases" / name)
        (folder / "cases" / name / MARKER).write_text("")
    return folder


@pytest.fixture(scope="module")
def labels(cohort: Path) -> Path:
    assert main(["labels", str(cohort / "cases"), "--out", str(cohort / "labels.json")]) == 0
    return cohort / "labels.json"


def test_decisions_and_classes_are_collected_without_the_patient(cohort: Path, labels: Path) -> None:
    document = json.loads(labels.read_text())
    assert (document["schema"], document["schema_version"]) == ("LiverLesionAI training labels", 1)
    assert document["classes"] == {"cyst": 1, "metastasis": 1, "no class": 1} and document["cts"] == 1
    first, second, third = read_labels(labels)
    assert (first.lesion_class, first.decision, first.mask_edited) == ("metastasis", "accepted", False)
    assert (second.lesion_class, second.decision, second.mask_edited) == ("cyst", "undecided", True)
    assert (third.lesion_class, third.decision) == ("", "rejected")
    assert (first.phase, first.phase_by) == ("portal", "estimate")
    assert (
        first.ct == ct_digest(read_ct(cohort / "cts" / "ct.nii")) and first.diameter_mm > second.diameter_mm
    )
    rows = list(csv.DictReader(labels.with_suffix(".csv").open(newline="")))
    assert [row["lesion_class"] for row in rows] == ["metastasis", "cyst", ""]
    assert {row["schema_version"] for row in rows} == {"1"}
    for file in (labels, labels.with_suffix(".csv")):
        assert not any(word in file.read_text() for word in ("Muster", "1949", "cohort"))


def test_what_is_no_label(cohort: Path, tmp_path: Path, capsys) -> None:
    volume, result = small_case(GRID, 4)
    own = replace(result.lesions[0], reader_class=f"like that of {NAME}")
    found, said = training_labels(replace(result, lesions=(own,), run=run_of(volume, "arterial")))
    assert [one.lesion_class for one in found] == [""] and "own words" in said[0]
    assert (found[0].phase, found[0].phase_by) == ("arterial", "reader")
    treated = replace(result.lesions[0], status=LesionStatus.TREATED)
    found, said = training_labels(replace(result, lesions=(treated,), run=run_of(volume)))
    assert [one.lesion_class for one in found] == ["treated"] and not said
    found, said = training_labels(replace(result, lesions=(treated,)))
    assert not found and "which CT" in said[0]
    bare = masks_only(decided(volume, result))
    assert NAME not in repr(bare) and bare.lesion_labels_zyx is result.lesion_labels_zyx
    assert main(["labels", str(tmp_path), "--out", str(tmp_path / "x.json")]) == 1
    assert "holds none" in capsys.readouterr().err
    assert main(["labels", str(cohort / "cases"), "--out", str(tmp_path / "x.txt")]) == 1
    assert "ends in .json" in capsys.readouterr().err
    for text, why in (("{}", "damaged"), ('{"schema": "x"}', "no training labels"), ("no", "damaged")):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(InputError, match=why):
            read_labels(tmp_path / "bad.json")


def test_a_damaged_case_is_told_and_passed_over(cohort: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / MARKER).write_text("")
    given = [str(cohort / "cases" / "one"), str(tmp_path / "bad")]
    assert main(["labels", *given, "--out", str(tmp_path / "labels.json")]) == 0
    assert "was left out" in capsys.readouterr().out and len(read_labels(tmp_path / "labels.json")) == 3


def test_slices_of_the_labelled_lesions(cohort: Path, labels: Path) -> None:
    said: list[str] = []
    (source,) = label_sources(labels, cohort / "cases", cohort / "cts", SETTINGS, said.append)
    assert source.kind == "real" and set(source.phases) == {"portal venous"}
    assert set(source.labels.tolist()) <= {1, METASTASIS} and METASTASIS in source.labels
    stored = source.data[source.labels == METASTASIS]
    lesion = (stored[:, -1] & 2) > 0
    assert lesion.any(axis=(1, 2)).all()
    dark, around = stored[:, 1][lesion].mean(), stored[:, 1][((stored[:, -1] & 1) > 0) & ~lesion].mean()
    assert dark < around - 15, "the CT under the mask is the lesion's"
    image, label = ClassSampler([source], SETTINGS.spec, 0, edge=48, phases=True).sample(3)
    assert torch.isfinite(image).all() and label in (1, METASTASIS) and label < OUTLIER


def test_labels_without_their_ct_or_mask_are_told(cohort: Path, labels: Path, tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(InputError, match="for none of its labels"):
        label_sources(labels, cohort / "cases", tmp_path, SETTINGS, said.append)
    with pytest.raises(InputError, match="for none of its labels"):
        label_sources(labels, tmp_path, cohort / "cts", SETTINGS, said.append)
    assert [text.split(": ")[1] for text in said] == ["their CT is not there; left out.",
                                                      "their masks are not there; left out."]  # fmt: skip
    volume = read_ct(cohort / "cts" / "ct.nii")
    floating = replace(volume, hu_zyx=volume.hu_zyx.astype(np.float32))
    assert digests_of(volume) == digests_of(floating) and len(digests_of(volume)) == 2


def test_dadrn_is_trained_with_them(cohort: Path, labels: Path, monkeypatch, capsys) -> None:
    """The command, with a tiny network and no other data."""
    from LiverLesionAILab.training import command

    small = recipe("dadrn")
    config = replace(small.config, backbone=replace(small.config.backbone, stem=8, widths=(8, 8, 12, 16)))
    loop = replace(small.loop, batch=2, warmup=1)
    tiny = replace(small, config=config, spec=SETTINGS.spec, crop=48, loop=loop, bodies=0)
    monkeypatch.setattr(command, "sized_recipe", lambda name, size: tiny)
    monkeypatch.setenv("LIVERLESIONAI_DATA", str(cohort / "none"))
    given = ["train", "dadrn", "--steps", "2", "--threads", "1", "--cache", str(cohort / "cache")]
    run = [*given, "--out", str(cohort / "run"), "--labels", str(labels)]
    there = ["--label-cases", str(cohort / "cases"), "--label-cts", str(cohort / "cts")]
    assert main([*run, *there]) == 0
    assert "whose class a reader named" in capsys.readouterr().out
    assert (cohort / "run" / "weights.pt").is_file()
    assert json.loads((cohort / "run" / "run.json").read_text())["real_livers"][0].startswith("reader-")
    assert main(run) == 1
    assert "go together" in capsys.readouterr().err


def test_export_writes_them_with_the_masks(tmp_path: Path) -> None:
    from LiverLesionAILib.writing.export import Export, export_case

    volume, result = small_case(GRID, 4)
    result = decided(volume, result)
    said: list[str] = []
    written = export_case(result, None, tmp_path / "out", Export(labels=True), say=said.append)
    assert {"labels.json", "labels.csv", "masks"} <= set(written) and not said
    kept = load_result(tmp_path / "out" / "masks")
    marks = {label.mask for label in read_labels(tmp_path / "out" / "labels.json")}
    assert marks == {label.mask for label in training_labels(kept)[0]}
    assert not any("Muster" in path.read_text(errors="ignore") for path in (tmp_path / "out").rglob("*.json"))
    undecided = replace(small_case(GRID, 4)[1], run=run_of(volume))
    export_case(undecided, None, tmp_path / "none", Export(labels=True), say=said.append)
    assert any("the training labels are empty" in text for text in said)
