"""A batch's process, run here: what it answers, what ends it, what it is started with."""

from __future__ import annotations

import argparse
import io
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from LiverLesionAILib.cli import batch_worker
from LiverLesionAILib.cli.batch_inputs import Request
from LiverLesionAILib.cli.batch_plan import BatchCase, plan_batch
from LiverLesionAILib.cli.batch_worker import Analyse, answer_cases, case_json, options_json
from LiverLesionAILib.cli.job import add_analysis_options
from LiverLesionAILib.reading import dicom_pixels
from LiverLesionAILib.support.errors import Cancelled, InputError


def begin(options: dict[str, Any]) -> Analyse:
    """Analyses in no time; some cases fail by their name."""
    assert options == {"device": "cpu"}

    def analyse(case: BatchCase, said: dict[str, None], progress: Any) -> Mapping[str, str]:
        for step in range(50):
            progress("segment", step / 50)
        said["The same for all."] = None
        if case.name == "damaged":
            raise InputError("damaged.nii: it is damaged.")
        if case.name == "large":
            raise MemoryError
        if case.name == "ended":
            raise Cancelled("The batch was ended.")
        return {"status": "done", "lesions": "2"}

    return analyse


def asked(*names: str) -> str:
    cases = (BatchCase(Path(name), name, Path("out") / name, "", Request(Path(name))) for name in names)
    return "\n".join([json.dumps({"device": "cpu"}), *(json.dumps(case_json(case)) for case in cases), ""])


def test_a_case_that_fails_is_a_row_and_the_next_one_is_analysed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count(100.0, 0.03)
    monkeypatch.setattr(batch_worker, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    answers = io.StringIO()
    assert answer_cases(io.StringIO(asked("damaged", "large", "whole")), answers, begin) == 0
    told = [json.loads(line) for line in answers.getvalue().splitlines()]
    damaged, large, whole = (one for one in told if "row" in one)
    assert damaged["row"]["status"] == large["row"]["status"] == "failed"
    assert damaged["row"]["message"] == "damaged.nii: it is damaged."
    assert [one["memory"] for one in (damaged, large, whole)] == [False, True, False]
    assert whole["row"] == {"status": "done", "lesions": "2"} and whole["said"] == ["The same for all."]
    # Where it is, is said at most five times a second: every seventh of the steps here.
    assert 3 * 6 <= len(told) - 3 <= 3 * 8
    assert told[0] == {"stage": "segment", "fraction": 0.0}


def test_an_ended_batch_is_left_without_an_answer() -> None:
    answers = io.StringIO()
    assert answer_cases(io.StringIO(asked("whole", "ended", "whole")), answers, begin) == 1
    assert sum("row" in json.loads(line) for line in answers.getvalue().splitlines()) == 1
    assert answer_cases(io.StringIO(asked("whole") + '{"path": "cut sho'), io.StringIO(), begin) == 1

    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    assert answer_cases(io.StringIO(asked("whole")), Gone(), begin) == 1


def test_it_analyses_by_the_options_that_the_batch_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given = argparse.ArgumentParser()
    add_analysis_options(given)
    args = given.parse_args(["--device", "cpu", "--like", "earlier.json", "--smallest-mm", "7"])
    made: dict[str, Any] = {}
    monkeypatch.setattr(batch_worker, "Job", SimpleNamespace(of=lambda args: made.setdefault("args", args)))
    monkeypatch.setattr(batch_worker, "analyse_case", lambda job, *rest: made.update(job=job, rest=rest))
    batch_worker.start(json.loads(json.dumps(options_json(args))))("case", {}, None)
    assert made["args"] == args and made["job"] is made["args"]
    assert made["rest"] == ("case", {}, None)


def test_one_decoder_is_kept_for_all_its_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(start: object) -> int:
        assert start is batch_worker.start and dicom_pixels._kept.get() == {}
        return 1

    monkeypatch.setattr(batch_worker, "serve", serve)
    assert batch_worker.main() == 1
    assert dicom_pixels._kept.get() is None


def test_a_file_that_cannot_be_read_is_the_reason_of_its_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it lies on a share that is gone, say; the other cases are planned."""
    (tmp_path / "a.nii").write_bytes(b"x")
    (tmp_path / "b.nii").write_bytes(b"y")
    open_file = Path.open

    def refusing(self: Path, *args: Any, **options: Any) -> Any:
        if self.name == "a.nii":
            raise OSError(116, "Stale file handle", str(self))
        return open_file(self, *args, **options)

    monkeypatch.setattr(Path, "open", refusing)
    requests = [Request(tmp_path / name) for name in ("a.nii", "b.nii")]
    first, second = plan_batch(requests, None, tmp_path / "out", False)
    assert "a.nii: it cannot be read (Stale file handle)" in first.problem
    assert not second.problem
