"""`analyze --class-strip` and `--attention-page`: what the networks attended to, as files of the case."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..support.errors import InputError
from ..support.progress import Progress, part

if TYPE_CHECKING:
    from ..case.findings import CaseResult
    from ..volume.ct import CtVolume
    from .job import Job


@dataclass(frozen=True)
class AttentionWanted:
    """What is asked for besides the findings.

    Attributes:
        page: the page with every mechanism, with the strip in it; otherwise the strip alone.
        every: on the page also networks that took no part in the analysis.
    """

    page: bool
    every: bool = False


def add_attention_options(parser: argparse.ArgumentParser) -> None:
    """`--class-strip` and `--attention-page`."""
    group = parser.add_argument_group("what the networks attended to")
    group.add_argument(
        "--class-strip",
        action="store_true",
        help="also the class of every slice without any mask: classes_per_slice.csv and .png",
    )
    group.add_argument(
        "--attention-page",
        action="store_true",
        help="also attention.html: a picture of every mechanism, what it says, and whether it decides "
        "anything; with the strip",
    )
    group.add_argument(
        "--attention-all",
        action="store_true",
        help="on that page also the bundled networks that took no part (twice the time)",
    )


def attention_wanted(args: argparse.Namespace) -> AttentionWanted | None:
    """What the options ask for; None where nothing.

    Raises:
        InputError: a page is asked for and jinja2 is missing.
    """
    page = args.attention_page or args.attention_all
    if not (args.class_strip or page):
        return None
    if page:
        from ..writing.report.html import check_template_engine

        check_template_engine()
    return AttentionWanted(page, args.attention_all)


def attention_files(
    wanted: AttentionWanted,
    job: Job,
    result: CaseResult,
    volume: CtVolume,
    say: Callable[[str], None],
    progress: Progress,
) -> dict[str, str | bytes]:
    """The files by name; what cannot be shown is said."""
    from ..analysis.case_attention import HEALTH_SLICES, attention_of_case, case_liver, strip_of_case
    from ..models.device import choose_device
    from ..stages.explain.strip import strip_in_words
    from ..writing.class_strip import STRIP_PICTURE, strip_files
    from .mechanism_page import ATTENTION_PAGE, attention_page

    # What is measured is small: everything in float32, on a processor too.
    device = choose_device(job.settings.device, "float32")
    files: dict[str, str | bytes] = {}
    try:
        liver = case_liver(result, volume)
    except InputError as error:
        say(str(error))
        return files
    shown = None
    try:
        end = part(progress, 0.0, 0.2 if wanted.page else 1.0)
        phase = None if result.phase is None else result.phase.shares
        strip = strip_of_case(liver, job.models, device, job.settings, job.rules, end, phase=phase)
        words = strip_in_words(strip)
        say(words)
        files = strip_files(strip, words)
        picture = files[STRIP_PICTURE]
        assert isinstance(picture, bytes)
        shown = (picture, words)
    except InputError as error:
        say(str(error))
    if wanted.page:
        networks = attention_of_case(
            result,
            liver,
            job.models,
            device,
            lambda entry: wanted.every or entry.name in result.models,
            part(progress, 0.2, 1.0),
        )
        files[ATTENTION_PAGE] = attention_page(result.case_name, networks, shown, HEALTH_SLICES)
    return files
