"""The process that renders a 3D picture: `-m LiverLesionAILib.pictures.view_3d_child job.npz picture.npz`."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def main(job: str, picture: str) -> None:
    """Render the job that `picture_3d` has written; may crash where OpenGL is missing."""
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  (registers the renderer)
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow, vtkWindowToImageFilter

    with np.load(job) as arrays:
        described = json.loads(arrays["described"].tobytes())
        fields = [arrays[f"field{i}"] for i in range(len(described["parts"]))]
    renderer = vtkRenderer()
    renderer.SetBackground(0.06, 0.07, 0.09)
    renderer.SetBackground2(0.16, 0.18, 0.22)
    renderer.GradientBackgroundOn()
    points = []
    for part, field in zip(described["parts"], fields, strict=True):
        actor = surface(field, np.array(part["ijk_to_lps"]))
        dress(actor, part["colour"], part["opacity"])
        renderer.AddActor(actor)
    for box in described["boxes"]:
        renderer.AddActor(frame(box))
        points.append(box["centre_lps"])
    window = vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetSize(described["width"], described["height"])
    # Depth peeling, for the translucent liver, allows no multisampling. Twice the size, averaged, takes twice
    # the time without a graphics card, and the pictures can hardly be told apart.
    window.SetMultiSamples(0)
    renderer.UseFXAAOn()
    window.SetAlphaBitPlanes(1)
    window.AddRenderer(renderer)
    renderer.SetUseDepthPeeling(1)
    renderer.SetMaximumNumberOfPeels(8)
    renderer.SetOcclusionRatio(0.01)
    aim(renderer)
    window.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    # It is there already; drawing it takes two seconds without a graphics card.
    grab.ShouldRerenderOff()
    grab.Update()
    image = grab.GetOutput()
    width, height, _ = image.GetDimensions()
    rgb = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1, :, :3]
    places = []
    for point in points:
        renderer.SetWorldPoint(*point, 1.0)
        renderer.WorldToDisplay()
        x, y, _ = renderer.GetDisplayPoint()
        places.append((x, height - 1 - y))
    np.savez(
        picture,
        rgb=rgb,
        numbers=np.array([box["number"] for box in described["boxes"]], int),
        points=np.array(places, float).reshape(-1, 2),
    )


def dress(actor: Any, colour: tuple[float, float, float], opacity: float | None) -> None:
    """Give a surface its colour and its shine; `opacity` 0..1 makes it translucent, None does not."""
    look = actor.GetProperty()
    look.SetColor(*colour)
    look.SetInterpolationToPhong()
    look.SetAmbient(0.15)
    look.SetDiffuse(0.8)
    look.SetSpecular(0.25)
    look.SetSpecularPower(25)
    if opacity is not None:
        look.SetOpacity(opacity)
        look.SetAmbient(0.35)


def surface(field_zyx: NDArray[np.uint8], ijk_to_lps: NDArray) -> object:
    """Actor of the surface of a smooth field at 127.5, in LPS mm."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonDataModel import vtkImageData
    from vtkmodules.vtkCommonMath import vtkMatrix4x4
    from vtkmodules.vtkCommonTransforms import vtkTransform
    from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkPolyDataNormals, vtkWindowedSincPolyDataFilter
    from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    image = vtkImageData()
    image.SetDimensions(*field_zyx.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(field_zyx.reshape(-1), deep=True))
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, 127.5)
    edges.ComputeNormalsOff()
    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(edges.GetOutputPort())
    smooth.SetNumberOfIterations(20)
    smooth.SetPassBand(0.1)
    smooth.NonManifoldSmoothingOn()
    smooth.NormalizeCoordinatesOn()
    matrix = vtkMatrix4x4()
    matrix.DeepCopy(tuple(ijk_to_lps.ravel()))
    place = vtkTransform()
    place.SetMatrix(matrix)
    placed = vtkTransformPolyDataFilter()
    placed.SetInputConnection(smooth.GetOutputPort())
    placed.SetTransform(place)
    normals = vtkPolyDataNormals()
    normals.SetInputConnection(placed.GetOutputPort())
    normals.SplittingOff()
    normals.AutoOrientNormalsOn()
    mapper = vtkPolyDataMapper()
    mapper.SetInputConnection(normals.GetOutputPort())
    mapper.ScalarVisibilityOff()
    actor = vtkActor()
    actor.SetMapper(mapper)
    return actor


def frame(box: dict) -> object:
    """Actor of a lesion's box as twelve edges."""
    from vtkmodules.vtkCommonMath import vtkMatrix4x4
    from vtkmodules.vtkFiltersCore import vtkTubeFilter
    from vtkmodules.vtkFiltersSources import vtkOutlineSource
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    x, y, z = (length / 2 for length in box["size_mm"])
    outline = vtkOutlineSource()
    outline.SetBounds(-x, x, -y, y, -z, z)
    tubes = vtkTubeFilter()
    tubes.SetInputConnection(outline.GetOutputPort())
    tubes.SetRadius(0.4)
    tubes.SetNumberOfSides(8)
    mapper = vtkPolyDataMapper()
    mapper.SetInputConnection(tubes.GetOutputPort())
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(box["directions"]).reshape(3, 3)
    matrix[:3, 3] = box["centre_lps"]
    place = vtkMatrix4x4()
    place.DeepCopy(tuple(matrix.ravel()))
    actor = vtkActor()
    actor.SetMapper(mapper)
    actor.SetUserMatrix(place)
    actor.GetProperty().SetColor(*box["colour"])
    actor.GetProperty().SetAmbient(0.4)
    return actor


def aim(renderer: object) -> None:
    """Look from the front, a little from the patient's right and from above, the head up."""
    x0, x1, y0, y1, z0, z1 = renderer.ComputeVisiblePropBounds()  # type: ignore[attr-defined]
    centre = np.array(((x0 + x1) / 2, (y0 + y1) / 2, (z0 + z1) / 2))
    towards = np.array((-0.35, -1.0, 0.25))
    camera = renderer.GetActiveCamera()  # type: ignore[attr-defined]
    camera.SetFocalPoint(*centre)
    camera.SetPosition(*(centre + 600 * towards / np.linalg.norm(towards)))
    camera.SetViewUp(0.0, 0.0, 1.0)
    renderer.ResetCamera()  # type: ignore[attr-defined]
    camera.Zoom(1.35)
    renderer.ResetCameraClippingRange()  # type: ignore[attr-defined]


def leave_with_parent(folder: Path) -> None:
    """End, and remove the job's folder, once the process that started this one is gone (killed)."""

    def wait() -> None:
        # Not through sys.stdin: its lock, held while it waits, aborts the interpreter when the work is done.
        while os.read(0, 1):
            pass
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    leave_with_parent(Path(sys.argv[1]).parent)
    main(sys.argv[1], sys.argv[2])
