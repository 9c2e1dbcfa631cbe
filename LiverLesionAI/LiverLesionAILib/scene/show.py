"""A case in a Slicer scene: results become MRML nodes, and the reader's edits come back.

Runs in 3D Slicer 5.10 and newer and, without its application, on the `slicer-core` package. This is where LPS
becomes RAS. All nodes live in the CT's own space under the CT's parent transform, so what is shown stays on
the CT wherever it is moved.

A case's nodes are found again by a reference to their CT ("LiverLesionAI.Volume") or, without a CT in the
scene, by the case's name ("LiverLesionAI.Case"). A new run replaces what the AI made and nobody touched; a
lesion that the reader edited, moved, decided on, renamed or added stays. The lesions share their nodes: how
many there are changes nothing in how many nodes a case has (see :mod:`.marks`, :mod:`.map_stack`).
"""

from __future__ import annotations

import slicer

from ..case.findings import CaseResult
from ..support.errors import GeometryError, InputError
from ..support.steps import Steps, finish
from .apply import Apply, SceneNodes
from .nodes import fill_table
from .prepare import Extras, find_nodes
from .ras import volume_geometry
from .read import DrawnLesion, ReaderCase, read_back
from .segments import mark

__all__ = [
    "DrawnLesion",
    "Extras",
    "ReaderCase",
    "SceneNodes",
    "apply_result",
    "apply_steps",
    "fill_table",
    "find_nodes",
    "mark",
    "read_back",
]

MOST_TRIES = 3


def apply_result(
    scene: slicer.vtkMRMLScene,
    result: CaseResult,
    volume_node: slicer.vtkMRMLScalarVolumeNode | None = None,
    *,
    diameters: bool = True,
    maps: bool = True,
    surfaces: bool = False,
) -> SceneNodes:
    """Show a result in a scene, beside or in place of what an earlier run left there.

    Args:
        result: on the grid of `volume_node` in that node's own space (before any parent transform).
        volume_node: the CT; None when the scene holds none.
        diameters: also draw the RECIST axes.
        maps: also make probability and attention volumes.
        surfaces: make closed surfaces, so that 3D views show the segments at once (some seconds on a large
        liver).

    Raises:
        GeometryError: the result is not on the volume's grid.
        Exception: anything else that fails on the way; the scene is then as it was before.
    """
    return finish(
        apply_steps(
            scene,
            result,
            volume_node,
            diameters=diameters,
            maps=maps,
            surfaces=surfaces,
        )
    )


def apply_steps(
    scene: slicer.vtkMRMLScene,
    result: CaseResult,
    volume_node: slicer.vtkMRMLScalarVolumeNode | None = None,
    *,
    diameters: bool = True,
    maps: bool = True,
    surfaces: bool = False,
    extras: Extras | None = None,
) -> Steps[SceneNodes]:
    """:func:`apply_result` in steps.

    What takes long is prepared first, then the findings come in one step, and the maps in one each. Whoever
    leaves off half-way finds the scene as it was.

    Args:
        extras: what is known of the lesions besides the result.

    Raises:
        InputError: the volume was taken out of the scene meanwhile; besides what `apply_result` raises.
    """
    if volume_node is not None and not volume_geometry(volume_node).matches(result.geometry):
        raise GeometryError(
            f"The result of {result.case_name} is not on the grid of the volume {volume_node.GetName()}: "
            "the volume was changed after the analysis began. Analyze it again."
        )
    work = Apply(scene, result, volume_node, extras or Extras())
    for _ in range(MOST_TRIES):
        yield from work.prepared.steps(maps=maps)
        if work.prepared.fresh:
            break
    else:
        # The reader draws without a pause: prepare and change in one go.
        finish(work.prepared.steps(maps=maps))
    if volume_node is not None and not scene.IsNodePresent(volume_node):
        raise InputError("The CT was deleted; its result was not shown.")
    try:
        made = yield from work.steps(diameters=diameters, maps=maps, surfaces=surfaces)
    except BaseException:
        work.roll_back()
        raise
    work.remove_replaced()
    return made
