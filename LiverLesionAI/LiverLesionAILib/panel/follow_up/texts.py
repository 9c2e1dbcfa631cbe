"""Sentences on a comparison, as rich text for the panel."""

from __future__ import annotations

import math
from html import escape

from ...case.comparison import laid_on
from ...case.criteria import Diagnosis, not_arterial, volume_change_percent
from ...case.followup import Pair
from ...case.followup_columns import STABLE_CHANGED, numbers_text, stable_though_changed
from ...case.other_targets import other_targets_text
from ...review.comparing import ComparedCase


def state_html(compared: ComparedCase) -> str:
    """How the two scans lie on each other, and what is doubtful."""
    followup = compared.followup
    days = ", days between unknown" if followup.days is None else f", {followup.days} days"
    fit = (
        ""
        if math.isnan(followup.dice)
        else f" Livers: Dice {followup.dice:.2f}, {followup.gap_mm:.0f} mm apart."
    )
    lines = [f"Beside <b>{escape(followup.prior.name)}</b>{days}.{fit if not followup.failed else ''}"]
    if followup.failed:
        lines.append(f"<b>{escape(followup.failed)}</b>")
    elif followup.days is None:
        lines.append("<small>How fast lesions grow is told once both dates are typed below.</small>")
    if any(pair.proposed for pair in followup.pairs):
        lines.append("<small>? is a proposal until you confirm it.</small>")
    if changed := stable_though_changed(followup):
        lines.append(f"<small>{STABLE_CHANGED.format(numbers=changed)}</small>")
    for pair in followup.pairs:
        if (one := followup.joined_of(pair)) is not None:
            lines.append(f"<small>{escape(one.text)} Select its row and click Split, or leave it.</small>")
        elif (wide := followup.wide_of(pair)) is not None:
            lines.append(f"⚠ {escape(wide.text)} Correct it, or select its row and click Confirm.")
    lines += [f"⚠ {escape(warning)}" for warning in compared.warnings]
    return "<br>".join(lines)


def response_html(compared: ComparedCase) -> str:
    """The category with its arithmetic; what is missing for one where there is none."""
    response = compared.response
    if response is None:
        if compared.followup.failed:
            return ""
        lines = [
            "RECIST 1.1: no target. Measurable from 10 mm long axis (twice the slice thickness above 5 mm)."
        ]
        return "<br>".join([*lines, *_further(compared)])
    word = "provisional" if response.provisional else "confirmed"
    lines = [f"RECIST 1.1: <b>{response.overall.value}</b> ({word})"]
    lines += [f"<small>{escape(sentence)}</small>" for sentence in response.arithmetic]
    if response.uncertain:
        possible = " or ".join(one.value for one in response.possible)
        more = " and by what is not confirmed" if compared.course.has_proposals else ""
        lines.append(f"<small>Uncertain, by the measurements' intervals{more}: {possible}.</small>")
    if response.provisional:
        lines.append(f"<small>Provisional: {escape(response.provisional)}.</small>")
    return "<br>".join([*lines, *_further(compared)])


def _further(compared: ComparedCase) -> list[str]:
    """The targets' volume, and the criteria of the disease that the reader has named."""
    judged, lines = compared.judged, []
    volume = volume_change_percent(judged.course, judged.targets)
    if math.isfinite(volume):
        lines.append(f"<small>Volume of the targets in the liver: {volume:+.0f} % from the baseline.</small>")
    if (choi := judged.choi) is not None:
        change = [
            f"{p:+.0f} %" if math.isfinite(p) else "unknown" for p in (choi.size_percent, choi.hu_percent)
        ]
        word = "provisional" if judged.course.provisional else "confirmed"
        lines.append(f"Choi (GIST): <b>{choi.response.value}</b> ({word})")
        lines.append(f"<small>Size {change[0]} (from -10 % a response, from +10 % progression), density ")
        lines[-1] += f"{change[1]} (from -15 % a response).</small>"
    if (mrecist := judged.mrecist) is not None:
        word = "provisional" if mrecist.provisional else "confirmed"
        lines.append(f"mRECIST (HCC): <b>{mrecist.overall.value}</b> ({word})")
        lines.append(f"<small>Enhancing, mm: {escape(other_targets_text(judged.enhancing))}.</small>")
        lines += [f"<small>{escape(sentence)}</small>" for sentence in mrecist.arithmetic]
    elif compared.words.diagnosis is Diagnosis.HCC and not not_arterial(judged.course, compared.phases):
        lines.append("mRECIST (HCC): type the longest enhancing diameters of its targets below.")
    return lines


def drop_text(dragged: Pair, target: Pair | None) -> str:
    """What a row says where it is let go on another one, or on none."""
    if target is None:
        if not (dragged.prior and dragged.current):
            return "It is in one of the scans only: nothing to unlink."
        before, now = numbers_text(dragged.prior), numbers_text(dragged.current)
        return f"Prior lesion {before} and present lesion {now} are not the same."
    ends = laid_on(dragged, target)
    if ends is not None:
        return f"Prior lesion {ends[0]} and present lesion {ends[1]} are the same."
    if any(len(numbers) > 1 for pair in (dragged, target) for numbers in (pair.prior, pair.current)):
        return "One of these rows holds several lesions: unlink it first."
    return "Both are lesions of one scan: drag onto one of the other scan."
