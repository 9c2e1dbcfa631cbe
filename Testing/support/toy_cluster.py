"""A cluster's stand-in for an analysis: a case folder in a moment; some names end the worker."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from LiverLesionAILib.cli.batch_worker import Analyse
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.writing.case_folder import MARKER


def start(options: dict[str, Any]) -> Analyse:
    assert options["device"] == "cpu"

    def analyse(case, said, progress):
        begun = case.folder.parent.parent / "begun"
        begun.mkdir(exist_ok=True)
        first = not list(begun.glob(f"{case.name}-*"))
        if case.name == "endless":
            try:
                (begun / "endless-begun").touch()
                while True:
                    progress("segment", 0.5)
                    time.sleep(0.05)
            finally:
                (begun / "endless-cleared").touch()
        (begun / f"{case.name}-{time.time_ns()}").touch()
        progress("segment", 0.5)
        if case.name == "killed" and first:
            os.kill(os.getpid(), signal.SIGKILL)
        if case.name == "hungry" and first:
            held = []
            # More than a worker may have, kept until that is seen.
            for step in range(12_000):
                if step < 40:
                    held.append(b"\1" * 20_000_000)
                time.sleep(0.02)
        if case.name == "thin" and first:
            raise MemoryError
        if case.name == "broken":
            raise ValueError("no CT")
        case.folder.mkdir(parents=True)
        write_text(case.folder / MARKER, '{"files": ["findings.json"]}')
        write_text(case.folder / "findings.json", "{}")
        said["The same for all."] = None
        return {"status": "done", "lesions": "1"}

    return analyse
