"""A batch's process with networks that look at HU alone; cases of some names end it, or its memory."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from LiverLesionAILib.cli.batch_worker import Analyse, serve


def start(options: dict[str, Any]) -> Analyse:
    def analyse(case, said, progress):
        first = not case.folder.with_suffix(".begun").exists()
        case.folder.with_suffix(".begun").touch()
        if case.name == "dies" or (case.name == "last" and first):
            os.kill(os.getpid(), signal.SIGKILL)
        from LiverLesionAILib.analysis.settings import Settings
        from LiverLesionAILib.cli.batch_case import analyse_case
        from LiverLesionAILib.cli.job import Job
        from LiverLesionAILib.writing import case_folder
        from support.threshold_models import ThresholdModels

        case_folder._scene = lambda *_: False  # the MRML library alone takes seconds to load
        job = Job(ThresholdModels(), Settings(device="cpu", attention=False), None, False)
        print("a library prints")
        return analyse_case(job, case, said, progress)

    return analyse


if __name__ == "__main__":
    sys.exit(serve(start))
