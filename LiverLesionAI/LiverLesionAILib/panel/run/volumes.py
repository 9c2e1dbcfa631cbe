"""The CTs of a scene."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import slicer
import vtk

from ...reading.dicom_source import contrast_of_file
from ...reading.node_grid import grid_difference
from ...scene.nodes import ATTR_ROLE
from ...scene.ras import numpy_matrix
from ...support.errors import GeometryError, InputError
from ...volume.contrast import NOTHING_SAID, ContrastHeader
from ...volume.ct import Geometry
from ..show.views import is_prior_view


def all_cts(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Scalar volumes of the scene that may be CTs: no label maps, none of our maps."""
    found = []
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetAttribute(ATTR_ROLE):
            found.append(node)
    return found


def map_ids(scene: slicer.vtkMRMLScene) -> list[str]:
    """IDs of the volumes that are maps of ours, none of which is a CT to choose."""
    volumes = (
        scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        for index in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"))
    )
    return [node.GetID() for node in volumes if node.GetAttribute(ATTR_ROLE)]


def hide_maps(
    scene: slicer.vtkMRMLScene,
    chosen: slicer.vtkMRMLScalarVolumeNode | None,
    of_cts: Any,
    of_others: Iterable[Any],
) -> None:
    """Lists of CTs are of CTs only, and the chosen one is in no list of others: it is no phase of itself."""
    ids = map_ids(scene)
    own = [chosen.GetID()] if chosen is not None else []
    for selector, hidden in ((of_cts, ids), *((one, ids + own) for one in of_others)):
        model = selector.sortFilterProxyModel()
        if list(model.hiddenNodeIDs) != hidden:
            model.hiddenNodeIDs = hidden


def first_ct(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume that slice views show, or the first one."""
    cts = all_cts(scene)
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        composite = scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode")
        for node in cts:
            if node.GetID() == composite.GetBackgroundVolumeID() and not is_prior_view(composite):
                return node
    return cts[0] if cts else None


def grid_warnings(volume: slicer.vtkMRMLScalarVolumeNode) -> tuple[str, ...]:
    """What to say where Slicer placed a volume otherwise than its file's header does; mostly nothing."""
    storage, image = volume.GetStorageNode(), volume.GetImageData()
    file = storage.GetFileName() if storage is not None else None
    if not file or image is None:
        return ()
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    sentence = grid_difference(Path(file), image.GetDimensions()[::-1], numpy_matrix(matrix))
    return (sentence,) if sentence else ()


def checked_geometry(volume: slicer.vtkMRMLScalarVolumeNode) -> Geometry:
    """The volume's grid.

    Raises:
        InputError: it has no voxels, several values per voxel, or a sheared grid; the text says what to do.
    """
    image, name = volume.GetImageData(), volume.GetName()
    if image is None or not image.GetNumberOfPoints():
        raise InputError(f"{name} has no voxels. Choose another CT.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(f"{name} has several values per voxel (a colour image, say). Choose a CT.")
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    try:
        return Geometry.from_ijk_to_ras(image.GetDimensions()[::-1], numpy_matrix(matrix))
    except GeometryError as error:
        raise InputError(
            f"{error} Resample it to a straight grid first (module Resample Scalar Volume)."
        ) from error


def header_contrast(volume: slicer.vtkMRMLScalarVolumeNode) -> ContrastHeader:
    """What the DICOM header of a CT's first image says of contrast medium; nothing without such files."""
    uids = (volume.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    path = str(database.fileForInstance(uids[0]) or "") if uids and database is not None else ""
    return contrast_of_file(Path(path)) if path else NOTHING_SAID
