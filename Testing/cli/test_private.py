"""What a run keeps to itself: no socket is opened, and the patient's name stands where it says so alone."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pydicom
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.analysis.handover import write_volume
from LiverLesionAILib.case.dicom_json import DICOM_FILE
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.support.errors import InputError
from pydicom.uid import RLELossless
from support.dicom_writer import axial_positions, write_series
from support.threshold_models import phantom

TESTING = Path(__file__).resolve().parents[1]
WORDS = ("Quuxenheimer", "Wilhelmine", "QX-77131", "19370229")
PATIENT = {
    "PatientName": "Quuxenheimer^Wilhelmine",
    "PatientID": "QX-77131",
    "PatientBirthDate": "19370229",
    "AccessionNumber": "QX-77131.4",
}


class Watched:
    """Processes whose sockets and new files are noted, their own children included."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "watched.log"
        (folder / "tmp").mkdir()

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        path = [TESTING / "support" / "watched", TESTING.parent / "LiverLesionAI", TESTING]
        script = TESTING / "support" / "toy_process.py"
        return subprocess.Popen(
            [sys.executable, str(script), str(self.folder / "toys"), *arguments],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, path)),
                "PYTHONDONTWRITEBYTECODE": "1",
                "WATCHED": str(self.log),
                "TMPDIR": str(self.folder / "tmp"),
            },
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        with self.start(*arguments) as process:
            out, errors = process.communicate(timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

    def lines(self, start: str) -> list[str]:
        said = self.log.read_text(encoding="utf-8").splitlines()
        return [line for line in said if line.startswith(start)]

    def sockets(self) -> list[str]:
        return self.lines("socket.") + self.lines("open socket")


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compressed series of the toys' phantom that names its patient."""
    volume, _ = phantom()
    folder = tmp_path_factory.mktemp("dicom") / "ct"
    write_series(folder, volume.hu_zyx, axial_positions(len(volume.hu_zyx), 4.0), **PATIENT)
    path = sorted(folder.iterdir())[0]
    item = pydicom.dcmread(path)
    item.compress(RLELossless, generate_instance_uid=False)
    item.save_as(path)
    return folder


@pytest.fixture(scope="module")
def analysed(
    patient: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Watched, subprocess.CompletedProcess[bytes], Path]:
    watched = Watched(tmp_path_factory.mktemp("watched"))
    case = watched.folder / "case"
    done = watched.run("analyze", str(patient), "--out", str(case), "--device", "cpu", "--no-pictures")
    assert done.returncode == 0, done.stderr.decode()
    return watched, done, case


def test_no_socket_is_opened_in_a_run(analysed) -> None:
    watched, _, case = analysed
    assert watched.sockets() == []
    # It was watched, and so was the process that decodes.
    assert any("dicom_decode_child" in line for line in watched.lines("process"))
    assert any(str(case.parent) in line for line in watched.lines("os.mkdir"))


def test_no_socket_is_opened_by_the_panels_worker(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    volume, _ = phantom()
    folder = tmp_path / "case"
    folder.mkdir()
    for _ in write_volume(folder, volume.hu_zyx, volume.geometry, "phantom"):
        pass
    with watched.start("worker", stdin=subprocess.PIPE) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        for command in (
            {"command": "info", "id": 1},
            {"command": "analyze", "id": 2, "folder": str(folder), "settings": {"device": "cpu"}},
        ):
            worker.stdin.write(json.dumps(command).encode() + b"\n")
        worker.stdin.flush()
        heard = []
        # Standard input stays open until the answer is there: its end would end the worker.
        for line in worker.stdout:
            heard.append(json.loads(line))
            if heard[-1]["event"] in ("done", "failed"):
                break
        worker.communicate(timeout=600)
    assert heard[-1]["event"] == "done", heard
    assert watched.lines("process") and watched.sockets() == []


def test_a_socket_would_be_seen(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    assert watched.run("socket").returncode == 0
    assert any("socket.__new__" in line for line in watched.sockets())


def contents(path: Path) -> list[tuple[str, bytes]]:
    """(name, bytes) of a file and of what is packed in it."""
    raw = path.read_bytes()
    found = [(path.name, raw)]
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            found += [(f"{path.name}/{name}", packed.read(name)) for name in packed.namelist()]
    for name, content in list(found):
        start = content.find(b"\x1f\x8b\x08")
        if start >= 0 and name.endswith((".nrrd", ".gz")):
            found.append((f"{name}, unpacked", gzip.decompress(content[start:])))
    return found


def test_the_patients_name_stands_only_where_it_is_marked(analysed) -> None:
    watched, done, case = analysed
    files = sorted(path for path in watched.folder.rglob("*") if path.is_file() and path != watched.log)
    assert {"masks.seg.nrrd", "findings.json", "case.json", DICOM_FILE} <= {path.name for path in files}
    searched = [pair for path in files if path != case / DICOM_FILE for pair in contents(path)]
    searched += [("output", done.stdout), ("errors", done.stderr), ("files made", watched.log.read_bytes())]
    for name, content in searched:
        for word in WORDS:
            assert word.encode() not in content and word.encode("utf-16-le") not in content, (name, word)
        assert not any(word in name for word in WORDS)
    marked = (case / DICOM_FILE).read_text(encoding="utf-8")
    assert WORDS[0] in marked and '"contains_patient_data": true' in marked
    assert not any((watched.folder / "tmp").iterdir())


def test_refusals_name_no_patient(patient: Path, tmp_path: Path) -> None:
    """Two patients in one series, images that are damaged, too few of them."""
    said = []
    for kind in ("other patient", "damaged", "few"):
        folder = tmp_path / kind
        folder.mkdir()
        for k, path in enumerate(sorted(patient.iterdir())):
            item = pydicom.dcmread(path)
            if kind == "other patient" and k % 2:
                item.PatientName, item.PatientID = "Quuxenheimer^Otto", "QX-77131-b"
            if kind == "damaged" and k % 2:
                item.PixelData = item.PixelData[:100]
            if kind != "few" or k < 5:
                item.save_as(folder / path.name)
        try:
            volume = read_ct(folder)
            said += [*volume.warnings, *volume.notes, volume.name]
        except InputError as error:
            said.append(str(error))
    assert len(said) >= 3
    for word in WORDS:
        assert not any(word in sentence for sentence in said), said
