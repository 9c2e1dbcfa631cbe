"""A result from the worker into the scene, in steps between which the event loop runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import slicer

from ..errors import InputError
from ..scene import SceneNodes, apply_result
from .case_view import ATTR_LIVER_VOLUME
from .kept import keep_drawn, split_by_score, write_candidates


def result_steps(
    scene: slicer.vtkMRMLScene,
    volume: slicer.vtkMRMLScalarVolumeNode,
    folder: Path,
    threshold: float,
) -> Iterator[Any]:
    """Read a result and show it; yields a text before each step, and last the :class:`SceneNodes`.

    Args:
        threshold: lesions of a lower score are kept aside for the threshold slider.

    Raises:
        LiverLesionAIError: the volume went away or was changed meanwhile.
    """
    from ..case_files import load_result

    yield "read the result"
    result = load_result(folder)
    yield "show the result"
    if not scene.IsNodePresent(volume):
        raise InputError("The CT was deleted; its result was not shown.")
    shown, candidates = split_by_score(result, threshold)
    if candidates and not shown.lesions:
        best = max(candidate.lesion.score for candidate in candidates)
        shown = replace(
            shown,
            messages=(
                *shown.messages,
                f"No lesion reached the threshold of {threshold:.2f}. {len(candidates)} fainter "
                f"{'spots were' if len(candidates) > 1 else 'spot was'} kept (best {best:.2f}): lower the "
                "threshold below the table to see them.",
            ),
        )
    made: SceneNodes = apply_result(scene, shown, volume)
    yield "keep what was found"
    keep_drawn(made.segmentation, shown, made.segment_ids)
    made.table.SetAttribute(ATTR_LIVER_VOLUME, f"{result.liver_volume_ml:.3f}")
    write_candidates(made.table, candidates, result.geometry)
    yield made
