"""What the reader says of a comparison: which lesions are one, which are new or gone, which are targets.

Kept apart from what is computed, so that a second analysis or registration changes none of it. Lesions are
named by their tracking UID, or "#3" where they have none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from .criteria import Diagnosis
from .followup import FollowUp, LesionSize, LesionState, Pair, linked, unlinked
from .other_targets import OtherTarget
from .recist import NonTarget

NOTHING = ""
"""In a link: no lesion of that scan."""

REMOVED = "removed"
"""In a link, for the current scan: the lesion was resected."""

Link = tuple[str, str]
"""Key in the prior scan, key in the current one: `NOTHING` for gone or new, `REMOVED` for resected."""


def key_of(lesion: LesionSize) -> str:
    """What a lesion is named by for ever."""
    return lesion.tracking_uid or f"#{lesion.number}"


def number_of(key: str, lesions: Mapping[int, LesionSize]) -> int | None:
    """The lesion of a key; None where it is no longer there."""
    return next((number for number, lesion in lesions.items() if key_of(lesion) == key), None)


@dataclass(frozen=True)
class ReaderWords:
    """The reader's decisions on one comparison; the newest of two that contradict each other counts.

    Attributes:
        links: see :data:`Link`.
        targets: keys in the oldest scan; None takes the proposed ones.
        non_target: the reader's word on all other lesions.
        elsewhere: targets outside of the liver.
        prior_day, current_day: of the studies, where the reader gave them.
        diagnosis: what the lesions are, where the reader wants that disease's criteria too.
        enhancing: of an HCC, the targets' enhancing diameters at every scan.
        outlines: those round several lesions of the other scan that the reader has found right: the key in
            its own scan, `NOTHING` for the other.
    """

    links: tuple[Link, ...] = ()
    targets: tuple[str, ...] | None = None
    non_target: NonTarget = NonTarget.NONE
    elsewhere: tuple[OtherTarget, ...] = ()
    prior_day: date | None = None
    current_day: date | None = None
    diagnosis: Diagnosis | None = None
    enhancing: tuple[OtherTarget, ...] = ()
    outlines: tuple[Link, ...] = ()

    def linking(self, prior: str, current: str) -> ReaderWords:
        """Two lesions are one; or with `NOTHING` one is gone, or new, with `REMOVED` it was resected."""
        known = "" if current == REMOVED else current
        kept = [
            link
            for link in self.links
            if not (prior and link[0] == prior) and not (known and link[1] == known)
        ]
        return replace(self, links=(*kept, (prior, current)))

    def unlinking(self, prior: str, current: str) -> ReaderWords:
        """Two lesions are not one: the one is gone, the other new."""
        return self.linking(prior, NOTHING).linking(NOTHING, current)

    @property
    def text(self) -> str:
        """To be kept with a scene."""
        days = [None if day is None else day.isoformat() for day in (self.prior_day, self.current_day)]
        return json.dumps({
            "links": [list(link) for link in self.links],
            "targets": None if self.targets is None else list(self.targets),
            "non_target": self.non_target.name,
            "elsewhere": [list(target.axes_mm) for target in self.elsewhere],
            "nodes": [target.node for target in self.elsewhere],
            "days": days,
            "diagnosis": None if self.diagnosis is None else self.diagnosis.name,
            "enhancing": [list(target.axes_mm) for target in self.enhancing],
            "outlines": [list(ends) for ends in self.outlines],
        })  # fmt: skip

    @classmethod
    def from_text(cls, text: str | None) -> ReaderWords:
        """The way back from :attr:`text`; nothing said where it is empty or damaged."""
        if not text:
            return cls()
        try:
            known = json.loads(text)
            days = [None if day is None else date.fromisoformat(day) for day in known["days"]]
            # Scenes of earlier versions know of no further criteria.
            diagnosis = known.get("diagnosis")
            return cls(
                tuple((str(prior), str(current)) for prior, current in known["links"]),
                None if known["targets"] is None else tuple(map(str, known["targets"])),
                NonTarget[known["non_target"]],
                _elsewhere(known["elsewhere"], known.get("nodes", ())),
                prior_day=days[0],
                current_day=days[1],
                diagnosis=None if diagnosis is None else Diagnosis[diagnosis],
                enhancing=_elsewhere(known.get("enhancing", ()), ()),
                outlines=tuple((str(prior), str(current)) for prior, current in known.get("outlines", ())),
            )
        except (ValueError, KeyError, TypeError):
            return cls()


def _elsewhere(axes_mm: Sequence[Sequence[Any]], nodes: Sequence[Any]) -> tuple[OtherTarget, ...]:
    """As they are kept; scenes of earlier versions know of no lymph nodes."""
    told = [*map(bool, nodes), *[False] * (len(axes_mm) - len(nodes))]
    return tuple(
        OtherTarget(tuple(None if mm is None else float(mm) for mm in axes), node)
        for axes, node in zip(axes_mm, told, strict=True)
    )


def laid_on(dragged: Pair, target: Pair) -> tuple[int, int] | None:
    """The lesions that are one where a reader lays one pair's row onto another's: (prior's, current's).

    A lesion of one scan finds the one of the other; of two whole pairs the dragged one's prior lesion is the
    other one's current one. None where both are of one scan alone, or one of them holds several lesions.
    """
    if dragged == target or any(len(p) > 1 for pair in (dragged, target) for p in (pair.prior, pair.current)):
        return None
    ends = (dragged.prior, target.current), (target.prior, dragged.current)
    return next(((before[0], now[0]) for before, now in ends if before and now), None)


def with_reader_words(followup: FollowUp, words: ReaderWords) -> FollowUp:
    """The pairs as the reader has corrected and confirmed them; words on lesions that are gone are left."""
    if followup.failed:
        return followup
    for prior_key, current_key in words.links:
        prior = number_of(prior_key, followup.prior.lesions) if prior_key else None
        current = number_of(current_key, followup.current.lesions) if current_key else None
        if prior is not None and current is not None:
            followup = linked(followup, prior, current)
        elif prior is not None and not current_key:
            followup = _gone(followup, prior)
        elif prior is not None and current_key == REMOVED:
            resected = Pair((prior,), (), LesionState.RESECTED)
            followup = _sure(_gone(followup, prior), resected, by_reader=True)
        elif current is not None and not prior_key:
            followup = _new(followup, current)
    pairs = tuple(
        replace(pair, by_reader=True) if outline_of(followup, pair) in words.outlines else pair
        for pair in followup.pairs
    )
    return replace(followup, pairs=pairs)


def outline_of(followup: FollowUp, pair: Pair) -> Link | None:
    """What the outline of a pair that is too wide is named by in :class:`ReaderWords`; None for others."""
    one = followup.wide_of(pair)
    if one is None:
        return None
    if one.in_current:
        return NOTHING, key_of(followup.current.lesions[one.number])
    return key_of(followup.prior.lesions[one.number]), NOTHING


def _gone(followup: FollowUp, prior: int) -> FollowUp:
    pair = next(p for p in followup.pairs if prior in p.prior)
    if pair.current:
        apart = unlinked(followup, prior, pair.current[0])
        # The current one is not confirmed by that.
        return _sure(apart, Pair((), (pair.current[0],), LesionState.NEW), by_reader=False)
    return _sure(followup, Pair((prior,), (), LesionState.GONE), by_reader=True)


def _new(followup: FollowUp, current: int) -> FollowUp:
    pair = next(p for p in followup.pairs if current in p.current)
    if pair.prior:
        apart = unlinked(followup, pair.prior[0], current)
        return _sure(apart, Pair((pair.prior[0],), (), LesionState.GONE), by_reader=False)
    return _sure(followup, Pair((), (current,), LesionState.NEW), by_reader=True)


def _sure(followup: FollowUp, wanted: Pair, *, by_reader: bool) -> FollowUp:
    """One lesion alone, as new or gone; said by the reader or proposed."""
    return replace(
        followup,
        pairs=tuple(
            replace(pair, state=wanted.state, by_reader=by_reader)
            if (pair.prior, pair.current) == (wanted.prior, wanted.current)
            else pair
            for pair in followup.pairs
        ),
    )
