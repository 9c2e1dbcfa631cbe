"""DICOM SR: valid by another's judge, and read back by other programs to the digit that is shown."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

hd = pytest.importorskip("highdicom", reason="highdicom is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")

from LiverLesionAILib.case.findings import LesionStatus
from LiverLesionAILib.case.terminology import class_probability
from LiverLesionAILib.writing.dicom.from_case import PROBABILITY, SCORE
from LiverLesionAILib.writing.dicom.structured_report import shown_number
from LiverLesionAILib.writing.tables import findings_json
from support.case_factory import small_case
from support.dicom_judged import (
    groups_of,
    installed,
    judged,
    masks_back,
    objects,
    source_of,
)


def test_the_report_gives_every_number_of_the_findings():
    result = calibrated(small_case()[1])
    _, _, sr = objects(result, source_of(result.geometry))
    groups = groups_of(sr)
    assert len(groups) == 1 + len(result.lesions)
    for lesion, group in zip(result.lesions, groups[1:], strict=True):
        m = lesion.measurement
        values = {(x.name.value, x.name.scheme_designator): float(x.value) for x in group.get_measurements()}
        assert values[("118565006", "SCT")] == shown_number(m.volume_ml, "mL")
        assert values[("112181", "DCM")] == pytest.approx(m.hu_mean, abs=0.05 + 1e-9)
        assert values[("112183", "DCM")] == pytest.approx(m.hu_sd, abs=0.05 + 1e-9)
        assert values[SCORE[:2]] == pytest.approx(lesion.score, abs=0.0005)
        assert values[PROBABILITY[:2]] == pytest.approx(lesion.probability, abs=0.0005)
    axes = hd.sr.MeasurementReport.from_sequence([sr]).get_image_measurement_groups()
    assert len(axes) == len(result.lesions)
    for lesion, group in zip(result.lesions, axes, strict=True):
        lengths = [float(x.value) for x in group.get_measurements()]
        m = lesion.measurement
        assert lengths == pytest.approx([m.long_axis_mm, m.short_axis_mm], abs=0.05 + 1e-9)
    machine = numbers_as_written(sr)
    assert machine and all(len(text.partition(".")[2]) <= 3 for text in machine), "none to a micrometre"


def numbers_as_written(sr) -> list[str]:
    return [str(x.value) for x in sr.iterall() if x.keyword == "NumericValue"]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (17.482937, "mm", 17.5),
        (17.45, "mm", 17.5),
        (1391.2349, "mL", 1391.2),
        (8.8673, "mL", 8.87),
        (0.0041, "mL", 0.004),
        (3.3219, "%", 3.32),
        (-43.26, "[hnsf'U]", -43.3),
        (0.97349, "1", 0.973),
        (181.0, "d", 181.0),
        (7.12345, "mm2", 7.123),
    ],
)
def test_a_figure_has_as_many_decimals_as_tables_have(value: float, unit: str, shown: float) -> None:
    assert shown_number(value, unit) == shown


def test_the_intervals_of_the_report_stand_beside_their_figures():
    """TID 310: how much more and how much less, in the figure's own unit."""
    from LiverLesionAILib.case.volume_interval import volume_interval_ml

    result = small_case()[1]
    known = replace(
        result,
        lesions=tuple(
            replace(one, half_width_mm=half) for one, half in zip(result.lesions, (2.5, 90.0), strict=False)
        ),
    )
    content, _, sr = objects(known, source_of(known.geometry))
    assert any("nine true values in ten" in one for one in content.remarks)
    volumes = {
        str(group.tracking_uid): x
        for group in groups_of(sr)[1:]
        for x in group.get_measurements()
        if x.name.value == "118565006"
    }
    axes = hd.sr.MeasurementReport.from_sequence([sr]).get_image_measurement_groups()
    assert len(axes) == len(known.lesions) >= 2
    for lesion, group in zip(known.lesions, axes, strict=True):
        m, half = lesion.measurement, lesion.half_width_mm
        long_axis = next(x for x in group.get_measurements() if x.name.meaning == "Long axis")
        less = min(half, m.long_axis_mm)
        assert uncertainty(long_axis) == (round(half, 1), pytest.approx(less, abs=0.06), "mm")
        assert not [x for x in group.get_measurements() if x.name.meaning != "Long axis" and uncertainty(x)]
        low, high = volume_interval_ml(m.volume_ml, half)
        more, less, unit = uncertainty(volumes[lesion.tracking_uid or str(group.tracking_uid)])
        assert (more, less) == pytest.approx((high - m.volume_ml, m.volume_ml - low), rel=0.01, abs=0.006)
        assert unit == "mL" and less <= m.volume_ml + 0.006
    bare = replace(
        result, lesions=tuple(replace(x, half_width_mm=None) for x in result.lesions), probabilities={}
    )
    content, _, sr = objects(bare, source_of(bare.geometry))
    assert not any("nine true values" in one for one in content.remarks)
    assert not any(uncertainty(x) for group in groups_of(sr) for x in group.get_measurements())


def uncertainty(measurement):
    """(more, less, unit) of a figure as it stands in the file; None where there is none."""
    found = {
        item.ConceptNameCodeSequence[0].CodeValue: item
        for item in measurement[0].get("ContentSequence", ())
        if item.RelationshipType == "HAS PROPERTIES"
    }
    if not found:
        return None
    values = [found[code].MeasuredValueSequence[0] for code in ("371886008", "371885007")]
    (unit,) = {str(x.MeasurementUnitsCodeSequence[0].CodeValue) for x in values}
    return (*(float(x.NumericValue) for x in values), unit)


def test_what_is_called_a_probability_is_the_one_of_the_report():
    """The networks' own score of 0.9 is none: of such lesions two thirds are true."""
    from LiverLesionAILib.writing.report.content import Options, report_content

    for result in (calibrated(small_case()[1]), small_case()[1]):
        source = source_of(result.geometry)
        _, _, sr = objects(result, source)
        shown = {row.number: row.score for row in report_content(result, source, Options()).rows}
        for lesion, group in zip(result.lesions, groups_of(sr)[1:], strict=True):
            called = [float(x.value) for x in group.get_measurements() if x.name.meaning == PROBABILITY[2]]
            of_class = [
                float(x.value) for x in group.get_measurements() if x.name.value == "class-probability"
            ]
            wanted = class_probability(lesion)
            assert of_class == ([] if wanted is None else [round(wanted, 3)])
            assert [f"{value:.2f}" for value in called] == (
                [shown[lesion.number]] if lesion.probability is not None else []
            )


def test_places_to_look_at_stand_in_the_comment_as_in_the_report():
    from LiverLesionAILib.case.findings import DoubtfulPlace
    from LiverLesionAILib.case.wording import look_here

    result = small_case()[1]
    centre = result.lesions[0].centre_lps
    seen = replace(result, doubtful=(DoubtfulPlace(centre, 8.0, 0.34),))
    for some in (seen, result):
        _, _, sr = objects(some, source_of(some.geometry))
        told = " ".join(str(item.value) for item in sr.iterall() if item.keyword == "TextValue")
        assert ("Look here, not listed" in told) == bool(some.doubtful)
    assert "(8 mm, score 0.34)" in look_here(seen)


def calibrated(result):
    """The result with a probability beside every lesion's score."""
    lesions = tuple(replace(one, probability=round(0.7 * one.score, 4)) for one in result.lesions)
    return replace(result, lesions=lesions)


def test_axes_lie_on_their_image_where_they_were_measured():
    _, result = small_case()
    source = source_of(result.geometry)
    _, _, sr = objects(result, source)
    groups = hd.sr.MeasurementReport.from_sequence([sr]).get_image_measurement_groups()
    uids = [place.sop_instance_uid for place in source.slices]
    for lesion, group in zip(result.lesions, groups, strict=True):
        ends = (lesion.measurement.long_axis_lps, lesion.measurement.short_axis_lps)
        for measurement, points in zip(group.get_measurements(), ends, strict=True):
            [coordinates] = [i for i in measurement[0].ContentSequence if i.ValueType == "SCOORD"]
            image = coordinates.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            xy = np.reshape(coordinates.GraphicData, (2, 2)) - 0.5
            index = np.column_stack([np.full(2, uids.index(image)), xy[:, 1], xy[:, 0]])
            assert np.allclose(result.geometry.index_to_lps(index), points, atol=0.02)


def test_both_groups_of_a_lesion_share_their_tracking():
    _, result = small_case()
    content, seg, sr = objects(result, source_of(result.geometry))
    report = hd.sr.MeasurementReport.from_sequence([sr])
    volumes = [g.tracking_uid for g in report.get_volumetric_roi_measurement_groups()]
    assert volumes[1:] == [g.tracking_uid for g in report.get_image_measurement_groups()]
    assert volumes == [s.TrackingUID for s in seg.SegmentSequence]
    assert len(set(volumes)) == len(content.regions)


def test_interpolated_slices_have_no_image_and_are_measured_in_space(tmp_path):
    _, result = small_case()
    source = source_of(result.geometry)
    source = replace(source, slices=tuple(s if z % 2 else None for z, s in enumerate(source.slices)))
    _, seg, sr = objects(result, source)
    back = masks_back(judged(seg, tmp_path), result.geometry, tmp_path)
    assert np.array_equal(back["Liver"], result.liver_zyx)
    judged(sr, tmp_path, "sr")
    assert sr.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.34"


def test_rejected_findings_stay_at_home_unless_asked_for():
    _, result = small_case()
    lesions = (replace(result.lesions[0], status=LesionStatus.REJECTED), *result.lesions[1:])
    result = replace(result, lesions=lesions)
    source = source_of(result.geometry)
    labels = [s.SegmentLabel for s in objects(result, source)[1].SegmentSequence]
    assert "Lesion 1" not in labels
    labels = [s.SegmentLabel for s in objects(result, source, with_rejected=True)[1].SegmentSequence]
    assert "Lesion 1" in labels


def test_a_report_is_partial_and_unverified_until_a_reader_signs(tmp_path):
    _, result = small_case()
    source = source_of(result.geometry)
    content, _, sr = objects(result, source)
    assert (sr.CompletionFlag, sr.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    assert content.draft.startswith("DRAFT, ")
    assert content.draft in sr.SeriesDescription
    accepted = replace(
        result, lesions=tuple(replace(x, status=LesionStatus.ACCEPTED) for x in result.lesions)
    )
    content, _, sr = objects(accepted, source, verified_by="Reader^Rita", organisation="Hospital")
    assert content.draft == ""
    assert (sr.CompletionFlag, sr.VerificationFlag) == ("COMPLETE", "VERIFIED")
    judged(sr, tmp_path)


def test_a_case_without_lesions_is_a_draft_until_a_reader_signs():
    _, empty = small_case(lesions=0)
    source = source_of(empty.geometry)
    content, seg, sr = objects(empty, source)
    assert content.draft == "DRAFT, no lesion, not confirmed"
    described = [one.SeriesDescription for one in (seg, sr)]
    assert all(content.draft in text and len(text) <= 64 for text in described)
    assert objects(empty, source, verified_by="Reader^Rita", organisation="Hospital")[0].draft == ""


def numbers_by_dcmqi(sr, folder: Path) -> dict[str, dict[str, float]]:
    """Every number by its code, for each tracking UID, as dcmqi's reader gives them."""
    tool = installed("tid1500reader")
    if tool is None:
        pytest.skip("tid1500reader is not installed (pip install dcmqi)")
    sr.save_as(folder / "sr.dcm", enforce_file_format=True)
    arguments = ["--inputDICOM", str(folder / "sr.dcm"), "--outputMetadata", str(folder / "sr.json")]
    subprocess.run([tool, *arguments], check=True, capture_output=True)
    found: dict[str, dict[str, float]] = {}
    for group in json.loads((folder / "sr.json").read_text())["Measurements"]:
        own = found.setdefault(group["TrackingUniqueIdentifier"], {})
        for item in group["measurementItems"]:
            own[item["quantity"]["CodeValue"]] = float(item["value"])
    return found


def test_dcmqi_gives_every_number_of_the_findings(tmp_path):
    _, result = small_case()
    content, _, sr = objects(result, source_of(result.geometry))
    found = numbers_by_dcmqi(sr, tmp_path)
    lesions = [region for region in content.regions if region.measurement is not None]
    assert len(lesions) == len(result.lesions)
    for region, lesion in zip(lesions, result.lesions, strict=True):
        m, numbers = lesion.measurement, found[region.tracking_uid]
        expected = {
            "118565006": m.volume_ml,
            "112181": m.hu_mean,
            "112183": m.hu_sd,
            "score": lesion.score,
            "surface": m.surface_distance_mm,
            "share": m.percent_of_liver,
        }
        assert {code: numbers[code] for code in expected} == pytest.approx(expected, rel=5e-4, abs=0.051)
        stored = next(x for x in findings_json(result)["lesions"] if x["number"] == lesion.number)
        for code, key in (("118565006", "volume_ml"), ("112181", "mean_hu"), ("112183", "sd_hu")):
            digits = len(repr(numbers[code]).partition(".")[2])
            assert numbers[code] == pytest.approx(stored[key], abs=0.51 * 10**-digits), key
    liver = found[content.regions[0].tracking_uid]
    assert liver["118565006"] == shown_number(result.liver_volume_ml, "mL")
    assert liver["burden"] == shown_number(result.tumour_burden_percent, "%")
