"""A stand-in for the Slicer desktop.

`qt`, `ctk`, and the parts of `slicer` that slicer-core lacks, on PySide6.

For tests only. MRML, segmentations and their logic are the real ones (slicer-core); the desktop here covers
what the
module uses and answers the way PythonQt does. Call :func:`install` before the module is imported.
"""

from __future__ import annotations

import atexit
import os
import sys
import tempfile
import types
import zipfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[3]
MODULE_FILE = REPOSITORY / "LiverLesionAI" / "LiverLesionAI.py"


def install() -> Any:
    """Put the stand-in into ``sys.modules`` and ``slicer``; the QApplication.

    Calling again changes nothing.
    """
    import slicer

    if hasattr(slicer, "app"):
        return slicer.app._qt
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6 import QtWidgets

    application = QtWidgets.QApplication.instance() or QtWidgets.QApplication([])
    application.setStyle("Fusion")
    from . import pythonqt

    pythonqt.install()
    from . import ctk_widgets, mrml_widgets, parameter_node, scripted_module
    from .application import Application, add_views, keep_tree, modules, qSlicerScriptedLoadableModuleWidget
    from .qt_module import QtModule

    sys.modules["qt"] = QtModule("qt")
    ctk = types.ModuleType("ctk")
    for name, cls in {**ctk_widgets.WIDGETS, "ctkMessageBox": ctk_widgets.ctkMessageBox}.items():
        setattr(ctk, name, cls)
    sys.modules["ctk"] = ctk

    scene = slicer.vtkMRMLScene()
    # The application's modules register these; the bare core does not.
    for name in (
        "vtkMRMLColorLegendDisplayNode",
        "vtkMRMLSegmentEditorNode",
        "vtkMRMLMarkupsJsonStorageNode",
        "vtkMRMLMarkupsROIJsonStorageNode",
        "vtkMRMLMarkupsPlaneJsonStorageNode",
    ):
        if hasattr(slicer, name):
            scene.RegisterNodeClass(getattr(slicer, name)())
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    for rule in (
        "vtkBinaryLabelmapToClosedSurfaceConversionRule",
        "vtkClosedSurfaceToBinaryLabelmapConversionRule",
    ):
        factory.RegisterConverterRule(getattr(slicer, rule)())
    slicer.mrmlScene = scene
    slicer.app = Application(application, scene)
    slicer.modules = modules()
    slicer.selfTests = {}
    slicer.qSlicerScriptedLoadableModuleWidget = qSlicerScriptedLoadableModuleWidget
    add_views(scene)
    keep_tree(scene)
    for name, cls in mrml_widgets.WIDGETS.items():
        setattr(slicer, name, cls)
    for name, module in (
        ("parameterNodeWrapper", parameter_node.module()),
        ("ScriptedLoadableModule", scripted_module.module()),
        ("i18n", _i18n()),
    ):
        setattr(slicer, name, module)
        sys.modules[f"slicer.{name}"] = module
    atexit.register(_shut_down, application)
    slicer.util.modulePath = lambda name: str(MODULE_FILE)
    slicer.util.mainWindow = lambda verbose=False: None
    slicer.util.loadScene = _load_scene
    return application


def _load_scene(filename: str, properties: dict[str, Any] | None = None) -> None:
    """A .mrb into the scene; RuntimeError where it cannot be read, as in the application."""
    import slicer

    scene = slicer.mrmlScene
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(filename) as bundle:
                bundle.extractall(folder)
            (file,) = Path(folder).rglob("*.mrml")
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise RuntimeError(f"{filename} cannot be read") from error
        if (properties or {}).get("clear"):
            scene.Clear(False)
        scene.SetURL(str(file))
        if not scene.Import():
            raise RuntimeError(f"{filename} cannot be read")


def _shut_down(application: Any) -> None:
    """Widgets go before the application does: what Python deletes in its own order at exit may crash."""
    import shiboken6

    for widget in application.topLevelWidgets():
        if shiboken6.isValid(widget):
            shiboken6.delete(widget)
    application.processEvents()
    application.shutdown()


def _i18n() -> types.ModuleType:
    made = types.ModuleType("slicer.i18n")
    made.tr = lambda text: text  # type: ignore[attr-defined]
    made.translate = lambda context, text: text  # type: ignore[attr-defined]
    made.getContext = lambda source: Path(source).stem  # type: ignore[attr-defined]
    return made


def clear_scene() -> None:
    """Close the scene as File / Close scene does."""
    import slicer

    slicer.mrmlScene.Clear(False)
