"""What a CT's name and header say of its contrast phase, weighed beside the picture and held against it.

A hint multiplies the odds of the phases that it speaks for. A picture that is sure outweighs it, and the
contradiction is told; between phases that look alike, such as portal venous and delayed, it decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ...case.classes import Phase
from ...case.messages import CONTRADICTED, CONTRADICTED_AND_TAKEN, DECIDED, NAMED_AGAINST
from ...case.phases import hinted
from ...support.text import chance
from ...volume.contrast import ContrastHeader
from ...volume.ct import CtVolume

_ALL = tuple(Phase)


@dataclass(frozen=True)
class HintSettings:
    """How far hints are believed; the page of rules has the values and their reasons.

    Attributes:
        delays_s: (from, to) after the start of the injection: arterial, portal venous, delayed. In between
            nothing is claimed.
        delay_odds: for a phase that the delay names.
        described_odds: for one that a series' description names.
        agent_odds: for (or against) all phases but the unenhanced, where contrast medium was given (or not).
    """

    PREFIX: ClassVar[str] = "hint_"

    delays_s: tuple[tuple[float, float], ...]
    delay_odds: float
    described_odds: float
    agent_odds: float


@dataclass(frozen=True)
class Hint:
    """One thing that is said of a phase.

    Attributes:
        phases: those it speaks for.
        odds: for them.
        what: as a sentence goes on after "The CT", such as "is called arterial".
    """

    phases: tuple[Phase, ...]
    odds: float
    what: str

    @property
    def factors(self) -> NDArray[np.float64]:
        """What the probability of each phase is multiplied with, before they sum to 1 again."""
        return np.array([self.odds if phase in self.phases else 1.0 for phase in _ALL])


def hints_of(volume: CtVolume, settings: HintSettings) -> tuple[Hint, ...]:
    """What is said of a CT's phase by its name (mostly the series' description) and its header."""
    found = []
    if (described := hinted(volume.name)) is not None:
        found.append(Hint((described,), settings.described_odds, f"is called {described.title}"))
    return (*found, *_of_header(volume.contrast, settings))


def _of_header(header: ContrastHeader, settings: HintSettings) -> list[Hint]:
    found = []
    phase = phase_at(header.delay_s, settings)
    if phase is not None:
        what = f"by its header was taken {header.delay_s:.0f} s after the injection began ({phase.title})"
        found.append(Hint((phase,), settings.delay_odds, what))
    elif header.agent is not None:
        if header.agent:
            after = tuple(one for one in _ALL if one is not Phase.UNENHANCED)
            found.append(Hint(after, settings.agent_odds, "by its header was taken with contrast medium"))
        else:
            what = "by its header was taken without contrast medium"
            found.append(Hint((Phase.UNENHANCED,), settings.agent_odds, what))
    return found


def phase_at(delay_s: float | None, settings: HintSettings) -> Phase | None:
    """The phase so long after the start of an injection; None between two, and where nothing is known."""
    if delay_s is None:
        return None
    enhanced = [phase for phase in _ALL if phase is not Phase.UNENHANCED]
    for phase, (first, last) in zip(enhanced, settings.delays_s, strict=True):
        if first <= delay_s <= last:
            return phase
    return None


def weighed(seen: NDArray[np.float64], hints: Sequence[Hint]) -> NDArray[np.float64]:
    """Probabilities of the phases by picture and hints together.

    Args:
        seen: (4,) by the picture alone.
    """
    shares = np.prod([seen, *(hint.factors for hint in hints)], axis=0)
    return np.asarray(shares / shares.sum(), np.float64)


def hint_sentences(who: str, seen: NDArray[np.float64], hints: Sequence[Hint], sure: float) -> list[str]:
    """What the reader has to know: a hint that a sure picture contradicts, and a phase that hints decided.

    Args:
        who: "The CT", or which other scan.
        seen: (4,) by the picture alone.
        sure: probability from which it is.
    """
    looks, probability = _ALL[int(seen.argmax())], float(seen.max())
    together = weighed(seen, hints)
    taken = _ALL[int(together.argmax())]
    against = [hint for hint in hints if looks not in hint.phases]
    if probability >= sure:
        message = CONTRADICTED if taken is looks else CONTRADICTED_AND_TAKEN
    elif taken is not looks:
        message, against = DECIDED, against[:1]
    else:
        return []
    return [
        message.say(
            who=who, what=hint.what, phase_now=looks.title, p=chance(probability), phase_taken=taken.title
        )
        for hint in against
    ]


def against_the_reader(who: str, stated: Phase, hints: Sequence[Hint]) -> list[str]:
    """What name and header say against the phase that the reader named."""
    return [
        NAMED_AGAINST.say(who=who, phase_now=stated.title, what=hint.what)
        for hint in hints
        if stated not in hint.phases
    ]
