"""A result from the worker into the scene, in steps between which the event loop runs."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import slicer
import vtk
from numpy.typing import NDArray
from vtk.util import numpy_support

from ..case.lesion_masks import lesion_mask_steps
from ..case.surfaces import load_surfaces
from ..scene.segments import CLOSED_SURFACE
from ..scene.show import SceneNodes, apply_steps
from ..support.errors import InputError
from .case_view import ATTR_LIVER_VOLUME
from .kept import Split, keep_drawn, split_by_score, write_candidates

T = TypeVar("T")


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
    from ..case.store import load_steps

    result = yield from _say("read the result", load_steps(folder))
    if not scene.IsNodePresent(volume):
        raise InputError("The CT was deleted; its result was not shown.")
    masks = yield from _say("read the result", lesion_mask_steps(result))
    split = split_by_score(result, threshold, masks)
    shown, candidates = split.shown, split.candidates
    yield "show the result"
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
    made: SceneNodes = yield from _say(
        "show the result", apply_steps(scene, shown, volume, masks=split.masks)
    )
    yield from _say("keep what was found", keep_drawn(made.segmentation, split, made.segment_ids))
    made.table.SetAttribute(ATTR_LIVER_VOLUME, f"{result.liver_volume_ml:.3f}")
    write_candidates(made.table, candidates, result.geometry)
    yield "show the surfaces"
    for segment_id, surface in _surfaces(split, made, folder).items():
        show_surface(made.segmentation, segment_id, *surface)
        yield "show the surfaces"
    yield made


def _say(stage: str, steps: Generator[Any, None, T]) -> Generator[str, None, T]:
    """Steps that tell what they are."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        yield stage


def _surfaces(
    split: Split, made: SceneNodes, folder: Path
) -> dict[str, tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Surfaces by segment ID; those of segments that the reader has touched are left as they are."""
    found = {}
    for number, surface in load_surfaces(folder).items():
        segment_id = made.segment_ids.get(split.numbers.get(number, -1) if number else 0)
        if segment_id and segment_id not in made.kept_segment_ids:
            found[segment_id] = surface
    return found


def show_surface(
    node: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    points_ras: NDArray[np.float32],
    triangles: NDArray[np.int32],
) -> None:
    """Give a segment its closed surface, so that 3D views show it."""
    points = vtk.vtkPoints()
    points.SetData(numpy_support.numpy_to_vtk(points_ras, deep=True))
    cells = vtk.vtkCellArray()
    connectivity = numpy_support.numpy_to_vtkIdTypeArray(triangles.astype(np.int64).ravel(), deep=True)
    offsets = numpy_support.numpy_to_vtkIdTypeArray(
        np.arange(0, triangles.size + 1, 3, dtype=np.int64), deep=True
    )
    cells.SetData(offsets, connectivity)
    surface = vtk.vtkPolyData()
    surface.SetPoints(points)
    surface.SetPolys(cells)
    normals = vtk.vtkPolyDataNormals()
    normals.SetInputData(surface)
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    segment = node.GetSegmentation().GetSegment(segment_id)
    if segment is not None:
        segment.AddRepresentation(CLOSED_SURFACE, normals.GetOutput())
