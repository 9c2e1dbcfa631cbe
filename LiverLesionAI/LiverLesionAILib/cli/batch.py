"""`liverlesionai batch`: many CTs, a case folder each."""

from __future__ import annotations

import argparse
import csv
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.errors import Cancelled, LiverLesionAIError, OutputError
from ..support.progress import TimedProgress, part
from .analyze import Job, add_analysis_options, analyse_into
from .batch_plan import BatchCase, batch_inputs, plan_batch, write_index
from .progress_bar import ProgressBar
from .tools import EXIT_ERROR

if TYPE_CHECKING:
    from .tools import Commands

SUMMARY_FILE = "summary.csv"
COLUMNS = (
    "case", "status", "lesions", "tumour burden (%)", "liver volume (mL)", "seconds", "message", "input",
)  # fmt: skip


def add_batch_command(commands: Commands) -> None:
    """The parser of `batch`."""
    batch = commands.add_parser("batch", help="analyse every CT in a folder, one case folder each")
    batch.add_argument("folder", type=Path, help="folder with image files, or with one folder of DICOM each")
    batch.add_argument("--out", type=Path, required=True, help="folder for the case folders and summary.csv")
    batch.add_argument("--again", action="store_true", help="also those whose case folder is there already")
    add_analysis_options(batch)
    batch.set_defaults(run=run_batch)


def run_batch(args: argparse.Namespace) -> int:
    """Many CTs; one that fails is reported and does not stop the others. Exit status 1 if any failed."""
    from ..reading.dicom_pixels import kept_decoder
    from ..writing.case_folder import check_target

    job = Job.of(args)
    inputs = batch_inputs(args.folder)
    # A folder that cannot be written to is found out now, not after the first analysis.
    check_target(args.out / "case")
    cases = plan_batch(args.folder, inputs, args.out, args.again)
    rows: list[dict[str, str]] = []
    said: dict[str, None] = {}
    with kept_decoder():
        for number, case in enumerate(cases, start=1):
            row = {"case": case.name, "input": case.path.name}
            rows.append(row)
            before = f"{number}/{len(cases)} {case.name}:"
            if case.problem:
                row |= {"status": "failed", "message": case.problem}
                print(before, case.problem)
            elif case.kept:
                row |= {"status": "kept"}
                print(before, "there already, left as it is (--again analyses it anew)")
            else:
                try:
                    row |= _analysed(job, case, said)
                    print(before, row.pop("line"))
                except (KeyboardInterrupt, Cancelled):
                    row |= {"status": "cancelled"}
                    _note(args, rows, [])
                    raise
                except Exception as error:
                    row |= {"status": "failed", "message": _why(error)}
                    print(before, row["message"])
            _note(args, rows, [case] if row["status"] == "done" else [])
    # What could not be written here is the same for every case.
    for sentence in said:
        print(sentence)
    failed = [row for row in rows if row["status"] == "failed"]
    write_summary(args.out, rows)
    print(f"{len(rows) - len(failed)} of {len(rows)} analysed; summary in {args.out / SUMMARY_FILE}")
    for row in failed:
        print(f"  failed: {row['case']}: {row['message']}")
    return EXIT_ERROR if failed else 0


def _analysed(job: Job, case: BatchCase, said: dict[str, None]) -> dict[str, str]:
    """Analyse a case and write its folder; its cells of the summary, and the line to print."""
    from ..reading import read_ct

    bar = ProgressBar()
    progress = TimedProgress(bar)
    started = time.perf_counter()
    try:
        volume = read_ct(case.path, None, part(progress, 0.0, 0.1))
        result, _, notes, _ = analyse_into(job, volume, case.folder, progress)
    finally:
        bar.done()
    said.update(dict.fromkeys(notes))
    seconds = time.perf_counter() - started
    return {
        "status": "done",
        "lesions": str(len(result.lesions)),
        "tumour burden (%)": f"{result.tumour_burden_percent:.2f}",
        "liver volume (mL)": f"{result.liver_volume_ml:.0f}",
        "seconds": f"{seconds:.1f}",
        "message": " ".join((*volume.notes, *result.messages)),
        "line": f"{len(result.lesions)} lesions, liver {result.liver_volume_ml:.0f} mL, "
        f"burden {result.tumour_burden_percent:.1f} %, {seconds:.0f} s",
    }


def _why(error: Exception) -> str:
    if isinstance(error, LiverLesionAIError):
        return str(error)
    if isinstance(error, MemoryError):
        return "The memory ran out. Close other programs or crop the CT."
    return f"The analysis failed ({type(error).__name__}: {error}). Please report it with the file's format."


def _note(args: argparse.Namespace, rows: list[dict[str, str]], done: list[BatchCase]) -> None:
    """What is done so far, so that a run that ends early leaves it; nothing here stops the batch."""
    try:
        if done:
            write_index(args.out, args.folder, done)
        write_summary(args.out, rows)
    except OutputError as error:
        print(error)


def write_summary(out: Path, rows: list[dict[str, str]]) -> None:
    """``summary.csv``, a line per input.

    Raises:
        OutputError: no space or no permission.
    """
    from ..support.files import write_text
    from ..support.text import printable
    from ..writing.tables import formula_guarded

    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for row in rows:
        writer.writerow({key: formula_guarded(printable(value)) for key, value in row.items()})
    write_text(out / SUMMARY_FILE, buffer.getvalue())
