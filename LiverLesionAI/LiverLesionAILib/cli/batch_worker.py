"""A process that analyses cases of a batch, one after the other, asked and answering by its pipes.

A JSON object a line. In, first the options of the batch, then a case each; out ``{"stage", "fraction"}``
while a case is worked on, and ``{"row", "said", "memory"}`` at its end. The end of its input ends it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from ..support.errors import Cancelled
from ..support.interrupts import as_keyboard_interrupt
from ..support.memory import keep_freed_memory
from ..support.progress import Progress
from ..support.threads import let_threads_sleep
from .batch_case import Row, analyse_case, failed_row
from .batch_inputs import Request
from .batch_plan import BatchCase
from .job import Job, add_analysis_options

Analyse = Callable[[BatchCase, dict[str, None], Progress], Row]
EVERY_S = 0.2


def case_json(case: BatchCase) -> dict[str, Any]:
    """A case in plain types; the way back is :func:`case_of`."""
    second = case.request.second_phase
    return {
        "path": str(case.path),
        "name": case.name,
        "folder": str(case.folder),
        "series": case.request.series,
        "grid": case.request.grid,
        "second_series": case.request.second_series,
        "second_grid": case.request.second_grid,
        "second_phase": None if second is None else str(second),
        "priors": [str(prior) for prior in case.priors],
    }


def case_of(data: dict[str, Any]) -> BatchCase:
    """From :func:`case_json`."""
    second = data["second_phase"]
    path, priors = Path(data["path"]), tuple(map(Path, data["priors"]))
    request = Request(
        path,
        data["name"],
        data["series"],
        None if second is None else Path(second),
        grid=data["grid"],
        second_series=data["second_series"],
        second_grid=data["second_grid"],
    )
    return BatchCase(path, data["name"], Path(data["folder"]), "", request, priors)


def options_json(args: argparse.Namespace) -> dict[str, Any]:
    """The options of the analysis in plain types; the way back is :func:`options_of`."""
    plain = argparse.ArgumentParser()
    add_analysis_options(plain)
    given = {name: getattr(args, name) for name in vars(plain.parse_args([]))}
    return {name: str(value) if isinstance(value, Path) else value for name, value in given.items()}


def options_of(data: dict[str, Any]) -> argparse.Namespace:
    """From :func:`options_json`."""
    like = data.get("like")
    return argparse.Namespace(**{**data, "like": None if like is None else Path(like)})


def serve(begin: Callable[[dict[str, Any]], Analyse]) -> int:
    """Answer until the input ends.

    Args:
        begin: from the options to what analyses a case.
    """
    # Whatever a library prints goes beside the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answer_cases(os.fdopen(os.dup(0), encoding="utf-8"), answers, begin)


def answer_cases(lines: TextIO, answers: TextIO, begin: Callable[[dict[str, Any]], Analyse]) -> int:
    """Answer the cases of one stream in the other; the exit status: 1 where it was ended in between."""
    try:
        with as_keyboard_interrupt():
            analyse = begin(json.loads(lines.readline()))
            for line in lines:
                _answer(case_of(json.loads(line)), analyse, answers)
    except (KeyboardInterrupt, Cancelled, BrokenPipeError, ValueError):
        # The batch was ended, or nobody listens any more: what was begun is cleared.
        return 1
    return 0


def _answer(case: BatchCase, analyse: Analyse, answers: TextIO) -> None:
    said: dict[str, None] = {}
    last_s = 0.0

    def progress(stage: str, fraction: float) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= EVERY_S:
            last_s = time.monotonic()
            _send(answers, {"stage": stage, "fraction": fraction})

    memory = False
    try:
        row = analyse(case, said, progress)
    except (KeyboardInterrupt, Cancelled, BrokenPipeError):
        raise
    except Exception as error:
        row, memory = failed_row(error), isinstance(error, MemoryError)
    _send(answers, {"row": row, "said": list(said), "memory": memory})


def _send(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def start(options: dict[str, Any]) -> Analyse:
    """What analyses a case with the product's networks."""
    job = Job.of(options_of(options))
    return lambda case, said, progress: analyse_case(job, case, said, progress)


def main() -> int:
    """Serve with the product's networks."""
    from ..reading.dicom_pixels import kept_decoder

    let_threads_sleep()
    keep_freed_memory()
    with kept_decoder():
        return serve(start)


if __name__ == "__main__":
    sys.exit(main())
