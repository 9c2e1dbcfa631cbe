"""Kept findings of patients left out: outlines as the networks draw them, and ending at edges."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.evaluation.operating import read_curve

RESOURCES = Path(__file__).parents[2] / "Resources"
EVIDENCE = (RESOURCES / "EVIDENCE.md").read_text(encoding="utf-8")
KEPT = json.loads(
    gzip.decompress((RESOURCES / "results" / "left_out_outlines.json.gz").read_bytes()).decode("utf-8")
)["methods"]
AT = 0.7
ROWS = {
    "today 11": "today's recipe, seed 11",
    "today 12": "today's recipe, seed 12",
    "before 11": "recipe before, seed 11",
    "before 12": "recipe before, seed 12",
}


def lesions(run: str) -> list[dict]:
    return [one for case in KEPT[run]["cases"] for one in case["lesions"]["reference"]]


def listed_dice(one: dict) -> float:
    return one["dice"] if (one["score"] or 0) >= AT else 0.0


def figures(run: str) -> tuple[int, int, int, float, float]:
    reference, cases = lesions(run), KEPT[run]["cases"]
    predicted = [one for case in cases for one in case["lesions"]["predicted"]]
    return (
        sum((one["score"] or 0) >= AT for one in reference),
        sum((one["score"] or 0) >= AT and one["iou"] >= 0.5 for one in reference),
        sum(one["false"] and one["score"] >= AT for one in predicted),
        float(np.mean([listed_dice(one) for one in reference])),
        float(np.mean([case["tumour"] for case in cases])),
    )


@pytest.mark.parametrize("run", ROWS)
def test_the_table_of_edges_is_that_of_the_kept_findings(run: str) -> None:
    before, after = figures(f"{run} network"), figures(f"{run} edges")
    assert len(lesions(f"{run} network")) == len(lesions(f"{run} edges")) == 31
    assert (
        f"| {ROWS[run]} | {before[0]}, {after[0]} | {before[1]}, **{after[1]}** | {before[2]}, {after[2]} "
        f"| {before[3]:.3f}, {after[3]:.3f} | {before[4]:.3f}, {after[4]:.3f} |"
    ) in EVIDENCE


def test_how_many_outlines_are_better_and_whose() -> None:
    changes, by_patient = [], {}
    for run in ROWS:
        for first, second in zip(KEPT[f"{run} network"]["cases"], KEPT[f"{run} edges"]["cases"], strict=True):
            # Volumes 0 and 1 are one patient's.
            patient = {"lits001": "lits000"}.get(first["name"], first["name"])
            for one, other in zip(first["lesions"]["reference"], second["lesions"]["reference"], strict=True):
                by_patient.setdefault(patient, []).append(listed_dice(other) - listed_dice(one))
                if max(one["score"] or 0, other["score"] or 0) >= AT:
                    changes.append(other["dice"] - one["dice"])
    better, worse = (sum(sign * change > 0.03 for change in changes) for sign in (1, -1))
    assert f"Of {len(changes)} lesions that were found {better} are outlined better" in EVIDENCE
    assert f"by more than 0.03 of Dice, {worse} worse" in EVIDENCE
    means = {patient: float(np.mean(values)) for patient, values in by_patient.items()}
    assert f"Dice of a lesion {means['lits000']:+.3f})" in EVIDENCE
    assert f"one has {means['lits002']:.3f}, by its one lesion" in EVIDENCE
    assert all(abs(means[name]) < 0.007 for name in ("lits003", "lits004", "lits005"))
    assert f"by patient {np.mean(list(means.values())):.3f} [" in EVIDENCE


def test_the_second_seed_turns_the_recipes_round(tmp_path: Path) -> None:
    said = {}
    for run in ROWS:
        path = tmp_path / "findings.json"
        path.write_text(json.dumps({"methods": {"sfan": KEPT[f"{run} network"]}}), encoding="utf-8")
        response = read_curve([path], "sfan").response
        said[run] = np.array([response.at(rate) for rate in (0.125, 0.5, 1.0, 2.0)])

    def text(values: np.ndarray) -> str:
        return ", ".join(f"{value:.3f}" for value in values)

    assert f"{text(said['today 12'])} by today's recipe for {text(said['before 12'])} by the one" in EVIDENCE
    both = {name: (said[f"{name} 11"] + said[f"{name} 12"]) / 2 for name in ("today", "before")}
    assert f"Over both seeds: {text(both['today'])} for {text(both['before'])}." in EVIDENCE
