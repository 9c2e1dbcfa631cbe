"""The Segment Editor inside the panel, on the selected lesion; measurements follow what is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

from ...review.history import SegmentState
from ...review.reader_actions import ReaderActions
from ...support.errors import LiverLesionAIError
from .reader_panel import Host

EFFECTS = ("Paint", "Erase", "Draw", "Level tracing", "Grow from seeds", "Smoothing", "Islands")
EDITOR_NODE = "LiverLesionAISegmentEditor"
SETTLE_MS = 60
CHOICE_MS = 50


class EditPanel:
    """Made when the section is opened for the first time; lets go of the scene when the module is left."""

    def __init__(self, host: Host, actions: ReaderActions, drawn: Callable[[], None]) -> None:
        self._host, self._actions, self._drawn = host, actions, drawn
        self._editor: Any = None
        self._segment = ""
        # A segment that the reader chose in the editor's own list and that is no lesion: the liver, say.
        self._elsewhere = ""
        self._binding = False
        self._before: SegmentState | None = None
        self._observed: tuple[Any, list[int]] | None = None
        self._busy = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MS)
        self._timer.connect("timeout()", self._look)
        self._choice = qt.QTimer()
        self._choice.setSingleShot(True)
        self._choice.setInterval(CHOICE_MS)
        self._choice.connect("timeout()", self._look_at_choice)
        host.ui.editSection.connect("contentsCollapsed(bool)", self._collapsed)
        host.ui.backToAiButton.connect("clicked()", self._back_to_ai)
        host.ui.paintLiverButton.connect("clicked()", self.paint_liver)

    @property
    def editor(self) -> Any:
        """The Segment Editor's widget, None before the section was opened."""
        return self._editor

    def show(self) -> None:
        """Follow the selection."""
        ui, rows = self._host.ui, self._host.selection()
        one = rows[0] if len(rows) == 1 else None
        boxed = one is not None and one.box_only
        if boxed:
            ui.editLabel.text = f"{one.name} has only a box: click Outline above for a proposal to correct."
            one = None
        elif one:
            ui.editLabel.text = f"Draw in {one.name}; its measurements follow."
        elif self._elsewhere and not ui.editSection.collapsed:
            ui.editLabel.text = f"Draw in {self._name(self._elsewhere)}."
        else:
            ui.editLabel.text = "Select a lesion in the table to edit its outline."
        ui.backToAiButton.setEnabled(one is not None)
        ui.paintLiverButton.setEnabled(bool(self._host.case.liver_segment))
        if ui.editSection.collapsed:
            return
        self._bind(one.segment_id if one else "")

    def paint_liver(self) -> None:
        """Draw in the liver itself: what the analysis left out of it, or what is to go."""
        liver = self._host.case.liver_segment
        if not liver:
            return
        self._elsewhere = liver
        self._host.ui.findingsTable.clearSelection()
        self.show()
        if self._editor is not None:
            self._editor.setActiveEffectByName("Paint")

    def leave(self) -> None:
        """The module is left: no effect may stay active, no view observed."""
        self._flush()
        if self._editor is not None:
            self._editor.setActiveEffect(None)
            self._editor.removeViewObservations()

    def enter(self) -> None:
        """The module is opened again."""
        if self._editor is not None:
            self._editor.setupViewObservations()
            self._editor.updateWidgetFromMRML()

    def let_go(self) -> None:
        """The scene is closed or replaced: forget its nodes."""
        self._timer.stop()
        self._choice.stop()
        self._unobserve()
        self._segment, self._elsewhere, self._before = "", "", None
        if self._editor is not None:
            self._editor.setActiveEffect(None)
            self._editor.setSegmentationNode(None)
            self._editor.setMRMLSegmentEditorNode(None)

    def close(self) -> None:
        """The module is unloaded. A Segment Editor that is alive at exit crashes the application."""
        self.let_go()
        editor, self._editor = self._editor, None
        if editor is not None:
            editor.setMRMLScene(None)
            editor.setParent(None)
            editor.deleteLater()

    # -- parts

    def _collapsed(self, collapsed: bool) -> None:
        if collapsed:
            self._flush()
            if self._editor is not None:
                self._editor.setActiveEffect(None)
        else:
            self.show()

    def _make(self) -> None:
        editor = slicer.qMRMLSegmentEditorWidget()
        self._host.ui.editorPlace.layout().addWidget(editor)
        editor.setMRMLScene(slicer.mrmlScene)
        editor.setEffectNameOrder(list(EFFECTS))
        editor.unorderedEffectsVisible = False
        editor.segmentationNodeSelectorVisible = False
        editor.sourceVolumeNodeSelectorVisible = False
        editor.switchToSegmentationsButtonVisible = False
        editor.addRemoveSegmentButtonsVisible = False
        editor.specifyGeometryButtonVisible = False
        # It would take the surfaces away that the switch among the overlays shows.
        editor.show3DButtonVisible = False
        # It would bring back whole segmentations, past what was accepted or merged since: the panel's own
        # undo takes strokes back too.
        editor.undoEnabled = False
        editor.connect("currentSegmentIDChanged(QString)", self._chosen_in_list)
        self._editor = editor

    def _editor_node(self) -> Any:
        scene = slicer.mrmlScene
        node = scene.GetSingletonNode(EDITOR_NODE, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(EDITOR_NODE)
            node.SetHideFromEditors(True)
            node = scene.AddNode(node)
        # Lesions may overlap: painting one takes nothing from the others.
        node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        return node

    def _bind(self, segment_id: str) -> None:
        case = self._host.case
        if case.segmentation is None:
            if self._editor is not None:
                self.let_go()
            return
        if self._editor is None:
            self._make()
        editor = self._editor
        if segment_id or case.segmentation.GetSegmentation().GetSegment(self._elsewhere) is None:
            self._elsewhere = ""
        wanted = segment_id or self._elsewhere
        self._binding = True
        try:
            if editor.mrmlSegmentEditorNode() is None:
                editor.setMRMLSegmentEditorNode(self._editor_node())
            if editor.segmentationNode() is not case.segmentation:
                editor.setSegmentationNode(case.segmentation)
                editor.setSourceVolumeNode(case.volume)
            if wanted != self._segment:
                self._flush()
            if wanted != editor.currentSegmentID():
                if not wanted:
                    editor.setActiveEffect(None)
                editor.setCurrentSegmentID(wanted)
        finally:
            self._binding = False
        if wanted != self._segment or self._before is None:
            self._segment = wanted
            self._remember()
        self._observe(case.segmentation)

    def _chosen_in_list(self, segment_id: str) -> None:
        """Another segment is current in the editor's own list.

        Where that is because segments were taken out or put back, the editor is brought back to the table's
        choice by the refresh that follows; what is left after that was the reader's click.
        """
        if not self._binding:
            self._choice.start()

    def _look_at_choice(self) -> None:
        """Did the reader choose a segment in the editor's own list? Then the table follows."""
        segment_id = self._editor.currentSegmentID() if self._editor is not None else ""
        if not segment_id or segment_id == self._segment or self._host.ui.editSection.collapsed:
            return
        if self._host.case.row(segment_id) is not None:
            self._host.select(segment_id)
            return
        self._elsewhere = segment_id
        self._host.ui.findingsTable.clearSelection()
        self.show()

    def _name(self, segment_id: str) -> str:
        node = self._host.case.segmentation
        segment = node.GetSegmentation().GetSegment(segment_id) if node is not None else None
        return segment.GetName() if segment is not None else "the segment"

    def _remember(self) -> None:
        self._actions.use(self._host.case)
        self._before = self._actions.state(self._segment) if self._segment else None

    def _observe(self, node: Any) -> None:
        segmentation = node.GetSegmentation()
        if self._observed is not None and self._observed[0] is segmentation:
            return
        self._unobserve()
        events = (slicer.vtkSegmentation.SourceRepresentationModified,)
        self._observed = (segmentation, [segmentation.AddObserver(e, self._touched) for e in events])

    def _unobserve(self) -> None:
        if self._observed is not None:
            segmentation, tags = self._observed
            for tag in tags:
                segmentation.RemoveObserver(tag)
            self._observed = None

    def _touched(self, caller: Any = None, event: Any = None) -> None:
        if not self._busy and self._segment:
            self._timer.start()

    def _flush(self) -> None:
        if self._timer.active:
            self._timer.stop()
            self._look()

    def _look(self) -> None:
        """Was the lesion drawn in since it was last looked at?"""
        if self._before is None or not self._segment or self._busy:
            return
        self._busy = True
        try:
            self._actions.use(self._host.case)
            if self._actions.edited(self._segment, self._before):
                self._remember()
                self._drawn()
                if self._before is not None and self._before.mask is not None and not self._before.mask.count:
                    self._host.show_message(
                        f"{self._before.metadata.GetName()} has no voxels left: delete it, or undo.",
                        "warning",
                    )
        finally:
            self._busy = False

    def forget_own_changes(self) -> None:
        """An action of the panel has changed the segments: that was no drawing."""
        self._timer.stop()
        if self._segment:
            self._remember()

    def _back_to_ai(self) -> None:
        rows = self._host.selection()
        if len(rows) != 1:
            return
        self._actions.use(self._host.case)
        try:
            self._actions.back_to_ai(rows[0].segment_id)
        except LiverLesionAIError as error:
            self._host.show_message(str(error), "warning")
        self.forget_own_changes()
        self._host.refresh()
