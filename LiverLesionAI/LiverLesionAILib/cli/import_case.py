"""`liverlesionai import`: a DICOM SEG, with its SR, as a case to correct, compare and report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.progress import TimedProgress, part
from .progress_bar import ProgressBar

if TYPE_CHECKING:
    from .tools import Commands


def add_import_command(commands: Commands) -> None:
    """The parser of `import`."""
    parser = commands.add_parser("import", help="make a case of a DICOM SEG (and SR) that refers to a CT")
    parser.add_argument("--ct", type=Path, required=True, help="the CT that the segmentation was drawn on")
    parser.add_argument("--series", help="DICOM series of the CT: number, UID or part of its description")
    parser.add_argument(
        "--grid",
        default="",
        choices=["sform", "qform"],
        help="which to take where a NIfTI file's two contradict each other",
    )
    parser.add_argument("--seg", type=Path, required=True, help="DICOM Segmentation file")
    parser.add_argument("--sr", type=Path, help="DICOM SR file (TID 1500) with classes, decisions and notes")
    parser.add_argument("--out", type=Path, required=True, help="case folder")
    parser.add_argument("--no-pictures", action="store_true", help="write no PNG pictures")
    parser.set_defaults(run=run_import)


def run_import(args: argparse.Namespace) -> int:
    """One SEG to one case folder."""
    from ..analysis.imported import imported_case
    from ..reading import read_ct
    from ..reading.dicom_seg import read_segmentation
    from ..reading.dicom_sr import read_report
    from ..writing.case_folder import write_case_folder
    from .analyze import print_result

    bar = ProgressBar()
    progress = TimedProgress(bar)
    said: list[str] = []
    try:
        volume = read_ct(args.ct, args.series, part(progress, 0.0, 0.4), args.grid)
        frame = volume.dicom.frame_of_reference_uid if volume.dicom is not None else ""
        drawn = read_segmentation(args.seg, volume.geometry, frame)
        groups = read_report(args.sr) if args.sr is not None else ()
        progress("Measuring", 0.5)
        result = imported_case(volume, drawn, groups)
        written = write_case_folder(
            result,
            volume,
            args.out,
            pictures=not args.no_pictures,
            say=said.append,
            progress=part(progress, 0.6, 1.0),
        )
    finally:
        bar.done()
    print_result(result, written, said, args.out)
    return 0
