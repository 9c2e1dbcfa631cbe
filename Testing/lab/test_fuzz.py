"""500 mutated inputs against the reader; the fuzzer itself on readers that fail."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.commands import FUZZ
from LiverLesionAILab.fuzz import driver
from LiverLesionAILab.fuzz.corpus import metaimage_samples, nifti_samples, nrrd_samples
from LiverLesionAILab.fuzz.driver import Fuzzer, Outcome, Verdict
from LiverLesionAILab.fuzz.formats import COMPRESSED_FORMATS, FORMATS
from LiverLesionAILab.fuzz.mutation import Format, Mutation
from LiverLesionAILib.support.limited_child import LimitedChild, Message

COUNT, SEED = 500, 20261128

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX systems")


def test_500_mutated_inputs() -> None:
    """No crash, traceback, hang, memory beyond 4 GB; no silent change where the file gives it away."""
    fuzzer = Fuzzer(FORMATS, SEED)
    verdicts = list(fuzzer.run(range(COUNT)))
    assert len(verdicts) == COUNT
    wrong = [
        f"{v.case.number} {v.case.sample.name}: {v.case.mutation.what}: {v.detail}"
        for v in verdicts
        if v.wrong
    ]
    assert wrong == []
    # It does throw things that matter, and the reader does read what is sound.
    outcomes = Counter(v.outcome for v in verdicts)
    assert outcomes[Outcome.REFUSED] > COUNT / 3
    assert outcomes[Outcome.SAME] > COUNT / 20
    assert outcomes[Outcome.SAID] > 0
    assert {v.case.format for v in verdicts} == set(FORMATS)


def test_compressed_dicom_too() -> None:
    """`fuzz --formats jpeg` throws thousands of these."""
    pytest.importorskip("gdcm", reason="python-gdcm is not installed")
    verdicts = list(Fuzzer(COMPRESSED_FORMATS, SEED).run(range(12)))
    assert [f"{v.case.number} {v.case.mutation.what}: {v.detail}" for v in verdicts if v.wrong] == []
    assert {v.case.sample.name.split()[-1] for v in verdicts} >= {"JPEG-LS", "2000", "lossless"}


def test_the_same_seed_makes_the_same_inputs_and_labels() -> None:
    first, second, other = Fuzzer(FORMATS, 1), Fuzzer(FORMATS, 1), Fuzzer(FORMATS, 2)
    for number in range(0, 60, 7):
        one, two = first.case(number).mutation, second.case(number).mutation
        assert (one.what, one.evidence, one.opened, dict(one.files)) == (
            two.what, two.evidence, two.opened, dict(two.files)
        )  # fmt: skip
    assert any(first.case(n).mutation.what != other.case(n).mutation.what for n in range(20))
    labels = first.labels(range(90))
    assert sum(labels.values()) == 90 and labels == second.labels(range(90))
    assert any(not detectable for _, detectable in labels)


def test_every_mutator_has_something_for_its_format() -> None:
    """And none changes the sound sample that it starts from."""
    for made in FORMATS.values():
        samples = made.samples()
        before = [dict(sample.files) for sample in samples]
        for mutator in made.mutators:
            rng = np.random.default_rng(0)
            found = [mutator(sample, rng) for sample in samples for _ in range(6)]
            assert any(m is not None and dict(m.files) not in before for m in found), mutator
        assert [dict(sample.files) for sample in samples] == before


def only(mutation: Mutation) -> dict[str, Format]:
    return {"nifti": Format(nifti_samples, (lambda sample, rng: mutation,))}


@pytest.mark.parametrize("evidence", ["", "length"])
def test_a_silent_change_is_seen(evidence: str) -> None:
    """A sound file of other voxels: exactly what a silent change looks like."""
    sample = nifti_samples()[0]
    files = sample.build({**sample.fields, "values": sample.fields["values"] + 5})
    verdict = next(Fuzzer(only(Mutation("other", evidence, files, sample.opened)), 0).run([0]))
    assert verdict.outcome is Outcome.SILENT
    assert verdict.wrong == bool(evidence)


READERS = {
    "raise ValueError('odd')": Outcome.TRACEBACK,
    "os.abort()": Outcome.FAILED,
    "while True: pass": Outcome.FAILED,
    "held = [bytes(range(256)) * 2 ** 20 for _ in range(99)]": Outcome.FAILED,
    "raise LiverLesionAIError('something is wrong')": Outcome.NAMELESS,
}


@pytest.mark.parametrize(("line", "outcome"), list(READERS.items()))
def test_readers_that_fail_are_seen(
    line: str, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child's module with one line in its way, once the sound sample has been read."""
    source = Path(driver.__file__).with_name("reader.py").read_text(encoding="utf-8")
    when = line.replace("True", "bad") if line.startswith("while") else f"if bad: {line}"
    reading = "volume = read_ct(path)"
    patched = source.replace(reading, f"{reading}; bad = 'bad' in path.name\n        {when}")
    assert patched != source
    (tmp_path / "patched_reader.py").write_text(patched, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setattr(driver, "MODULE", "patched_reader")
    monkeypatch.setattr(driver, "MEMORY_BYTES", 10**9)
    ask, endless = LimitedChild.ask, line.startswith("while")

    def hurried(self: LimitedChild, request: Message, timeout_s: float) -> tuple[Message, bytes]:
        bad = b"bad" in bytes.fromhex(request["path"])
        return ask(self, request, 1.0 if bad and endless else 300.0)

    monkeypatch.setattr(LimitedChild, "ask", hurried)
    sample = nifti_samples()[0]
    files = {b"bad.nii": sample.files[sample.opened]}
    verdict: Verdict = next(Fuzzer(only(Mutation("bad", "", files, b"bad.nii")), 0).run([0]))
    assert verdict.outcome is outcome, verdict
    assert verdict.wrong


def test_the_corpus_is_varied() -> None:
    names = [s.name for made in (nifti_samples, nrrd_samples, metaimage_samples) for s in made()]
    assert len(names) == len(set(names)) >= 15


def test_the_command_prints_labels_and_counts_and_keeps_a_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--seed", "3", "--formats", "nrrd", "--out", str(tmp_path)]
    # A run that was ended goes on from its record, whose last line may be cut short.
    assert FUZZ.run("fuzz", ["--count", "8", *options]) == 0
    lines = (tmp_path / "nrrd-3.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "nrrd-3.jsonl").write_text("\n".join(lines)[:-30], encoding="utf-8")
    thrown = []
    run = Fuzzer.run
    monkeypatch.setattr(
        Fuzzer, "run", lambda self, numbers, *a: run(self, thrown.append(numbers) or numbers, *a)
    )
    assert FUZZ.run("fuzz", ["--count", "12", *options]) == 0
    assert thrown == [[7, 8, 9, 10, 11]]
    said = capsys.readouterr().out
    assert "12 inputs, seed 3" in said and "can be known to be wrong" in said and "0 of 12 went wrong" in said
    kept = json.loads((tmp_path / "fuzz.json").read_text(encoding="utf-8"))
    assert kept["seed"] == 3 and len(kept["cases"]) == 12 and kept["corpus"]
    assert FUZZ.run("fuzz", ["--keep", "5", *options]) == 0
    assert kept["cases"][5]["mutation"] in capsys.readouterr().out
    assert any((tmp_path / "case").iterdir())
