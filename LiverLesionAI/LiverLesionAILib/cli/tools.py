"""Commands that are installed beside the product, such as those of the laboratory."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from ..support.progress import TimedProgress
from .progress_bar import ProgressBar

EXIT_ERROR, EXIT_CANCELLED = 1, 130

GROUP = "liverlesionai.commands"
"""Entry-point group; each of its entries is a `Tool` by the command's name."""

Commands = argparse._SubParsersAction
"""Where a command adds its parser."""


@dataclass(frozen=True)
class Tool:
    """A command with a parser of its own, whose libraries are loaded when it is called.

    Attributes:
        help: one line for the list of commands.
        load: returns (adds its options to a parser, runs it with the parsed options and progress).
    """

    help: str
    load: Callable[[], tuple[Callable[[argparse.ArgumentParser], None], Callable[..., int]]]

    def run(self, name: str, rest: Sequence[str]) -> int:
        """Parse the options and run, with a progress bar; the exit status."""
        add, run = self.load()
        parser = argparse.ArgumentParser(prog=f"liverlesionai {name}")
        add(parser)
        args = parser.parse_args(rest)
        bar = ProgressBar()
        try:
            return run(args, progress=TimedProgress(bar))
        finally:
            bar.done()


def tools() -> dict[str, EntryPoint]:
    """The commands that are installed, by name, not yet loaded."""
    return {point.name: point for point in entry_points(group=GROUP)}
