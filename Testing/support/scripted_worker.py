"""A worker process whose analysis does what its settings say; run as a script by the worker and panel tests.

It goes through the product's own worker; only the networks are replaced, by truth that travels in the
volume: voxels
of 1000 and above are liver, ``1000 + k`` is lesion k. The settings' ``segmenter`` picks the behaviour.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.analysis import worker
from LiverLesionAILib.analysis.handover import SECOND_FOLDER, read_named_phases, read_volume
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress

STEPS = 20


class ScriptedAnalysis:
    """Counts what it is asked, so that a test sees whether it stayed warm."""

    def __init__(self) -> None:
        self.cases = 0

    def info(self) -> Mapping[str, Any]:
        return {
            "torch_version": "2.7.0",
            "device": "cpu",
            "device_name": "4 cores",
            "free_gb": 12.3,
            "total_gb": 16.0,
            "problem": "",
            "line": "CPU: 4 cores, 12.3 of 16 GB free · PyTorch 2.7.0",
            "pid": os.getpid(),
        }

    def run(self, folder: Path, settings: Mapping[str, Any], progress: Progress) -> None:
        self.cases += 1
        mode = sys.argv[1] if len(sys.argv) > 1 else settings.get("segmenter", "truth")
        if mode == "prints":
            print("a library prints to standard output")
            os.write(1, b"{not json, straight to the descriptor\n")
            subprocess.run([sys.executable, "-c", "print('and so does its child')"], check=True)
        elif mode == "bad input":
            raise InputError("CT: this is an MR image; choose a CT.")
        elif mode == "crash":
            raise ZeroDivisionError("something of the program")
        elif mode == "memory":
            raise MemoryError
        elif mode == "disk":
            raise OSError(28, "No space left on device")
        elif mode == "killed":
            progress("Segment", 0.5)
            os.kill(os.getpid(), signal.SIGKILL)
        elif mode == "deaf":
            progress("Segment", 0.3)
            time.sleep(600)
        steps = 1000 if mode == "long" else STEPS
        for step in range(steps):
            progress("Locate the liver" if step < steps / 2 else "Segment", step / steps)
            time.sleep({"slow": 0.5, "steady": 0.1, "long": 0.3}.get(mode, 0.01))
        volume = read_volume(folder)
        from LiverLesionAILib.case.store import save_result
        from LiverLesionAILib.case.surfaces import save_surfaces
        from support.scripted_result import LIVER_VALUE, graded, result_of, with_boxes

        if mode == "sample without lesions":
            volume = replace(volume, hu_zyx=np.minimum(volume.hu_zyx, LIVER_VALUE))
        result = result_of(volume, f"case {self.cases}", faint=not mode.startswith("sample"))
        if mode == "boxes":
            result = with_boxes(result)
        elif mode == "graded":
            result = graded(result)
        if (folder / SECOND_FOLDER).is_dir():
            second = read_volume(folder / SECOND_FOLDER)
            told = f"Second phase {second.name}: {second.hu_zyx.shape}, largest {second.hu_zyx.max()}."
            result = replace(result, messages=(*result.messages, told))
        if (named := read_named_phases(folder)) is not None:
            others = ", ".join(f"{phase.value} {ct.name} {ct.hu_zyx.max()}" for phase, ct in named.others)
            told = f"Named phases: {named.own.value if named.own else 'none'}; {others}."
            result = replace(result, messages=(*result.messages, told))
        save_result(result, folder / worker.RESULT_FOLDER)
        save_surfaces(result, folder / worker.RESULT_FOLDER)

    def attend(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        """The point itself, as a map on the slice that was handed over."""
        from LiverLesionAILib.case.store import save_result
        from support.scripted_result import attended

        for _ in range(20 if sys.argv[1:] == ["slow"] else 1):
            progress("following the point", 0.5)
            time.sleep(0.1)
        save_result(attended(read_volume(folder), request), folder / worker.RESULT_FOLDER)

    def compare(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        """As the product does: no network is asked."""
        from LiverLesionAILib.analysis.compared import compare_handed_over

        compare_handed_over(folder, request, progress)

    def anatomy(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        """As the product does: no network is asked."""
        from LiverLesionAILib.analysis.anatomy_handed_over import find_handed_over

        for _ in range(20 if sys.argv[1:] == ["slow"] else 1):
            progress("anatomy: vessels", 0.0)
            time.sleep(0.1)
        find_handed_over(folder, request, progress)

    def click(self, folder: Path, request: Mapping[str, Any], progress: Progress) -> None:
        """What has the clicked voxels' value and hangs together with them."""
        from LiverLesionAILib.case.store import save_result
        from support.scripted_result import clicked

        if "no click" in sys.argv[1:]:
            raise RuntimeError("no click today")
        if "click dies once" in sys.argv[1:]:
            os.kill(os.getpid(), signal.SIGKILL)
        for _ in range(20 if "slow click" in sys.argv[1:] else 1):
            progress("outlining what was clicked on", 0.5)
            time.sleep(0.1)
        save_result(clicked(read_volume(folder), request), folder / worker.RESULT_FOLDER)


if __name__ == "__main__":
    sys.exit(worker.main(ScriptedAnalysis))
