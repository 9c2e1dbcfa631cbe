"""What the fuzzer throws: sound samples, their mutations with labels, and the formats that provide both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from numpy.random import Generator


class Special(Enum):
    """What may stand in the place of a file."""

    PIPE = "pipe"
    FOLDER = "folder"


Files = Mapping[bytes, bytes | Special]
"""Contents by name; names are bytes, as file systems have them."""


@dataclass(frozen=True)
class Sample:
    """A sound input.

    Attributes:
        name: of the sample in the corpus.
        opened: the file that is given to the reader; b"" for the folder itself.
        files: everything that belongs to it.
        data_file: the file that holds the voxels.
        data_at: where the (encoded) voxels begin in it; a mutation of data stays behind.
        packed: the voxels are under a checksum.
        fields: of the header, by name, as `build` takes them.
        build: the files with other fields, or other voxels under "values".
    """

    name: str
    opened: bytes
    files: Files
    data_file: bytes
    data_at: int = 0
    packed: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    build: Callable[[Mapping[str, Any]], Files] | None = None


@dataclass(frozen=True)
class Mutation:
    """A sample with something wrong.

    Attributes:
        what: in words, with the place and the value.
        evidence: what in the file gives it away (checksum, length, redundant field, consistency,
            plausibility); "" where nothing does. Decided here, before any reader sees it.
        files, opened: as of :class:`Sample`.
    """

    what: str
    evidence: str
    files: Files
    opened: bytes

    @property
    def detectable(self) -> bool:
        """Whether a reader that changes the volume without a word is wrong."""
        return bool(self.evidence)


Mutator = Callable[[Sample, Generator], Mutation | None]
"""Makes one mutation; None where it has none for this sample."""


@dataclass(frozen=True)
class Format:
    """A format under test.

    Attributes:
        samples: makes its sound inputs.
        mutators: all are drawn equally often.
    """

    samples: Callable[[], list[Sample]]
    mutators: tuple[Mutator, ...]


def with_data(sample: Sample, data: bytes, what: str, evidence: str) -> Mutation:
    """The sample with other bytes in its data file."""
    return Mutation(what, evidence, {**sample.files, sample.data_file: data}, sample.opened)


def with_fields(sample: Sample, what: str, evidence: str, **changes: Any) -> Mutation | None:
    """The sample with other fields in its header."""
    if sample.build is None:
        return None
    return Mutation(what, evidence, sample.build({**sample.fields, **changes}), sample.opened)
