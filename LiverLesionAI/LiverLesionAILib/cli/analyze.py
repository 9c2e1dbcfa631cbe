"""`liverlesionai analyze`: one CT to one case folder."""

from __future__ import annotations

import argparse
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.errors import InputError, LiverLesionAIError
from ..support.progress import Progress, TimedProgress, part
from ..support.text import file_name, path_text
from ..support.threads import load_ahead
from ..volume.reading_messages import FURTHER_PHASE, SECOND_PHASE, TAKEN, of_phase
from .attention_page import AttentionWanted, add_attention_options, attention_files, attention_wanted
from .export import add_export_while_analysing, export_wanted, print_exported
from .job import Job, add_analysis_options
from .phases import add_phase_options, read_phases
from .prior import Priors, add_prior_options, compare_with_priors, read_priors
from .progress_bar import progress_of

if TYPE_CHECKING:
    from ..case.findings import CaseResult
    from ..case.phases import NamedPhases
    from ..volume.ct import CtVolume
    from ..writing.export import Export
    from .tools import Commands


def add_analyze_command(commands: Commands) -> None:
    """The parser of `analyze`."""
    analyze = commands.add_parser("analyze", help="analyse one CT: a NIfTI, NRRD, MHA file or a DICOM folder")
    analyze.add_argument("ct", type=Path, help="file or folder")
    analyze.add_argument(
        "--series",
        help="DICOM series: number, UID or part of its description; of a file with several volumes, one's "
        "number",
    )
    analyze.add_argument(
        "--grid",
        default="",
        choices=["sform", "qform"],
        help="which to take where a NIfTI file's two contradict each other",
    )
    analyze.add_argument(
        "--out", type=Path, help="case folder (default: NAME_liverlesionai in the current folder)"
    )
    analyze.add_argument(
        "--second-phase",
        type=Path,
        metavar="CT",
        help="another contrast phase of the patient; used with the first for the lesions' classes",
    )
    analyze.add_argument("--second-series", help="as --series, for the second phase")
    analyze.add_argument(
        "--second-grid", default="", choices=["sform", "qform"], help="as --grid, for the second phase"
    )
    add_phase_options(analyze)
    add_analysis_options(analyze)
    add_prior_options(analyze)
    add_attention_options(analyze)
    add_export_while_analysing(analyze)
    analyze.set_defaults(run=run_analyze)


def analyse_into(
    job: Job,
    volume: CtVolume,
    folder: Path,
    progress: Progress,
    second_phase: CtVolume | None = None,
    priors: Priors | None = None,
    phases: NamedPhases | None = None,
    attention: AttentionWanted | None = None,
) -> tuple[CaseResult, dict[str, Path], list[str], dict[str, float]]:
    """Analyse a volume and write its case folder; returns (result, written, sentences to show, seconds).

    Args:
        priors: earlier cases to compare with.
        phases: named phases of the patient.
        attention: what is asked for besides the findings.
    """
    from ..analysis.anatomy import anatomy_networks, with_anatomy
    from ..analysis.pipeline import analyze
    from ..writing.case_folder import prepare_scene, write_case_folder

    said: list[str] = []
    spans = _spans(job.anatomy, priors is not None, attention is not None)
    # The CT is compressed for the scene while the networks compute.
    with prepare_scene(volume) if job.scene else nullcontext() as ahead:
        result = analyze(
            volume,
            job.settings,
            job.models,
            part(progress, *spans["analysis"]),
            second_phase,
            job.rules,
            phases,
        )
        if job.anatomy:
            within = part(progress, *spans["anatomy"])
            result = with_anatomy(result, volume, job.rules_used(), within, *anatomy_networks(job.models))
        started = time.perf_counter()
        texts: dict[str, str | bytes] = {}
        if priors is not None:
            within = part(progress, *spans["earlier"])
            texts.update(compare_with_priors(priors, result, volume, said.append, within))
        if attention is not None:
            within = part(progress, *spans["attention"])
            texts.update(attention_files(attention, job, result, volume, said.append, within))
        written = write_case_folder(
            result,
            volume,
            folder,
            pictures=job.pictures,
            scene=job.scene,
            say=said.append,
            progress=part(progress, *spans["writing"]),
            texts=texts,
            ahead=ahead,
        )
    timings = {**result.timings_s, "write": time.perf_counter() - started}
    return result, written, said, timings


def _spans(anatomy: bool, earlier: bool, attention: bool) -> dict[str, tuple[float, float]]:
    """From where to where the progress runs in each step, one after the other: it never goes back."""
    wide = {"anatomy": 0.05 * anatomy, "earlier": 0.1 * earlier, "attention": 0.1 * attention}
    spans, at = {"analysis": (0.1, 0.65)}, 0.65
    for name, width in wide.items():
        spans[name] = (at, at + width)
        at += width
    return {**spans, "writing": (at, 1.0)}


def print_result(result: CaseResult, written: dict[str, Path], said: list[str], folder: Path) -> None:
    from ..writing.tables import findings_text

    print(findings_text(result))
    for sentence in said:
        print(sentence)
    print(f"\nCase folder: {path_text(folder)}")
    width = max(len(name) for name in written)
    for name, path in written.items():
        print(f"  {name:<{width}}  {path.name}")


def print_timings(timings: dict[str, float]) -> None:
    total = sum(timings.values())
    for name, seconds in timings.items():
        print(f"  {name:<10} {seconds:6.2f} s  {100 * seconds / max(total, 1e-9):3.0f} %")
    print(f"  {'total':<10} {total:6.2f} s")


def _read_second(args: argparse.Namespace, progress: Progress) -> CtVolume | None:
    """The second phase; None without one."""
    from ..reading import read_ct

    if args.second_phase is None:
        for option, given in (("series", args.second_series), ("grid", args.second_grid)):
            if given:
                raise LiverLesionAIError(f"--second-{option} needs --second-phase, the CT that it is for.")
        return None
    try:
        return read_ct(args.second_phase, args.second_series, progress, args.second_grid)
    except InputError as error:
        # The reader names the options of the first CT.
        named = str(error).replace("--series", "--second-series").replace("--grid", "--second-grid")
        raise InputError(f"Second phase: {named}") from error


def with_remarks(volume: CtVolume, second: CtVolume, which: str = SECOND_PHASE) -> CtVolume:
    """The volume with what was said on reading its second phase, so that it is said with the findings."""
    return replace(
        volume,
        warnings=(*volume.warnings, *(of_phase(which, text) for text in second.warnings)),
        notes=(*volume.notes, *(of_phase(which, text) for text in second.notes)),
    )


OFFER = (
    "If other series of this study are further contrast phases, --study-phases uses them for the lesions' "
    "classes."
)


def _export(
    wanted: Export, to: Path, folder: Path, volume: CtVolume, said: list[str], progress: Progress
) -> dict[str, Path]:
    """Export what was written into the case folder: with the tracking UIDs of an earlier run in it."""
    from ..case.followup_json import read_course
    from ..case.store import load_result
    from ..writing.export import export_case

    kept, judged = load_result(folder), read_course(folder, said.append)
    return export_case(
        kept, volume.dicom, to, wanted, volume=volume, say=said.append, judged=judged, progress=progress
    )


def run_analyze(args: argparse.Namespace) -> int:
    """One CT to one case folder."""
    bar = progress_of(args)
    progress = TimedProgress(bar)
    try:
        started = time.perf_counter()
        progress("Starting", 0.0)
        # It takes two seconds, which the CT is read in.
        load_ahead("torch")
        from ..reading import read_ct
        from ..writing.case_folder import check_target
        from ..writing.review_file import refuse_decided

        if args.out:
            check_target(args.out)
            refuse_decided(args.out)
        wanted, attention = export_wanted(args), attention_wanted(args)
        job = Job.of(args)
        volume = read_ct(args.ct, args.series, part(progress, 0.0, 0.1), args.grid)
        second = _read_second(args, part(progress, 0.1, 0.1))
        if second is not None:
            volume = with_remarks(volume, second)
        phases = read_phases(args, part(progress, 0.1, 0.1))
        for phase, other in () if phases is None else phases.others:
            named = FURTHER_PHASE if phase is None else f"Phase {phase.value}"
            volume = with_remarks(volume, other, named)
        if phases is None and second is None and any(map(TAKEN.is_said_by, volume.notes)):
            volume = replace(volume, notes=(*volume.notes, OFFER))
        priors = read_priors(args, part(progress, 0.1, 0.1))
        read_s = time.perf_counter() - started
        folder = args.out or Path(f"{file_name(volume.name)}_liverlesionai")
        check_target(folder)
        refuse_decided(folder)
        if wanted is not None:
            from ..writing.export import check_source

            check_source(wanted, volume)
        end = 1.0 if wanted is None else 0.9
        result, written, said, timings = analyse_into(
            job, volume, folder, part(progress, 0.0, end), second, priors, phases, attention
        )
        exported = {}
        if wanted is not None:
            args.when_cancelled = f"the case is kept in {path_text(folder)}, its export is not whole"
            exported = _export(wanted, args.export, folder, volume, said, part(progress, end, 1.0))
    finally:
        bar.done()
    for note in volume.notes:
        print(note)
    print_result(result, written, said, folder)
    if wanted is not None:
        print(f"\nExport: {path_text(args.export)}")
        print_exported(exported)
    if args.timings:
        print_timings({"read": read_s, **timings})
    return 0
