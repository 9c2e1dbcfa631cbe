"""Long scans: peak memory and processor seconds against the number of slices, with a plot.

    python Testing/Benchmarks/bench_memory.py [--slices 50,200,800,2000] [--size 512] [--plot FILE.png]

The bundled sample at SIZE x SIZE in plane, 1 mm from slice to slice, once; below it the scan goes on as its
lowest slice. Each length is analysed in a process of its own, all outputs but pictures; printed are the peak
of its memory (of the largest of its processes) and its processor seconds. 2000 slices take minutes. With
`OMP_NUM_THREADS=1` other programs on the machine hardly change them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

LIBRARY = Path(__file__).resolve().parents[2] / "LiverLesionAI"
SLICE_MM = 1.0


def write_long(path: Path, slices: int, size: int) -> None:
    """The sample's middle with so many slices, or all of it and more of its lower end."""
    from LiverLesionAILib.reading import read_ct
    from LiverLesionAILib.volume.ct import Geometry, reorient, resample
    from LiverLesionAILib.writing.nrrd import write_image

    sample = LIBRARY / "LiverLesionAILib" / "data" / "Sample" / "sample_ct.nrrd"
    volume = reorient(read_ct(sample))
    depth, height, width = volume.geometry.shape_zyx
    step_z, step_y, step_x = volume.geometry.spacing_zyx_mm
    spacing = (SLICE_MM, step_y * height / size, step_x * width / size)
    whole = max(1, int(depth * step_z / SLICE_MM))
    inner = volume.geometry.with_spacing(spacing)
    hu = resample(volume.hu_zyx, volume.geometry, inner, dtype=np.int16)[:whole]
    if slices <= len(hu):
        first = (len(hu) - slices) // 2
        hu = hu[first : first + slices]
    else:
        hu = np.concatenate([np.broadcast_to(hu[:1], (slices - len(hu), *hu.shape[1:])), hu])
    write_image(path, hu, Geometry.make(hu.shape, inner.spacing_zyx_mm, (0.0, 0.0, 0.0), np.eye(3)))


def measured(ct: Path, folder: Path) -> tuple[float, float]:
    """Processor seconds, and the peak of memory in GB.

    Raises:
        RuntimeError: the analysis failed.
    """
    command = [sys.executable, "-m", "LiverLesionAILib.cli.main", "analyze", str(ct), "--device", "cpu"]
    child = subprocess.Popen(
        [*command, "--no-pictures", "--out", str(folder)],
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert child.stderr is not None
    said = child.stderr.read().decode(errors="replace")
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{ct.name} failed: {said[-400:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


def draw(rows: list[tuple[int, float, float]], path: Path) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 3.5))
    for axis, column, title in ((axes[0], 2, "peak memory, GB"), (axes[1], 1, "processor seconds")):
        axis.plot([row[0] for row in rows], [row[column] for row in rows], "o-")
        axis.set(xlabel="slices", ylabel=title, xlim=(0, None), ylim=(0, None))
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> int:
    parser = argparse.ArgumentParser(description="See the module.")
    parser.add_argument("--slices", default="50,200,800,2000")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    args = parser.parse_args()
    sys.path.insert(0, str(LIBRARY))
    rows: list[tuple[int, float, float]] = []
    print(f"{'slices':>7} {'size':>5} {'CT GB':>6} {'peak GB':>8} {'CPU s':>8} {'s/slice':>8}", flush=True)
    for slices in (int(word) for word in args.slices.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            ct = Path(folder) / f"long{slices}.nrrd"
            write_long(ct, slices, args.size)
            seconds, peak = measured(ct, Path(folder) / "case")
        rows.append((slices, seconds, peak))
        gigabytes = 2e-9 * slices * args.size**2
        print(
            f"{slices:7d} {args.size:5d} {gigabytes:6.2f} {peak:8.2f} {seconds:8.1f} {seconds / slices:8.3f}",
            flush=True,
        )
    if args.plot:
        draw(rows, args.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
