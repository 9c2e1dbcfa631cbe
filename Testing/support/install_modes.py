"""Every way of installing, each from an empty environment: ``python Testing/support/install_modes.py``.

Makes a copy of the checkout's files, installs it in one way, and runs `demo` and `analyze` elsewhere. With
names of modes as arguments only those; a mode takes some minutes, most of them for torch.

    wheel      a built wheel
    install    pip install .
    editable   pip install -e .
    scene      pip install -e ".[scene]"
    slicer     the files of the installed extension alone, on the module path, beside what Slicer carries
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support import cmake_lists

ROOT = Path(__file__).resolve().parents[2]
MODES = ("wheel", "install", "editable", "scene", "slicer")
FILES = {"masks.seg.nrrd", "boxes.mrk.json", "findings.csv", "findings.json", "case.json", "overview.png"}
QUICK = ("--no-pictures", "--no-attention", "--no-classify", "--detector", "none", "--pyramid", "0.6")


class Installation:
    """One mode in a folder of its own.

    Attributes:
        python: the virtual environment's.
        command: how `liverlesionai` is called.
        environment: of every process.
    """

    def __init__(self, mode: str, folder: Path) -> None:
        self.mode, self.folder = mode, folder
        venv.create(folder / "venv", with_pip=True)
        programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        self.python = programs / "python"
        self.command: tuple[str, ...] = (str(programs / "liverlesionai"),)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        self.checkout = folder / "checkout"

    def run(self, *command: str | Path) -> str:
        """Run in the folder; what was printed. Ends this program where the command fails."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            raise SystemExit(f"{self.mode}: {' '.join(map(str, command))}: {done.returncode}\n{done.stdout}")
        return done.stdout

    def install(self) -> None:
        """Install the checkout as the mode says."""
        copy_checkout(self.checkout)
        pip = (self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check")
        if self.mode == "wheel":
            wheels = self.folder / "wheels"
            self.run(self.python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, self.checkout)
            self.run(*pip, *wheels.glob("*.whl"))
        elif self.mode == "slicer":
            self._module_path(pip)
            return
        else:
            what = {"install": ["{}"], "editable": ["-e", "{}"], "scene": ["-e", "{}[scene]"]}[self.mode]
            self.run(*pip, *(part.format(self.checkout) for part in what))
        if self.mode in ("wheel", "install"):
            # Whatever still needs the checkout fails now.
            shutil.rmtree(self.checkout)

    def _module_path(self, pip: Sequence[str | Path]) -> None:
        """The listed files alone, as the installed extension has them, and the libraries that Slicer has."""
        import tomllib

        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        self.run(*pip, *tomllib.loads(text)["project"]["dependencies"])
        modules = self.folder / "qt-scripted-modules"
        listed = cmake_lists.listed(cmake_lists.CMAKE.read_text(encoding="utf-8"))
        for name in (*listed[cmake_lists.SCRIPTS], *listed[cmake_lists.RESOURCES]):
            target = modules / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cmake_lists.MODULE / name, target)
        shutil.rmtree(self.checkout)
        self.environment["PYTHONPATH"] = str(modules)
        self.command = (str(self.python), "-m", "LiverLesionAILib.cli.main")

    def check(self) -> None:
        """Run `demo` and `analyze`; AssertionError where something is not as promised."""
        said = self.run(*self.command, "demo", "--out", "demo", "--device", "cpu")
        there = {path.name for path in (self.folder / "demo").iterdir()}
        assert there >= FILES, f"missing: {FILES - there}"
        assert "5 of 5 lesions found" in said, said
        with_scene = self.mode == "scene"
        assert ("scene.mrb" in there) is with_scene, f"scene.mrb {'is missing' if with_scene else 'is there'}"
        told = [line for line in said.splitlines() if "[scene]" in line]
        assert len(told) == (0 if with_scene else 1), said
        where = "from LiverLesionAILib.case.sample import sample_folder as f; print(f())"
        sample = Path(self.run(self.python, "-c", where).strip())
        assert sample.is_relative_to(self.folder), sample
        self.run(
            *self.command, "analyze", sample / "sample_ct.nrrd", "--out", "case", "--device", "cpu", *QUICK
        )
        assert (self.folder / "case" / "findings.csv").is_file()
        commands = self.run(*self.command, "--help")
        assert ("synthesize" in commands) is (self.mode != "slicer"), "the laboratory's commands"


def copy_checkout(target: Path) -> None:
    """The files that git knows, as they stand."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if not name.startswith("Testing") and (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


def main() -> int:
    """Check the modes; 0 where all work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("modes", nargs="*", metavar="MODE", help=", ".join(MODES))
    wrong = 0
    for mode in parser.parse_args().modes or MODES:
        if mode not in MODES:
            parser.error(f"no mode {mode}")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"liverlesionai-{mode}-") as folder:
            try:
                installation = Installation(mode, Path(folder).resolve())
                installation.install()
                installation.check()
            except (AssertionError, SystemExit) as error:
                wrong += 1
                print(f"{mode}: WRONG: {error}", flush=True)
            else:
                print(f"{mode}: installs, analyses; {time.monotonic() - started:.0f} s", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
