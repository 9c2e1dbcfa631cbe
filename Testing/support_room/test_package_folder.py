"""Packages in a folder of their own: the child takes them first, this process stays as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from LiverLesionAILib.support import package_folder as packages
from LiverLesionAILib.support.errors import Cancelled, InputError, OutputError
from LiverLesionAILib.support.package_folder import CHILD, REQUIREMENTS
from LiverLesionAILib.support.progress import TimedProgress, silent

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "LiverLesionAI"


def stub(folder: Path, version: str, name: str = "highdicom") -> Path:
    """A package that is nothing but there."""
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(f"__version__ = {version!r}\n")
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder


def wheel(folder: Path, name: str = "a_stub", version: str = "1.2") -> Path:
    """A package as a file, which pip installs without asking anybody."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def says(text: str, code: int = 1) -> list[str]:
    """In place of pip."""
    return [sys.executable, "-c", f"print({text!r}); raise SystemExit({code})"]


def test_the_child_takes_the_folders_packages_and_the_parent_knows_nothing_of_them(tmp_path):
    """Slicer's launcher puts its own site-packages before PYTHONPATH's: the folder must win all the same."""
    folder, slicers = stub(tmp_path / "ours", "9.9"), stub(tmp_path / "slicer", "0.1")
    before, known = list(sys.path), set(sys.modules)
    environment = packages.child_environment(os.environ, str(LIBRARY), str(folder))
    environment["PYTHONPATH"] = os.pathsep.join([str(slicers), environment["PYTHONPATH"]])
    said = subprocess.run(
        [sys.executable, "-m", CHILD],
        input=b'{"command": "info", "id": 1}\n',
        env=environment,
        capture_output=True,
        timeout=600,
        check=False,
    )
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    if not any(answer["event"] == "info" for answer in answers):
        # The end of its input may overtake the answer: ask again and wait for it.
        answers = _asked(environment)
    [info] = [answer for answer in answers if answer["event"] == "info"]
    assert Path(info["packages"]["highdicom"]) == folder / "highdicom" / "__init__.py"
    assert sys.path == before and set(sys.modules) == known
    assert packages.VARIABLE not in os.environ


def _asked(environment: dict[str, str]) -> list[dict]:
    process = subprocess.Popen(
        [sys.executable, "-m", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(b'{"command": "info", "id": 1}\n')
    process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for _ in range(2)]
    process.stdin.close()
    process.wait(600)
    return answers


def test_without_a_folder_the_environment_only_gets_the_library():
    environment = packages.child_environment({"PYTHONPATH": "there"}, "library")
    assert environment == {"PYTHONPATH": os.pathsep.join(["library", "there"])}


def test_put_first_moves_the_folder_to_the_front(monkeypatch):
    monkeypatch.setattr(sys, "path", ["a", "packages", "b"])
    monkeypatch.setenv(packages.VARIABLE, "packages")
    packages.put_first()
    assert sys.path == ["packages", "a", "b"]


def test_a_wheel_is_installed_into_the_folder_and_nowhere_else(tmp_path):
    folder = packages.package_folder(tmp_path / "settings")
    stub(folder, "0.1", "old")
    stages: list[str] = []
    packages.install_packages([str(wheel(tmp_path))], folder, lambda stage, share: stages.append(stage))
    assert packages.missing_packages(["a-stub>=1.1"], folder) == ()
    assert packages.missing_packages(["a_stub>=2", "old"], folder) == ("a_stub>=2", "old"), "what was there"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing else is left"
    assert packages.missing_packages(["a-stub"], tmp_path / "elsewhere") == ("a-stub",)
    assert "Installing the packages" in stages


@pytest.mark.parametrize(
    "said",
    [
        "WARNING: Retrying ... Failed to establish a new connection: [Errno -3] Temporary failure in name "
        "resolution\nERROR: Could not find a version that satisfies the requirement highdicom>=0.25\n"
        "ERROR: No matching distribution found for highdicom>=0.25",
        "ERROR: Cannot connect to proxy.",
    ],
)
def test_without_internet_the_way_out_is_named_and_nothing_is_left(said, tmp_path, monkeypatch):
    monkeypatch.setattr(packages, "pip_command", lambda *_: says(said))
    folder = packages.package_folder(stub(tmp_path, "1"))
    with pytest.raises(InputError, match="internet") as caught:
        packages.install_packages(REQUIREMENTS, folder, silent)
    assert "pip download -d wheels" in str(caught.value) and str(folder) in str(caught.value)
    assert not folder.exists() and not list(folder.parent.iterdir())


def test_other_failures_are_told_as_pip_tells_them(tmp_path, monkeypatch):
    folder = packages.package_folder(tmp_path)
    monkeypatch.setattr(packages, "pip_command", lambda *_: says("ERROR: wheel is damaged"))
    with pytest.raises(InputError, match="wheel is damaged"):
        packages.install_packages(REQUIREMENTS, folder, silent)
    monkeypatch.setattr(packages, "pip_command", lambda *_: says("[Errno 28] No space left on device"))
    with pytest.raises(OutputError, match="disk is full"):
        packages.install_packages(REQUIREMENTS, folder, silent)
    monkeypatch.setattr(packages, "pip_command", lambda *_: says("/x/python: No module named pip"))
    with pytest.raises(InputError, match="has no pip"):
        packages.install_packages(REQUIREMENTS, folder, silent)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="could not be written"):
        packages.install_packages(REQUIREMENTS, packages.package_folder(tmp_path / "file"), silent)


def test_a_cancel_ends_pip_at_once_and_keeps_what_was_there(tmp_path, monkeypatch):
    folder = packages.package_folder(tmp_path)
    stub(folder, "1.0", "old")
    silent_pip = [sys.executable, "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(packages, "pip_command", lambda *_: silent_pip)
    asked: list[str] = []
    progress = TimedProgress(lambda stage, share, left: asked.append(stage), lambda: len(asked) > 1)
    with pytest.raises(Cancelled):
        packages.install_packages(REQUIREMENTS, folder, progress)
    assert packages.missing_packages(["old"], folder) == ()
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_the_requirements_are_the_packages_extra():
    import re

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extra = re.search(r"^export = \[(.*)\]$", text, re.M)
    assert extra is not None
    assert tuple(re.findall(r'"([^"]+)"', extra[1])) == REQUIREMENTS
