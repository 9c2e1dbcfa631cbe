"""The section Vessels and segments: computed with one click, shown, dragged, and corrected for a lesion."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import qt
import slicer

from ...case.anatomy import SEGMENTS_IN_ORDER, CouinaudSegment, LiverAnatomy
from ...review.anatomy_question import AnatomyQuestion
from ...review.case_view import CaseView, ListedLesion
from ...review.reader_actions import ReaderActions
from ...review.scene_anatomy import SceneAnatomy
from ...scene.anatomy_nodes import ROLE_ANATOMY, ROLE_LANDMARKS, has_surfaces, make_surfaces, read_messages
from ...scene.nodes import ATTR_ROLE
from ...stages.anatomy.stage import NO_CAVA
from ...volume.crops import Mask
from ..parameters import PanelParameters
from ..run.queue import AnalysisQueue
from .anatomy_text import NOT_YET, volumes_html

SETTLE_MS = 80
CAVA_FIRST = (
    "The inferior vena cava was not found. Drag both points at it there (hepatic vein confluence, IVC at the "
    "hilum): then the segments are made."
)


class AnatomyHost(Protocol):
    """The panel, as this part sees it."""

    ui: Any
    case: CaseView
    parameters: PanelParameters | None

    def selection(self) -> list[ListedLesion]:
        """The selected lesions."""

    def refresh(self) -> None:
        """Show what the scene holds now."""

    def show_message(self, text: str, kind: str = "info") -> None:
        """Say something to the reader."""


class AnatomyPanel:
    """Shows the anatomy of the shown case; what the reader drags or says is one undo step each.

    Args:
        liver: the shown case's, as it is drawn now.
        changed: called after an action, before the panel is refreshed.

    Attributes:
        anatomy: reads it, and keeps it in line with what is drawn.
    """

    def __init__(
        self,
        host: AnatomyHost,
        queue: AnalysisQueue,
        actions: ReaderActions,
        liver: Callable[[], Mask | None],
        changed: Callable[[], None],
    ) -> None:
        self._host, self._queue, self._actions, self._changed = host, queue, actions, changed
        self.anatomy = SceneAnatomy(liver)
        self._asked: AnatomyQuestion | None = None
        self._points: tuple[Any, list[int]] | None = None
        self._dragging, self._busy = False, False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.connect("timeout()", self._look)
        actions.move_landmarks = self._put_landmarks
        ui = host.ui
        ui.anatomyButton.connect("clicked()", self.compute)
        self._menu = qt.QMenu(ui.segmentButton)
        self._menu.connect("aboutToShow()", self._fill_menu)
        ui.segmentButton.setMenu(self._menu)

    # -- computed

    def compute(self) -> None:
        """Find vessels and segments of the shown case, by the worker."""
        case = self._host.case
        if case.segmentation is None:
            self._host.show_message("Click Analyze first: vessels are looked for in its liver.", "warning")
            return
        self._host.show_message("")
        self._asked = AnatomyQuestion(slicer.mrmlScene, case.volume)
        self._queue.ask(case.volume, self._asked)

    def answered(self) -> None:
        """The answer to a question has come into the scene; it may be that to ours."""
        question = self._asked
        if question is None or not question.answered:
            return
        self._asked = None
        self._actions.history.forget_landmarks()
        if self._host.parameters is not None:
            self._host.parameters.showAnatomy = True
        said = html.escape(" ".join(question.messages), quote=False)
        self._host.show_message(said, "warning" if said else "info")
        self._host.refresh()

    # -- shown

    def follow(self, case: CaseView) -> CaseView:
        """Bring segments and the lesions' places in line with what is drawn; the case as it then is."""
        if self._queue.current is not None or self._busy:
            return case
        self._busy = True
        try:
            return self.anatomy.follow(case)
        finally:
            self._busy = False

    def show(self) -> None:
        """Show what the scene holds; another case's vessels and segments are hidden."""
        ui, case, parameters = self._host.ui, self._host.case, self._host.parameters
        nodes = case.anatomy
        open_now = not ui.anatomySection.collapsed
        ui.anatomyButton.setEnabled(case.segmentation is not None)
        for box in (ui.showAnatomyBox, ui.showLandmarksBox):
            box.setEnabled(nodes is not None)
        ui.segmentButton.setVisible(open_now and case.segmentation is not None)
        ui.segmentButton.setEnabled(bool(self._host.selection()))
        ui.anatomyLabel.setVisible(open_now and case.segmentation is not None)
        ui.anatomyLabel.text = NOT_YET if nodes is None else self._text(case)
        self._observe(None if nodes is None else nodes.landmarks)
        if parameters is not None:
            self._switch(case, parameters)

    def selected(self) -> None:
        """Other lesions are selected."""
        self._host.ui.segmentButton.setEnabled(bool(self._host.selection()))

    def close(self) -> None:
        """Watch nothing any more: the scene or the module goes."""
        self._timer.stop()
        self._observe(None)

    def _text(self, case: CaseView) -> str:
        anatomy = self.anatomy.read(case)
        messages = read_messages(case.anatomy.segmentation) if case.anatomy is not None else ()
        return volumes_html({} if anatomy is None else segment_volumes(anatomy), messages)

    def _switch(self, case: CaseView, parameters: PanelParameters) -> None:
        shown = parameters.showAnatomy and not parameters.allHidden
        nodes = case.anatomy
        if nodes is not None and shown and parameters.show3d and not has_surfaces(nodes.segmentation):
            anatomy = self.anatomy.read(case)
            if anatomy is not None:
                make_surfaces(nodes.segmentation, anatomy)
        own = [] if nodes is None else [one.GetID() for one in nodes.all]
        for role, node in anatomy_nodes(slicer.mrmlScene):
            display = node.GetDisplayNode()
            if display is None:
                continue
            visible = shown and node.GetID() in own
            if role == ROLE_LANDMARKS:
                visible = visible and parameters.showLandmarks
            elif visible and bool(display.GetVisibility3D()) != parameters.show3d:
                display.SetVisibility3D(parameters.show3d)
            if bool(display.GetVisibility()) != visible:
                display.SetVisibility(visible)

    # -- landmarks

    def _observe(self, points: Any) -> None:
        if self._points is not None and self._points[0] is points:
            return
        if self._points is not None:
            node, tags = self._points
            for tag in tags:
                node.RemoveObserver(tag)
        self._points, self._dragging = None, False
        if points is not None:
            events = (
                (points.PointStartInteractionEvent, self._drag_begins),
                (points.PointEndInteractionEvent, self._drag_ends),
                (points.PointModifiedEvent, self._touched),
            )
            self._points = (points, [points.AddObserver(event, method) for event, method in events])

    def _drag_begins(self, caller: Any = None, event: Any = None) -> None:
        self._dragging = True

    def _drag_ends(self, caller: Any = None, event: Any = None) -> None:
        self._dragging = False
        self._timer.start()

    def _touched(self, caller: Any = None, event: Any = None) -> None:
        """A point was moved, by mouse or by its coordinates; while it is dragged nothing is computed."""
        if not self._busy and not self._dragging:
            self._timer.start()

    def _look(self) -> None:
        """Do the points lie elsewhere than the segments were made of? One step, however many moved."""
        case = self._host.case
        if self._busy or case.segmentation is None:
            return
        self._busy = True
        try:
            moved = self.anatomy.landmarks_moved(case)
        finally:
            self._busy = False
        if moved is None:
            return
        self._actions.use(case)
        self._actions.landmarks_moved(*moved)
        self._changed()
        self._host.refresh()
        nodes = self._host.case.anatomy
        if nodes is not None and NO_CAVA in read_messages(nodes.segmentation):
            self._host.show_message(CAVA_FIRST, "warning")

    def _put_landmarks(self, text: str) -> None:
        self._busy = True
        try:
            self.anatomy.set_landmarks(self._host.case, text)
        finally:
            self._busy = False

    # -- the reader's segments

    def _fill_menu(self) -> None:
        menu, rows = self._menu, self._host.selection()
        menu.clear()
        said = rows[0].anatomy.reader_segments if rows and rows[0].anatomy is not None else ()
        for one in SEGMENTS_IN_ORDER:
            action = menu.addAction(one.roman)
            action.setCheckable(True)
            action.setChecked(one in said)
            action.connect("triggered()", lambda one=one: self.toggle_segment(one))
        if said:
            menu.addSeparator()
            menu.addAction("Back to what the planes say").connect("triggered()", lambda: self.say(()))

    def toggle_segment(self, one: CouinaudSegment) -> None:
        """The selected lesions lie in this segment too, or not any more; the first said is the main one."""
        rows = self._host.selection()
        said = rows[0].anatomy.reader_segments if rows and rows[0].anatomy is not None else ()
        self.say(tuple(s for s in said if s is not one) if one in said else (*said, one))

    def say(self, segments: Sequence[CouinaudSegment]) -> None:
        """The selected lesions lie in these; none: where the planes say."""
        ids = [row.segment_id for row in self._host.selection()]
        if ids:
            self._actions.use(self._host.case)
            self._actions.set_segments(ids, segments)
            self._changed()
            self._host.refresh()


def segment_volumes(anatomy: LiverAnatomy) -> Mapping[CouinaudSegment, float]:
    """mL of each segment; none where the liver could not be divided."""
    if not anatomy.has_segments:
        return {}
    voxels = np.bincount(anatomy.segments_zyx.ravel(), minlength=10)
    return {one: float(voxels[one]) * anatomy.geometry.voxel_volume_mm3 / 1000.0 for one in CouinaudSegment}


def anatomy_nodes(scene: slicer.vtkMRMLScene) -> list[tuple[str, Any]]:
    """Role and node of every case's vessels and segments, and landmarks."""
    found = []
    for name in ("vtkMRMLSegmentationNode", "vtkMRMLMarkupsFiducialNode"):
        for index in range(scene.GetNumberOfNodesByClass(name)):
            node = scene.GetNthNodeByClass(index, name)
            role = node.GetAttribute(ATTR_ROLE)
            if role in (ROLE_ANATOMY, ROLE_LANDMARKS):
                found.append((role, node))
    return found
