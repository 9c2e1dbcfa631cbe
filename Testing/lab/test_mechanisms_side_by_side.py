"""The evidence page's five mechanisms side by side are what the kept runs and the printed tables give."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from LiverLesionAILab.compare.attention_kept import recomputed
from LiverLesionAILab.metrics.bootstrap import compare_paired

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = ROOT / "Resources"
MODELS = ROOT / "LiverLesionAI" / "LiverLesionAILib" / "data" / "Models"
EVIDENCE = (RESOURCES / "EVIDENCE.md").read_text(encoding="utf-8")

KEPT = {
    "sfan": ("semantic gate (SAT)", "global context gate (GCA)"),
    "mscd": ("spatial context", "channel context"),
    "va_mask_rcnn": ("channel branch", "spatial branch"),
    "va_faster_rcnn": ("channel branch", "spatial branch"),
    "cs_att": ("contextual attention", "spatial attention"),
    "dadrn": ("spatial attention", "channel attention"),
}


def kept_rows(name: str) -> dict[tuple[str, str], dict]:
    rows = json.loads((RESOURCES / "results" / f"attention_{name}.json").read_text())["rows"]
    return {(row["attention"], row["how"]): row for row in rows}


def cell(row: dict) -> str:
    value, low, high = (row["difference"][key] for key in ("value", "low", "high"))
    return f"{value:+.3f} [{low:.3f}, {high:.3f}]"


@pytest.mark.parametrize("name", KEPT)
def test_what_is_replaced_in_the_bundled_weights_is_what_the_kept_runs_say(name: str) -> None:
    rows = kept_rows(name)
    for attention in KEPT[name]:
        cells = [cell(rows[attention, how]) for how in ("off", "averaged", "elsewhere")]
        line = f"| {name}, {attention} | {rows['', '']['value']:.3f} | {' | '.join(cells)} |"
        assert line in EVIDENCE


FROM_SCANS = {
    name: KEPT[name] for name in ("sfan", "mscd", "va_mask_rcnn", "va_faster_rcnn", "cs_att", "dadrn")
}


@pytest.mark.parametrize("name", FROM_SCANS)
def test_what_other_scans_have_is_what_the_kept_runs_say(name: str) -> None:
    rows = kept_rows(name)
    for attention in FROM_SCANS[name]:
        cells = [cell(rows[attention, how]) for how in ("averaged over scans", "another scan's")]
        line = f"| {name}, {attention} | {rows['', '']['value']:.3f} | {' | '.join(cells)} |"
        assert line in EVIDENCE


@pytest.mark.parametrize("name", FROM_SCANS)
def test_the_kept_cases_give_these_differences_again(name: str) -> None:
    rows = kept_rows(name)
    for (attention, how), row in rows.items():
        found = recomputed(row, rows["", ""])
        assert found is not None, "cases are kept"
        assert found[0] == pytest.approx(row["value"], abs=1e-6), (attention, how)
        if attention:
            told = [row["difference"][key] for key in ("value", "low", "high")]
            assert [found[1].value, found[1].low, found[1].high] == pytest.approx(told, abs=5e-4)


@pytest.mark.parametrize("name", [name for name in KEPT if name in ("sfan", "mscd", "va_mask_rcnn")])
def test_the_intervals_of_masks_are_those_of_the_kept_cases(name: str) -> None:
    rows = kept_rows(name)
    before = rows["", ""]["cases"]
    for (attention, _), row in rows.items():
        again = compare_paired(before, row["cases"], {one: one for one in before}, seed=0)
        assert again.b == pytest.approx(row["value"])
        if attention:
            assert again.difference.low == pytest.approx(row["difference"]["low"])
            assert again.difference.high == pytest.approx(row["difference"]["high"])


def test_what_the_third_remedy_of_va_gave_is_what_the_kept_cases_say() -> None:
    cases = json.loads((RESOURCES / "results" / "attention_va_third.json").read_text())["cases"]
    bundled, fixed, bag = "bundled", "one gate for all slices, learnt", "gates from the bag"
    bundled_rows = kept_rows("va_mask_rcnn")["", ""]["cases"]
    assert cases[bundled] == pytest.approx(bundled_rows, abs=1e-6)
    for row, other, title, to in (
        (fixed, bundled, "one for all slices, learnt", "the bundled"),
        (bag, fixed, "from the bag, standardised", "one for all"),
        (f"{bag}, averaged", bag, "the same, averaged over slices", "from the bag"),
        (f"{bag}, elsewhere", bag, "the same, another slice's neighbours", "from the bag"),
    ):
        found = compare_paired(cases[other], cases[row], {one: one for one in cases[row]}, seed=0)
        change = found.difference
        said = f"{change.value:+.3f} [{change.low:.3f}, {change.high:.3f}] to {to}"
        assert f"| {title} | {found.b:.3f} | {said} |" in EVIDENCE


def mask_tables() -> list[dict[str, float]]:
    """Dice per case by row, of each printed table of the segmenters."""
    text = (RESOURCES / "Benchmarks" / "segmenters.md").read_text(encoding="utf-8")
    blocks = [block for block in re.findall(r"```\n(.*?)```", text, re.S) if "tumour Dice" in block]
    return [dict(re.findall(r"^(\S.*?)\s{2,}(\d\.\d{3}) \[", block, re.M)) for block in blocks]


def box_table(row: str) -> float:
    """Sensitivity at one false positive per image, points, of a row of the detectors' first table."""
    text = (RESOURCES / "Benchmarks" / "detectors.md").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(row)}\s+\S+ \(\S+\)\s+(\S+) \(", text, re.M)
    assert found, row
    return float(found[1])


def class_table(row: str) -> float:
    """Mean of the class-wise accuracies of a row of the classifiers' table."""
    text = (MODELS / "dadrn_variants.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{row}\s+\S+ \(\S+\) (\S+) \(", text, re.M)
    assert found, row
    return float(found[1])


MASKS = {
    # Mechanism: its row, the row without it; the tables of SynthLiver-1 and of the real scans.
    "SFAN, semantic gate": ("SFAN", "SFAN without SAT", 0, 1),
    "SFAN, global context gate": ("SFAN", "SFAN without GCA", 0, 1),
    "SFAN, both": ("SFAN", "SFAN without both", 0, 1),
    "MSCD, spatial context": ("MSCD", "MSCD, channel only", 4, None),
    "MSCD, channel context": ("MSCD", "MSCD, spatial only", 4, None),
    "MSCD, both": ("MSCD", "U-Net", 4, 5),
    "VA Mask R-CNN, channel branch": ("VA, both, before the RPN", "VA, spatial only", 6, 7),
    "VA Mask R-CNN, spatial branch": ("VA, both, before the RPN", "VA, channel only", 6, 7),
    "VA Mask R-CNN, both": ("VA, both, before the RPN", "Mask R-CNN", 6, 7),
}
BOXES = {
    "CS-Att, contextual": ("CS-Att, 15", "spatial only, 15"),
    "CS-Att, spatial": ("CS-Att, 15", "contextual only, 15"),
    "CS-Att, both": ("CS-Att, 15", "3DCE, 15"),
    "VA Faster R-CNN, both": ("VA Faster R-CNN, 9", "Faster R-CNN, 3 slices"),
}
CLASSES = {
    "DADRN, spatial": ("DADR50-B", "CADR50-B"),
    "DADRN, channel": ("DADR50-B", "SADR50-B"),
    "DADRN, both": ("DADR50-B", "DRN50"),
}


def test_what_is_retrained_without_is_what_the_printed_tables_say() -> None:
    tables = mask_tables()
    assert len(tables) == 8
    lines = []
    for title, (own, without, synthetic, real) in MASKS.items():
        cells = [
            "" if k is None else f"{float(tables[k][without]) - float(tables[k][own]):+.3f}"
            for k in (synthetic, real)
        ]
        lines.append(f"| {title} | {own} | {without} | {cells[0]} | {cells[1]} |")
    for title, (own, without) in BOXES.items():
        lines.append(f"| {title} | {own} | {without} | {box_table(without) - box_table(own):+.1f} points | |")
    for title, (own, without) in CLASSES.items():
        lines.append(f"| {title} | {own} | {without} | {class_table(without) - class_table(own):+.3f} | |")
    for line in lines:
        assert line.replace("|  |", "| |") in EVIDENCE, line


def test_the_main_comparisons_are_those_of_the_printed_tables() -> None:
    text = (RESOURCES / "Benchmarks" / "segmenters.md").read_text(encoding="utf-8")
    table = EVIDENCE[EVIDENCE.index("| paper | what minus what |") :].split("\n\n")[0]
    intervals = re.findall(r"-?0\.\d{3} \[-?\d\.\d{3}, -?\d\.\d{3}\]", table)
    assert len(intervals) == 6 and all(one in text for one in intervals)
    per_slice = re.findall(r"^(U-Net|MSCD)\s{2,}(\d\d\.\d) \(", text, re.M)
    (net, first), (mscd, second), (_, third), (_, fourth) = per_slice
    assert (net, mscd) == ("U-Net", "MSCD")
    assert f"| {float(second) - float(first):+.1f} | {float(fourth) - float(third):+.1f} | +8.5 |" in table
