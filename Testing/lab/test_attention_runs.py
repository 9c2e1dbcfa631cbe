"""What the attention protocol's page says of its runs is what their kept rows give."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.compare.attention_kept import KIND, kept_text, recomputed
from LiverLesionAILab.compare.detector_kept import paired_gain, read_run
from LiverLesionAILab.compare.detector_rows import AS_WRITTEN
from LiverLesionAILab.compare.detectors import kept_text as detectors_text
from LiverLesionAILab.compare.kept import read_rows

RESOURCES = Path(__file__).resolve().parents[2] / "Resources"
RESULTS = RESOURCES / "results"
PAGE = (RESOURCES / "Benchmarks" / "attention_protocol.md").read_text(encoding="utf-8")
READINGS = RESULTS / "detectors_readings.json.gz"
AT_ONE = 1
"""The place of one false positive per image among the rates."""


def test_the_readings_tables_are_those_of_the_kept_boxes() -> None:
    assert detectors_text(READINGS) in PAGE


def test_the_readings_rule_is_kept_to() -> None:
    rows = read_rows(READINGS, "detectors")
    runs = {name: [read_run(rows["images"], one) for one in each] for name, each in rows["runs"].items()}
    assert {len(each) for each in runs.values()} == {3}, "three seeds"
    found = {
        name: [
            sum(map(len, (i.diameters_mm for i in run.images))) * run.summary.sensitivity[1.0] for run in each
        ]
        for name, each in runs.items()
    }
    for each in found.values():
        assert ", ".join(f"{count:.0f}" for count in each) in PAGE, "the seeds' counts at one"
    for name, other in (("CS-Att, 9", "3DCE, 9"), (AS_WRITTEN, "3DCE, 9"), (AS_WRITTEN, "CS-Att, 9")):
        gain = paired_gain(runs[name], runs[other])[AT_ONE]
        signs = {
            one.summary.sensitivity[1.0] > two.summary.sensitivity[1.0]
            for one, two in zip(runs[name], runs[other], strict=True)
        }
        told = (gain.low > 0 and signs == {True}) or (gain.high < 0 and signs == {False})
        assert not told, f"{name} and {other} are alike by the rule, as the page says"


@pytest.mark.parametrize("name", ["cs_att_remedies", "dadrn_third", "sfan_remedies"])
def test_a_remedys_rows_are_those_of_the_kept_cases(name: str) -> None:
    file = RESULTS / f"attention_{name}.json"
    table = kept_text(file)
    assert table.split("\n\n", 1)[1] in PAGE and "was not kept" not in table
    assert name.startswith(read_rows(file, KIND)["model"])


def verdicts(name: str) -> dict[tuple[str, bool], bool]:
    """By remedy, and whether under noise: better than its constant, worse averaged and from elsewhere."""
    data = read_rows(RESULTS / f"attention_{name}.json.gz", KIND)["rows"]
    rows = [{**data[row["same"]], **row} if "same" in row else row for row in data]
    found: dict[tuple[str, bool], dict[str, tuple[float, float]]] = {}
    noise = False
    for row in rows:
        noise = noise or "noise" in row["attention"]
        again = recomputed(row, rows[row["against"]])
        assert again is not None, "cases are kept"
        found.setdefault((row["attention"], noise), {})[row["how"]] = (again[1].low, again[1].high)
    return {
        which: of["against one number"][0] > 0 and of["averaged"][1] < 0 and of["elsewhere"][1] < 0
        for which, of in found.items()
        if "against one number" in of
    }


@pytest.mark.parametrize("name", ["va_spatial", "cs_att_spatial"])
def test_no_remedy_of_a_spatial_attention_works_by_the_rule(name: str) -> None:
    found = verdicts(name)
    assert len(found) == 6, "three remedies, clean and under noise"
    assert not any(found.values()), found
    assert kept_text(RESULTS / f"attention_{name}.json.gz").split("\n\n", 1)[1] in PAGE


def test_what_dadrns_form_loses_learnt_on_is_what_the_kept_figures_say() -> None:
    for row in json.loads((RESULTS / "dadrn_learnt_on.json").read_text())["rows"]:
        seeds = row["seeds"]
        means = {
            what: np.mean([one[what] for one in seeds], axis=0)
            for what in ("training", "test", "training loss", "test loss")
        }
        cells = [
            row["change"],
            str(len(seeds)),
            f"{means['training'].mean():.3f}",
            f"{means['test'].mean():.3f}",
            f"{means['test'][2]:.2f}, {means['test'][3]:.2f}",
            f"{means['training loss']:.3f}, {means['test loss']:.3f}",
        ]
        assert f"| {' | '.join(cells)} |" in PAGE
