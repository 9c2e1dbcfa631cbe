"""Floating-point operations of every stage of `analyze`, and how many the machine can do in a second.

`bench_analyze.py --work` prints them beside the stages' seconds. Counted are convolutions and products of
matrices as torch's `FlopCounterMode` counts them (two for a multiplication with its addition), in one run
with one thread: they depend neither on the machine nor on how many threads there are. The peak is the best of
some plain convolutions in the networks' own precision with the threads that the rows had.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

COUNT = """
import json, runpy, sys
from contextlib import contextmanager
from pathlib import Path
from torch.utils.flop_counter import FlopCounterMode
from LiverLesionAILib.analysis import anatomy, pipeline
into, counted = Path(sys.argv[1]), {}
def add(name, counter):
    counted[name] = counted.get(name, 0) + counter.get_total_flops()
    into.write_text(json.dumps(counted))
plain, plain_anatomy = pipeline._clock, anatomy.with_anatomy
@contextmanager
def clock(seconds, name):
    with FlopCounterMode(display=False) as counter, plain(seconds, name):
        yield
    add(name, counter)
def with_anatomy(*given, **named):
    with FlopCounterMode(display=False) as counter:
        result = plain_anatomy(*given, **named)
    add("anatomy", counter)
    return result
pipeline._clock, anatomy.with_anatomy = clock, with_anatomy
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
PEAK = """
import json, time, torch
from LiverLesionAILib.models.device import cpu_precision
kind, best, where = cpu_precision(), 0.0, ""
with torch.inference_mode():
    for channels, size in ((32, 256), (64, 128), (64, 256), (128, 64), (256, 32), (256, 64)):
        layer = torch.nn.Conv2d(channels, channels, 3, padding=1).to(getattr(torch, kind))
        layer = layer.to(memory_format=torch.channels_last)
        given = torch.randn(8, channels, size, size).to(getattr(torch, kind))
        given = given.contiguous(memory_format=torch.channels_last)
        for _ in range(6):
            started = time.perf_counter()
            layer(given)
            rate = 2 * 9 * channels**2 * size**2 * 8 / (time.perf_counter() - started)
            if rate > best:
                best, where = rate, f"{channels} channels of {size} x {size}"
print(json.dumps([best, f"{kind}, {torch.get_num_threads()} threads, 3 x 3 convolution, {where}"]))
"""


@dataclass(frozen=True)
class Work:
    """What was counted, and the machine's peak.

    Attributes:
        stages: stage -> floating-point operations.
        peak: of them in a second.
        peak_of: what reached it.
    """

    stages: dict[str, int]
    peak: float
    peak_of: str

    def lines(self, seconds: dict[str, float]) -> list[str]:
        """A table; stages without networks are left out.

        Args:
            seconds: stage -> wall seconds of the same outputs.
        """
        said = [f"{'':<12} {'GFLOP':>8} {'GFLOP/s':>8} {'of peak':>8}"]
        for stage, count in self.stages.items():
            if count and seconds.get(stage, 0.0) > 0:
                rate = count / seconds[stage]
                said.append(
                    f"{stage:<12} {count / 1e9:8.0f} {rate / 1e9:8.0f} {100 * rate / self.peak:6.0f} %"
                )
        return [*said, f"peak: {self.peak / 1e9:.0f} GFLOP/s ({self.peak_of})"]


def counted_work(command: Sequence[str], tree: Path) -> Work:
    """Count the operations of a command, and measure the peak.

    Args:
        command: `-m`, the module and its arguments; "{out}" stands for a folder of its own.
        tree: whose library it runs.

    Raises:
        RuntimeError: it failed; the text ends with what it said.
    """
    environment = {**os.environ, "PYTHONPATH": str(tree / "LiverLesionAI")}
    with tempfile.TemporaryDirectory() as folder:
        into = Path(folder) / "counted.json"
        given = [part.replace("{out}", folder) for part in command if part != "-m"]
        call = [sys.executable, "-c", COUNT, str(into), *given]
        _told(call, {**environment, "OMP_NUM_THREADS": "1"})
        stages = json.loads(into.read_text())
    peak, peak_of = json.loads(_told([sys.executable, "-c", PEAK], environment))
    return Work(stages, peak, peak_of)


def _told(call: Sequence[str], environment: dict[str, str]) -> str:
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"counting failed: {done.stderr[-500:]}")
    return done.stdout
