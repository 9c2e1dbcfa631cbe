"""`liverlesionai export`: a case as DICOM, report and tables for others."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.errors import LiverLesionAIError
from ..support.progress import TimedProgress, part
from .progress_bar import ProgressBar

if TYPE_CHECKING:
    from ..writing.export import Export
    from .tools import Commands


def add_export_command(commands: Commands) -> None:
    """The parser of `export`."""
    export = commands.add_parser("export", help="write a case as DICOM SEG and SR, report, PDF, text or CSV")
    export.add_argument("case", type=Path, help="case folder")
    export.add_argument("--out", type=Path, required=True, help="folder for the files")
    export.add_argument(
        "--ct", type=Path, help="the CT: for --as-dicom, and for key images where the case keeps none"
    )
    export.add_argument("--series", help="DICOM series of --ct: number, UID or part of its description")
    add_export_options(export)
    export.set_defaults(run=run_export)


def add_export_options(parser: argparse._ActionsContainer) -> None:
    """Options that `export` and `analyze --export` share."""
    add = parser.add_argument
    add("--dicom", action="store_true", help="DICOM SEG and SR, filed with the CT's study")
    add("--as-dicom", action="store_true", help="where the CT is no DICOM: write it as a derived series too")
    add("--deflate", action="store_true", help="compress the SEG (Deflated Explicit VR Little Endian)")
    add("--report", action="store_true", help="one HTML page")
    add("--pdf", action="store_true", help="the report as PDF; with --dicom also as Encapsulated PDF")
    add("--text", action="store_true", help="the report as plain text")
    add("--csv", action="store_true", help="the findings table")
    add("--labels", action="store_true", help="the reader's decisions and classes as training labels")
    add("--language", default="en", help="of the report: en, de, no, fr")
    add("--template", type=Path, metavar="FILE", help="your own text template (Jinja2)")
    add("--with-patient", action="store_true", help="put the patient's name and ID on the report")
    add("--with-rejected", action="store_true", help="also what the reader rejected")
    add("--verified-by", default="", metavar="NAME", help="the reader who signs: the SR becomes VERIFIED")
    add("--organisation", default="", help="the signing reader's hospital")


def export_options(args: argparse.Namespace) -> Export:
    """The options as the writer wants them.

    Raises:
        LiverLesionAIError: nothing is asked for, or no such language.
    """
    from ..writing.export import Export
    from ..writing.report.content import Options
    from ..writing.report.strings import Language

    language = Language(args.language).code
    what = Export(
        dicom=args.dicom or args.as_dicom,
        as_dicom=args.as_dicom,
        deflate=args.deflate,
        report=args.report,
        pdf=args.pdf,
        text=args.text or args.template is not None,
        csv=args.csv,
        labels=args.labels,
        template=args.template,
        verified_by=args.verified_by.strip(),
        organisation=args.organisation.strip(),
        options=Options(language, args.with_patient, args.with_rejected),
    )
    if not what.anything:
        raise LiverLesionAIError("Say what to export: --dicom, --report, --pdf, --text, --csv or --labels.")
    return what


def run_export(args: argparse.Namespace) -> int:
    """Export one case folder."""
    from ..case.dicom_json import read_dicom
    from ..case.followup_json import read_course
    from ..case.store import load_result
    from ..reading import read_ct
    from ..writing.export import export_case

    what = export_options(args)
    bar = ProgressBar()
    progress = TimedProgress(bar)
    said: list[str] = []
    try:
        result, source = load_result(args.case), read_dicom(args.case)
        judged = read_course(args.case, said.append)
        volume = read_ct(args.ct, args.series, part(progress, 0.0, 0.4)) if args.ct is not None else None
        written = export_case(
            result,
            source,
            args.out,
            what,
            volume=volume,
            case_folder=args.case,
            judged=judged,
            say=said.append,
            progress=part(progress, 0.4, 1.0),
        )
    finally:
        bar.done()
    for sentence in said:
        print(sentence)
    print_exported(written)
    return 0


def print_exported(written: dict[str, Path]) -> None:
    """What was written and where."""
    for name, path in written.items():
        print(f"  {name:<13} {path}")


def add_export_while_analysing(parser: argparse.ArgumentParser) -> None:
    """`analyze --export DIR` with the options of `export`."""
    group = parser.add_argument_group("export for others, right after the analysis")
    group.add_argument("--export", type=Path, metavar="DIR", help="folder for DICOM, report and tables")
    add_export_options(group)


def export_wanted(args: argparse.Namespace) -> Export | None:
    """What `analyze` has to export; None without `--export`. Refused before any work.

    Raises:
        LiverLesionAIError: options of an export without `--export`, nothing asked for, or a missing package.
    """
    if args.export is not None:
        from ..writing.export import check_packages

        what = export_options(args)
        check_packages(what)
        return what
    plain = argparse.ArgumentParser()
    add_export_options(plain)
    defaults = vars(plain.parse_args([]))
    given = [f"--{name.replace('_', '-')}" for name in defaults if getattr(args, name) != defaults[name]]
    if given:
        raise LiverLesionAIError(f"{', '.join(given)} need --export, the folder to write to.")
    return None
