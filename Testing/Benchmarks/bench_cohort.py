"""A cohort of small synthetic scans, some corrupted, two end their process: what is left, what is redone.

    python Testing/Benchmarks/bench_cohort.py [--cases 100] [--jobs 2] [--singly 10] [--real FOLDER]

Phantoms with liver and lesions at other places in each, analysed by `batch` with networks that look at HU
alone; with --real the CTs below a folder (`*_ct.nii.gz`) go along. Three files are corrupted: cut short, no
image, a label map. One case ends its process each time, one the first time only (with one job, which works in
the command's own process, none does). Looked at are: every good case is there and whole, the bad ones are
told with their reason, no half file is left; some of them analysed singly are the same, to the byte of their
findings; the same command again computes nothing twice, and without the bad files ends well. Printed are
these with cases a minute and processor seconds; exit status 1 where one does not hold.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

TESTING = Path(__file__).resolve().parents[1]
LIBRARY = TESTING.parent / "LiverLesionAI"
QUICK = ("--device", "cpu", "--no-pictures", "--no-attention", "--detector", "none", "--no-scene")
DIES, ONCE = "dies", "last"
"""Names that end their process: see support/toy_batch_worker.py."""


def write_cohort(folder: Path, count: int) -> tuple[set[str], set[str]]:
    """Names of the good cases and of the bad ones."""
    import SimpleITK as sitk
    from support.threshold_models import phantom

    ct, labels = phantom()
    random = np.random.default_rng(0)
    names = [f"case{number:03d}" for number in range(count - 5)] + [ONCE, DIES]
    for name in names:
        moved = np.roll(ct.hu_zyx, random.integers(-4, 5, 3), axis=(0, 1, 2))
        image = sitk.GetImageFromArray(moved + np.rint(random.normal(0, 3, moved.shape)).astype(np.int16))
        image.SetSpacing([float(size) for size in ct.geometry.spacing_zyx_mm[::-1]])
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    whole = (folder / f"{names[0]}.nii.gz").read_bytes()
    (folder / "short.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "text.nii.gz").write_bytes(b"no image")
    sitk.WriteImage(sitk.GetImageFromArray(labels.astype(np.int16)), str(folder / "labels.nii.gz"))
    return {*names} - {DIES}, {DIES, "short", "text", "labels"}


def summary(out: Path) -> dict[str, dict[str, str]]:
    """The rows of its table by case."""
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def findings(folder: Path) -> dict[str, Any]:
    """What was found, without seconds, how many threads a job had, and numbers drawn by chance."""
    made: dict[str, Any] = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    for name in ("seconds", "device"):
        made["computation"].pop(name)
    for lesion in made["lesions"]:
        lesion.pop("tracking_uid")
    return made


def batch(source: Path, out: Path, jobs: int) -> int:
    """Run the command, its lines left out; the exit status."""
    from contextlib import redirect_stderr, redirect_stdout

    from LiverLesionAILib.cli.main import main

    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        return main(["batch", str(source), "--out", str(out), "--jobs", str(jobs), *QUICK])


def use_toys() -> None:
    """Networks that look at HU alone, here and in the batch's processes."""
    from LiverLesionAILib.cli import batch_pool
    from LiverLesionAILib.models.weights import ModelStore
    from support.threshold_models import ThresholdModels

    ModelStore.bundled = ThresholdModels  # type: ignore[method-assign,assignment]
    batch_pool.WORKER = "support.toy_batch_worker"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(LIBRARY), str(TESTING)])


class Report:
    """Lines of what holds and what does not."""

    def __init__(self) -> None:
        self.good = True

    def say(self, holds: bool, text: str) -> None:
        self.good &= holds
        print(f"{'ok ' if holds else 'NOT'} {text}", flush=True)


def files_of(out: Path, names: set[str]) -> dict[Path, tuple[int, int]]:
    """Every file of the cases with its size and its time."""
    found = {}
    for name in names:
        for path in (out / name).rglob("*"):
            found[path] = (path.stat().st_size, path.stat().st_mtime_ns)
    return found


def look(report: Report, out: Path, good: set[str], bad: set[str]) -> None:
    """Whether the cohort is as it should be."""
    from LiverLesionAILib.case.store import load_result

    rows = summary(out)
    done = {name for name, row in rows.items() if row["status"] in ("done", "kept")}
    report.say(done == good, f"{len(done)} of {len(good)} good cases analysed")
    failed = {name: row["message"] for name, row in rows.items() if row["status"] == "failed"}
    told = set(failed) == bad and all(failed.values())
    report.say(told, f"{len(failed)} of {len(bad)} bad ones told with their reason")
    for name in sorted(failed):
        print(f"      {name}: {failed[name][:90]}")
    lesions = sum(len(load_result(out / name).lesions) for name in done)
    report.say(lesions >= len(done), f"every case can be opened; {lesions} lesions")
    begun = {path.name for path in out.glob("*.begun")}
    left = [p.name for p in out.iterdir() if p.name not in begun | done and (p.is_dir() or ".part" in p.name)]
    report.say(not left, f"nothing half is left {left or ''}")


def used_s() -> float:
    """Processor seconds of this process and of those that it waited for."""
    each = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in each)


def run(args: argparse.Namespace, folder: Path) -> bool:
    source, out = folder / "in", folder / "out"
    source.mkdir()
    good, bad = write_cohort(source, args.cases)
    if args.real is not None:
        for path in sorted(args.real.rglob("*_ct.nii.gz")):
            (source / path.name).symlink_to(path.resolve())
            good = good | {path.name.removesuffix(".nii.gz")}
    count = len(good) + len(bad)
    if args.jobs == 1:
        # One job works in this process, which none of the cases ends.
        good, bad = good | {DIES}, bad - {DIES}
    report = Report()
    started, before_s = time.perf_counter(), used_s()
    status = batch(source, out, args.jobs)
    seconds = time.perf_counter() - started
    cpu_s = used_s() - before_s
    print(f"{count} cases, {args.jobs} jobs: {60 * count / seconds:.0f} a minute, {cpu_s:.0f} cpu s")
    report.say(status == 1, "the exit status says that some failed")
    look(report, out, good, bad)
    chosen = sorted(good)[:: max(1, len(good) // max(1, args.singly))][: args.singly]
    same = 0
    for name in chosen:
        batch(source / f"{name}.nii.gz", folder / "singly", 1)
        same += findings(folder / "singly" / name) == findings(out / name)
    report.say(same == len(chosen), f"{same} of {len(chosen)} analysed singly are the same")
    before = files_of(out, good)
    for name in bad:
        (source / f"{name}.nii.gz").unlink()
    for path in out.glob("*.begun"):
        path.unlink()
    status = batch(source, out, args.jobs)
    report.say(status == 0, "started again without the bad files it ends well")
    begun = [path.stem for path in out.glob("*.begun")]
    report.say(not begun and files_of(out, good) == before, f"and computes nothing twice {begun or ''}")
    return report.good


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--singly", type=int, default=10, help="cases that are analysed alone too")
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="real CTs that go along")
    args = parser.parse_args(arguments)
    sys.path[:0] = [str(LIBRARY), str(TESTING)]
    use_toys()
    with tempfile.TemporaryDirectory() as folder:
        return 0 if run(args, Path(folder)) else 1


if __name__ == "__main__":
    sys.exit(main())
