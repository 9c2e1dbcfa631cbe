"""Scenes that were written as .mrb, read again."""

from __future__ import annotations

import zipfile
from pathlib import Path

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
