"""``slicer.app``, ``slicer.modules``, and the scene with the nodes a running application has."""

from __future__ import annotations

import os
import sys
import tempfile
import types
from collections.abc import Callable
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets


class Application:
    """What the panel asks of ``slicer.app``."""

    applicationName = "Slicer"
    majorVersion = 5
    minorVersion = 10

    def __init__(self, qt_application: QtWidgets.QApplication, scene: Any) -> None:
        self._qt = qt_application
        self.mrmlScene = scene
        self._logic = slicer.vtkMRMLApplicationLogic()
        self._logic.SetMRMLScene(scene)
        self._folder = tempfile.TemporaryDirectory(prefix="slicer-")
        self.temporaryPath = self._folder.name
        self.slicerUserSettingsFilePath = os.path.join(self.temporaryPath, "settings", "Slicer.ini")
        self.slicerHome = os.path.dirname(os.path.dirname(sys.executable))
        self.testing = True
        self._modules = _ModuleManager()
        self._at_startup: list[Callable[[], object]] = []

    def connect(self, signal: str, receiver: Callable[[], object]) -> bool:
        assert signal == "startupCompleted()", signal
        self._at_startup.append(receiver)
        return True

    def startupCompleted(self) -> None:
        """What the application says once, when all modules are loaded."""
        for receiver in self._at_startup:
            receiver()
        self._at_startup.clear()

    def applicationLogic(self) -> Any:
        return self._logic

    def moduleManager(self) -> _ModuleManager:
        return self._modules

    def testingEnabled(self) -> bool:
        return self.testing

    def layoutManager(self) -> None:
        return None

    def processEvents(self) -> None:
        self._qt.processEvents()

    def clipboard(self) -> QtGui.QClipboard:
        return self._qt.clipboard()

    def palette(self) -> QtGui.QPalette:
        return self._qt.palette()

    def settings(self) -> QtCore.QSettings:
        return QtCore.QSettings(os.path.join(self.temporaryPath, "s.ini"), QtCore.QSettings.Format.IniFormat)

    userSettings = settings

    def setOverrideCursor(self, cursor: Any) -> None:
        self._qt.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        self._qt.restoreOverrideCursor()

    def close(self) -> None:
        self._folder.cleanup()


class qSlicerScriptedLoadableModuleWidget:
    """What the application wraps round a scripted module's widget."""

    def __init__(self, widget: Any) -> None:
        self._widget = widget

    def self(self) -> Any:
        return self._widget


class _ModuleManager:
    """Knows the modules that a test has opened."""

    def __init__(self) -> None:
        self.widgets: dict[str, Any] = {}

    def module(self, name: str) -> Any:
        widget = self.widgets.get(name)
        if widget is None:
            return None
        representation = qSlicerScriptedLoadableModuleWidget(widget)
        return types.SimpleNamespace(widgetRepresentation=lambda: representation)


def add_views(scene: Any) -> None:
    """The default layout's slice and 3D view nodes, kept when the scene is cleared, as in Slicer."""
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    for name, orientation in (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal")):
        node = scene.CreateNodeByClass("vtkMRMLSliceNode")
        node.UnRegister(None)
        node.SetName(name)
        node.SetLayoutName(name)
        node.SetSingletonTag(name)
        node.SetOrientation(orientation)
        scene.AddNode(node)
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetLayoutName(name)
        composite.SetSingletonTag(name)
        composite.SetName(name)
        scene.AddNode(composite)
    view = slicer.vtkMRMLViewNode()
    view.SetName("View1")
    view.SetLayoutName("1")
    view.SetSingletonTag("1")
    scene.AddNode(view)
    camera = slicer.vtkMRMLCameraNode()
    camera.SetName("Camera")
    camera.SetSingletonTag("1")
    camera.SetLayoutName("1")
    scene.AddNode(camera)


def keep_tree(scene: Any) -> None:
    """A scene that is closed leaves nothing in the subject hierarchy, as the application's plugins see to."""

    def closes(caller: Any = None, event: str = "") -> None:
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        tree.RemoveAllItems(False)

    scene.AddObserver(scene.StartCloseEvent, closes)


def modules() -> types.SimpleNamespace:
    """``slicer.modules``: no other module is loaded here."""
    return types.SimpleNamespace()
