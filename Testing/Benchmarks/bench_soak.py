"""Many cases through one warm worker: memory, files and threads that it holds after each ten.

    python Testing/Benchmarks/bench_soak.py [--cases 200] [--slices 24] [--toy]
    python Testing/Benchmarks/bench_soak.py --ct FILE --cases 3 --every 1   (the first case and warm ones)

A part of the bundled sample, each time shifted and with other noise, is handed to the panel's worker as the
panel does it, and its answer is taken away. Printed are the worker's memory (held, and the largest so far),
open files, threads, and the processor and wall seconds of the last ten cases (the first with the worker's
start). With `--ct` it is that CT, as it is, each time. At the end: the growth from the first
third's end to the last, in MB a hundred cases; exit status 1 where it is more than `--most` or where files or
threads have become more. With `--toy` the networks look at HU alone: the line around them in a part of the
time. Linux only (it reads /proc).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TREE = Path(__file__).resolve().parents[2]
LIBRARY = TREE / "LiverLesionAI"
TOY = """
import sys
from LiverLesionAILib.analysis import worker
from support.threshold_models import ThresholdModels
class Toy(worker.PipelineAnalysis):
    def _store(self):
        self._models = self._models or ThresholdModels()
        return self._models
sys.exit(worker.main(Toy))
"""


@dataclass(frozen=True)
class Held:
    """What a process holds.

    Attributes:
        memory_mb, peak_mb: resident, and the largest so far.
        files, threads: open.
        cpu_s: processor seconds used so far.
    """

    memory_mb: float
    peak_mb: float
    files: int
    threads: int
    cpu_s: float

    @classmethod
    def by(cls, pid: int) -> Held:
        """Of a running process."""
        place = Path("/proc") / str(pid)
        status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        ticks = (place / "stat").read_text().rsplit(") ", 1)[1].split()[11:13]
        return cls(
            int(status["VmRSS"].split()[0]) / 1e3,
            int(status["VmHWM"].split()[0]) / 1e3,
            len(list((place / "fd").iterdir())),
            int(status["Threads"]),
            sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
        )


def cases(slices: int, toy: bool, path: Path | None) -> Iterator[tuple[NDArray[np.int16], object]]:
    """Volumes without end, each another one, and their geometry; of a file always the same."""
    if path is not None:
        from LiverLesionAILib.reading import read_ct

        same = read_ct(path)
        while True:
            yield same.hu_zyx, same.geometry
    if toy:
        sys.path.insert(0, str(TREE / "Testing"))
        from support.threshold_models import phantom

        ct, _ = phantom()
    else:
        from LiverLesionAILib.case.sample import load_sample
        from LiverLesionAILib.volume.ct import CtVolume

        whole = load_sample()
        most = int(whole.lesion_labels_zyx.any(axis=2).sum(axis=1).argmax())
        first = min(max(0, most - slices // 2), len(whole.volume.hu_zyx) - slices)
        part = whole.volume.geometry.cropped((first, 0, 0), (first + slices, *whole.volume.hu_zyx.shape[1:]))
        ct = CtVolume(whole.volume.hu_zyx[first : first + slices], part, "soak")
    random = np.random.default_rng(0)
    while True:
        noise = random.normal(0, 4, ct.hu_zyx.shape)
        moved = np.roll(ct.hu_zyx, random.integers(-3, 4), axis=2)
        yield np.rint(moved + noise).astype(np.int16), ct.geometry


class Worker:
    """The panel's worker."""

    def __init__(self, toy: bool) -> None:
        start = ["-c", TOY] if toy else ["-m", "LiverLesionAILib.analysis.worker"]
        path = os.pathsep.join([str(LIBRARY), str(TREE / "Testing")])
        self.process = subprocess.Popen(
            [sys.executable, *start],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
        )

    def analyse(self, number: int, hu_zyx: NDArray[np.int16], geometry: object, folder: Path) -> int:
        """Hand a case over and wait for its end; number of lesions.

        Raises:
            RuntimeError: the worker says that it failed, or ends.
        """
        from LiverLesionAILib.analysis.handover import write_volume
        from LiverLesionAILib.case.store import load_result

        folder.mkdir()
        for _ in write_volume(folder, hu_zyx, geometry, f"soak {number}"):  # type: ignore[arg-type]
            pass
        message = {"command": "analyze", "id": number, "folder": str(folder), "settings": {"device": "cpu"}}
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer["event"] == "done":
                lesions = len(load_result(Path(answer["result"])).lesions)
                shutil.rmtree(folder)
                return lesions
            if answer["event"] in ("failed", "cancelled"):
                raise RuntimeError(f"case {number}: {answer}")
        raise RuntimeError(f"case {number}: the worker ended")

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


def growth(rows: list[Held], every: int) -> float:
    """MB a hundred cases, by a line through the rows after the first third."""
    later = rows[len(rows) // 3 :]
    if len(later) < 2:
        return 0.0
    slope = np.polyfit(np.arange(len(later)) * every, [row.memory_mb for row in later], 1)[0]
    return float(100 * slope)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--every", type=int, default=10, help="cases from line to line")
    parser.add_argument("--most", type=float, default=20.0, help="MB a hundred cases")
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--ct", type=Path, metavar="FILE", help="this CT each time")
    args = parser.parse_args()
    sys.path.insert(0, str(LIBRARY))
    volumes = cases(args.slices, args.toy, args.ct and args.ct.resolve())
    ahead = next(volumes)
    since_s = time.perf_counter()
    worker, rows = Worker(args.toy), list[Held]()
    heads = f"{'cases':>6} {'memory MB':>10} {'peak MB':>8} {'files':>6} {'threads':>8}"
    print(f"{heads} {'cpu s':>7} {'wall s':>7}", flush=True)
    lesions, used_s = 0, 0.0
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(1, args.cases + 1):
                lesions += worker.analyse(number, *ahead, Path(folder) / str(number))
                if number % args.every == 0:
                    held = Held.by(worker.process.pid)
                    rows.append(held)
                    print(
                        f"{number:6d} {held.memory_mb:10.1f} {held.peak_mb:8.1f} {held.files:6d} "
                        f"{held.threads:8d} {held.cpu_s - used_s:7.1f} {time.perf_counter() - since_s:7.1f}",
                        flush=True,
                    )
                    used_s, since_s = held.cpu_s, time.perf_counter()
                ahead = next(volumes)
            left = sum(1 for _ in Path(folder).rglob("*"))
    finally:
        worker.close()
    if not rows:
        return 0
    more = growth(rows, args.every)
    first = rows[len(rows) // 3]
    print(f"{lesions} lesions found; {left} files left behind; {more:+.1f} MB a hundred cases")
    good = more <= args.most and rows[-1].files <= first.files and rows[-1].threads <= first.threads
    return 0 if good and not left else 1


if __name__ == "__main__":
    sys.exit(main())
