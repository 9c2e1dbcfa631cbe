"""`liverlesionai synthesize SynthLiver-1 --out DIR`: makes a benchmark set and checks it.

`sample` in place of the set draws the shipped sample case.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent

from .build import SETS, UNRECORDED, build
from .checksums import compare, recorded, recorded_file, write_recorded
from .plan import PARTS

SAMPLE = "sample"


def add_synthesize_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `synthesize`."""
    parser.add_argument("set", choices=[*SETS, SAMPLE], help="which set; sample: the shipped sample case")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the set")
    parser.add_argument(
        "--part",
        action="append",
        choices=PARTS,
        help="only this part of SynthLiver-1; may be given several times",
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="a small set: N patients of each split (and class), or habit"
    )
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes")
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write the checksums to this file instead of checking them",
    )


def run_synthesize(
    args: argparse.Namespace, progress: Progress = silent, say: Callable[[str], None] = print
) -> int:
    """Make the set as the options say, or what is missing of it, and compare it with the recorded checksums.

    Returns:
        0; 1 where a patient differs from the recorded one.

    Raises:
        InputError: senseless options.
        OutputError: the folder cannot be written.
        Cancelled: from `progress`; what is finished stays and the same command goes on.
    """
    if args.jobs < 1 or (args.limit is not None and args.limit < 1):
        raise InputError("--jobs and --limit take whole numbers from 1.")
    if args.record is not None and (args.part or args.limit):
        raise InputError("--record takes the whole set: leave out --part and --limit.")
    if args.set == SAMPLE:
        return _draw_sample(args.out, progress, say)
    parts = args.part or SETS[args.set]
    if not set(parts) <= set(SETS[args.set]):
        raise InputError(f"{args.set} has no part {parts[0]}: leave out --part.")
    if args.record is not None and args.set in UNRECORDED:
        raise InputError(f"{args.set} is a set to choose on: no checksums are kept of it.")
    free = args.record is not None or args.set in UNRECORDED
    known = {} if free else recorded(recorded_file(args.set))
    started = time.monotonic()
    records = build(args.out, parts, limit=args.limit, jobs=args.jobs, progress=progress, name=args.set)
    for part, patients in records.items():
        rows = sum(len(r.get("rows", ())) for r in patients.values())
        what = {"slices": f", {rows} boxes", "classes": f", {rows} slices"}.get(part, "")
        say(f"{part}: {len(patients)} patients{what}")
    say(f"{args.out}: {time.monotonic() - started:.0f} s")
    if args.record is not None:
        say(f"{args.record}: checksum {write_recorded(records, args.record, args.set)}")
        return 0
    if args.set in UNRECORDED:
        return 0
    checks = compare(records, known)
    for check in checks:
        say(check.text())
    if any(check.other for check in checks):
        say(
            "Some patients are not those of the recorded set: figures made with this folder are not "
            "comparable. Was it made with another version of numpy, scipy or of this program?"
        )
        return 1
    return 0


def _draw_sample(folder: Path, progress: Progress, say: Callable[[str], None]) -> int:
    """The sample case as it is shipped; 0."""
    from ..sample import draw_sample, write_sample
    from ..sample_follow_up import draw_changes, write_changes

    progress("drawing the sample case", 0.0)
    sample = draw_sample()
    changes = draw_changes(sample.liver_zyx, sample.lesion_labels_zyx, sample.volume.geometry)
    for path in (*write_sample(sample, folder), write_changes(changes, folder)):
        say(f"{path}: {path.stat().st_size / 1e6:.3f} MB")
    return 0
