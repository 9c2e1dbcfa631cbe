"""A comparison with earlier scans as the JSON that a case folder keeps, and read back from it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from .course import Course, response_of, sums_over_time
from .criteria import ChoiAssessment, mrecist_of, volume_change_percent
from .followup import FollowUp, LesionSize, LesionState, Pair, TimePoint, change_of
from .joined import JoinedOutline
from .judged import JudgedCourse
from .other_targets import OtherTarget, at_every_scan, targets_of
from .recist import Assessment, NonTarget, Response, TargetSize

FOLLOWUP_FILE = "followup.json"
FORMAT, VERSION = "LiverLesionAI follow-up", 1
AGAIN = "Compare the scans again: liverlesionai analyze CT --prior CASE."


def course_json(judged: JudgedCourse) -> str:
    """Pairs, changes and response; numbers that do not exist are null. Of patient data the dates only.

    `pairs` are of the current scan and the latest earlier one; `tracks` go over all scans.
    """
    course, response, targets = judged.course, judged.response, judged.targets
    followup = course.last
    document = {
        "format": FORMAT,
        "version": VERSION,
        "prior": _time_point(followup.prior),
        "current": _time_point(followup.current),
        "days": followup.days,
        "registration": {**_registration(followup), "failed": course.failed},
        "pairs": [_pair(followup, pair) for pair in followup.pairs],
        "time_points": [_time_point(point) for point in course.points],
        "steps": [
            {
                "registration": _registration(step),
                "pairs": [_pair(step, pair) for pair in step.pairs],
                "warnings": list(step.warnings),
                "joined_outlines": [_joined(one) for one in step.joined],
            }
            for step in course.steps
        ],
        "bridges": [
            {"from": ends[0], "to": ends[1], "pairs": [_link(pair) for pair in pairs]}
            for ends, pairs in course.bridges.items()
        ],
        "tracks": [
            {
                "numbers": [list(n) for n in track.numbers],
                "covered": list(track.covered),
                "resected": sorted(track.resected),
            }
            for track in course.tracks
        ],
        "targets": list(judged.chosen),
        "reader": {
            "targets": None if targets is None else list(targets),
            "non_target": judged.non_target.value,
            "elsewhere_mm": _by_scan([target.axes_mm for target in targets_of(judged.elsewhere)]),
            "elsewhere_nodes": [target.node for target in targets_of(judged.elsewhere)],
            "warnings": list(course.warnings),
        },
        "volume_change_percent": _number(volume_change_percent(course, targets), 1),
        "choi": None if judged.choi is None else _choi(judged.choi),
        "mrecist": None if judged.mrecist is None else _mrecist(judged.mrecist, judged.enhancing),
        "sums_mm": [_number(mm, 1) for mm in sums_over_time(course, targets, judged.elsewhere)],
        "recist": None if response is None else _response(response),
        "provisional": [reason for reason in course.provisional.split("; ") if reason],
        "warnings": list(judged.warnings),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _by_scan(columns: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(row) for row in zip(*columns, strict=True)]


def _read_elsewhere(
    rows: Sequence[Sequence[Any]], nodes: Sequence[Any] | None, scans: int
) -> tuple[tuple[TargetSize, ...], ...]:
    """Files of earlier versions tell no lymph nodes."""
    columns = _by_scan(rows)
    told = [False] * len(columns) if nodes is None else nodes
    targets = [
        OtherTarget(tuple(None if mm is None else float(mm) for mm in axes), bool(node))
        for axes, node in zip(columns, told, strict=True)
    ]
    return at_every_scan(targets, scans)


def _link(pair: Pair) -> dict[str, Any]:
    return {
        "prior": list(pair.prior),
        "current": list(pair.current),
        "state": pair.state.value,
        "by_reader": pair.by_reader,
        "wide": pair.wide,
        "distance_mm": _number(pair.distance_mm, 1),
    }


def _pair(followup: FollowUp, pair: Pair) -> dict[str, Any]:
    change = change_of(followup, pair)
    return {
        **_link(pair),
        "change_mm": _number(change.long_axis_mm, 1),
        "change_percent": _number(change.long_axis_percent, 1),
        "change_ml": _number(change.volume_ml, 3),
        "change_volume_percent": _number(change.volume_percent, 1),
        "doubling_days": _number(change.doubling_days, 0),
    }


def _joined(one: JoinedOutline) -> dict[str, Any]:
    sizes = zip(one.others, one.long_axes_mm, one.volumes_ml, strict=True)
    return {
        "scan": "current" if one.in_current else "prior",
        "number": one.number,
        "parts": [{"of": n, "long_axis_mm": _whole(mm), "volume_ml": _whole(ml)} for n, mm, ml in sizes],
    }


def _registration(followup: FollowUp) -> dict[str, Any]:
    return {
        "dice": _number(followup.dice, 3),
        "gap_mm": _number(followup.gap_mm, 1),
        "failed": followup.failed,
    }


def _time_point(point: TimePoint) -> dict[str, Any]:
    return {
        "name": point.name,
        "day": None if point.day is None else point.day.isoformat(),
        "slice_thickness_mm": _whole(point.slice_thickness_mm),
        "reviewed": point.decided,
        "lesions": [
            {
                "number": x.number,
                "tracking_uid": x.tracking_uid,
                "long_axis_mm": _whole(x.long_axis_mm),
                "short_axis_mm": _whole(x.short_axis_mm),
                "volume_ml": _whole(x.volume_ml),
                "long_axis_low_mm": _whole(x.low_mm),
                "long_axis_high_mm": _whole(x.high_mm),
                "volume_low_ml": _whole(x.volume_interval_ml[0]),
                "volume_high_ml": _whole(x.volume_interval_ml[1]),
                "hu_mean": _whole(x.hu_mean),
                "treated": x.treated,
                "confirmed": x.confirmed,
                "by_network": x.by_network,
                "cut": x.cut,
            }
            for x in point.lesions.values()
        ],
    }


def _response(response: Assessment) -> dict[str, Any]:
    sums = response.sums
    return {
        "overall": response.overall.value,
        "targets": response.target.value,
        "baseline_mm": _number(sums.baseline_mm, 1),
        "nadir_mm": _number(sums.nadir_mm, 1),
        "now_mm": _number(sums.now_mm, 1),
        "possible": [r.value for r in response.possible],
        "arithmetic": list(response.arithmetic),
        "provisional": response.provisional,
    }


def _mrecist(mrecist: Assessment, enhancing: Sequence[Sequence[TargetSize]]) -> dict[str, Any]:
    rows = _by_scan([target.axes_mm for target in targets_of(enhancing)])
    return {**_response(mrecist), "enhancing_mm": rows}


def _choi(choi: ChoiAssessment) -> dict[str, Any]:
    return {
        "response": choi.response.value,
        "size_percent": _number(choi.size_percent, 1),
        "density_percent": _number(choi.hu_percent, 1),
    }


def _number(value: float, digits: int) -> float | None:
    return round(float(value), digits) if math.isfinite(value) else None


def _whole(value: float) -> float | None:
    """Not rounded: what is computed of the file's sizes is what was computed before it was written."""
    return float(value) if math.isfinite(value) else None


def read_course(folder: Path, say: Callable[[str], None] = lambda sentence: None) -> JudgedCourse | None:
    """The comparison of a case folder; None where it keeps none, or none that can be read.

    Args:
        say: hears of a file that is damaged, or of a version that kept too little.
    """
    path = folder / FOLLOWUP_FILE
    if not path.is_file():
        return None
    try:
        return course_of_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        say(f"{path} cannot be read ({type(error).__name__}: {error}): without follow-up. {AGAIN}")
        return None


def course_of_json(text: str) -> JudgedCourse:
    """The way back from :func:`course_json`; the response is judged anew.

    Raises:
        ValueError, KeyError, TypeError: it is no such file, or an old one.
    """
    known = json.loads(text)
    if known["format"] != FORMAT:
        raise ValueError("another kind of file")
    points = tuple(_read_point(point) for point in known["time_points"])
    steps = tuple(
        _read_step(step, *ends) for step, ends in zip(known["steps"], pairwise(points), strict=True)
    )
    bridges = {(int(one["from"]), int(one["to"])): _read_pairs(one["pairs"]) for one in known["bridges"]}
    said = known["reader"]
    course = Course(points, steps, bridges, tuple(map(str, said["warnings"])))
    targets = None if said["targets"] is None else tuple(map(int, said["targets"]))
    elsewhere = _read_elsewhere(said["elsewhere_mm"], said.get("elsewhere_nodes"), len(points))
    non_target = NonTarget(said["non_target"])
    told = known.get("mrecist")
    enhancing = () if told is None else _read_elsewhere(told["enhancing_mm"], None, len(points))
    return JudgedCourse(
        course,
        response_of(course, targets, non_target, elsewhere),
        targets,
        elsewhere,
        None if known["choi"] is None else _read_choi(known["choi"]),
        non_target,
        mrecist_of(course, enhancing, non_target) if enhancing else None,
        enhancing,
    )


def _read_step(step: Mapping[str, Any], prior: TimePoint, current: TimePoint) -> FollowUp:
    fit = step["registration"]
    return FollowUp(
        prior,
        current,
        _read_pairs(step["pairs"]),
        str(fit["failed"]),
        tuple(map(str, step["warnings"])),
        _float(fit["dice"]),
        _float(fit["gap_mm"]),
        # Files of earlier versions have none.
        tuple(map(_read_joined, step.get("joined_outlines", ()))),
    )


def _read_joined(one: Mapping[str, Any]) -> JoinedOutline:
    parts = one["parts"]
    return JoinedOutline(
        one["scan"] == "current",
        int(one["number"]),
        tuple(int(part["of"]) for part in parts),
        tuple(_float(part["long_axis_mm"]) for part in parts),
        tuple(_float(part["volume_ml"]) for part in parts),
    )


def _read_pairs(pairs: Sequence[Mapping[str, Any]]) -> tuple[Pair, ...]:
    return tuple(
        Pair(
            tuple(map(int, pair["prior"])),
            tuple(map(int, pair["current"])),
            LesionState(pair["state"]),
            _float(pair["distance_mm"]),
            bool(pair["by_reader"]),
            # Files of earlier versions do not know.
            bool(pair.get("wide", False)),
        )
        for pair in pairs
    )


def _read_point(point: Mapping[str, Any]) -> TimePoint:
    lesions = [
        LesionSize(
            int(x["number"]),
            str(x["tracking_uid"]),
            _float(x["long_axis_mm"]),
            _float(x["short_axis_mm"]),
            _float(x["volume_ml"]),
            _float(x["long_axis_low_mm"]),
            _float(x["long_axis_high_mm"]),
            treated=bool(x["treated"]),
            confirmed=bool(x["confirmed"]),
            hu_mean=_float(x["hu_mean"]),
            by_network=bool(x.get("by_network", False)),
            cut=bool(x.get("cut", False)),
        )
        for x in point["lesions"]
    ]
    day = None if point["day"] is None else date.fromisoformat(point["day"])
    sizes = {x.number: x for x in lesions}
    return TimePoint(
        str(point["name"]), day, sizes, _float(point["slice_thickness_mm"]), bool(point["reviewed"])
    )


def _read_choi(choi: Mapping[str, Any]) -> ChoiAssessment:
    percent = _float(choi["size_percent"]), _float(choi["density_percent"])
    return ChoiAssessment(Response(choi["response"]), *percent)


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)
