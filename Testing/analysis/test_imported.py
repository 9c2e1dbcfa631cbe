"""A case made of a CT with DICOM SEG and SR."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("highdicom", reason="highdicom is not installed (the extra export)")

from LiverLesionAILib.analysis.imported import imported_case, sort_segments
from LiverLesionAILib.case.anatomy import LiverAnatomy
from LiverLesionAILib.case.findings import LesionSource, LesionStatus
from LiverLesionAILib.reading.dicom_seg import Segment, SegmentationObject, read_segmentation
from LiverLesionAILib.reading.dicom_sr import read_report
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.crops import Mask
from LiverLesionAILib.volume.dicom import DicomSlice, DicomSource
from LiverLesionAILib.writing.dicom.from_case import content_of
from LiverLesionAILib.writing.dicom.segmentation import segmentation
from LiverLesionAILib.writing.dicom.structured_report import structured_report
from support.case_factory import small_case

NONE = ("", "", "")
SPLEEN = ("78961009", "SCT", "Spleen")


def segment(label: str, *, kind=NONE, category=NONE, region=NONE, number: int = 1, **more) -> Segment:
    return Segment(
        number, label, category, kind, region, "", "MANUAL", Mask(np.ones((2, 3, 3), bool), (4, 5, 6)), **more
    )


@pytest.mark.parametrize(("made", "sort"), [
    (segment("Liver", kind=("10200004", "SCT", "Liver")), "liver"),
    (segment("liver"), "liver"),
    (segment("Organ", kind=("T-62000", "SRT", "Liver")), "liver"),
    (segment("Lesion 3"), "lesions"),
    (segment("liver_tumor"), "lesions"),
    (segment("Segment_2", kind=("4147007", "SCT", "Mass")), "lesions"),
    (segment("x", category=("49755003", "SCT", "Morphologically Altered Structure")), "lesions"),
    (segment("Lesion", kind=("52988006", "SCT", "Lesion"), region=SPLEEN), "others"),
    (segment("kidney_cyst_left"), "others"),
    (segment("gallbladder"), "others"),
    (segment("Spleen", kind=SPLEEN), "others"),
])  # fmt: skip
def test_segments_are_sorted_by_code_then_by_name(made, sort):
    assert getattr(sort_segments([made]), sort) == (made,)


def test_an_exported_case_comes_back_as_it_was(tmp_path):
    volume, result = small_case()
    first, *rest = result.lesions
    first = replace(
        first, status=LesionStatus.ACCEPTED, reader_class="Metastasis", note="seen before", probability=0.64
    )
    result = replace(result, lesions=(first, *rest))
    slices = tuple(
        DicomSlice("1.2.840.10008.5.1.4.1.1.2", f"1.2.{z + 1}") for z in range(volume.hu_zyx.shape[0])
    )
    content = content_of(result, DicomSource(slices, study_instance_uid="1.2.3", series_instance_uid="1.2.4"))
    seg = segmentation(content)
    seg.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    structured_report(content, seg).save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    drawn = read_segmentation(tmp_path / "seg.dcm", volume.geometry)
    back = imported_case(volume, drawn, read_report(tmp_path / "sr.dcm"))
    assert np.array_equal(back.liver_zyx, result.liver_zyx)
    assert np.array_equal(back.lesion_labels_zyx, result.lesion_labels_zyx)
    for was, now in zip(result.lesions, back.lesions, strict=True):
        assert now.number == was.number
        assert now.score == pytest.approx(was.score)
        assert now.probability == was.probability, "and none where the report gives none"
        assert now.status is was.status
        assert (now.model_class, now.reader_class) == (
            None if was.reader_class else was.model_class,
            was.reader_class,
        )
        assert now.note == was.note
        assert now.measurement.volume_ml == pytest.approx(was.measurement.volume_ml)
        assert now.measurement.long_axis_mm > 0
    uids = [region.tracking_uid for region in content.regions[1:]]
    assert [lesion.tracking_uid for lesion in back.lesions] == uids


@pytest.mark.parametrize("key", ["anatomy_notes", "anatomy_blank"])
def test_what_a_report_says_of_segments_comes_back_of_older_versions_too(tmp_path, key):
    """What is said of segments that are there was under a code that called them left blank."""
    said = "More of this liver's vessels are called hepatic than livers have. Look at them."
    volume, result = small_case()
    result = replace(result, anatomy=LiverAnatomy.blank(result.geometry, said))
    slices = tuple(
        DicomSlice("1.2.840.10008.5.1.4.1.1.2", f"1.2.{z + 1}") for z in range(volume.hu_zyx.shape[0])
    )
    content = content_of(result, DicomSource(slices, study_instance_uid="1.2.3", series_instance_uid="1.2.4"))
    [(value, scheme, meaning)] = content.regions[0].texts
    assert (value, scheme) == ("anatomy_notes", "99LIVERLESIONAI")
    assert "what to know" in meaning and "left blank" in meaning and len(meaning) <= 64
    first = replace(content.regions[0], texts={(key, scheme, meaning): said})
    content = replace(content, regions=(first, *content.regions[1:]))
    seg = segmentation(content)
    seg.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    structured_report(content, seg).save_as(tmp_path / "sr.dcm", enforce_file_format=True)
    drawn = read_segmentation(tmp_path / "seg.dcm", volume.geometry)
    assert said in imported_case(volume, drawn, read_report(tmp_path / "sr.dcm")).messages
    assert said not in imported_case(volume, drawn).messages


def test_others_lesions_in_one_segment_are_taken_apart():
    volume, _ = small_case()
    shape = volume.hu_zyx.shape
    liver = Segment(
        1,
        "Liver",
        NONE,
        ("10200004", "SCT", "Liver"),
        NONE,
        "",
        "AUTOMATIC",
        Mask(np.ones(shape, bool), (0, 0, 0)),
    )
    voxels = np.zeros(shape, bool)
    voxels[5:8, 5:9, 5:9] = voxels[12:14, 20:24, 20:24] = True
    tumours = Segment(2, "liver tumours", NONE, NONE, NONE, "", "MANUAL", Mask.of(voxels), outside=0.2)
    spleen = replace(segment("Spleen", kind=SPLEEN, number=3))
    case = imported_case(volume, SegmentationObject("1.2", "", "", "ACME", (liver, tumours, spleen)))
    assert [x.number for x in case.lesions] == [1, 2]
    assert {x.source for x in case.lesions} == {LesionSource.READER}
    assert {x.status for x in case.lesions} == {LesionStatus.UNDECIDED}
    said = " ".join(case.messages)
    assert "ACME" in said
    assert "Spleen" in said
    assert "outside of the CT" in said


def test_nothing_of_the_liver_is_refused_with_the_names():
    volume, _ = small_case()
    with pytest.raises(InputError, match="Spleen"):
        imported_case(volume, SegmentationObject("1.2", "", "", "", (segment("Spleen", kind=SPLEEN),)))
