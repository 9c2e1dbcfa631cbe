"""The panel's queue with its worker, which Slicer's own Python runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import slicer

from .queue import AnalysisQueue, QueueView
from .temp_folders import remove_stale_folders
from .worker_client import WorkerClient, WorkerCommand, python_program


def worker_queue(view: QueueView, command: WorkerCommand | None) -> AnalysisQueue:
    """The queue with its worker, which Slicer's own Python runs unless `command` says otherwise."""
    library = str(Path(__file__).resolve().parents[3])
    command = command or WorkerCommand.for_slicer(
        library, python_program(slicer.app.slicerHome, sys.executable)
    )
    root = os.path.join(slicer.app.temporaryPath, "LiverLesionAI")
    remove_stale_folders(root)
    return AnalysisQueue(view, lambda queue: WorkerClient(command, queue), root)
