"""The qMRML widgets that the panel uses, on a real MRML scene."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets


class qMRMLWidget(QtWidgets.QWidget):
    """The panel's outermost widget: hands the scene on to whom the .ui file connects."""

    mrmlSceneChanged = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._scene = scene
        self.mrmlSceneChanged.emit(scene)


class _NodeFilter:
    """What qMRMLSortFilterProxyModel is asked for."""

    def __init__(self, changed: Any) -> None:
        self._hidden: tuple[str, ...] = ()
        self._changed = changed

    @property
    def hiddenNodeIDs(self) -> tuple[str, ...]:
        return self._hidden

    @hiddenNodeIDs.setter
    def hiddenNodeIDs(self, ids: Any) -> None:
        self._hidden = tuple(ids)
        self._changed()


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """A list of the scene's nodes of some classes; chooses the first one that comes, as the real one does."""

    currentNodeChanged = QtCore.Signal(object)
    currentNodeIDChanged = QtCore.Signal(str)
    nodeAdded = QtCore.Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._box = QtWidgets.QComboBox(self)
        self._box.minimumContentsLength = 8
        self._box.sizeAdjustPolicy = (
            QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._scene: Any = None
        self._types: list[str] = []
        self._none = False
        self._hidden = False
        self._none_text = "Select a node"
        self._current: str | None = None
        self._tags: list[int] = []
        self._filter = _NodeFilter(self._refresh)
        self._box.activated.connect(self._chosen)

    def _get_types(self) -> list[str]:
        return self._types

    def _set_types(self, types: Any) -> None:
        self._types = [types] if isinstance(types, str) else list(types)
        self._refresh()

    def _set_none(self, on: bool) -> None:
        self._none = on
        self._refresh()

    def _set_none_text(self, text: str) -> None:
        self._none_text = text
        self._refresh()

    nodeTypes = QtCore.Property("QStringList", _get_types, _set_types)
    noneEnabled = QtCore.Property(bool, lambda self: self._none, _set_none)
    noneDisplay = QtCore.Property(str, lambda self: self._none_text, _set_none_text)
    currentNodeID = QtCore.Property(
        str, lambda self: self._current or "", lambda self, text: self.setCurrentNodeID(text)
    )

    def _ignored(default: bool):  # type: ignore[no-untyped-def,misc]
        return QtCore.Property(bool, lambda self: default, lambda self, value: None)

    addEnabled = _ignored(True)
    removeEnabled = _ignored(True)
    renameEnabled = _ignored(False)
    editEnabled = _ignored(False)
    selectNodeUponCreation = _ignored(True)
    showChildNodeTypes = _ignored(True)
    showHidden = _ignored(False)

    def setMRMLScene(self, scene: Any) -> None:
        if self._scene is not None:
            for tag in self._tags:
                self._scene.RemoveObserver(tag)
        self._scene, self._tags = scene, []
        if scene is not None:
            for event in (
                slicer.vtkMRMLScene.NodeAddedEvent,
                slicer.vtkMRMLScene.NodeRemovedEvent,
                slicer.vtkMRMLScene.EndBatchProcessEvent,
            ):
                self._tags.append(scene.AddObserver(event, self._scene_changed))
        self._refresh()

    def mrmlScene(self) -> Any:
        return self._scene

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._current) if self._scene and self._current else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def setCurrentNodeID(self, node_id: str) -> None:
        index = self._box.findData(node_id or "")
        if index >= 0:
            self._box.currentIndex = index
        elif not node_id:
            self._box.currentIndex = -1
        else:
            return
        self._take(node_id or None)

    def sortFilterProxyModel(self) -> _NodeFilter:
        return self._filter

    def nodeCount(self) -> int:
        return len(self._nodes())

    def _nodes(self) -> list[Any]:
        if self._scene is None:
            return []
        found = []
        for index in range(self._scene.GetNumberOfNodes()):
            node = self._scene.GetNthNode(index)
            if node.GetID() in self._filter.hiddenNodeIDs:
                continue
            if any(node.IsA(name) for name in self._types) and not node.GetHideFromEditors():
                found.append(node)
        return found

    def _scene_changed(self, *_: Any) -> None:
        if not self._scene.IsBatchProcessing():
            self._refresh()

    def _refresh(self) -> None:
        nodes = self._nodes()
        self._box.blockSignals(True)
        self._box.clear()
        if self._none:
            self._box.addItem(self._none_text, "")
        for node in nodes:
            self._box.addItem(node.GetName(), node.GetID())
        ids = [node.GetID() for node in nodes]
        current = self._current if self._current in ids else (None if self._none or not ids else ids[0])
        self._box.currentIndex = self._box.findData(current or "")
        self._box.blockSignals(False)
        self._take(current)

    def _chosen(self, index: int) -> None:
        self._take(self._box.itemData(index) or None)

    def _take(self, node_id: str | None) -> None:
        if node_id != self._current:
            self._current = node_id
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(node_id or "")


class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    """Colour tables of the scene."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.nodeTypes = ["vtkMRMLColorTableNode"]

    def _nodes(self) -> list[Any]:
        if self._scene is None:
            return []
        return [
            self._scene.GetNthNodeByClass(index, "vtkMRMLColorTableNode")
            for index in range(self._scene.GetNumberOfNodesByClass("vtkMRMLColorTableNode"))
        ]


class _Effect:
    def __init__(self, name: str) -> None:
        self.name = name


class qMRMLSegmentEditorWidget(QtWidgets.QWidget):
    """Holds what the real one is told, and its rules; it draws no strokes (tests edit the segment itself)."""

    alive: list[qMRMLSegmentEditorWidget] = []  # noqa: RUF012
    currentSegmentIDChanged = QtCore.Signal(str)
    segmentationNodeChanged = QtCore.Signal(object)

    EFFECTS = (
        "Threshold",
        "Paint",
        "Draw",
        "Erase",
        "Level tracing",
        "Grow from seeds",
        "Fill between slices",
        "Margin",
        "Hollow",
        "Smoothing",
        "Scissors",
        "Islands",
        "Logical operators",
        "Mask volume",
    )

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._node: Any = None
        self._segmentation: Any = None
        self._volume: Any = None
        self._active: _Effect | None = None
        self._order: list[str] = []
        self._observed: list[tuple[Any, int]] = []
        self._others = True
        self.setMinimumHeight(120)
        self._label = QtWidgets.QLabel("(Segment Editor)", self)
        QtWidgets.QVBoxLayout(self).addWidget(self._label)
        self.alive.append(self)

    def _plain(default: Any):  # type: ignore[no-untyped-def,misc]
        kept = f"_plain_{id(default)}_{default}"
        return QtCore.Property(
            type(default),
            lambda self: self.__dict__.get(kept, default),
            lambda self, v: self.__dict__.update({kept: v}),
        )

    maximumNumberOfUndoStates = _plain(10)

    def setMRMLScene(self, scene: Any) -> None:
        if scene is None:
            self.setSegmentationNode(None)
        self._scene = scene
        if scene is None:
            self._segmentation = self._volume = self._node = None
            if self in self.alive:
                self.alive.remove(self)

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._node = node

    def mrmlSegmentEditorNode(self) -> Any:
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        if node is not None and (self._scene is None or self._node is None):
            raise AssertionError("The segment editor needs its scene and its editor node first.")
        for owner, tag in self._observed:
            owner.RemoveObserver(tag)
        self._observed = []
        self._segmentation = node
        self._active = None
        if node is not None:
            content = node.GetSegmentation()
            tag = content.AddObserver(slicer.vtkSegmentation.SegmentRemoved, self._segment_removed)
            self._observed.append((content, tag))
        if node is not None and node.GetSegmentation().GetNumberOfSegments():
            self.setCurrentSegmentID(node.GetSegmentation().GetNthSegmentID(0))
        self.segmentationNodeChanged.emit(node)

    def _segment_removed(self, content: Any, event: Any) -> None:
        """Its list cannot be without a choice: another segment becomes current at once."""
        if self._node is not None and content.GetSegment(self.currentSegmentID()) is None:
            if content.GetNumberOfSegments() and self.currentSegmentID():
                self.setCurrentSegmentID(content.GetNthSegmentID(0))

    def segmentationNode(self) -> Any:
        return self._segmentation

    def setSourceVolumeNode(self, node: Any) -> None:
        if node is not None and self._segmentation is None:
            raise AssertionError("The source volume is set after the segmentation.")
        self._volume = node

    def sourceVolumeNode(self) -> Any:
        return self._volume

    def setCurrentSegmentID(self, segment_id: str) -> None:
        if self._node is not None:
            self._node.SetSelectedSegmentID(segment_id)
        self.currentSegmentIDChanged.emit(segment_id)

    def currentSegmentID(self) -> str:
        return (self._node.GetSelectedSegmentID() or "") if self._node is not None else ""

    def setEffectNameOrder(self, names: Any) -> None:
        self._order = list(names)

    def effectNameOrder(self) -> list[str]:
        return self._order

    def setActiveEffectByName(self, name: str) -> None:
        if name and name not in self.EFFECTS:
            raise AssertionError(f"The segment editor has no effect {name}")
        self._active = _Effect(name) if name else None

    def setActiveEffect(self, effect: Any) -> None:
        self._active = effect

    def activeEffect(self) -> _Effect | None:
        return self._active

    def _nothing(self, *_: Any) -> None:
        pass

    installKeyboardShortcuts = uninstallKeyboardShortcuts = setupViewObservations = _nothing
    removeViewObservations = updateWidgetFromMRML = updateVolume = _nothing

    def saveStateForUndo(self) -> None:
        self.undo_states = getattr(self, "undo_states", 0) + 1


for _name, _default in (
    ("unorderedEffectsVisible", True),
    ("segmentationNodeSelectorVisible", True),
    ("sourceVolumeNodeSelectorVisible", True),
    ("switchToSegmentationsButtonVisible", True),
    ("addRemoveSegmentButtonsVisible", True),
    ("specifyGeometryButtonVisible", True),
    ("show3DButtonVisible", True),
    ("maskingSectionVisible", True),
    ("jumpToSelectedSegmentEnabled", False),
    ("autoShowSourceVolumeNode", True),
    ("undoEnabled", True),
    ("readOnly", False),
):
    _key = f"_{_name}"
    setattr(
        qMRMLSegmentEditorWidget,
        _name,
        property(
            lambda self, k=_key, d=_default: self.__dict__.get(k, d),
            lambda self, value, k=_key: self.__dict__.__setitem__(k, value),
        ),
    )

WIDGETS = {
    cls.__name__: cls
    for cls in (qMRMLWidget, qMRMLNodeComboBox, qMRMLColorTableComboBox, qMRMLSegmentEditorWidget)
}
_ = (vtk, QtGui)
