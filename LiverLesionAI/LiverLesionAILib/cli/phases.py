"""`--phase NAME=CT`: further contrast phases of the patient, by name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..case.classes import Phase
from ..support.errors import InputError, LiverLesionAIError
from ..support.progress import Progress

if TYPE_CHECKING:
    from ..case.phases import NamedPhases

NAMES = tuple(phase.value for phase in Phase)


def add_phase_options(parser: argparse.ArgumentParser) -> None:
    """Options of `analyze` for named phases."""
    known = ", ".join(NAMES)
    parser.add_argument(
        "--phase",
        action="append",
        default=[],
        metavar="NAME=CT",
        help=f"another contrast phase of the patient, once each: {known}",
    )
    parser.add_argument(
        "--phase-series",
        action="append",
        default=[],
        metavar="NAME=SERIES",
        help="as --series, for that phase",
    )
    parser.add_argument(
        "--phase-grid", action="append", default=[], metavar="NAME=GRID", help="as --grid, for that phase"
    )
    parser.add_argument("--ct-phase", choices=NAMES, help="phase of the CT itself (default: estimated)")


def read_phases(args: argparse.Namespace, progress: Progress) -> NamedPhases | None:
    """The phases that were named, read; None where none was.

    Raises:
        LiverLesionAIError: a name is unknown or comes twice, or an option has no CT.
        InputError: a phase cannot be read; the text says which.
    """
    from ..case.phases import NamedPhases
    from ..reading import read_ct

    places = _named("--phase", args.phase, "CT")
    series = _named("--phase-series", args.phase_series, "SERIES")
    grids = _named("--phase-grid", args.phase_grid, "GRID")
    for option, given in (("--phase-series", series), ("--phase-grid", grids)):
        for phase in given:
            if phase not in places:
                raise LiverLesionAIError(f"{option} {phase.value}=... needs --phase {phase.value}=CT.")
    for grid in grids.values():
        if grid not in ("sform", "qform"):
            raise LiverLesionAIError(f"--phase-grid {grid}: give sform or qform.")
    own = Phase.of(args.ct_phase)
    if own in places:
        raise LiverLesionAIError(
            f"The CT itself is the {own.title} one by --ct-phase; leave out that --phase."
        )
    if places and args.second_phase is not None:
        raise LiverLesionAIError(
            "--second-phase is the short form for one phase: name all by --phase instead."
        )
    if not places and own is None:
        return None
    read = []
    for phase, place in places.items():
        try:
            read.append((phase, read_ct(Path(place), series.get(phase), progress, grids.get(phase, ""))))
        except InputError as error:
            # The reader names the options of the first CT.
            said = str(error).replace("--series ", f"--phase-series {phase.value}=")
            said = said.replace("--grid ", f"--phase-grid {phase.value}=")
            raise InputError(f"Phase {phase.value}: {said}") from error
    return NamedPhases(own, tuple(read))


def _named(option: str, given: Sequence[str], what: str) -> dict[Phase, str]:
    found: dict[Phase, str] = {}
    for text in given:
        name, mark, value = text.partition("=")
        phase = Phase.of(name)
        if phase is None or not mark or not value:
            raise LiverLesionAIError(
                f"{option} {text}: give NAME={what} with a name out of {', '.join(NAMES)}."
            )
        if phase in found:
            raise LiverLesionAIError(f"{option} {name}: given twice.")
        found[phase] = value
    return found
