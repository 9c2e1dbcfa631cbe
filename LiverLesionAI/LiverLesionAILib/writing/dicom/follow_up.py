"""The comparison with earlier scans as codes and figures for the structured report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from ...case.course import sums_over_time
from ...case.criteria import volume_change_percent
from ...case.followup import Pair
from ...case.followup_columns import CHANGES, PairColumn
from ...case.judged import JudgedCourse
from ...case.recist import Assessment, NonTarget, Response
from .content import Code, Region, Statement
from .uids import uid_of

SCHEME = "99LIVERLESIONAI"
STATE: Code = ("state", SCHEME, "State since the prior scan")
PRIOR_UID: Code = ("prior_uid", SCHEME, "Tracking UID in the prior scan")
SUM: Code = ("sum", SCHEME, "Sum of the targets' long axes")
FROM_BASELINE: Code = ("change_baseline", SCHEME, "Change of the sum from the baseline")
FROM_NADIR: Code = ("change_nadir", SCHEME, "Change of the sum from the nadir")
VOLUME_CHANGE: Code = ("change_volume", SCHEME, "Change of the targets' volume from the baseline")
DATE: Code = ("date", SCHEME, "Study date")
EVALUATION: Code = ("112020", "DCM", "Response Evaluation")
METHOD: Code = ("112021", "DCM", "Response Evaluation Method")
CURRENT_RESPONSE: Code = ("112048", "DCM", "Current Response")
RECIST: Code = ("126081", "DCM", "RECIST 1.1")
BASELINE: Code = ("121079", "DCM", "Baseline")
ROLE: Code = ("112016", "DCM", "Baseline Category")
TARGET: Code = ("112074", "DCM", "Target Lesion at Baseline")
NO_TARGET: Code = ("112075", "DCM", "Non-Target Lesion at Baseline")
TARGETS: Mapping[Response, Code] = {
    Response.CR: ("112041", "DCM", "Target Lesion Complete Response"),
    Response.PR: ("112042", "DCM", "Target Lesion Partial Response"),
    Response.PD: ("112043", "DCM", "Target Lesion Progressive Disease"),
    Response.SD: ("112044", "DCM", "Target Lesion Stable Disease"),
}
NON_TARGET: Code = ("non_target", SCHEME, "Response of the non-target lesions")
NON_TARGETS: Mapping[NonTarget, Code] = {
    NonTarget.GONE: ("112045", "DCM", "Non-Target Lesion Complete Response"),
    NonTarget.PERSISTENT: ("112046", "DCM", "Non-Target Lesion Incomplete Response or Stable Disease"),
    NonTarget.PROGRESSING: ("112047", "DCM", "Non-Target Lesion Progressive Disease"),
}
UNITS = {"mm": "mm", "mL": "mL", "%": "%", "days": "d"}


def with_changes(region: Region, number: int, judged: JudgedCourse) -> Region:
    """A lesion's region with its sizes before, its changes, its state and its role among the targets."""
    followup = judged.course.last
    pair = None if judged.course.failed else followup.pair_of(number)
    if pair is None:
        return region
    figures = {
        _code(column): (float(column.value(followup, pair)), UNITS[column.unit])
        for column in CHANGES
        if column.digits is not None
    }
    texts = {STATE: _state(pair)}
    if uids := [uid for n in pair.prior if (uid := followup.prior.lesions[n].tracking_uid)]:
        texts[PRIOR_UID] = " ".join(uids)
    return replace(
        region,
        numbers={**region.numbers, **figures},
        texts={**region.texts, **texts},
        codes={**region.codes, **_role(judged, len(judged.course.points) - 1, pair.current)},
    )


def statements(judged: JudgedCourse, frame_uid: str, site: Code) -> tuple[Statement, ...]:
    """Lesions that are gone, resected or not covered, then the targets' sums at baseline, nadir and now.

    The response is given as a code only when the reader has confirmed what it rests on: a program that reads
    codes alone must not take a proposal for a response. In words it stands there in any case.
    """
    course = judged.course
    if course.failed:
        return ()
    gone = [_missing(judged, pair, frame_uid, site) for pair in course.last.pairs if not pair.current]
    if judged.response is None:
        return tuple(gone)
    return (*gone, *_sums(judged, judged.response, frame_uid))


def _missing(judged: JudgedCourse, pair: Pair, frame_uid: str, site: Code) -> Statement:
    followup = judged.course.last
    lesions = [followup.prior.lesions[n] for n in pair.prior]
    columns = {column.key: column for column in CHANGES}
    return Statement(
        f"Prior lesion {'+'.join(map(str, pair.prior))}",
        lesions[0].tracking_uid or uid_of("prior lesion", frame_uid, pair.prior[0]),
        site=(site,),
        numbers={
            _code(columns[key]): (float(columns[key].value(followup, pair)), UNITS[columns[key].unit])
            for key in ("prior_long_axis", "prior_volume")
        },
        texts={STATE: _state(pair)},
        codes=_role(judged, len(judged.course.points) - 2, pair.prior),
    )


def _sums(judged: JudgedCourse, response: Assessment, frame_uid: str) -> list[Statement]:
    course, sums = judged.course, sums_over_time(judged.course, judged.targets, judged.elsewhere)
    earlier = [k for k, mm in enumerate(sums[:-1]) if math.isfinite(mm)] or [0]
    nadir = min(earlier, key=lambda k: sums[k])
    found = response.sums
    of_now = {
        SUM: (found.now_mm, "mm"),
        FROM_BASELINE: (_percent(found.now_mm, found.baseline_mm), "%"),
        FROM_NADIR: (_percent(found.now_mm, found.nadir_mm), "%"),
        VOLUME_CHANGE: (volume_change_percent(course, judged.targets), "%"),
    }
    word = f"provisional: {response.provisional}" if response.provisional else "confirmed by the reader"
    codes = {METHOD: RECIST}
    if not response.provisional:
        if response.target in TARGETS:
            codes[CURRENT_RESPONSE] = TARGETS[response.target]
        if judged.non_target in NON_TARGETS:
            codes[NON_TARGET] = NON_TARGETS[judged.non_target]
    said = f"{response.overall.value} ({word}). {' '.join(response.arithmetic)}"
    if response.uncertain:
        said += f" Uncertain: {' or '.join(one.value for one in response.possible)}."
    made = []
    for label, kind, at, numbers in (
        ("baseline", BASELINE, 0, {SUM: (found.baseline_mm, "mm")}),
        ("nadir", None, nadir, {SUM: (found.nadir_mm, "mm")}),
        ("current", None, len(sums) - 1, of_now),
    ):
        day = course.points[at].day
        texts = {} if day is None else {DATE: f"{day:%Y-%m-%d}"}
        now = label == "current"
        made.append(
            Statement(
                "RECIST 1.1 targets",
                uid_of("RECIST targets", frame_uid),
                (label, kind),
                numbers=numbers,
                texts={**texts, EVALUATION: said} if now else texts,
                codes=codes if now else {},
            )
        )
    return made


def _role(judged: JudgedCourse, at: int, numbers: tuple[int, ...]) -> dict[Code, Code]:
    """Whether lesions of one scan were targets at baseline; nothing for ones that were not there."""
    for track in judged.course.tracks:
        if track.numbers[0] and set(track.numbers[at]) & set(numbers):
            return {ROLE: TARGET if set(track.numbers[0]) & set(judged.chosen) else NO_TARGET}
    return {}


def _state(pair: Pair) -> str:
    return f"{pair.state.value} (proposed)" if pair.proposed else pair.state.value


def _code(column: PairColumn) -> Code:
    said = column.heading if column.unit != "%" else f"{column.heading}, per cent"
    return (column.key, SCHEME, said)


def _percent(now: float, before: float) -> float:
    return 100 * (now - before) / before if before > 0 else math.nan
