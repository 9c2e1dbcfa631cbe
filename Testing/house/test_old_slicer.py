"""A Slicer that is too old gets one sentence: the module file alone loads under Python 3.9."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "LiverLesionAI" / "LiverLesionAI.py"
OLDEST = "Slicer 5.10"

OLD_SLICER = '''
import importlib.abc, sys, types

class Old(tuple):
    major, minor, micro, releaselevel, serial = 3, 9, 10, "final", 0

sys.version_info = Old((3, 9, 10, "final", 0))

class Refusing(importlib.abc.MetaPathFinder):
    """Only the package's first file may load: the rest needs a newer Python."""
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("LiverLesionAILib.", "LiverLesionAILab")):
            raise SyntaxError(f"{name} was written for a newer Python")

sys.meta_path.insert(0, Refusing())

class Base:
    def __init__(self, parent=None):
        self.parent, self.layout = parent, Layout()
    def setup(self): pass

class Layout:
    def __init__(self): self.widgets = []
    def addWidget(self, widget): self.widgets.append(widget)
    def addStretch(self, factor): pass

class QLabel:
    def __init__(self, text): self.text = text
    def setWordWrap(self, on): pass

def module(name, **content):
    sys.modules[name] = made = types.ModuleType(name)
    vars(made).update(content)
    return made

module("qt", QLabel=QLabel)
module("slicer", __path__=[])
module("slicer.ScriptedLoadableModule", ScriptedLoadableModule=Base, ScriptedLoadableModuleWidget=Base,
       ScriptedLoadableModuleLogic=Base, ScriptedLoadableModuleTest=Base)

import LiverLesionAI as loaded

class Parent: pass

loaded.LiverLesionAI(Parent())
widget = loaded.LiverLesionAIWidget()
widget.setup()
widget.enter()
widget.exit()
widget.cleanup()
print("SAID", *[label.text for label in widget.layout.widgets], sep="|")
try:
    loaded.LiverLesionAILogic()
except RuntimeError as error:
    print("LOGIC", error, sep="|")
'''


@pytest.mark.parametrize("path", [MODULE, MODULE.parent / "LiverLesionAILib" / "__init__.py"])
def test_the_first_files_are_written_for_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Match)]


def test_an_old_slicer_is_told_in_one_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", OLD_SLICER],
        env={**os.environ, "PYTHONPATH": str(MODULE.parent)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    said, logic = done.stdout.splitlines()
    texts = said.split("|")[1:]
    assert len(texts) == 1
    assert f"needs {OLDEST} or newer" in texts[0]
    assert "Python 3.9" in texts[0]
    assert logic == f"LOGIC|{texts[0]}"


def test_here_nothing_is_too_old() -> None:
    pytest.importorskip("PySide6")
    from support.desk import Desk

    desk = Desk("truth")
    try:
        assert desk.module.TOO_OLD == ""
        assert desk.panel is not None
    finally:
        desk.close()


@pytest.mark.parametrize(
    "name", ["README.md", "Resources/TUTORIAL.md", "pyproject.toml", "LiverLesionAI/LiverLesionAI.py"]
)
def test_the_oldest_slicer_is_named_alike(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert OLDEST in text
    assert not re.findall(r"Slicer 5\.[0-9]\b and newer", text)
