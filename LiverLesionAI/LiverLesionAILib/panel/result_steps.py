"""A result from the worker into the scene, in steps between which the event loop runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import slicer

from ..errors import InputError
from ..scene import SceneNodes, apply_result
from .case_view import ATTR_LIVER_VOLUME, ATTR_THRESHOLD


def result_steps(
    scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode, folder: Path
) -> Iterator[Any]:
    """Read a result and show it; yields a text before each step, and last the :class:`SceneNodes`.

    Raises:
        LiverLesionAIError: the volume went away or was changed meanwhile.
    """
    from ..case_files import load_result

    yield "read the result"
    result = load_result(folder)
    yield "show the result"
    if not scene.IsNodePresent(volume):
        raise InputError("The CT was deleted; its result was not shown.")
    made: SceneNodes = apply_result(scene, result, volume)
    made.table.SetAttribute(ATTR_LIVER_VOLUME, f"{result.liver_volume_ml:.3f}")
    tumour = result.probabilities.get("tumour")
    if tumour is not None:
        made.table.SetAttribute(ATTR_THRESHOLD, f"{tumour.threshold:.4f}")
    yield made
