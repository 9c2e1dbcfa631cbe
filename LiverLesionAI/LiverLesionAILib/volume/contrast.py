"""What a CT's DICOM header says of contrast medium: whether one was given, and how long before the scan."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .dicom import DicomSource

LONGEST_DELAY_S = 1800.0
"""A later scan shows nothing of a bolus's phases; such a time belongs to another injection, or to none."""

_NO_AGENT = re.compile(r"^(no(ne)?|nil|n/?a|0|false|w/?o|without|ohne|keines?|sans|non)\b|no contrast", re.I)
_BY_MOUTH = re.compile(r"oral|rectal|water|enteral|\bpo\b|peros|gastro", re.I)
_NAMES_AN_AGENT = re.compile(
    r"io(hex|dix|pam|pro|ver|mer|bit|xa|xi|tro)|omnip|visip|ultrav|isov|optir|imer|xenet|iod|jod|applied|"
    r"\biv\b|i\.v|intraven|contrast|mgi|\byes\b",
    re.I,
)
_AGENTS = (
    r"omnipaq|visipaq|ultravist|isovue|optiray|imeron|iomeron|xenetix|iohex|iopam|iodix|ioprom|iomep|iover"
)
_MEDIUM = r"[ _.-]*(iv[ _.-]*)?(contrast|kontrast|contraste|iv|i\.v\.|km|pdc)(?![a-z])"
_DESCRIBED_WITH = re.compile(
    rf"{_AGENTS}|(?<![a-z])((with|mit|avec|med|post|w/?){_MEDIUM}|c\+|cect(?![a-z]))", re.I
)
_DESCRIBED_WITHOUT = re.compile(
    rf"(?<![a-z])((w/?o|without|non?|ohne|sans|uten|pre){_MEDIUM}|c-(?![a-z0-9])|ncct(?![a-z]))", re.I
)
_DESCRIBED_BOTH = re.compile(r"(?<![a-z])w[ &+/_-]*w/?o(?![a-z])|with (and|&|/) without", re.I)


@dataclass(frozen=True)
class ContrastHeader:
    """What the header says; None where it says nothing that makes sense.

    Attributes:
        delay_s: from the start of the injection to the acquisition, above 0 and at most half an hour.
        agent: whether contrast medium was given into a vein. That it is not named says nothing.
    """

    delay_s: float | None = None
    agent: bool | None = None


NOTHING_SAID = ContrastHeader()


def contrast_header(source: DicomSource | None) -> ContrastHeader:
    """Of a series; the time of an image's creation (Content Time) is not that of its acquisition, and unused.

    An injection after the acquisition, also one that seems so across midnight, and one more than half an hour
    before it are nonsense: nothing is claimed.
    """
    if source is None:
        return NOTHING_SAID
    start = seconds_of(source.contrast_bolus_start_time)
    taken = seconds_of(source.acquisition_time)
    if taken is None:
        taken = seconds_of(source.acquisition_date_time[8:])
    delay = None
    if start is not None and taken is not None and 0 < taken - start <= LONGEST_DELAY_S:
        delay = taken - start
    agent = _agent(source.contrast_bolus_agent, source.contrast_bolus_route)
    if agent is None and not _BY_MOUTH.search(source.contrast_bolus_route):
        agent = described_agent(source.series_description)
    return ContrastHeader(delay, agent)


def seconds_of(text: str) -> float | None:
    """A DICOM time, HHMMSS.FFFFFF or shorter, or HH:MM:SS, in seconds from midnight; None for others."""
    digits = re.fullmatch(r"(\d\d):?(\d\d):?(\d\d)?(\.\d{1,6})?([+-]\d{4})?", text.strip())
    if digits is None:
        return None
    hours, minutes = int(digits[1]), int(digits[2])
    seconds = int(digits[3] or 0) + float(digits[4] or 0)
    if hours > 23 or minutes > 59 or seconds >= 61:
        return None
    return 3600.0 * hours + 60.0 * minutes + seconds


def _agent(name: str, route: str) -> bool | None:
    """None also for what was drunk, and for a text that says neither yes nor no."""
    if _BY_MOUTH.search(route) or not name.strip():
        return None
    if _NO_AGENT.search(name.strip()):
        return False
    if _NAMES_AN_AGENT.search(name):
        return True
    return None


def described_agent(description: str) -> bool | None:
    """Whether a series' description says that contrast medium was given, by the agent's name or as "C+".

    A study's description is not asked: the series without contrast medium lie in the same study.
    """
    if _BY_MOUTH.search(description) or _DESCRIBED_BOTH.search(description):
        return None
    with_it, without = _DESCRIBED_WITH.search(description), _DESCRIBED_WITHOUT.search(description)
    return None if bool(with_it) == bool(without) else with_it is not None


def checked(delay_s: object, agent: object) -> ContrastHeader:
    """From what another process wrote; what makes no sense is dropped."""
    known = isinstance(delay_s, (int, float)) and not isinstance(delay_s, bool) and math.isfinite(delay_s)
    delay = float(delay_s) if known else 0.0  # type: ignore[arg-type]
    return ContrastHeader(
        delay if 0 < delay <= LONGEST_DELAY_S else None, agent if isinstance(agent, bool) else None
    )
