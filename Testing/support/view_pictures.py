"""Slice and 3D views of a saved scene, drawn by Slicer's own displayable managers without a display.

``python Testing/view_pictures.py SCENE.mrml FOLDER``: red.png, yellow.png, green.png, 3d.png, and of a
comparison side by side prior_red.png and prior_green.png. A process of
its own, as the views bring their own application logic.
"""

from __future__ import annotations

import sys
from pathlib import Path

SIZE = (480, 400)
CLASSES = (
    "vtkMRMLColorLegendDisplayNode",
    "vtkMRMLSegmentEditorNode",
    "vtkMRMLMarkupsROIJsonStorageNode",
    "vtkMRMLMarkupsPlaneJsonStorageNode",
)
VIEWS = {"Red": "red.png", "Yellow": "yellow.png", "Green": "green.png"}
PRIOR_VIEWS = {"LiverLesionAIPriorRed": "prior_red.png", "LiverLesionAIPriorGreen": "prior_green.png"}
"""Drawn where the scene has them: an earlier scan beside the current one."""


def draw(scene_file: Path, folder: Path) -> list[Path]:
    """Draw the four views as the scene was saved: same slices, same overlays."""
    import slicer
    from trame_slicer.core import SlicerApp
    from trame_slicer.views import NoScheduleRendering, SliceView, ThreeDView

    app = SlicerApp()
    for name in CLASSES:
        app.scene.RegisterNodeClass(getattr(slicer, name)())
    for factory in (
        slicer.vtkMRMLSliceViewDisplayableManagerFactory,
        slicer.vtkMRMLThreeDViewDisplayableManagerFactory,
    ):
        manager = "vtkMRMLColorLegendDisplayableManager"
        if not factory.GetInstance().IsDisplayableManagerRegistered(manager):
            factory.GetInstance().RegisterDisplayableManager(manager)
    # Drawn once, at the end: else every node that is read would draw all views anew.
    views = {}
    text = scene_file.read_text(encoding="utf-8")
    slices = {**VIEWS, **{name: file for name, file in PRIOR_VIEWS.items() if f'"{name}"' in text}}
    for name in slices:
        views[name] = SliceView(
            app.scene, app.app_logic, name, scheduled_render_strategy=NoScheduleRendering()
        )
    views["1"] = ThreeDView(app.scene, app.app_logic, "1", scheduled_render_strategy=NoScheduleRendering())
    for view in views.values():
        view.render_window().SetOffScreenRendering(True)
        view.render_window().SetSize(*SIZE)
        view.update_size(*SIZE)
    app.scene.SetURL(str(scene_file))
    if not app.scene.Import():
        raise SystemExit(f"{scene_file} cannot be read: {app.scene.GetErrorMessage()}")
    for index in range(app.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")):
        volume = app.scene.GetNthNodeByClass(index, "vtkMRMLScalarVolumeNode")
        display = volume.GetDisplayNode()
        if display is not None and display.GetColorNode() is None:
            # The scene of the stand-in has no colour tables.
            table = "Iron" if volume.GetAttribute("LiverLesionAI.Role") else "Grey"
            display.SetAndObserveColorNodeID(f"vtkMRMLColorTableNode{table}")
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, view in views.items():
        if name in slices:
            offset = app.scene.GetSingletonNode(name, "vtkMRMLSliceNode").GetSliceOffset()
            view.fit_view_to_content()
            view.set_slice_value(offset)
        else:
            for renderer in view.renderers():
                # Drawn in software, both lose what is translucent: the liver.
                renderer.SetUseDepthPeeling(False)
                if hasattr(renderer, "SetUseOIT"):
                    renderer.SetUseOIT(False)
            view.reset_focal_point()
            view.reset_camera()
            view.zoom(1.4)
        view.render()
        made.append(_save(view.render_window(), folder / slices.get(name, "3d.png")))
    return made


def _save(window, path: Path) -> Path:
    import vtk

    grab = vtk.vtkWindowToImageFilter()
    grab.SetInput(window)
    grab.ReadFrontBufferOff()
    writer = vtk.vtkPNGWriter()
    writer.SetInputConnection(grab.GetOutputPort())
    writer.SetFileName(str(path))
    writer.Write()
    return path


if __name__ == "__main__":
    for drawn in draw(Path(sys.argv[1]), Path(sys.argv[2])):
        print(drawn)
    sys.stdout.flush()
    # The views' windows end in any order; what is drawn is on disk.
    import os

    os._exit(0)
