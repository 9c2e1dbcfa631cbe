"""The sample case analysed beside busy processes, with threads that spin and with threads that sleep.

    python Testing/Benchmarks/bench_loaded.py [BUSY]

BUSY other processes (8 without it) compute all the time; then none. Prints wall and processor seconds, and
what sleeping gains as ratios: they mean the same on a faster machine. Run it on a machine that does nothing
else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "LiverLesionAI"
SAMPLE = LIBRARY / "LiverLesionAILib" / "data" / "Sample" / "sample_ct.nrrd"
SPINNING = {
    "OMP_WAIT_POLICY": "ACTIVE",
    "GOMP_SPINCOUNT": "300000",
    "KMP_BLOCKTIME": "200",
    "OPENBLAS_THREAD_TIMEOUT": "26",
}
"""What the libraries do by themselves."""


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that compute until the body ends."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def analyse(variables: dict[str, str]) -> tuple[float, float]:
    """Wall and processor seconds of one analysis, without pictures."""
    left_alone = {name: value for name, value in os.environ.items() if name not in SPINNING}
    environment = {**left_alone, "PYTHONPATH": str(LIBRARY), **variables}
    with tempfile.TemporaryDirectory() as folder:
        call = (sys.executable, "-m", "LiverLesionAILib.cli.main", "analyze", str(SAMPLE), "--device", "cpu")
        before, started = os.times(), time.perf_counter()
        subprocess.run(
            [*call, "--no-pictures", "--out", str(Path(folder) / "case")],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        wall_s, after = time.perf_counter() - started, os.times()
    user_s = after.children_user - before.children_user
    return wall_s, user_s + after.children_system - before.children_system


def main() -> int:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"{cores} cores; load before: {load}")
    print(f"{'':<34}{'wall s':>8}{'CPU s':>8}")
    for others in (count, 0):
        measured = {}
        for name, variables in (("spinning", SPINNING), ("sleeping (default)", {})):
            with busy(others):
                measured[name] = analyse(variables)
            wall_s, cpu_s = measured[name]
            print(f"{others} busy processes, {name:<18}{wall_s:>8.1f}{cpu_s:>8.1f}", flush=True)
        (spin_wall, spin_cpu), (sleep_wall, sleep_cpu) = measured.values()
        slower, more = spin_wall / sleep_wall, spin_cpu / sleep_cpu
        print(f"  spinning takes {slower:.2f} x the time, {more:.2f} x the processor")
    return 0


if __name__ == "__main__":
    sys.exit(main())
