"""Answers that are kept, and what is said of the same lesions before and after a change."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from LiverLesionAILab.evaluation.class_answers import (
    EVEN,
    PRIORS,
    STATED,
    answers_of,
    paired_table,
    read_all,
    read_answers,
    write_answers,
)
from LiverLesionAILab.evaluation.lesion_classes import SETTINGS_OF
from LiverLesionAILib.support.errors import InputError

RESULTS = Path(__file__).resolve().parents[2] / "Resources" / "results"
SECOND = RESULTS / "classes_second.json.gz"


def lesions(guesses: str, sure: float = 0.9) -> list:
    """Six lesions of three patients, cysts and metastases in turn; "c" or "m" is what is said of each."""
    said = {"c": "cyst", "m": "metastasis"}
    return [
        SimpleNamespace(
            patient=f"one{n // 2}", number=1 + n % 2, truth=said["cm"[n % 2]], guess=said[g], confidence=sure
        )
        for n, g in enumerate(guesses)
    ]


def answers(found: list) -> dict:
    return answers_of({priors: dict.fromkeys(SETTINGS_OF, found) for priors in PRIORS})


def test_answers_come_back_as_they_were_kept(tmp_path: Path) -> None:
    kept = answers(lesions("cmcmcc"))
    write_answers(tmp_path / "a.json.gz", kept)
    assert read_answers(tmp_path / "a.json.gz") == kept
    assert kept[EVEN]["portal"]["one2/2"] == ("cyst", 0.9)
    (tmp_path / "b.json.gz").write_bytes(gzip.compress(json.dumps({STATED: {}}).encode()))
    for name in ("b.json.gz", "none.json.gz"):
        with pytest.raises(InputError, match="holds no answers"):
            read_answers(tmp_path / name)


def test_the_difference_is_that_of_the_same_lesions() -> None:
    """Before, a cyst and a metastasis in three are wrong; now none: all is gained, whoever is drawn."""
    before = answers(lesions("mcmcmc"))[STATED]
    row = paired_table({"arterial": lesions("cmcmcm", 1.0)}, before).splitlines()[2]
    assert row.startswith("| arterial | 6 | 0.000 | 1.000 | +1.000 [1.000, 1.000] | 1.000 | 0.000 | -1.000")
    assert row.endswith("| 0.900 | 0.000 | -0.900 [-0.900, -0.900] |")
    same = paired_table({"arterial": lesions("cmcmmm")}, answers(lesions("cmcmmm"))[STATED])
    assert "+0.000 [0.000, 0.000]" in same
    with pytest.raises(InputError, match="No answer of before for lesion 1 of one3"):
        paired_table({"arterial": lesions("cmcmcmcm")}, before)


def test_patients_of_two_files_must_not_be_the_same() -> None:
    patients, measured = read_all([SECOND, RESULTS / "classes_by_phase.json"])
    assert len(patients) == len(measured) == 120
    with pytest.raises(InputError, match="in another file as well"):
        read_all([SECOND, SECOND])
