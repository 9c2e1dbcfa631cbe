"""The whole command on one real CT, from start to files: seconds, memory, stage by stage, side by side.

    python Testing/Benchmarks/bench_analyze.py [CT] [--base TREE] [--rounds 3] [--work] [--json FILE]

Rows, run in turn in every round so that a busy minute meets all of them:

- this tree, all outputs; the outputs that the first version had (no gallbladder); masks alone; all outputs
  and vessels and segments (`--anatomy`). A second look at lesions is the laboratory's: no row has it
- with `--base`, a checkout of another commit: all outputs, and masks alone
- reading the CT and smoothing it once with SimpleITK: what the ratios of this tree mean on any machine

Printed are medians of wall and processor seconds, peak memory, seconds to the first progress, and of this
tree's and the base's rows the seconds by stage. Without CT it takes lits/lits003 of the real data. Run it on
a machine that does nothing else; `OMP_NUM_THREADS` of the environment counts. On a machine that others use
too, `--processor` takes one thread and gives the stages' processor seconds, which hardly depend on them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))

from counted_work import counted_work

TREE = Path(__file__).resolve().parents[2]
BASELINE = """
import sys, SimpleITK as sitk
image = sitk.Cast(sitk.ReadImage(sys.argv[1]), sitk.sitkFloat32)
sitk.SmoothingRecursiveGaussian(image, 2.0)
"""
ANATOMY = "all and anatomy"
MASKS = ("--detector", "none", "--no-attention", "--no-classify", "--no-pictures")
# Every clock that the command reads is its processor time.
PROCESSOR = """
import runpy, sys, time
time.perf_counter = time.process_time
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
STAGE = re.compile(r"^  (\w+) +([\d.]+) s +\d+ %$")


@dataclass(frozen=True)
class Row:
    """A command that is timed.

    Attributes:
        name: for the table.
        command: after the interpreter; "{out}" stands for a folder of its own.
        tree: whose library it runs; None for none.
        python: the interpreter.
    """

    name: str
    command: tuple[str, ...]
    tree: Path | None = None
    python: str = sys.executable


@dataclass
class Run:
    """One run of a row: seconds, GB, and the seconds by stage that it printed."""

    wall_s: float
    cpu_s: float
    peak_gb: float
    first_progress_s: float | None
    stages: dict[str, float] = field(default_factory=dict)


def by_processor(row: Row) -> Row:
    """The row with the processor's clock in place of the wall's, where it runs a module."""
    if row.command[0] != "-m":
        return row
    return replace(row, command=("-c", PROCESSOR, *row.command[1:]))


def analysis(name: str, tree: Path, ct: Path, options: Sequence[str] = ()) -> Row:
    """`analyze` of a checkout; before the rooms were parted, the command was one module."""
    parted = (tree / "LiverLesionAI" / "LiverLesionAILib" / "cli" / "main.py").is_file()
    module = "LiverLesionAILib.cli.main" if parted else "LiverLesionAILib.cli"
    given = ("-m", module, "analyze", str(ct), "--out", "{out}/case", "--timings", "--device", "cpu")
    return Row(name, (*given, *options), tree)


def timed(row: Row) -> Run:
    """Run a row in a process of its own; its children's processor time counts, and the largest of them all.

    Raises:
        RuntimeError: it failed; the text ends with what it said.
    """
    environment = dict(os.environ)
    if row.tree is not None:
        environment["PYTHONPATH"] = str(row.tree / "LiverLesionAI")
    with tempfile.TemporaryDirectory() as folder:
        command = [row.python, *(part.replace("{out}", folder) for part in row.command)]
        started = time.perf_counter()
        child = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        said: list[tuple[float, str]] = []

        def listen() -> None:
            assert child.stderr is not None
            said.extend((time.perf_counter() - started, line) for line in child.stderr)

        listener = threading.Thread(target=listen)
        listener.start()
        assert child.stdout is not None
        printed = child.stdout.read()
        listener.join()
        # Of this child and those it waited for, and of no other row's.
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - started
    if child.returncode:
        raise RuntimeError(f"{row.name} failed: {''.join(line for _, line in said)[-500:]}")
    stages = {m[1]: float(m[2]) for m in map(STAGE.match, printed.splitlines()) if m}
    first = said[0][0] if said and row.tree is not None else None
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6, first, stages)


def rows_of(ct: Path, base: Path | None) -> list[Row]:
    rows = [
        Row("reading and smoothing once", ("-c", BASELINE, str(ct))),
        analysis("all", TREE, ct),
        analysis("all but the gallbladder", TREE, ct, ("--no-gallbladder",)),
        analysis("masks alone", TREE, ct, (*MASKS, "--no-gallbladder", "--no-scene")),
        analysis(ANATOMY, TREE, ct, ("--anatomy",)),
    ]
    if base is not None:
        rows.append(analysis("base, all", base, ct))
        rows.append(analysis("base, masks alone", base, ct, MASKS))
    return rows


def middle(runs: Sequence[Run]) -> Run:
    """Medians of everything that was measured."""
    first = [run.first_progress_s for run in runs if run.first_progress_s is not None]
    stages = {name: median(run.stages.get(name, 0.0) for run in runs) for name in runs[0].stages}
    return Run(
        median(run.wall_s for run in runs),
        median(run.cpu_s for run in runs),
        max(run.peak_gb for run in runs),
        median(first) if first else None,
        stages,
    )


def print_table(found: Mapping[str, Run], clock: str) -> None:
    print(f"{'':<28} {'wall s':>7} {'CPU s':>7} {'peak GB':>8} {'first s':>8}")
    for name, run in found.items():
        first = "" if run.first_progress_s is None else f"{run.first_progress_s:8.1f}"
        print(f"{name:<28} {run.wall_s:7.1f} {run.cpu_s:7.1f} {run.peak_gb:8.2f} {first}")
    staged = {name: run for name, run in found.items() if run.stages}
    stages = list(dict.fromkeys(stage for run in staged.values() for stage in run.stages))
    print(f"\n{clock} seconds by stage\n" + " " * 28 + "".join(f"{stage[:8]:>9}" for stage in stages))
    for name, run in staged.items():
        print(f"{name:<28}" + "".join(f"{run.stages.get(stage, 0.0):9.2f}" for stage in stages))
    print()
    for mine, other in (
        ("all but the gallbladder", "base, all"),
        ("masks alone", "base, masks alone"),
        ("all", "reading and smoothing once"),
    ):
        if mine in found and other in found:
            a, b = found[mine], found[other]
            print(f"{mine} / {other}: {a.wall_s / b.wall_s:.2f} of the time, {a.cpu_s / b.cpu_s:.2f} of CPU")


def main() -> int:
    parser = argparse.ArgumentParser(description="See the module.")
    parser.add_argument("ct", type=Path, nargs="?")
    parser.add_argument("--base", type=Path, metavar="TREE", help="a checkout to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processor", action="store_true", help="one thread; stages in processor seconds")
    parser.add_argument("--work", action="store_true", help="also operations by stage, and the peak")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    args = parser.parse_args()
    sys.path.insert(0, str(TREE / "LiverLesionAI"))
    from LiverLesionAILab.data.cases import data_folder
    from LiverLesionAILib.support.errors import InputError

    try:
        ct = args.ct.resolve() if args.ct else data_folder() / "lits" / "lits003_ct.nii.gz"
    except InputError as error:
        print(f"skipped: {error}")
        return 0
    if not ct.exists():
        print(f"{ct}: no such CT.")
        return 2
    runs: dict[str, list[Run]] = {}
    rows = rows_of(ct, args.base and args.base.resolve())
    anatomy = next(row for row in rows if row.name == ANATOMY)
    if args.processor:
        os.environ["OMP_NUM_THREADS"] = "1"
        rows = [by_processor(row) for row in rows]
    for _ in range(args.rounds):
        for row in list(rows):
            try:
                runs.setdefault(row.name, []).append(timed(row))
            except RuntimeError as error:
                print(error)
                rows.remove(row)
    found = {name: middle(each) for name, each in runs.items() if each}
    print(f"{ct.name}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"OMP_NUM_THREADS {os.environ.get('OMP_NUM_THREADS', 'unset')}, {args.rounds} rounds, medians\n")
    print_table(found, "processor" if args.processor else "wall")
    work = None
    if args.work and ANATOMY in found:
        work = counted_work(anatomy.command, TREE)
        print("\noperations by stage, wall seconds of the row with anatomy")
        print("\n".join(work.lines(found[ANATOMY].stages)))
    if args.json:
        measured = {name: [asdict(run) for run in each] for name, each in runs.items()}
        said = {"ct": ct.name, "cores": os.cpu_count(), "rows": measured, "work": work and asdict(work)}
        args.json.write_text(json.dumps(said, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
