"""A job script for a cluster: the same batch, shared out among the tasks of a SLURM job array."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from ..support.errors import InputError
from .job import add_analysis_options

SCRIPT = """#!/bin/sh
# Send it with: sbatch THIS_FILE. Each task does its share, and keeps what is there already when sent again.
# Then the same command without --share makes one summary, and analyses what failed once more.
#SBATCH --job-name=liverlesionai
#SBATCH --array=1-{tasks}
#SBATCH --cpus-per-task={cores}
#SBATCH --mem={memory}G
#SBATCH --time=24:00:00
exec {command} --share "$SLURM_ARRAY_TASK_ID/{tasks}"
"""
CORES, MEMORY_GB = 4, 8


def array_script(args: argparse.Namespace) -> str:
    """The script for the options given.

    Raises:
        InputError: fewer tasks than one.
    """
    if args.array < 1:
        raise InputError(f"--array {args.array}: give 1 or more tasks.")
    words = [sys.executable, "-m", "LiverLesionAILib.cli.main", "batch"]
    # A pattern is resolved by the task, not by the shell: it is quoted.
    words += [os.path.abspath(path) for path in args.inputs]  # noqa: PTH100
    words += ["--out", os.path.abspath(args.out), "--jobs", str(args.jobs)]  # noqa: PTH100
    if args.again:
        words.append("--again")
    words += analysis_words(args)
    command = " ".join(shlex.quote(word) for word in words)
    return SCRIPT.format(tasks=args.array, cores=CORES, memory=MEMORY_GB, command=command)


def analysis_words(args: argparse.Namespace) -> list[str]:
    """The options of the analysis that differ from their defaults, as words of a command line."""
    parser = argparse.ArgumentParser(add_help=False)
    add_analysis_options(parser)
    words = []
    for action in parser._actions:
        value = getattr(args, action.dest)
        if value == action.default:
            continue
        if isinstance(value, bool):
            words.append(action.option_strings[0 if value else -1])
        else:
            option = action.option_strings[0]
            words.append(f"{option}={os.path.abspath(value) if isinstance(value, Path) else value}")  # noqa: PTH100
    return words
