"""What the panel does for one case, without its window: hands a CT to a worker and takes the result.

``python -m LiverLesionAILab.fuzz.panel_side CT ROOT`` prints the worker's number, and ends with 0 when the
result was read, 3 when the worker was lost. ROOT is the panel's folder of temporary cases.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from LiverLesionAILib.analysis.handover import write_volume
from LiverLesionAILib.case.store import load_result
from LiverLesionAILib.panel.run.temp_folders import make_case_folder, remove_stale_folders
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.support.threads import let_threads_sleep

SETTINGS = {
    "device": "cpu",
    "pyramid": [0.6],
    "detector": "none",
    "classifier": None,
    "attention": False,
}
LOST = 3


def main(ct: Path, root: Path) -> int:
    """One case; the exit status."""
    remove_stale_folders(str(root))
    environment = dict(os.environ)
    let_threads_sleep(environment)
    with subprocess.Popen(
        [sys.executable, "-m", "LiverLesionAILib.analysis.worker"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        print(f"worker {worker.pid}", flush=True)
        volume = read_ct(ct)
        folder = make_case_folder(str(root))
        for _ in write_volume(folder, volume.hu_zyx, volume.geometry, volume.name):
            pass
        request = {"command": "analyze", "id": 1, "folder": str(folder), "settings": SETTINGS}
        try:
            worker.stdin.write(json.dumps(request).encode() + b"\n")
            worker.stdin.flush()
            for line in worker.stdout:
                answer = json.loads(line)
                if answer["event"] in ("done", "failed"):
                    print(answer, flush=True)
                    if answer["event"] == "done":
                        load_result(Path(answer["result"]))
                        return 0
                    return 1
        except BrokenPipeError:
            pass
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            worker.kill()
        return LOST


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
