"""The module on a desk: opened in the stand-in at 380 px, driven by clicks, its event loop watched."""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from support import slicer_desktop

TESTING = Path(__file__).resolve().parents[1]
WIDTH = 380

# Many small matrix products on a busy machine: threads that wait for each other would take ten times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def truth_array(shape=(24, 40, 48)) -> np.ndarray:
    """A volume that carries its own truth (see scripted_worker): a liver with three lesions."""
    array = np.full(shape, 40, np.int16)
    array[2:22, 4:36, 4:40] = 1000
    array[4:14, 8:20, 8:22] = 1001
    array[15:20, 10:16, 24:30] = 1002
    array[6:9, 26:30, 28:33] = 1003
    return array


def wanted_height(desk: Desk) -> int:
    """Of the panel at its width, wrapped lines and all, as a scroll area asks for it."""
    layout = desk.window.layout()
    return max(layout.sizeHint().height(), layout.totalHeightForWidth(WIDTH))


def five_lesions() -> np.ndarray:
    """Two more lesions, which the scripted analysis gives scores of 0.5 and 0.4."""
    array = truth_array()
    array[16:18, 24:28, 10:13] = 1004
    array[18:20, 20:22, 34:36] = 1005
    return array


def add_volume(name: str = "CT", array: np.ndarray | None = None, spacing_zyx_mm=(2.5, 1.5, 1.5)):
    """A volume node in the scene."""
    import slicer
    from LiverLesionAILib.scene.ras import set_volume
    from LiverLesionAILib.volume.ct import Geometry

    array = truth_array() if array is None else array
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    set_volume(node, array, Geometry.make(array.shape, spacing_zyx_mm, (-30.0, 20.0, 100.0)))
    node.CreateDefaultDisplayNodes()
    return node


class Desk:
    """The module's widget in a window, and what a test does to it; `mode` None takes the real worker."""

    def __init__(self, mode: str | None = "truth") -> None:
        self.application = slicer_desktop.install()
        import qt
        import slicer

        library = str(TESTING.parent / "LiverLesionAI")
        if library not in sys.path:
            sys.path.insert(0, library)
        self.module = importlib.import_module("LiverLesionAI")
        self.scene = slicer.mrmlScene
        self._grow_tree()
        self.window = qt.QWidget()
        qt.QVBoxLayout(self.window).setContentsMargins(0, 0, 0, 0)
        self.window.resize(WIDTH, 1000)
        self.widget = self.module.LiverLesionAIWidget(self.window)
        if mode is not None:
            self.widget.workerCommand = self.command(mode)
        self.widget.setup()
        slicer.app.moduleManager().widgets["LiverLesionAI"] = self.widget
        self.window.show()
        self.widget.enter()
        header = self.ui.findingsTable.horizontalHeader()
        self.first_order = (header.sortIndicatorSection(), header.sortIndicatorOrder())
        # Seconds of computing in one turn of the event loop, and what was under way then.
        self.longest_step_s, self.longest_step = 0.0, ""

    @staticmethod
    def command(mode: str):
        from LiverLesionAILib.panel.run.worker_client import WorkerCommand

        return WorkerCommand(
            sys.executable, (str(TESTING / "support" / "scripted_worker.py"), mode), _paths()
        )

    @property
    def ui(self):
        return self.widget.ui

    @property
    def panel(self):
        return self.widget.panel

    def turn(self, seconds: float = 0.0) -> None:
        """Let the event loop run."""
        end_s = time.monotonic() + seconds
        ended = False
        while not ended:
            # The last turn begins after the end: what was due by then has come, however slow the machine is.
            ended = time.monotonic() >= end_s
            self.watched(self.application.processEvents)
            time.sleep(0.0 if ended else 0.002)

    def watched(self, step: Callable[[], object]) -> None:
        """Do something that the reader would wait for, and note how long it computes in this thread."""
        start_s = time.thread_time()
        step()
        busy_s = time.thread_time() - start_s
        if busy_s > self.longest_step_s:
            self.longest_step_s, self.longest_step = busy_s, self.ui.stageLabel.text

    def until(self, condition: Callable[[], object], timeout_s: float = 300.0, what: str = "") -> None:
        """Let the event loop run until `condition` holds; fails after `timeout_s`."""
        end_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end_s, f"still not so: {what or condition}; {self.ui.messageLabel.text}"
            self.turn(0.005)

    def idle(self) -> bool:
        return self.panel.queue.current is None and not self.panel.queue.waiting

    def analyze(self, timeout_s: float = 300.0) -> None:
        """Click Analyze and wait for the end."""
        self.ui.analyzeButton.click()
        self.until(self.idle, timeout_s, "the analysis ends")
        self.turn()

    def choose(self, *rows: int) -> None:
        """Select rows of the table as clicks with Ctrl do."""
        import qt

        table, model = self.ui.findingsTable, self.ui.findingsTable.model()
        table.selectionModel().clearSelection()
        for row in rows:
            flags = qt.QItemSelectionModel.Select | qt.QItemSelectionModel.Rows
            table.selectionModel().select(model.index(row, 0), flags)
        self.turn()

    def click(self, button: str) -> None:
        """Click a button of the panel."""
        getattr(self.ui, button).click()
        self.turn()

    def save(self, folder: Path) -> Path:
        """Save the scene as Slicer's bundle does, into a folder that is made if missing; gives its file."""
        folder.mkdir(exist_ok=True)
        assert self.scene.SaveSceneToSlicerDataBundleDirectory(str(folder))
        return next(folder.rglob("*.mrml"))

    def close_scene(self) -> None:
        """Leave nothing open."""
        self.scene.Clear(False)
        self.turn()

    def open(self, file: Path) -> None:
        """Open a scene that :meth:`save` wrote."""
        self.scene.SetURL(str(file))
        assert self.scene.Import()
        self.turn(0.05)

    def cell(self, row: int, column: int) -> str:
        """Text of a cell of the findings table."""
        model = self.ui.findingsTable.model()
        return model.data(model.index(row, column))

    def message(self) -> str:
        return self.ui.messageLabel.text

    def fresh(self) -> Desk:
        """The same desk with an empty scene and the sections as at first; its worker stays warm."""
        import qt
        from LiverLesionAILib.panel.findings.findings_model import SURE

        self.queue_idle()
        self.scene.Clear(False)
        self._grow_tree()
        ui = self.ui
        for section, collapsed in (
            (ui.findingsSection, False),
            (ui.overlaysSection, False),
            (ui.editSection, True),
            (ui.advancedSection, True),
            (ui.logSection, True),
        ):
            section.collapsed = collapsed
        ui.findingsTable.sortByColumn(SURE, qt.Qt.DescendingOrder)
        ui.logText.clear()
        self.panel.show_message("")
        self.turn(0.02)
        return self

    def _grow_tree(self) -> None:
        """The application's scene has its one hierarchy node from the start; here who first asks makes it."""
        import slicer

        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        # A cleared scene gives its old one out again, for as long as somebody holds that.
        if tree.GetScene() is not self.scene:
            self.scene.AddNode(tree)

    def queue_idle(self) -> None:
        """Stop what still runs."""
        self.panel.queue.clear_waiting()
        if not self.idle():
            self.panel.queue.cancel()
        self.until(self.idle)

    def close(self) -> None:
        """Close the module and the scene; nothing of it may be left."""
        import slicer

        self.widget.exit()
        self.widget.cleanup()
        slicer.app.moduleManager().widgets.clear()
        self.window.close()
        self.window.deleteLater()
        self.turn()
        self.scene.Clear(False)
        assert not list(Path(slicer.app.temporaryPath).glob("LiverLesionAI/*")), "case folders are left"
        assert not slicer.qMRMLSegmentEditorWidget.alive, (
            "a segment editor was not told to let go of the scene"
        )


def _paths() -> str:

    return os.pathsep.join([str(TESTING.parent / "LiverLesionAI"), str(TESTING)])
