"""Threads sleep by default wherever the product starts computing, and never against the user's own choice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from LiverLesionAILib.support.threads import SLEEPING, let_threads_sleep

LIBRARY = Path(__file__).resolve().parents[2] / "LiverLesionAI"


def test_what_the_user_has_set_stays() -> None:
    environment = {"OMP_WAIT_POLICY": "ACTIVE", "OTHER": "1"}
    let_threads_sleep(environment)
    assert environment == {**SLEEPING, "OMP_WAIT_POLICY": "ACTIVE", "OTHER": "1"}


@pytest.mark.parametrize(
    "start",
    [
        "from LiverLesionAILib.cli.main import main\nmain(['info'])",
        "from LiverLesionAILib.analysis.worker import PipelineAnalysis, main\n"
        "def analysis():\n    PipelineAnalysis().info()\n    return PipelineAnalysis()\n"
        "main(analysis)",
    ],
    ids=["command line", "worker"],
)
def test_it_is_said_before_torch_is_loaded(start: str) -> None:
    """A finder notes the environment at the moment somebody asks for torch; torch itself is not needed."""
    script = (
        "import os, sys\n"
        "class Noting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'torch':\n"
        f"            seen = [os.environ.get(key) for key in {list(SLEEPING)!r}]\n"
        "            os.write(2, f'AT TORCH {seen}'.encode())\n"
        "            os._exit(7)\n"
        "sys.meta_path.insert(0, Noting())\n"
        f"{start}\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in SLEEPING}
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env={**environment, "PYTHONPATH": str(LIBRARY), "GOMP_SPINCOUNT": "17"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    # A worker ends when its input does: that stays open.
    process.stdin.write(b'{"command": "info", "id": 1}\n')
    process.stdin.flush()
    code = process.wait(600)
    said = process.communicate()[1].decode()
    expected = [{**SLEEPING, "GOMP_SPINCOUNT": "17"}[name] for name in SLEEPING]
    assert code == 7, said
    assert f"AT TORCH {expected}" in said
