"""The command line: the product's commands, and the tools that are installed beside it."""

from __future__ import annotations

import argparse
import atexit
import json
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from .. import __version__
from ..support.errors import Cancelled, LiverLesionAIError
from ..support.interrupts import as_keyboard_interrupt
from ..support.memory import keep_freed_memory
from ..support.text import printable_streams
from ..support.threads import LOADING, have_ended, let_threads_sleep
from .analyze import add_analyze_command
from .batch import add_batch_command
from .cohort import add_cohort_command
from .demo import add_demo_command
from .export import add_export_command
from .import_case import add_import_command
from .info import add_info_command
from .labels import add_labels_command
from .lirads import add_lirads_command
from .progress_bar import progress_of
from .remnant import add_remnant_command
from .rules import add_rules_command
from .support import add_support_command
from .tools import EXIT_CANCELLED, EXIT_ERROR, tools

LOADING_S = 20.0
"""After a cancel, Slicer's classes are given so long to finish loading; it takes seconds."""


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="liverlesionai",
        description="Liver lesions in CT: masks, measurements, attention maps. Research use.",
        epilog="Exit status: 0 done; 1 failed, after a message (batch: one case or more failed); 2 wrong "
        "usage; 130 cancelled.",
    )
    parser.add_argument("--version", action="version", version=f"liverlesionai {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    add_analyze_command(commands)
    add_batch_command(commands)
    add_cohort_command(commands)
    add_demo_command(commands)
    add_export_command(commands)
    add_import_command(commands)
    add_info_command(commands)
    add_labels_command(commands)
    add_lirads_command(commands)
    add_remnant_command(commands)
    add_rules_command(commands)
    add_support_command(commands)
    for name, point in tools().items():
        commands.add_parser(name, help=point.load().help, add_help=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; errors meant for the reader are printed as one line, without a traceback.

    Returns:
        0 done, 1 failed with a message, 2 wrong usage (from argparse), 130 cancelled.
    """
    let_threads_sleep()
    keep_freed_memory()
    printable_streams()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    args = argparse.Namespace()
    try:
        with as_keyboard_interrupt():
            if arguments and (point := tools().get(arguments[0])) is not None:
                return point.load().run(arguments[0], arguments[1:])
            build_parser().parse_args(arguments, args)
            status = args.run(args)
            if _speaks_json(args):
                progress_of(args).event("done", exit_code=status)
            return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except (KeyboardInterrupt, Cancelled) as error:
        left = getattr(args, "when_cancelled", "nothing was kept")
        return _left(_ended(args, error, f"\nCancelled; {left}.", EXIT_CANCELLED))
    except LiverLesionAIError as error:
        return _ended(args, error, f"liverlesionai: {error}", EXIT_ERROR)
    except MemoryError as error:
        text = "liverlesionai: the memory ran out. Close other programs or crop the CT."
        return _ended(args, error, text, EXIT_ERROR)
    except (OSError, json.JSONDecodeError) as error:
        text = f"liverlesionai: {error}. Check the disk and the permissions."
        return _ended(args, error, text, EXIT_ERROR)


def _left(status: int) -> int:
    """The status of a cancelled command; does not come back where the interpreter could not end."""
    if not have_ended(LOADING, LOADING_S):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _speaks_json(args: argparse.Namespace) -> bool:
    return getattr(args, "progress", "") == "json"


def _ended(args: argparse.Namespace, error: BaseException, text: str, status: int) -> int:
    """Say why it ended, to a person or a program; the exit status."""
    if _speaks_json(args):
        message = text.strip().removeprefix("liverlesionai: ")
        progress_of(args).event("failed", exit_code=status, error=type(error).__name__, message=message)
    else:
        print(text, file=sys.stderr)
    return status


def command() -> NoReturn:
    """The command in a process of its own, which ends when it is done.

    Nothing is left that the interpreter would have to tidy up: it would take half a second to give memory
    back piece by piece, and wait for libraries that load ahead of a work that was refused.
    """
    status = main()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon and thread.name != LOADING:
            thread.join()
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    command()
