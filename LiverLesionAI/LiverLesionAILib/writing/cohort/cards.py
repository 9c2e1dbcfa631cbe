"""What the cohort's page says of each case: findings, change, warnings, and how doubtful it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ...case.lesion_anatomy_json import segments_in
from ..review_file import Review

OUTLIER = 3.5
"""Modified z-score from which a liver's volume is an outlier (Iglewicz and Hoaglin, 1993)."""
FEWEST_FOR_OUTLIERS = 5
MANY = 5
"""Lesions from which a case has many: more than RECIST's five targets leave out."""


@dataclass(frozen=True)
class Card:
    """One case, named by a number only.

    Attributes:
        number: in the cohort.
        lesions: that count; `decided` of all that the model proposed or the reader drew.
        burden_percent, liver_ml: None where not known.
        change: from the last scan, in words; "" without one.
        warnings: sentences for the reader.
        doubt: 0 (none) to 1; `reason` says of what.
        outlier: the liver's volume is far from the cohort's.
        segments: where its lesions lie, "" where that is not said.
        links: (text, path beside the page).
        thumbnail: path beside the page, "" without one.
    """

    number: int
    lesions: int
    decided: str
    burden_percent: float | None
    liver_ml: float | None
    phase: str
    change: str
    warnings: tuple[str, ...]
    doubt: float
    reason: str
    outlier: bool = False
    segments: str = ""
    links: tuple[tuple[str, str], ...] = ()
    thumbnail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return asdict(self)


def card_of(
    number: int, findings: dict[str, Any], followup: dict[str, Any] | None, review: Review | None = None
) -> Card:
    """A card from a case's findings.json and followup.json, and the reader's review of it."""
    listed = findings["lesions"]
    counted = [lesion for lesion in listed if lesion["status"] not in ("rejected", "not_liver")]
    decided = sum(lesion["status"] != "undecided" for lesion in listed)
    liver, phase = findings["liver"], findings["contrast_phase"]
    doubt, reason = doubt_of(findings)
    notes = [*findings["notes"], *(followup["warnings"] if followup else ())]
    # Lesions that the reader drew are in the review alone.
    drawn = review.lesions - len(counted) if review is not None else 0
    burden = liver["tumour_burden_percent"]
    if review is not None and review.burden_percent is not None:
        burden = review.burden_percent
    done = f"{decided} of {len(listed)} decided" if listed else ""
    if review is not None and review.reviewed:
        done, doubt, reason = "reviewed", 0.0, ""
    return Card(
        number,
        len(counted) + max(0, drawn),
        done,
        burden,
        liver["volume_ml"],
        phase["name"] if phase else "",
        change_text(followup),
        tuple(notes),
        doubt,
        reason,
        segments=segments_in(findings),
    )


def doubt_of(findings: dict[str, Any]) -> tuple[float, str]:
    """How much a case wants a reader's eye, 0 to 1, and why: the largest of its reasons.

    No liver: 1. A lesion that nobody has decided on: 1 at a score of 0.5, 0 at 0 and 1. A warning on the
    contrast phase: half of how unsure the phase is, and at least 0.25.
    """
    reasons = [(0.0, "")]
    if not findings["liver"]["volume_ml"]:
        reasons.append((1.0, "no liver was found"))
    for lesion in findings["lesions"]:
        if lesion["status"] == "undecided" and lesion["score"] is not None:
            unsure = 1 - abs(2 * lesion["score"] - 1)
            reasons.append((unsure, f"lesion {lesion['number']}: score {lesion['score']:.2f}"))
    phase = findings["contrast_phase"]
    if phase and phase["warning"]:
        unsure = max(0.25, 0.5 * (1 - (phase["probability"] or 0.0)))
        reasons.append((unsure, "the contrast phase"))
    doubt, reason = max(reasons, key=lambda item: item[0])
    return round(doubt, 4), reason


def change_text(followup: dict[str, Any] | None) -> str:
    """The change from the last scan: response, sum of diameters, new lesions."""
    if followup is None:
        return ""
    if followup["registration"]["failed"]:
        return "could not be compared"
    parts = []
    if followup["recist"]:
        parts.append(str(followup["recist"]["overall"]))
    sums = [mm for mm in followup["sums_mm"] if mm is not None]
    if len(sums) > 1 and sums[-2]:
        parts.append(f"sum {sums[-2]:.0f} to {sums[-1]:.0f} mm ({100 * (sums[-1] / sums[-2] - 1):+.0f} %)")
    new = sum(pair["state"] == "new" for pair in followup["pairs"])
    if new:
        parts.append(f"{new} new")
    return ", ".join(parts) or "no lesion to compare"


def with_outliers(cards: Sequence[Card]) -> list[Card]:
    """The cards with livers marked whose volume is far from the cohort's median, the most doubtful first."""
    volumes = [card.liver_ml for card in cards if card.liver_ml]
    marked = list(cards)
    if len(volumes) >= FEWEST_FOR_OUTLIERS:
        middle = statistics.median(volumes)
        spread = statistics.median(abs(volume - middle) for volume in volumes)
        marked = [
            replace(card, outlier=bool(card.liver_ml) and _z(card.liver_ml or 0.0, middle, spread) > OUTLIER)
            for card in cards
        ]
    return sorted(marked, key=lambda card: (-card.doubt, card.number))


def _z(value: float, middle: float, spread: float) -> float:
    """Modified z-score by the median absolute deviation."""
    if not spread:
        return 0.0 if math.isclose(value, middle) else math.inf
    return 0.6745 * abs(value - middle) / spread
