"""A message to the reader: the words that it is written with and known again by, and its kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Flag, auto
from functools import cache

FREE = ("name", "name_now", "names", "which", "response", "non_target", "landmarks", "gaps", "who", "what")
"""Fields that hold anything; any other holds a number, a short word or a phase."""
PHASES = ("phase", "phase_now", "phase_taken")
"""Fields that hold the name of a contrast phase."""

_FIELD = re.compile(r"{(\w+)(?::[^}]*)?}")


class Kind(Flag):
    """What a message means for everything else that is said."""

    PLAIN = 0
    LEADS = auto()
    """All findings can hardly be true, or are of another scan: it stands before them."""
    DOUBTS_DENSITY = auto()
    """Densities are in doubt, their phase, or that they are a liver's: nothing is concluded from them."""


@dataclass(frozen=True)
class Message:
    """A message with fields, as `str.format` fills them.

    What a case, a scene or a file keeps is the sentence alone; it is known again by all of its words, so that
    its kind cannot be lost on the way, nor be another one's that begins alike.

    Attributes:
        words: English, such as "{ml:.0f} mL are too much.".
        kind: what it means for the rest.
    """

    words: str
    kind: Kind = Kind.PLAIN

    def say(self, **fields: object) -> str:
        """The sentence."""
        return self.words.format(**fields)

    def about(self, who: str) -> Message:
        """The message of one scan, in which the field `who` is filled."""
        return replace(self, words=self.words.replace("{who}", who))

    @property
    def key(self) -> str:
        """The words with bare fields, by which tables of translations know it: "{ml} mL are too much."."""
        return _FIELD.sub(r"{\1}", self.words)

    def is_said_by(self, sentence: str) -> bool:
        """Whether a sentence is this message, whatever its fields hold."""
        return pattern_of(self.words).fullmatch(sentence) is not None

    def changed(self, sentence: str, change: Callable[[str], str]) -> str:
        """The sentence with what its free fields hold changed, and its own words as they are."""
        found = pattern_of(self.words).fullmatch(sentence)
        assert found is not None
        free = [name for name in found.groupdict() if name in FREE]
        for name in sorted(free, key=found.start, reverse=True):
            start, end = found.span(name)
            sentence = sentence[:start] + change(found[name]) + sentence[end:]
        return sentence


@cache
def pattern_of(words: str) -> re.Pattern[str]:
    """The expression that a message's sentences match, with a group for every field."""
    parts = _FIELD.split(words)
    made = [re.escape(parts[0])]
    for name, after in zip(parts[1::2], parts[2::2], strict=True):
        kind = ".+?" if name in FREE else r"portal venous|[\w-]+" if name in PHASES else r"[<>]?[\w.+-]+"
        made += [f"(?P<{name}>{kind})", re.escape(after)]
    return re.compile("".join(made), re.DOTALL)
