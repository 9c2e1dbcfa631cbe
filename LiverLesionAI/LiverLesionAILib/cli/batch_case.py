"""One case of a batch: read, analysed, compared, written; its line in the summary."""

from __future__ import annotations

import argparse
import math
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..case.messages import leads
from ..case.wording import lesions_text, messages, percent_text
from ..support.errors import InputError, LiverLesionAIError
from ..support.progress import Progress, part, silent
from .analyze import analyse_into, with_remarks
from .batch_plan import BatchCase
from .job import Job
from .prior import Priors, add_prior_options, read_priors

if TYPE_CHECKING:
    from ..case.findings import CaseResult

Row = dict[str, str]
"""Column of the summary -> cell."""


def analyse_case(job: Job, case: BatchCase, said: dict[str, None], progress: Progress = silent) -> Row:
    """Analyse a case and write its folder; its cells of the summary, and the ``line`` to print.

    Args:
        said: sentences that are the same for every case are added as keys.

    Raises:
        LiverLesionAIError, MemoryError: as reading, analysing and writing do.
    """
    from ..case.anatomy import segments_line
    from ..reading import read_ct

    started = time.perf_counter()
    request = case.request
    volume = read_ct(case.path, request.series or None, part(progress, 0.0, 0.1), request.grid)
    second = None
    if request.second_phase is not None:
        try:
            second = read_ct(
                request.second_phase,
                request.second_series or None,
                part(progress, 0.1, 0.1),
                request.second_grid,
            )
        except InputError as error:
            raise InputError(f"Second phase: {_in_columns(str(error), 'second ')}") from error
        volume = with_remarks(volume, second)
    priors = _priors(case, part(progress, 0.1, 0.1))
    result, _, notes, _ = analyse_into(job, volume, case.folder, progress, second, priors)
    if priors is None:
        said.update(dict.fromkeys(notes))
    seconds = time.perf_counter() - started
    return {
        "status": "done",
        "lesions": str(len(result.lesions)),
        "tumour burden (%)": f"{result.tumour_burden_percent:.2f}",
        "liver volume (mL)": f"{result.liver_volume_ml:.0f}",
        "seconds": f"{seconds:.1f}",
        "message": " ".join((*volume.notes, *messages(result), *_left_blank(result))),
        "segments": segments_line((one.number, one.anatomy) for one in result.lesions),
        "line": _line(result, seconds),
    }


def _line(result: CaseResult, seconds: float) -> str:
    """A case in a line for the terminal, with what stands before all findings."""
    liver = f"liver {result.liver_volume_ml:.0f} mL"
    burden = f", burden {percent_text(result.tumour_burden_percent)}" if result.lesions else ""
    warnings = "".join(f" Warning: {one}" for one in messages(result) if leads(one))
    return (
        f"{lesions_text(len(result.lesions))}, {liver}{burden}, {seconds:.0f} s{warnings and '.'}{warnings}"
    )


def _left_blank(result: CaseResult) -> tuple[str, ...]:
    """What is not said of segments and vessels, and why."""
    return () if result.anatomy is None else result.anatomy.messages


def _priors(case: BatchCase, progress: Progress) -> Priors | None:
    parser = argparse.ArgumentParser()
    add_prior_options(parser)
    return read_priors(parser.parse_args([f"--prior={prior}" for prior in case.priors]), progress)


def failed_row(error: BaseException) -> Row:
    """The cells of a case that could not be analysed."""
    return {"status": "failed", "message": _why(error)}


def _why(error: BaseException) -> str:
    if isinstance(error, LiverLesionAIError):
        return _in_columns(str(error))
    if isinstance(error, MemoryError):
        return "The memory ran out. Close other programs or crop the CT."
    return f"The analysis failed ({type(error).__name__}: {error}). Please report it with the file's format."


def _in_columns(text: str, of: str = "") -> str:
    """Advice to give an option of `analyze`, as the column of a table that a batch has in its place."""
    named = re.sub(r"--(series|grid)( [\w.]+)?", rf"column '{of}\1'\2", text)
    return named if named == text else f"{named} (Columns of a CSV given to `batch`.)"


def gigabytes(case: BatchCase) -> float:
    """What its analysis may need of the main memory, 1e9 bytes, judged by the size of the scan.

    Measured are 1.0 to 1.7 GB for 50 to 200 slices of 512 x 512 and 3.1 at most for 2000 (EVIDENCE, "Speed
    and memory"): two lines above all of them.
    """
    from ..reading.image_files import is_image_file, read_header

    voxels = 0.0
    # What cannot be read will be refused soon.
    with suppress(OSError, LiverLesionAIError, ValueError):
        if case.path.is_dir():
            voxels = sum(1 for path in case.path.rglob("*") if path.is_file()) * 512.0 * 512.0
        elif is_image_file(case.path):
            voxels = float(math.prod(read_header(case.path).sizes[:3]))
    return min(1.0 + 16e-9 * voxels, 1.6 + 3.2e-9 * voxels)
