"""The command line: the product's commands, and the tools that are installed beside it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..support.errors import Cancelled, LiverLesionAIError
from ..support.interrupts import as_keyboard_interrupt
from ..support.text import printable_streams
from ..support.threads import let_threads_sleep
from .analyze import add_analyze_command
from .batch import add_batch_command
from .demo import add_demo_command
from .export import add_export_command
from .import_case import add_import_command
from .info import add_info_command
from .rules import add_rules_command
from .tools import EXIT_CANCELLED, EXIT_ERROR, tools


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="liverlesionai",
        description="Liver lesions in CT: masks, measurements, attention maps. Research use.",
    )
    parser.add_argument("--version", action="version", version=f"liverlesionai {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)

    add_analyze_command(commands)
    add_batch_command(commands)
    add_demo_command(commands)
    add_export_command(commands)
    add_import_command(commands)
    add_info_command(commands)
    add_rules_command(commands)
    for name, point in tools().items():
        commands.add_parser(name, help=point.load().help, add_help=False)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; errors meant for the reader are printed as one line, without a traceback.

    Returns:
        0 done, 1 failed with a message, 2 wrong usage (from argparse), 130 cancelled.
    """
    let_threads_sleep()
    printable_streams()
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with as_keyboard_interrupt():
            if arguments and (point := tools().get(arguments[0])) is not None:
                return point.load().run(arguments[0], arguments[1:])
            args = build_parser().parse_args(arguments)
            return args.run(args)
    except (KeyboardInterrupt, Cancelled):
        print("\nCancelled; nothing was kept.", file=sys.stderr)
        return EXIT_CANCELLED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_ERROR
    except LiverLesionAIError as error:
        print(f"liverlesionai: {error}", file=sys.stderr)
        return EXIT_ERROR
    except MemoryError:
        print("liverlesionai: the memory ran out. Close other programs or crop the CT.", file=sys.stderr)
        return EXIT_ERROR
    except (OSError, json.JSONDecodeError) as error:
        print(f"liverlesionai: {error}. Check the disk and the permissions.", file=sys.stderr)
        return EXIT_ERROR


if __name__ == "__main__":
    sys.exit(main())
