"""`--phase NAME=CT`: further contrast phases of the patient, by name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..case.classes import Phase
from ..case.phases import NamedPhases, hinted
from ..support.errors import InputError, LiverLesionAIError
from ..support.progress import Progress

if TYPE_CHECKING:
    from ..reading import SeriesInfo
    from ..volume.ct import CtVolume

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
    parser.add_argument(
        "--study-phases",
        action="store_true",
        help="further contrast phases are the other abdominal series of the DICOM folder; which is which is "
        "taken from their descriptions, else from the images",
    )
    parser.add_argument("--ct-phase", choices=NAMES, help="phase of the CT itself (default: estimated)")


def read_phases(args: argparse.Namespace, progress: Progress) -> NamedPhases | None:
    """The phases that were named, read; None where none was.

    Raises:
        LiverLesionAIError: a name is unknown or comes twice, or an option has no CT.
        InputError: a phase cannot be read; the text says which.
    """
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
    if args.study_phases:
        if places or args.second_phase is not None:
            raise LiverLesionAIError("--study-phases finds the phases itself: leave out --phase.")
        return study_phases(args.ct, args.series, own, progress)
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


MOST_STUDY_PHASES = 3


def study_phases(place: Path, series: str | None, own: Phase | None, progress: Progress) -> NamedPhases:
    """Further phases out of a DICOM folder: its other abdominal series, told by their descriptions.

    What a description calls it is held against the image later, and a contradiction told. Series of the same
    hinted phase, and more than three, are left out.

    Raises:
        InputError: the folder holds no other abdominal series, or one cannot be read.
    """
    from ..reading import list_series, read_ct

    listed = [s for s in list_series(place, progress) if not s.refused and s.axial and s.covers_abdomen]
    chosen = _analysed(listed, series)
    others = [s for s in listed if s.uid != chosen.uid or s.key != chosen.key]
    own = own or hinted(f"{chosen.description} {chosen.detail}")
    taken: set[Phase] = set() if own is None else {own}
    read: list[tuple[Phase | None, CtVolume]] = []
    for one in others:
        phase = hinted(f"{one.description} {one.detail}")
        if phase in taken or one.extent_mm < 0.6 * chosen.extent_mm or len(read) == MOST_STUDY_PHASES:
            continue
        if phase is not None:
            taken.add(phase)
        read.append((phase, read_ct(place, one.key, progress)))
    if not read:
        raise InputError(f"{place}: no other abdominal series that could be another contrast phase.")
    return NamedPhases(own, tuple(read))


def _analysed(listed: Sequence[SeriesInfo], series: str | None) -> SeriesInfo:
    """The series that is analysed: the first, or the one that `--series` names."""
    if not listed:
        raise InputError("--study-phases needs a DICOM folder with abdominal series.")
    if series is None:
        return listed[0]
    wanted = series.strip().lower()
    for fits in (
        lambda s: s.key == series.strip() or str(s.number) == wanted.lstrip("#") or s.uid == series,
        lambda s: wanted in s.description.lower(),
    ):
        found = next((s for s in listed if fits(s)), None)
        if found is not None:
            return found
    raise InputError(f"--series {series}: no abdominal series of the folder fits.")


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
