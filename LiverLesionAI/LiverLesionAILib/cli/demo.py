"""`liverlesionai demo`: the sample case beside its truth."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..support.progress import TimedProgress, part
from ..support.text import path_text
from .analyze import analyse_into, print_result, print_timings
from .job import Job, add_analysis_options
from .progress_bar import progress_of

if TYPE_CHECKING:
    from ..case.findings import CaseResult
    from ..case.sample import SampleCase
    from .tools import Commands


def add_demo_command(commands: Commands) -> None:
    """The parser of `demo`."""
    demo = commands.add_parser("demo", help="analyse the bundled sample case and compare with its truth")
    demo.add_argument("--out", type=Path, default=Path("liverlesionai_demo"), help="case folder")
    demo.add_argument(
        "--follow-up",
        action="store_true",
        help="then its follow-up of three months later, compared with it; the first case goes to OUT_prior",
    )
    add_analysis_options(demo)
    demo.set_defaults(run=run_demo)


def run_demo(args: argparse.Namespace) -> int:
    """The sample case, with its truth beside the findings."""
    from ..case.sample import load_sample

    if args.follow_up:
        return run_follow_up(args)
    bar = progress_of(args)
    progress = TimedProgress(bar)
    try:
        job = Job.of(args)
        progress("reading the sample case", 0.0)
        sample = load_sample()
        result, written, said, timings = analyse_into(job, sample.volume, args.out, progress)
    finally:
        bar.done()
    print_result(result, written, said, args.out)
    print()
    print(truth_text(sample, result))
    if args.timings:
        print_timings(timings)
    return 0


def run_follow_up(args: argparse.Namespace) -> int:
    """The sample case as the prior scan, then its follow-up beside it."""
    from ..analysis.followup import Examined
    from ..case.sample_follow_up import load_follow_up
    from .prior import Priors

    bar = progress_of(args)
    progress = TimedProgress(bar)
    folder = args.out.with_name(f"{args.out.name}_prior")
    try:
        job = Job.of(args)
        progress("reading the sample case", 0.0)
        sample = load_follow_up()
        days = sample.changes.days
        earlier, _, _, timings = analyse_into(job, sample.prior.volume, folder, part(progress, 0.02, 0.5))
        priors = Priors((Examined(earlier, sample.prior.volume, day=days[0]),), days[1])
        result, written, said, more = analyse_into(
            job, sample.current.volume, args.out, part(progress, 0.5, 1.0), priors=priors
        )
    finally:
        bar.done()
    print_result(result, written, said, args.out)
    print(f"The prior case: {path_text(folder)}")
    print()
    print(truth_text(sample.current, result))
    if args.timings:
        print_timings({name: timings.get(name, 0.0) + more.get(name, 0.0) for name in {**timings, **more}})
    return 0


def truth_text(sample: SampleCase, result: CaseResult) -> str:
    """How the findings compare with the sample's known truth, for the terminal."""
    import numpy as np

    from ..volume.overlap import dice

    truth = sample.lesion_labels_zyx
    labels = result.lesion_labels_zyx
    numbers = [int(n) for n in np.unique(truth) if n]
    found = sum(bool(np.mean(labels[truth == n] > 0) >= 0.1) for n in numbers)
    false = sum(not truth[labels == lesion.number].any() for lesion in result.lesions)

    liver_dice, lesion_dice = dice(result.liver_zyx, sample.liver_zyx), dice(labels > 0, truth > 0)
    return (
        f"Against the sample's truth (a synthetic CT): {found} of {len(numbers)} lesions found, "
        f"{false} false; Dice liver {liver_dice:.3f}, lesions {lesion_dice:.3f}."
    )
