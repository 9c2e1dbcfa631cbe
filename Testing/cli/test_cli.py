"""The command line as a user types it: files in, case folders out, one clear line where it cannot."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

import SimpleITK as sitk
from LiverLesionAILib.case.sample import SampleCase
from LiverLesionAILib.cli import main as cli
from LiverLesionAILib.models.weights import models_folder
from support.dicom_writer import axial_positions, write_series

LIBRARY = Path(cli.__file__).resolve().parents[2]
QUICK = ["--device", "cpu", "--no-pictures", "--no-attention"]


def write_image(volume, path: Path) -> Path:
    image = sitk.GetImageFromArray(volume.hu_zyx)
    image.SetSpacing(volume.geometry.spacing_zyx_mm[::-1])
    image.SetOrigin(volume.geometry.origin_lps)
    image.SetDirection(volume.geometry.directions_lps.ravel().tolist())
    sitk.WriteImage(image, str(path), useCompression=False)
    return path


@pytest.fixture(scope="session")
def ct_file(slab: SampleCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_image(slab.volume, tmp_path_factory.mktemp("ct") / "patient7.nii.gz")


def start(*arguments: str, folder: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "2"}
    return subprocess.Popen(
        [sys.executable, "-m", "LiverLesionAILib.cli.main", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_analyze_writes_a_whole_case_folder(ct_file: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with_dicom = find_spec("highdicom") is not None
    export = ["--export", str(tmp_path / "for_others"), "--csv", *(["--as-dicom"] if with_dicom else [])]
    assert cli.main(["analyze", str(ct_file), *QUICK, "--timings", *export]) == 0
    folder = tmp_path / "patient7_liverlesionai"
    printed = capsys.readouterr().out
    assert "Case folder" in printed
    assert "segment" in printed
    written = {path.name for path in folder.iterdir()}
    assert {"masks.seg.nrrd", "boxes.mrk.json", "findings.csv", "findings.json"} <= written
    rows = list(csv.reader((folder / "findings.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows) >= 4, "a header, lesions and the liver"
    masks = sitk.ReadImage(str(folder / "masks.seg.nrrd"))
    assert sitk.GetArrayViewFromImage(masks).any()
    assert json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    for_others = tmp_path / "for_others"
    objects = {"CT", "SEG.dcm", "SR.dcm"} if with_dicom else set()
    assert {p.name for p in for_others.iterdir()} == {"findings.csv", *objects}
    assert (for_others / "findings.csv").read_bytes() == (folder / "findings.csv").read_bytes()
    made = {"patient7_liverlesionai", "for_others"}
    assert {p.name for p in tmp_path.iterdir()} == made, "nothing else is left"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--csv", "--language", "de"], "--csv, --language need --export"),
        (["--export", "there"], "Say what to export"),
        (["--export", "there", "--dicom"], "--as-dicom" if find_spec("highdicom") else "needs highdicom"),
    ],
)
def test_an_export_that_cannot_be_made_is_refused_before_the_analysis(
    options: list[str], says: str, ct_file: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["analyze", str(ct_file), *QUICK, *options]) == 1
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "missing.nii.gz", "no such file"),
        (lambda folder: folder, "DICOM"),
        (lambda folder: _write(folder / "notes.nii.gz", b"no image"), "notes.nii.gz"),
        (lambda folder: _image(folder / "few.nrrd", np.zeros((4, 64, 64), np.int16)), "slices"),
        (lambda folder: _image(folder / "flat.mha", np.full((40, 64, 64), 7, np.int16)), "flat"),
        (lambda folder: _image(folder / "mr.mha", _mr()), "mr"),
    ],
    ids=["missing", "empty folder", "no image", "few slices", "constant", "mr"],
)
def test_refused_inputs_get_one_line_and_leave_nothing(make, says: str, tmp_path: Path, capsys) -> None:
    source = tmp_path / "in"
    source.mkdir()
    assert cli.main(["analyze", str(make(source)), "--out", str(tmp_path / "out"), *QUICK]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("liverlesionai:")]
    assert len(errors) == 1
    assert says in errors[0]
    assert "Traceback" not in errors[0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in"]


def _write(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


def _image(path: Path, array: np.ndarray) -> Path:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((3.0, 3.0, 3.0))
    sitk.WriteImage(image, str(path))
    return path


def _mr() -> np.ndarray:
    return np.random.default_rng(0).gamma(2.0, 150.0, (40, 96, 96)).astype(np.int16)


@pytest.mark.parametrize(
    "options",
    [
        ["--pyramid", "nine"],
        ["--liver-threshold", "2"],
        ["--tumour-threshold", "3"],
        ["--segmenter", "none"],
        ["--device", "tpu"],
    ],
    ids=lambda options: options[0],
)
def test_wrong_options_are_named(options: list[str], ct_file: Path, tmp_path: Path, capsys) -> None:
    assert cli.main(["analyze", str(ct_file), "--out", str(tmp_path / "out"), "--no-pictures", *options]) == 1
    assert options[1] in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_batch_goes_on_after_a_bad_case(ct_file: Path, tmp_path: Path, capsys) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "good.nii.gz").write_bytes(ct_file.read_bytes())
    _image(source / "bad.mha", np.full((40, 64, 64), 7, np.int16))
    assert cli.main(["batch", str(source), "--out", str(tmp_path / "out"), *QUICK]) == 1
    with open(tmp_path / "out" / "summary.csv", encoding="utf-8", newline="") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert rows["good"]["status"] == "done"
    assert int(rows["good"]["lesions"]) >= 1
    assert rows["bad"]["status"] == "failed"
    assert not (tmp_path / "out" / "bad").exists()
    capsys.readouterr()
    cli.main(["batch", str(source), "--out", str(tmp_path / "out"), *QUICK])
    assert "there already" in capsys.readouterr().out


def test_info_names_models_and_device(capsys) -> None:
    assert cli.main(["info", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert "sfan" in printed
    assert "checksum right" in printed
    assert "CPU" in printed


def test_info_fails_where_weights_are_damaged(tmp_path: Path, capsys, monkeypatch) -> None:
    for path in models_folder().iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "sfan_compact.pt").write_bytes(b"gone")
    monkeypatch.setattr("LiverLesionAILib.models.weights.models_folder", lambda: tmp_path)
    assert cli.main(["info", "--device", "cpu"]) == 1
    assert "DAMAGED" in capsys.readouterr().out


@pytest.mark.parametrize("after_s", [0.5, 4.0])
def test_interrupted_it_leaves_nothing(ct_file: Path, tmp_path: Path, after_s: float) -> None:
    process = start("analyze", str(ct_file), "--out", "out", "--device", "cpu", folder=tmp_path)
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=600)
    if process.returncode != 0:
        assert process.returncode in (130, -signal.SIGINT)
        assert list(tmp_path.iterdir()) == []
        if process.returncode == 130:
            assert "Cancelled" in errors
            assert "Traceback" not in errors


@pytest.mark.parametrize("after_s", [2.0, 6.0])
def test_killed_it_leaves_no_half_written_case(ct_file: Path, tmp_path: Path, after_s: float) -> None:
    process = start("analyze", str(ct_file), "--out", "out", "--device", "cpu", folder=tmp_path)
    time.sleep(after_s)
    process.kill()
    process.communicate(timeout=600)
    folder = tmp_path / "out"
    if folder.exists():
        assert {"masks.seg.nrrd", "findings.csv", "findings.json", "boxes.mrk.json"} <= {
            path.name for path in folder.iterdir()
        }


@pytest.mark.parametrize("kind", [".mha", "dicom"])
def test_every_kind_of_input_gives_the_same_findings(
    slab: SampleCase, slab_result, kind: str, tmp_path: Path, capsys
) -> None:
    volume = slab.volume
    if kind == "dicom":
        source = tmp_path / "study"
        first = volume.geometry.origin_lps
        spacing = volume.geometry.spacing_zyx_mm
        positions = axial_positions(len(volume.hu_zyx), spacing[0], tuple(first))
        write_series(source / "ct", volume.hu_zyx, positions, spacing_yx_mm=spacing[1:], description="PV 2.5")
        write_series(source / "scout", volume.hu_zyx[:2], positions[:2], number=1, description="SCOUT")
    else:
        source = write_image(volume, tmp_path / f"ct{kind}")
    assert cli.main(["analyze", str(source), "--out", str(tmp_path / "out"), *QUICK]) == 0
    if kind == "dicom":
        assert "PV 2.5" in capsys.readouterr().out, "the series that was taken is said"
    image = sitk.ReadImage(str(tmp_path / "out" / "masks.seg.nrrd"))
    assert image.GetSize() == volume.geometry.shape_zyx[::-1]
    assert image.GetOrigin() == pytest.approx(tuple(volume.geometry.origin_lps), abs=1e-3)
    layers = sitk.GetArrayFromImage(image)
    liver = layers[..., 0] > 0
    overlap = 2 * np.count_nonzero(liver & slab_result.liver_zyx)
    assert overlap / (np.count_nonzero(liver) + np.count_nonzero(slab_result.liver_zyx)) > 0.999


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_truncated_file_is_refused(slab: SampleCase, suffix: str, tmp_path: Path, capsys) -> None:
    path = write_image(slab.volume, tmp_path / f"cut{suffix}")
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) * 2 // 3])
    assert cli.main(["analyze", str(path), "--out", str(tmp_path / "out"), *QUICK]) == 1
    errors = capsys.readouterr().err
    assert len([line for line in errors.splitlines() if line.startswith("liverlesionai:")]) == 1
    assert "cut" in errors
    assert "Traceback" not in errors
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_two_dimensional_images_are_refused(tmp_path: Path, capsys) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((64, 64), np.int16)), str(tmp_path / "flat.mha"))
    assert cli.main(["analyze", str(tmp_path / "flat.mha"), "--out", str(tmp_path / "out"), *QUICK]) == 1
    assert "flat.mha" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_demo_compares_with_the_truth(
    slab: SampleCase, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a part of the sample; CI runs the demo of the whole one from the wheel."""
    monkeypatch.setattr("LiverLesionAILib.case.sample.load_sample", lambda: slab)
    assert cli.main(["demo", "--out", str(tmp_path / "demo"), *QUICK]) == 0
    printed = capsys.readouterr().out
    found = int(printed.split("Against the sample's truth (a synthetic CT): ")[1].split(" of 3")[0])
    assert found >= 2
    assert (tmp_path / "demo" / "scene.mrb").is_file()
