"""Whole command, from start to files written, on one real CT: seconds, memory, share of each stage.

    python Testing/Benchmarks/bench_analyze.py [CT]

The ratio is against a plain script run beside it that only reads the same CT and smooths it once with
SimpleITK, so that the figure means the same on a faster or busier machine. Without CT it takes
lits/lits003 of the real data.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "LiverLesionAI"
BASELINE = """
import sys, SimpleITK as sitk
image = sitk.Cast(sitk.ReadImage(sys.argv[1]), sitk.sitkFloat32)
sitk.SmoothingRecursiveGaussian(image, 2.0)
"""


def timed(command: list[str], folder: str) -> tuple[float, float, str]:
    """Wall seconds, CPU seconds and output of a command."""
    environment = {**os.environ, "PYTHONPATH": str(LIBRARY)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    wall_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def main() -> int:
    sys.path.insert(0, str(LIBRARY))
    from LiverLesionAILab.data.cases import data_folder
    from LiverLesionAILib.support.errors import InputError

    try:
        ct = (
            Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else data_folder() / "lits" / "lits003_ct.nii.gz"
        )
    except InputError as error:
        print(f"skipped: {error}")
        return 0
    if not ct.exists():
        print(f"{ct}: no such CT.")
        return 2
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "LiverLesionAILib.cli.main",
            "analyze",
            str(ct),
            "--out",
            "case",
            "--timings",
        ]
        rows = []
        for _ in range(3):
            base_s, _, _ = timed([sys.executable, "-c", BASELINE, str(ct)], folder)
            wall_s, cpu_s, printed = timed([*command, "--device", "cpu"], folder)
            rows.append((wall_s, cpu_s, base_s, printed))
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    wall_s, cpu_s, base_s, printed = sorted(rows)[len(rows) // 2]
    print(f"{ct.name}, {os.cpu_count()} cores, median of {len(rows)}")
    print(f"  analyze, start to files written  {wall_s:6.1f} s  (CPU {cpu_s:.1f} s, peak {peak_gb:.2f} GB)")
    print(f"  reading and smoothing it once    {base_s:6.1f} s")
    print(f"  ratio                            {wall_s / base_s:6.1f}")
    print("\n".join(line for line in printed.splitlines() if line.endswith("%") or " total " in line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
