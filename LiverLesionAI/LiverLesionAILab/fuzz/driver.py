"""Throws mutated inputs at the reader in a process of its own, and judges what comes back."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.support.limited_child import ChildFailure, LimitedChild
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.support.text import printable

from .mutation import Files, Format, Mutation, Sample, Special

MODULE = "LiverLesionAILab.fuzz.reader"
MEMORY_BYTES, TIMEOUT_S = 4 * 10**9, 20.0
# A grid that moved less than this, in voxels, is the same: less than numbers in headers are rounded.
SAME_VOXELS = 0.1
DRAWS = 1000


class Outcome(Enum):
    """What a reader made of a mutated input."""

    REFUSED = "refused"
    SAME = "read, unchanged"
    SAID = "read, changed and said"
    SILENT = "read, changed silently"
    NAMELESS = "refused without the file's name"
    TRACEBACK = "traceback"
    FAILED = "crash, hang or memory"


@dataclass(frozen=True)
class Case:
    """One mutated input.

    Attributes:
        number: with the seed it makes the same input again.
        format, sample: where it came from.
        mutation: what was done to it, and whether that can be known.
    """

    number: int
    format: str
    sample: Sample
    mutation: Mutation


@dataclass(frozen=True)
class Verdict:
    """A case with what came of it."""

    case: Case
    outcome: Outcome
    detail: str

    @property
    def wrong(self) -> bool:
        """Whether the reader failed."""
        if self.outcome is Outcome.SILENT:
            return self.case.mutation.detectable
        return self.outcome in (Outcome.NAMELESS, Outcome.TRACEBACK, Outcome.FAILED)

    @property
    def record(self) -> Record:
        """What is kept of it."""
        case, mutation = self.case, self.case.mutation
        return Record(
            case.number,
            case.format,
            case.sample.name,
            mutation.what,
            mutation.evidence,
            self.outcome.value,
            self.wrong,
            self.detail[-300:],
        )


@dataclass(frozen=True)
class Record:
    """A verdict in words, as it is kept in a file.

    Attributes:
        number, format: of the case.
        sample, mutation, evidence: what was done to which sound input, and what gives it away; "": nothing.
        outcome: an :class:`Outcome`'s value.
        wrong: whether the reader failed.
        detail: the reader's own words.
    """

    number: int
    format: str
    sample: str
    mutation: str
    evidence: str
    outcome: str
    wrong: bool
    detail: str


class Fuzzer:
    """Makes and judges mutated inputs, the same ones for the same seed.

    Args:
        formats: by name.
        seed: of all cases.
    """

    def __init__(self, formats: Mapping[str, Format], seed: int) -> None:
        self._formats, self._seed = dict(formats), seed
        self._samples = {name: made.samples() for name, made in formats.items()}
        self._sound: dict[str, Mapping[str, Any]] = {}

    def case(self, number: int) -> Case:
        """The case of a number; formats take turns."""
        names = sorted(self._formats)
        name = names[number % len(names)]
        rng = np.random.default_rng([self._seed, number])
        samples, mutators = self._samples[name], self._formats[name].mutators
        for _ in range(DRAWS):
            sample = samples[int(rng.integers(len(samples)))]
            mutation = mutators[int(rng.integers(len(mutators)))](sample, rng)
            if mutation is not None:
                return Case(number, name, sample, mutation)
        raise RuntimeError(f"no mutator of {name} has anything for its samples")

    def labels(self, numbers: Sequence[int]) -> Counter[tuple[str, bool]]:
        """How many cases of each format can be known to be wrong; no reader sees them."""
        cases = map(self.case, numbers)
        return Counter((case.format, case.mutation.detectable) for case in cases)

    def run(self, numbers: Sequence[int], progress: Progress = silent) -> Iterator[Verdict]:
        """Throw the cases of these numbers; a verdict for each.

        Raises:
            RuntimeError: a sound sample is not read without a word.
        """
        with (
            LimitedChild(MODULE, MEMORY_BYTES) as child,
            tempfile.TemporaryDirectory(prefix="fuzz-") as folder,
        ):
            for index, number in enumerate(numbers):
                case = self.case(number)
                self._read_sound(case.sample, child, Path(folder))
                progress(f"{case.format}: {number}", index / len(numbers))
                with placed(Path(folder), case.mutation.files, case.mutation.opened) as path:
                    yield self._verdict(case, child, path)

    def _read_sound(self, sample: Sample, child: LimitedChild, folder: Path) -> None:
        if sample.name in self._sound:
            return
        with placed(folder, sample.files, sample.opened) as path:
            answer = child.ask({"path": os.fsencode(path).hex()}, TIMEOUT_S)[0]
        if "digest" not in answer:
            raise RuntimeError(f"the sound sample {sample.name} is not read: {answer}")
        self._sound[sample.name] = answer

    def _verdict(self, case: Case, child: LimitedChild, path: Path) -> Verdict:
        try:
            answer = child.ask({"path": os.fsencode(path).hex()}, TIMEOUT_S)[0]
        except ChildFailure as failure:
            return Verdict(case, Outcome.FAILED, str(failure))
        if "traceback" in answer:
            return Verdict(case, Outcome.TRACEBACK, answer["traceback"])
        if "refused" in answer:
            text = answer["refused"]
            names = {printable(name) for name in (*case.mutation.files, case.mutation.opened) if name}
            named = path.name in text or any(name in text or name[:60] in text for name in names)
            return Verdict(case, Outcome.REFUSED if named else Outcome.NAMELESS, text)
        sound = self._sound[case.sample.name]
        news = [sentence for sentence in answer["said"] if sentence not in sound["said"]]
        if same_volume(sound, answer):
            return Verdict(case, Outcome.SAME, " ".join(news))
        return Verdict(case, Outcome.SAID if news else Outcome.SILENT, " ".join(news))


def same_volume(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two answers have the same voxels in the same place."""
    if first["digest"] != second["digest"] or first["shape"] != second["shape"]:
        return False
    one, other = (np.array(answer["matrix"]) for answer in (first, second))
    corners = np.array([(*c, 1.0) for c in product(*((0, n - 1) for n in first["shape"][::-1]))])
    apart = np.linalg.solve(one, (other - one) @ corners.T)[:3]
    return float(np.abs(apart).max()) <= SAME_VOXELS


class placed:
    """Files written into an empty folder, and cleared away after."""

    def __init__(self, folder: Path, files: Files, opened: bytes) -> None:
        self._folder, self._files, self._opened = os.fsencode(folder / "case"), files, opened

    def __enter__(self) -> Path:
        os.mkdir(self._folder)
        for name, content in self._files.items():
            place = os.path.join(self._folder, name)
            if content is Special.PIPE:
                os.mkfifo(place)
            elif content is Special.FOLDER:
                os.mkdir(place)
            else:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with open(place, "wb") as file:
                    file.write(content)  # type: ignore[arg-type]
        return Path(os.fsdecode(os.path.join(self._folder, self._opened)))

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def counts_table(records: Sequence[Record]) -> str:
    """Outcomes by format and label, as a table in Markdown."""
    heads = [outcome.value for outcome in Outcome]
    lines = [f"| format | evidence | cases | {' | '.join(heads)} |", f"|{'---|' * (3 + len(heads))}"]
    for name in sorted({r.format for r in records}):
        for detectable in (True, False):
            group = [r for r in records if (r.format, bool(r.evidence)) == (name, detectable)]
            counted = Counter(r.outcome for r in group)
            cells = " | ".join(str(counted[head]) for head in heads)
            lines.append(f"| {name} | {'yes' if detectable else 'no'} | {len(group)} | {cells} |")
    return "\n".join(lines)
