"""The findings as CSV, JSON and text, read back the way their readers would."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from LiverLesionAILib.case.findings import LesionSource, LesionStatus, PhaseEstimate, ProbabilityMap
from LiverLesionAILib.case.messages import TOO_LARGE
from LiverLesionAILib.case.terminology import by_probability, lesion_title
from LiverLesionAILib.case.wording import position_text, slice_number, small
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.writing.tables import (
    CSV_COLUMNS,
    findings_csv,
    findings_json,
    findings_text,
    write_tables,
)
from support.results import empty_result, measured_result, results


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def box_only(result, index: int = 2):
    """The same result with one lesion that has a box but no mask."""
    lesions = list(result.lesions)
    lesions[index] = replace(lesions[index], measurement=None, source=LesionSource.BOX)
    return replace(result, lesions=tuple(lesions))


def read_result():
    """A result with a contrast phase, on which a reader has given classes and a note."""
    result = measured_result(phase=PhaseEstimate("arterial", 0.911, "Learned on other phases."))
    first, second, third = result.lesions
    first = replace(first, reader_class="Haemangioma", note="biopsy")
    return replace(result, lesions=(first, second, replace(third, reader_class="=CYST")))


class TestCsv:
    def test_a_row_per_lesion_and_one_for_the_liver(self):
        result = measured_result()
        rows = rows_of(findings_csv(result))
        assert [row["Finding"] for row in rows] == ["lesion"] * 3 + ["liver"]
        assert {row["Case"] for row in rows} == {"Patient 7, portal venous"}
        for row, lesion in zip(rows, result.lesions, strict=False):
            m = lesion.measurement
            assert float(row["Number"]) == lesion.number
            assert float(row["Long axis (mm)"]) == pytest.approx(m.long_axis_mm, abs=0.051)
            assert float(row["Short axis (mm)"]) == pytest.approx(m.short_axis_mm, abs=0.051)
            assert float(row["Volume (mL)"]) == pytest.approx(m.volume_ml, abs=0.00051)
            assert float(row["Mean density (HU)"]) == pytest.approx(m.hu_mean, abs=0.051)
            assert float(row["SD density (HU)"]) == pytest.approx(m.hu_sd, abs=0.051)
            assert float(row["Distance to liver surface (mm)"]) == pytest.approx(
                m.surface_distance_mm, abs=0.051
            )
            assert float(row["Share of liver (%)"]) == pytest.approx(m.percent_of_liver, abs=0.00051)
            centre = [float(row[f"Centre {axis} LPS (mm)"]) for axis in "xyz"]
            np.testing.assert_allclose(centre, lesion.centre_lps, atol=0.051)
        assert (rows[0]["Class"], rows[0]["Class probability"]) == ("HCC", "0.625")
        assert (rows[2]["Class"], rows[2]["Class probability"]) == ("", "")
        liver = rows[-1]
        assert float(liver["Volume (mL)"]) == pytest.approx(result.liver_volume_ml, abs=0.00051)
        assert float(liver["Mean density (HU)"]) == pytest.approx(result.liver_hu_mean, abs=0.051)
        assert float(liver["Share of liver (%)"]) == pytest.approx(result.tumour_burden_percent, abs=0.00051)
        assert result.messages[0] in liver["Notes"]

    def test_a_gallbladder_that_is_seen_has_a_row(self):
        result = measured_result()
        seen = np.zeros_like(result.liver_zyx)
        seen[:2, :3, :4] = True
        result = replace(result, gallbladder_zyx=seen)
        rows = rows_of(findings_csv(result))
        assert [row["Finding"] for row in rows] == ["lesion"] * 3 + ["gallbladder", "liver"]
        assert float(rows[3]["Volume (mL)"]) == pytest.approx(result.gallbladder_ml, abs=0.00051)
        told = findings_json(result)["gallbladder"]
        assert told == {"volume_ml": pytest.approx(result.gallbladder_ml, abs=0.00051)}
        assert findings_json(measured_result())["gallbladder"] is None

    def test_shares_of_the_lesions_add_up_to_the_burden(self):
        rows = rows_of(findings_csv(measured_result()))
        shares = [float(row["Share of liver (%)"]) for row in rows]
        assert sum(shares[:-1]) == pytest.approx(shares[-1], abs=0.003)

    def test_empty_result_says_why(self):
        (row,) = rows_of(findings_csv(empty_result()))
        assert row["Finding"] == "liver"
        assert "No liver was found" in row["Notes"]
        assert row["Mean density (HU)"] == ""

    def test_lesion_without_a_mask_has_empty_cells(self):
        row = rows_of(findings_csv(box_only(measured_result())))[2]
        assert row["Found by"] == "box"
        for column in (
            "Long axis (mm)",
            "Short axis (mm)",
            "Volume (mL)",
            "Mean density (HU)",
            "Distance to liver surface (mm)",
        ):
            assert row[column] == "", column
        assert row["Centre x LPS (mm)"]

    @pytest.mark.parametrize("name", ['=HYPERLINK("http://x")', "+1", "-2", "@SUM(A1)", "\t=1"])
    def test_names_are_no_formulas(self, name):
        rows = rows_of(findings_csv(measured_result(case_name=name)))
        assert rows[0]["Case"] == "'" + name

    def test_negative_numbers_stay_numbers(self):
        result = measured_result()
        lesion = result.lesions[0]
        cold = replace(lesion, measurement=replace(lesion.measurement, hu_mean=-75.0))
        rows = rows_of(findings_csv(replace(result, lesions=(cold,))))
        assert rows[0]["Mean density (HU)"] == "-75.0"

    def test_reasons_of_a_class_and_none_for_what_cannot_be_told(self):
        result = measured_result()
        said = replace(result.lesions[0], class_reasons="=45 HU, 70 below the liver")
        unsure = replace(
            result.lesions[1], model_class="indeterminate", class_probabilities={"indeterminate": 0.0}
        )
        rows = rows_of(findings_csv(replace(result, lesions=(said, unsure))))
        assert rows[0]["Class reasons"] == "'=45 HU, 70 below the liver"
        assert (rows[1]["Class"], rows[1]["Class probability"]) == ("indeterminate", "")
        assert lesion_title(unsure) == "Lesion 2 (indeterminate)"

    def test_the_readers_class_and_the_contrast_phase(self):
        rows = rows_of(findings_csv(read_result()))
        assert [(r["Class"], r["Class probability"], r["Reader class"]) for r in rows[:3]] == [
            ("HCC", "0.625", "Haemangioma"),
            ("HCC", "0.625", ""),
            ("", "", "'=CYST"),
        ]
        assert rows[0]["Notes"] == "biopsy"
        assert {(r["Contrast phase"], r["Phase probability"]) for r in rows} == {("arterial", "0.91")}
        assert rows[-1]["Notes"].endswith("Learned on other phases.")
        assert not rows_of(findings_csv(measured_result()))[0]["Contrast phase"]

    @settings(max_examples=50, deadline=None)
    @given(results())
    def test_any_result_is_a_rectangle(self, result):
        text = findings_csv(result)
        table = list(csv.reader(io.StringIO(text, newline="")))
        assert {len(row) for row in table} == {len(CSV_COLUMNS)}
        assert len(table) == len(result.lesions) + 2 + (result.gallbladder_ml > 0)
        # A reader may have written "None" as a class: only the figures are looked at.
        figures = [
            i for i, name in enumerate(CSV_COLUMNS) if re.search(r"\((mm|mL|HU|%)\)|Score|probability", name)
        ]
        assert len(figures) > 10
        assert not {"nan", "inf", "None"} & {row[i] for row in table[1:] for i in figures}


class TestJson:
    def test_numbers_and_points(self):
        result = measured_result()
        found = json.loads(json.dumps(findings_json(result), allow_nan=False))
        assert found["case"] == result.case_name
        assert found["liver"]["volume_ml"] == pytest.approx(result.liver_volume_ml, abs=1e-3)
        assert found["liver"]["lesion_count"] == 3
        assert found["notes"] == list(result.messages)
        assert found["computation"]["models"] == {"sfan": "0123456789ab"}
        for entry, lesion in zip(found["lesions"], result.lesions, strict=True):
            m = lesion.measurement
            assert entry["number"] == lesion.number
            assert entry["class"] == lesion.model_class
            np.testing.assert_allclose(entry["long_axis_ends_lps_mm"], m.long_axis_lps, atol=0.0051)
            ends = np.array(entry["long_axis_ends_lps_mm"])
            assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(entry["long_axis_mm"], abs=0.03)
            np.testing.assert_allclose(entry["box"]["size_mm"], lesion.box.size_xyz_mm, atol=0.0051)

    def test_the_readers_class_and_the_contrast_phase(self):
        found = findings_json(read_result())
        assert [x["reader_class"] for x in found["lesions"]] == ["Haemangioma", None, "=CYST"]
        assert found["lesions"][0]["class"] == "HCC"
        assert found["lesions"][0]["note"] == "biopsy"
        assert found["contrast_phase"]["name"] == "arterial"
        assert found["notes"][-1] == "Learned on other phases."
        assert findings_json(measured_result())["contrast_phase"] is None

    def test_unknown_numbers_are_null(self):
        found = findings_json(box_only(measured_result()))["lesions"][2]
        assert found["volume_ml"] is None
        assert found["long_axis_mm"] is None
        assert found["long_axis_ends_lps_mm"] is None
        assert findings_json(empty_result())["liver"]["mean_hu_without_lesions"] is None

    @settings(max_examples=50, deadline=None)
    @given(results())
    def test_any_result_is_strict_json(self, result):
        json.dumps(findings_json(result), allow_nan=False)


class TestText:
    def test_table(self):
        text = findings_text(measured_result())
        lines = text.splitlines()
        assert lines[0].startswith(
            "Patient 7, portal venous: 3 lesions; liver 228 mL, 104 HU; tumour burden 4.4 %"
        )
        (rule,) = (i for i, line in enumerate(lines) if set(line) == {"-"})
        rows = lines[rule + 1 : rule + 4]
        assert [row.split()[0] for row in rows] == ["1", "2", "3"]
        assert "HCC 0.62" in rows[0]
        assert "28.5 x 22.8" in rows[0]
        assert "55 +/- 12" in rows[0]
        assert "L 2 P 8 S 960" in rows[0]
        assert "Note: Slices were 2 mm to 5 mm apart" in text
        assert "Computed in 3.8 s on cpu with sfan 0123456789ab." in text

    def test_columns_are_aligned(self):
        lines = findings_text(measured_result()).splitlines()
        start = next(i for i, line in enumerate(lines) if set(line) == {"-"})
        score_end = lines[start - 1].index("Score") + len("Score")
        volume_end = lines[start - 1].index("mL") + len("mL")
        for row, score, volume in zip(
            lines[start + 1 : start + 4], ("0.98", "0.71", "0.40"), ("8.96", "0.82", "0.19"), strict=True
        ):
            assert row[:score_end].endswith(score)
            assert row[:volume_end].endswith(volume)

    def test_the_readers_class_and_the_contrast_phase(self):
        lines = findings_text(read_result(), 120).splitlines()
        assert lines[1] == "Arterial phase (0.91)."
        assert "Note: Learned on other phases." in lines
        assert any("HCC 0.62" in line and "Haemangioma" in line for line in lines)
        plain = findings_text(measured_result())
        assert "Reader's" not in plain
        assert "phase (" not in plain

    def test_what_makes_all_findings_doubtful_stands_above_the_table(self):
        doubt = TOO_LARGE.say(ml=9000.0)
        result = replace(measured_result(), messages=("Slices differ.", doubt))
        lines = findings_text(result, 400).splitlines()
        assert lines[1] == f"Warning: {doubt}" and "Note: Slices differ." in lines
        assert sum(doubt in line for line in lines) == 1

    def test_a_named_phase_has_no_probability(self):
        phase = PhaseEstimate("arterial", 1.0, named=True)
        assert findings_text(measured_result(phase=phase)).splitlines()[1] == "Arterial phase (as named)."

    def test_columns_that_say_nothing_are_left_out(self):
        result = measured_result()
        plain = [replace(x, model_class=None, class_probabilities={}) for x in result.lesions]
        text = findings_text(replace(result, lesions=tuple(plain)))
        assert "Class" not in text
        assert "Status" not in text
        plain[1] = replace(plain[1], status=LesionStatus.REJECTED)
        assert "rejected" in findings_text(replace(result, lesions=tuple(plain)))

    def test_fits_the_terminal_at_its_widest(self):
        result = measured_result(messages=("A long message that says a lot. " * 8,), case_name="n" * 60)
        widest = [
            replace(
                lesion,
                number=number,
                model_class="indeterminate lesion",
                status=LesionStatus.REJECTED,
                centre_lps=(-123.4, -345.6, -1234.5),
                measurement=replace(
                    lesion.measurement,
                    long_axis_mm=234.5,
                    short_axis_mm=210.9,
                    hu_mean=-123.0,
                    hu_sd=123.0,
                    volume_ml=2345.6,
                    surface_distance_mm=123.4,
                ),
            )
            for number, lesion in enumerate(result.lesions, start=98)
        ]
        for width in (80, 100, 120):
            text = findings_text(replace(result, lesions=tuple(widest)), width)
            assert max(map(len, text.splitlines())) <= width
            assert "234.5 x 210.9" in text
            assert "-123 +/- 123" in text

    def test_where_there_is_little_room_the_slice_stays(self):
        """It is what the reader goes to; a share of the liver is not."""
        text = findings_text(measured_result(), 72)
        assert "Slice" in text and "% of" not in text

    def test_tables_with_the_usual_numbers_lose_no_column_at_100(self):
        text = findings_text(measured_result())
        assert max(map(len, text.splitlines())) <= 100
        for header in (
            "Class",
            "Score",
            "Long x short",
            "Volume",
            "Mean +/- SD",
            "To liver",
            "% of",
            "Slice",
            "Centre",
        ):
            assert header in text, header

    def test_no_liver(self):
        text = findings_text(empty_result())
        assert "no liver found" in text
        assert "upper abdomen" in text

    def test_no_lesion_names_the_threshold(self):
        grid = Geometry.make((1, 1, 1))
        tumour = ProbabilityMap(np.zeros((1, 1, 1), np.uint8), grid, 0.35)
        text = findings_text(measured_result(lesions=(), messages=(), probabilities={"tumour": tumour}))
        assert "no lesion found" in text
        assert "0.35" in text

    def test_the_pipelines_own_message_is_not_doubled(self):
        text = findings_text(empty_result(messages=("This is not an abdomen.",)))
        assert text.count("Note:") == 1

    def test_ascii_for_any_terminal(self):
        findings_text(measured_result()).encode("ascii")

    @settings(max_examples=50, deadline=None)
    @given(results())
    def test_any_result(self, result):
        lesions = tuple(replace(x, model_class=None) for x in result.lesions)
        text = findings_text(
            replace(result, case_name="case", messages=(), models={}, device="", lesions=lesions)
        )
        assert max(map(len, text.splitlines())) <= 100
        assert not re.search(r"\b(nan|inf|None)\b", text)
        numbers = [line.split()[0] for line in text.splitlines()[5:] if line[:1].isdigit()]
        assert numbers[: len(lesions)] == [str(x.number) for x in by_probability(lesions)]

    def test_names_with_line_breaks_stay_on_their_line(self):
        result = measured_result(case_name="first\nsecond\t third")
        lesions = (replace(result.lesions[0], model_class="H\nCC"), *result.lesions[1:])
        text = findings_text(replace(result, lesions=lesions))
        assert "first second third: 3 lesions" in text
        assert "H CC" in text


class TestWording:
    def test_position_letters(self):
        assert position_text((-60.3, 12.04, -1034.25)) == "R 60.3 P 12.0 I 1034.2"
        assert position_text((1.0, -2.0, 3.0), 0) == "L 1 A 2 S 3"

    @pytest.mark.parametrize("flip", [False, True])
    def test_slices_count_from_the_feet_however_stored(self, flip):
        result = measured_result()
        lesion = result.lesions[0]
        z = lesion.measurement.long_axis_lps[0][2]
        expected = round((z - 900.0) / 5.0) + 1
        geometry = result.geometry
        if flip:
            directions = geometry.directions_lps * [1, 1, -1]
            last = geometry.index_to_lps((geometry.shape_zyx[0] - 1, 0, 0))
            geometry = Geometry.make(geometry.shape_zyx, geometry.spacing_zyx_mm, tuple(last), directions)
        assert slice_number(lesion, geometry) == (expected, 20)

    @pytest.mark.parametrize(
        ("value", "digits", "text"),
        [
            (math.nan, 1, "-"),
            (0.0, 2, "0.00"),
            (0.001, 2, "<0.01"),
            (-0.2, 0, "0"),
            (12.345, 1, "12.3"),
            (-5.6, 0, "-6"),
        ],
    )
    def test_small(self, value, digits, text):
        assert small(value, digits) == text


class TestWriting:
    def test_files(self, tmp_path):
        result = measured_result(case_name="Müller, Käthe – Leber")
        table, structured = write_tables(result, tmp_path / "case")
        content = table.read_bytes()
        assert content.startswith(b"\xef\xbb\xbf")  # Excel reads UTF-8 by this mark
        assert content.count(b"\r\n") == content.count(b"\n") == 5
        assert rows_of(content.decode("utf-8-sig"))[0]["Case"] == "Müller, Käthe – Leber"
        assert json.loads(structured.read_text("utf-8")) == findings_json(result)
        assert {p.name for p in table.parent.iterdir()} == {"findings.csv", "findings.json"}
