"""`analyze --prior`: earlier scans of the patient, what the reader says of them, and the comparison."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ..case.criteria import Diagnosis
from ..case.other_targets import OtherTarget, at_every_scan
from ..case.recist import NonTarget, TargetSize
from ..support.errors import LiverLesionAIError
from ..support.progress import Progress

if TYPE_CHECKING:
    from ..analysis.followup import Examined
    from ..case.findings import CaseResult
    from ..volume.ct import CtVolume

DIAGNOSES = {"gist": Diagnosis.GIST, "hcc": Diagnosis.HCC}
NON_TARGETS = {word.name.lower().replace("_", "-"): word for word in NonTarget}


@dataclass(frozen=True, eq=False)
class Priors:
    """What the comparison is made of beside the current scan.

    Attributes:
        scans: earlier cases, in the order given.
        day: of the current scan, where it is given.
        targets: numbers in the oldest scan; None takes the proposed ones.
        non_target: the reader's word on all other lesions.
        elsewhere: targets outside of the liver, at every time point, the oldest first.
        diagnosis: the reader's, where further criteria are wanted.
        enhancing: of an HCC, the targets' enhancing diameters at every time point.
    """

    scans: tuple[Examined, ...]
    day: date | None = None
    targets: tuple[int, ...] | None = None
    non_target: NonTarget = NonTarget.NONE
    elsewhere: tuple[tuple[TargetSize, ...], ...] = ()
    diagnosis: Diagnosis | None = None
    enhancing: tuple[tuple[TargetSize, ...], ...] = ()


def add_prior_options(parser: argparse.ArgumentParser) -> None:
    """`--prior` and what belongs to it."""
    group = parser.add_argument_group("earlier scans of the patient")
    group.add_argument(
        "--prior",
        type=Path,
        metavar="CASE",
        action="append",
        help="case folder of an earlier scan to compare with; again for each older one",
    )
    group.add_argument(
        "--prior-ct",
        type=Path,
        metavar="CT",
        action="append",
        help="the earlier CT (in the order of --prior): needed only where an old case keeps no reduced one",
    )
    group.add_argument(
        "--prior-date",
        type=_day,
        metavar="YYYY-MM-DD",
        action="append",
        help="date of the earlier scan (in the order of --prior) where DICOM does not tell it",
    )
    group.add_argument("--date", type=_day, metavar="YYYY-MM-DD", help="date of this scan, likewise")
    _add_words(group)


def _add_words(group: argparse._ArgumentGroup) -> None:
    """What the reader says of the targets and of everything else."""
    group.add_argument(
        "--targets",
        type=_numbers,
        metavar="N,N",
        help="RECIST targets: lesion numbers in the oldest scan (default: the two largest measurable ones)",
    )
    group.add_argument(
        "--non-target", choices=sorted(NON_TARGETS), help="your word on all lesions that are no targets"
    )
    group.add_argument(
        "--other-target",
        type=_lengths,
        metavar="MM,MM",
        action="append",
        default=[],
        help="long axis of a target outside of the liver at every time point, the oldest first",
    )
    group.add_argument(
        "--other-node",
        type=_lengths,
        metavar="MM,MM",
        action="append",
        default=[],
        help="short axis of a lymph node that is a target, likewise; in both 0 is gone, - is not shown by "
        "that scan",
    )
    group.add_argument(
        "--diagnosis",
        choices=sorted(DIAGNOSES),
        help="yours; of a GIST Choi's criteria are given too, of an HCC mRECIST by --enhancing",
    )
    group.add_argument(
        "--enhancing",
        type=_lengths,
        metavar="MM,MM",
        action="append",
        default=[],
        help="longest diameter of what enhances of an HCC in the arterial phase, at every time point, the "
        "oldest first; again for a second target",
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date: write 2026-11-29") from None


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(word) for word in text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give lesion numbers such as 1,3") from None


def _lengths(text: str) -> tuple[float | None, ...]:
    try:
        return OtherTarget.from_text(text).axes_mm
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: give lengths in mm such as 31.5,28") from None


def read_priors(args: argparse.Namespace, progress: Progress) -> Priors | None:
    """The earlier cases that `--prior` names, with what was said of them.

    Raises:
        LiverLesionAIError: one cannot be read, a CT is not the case's, or options do not fit each other.
    """
    count = len(args.prior or ())
    of_prior = ("prior_ct", "prior_date", "date", "targets", "non_target")
    of_prior += ("other_target", "other_node", "diagnosis", "enhancing")
    if not count:
        given = next((name for name in of_prior if getattr(args, name)), None)
        if given is not None:
            option = given.replace("_", "-")
            raise LiverLesionAIError(f"--{option} belongs to --prior: name the earlier case folder too.")
        return None
    for name in ("prior_ct", "prior_date"):
        if len(getattr(args, name) or ()) > count:
            option = name.replace("_", "-")
            raise LiverLesionAIError(f"There are more --{option} than --prior: give one for each, in order.")
    others = [OtherTarget(mm) for mm in args.other_target]
    others += [OtherTarget(mm, node=True) for mm in args.other_node]
    for option in ("other-target", "other-node", "enhancing"):
        given = getattr(args, option.replace("-", "_"))
        wrong = next((axes for axes in given if len(axes) != count + 1), None)
        if wrong is None:
            continue
        raise LiverLesionAIError(
            f"--{option} has {len(wrong)} lengths for {count + 1} scans: give one for each, the oldest first."
        )
    if (args.diagnosis == "hcc") != bool(args.enhancing):
        raise LiverLesionAIError(
            "--diagnosis hcc and --enhancing belong together: mRECIST is of the diameters that enhance, as "
            "you measure them."
        )
    cts = [*(args.prior_ct or ()), *[None] * count]
    days = [*(args.prior_date or ()), *[None] * count]
    scans = tuple(
        _examined(case, ct, day, progress) for case, ct, day in zip(args.prior, cts, days, strict=False)
    )
    return Priors(
        scans,
        args.date,
        args.targets,
        NON_TARGETS[args.non_target or "none"],
        at_every_scan(others, count + 1),
        DIAGNOSES.get(args.diagnosis),
        at_every_scan([OtherTarget(mm) for mm in args.enhancing], count + 1),
    )


def _examined(case: Path, ct: Path | None, day: date | None, progress: Progress) -> Examined:
    from ..analysis.followup import Examined
    from ..case.dicom_json import read_dicom
    from ..case.store import load_result
    from ..reading import read_ct

    earlier = load_result(case)
    volume = None if ct is None else read_ct(ct, None, progress)
    if volume is not None and volume.hu_zyx.shape != earlier.geometry.shape_zyx:
        raise LiverLesionAIError(f"{ct} is not the CT of {case}: its size differs.")
    return Examined(earlier, volume, read_dicom(case), day)


def compare_with_priors(
    priors: Priors, result: CaseResult, volume: CtVolume, say: Callable[[str], None], progress: Progress
) -> dict[str, str]:
    """Say the comparison; the files it goes into, by name.

    Raises:
        LiverLesionAIError: `--targets` names a lesion that the oldest scan does not have.
        Cancelled: from `progress`.
    """
    from ..analysis.followup import Examined, follow_course, in_order
    from ..case.followup_json import FOLLOWUP_FILE, course_json
    from ..case.judged import judge
    from ..pictures.followup_plot import followup_svg
    from ..writing.followup_file import FOLLOWUP_PLOT, course_text

    current = Examined(result, volume, volume.dicom, priors.day)
    course = follow_course(priors.scans, current, progress)
    missing = sorted(set(priors.targets or ()) - set(course.points[0].lesions))
    if missing:
        raise LiverLesionAIError(
            f"--targets: {course.points[0].name} has no lesion {missing[0]} that counts. It has "
            f"{', '.join(map(str, course.points[0].lesions)) or 'none'}."
        )
    phases = [scan.result.phase for scan in (*in_order(priors.scans)[0], current)]
    whole = judge(
        course,
        priors.targets,
        priors.non_target,
        priors.elsewhere,
        diagnosis=priors.diagnosis,
        enhancing=priors.enhancing,
        phases=[None if phase is None else phase.phase for phase in phases],
    )
    say("")
    say(course_text(whole))
    texts = {FOLLOWUP_FILE: course_json(whole)}
    plot = followup_svg(course, priors.targets, priors.elsewhere)
    return {**texts, FOLLOWUP_PLOT: plot} if plot else texts
