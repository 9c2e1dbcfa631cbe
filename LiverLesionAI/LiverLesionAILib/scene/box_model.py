"""Boxes and diameters of many lesions as one surface: a node for each would freeze the application.

Slicer shows a model in slice views where the slice's plane cuts it, so a box is made of its six faces, which
are cut in a rectangle, and a diameter of a thin tube: a mere line would be cut in a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util import numpy_support
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData

from ..case.findings import Box
from ..case.place import Axis
from ..volume.geometry import lps_to_ras

COLOUR_INDEX = "Colour"
"""Name of the points' values: where their colour stands in the scene's table of colours."""

TUBE_MM = 0.5
"""Width of a diameter's tube in the slice. Across the slices it is as high as they are apart, so that it is
seen on the slice that it was measured on, wherever in it a view cuts."""


@dataclass(frozen=True)
class Drawn:
    """What one lesion adds.

    Attributes:
        colour: index of its colour; diameters have a colour of their own.
        box: None is left out.
    """

    colour: int
    box: Box | None = None
    axes_lps: tuple[Axis, ...] = ()


# Corners of the unit cube and its faces, anticlockwise from outside.
_CORNERS = np.array([(x, y, z) for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])
_FACES = np.array([(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)])


def box_model(
    lesions: Sequence[Drawn],
    axis_colour: int,
    slice_normal_lps: Sequence[float] = (0.0, 0.0, 1.0),
    slice_mm: float = 1.0,
) -> vtkPolyData:
    """One surface of all boxes and diameters, RAS mm in the CT's own space, coloured by point.

    Args:
        axis_colour: index of the diameters' colour.
        slice_normal_lps: unit vector across the slices on which diameters lie.
        slice_mm: from slice to slice.
    """
    cubes: list[tuple[NDArray[np.float64], int]] = []
    normal = np.asarray(slice_normal_lps, float)
    for lesion in lesions:
        if lesion.box is not None:
            cubes.append((box_corners(lesion.box), lesion.colour))
        for axis in lesion.axes_lps:
            cubes.append((tube_corners(axis, normal, TUBE_MM, slice_mm), axis_colour))
    points = np.concatenate([corners for corners, _ in cubes]) if cubes else np.zeros((0, 3))
    faces = np.concatenate([_FACES + 8 * k for k in range(len(cubes))]) if cubes else np.zeros((0, 4), int)
    colours = np.repeat(np.array([colour for _, colour in cubes], np.uint8), 8)
    return _surface(lps_to_ras(points), faces, colours)


def box_corners(box: Box) -> NDArray[np.float64]:
    """The eight corners of a box, (8, 3), LPS mm."""
    axes = np.asarray(box.directions_lps, float).reshape(3, 3)
    return np.asarray(box.centre_lps) + (_CORNERS * np.asarray(box.size_xyz_mm)) @ axes.T


def tube_corners(
    axis: Axis, normal: NDArray[np.float64], width_mm: float, height_mm: float
) -> NDArray[np.float64]:
    """The eight corners of a four-sided tube round a line, (8, 3), LPS mm.

    Args:
        width_mm: across the line.
        height_mm: along `normal`.
    """
    start, end = (np.asarray(point, float) for point in axis)
    along = end - start
    length = float(np.linalg.norm(along))
    along = along / length if length > 0 else _any_across(normal)
    across = np.cross(normal, along)
    size = float(np.linalg.norm(across))
    across = across / size if size > 1e-6 else _any_across(along)
    up = np.cross(along, across)
    frame = np.stack([along * length, across * width_mm, up * height_mm])
    return (start + end) / 2 + _CORNERS @ frame


def _any_across(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    other = np.eye(3)[int(np.argmin(np.abs(vector)))]
    across = np.cross(vector, other)
    return across / np.linalg.norm(across)


def _surface(points: NDArray, faces: NDArray, colours: NDArray[np.uint8]) -> vtkPolyData:
    positions = vtkPoints()
    positions.SetData(numpy_support.numpy_to_vtk(np.ascontiguousarray(points, np.float32), deep=True))
    cells = vtkCellArray()
    offsets = np.arange(0, faces.size + 1, 4, dtype=np.int64)
    cells.SetData(
        numpy_support.numpy_to_vtkIdTypeArray(offsets, deep=True),
        numpy_support.numpy_to_vtkIdTypeArray(np.ascontiguousarray(faces.ravel(), np.int64), deep=True),
    )
    scalars = numpy_support.numpy_to_vtk(np.ascontiguousarray(colours), deep=True)
    scalars.SetName(COLOUR_INDEX)
    surface = vtkPolyData()
    surface.SetPoints(positions)
    surface.SetPolys(cells)
    surface.GetPointData().SetScalars(scalars)
    return surface
