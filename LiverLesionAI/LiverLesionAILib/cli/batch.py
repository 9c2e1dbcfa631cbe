"""`liverlesionai batch`: many CTs, a case folder each."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.errors import Cancelled, InputError, OutputError
from .batch_array import array_script
from .batch_case import Row, analyse_case, failed_row
from .batch_cluster import Cluster, add_cluster_options, checked_address, connect
from .batch_inputs import requests_of
from .batch_plan import BatchCase, plan_batch, write_index
from .batch_pool import Pool, Turn
from .batch_worker import options_json
from .job import Job, add_analysis_options
from .progress_bar import CommandProgress, progress_of
from .tools import EXIT_ERROR

if TYPE_CHECKING:
    from .tools import Commands


def add_batch_command(commands: Commands) -> None:
    """The parser of `batch`."""
    batch = commands.add_parser("batch", help="analyse many CTs, one case folder each")
    batch.add_argument(
        "inputs",
        type=Path,
        nargs="+",
        metavar="INPUT",
        help="folder with image files or with folders of DICOM (one or more studies each); image file; "
        "pattern such as 'scans/*.nii.gz'; CSV with the columns ct, name, series, second phase, priors",
    )
    batch.add_argument("--out", type=Path, required=True, help="folder for the case folders and summary.csv")
    batch.add_argument("--again", action="store_true", help="also those whose case folder is there already")
    batch.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="analyse so many at once, each in a process of its own, as far as the memory goes (default: 1)",
    )
    batch.add_argument(
        "--array",
        type=int,
        metavar="N",
        help="analyse nothing, print a SLURM job array of N tasks that does",
    )
    batch.add_argument("--share", metavar="K/N", default="", help="only every N-th CT from the K-th on")
    add_cluster_options(batch)
    add_analysis_options(batch)
    kept = "cases that were done are kept, and the same command goes on from there"
    batch.set_defaults(run=run_batch, when_cancelled=kept)


def run_batch(args: argparse.Namespace) -> int:
    """Many CTs; one that fails is reported and does not stop the others. Exit status 1 if any failed."""
    from ..writing.case_folder import check_target

    if args.jobs < 1:
        raise InputError(f"--jobs {args.jobs}: give 1 or more.")
    if args.scheduler:
        checked_address(args.scheduler)
        if args.jobs > 1 or args.array is not None:
            raise InputError(
                "--scheduler: how many run at once is the cluster's; leave --jobs and --array out."
            )
    if args.array is not None:
        print(array_script(args))
        return 0
    job = Job.of(args)
    requests = requests_of(args.inputs)
    # A folder that cannot be written to is found out now, not after the first analysis.
    check_target(args.out / "case")
    base = args.inputs[0] if len(args.inputs) == 1 and args.inputs[0].is_dir() else None
    cases = plan_batch(requests, base, args.out, args.again, _share(args.share))
    return Batch(args, base, cases).run(job)


def _share(text: str) -> slice:
    """The part of the cases that one task of a job array has to do: "2/8"."""
    if not text:
        return slice(None)
    try:
        number, count = (int(word) for word in text.split("/"))
    except ValueError:
        number = count = 0
    if not 1 <= number <= count:
        raise InputError(f"--share {text}: write K/N, such as 2/8.")
    return slice(number - 1, None, count)


class Batch:
    """One run: what has become of every case so far, said, noted and counted."""

    def __init__(self, args: argparse.Namespace, base: Path | None, cases: list[BatchCase]) -> None:
        self._args, self._base, self._cases = args, base, cases
        self._rows: dict[str, Row] = {}
        self._said: dict[str, None] = {}
        self._progress: CommandProgress = progress_of(args)
        self._start_s = time.monotonic()
        self._done = self._todo = 0
        self._busy: Sequence[Turn] = ()

    def run(self, job: Job) -> int:
        """Analyse what is to do; the exit status."""
        for case in self._cases:
            if case.problem:
                self._ended(case, {"status": "failed", "message": case.problem})
            elif case.kept:
                kept = "there already, left as it is (--again analyses it anew)"
                from ..writing.summary import counts_of

                self._ended(case, {"status": "kept", **counts_of(case.folder), "line": kept})
        self._note([])
        todo = [case for case in self._cases if case.name not in self._rows]
        self._done, self._todo = 0, len(todo)
        try:
            if self._args.jobs == 1 and not self._args.scheduler:
                self._run_here(job, todo)
            elif todo:
                self._run_elsewhere(todo)
        except (KeyboardInterrupt, Cancelled):
            for turn in self._busy:
                self._rows[turn.case.name] = self._row(turn.case, {"status": "cancelled"})
            self._note([])
            raise
        finally:
            self._progress.done()
        return self._conclude()

    def _run_here(self, job: Job, todo: Sequence[BatchCase]) -> None:
        from ..reading.dicom_pixels import kept_decoder

        with kept_decoder():
            for case in todo:
                turn = Turn(case, 0.0)
                self._busy = [turn]

                def progress(stage: str, fraction: float, turn: Turn = turn) -> None:
                    turn.stage, turn.fraction = stage, fraction
                    self._moved([turn])

                try:
                    row = analyse_case(job, case, self._said, progress)
                except (KeyboardInterrupt, Cancelled):
                    raise
                except Exception as error:
                    row = failed_row(error)
                self._ended(case, row)

    def _run_elsewhere(self, todo: Sequence[BatchCase]) -> None:
        """In processes of this machine, or on a cluster."""
        from ..models.computer import host_memory_gb

        def ended(case: BatchCase, row: Row, said: list[str]) -> None:
            self._said.update(dict.fromkeys(said))
            self._ended(case, row)

        options = options_json(self._args)
        runner: Pool | Cluster
        if self._args.scheduler:
            runner = Cluster(connect(self._args), options)
        else:
            runner = Pool(self._args.jobs, options, host_memory_gb()[0])
        runner.run(todo, ended, self._moved)

    def _moved(self, busy: Sequence[Turn]) -> None:
        """Report cases, rate, time left."""
        self._busy = busy
        seconds = time.monotonic() - self._start_s
        share = (self._done + sum(turn.fraction for turn in busy)) / max(1, self._todo)
        left = seconds * (1 - share) / share if share > 0.02 and seconds > 0.5 else None
        rate = f", {3600 * self._done / seconds:.0f} an hour" if self._done else ""
        stage = f"; {busy[0].case.name}: {busy[0].stage}" if busy else ""
        self._progress(f"{self._done} of {self._todo} cases{rate}{stage}", share, left)

    def _ended(self, case: BatchCase, row: Row) -> None:
        self._done += 1
        self._busy = [turn for turn in self._busy if turn.case is not case]
        self._progress.done()
        line = row.pop("line", "") or row.get("message", "")
        self._rows[case.name] = self._row(case, row)
        print(f"{len(self._rows)}/{len(self._cases)} {case.name}: {line}", flush=True)
        self._progress.event("case", **self._rows[case.name])
        if row["status"] == "done" or self._todo:
            self._note([case] if row["status"] == "done" else [])

    def _row(self, case: BatchCase, row: Row) -> Row:
        return {"case": case.name, "input": case.path.name, **row}

    def _note(self, done: list[BatchCase]) -> None:
        """What is done so far, so that a run that ends early leaves it; nothing here stops the batch."""
        try:
            if done:
                write_index(self._args.out, self._base, done, self._args.share)
            from ..writing.summary import write_summary

            write_summary(self._args.out, self._in_order(), self._args.share)
        except OutputError as error:
            print(error)

    def _in_order(self) -> list[Row]:
        return [self._rows[case.name] for case in self._cases if case.name in self._rows]

    def _conclude(self) -> int:
        # What could not be written here is the same for every case.
        for sentence in self._said:
            print(sentence)
        rows = self._in_order()
        failed = [row for row in rows if row["status"] == "failed"]
        from ..writing.summary import write_parquet_summary, write_summary

        path = write_summary(self._args.out, rows, self._args.share)
        if not write_parquet_summary(self._args.out, rows, self._args.share):
            print('No summary.parquet: it needs pyarrow (pip install "liverlesionai[cohort]").')
        print(f"{len(rows) - len(failed)} of {len(rows)} analysed; summary in {path}")
        for row in failed:
            print(f"  failed: {row['case']}: {row['message']}")
        return EXIT_ERROR if failed else 0
