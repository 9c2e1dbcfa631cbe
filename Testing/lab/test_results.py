"""The evidence page's tables, and the bundled calibration, are what the kept raw results give."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.evaluation import slices
from LiverLesionAILab.evaluation.anatomy import AnatomyRow, anatomy_table
from LiverLesionAILab.evaluation.anatomy_steady import read_steady, steady_table
from LiverLesionAILab.evaluation.clicks import GOOD_DICE, read_clicks, table
from LiverLesionAILab.evaluation.consistency import courses_table, read_courses
from LiverLesionAILab.evaluation.followups_table import followup_table, rate_text
from LiverLesionAILab.evaluation.followups_table import read_rows as followup_rows
from LiverLesionAILab.evaluation.gallbladder_in_slices import read_taken, taken_table
from LiverLesionAILab.evaluation.gallbladder_line import line_table, read_line
from LiverLesionAILab.evaluation.gallbladders import read_rows, summary, write_rows
from LiverLesionAILab.evaluation.kept_classes import read_kept, without_network, write_kept
from LiverLesionAILab.evaluation.operating import costs, fit, operating_text, points, read_curve
from LiverLesionAILab.metrics.anatomy import ROMAN
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.writing.report.strings import Language

RESOURCES = Path(__file__).resolve().parents[2] / "Resources"
EVIDENCE = (RESOURCES / "EVIDENCE.md").read_text(encoding="utf-8")
GALLBLADDERS = RESOURCES / "results" / "gallbladder_scans.csv"
BEFORE = RESOURCES / "results" / "gallbladder_scans_before.csv"
CLASSES = RESOURCES / "results" / "classes_by_phase.json"
OPERATING = RESOURCES / "results" / "operating.json"


def test_the_gallbladders_tables_are_those_of_the_kept_rows():
    text = summary(read_rows(GALLBLADDERS))
    assert text[text.index("| synthetic scans") :] in EVIDENCE


def test_what_longer_training_gave_the_gallbladders_is_what_both_kept_rows_say():
    before, now = (
        {row.name: row for row in read_rows(path) if row.what == "gallbladder"}
        for path in (BEFORE, GALLBLADDERS)
    )
    assert list(before) == list(now) and len(now) == 57
    gains = [now[name].dice - before[name].dice for name in now]
    mean = [np.mean([row.dice for row in rows.values()]) for rows in (before, now)]
    text = EVIDENCE.replace("\n", " ")
    assert (
        f"Dice {mean[0]:.3f} for {mean[1]:.3f} (better in {sum(gain > 0 for gain in gains)} of 57, "
        f"by {np.mean(gains):.3f} [" in text
    )
    unlisted = [sum(row.removed for row in rows.values()) for rows in (before, now)]
    lesions = [
        sum(row.what == "lesion" and not row.removed for row in read_rows(path))
        for path in (BEFORE, GALLBLADDERS)
    ]
    assert f"{unlisted[0]} and {lesions[0]} for {unlisted[1]} gallbladders and {lesions[1]} lesions" in text


def test_the_gallbladders_of_the_whole_line_are_those_of_the_kept_rows():
    rows = read_line(RESOURCES / "results" / "gallbladder_line.csv")
    assert line_table(rows) in EVIDENCE and f"on {len(rows)} such scans" in EVIDENCE
    second = read_line(RESOURCES / "results" / "gallbladder_line_second.csv")
    assert line_table(second).split("\n\n")[0] in EVIDENCE and len(second) == 40


def test_what_the_stage_leaves_of_tumour_in_slices_is_what_the_kept_rows_say():
    assert taken_table(read_taken(RESOURCES / "results" / "gallbladder_slices.csv")) in EVIDENCE


def test_the_clicks_table_is_that_of_the_kept_clicks(tmp_path):
    assert table(read_clicks(RESOURCES / "results" / "clicks.json")) in EVIDENCE
    (tmp_path / "clicks.json").write_text('[{"scan": "a"}]')
    with pytest.raises(InputError, match="no clicks"):
        read_clicks(tmp_path / "clicks.json")


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        ("slices_sfan.csv", ["before", "after"]),
        ("slices_sfan_grain.csv", ["bundled", "coarse noise"]),
        ("slices_sfan_arterial.csv", ["third part", "fourth part"]),
        ("slices_sfan_told.csv", ["fourth part", "fifth part"]),
        ("slices_sfan_liver.csv", ["sfan, liver from 0.5", "sfan, liver from 0.45"]),
    ],
)
def test_what_a_further_part_of_sfan_changed_is_what_the_kept_slices_say(name, networks):
    kept = slices.read_rows(RESOURCES / "results" / name)
    assert list(kept) == networks and {len(rows) for rows in kept.values()} == {90}
    for line in slices.comparison(*kept.values()).splitlines()[2:]:
        # First, second, difference.
        assert " | ".join(cell.strip() for cell in line.split("|")[2:5]) in EVIDENCE


def test_what_dadrns_attentions_are_worth_is_what_the_kept_runs_say():
    runs = [
        {
            (row["attention"], row["how"]): row
            for row in json.loads((RESOURCES / "results" / name).read_text())["rows"]
            # What other patients have stands in another table, of today's weights alone.
            if "scan" not in row["how"]
        }
        for name in ("attention_dadrn_before.json", "attention_dadrn.json")
    ]
    assert set(runs[0]) == set(runs[1]) and len(runs[0]) == 7
    for attention, how in runs[0]:
        cells = [_attention_cell(run[attention, how]) for run in runs]
        assert f"| {' | '.join([attention or 'as it is', how, *cells])} |".replace("|  |", "| |") in EVIDENCE


def test_what_mscds_attentions_are_worth_is_what_the_kept_cases_say():
    from LiverLesionAILab.metrics.bootstrap import compare_paired

    rows = json.loads((RESOURCES / "results" / "attention_mscd.json").read_text())["rows"]
    before = rows[0]["cases"]
    rows = [row for row in rows if "scan" not in row["how"]]
    assert len(rows) == 7 and f"(68 slices of {len(before)} scans)" in EVIDENCE
    for row in rows:
        cells = f"| {row['attention'] or 'as it is'} | {row['how']} | {_attention_cell(row)} |"
        assert cells.replace("|  |", "| |") in EVIDENCE
        again = compare_paired(before, row["cases"], {name: name for name in before}, seed=0)
        assert again.b == pytest.approx(row["value"])
        if row["difference"] is not None:
            assert again.difference.low == pytest.approx(row["difference"]["low"])
            assert again.difference.high == pytest.approx(row["difference"]["high"])


def _attention_cell(row: dict) -> str:
    if row["difference"] is None:
        return f"{row['value']:.3f}"
    value, low, high = (row["difference"][key] for key in ("value", "low", "high"))
    return f"{value:+.3f} [{low:.3f}, {high:.3f}]"


def test_rows_come_back_as_they_were_written(tmp_path):
    rows = read_rows(GALLBLADDERS)
    write_rows(rows, tmp_path / "rows.csv")
    assert (tmp_path / "rows.csv").read_bytes() == GALLBLADDERS.read_bytes()
    (tmp_path / "rows.csv").write_text("part,name\nscan,1\n")
    with pytest.raises(InputError, match="no rows"):
        read_rows(tmp_path / "rows.csv")


def test_operating_points_and_probability_are_those_of_the_kept_findings():
    curve = read_curve([OPERATING], "sfan")
    kept = Manifest.read().find("sfan").calibration
    chosen, fitted = points(curve.response, float(kept["score_threshold"])), fit(curve.findings)
    for name, threshold in chosen.items():
        found, false = costs(curve.response, threshold)
        count = round(found * curve.response.n_lesions)
        assert f"| {name} | {threshold:.2f} | {count} of 55 | {false:.2f} |" in EVIDENCE
    assert (chosen["strict"], chosen["sensitive"]) == (kept["strict_score"], kept["sensitive_score"])
    assert fitted.offset == pytest.approx(kept["probability_offset"], abs=0.01)
    assert fitted.score == pytest.approx(kept["probability_score"], abs=0.01)
    text = operating_text(curve, chosen, fitted)
    assert "calibrated, its scan left out              0.027" in text
    assert "calibration error is 0.03 " in EVIDENCE


def test_what_the_arterial_phase_gives_patients_left_out_is_what_the_kept_findings_say():
    """Both columns of both tables, but for intervals and densities that a test reads beside them."""
    rates, at = (0.125, 0.5, 1.0, 2.0), 0.7
    kept = {
        name: RESOURCES / "results" / f"{name}.json"
        for name in ("left_out_before", "left_out", "left_out_turned_before", "left_out_turned")
    }
    cases = {
        name: json.loads(path.read_text(encoding="utf-8"))["methods"]["sfan"]["cases"]
        for name, path in kept.items()
    }
    said = {}
    for name, path in kept.items():
        response = read_curve([path], "sfan").response
        reference = [one for case in cases[name] for one in case["lesions"]["reference"]]
        predicted = [one for case in cases[name] for one in case["lesions"]["predicted"]]
        said[name] = (
            ", ".join(f"{response.at(rate):.3f}" for rate in rates),
            sum((one["score"] or 0) >= at for one in reference),
            sum((one["score"] or 0) >= at and one["iou"] >= 0.5 for one in reference),
            sum(one["false"] and one["score"] >= at for one in predicted),
            float(np.mean([case["tumour"] for case in cases[name]])),
            sum((one["score"] or 0) >= at and (one["difference_hu"] or 0) >= 15 for one in reference),
        )
        # The same patients, and the same lesions, in both columns.
        other = name.removesuffix("_before")
        assert [c["name"] for c in cases[name]] == [c["name"] for c in cases[other]]
    before, now, turned_before, turned = said.values()
    for first, second in ((before, now), (turned_before, turned)):
        assert f"| {first[0]} | {second[0]} |" in EVIDENCE
    assert f"| {', '.join(map(str, before[1:4]))} | {', '.join(map(str, now[1:4]))} |" in EVIDENCE
    assert f"| {before[4]:.3f} | {now[4]:.3f} | -0.056 [" in EVIDENCE
    assert f"| {turned_before[3]} | {turned[3]} |" in EVIDENCE
    assert f"| {turned_before[5]}; 0 | {turned[5]}; 13 |" in EVIDENCE
    assert f"| {turned_before[4]:.3f} | {turned[4]:.3f} (" in EVIDENCE


def test_class_tables_and_their_intervals_are_those_of_the_kept_measurements(capsys) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    assert main(["compare", "classes", str(CLASSES), "--intervals"]) == 0
    tables = [part for part in capsys.readouterr().out.split("\n\n") if part.startswith("| ")]
    assert len(tables) == 8
    for one in tables:
        assert one.strip() in EVIDENCE, one


def test_the_fresh_patients_tables_are_those_of_the_kept_measurements(capsys) -> None:
    """SynthLiver-2-second: judged once before and once after the last change, on the same lesions."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from LiverLesionAILab.evaluation import class_answers

    second, before = (RESOURCES / "results" / f"classes_{n}.json.gz" for n in ("second", "answers_before"))
    assert class_answers.main([str(second), "--before", str(before)]) == 0
    said = capsys.readouterr().out
    assert main(["compare", "classes", str(second)]) == 0
    parts = [*said.split("\n\n"), *capsys.readouterr().out.split("\n\n")]
    tables = [part for part in parts if part.startswith("| ")]
    assert len(tables) == 12
    for one in tables:
        assert one.strip() in EVIDENCE, one


def test_without_the_network_kept_answers_are_not_heard(tmp_path: Path, capsys) -> None:
    """Measurements alone give the same tables, whatever a file holds of a network's answers."""
    pytest.importorskip("torch", reason="PyTorch is not installed")
    patients, measured = read_kept(CLASSES)
    assert any(one["network"] for phases in measured.values() for one in phases.values())
    write_kept(tmp_path / "deaf.json", patients, without_network(measured))
    said = []
    for path, options in (
        (CLASSES, ["--no-network"]),
        (tmp_path / "deaf.json", ["--no-network"]),
        (tmp_path / "deaf.json", []),
        (CLASSES, []),
    ):
        assert main(["compare", "classes", str(path), *options]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] == said[2] != said[3]


def test_kept_measurements_come_back_as_they_were_written(tmp_path: Path, capsys) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    patients, measured = read_kept(CLASSES)
    write_kept(tmp_path / "again.json", patients, measured)
    assert (tmp_path / "again.json").read_bytes() == CLASSES.read_bytes()
    write_kept(tmp_path / "short.json.gz", patients[:2], measured, figures=4)
    names, short = read_kept(tmp_path / "short.json.gz")
    assert [one.name for one in names] == [one.name for one in patients[:2]]
    first = patients[0].name
    for phase, record in measured[first].items():
        kept = short[first][phase]
        assert (kept["looks"], kept["features"].keys()) == (record["looks"], record["features"].keys())
        assert kept["aorta_hu"] == pytest.approx(record["aorta_hu"], rel=1e-3)
        assert len(repr(kept["aorta_hu"])) <= 6 < len(repr(record["aorta_hu"]))
    (tmp_path / "damaged.json.gz").write_bytes((tmp_path / "short.json.gz").read_bytes()[:-200])
    with pytest.raises(InputError, match="no measurements"):
        read_kept(tmp_path / "damaged.json.gz")
    (tmp_path / "damaged.json").write_text('{"multi01": {"lesions": [{"number": 1}], "measured": {}}}')
    with pytest.raises(InputError, match="no measurements"):
        read_kept(tmp_path / "damaged.json")
    assert main(["compare", "classes", str(CLASSES), "--page"]) == 1
    assert "--page needs the images" in capsys.readouterr().err
    assert main(["compare", "classes", str(tmp_path)]) == 1
    assert "--out DIR is needed" in capsys.readouterr().err


def test_the_anatomys_table_is_that_of_the_kept_rows() -> None:
    kept = json.loads((RESOURCES / "results" / "anatomy.json").read_text(encoding="utf-8"))
    rows = [AnatomyRow(**{**row, "messages": tuple(row["messages"])}) for row in kept["rows"]]
    assert len({row.patient for row in rows}) == kept["settings"]["patients"] == 20
    table = anatomy_table(rows).splitlines()
    wanted = [one for one in table if "| all |" in one or "| portal venous |" in one]
    assert len(wanted) == 4 and all(one in EVIDENCE for one in (table[0], *wanted))
    assert f"tree {kept['settings']['tree']}" in EVIDENCE


def test_the_table_of_names_along_tubes_is_that_of_its_rows() -> None:
    with (RESOURCES / "results" / "anatomy_names.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["patient"] for row in rows}) == 14
    for name in ("each voxel", "along the tubes", "all tubes together", "more bodies (not taken)"):
        own = [row for row in rows if row["names"] == name]
        right, every, sure, said, pairs, error, touching = (
            sum(float(row[key]) for row in own)
            for key in (
                "label_right",
                "label_all",
                "sure_right",
                "sure_all",
                "pairs",
                "error_mm",
                "contact_right",
            )
        )
        cells = [f"{right / every:.3f}", f"{sure / said:.3f} of {100 * said / every:.0f} %"]
        cells += [f"{error / pairs:.1f}", f"{touching / pairs:.2f}"]
        assert f"| {name} | " + " | ".join(cells) + " |" in EVIDENCE


def test_the_table_of_livers_on_other_grids_is_that_of_its_rows() -> None:
    rows, before = (
        read_steady(RESOURCES / "results" / f"{name}.csv")
        for name in ("anatomy_steady", "anatomy_steady_before")
    )
    assert {"lits000", "lits001"} <= {row.scan for row in rows} and steady_table(rows) in EVIDENCE
    for said, of in (("**Before**", before), ("Now LiTS 0", rows)):
        line = next(line for line in EVIDENCE.splitlines() if line.startswith(said))
        for scan, name in (("lits000", "LiTS 0"), ("lits001", "LiTS 1")):
            read = {row.change: f"{100 * row.read:.1f}" for row in of if row.scan == scan}
            assert f"{name} {read['other voxels']} and {read['half a voxel aside']}" in line


def test_the_table_of_where_the_segments_are_lost_is_that_of_its_rows() -> None:
    with (RESOURCES / "results" / "anatomy_faults.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["patient"] for row in rows}) == 14
    known = ("nothing: the product", "every tube's tree", "landmarks", "the first division")
    for text, name in zip(known, ("nothing", "names", "landmarks", "division"), strict=True):
        own = [row for row in rows if row["known"] == name]
        parts = [[r for r in own if r["segment"] == roman] for roman in ROMAN[1:]] + [own]
        means = [sum(float(r["dice"]) for r in part) / len(part) for part in parts]
        assert f"| {text} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |" in EVIDENCE


def test_the_follow_ups_tables_are_those_of_the_kept_pairs():
    page = (RESOURCES / "Benchmarks" / "followups.md").read_text(encoding="utf-8")
    rows = followup_rows(RESOURCES / "results")
    assert [sum(row.masks == masks for row in rows) for masks in ("true", "network")] == [60, 12]
    tables = followup_table(rows).split("\n\n")
    # The first without its seconds: the machine was busy.
    lines = ["|".join(line.split("|")[:-2]) + "|" for line in tables[0].splitlines()]
    lines += [line for table in tables[1:] for line in table.splitlines()]
    assert len(lines) == 23 and [line for line in lines if line not in page] == []


def test_the_table_of_three_scans_is_that_of_the_kept_patients():
    page = (RESOURCES / "Benchmarks" / "followups.md").read_text(encoding="utf-8")
    rows = read_courses(RESOURCES / "results")
    assert courses_table(rows, rate_text) in page
    assert f"--courses {len(rows)} --out" in page and f"on {sum(r.chained for r in rows)} lesions" in page


def test_the_intervals_tables_are_those_of_the_kept_sizes(capsys, tmp_path):
    page = (RESOURCES / "Benchmarks" / "followups.md").read_text(encoding="utf-8")
    kept = RESOURCES / "results" / "intervals.json"
    assert main(["compare", "intervals", str(kept)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line]
    assert len(lines) == 11 and lines[0].split(",")[0] in page
    assert [line for line in lines[1:] if line not in page] == []
    # The report's note on its intervals says the same.
    shares = [line.split("|")[2].split(",")[0].strip() for line in lines if "as shipped" in line]
    (found, of), (balls, again) = (share.split(" of ") for share in shares)
    note = Language("en")("intervals_note")
    assert of == again and f"on {of} lesions of 5 patients {found} and {balls} true values" in note
    (tmp_path / "other.json").write_text('[{"scan": 1}]')
    assert main(["compare", "intervals", str(tmp_path / "other.json")]) == 1
    assert main(["compare", "intervals", str(tmp_path)]) == 1
    assert "--truth DIR is needed" in capsys.readouterr().err


def test_the_table_of_real_lesions_clicked_on_is_that_of_the_kept_clicks():
    clicks = read_clicks(RESOURCES / "results" / "clicks_left_out.json")
    assert len({click.scan for click in clicks}) == 6 and len(clicks) == 31
    assert table(clicks) in EVIDENCE

    def reached(kind: str, scans: tuple[str, ...] = ()) -> int:
        own = [c for c in clicks if not scans or c.scan in scans]
        return sum(getattr(click, kind) >= GOOD_DICE for click in own)

    first = ("lits000", "lits001")
    assert f"reach 0.7 in {reached('two')} of 31 lesions for {reached('by_two')}**" in EVIDENCE
    assert f"volumes 0 and 1: {reached('two', first)} of 23 for {reached('by_two', first)};" in EVIDENCE
    assert f"one click in {reached('one')} for {reached('by_density')};" in EVIDENCE
    half = [sum(getattr(c, kind) >= 0.5 for c in clicks) for kind in ("one", "by_density")]
    assert f"a Dice of 0.5 after one click in {half[0]} for {half[1]}." in EVIDENCE


def test_the_points_of_signs_and_their_table_are_what_the_kept_bodies_give() -> None:
    from LiverLesionAILab.evaluation.class_points import (
        PENALTY,
        examples,
        fit_points,
        held_out,
        left_out,
        network_weights,
    )
    from LiverLesionAILab.evaluation.lesion_classes import with_even_priors
    from LiverLesionAILib.analysis.rules import Rules
    from LiverLesionAILib.stages.classify.differential import DifferentialSettings

    bodies, measured = read_kept(RESOURCES / "results" / "classes_other.json.gz")
    page = replace(with_even_priors(Rules().part(DifferentialSettings)), network_arterial=0.0)
    signs, weights = fit_points(examples(bodies, measured, page), dict(page.priors))
    assert [row[:3] for row in signs] == [row[:3] for row in page.signs]
    for row, kept in zip(signs, page.signs, strict=True):
        assert dict(row[3]) == pytest.approx(dict(kept[3]), abs=0.06)
    assert weights == pytest.approx(page.phases_weight, abs=0.03)
    assert f"{len(bodies)} bodies" in EVIDENCE
    parts = held_out(bodies, measured, page, PENALTY)
    for line in left_out(measured, page, parts).splitlines():
        assert line in EVIDENCE
    assert network_weights(measured, page, parts) in EVIDENCE
