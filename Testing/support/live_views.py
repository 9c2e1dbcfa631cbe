"""A case put into a scene that Slicer's own slice and 3D views show while it comes, and what VTK says.

``python Testing/support/live_views.py FOLDER``: a process of its own, as the views bring their own
application logic. Every step of a reader is drawn; warnings and errors go to FOLDER/console.txt, before a
line that names the step, and the last pictures beside it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

SIZE = (480, 400)
VIEWS = ("Red", "Yellow", "Green", "1")


def lesions(count: int):
    """A CT with this many lesions in a liver, and its result with maps, boxes and class boxes."""
    import numpy as np
    from LiverLesionAILib.volume.ct import CtVolume, Geometry
    from support.scripted_result import graded, result_of

    array = np.full((24, 48, 64), 40, np.int16)
    array[1:23, 1:47, 1:63] = 1000
    number = 0
    for z in (3, 13):
        for y in (4, 18, 32):
            for x in (4, 18, 32, 46):
                number += 1
                if number <= count:
                    array[z : z + 5, y : y + 5 + number % 3, x : x + 6] = 1000 + number
    geometry = Geometry.make(array.shape, (2.5, 1.5, 1.5), (-30.0, 20.0, 100.0))
    volume = CtVolume(array, geometry, "CT")
    return volume, graded(result_of(volume, "CT"), 0)


class LiveViews:
    """Slicer's views on a scene; every `draw` renders all of them."""

    def __init__(self, console: Path) -> None:
        import slicer
        import vtk
        from trame_slicer.core import SlicerApp
        from trame_slicer.views import NoScheduleRendering, SliceView, ThreeDView

        app = SlicerApp()
        self.scene = app.scene
        for name in ("vtkMRMLColorLegendDisplayNode",):
            self.scene.RegisterNodeClass(getattr(slicer, name)())
        self.views = {}
        for name in VIEWS:
            make = ThreeDView if name == "1" else SliceView
            view = make(self.scene, app.app_logic, name, scheduled_render_strategy=NoScheduleRendering())
            view.render_window().SetOffScreenRendering(True)
            view.render_window().SetSize(*SIZE)
            view.update_size(*SIZE)
            self.views[name] = view
        self.draw()
        # From here on: what the views say of themselves without a display is not ours.
        self._console = console
        self._output = vtk.vtkFileOutputWindow()
        self._output.SetFileName(str(console))
        self._output.SetFlush(True)
        self._output.SetAppend(True)
        vtk.vtkOutputWindow.SetInstance(self._output)

    def draw(self) -> None:
        """Render every view."""
        for view in self.views.values():
            view.render()

    def step(self, name: str) -> None:
        """Draw, and say in the console that this step is over."""
        self.draw()
        with open(self._console, "a", encoding="utf-8") as file:
            file.write(f"-- {name}\n")

    def show_ct(self, node) -> None:
        """The CT in every slice view."""
        for name in VIEWS[:3]:
            self.scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode").SetBackgroundVolumeID(node.GetID())
            self.views[name].fit_view_to_content()

    def save(self, folder: Path) -> None:
        """The views as pictures."""
        from support.view_pictures import _save

        for name, view in self.views.items():
            if name == "1":
                for renderer in view.renderers():
                    renderer.SetUseDepthPeeling(False)
                view.reset_focal_point()
                view.reset_camera()
                view.render()
            _save(view.render_window(), folder / f"live_{name}.png")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    live = LiveViews(folder / "console.txt")
    scene = live.scene
    from LiverLesionAILib.case.findings import LesionStatus
    from LiverLesionAILib.review.case_view import read_case
    from LiverLesionAILib.scene import segments
    from LiverLesionAILib.scene.map_stack import lesion_map_steps, read_entries
    from LiverLesionAILib.scene.marks import Shown, draw_marks
    from LiverLesionAILib.scene.nodes import fill_map
    from LiverLesionAILib.scene.offline import add_ct
    from LiverLesionAILib.scene.ras import to_world
    from LiverLesionAILib.scene.show import apply_steps
    from LiverLesionAILib.support.steps import finish

    volume, result = lesions(12)
    ct = add_ct(scene, volume)
    live.show_ct(ct)
    live.step("CT")

    def draw(selected: str = "", **switches: bool) -> None:
        case = read_case(scene, ct)
        draw_marks(case.marks, case.drawn(), Shown(selected=selected, **switches), volume.geometry)

    for number, (name, shown) in enumerate(
        (
            ("nothing found", replace(result, lesions=(), lesion_labels_zyx=0 * result.lesion_labels_zyx)),
            ("first result", result),
            ("second result", result),
        )
    ):
        steps = apply_steps(scene, shown, ct, surfaces=number > 0)
        nodes = scene.GetNumberOfNodes()
        for _ in steps:
            # The views draw between the steps that change something, as they do in the application.
            if scene.GetNumberOfNodes() != nodes:
                nodes = scene.GetNumberOfNodes()
                live.draw()
        draw()
        live.step(name)
    case = read_case(scene, ct)
    for row in case.rows[:3]:
        draw(row.segment_id)
        for name in VIEWS[:3]:
            slice_view = scene.GetSingletonNode(name, "vtkMRMLSliceNode")
            slice_view.JumpSliceByOffsetting(*to_world(ct, row.place.centre_lps))
        live.step(f"select {row.segment_id}")
    draw(case.rows[0].segment_id, boxes=False, axes=False, labels=False)
    live.step("switched off")
    draw(case.rows[0].segment_id)
    for node in case.maps:
        for name in VIEWS[:3]:
            scene.GetSingletonNode(name, "vtkMRMLSliceCompositeNode").SetForegroundVolumeID(node.GetID())
        live.step(f"map {node.GetName()}")
    entry = read_entries(case.stack)[4]
    image, described = finish(lesion_map_steps(case.stack.GetImageData(), entry, "CT"))
    fill_map(next(n for n in case.maps if n.GetAttribute("LiverLesionAI.MapFamily")), described, image)
    live.step("another lesion's map")
    segment = case.segmentation.GetSegmentation().GetSegment(case.rows[1].segment_id)
    segments.mark(segment, LesionStatus.REJECTED)
    draw(case.rows[0].segment_id)
    live.step("reject")
    case.segmentation.GetSegmentation().RemoveSegment(case.rows[2].segment_id)
    draw(case.rows[0].segment_id)
    live.step("delete")
    live.save(folder)
    live.step("end")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    # The views' windows end in any order; what is drawn is on disk.
    os._exit(0)
