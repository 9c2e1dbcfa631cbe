"""Scenes that were written as .mrb, read again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import slicer
from LiverLesionAILib.scene.offline import new_scene


def read_bundle(path: Path, folder: Path) -> slicer.vtkMRMLScene:
    """Load a .mrb, unpacked into `folder`, into a fresh scene.

    Raises:
        AssertionError: it holds no scene, or the scene cannot be read.
    """
    with zipfile.ZipFile(path) as bundle:
        bundle.extractall(folder)
    scenes = sorted(folder.glob("*/*.mrml")) or sorted(folder.glob("*.mrml"))
    assert scenes, f"{path} holds no .mrml scene"
    scene = new_scene()
    scene.SetURL(str(scenes[0]))
    assert scene.Import(), f"{path}: the scene in it cannot be read"
    return scene


def opened_elsewhere(paths: Sequence[Path], ct: str) -> list[dict[str, Any]]:
    """What another process finds about the CT of this name in each bundle: "nodes", "rows" of the table.

    Raises:
        AssertionError: it ended otherwise than well; with what it said.
    """
    inherited = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), ct, *map(str, paths)],
        env={**os.environ, "PYTHONPATH": inherited},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-2000:]}"
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _describe(path: str, ct: str) -> dict[str, Any]:
    from LiverLesionAILib.scene.prepare import find_nodes

    with tempfile.TemporaryDirectory() as folder:
        scene = read_bundle(Path(path), Path(folder))
        found = find_nodes(scene, scene.GetFirstNodeByName(ct))
        return {"nodes": sorted(found), "rows": found["table"][0].GetTable().GetNumberOfRows()}


if __name__ == "__main__":
    for bundle in sys.argv[2:]:
        print(json.dumps(_describe(bundle, sys.argv[1])), flush=True)
