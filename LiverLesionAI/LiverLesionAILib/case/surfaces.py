"""Closed surfaces of liver and lesions, made beside the result so that the 3D view has them at once.

Made where the result is computed: smoothing a liver takes a second or more, too long for an event loop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..support.errors import InputError
from ..volume.crops import Mask
from ..volume.geometry import Geometry, lps_to_ras
from .findings import CaseResult
from .lesion_masks import lesion_masks

SURFACES_FILE = "surfaces.npz"
MOST_TRIANGLES = 120_000
SMOOTHING_ITERATIONS = 30
PASS_BAND = 0.02


def closed_surface(mask: Mask, geometry: Geometry) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """A smooth closed surface round a mask.

    Returns:
        points_ras (n, 3) in the volume's own space, mm; triangles (m, 3) into them, seen from outside
        anticlockwise. Both empty for an empty mask.
    """
    import vtk
    from vtk.util import numpy_support

    if not mask.count:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.int32)
    padded = np.pad(mask.voxels_zyx, 1).astype(np.uint8)
    image = vtk.vtkImageData()
    image.SetDimensions(*padded.shape[::-1])
    # Spacing as it is, so that smoothing does not follow the slices; place and turn come afterwards.
    spacing_xyz = geometry.spacing_zyx_mm[::-1]
    image.SetSpacing(*spacing_xyz)
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(padded.ravel(), deep=True))
    edges = vtk.vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 0.5)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    smooth = vtk.vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(edges.GetOutputPort())
    smooth.SetNumberOfIterations(SMOOTHING_ITERATIONS)
    smooth.SetPassBand(PASS_BAND)
    smooth.BoundarySmoothingOff()
    smooth.FeatureEdgeSmoothingOff()
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    smooth.Update()
    surface = smooth.GetOutput()
    if surface.GetNumberOfPolys() > MOST_TRIANGLES:
        fewer = vtk.vtkDecimatePro()
        fewer.SetTargetReduction(1.0 - MOST_TRIANGLES / surface.GetNumberOfPolys())
        fewer.PreserveTopologyOn()
        fewer.SetInputData(surface)
        fewer.Update()
        surface = fewer.GetOutput()
    points = numpy_support.vtk_to_numpy(surface.GetPoints().GetData()).astype(float)
    cells = numpy_support.vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    index_zyx = (points / np.array(spacing_xyz))[:, ::-1] - 1 + np.array(mask.start_zyx)
    points_ras = lps_to_ras(geometry.index_to_lps(index_zyx))
    # Marching runs clockwise or not by the grid's handedness.
    if np.linalg.det(geometry.directions_lps) < 0:
        cells = cells[:, ::-1]
    return points_ras.astype(np.float32), np.ascontiguousarray(cells, np.int32)


def save_surfaces(result: CaseResult, folder: Path) -> Path:
    """Make and save the surfaces of a result: "0" is the liver, otherwise the lesion's number."""
    masks = {0: Mask.of(result.liver_zyx), **lesion_masks(result)}
    arrays: dict[str, NDArray[Any]] = {}
    for number, mask in masks.items():
        points, triangles = closed_surface(mask, result.geometry)
        if len(triangles):
            arrays[f"{number} points"], arrays[f"{number} triangles"] = points, triangles
    path = folder / SURFACES_FILE
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    return path


def load_surfaces(folder: Path) -> dict[int, tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """The surfaces saved in a folder, by number; none where there are none.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / SURFACES_FILE
    if not path.is_file():
        return {}
    try:
        with np.load(path) as arrays:
            numbers = {int(name.split()[0]) for name in arrays.files}
            return {n: (arrays[f"{n} points"], arrays[f"{n} triangles"]) for n in sorted(numbers)}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"The surfaces of the result cannot be read ({error}). Click Analyze again."
        ) from error
