"""DICOM SEG: valid by another's judge, and read back by other programs to the voxel."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

hd = pytest.importorskip("highdicom", reason="highdicom is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")

from LiverLesionAILib.case.lesion_masks import lesion_masks
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from LiverLesionAILib.volume.dicom import DicomSlice
from LiverLesionAILib.writing.dicom.from_case import content_of
from LiverLesionAILib.writing.dicom.segmentation import segmentation
from LiverLesionAILib.writing.export import Export, export_case
from pydicom import dcmread
from support.case_factory import result_of, small_case
from support.dicom_judged import (
    ENHANCED,
    NOW,
    judged,
    masks_back,
    objects,
    source_of,
    texts_of,
    without_times,
)

ORDERS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize(("order", "signs"), ORDERS)
def test_any_axis_order_and_sign_keeps_every_voxel_in_its_place(order, signs, tmp_path):
    directions = np.eye(3)[:, list(order)] * np.array(signs)
    _, result = small_case(Geometry.make((20, 40, 48), (3.0, 0.8, 1.1), (12.5, -40.0, 7.0), directions))
    geometry = result.geometry
    _, seg, sr = objects(result, source_of(geometry))
    path = judged(seg, tmp_path)
    judged(sr, tmp_path, "sr")
    back = masks_back(path, geometry, tmp_path)
    assert np.array_equal(back["Liver"], result.liver_zyx)
    for lesion in result.lesions:
        mask = back[f"Lesion {lesion.number}"]
        assert np.array_equal(mask, result.lesion_labels_zyx == lesion.number)
        centre = geometry.index_to_lps(np.argwhere(mask).mean(axis=0))
        assert np.abs(centre - lesion.centre_lps).max() <= 0.5 * min(geometry.spacing_zyx_mm)


def test_frames_of_a_multi_frame_file_are_named_by_their_number(tmp_path):
    _, result = small_case()
    places = tuple(DicomSlice(ENHANCED, "1.2.3.4.9", z + 3) for z in range(result.geometry.shape_zyx[0]))
    source = source_of(result.geometry, slices=places)
    _, seg, sr = objects(result, source)
    judged(seg, tmp_path)
    judged(sr, tmp_path, "sr")
    frame = seg.PerFrameFunctionalGroupsSequence[0]
    image = frame.DerivationImageSequence[0].SourceImageSequence[0]
    assert image.ReferencedSOPInstanceUID == "1.2.3.4.9"
    index = result.geometry.lps_to_index(frame.PlanePositionSequence[0].ImagePositionPatient)
    assert image.ReferencedFrameNumber == round(float(index[0])) + 3
    assert len(seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
    assert "2.25." not in str(sr.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0])


def test_eighty_lesions_and_every_one_has_its_segment(tmp_path):
    shape = (30, 96, 96)
    liver = np.ones(shape, bool)
    labels = np.zeros(shape, np.uint16)
    for n in range(80):
        z, rest = divmod(n, 16)
        y, x = divmod(rest, 4)
        labels[5 * z + 1 : 5 * z + 4, 22 * y + 3 : 22 * y + 8, 22 * x + 3 : 22 * x + 9] = n + 1
    geometry = Geometry.make(shape, (2.0, 1.0, 1.0))
    result = result_of(CtVolume(np.zeros(shape, np.int16), geometry, "many"), liver, labels > 0)
    _, seg, sr = objects(result, source_of(geometry))
    judged(seg, tmp_path)
    judged(sr, tmp_path, "sr")
    assert {f"Lesion {number}" for number in range(1, 81)} < set(texts_of(sr))
    masks = lesion_masks(result)
    back = hd.seg.Segmentation.from_dataset(seg)
    for lesion in result.lesions[::13]:
        number = next(
            s.SegmentNumber for s in seg.SegmentSequence if s.SegmentLabel == f"Lesion {lesion.number}"
        )
        got = back.get_volume(segment_numbers=[number]).array[..., 0]
        assert np.count_nonzero(got) == masks[lesion.number].count


def test_the_gallbladder_is_a_segment_of_its_own_code(tmp_path):
    _, result = small_case()
    gallbladder = np.zeros_like(result.liver_zyx)
    gallbladder[2:6, 3:9, 4:10] = True
    result = replace(result, gallbladder_zyx=gallbladder)
    _, seg, sr = objects(result, source_of(result.geometry))
    [segment] = [s for s in seg.SegmentSequence if s.SegmentLabel == "Gallbladder"]
    kind = segment.SegmentedPropertyTypeCodeSequence[0]
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("28231008", "SCT")
    back = masks_back(judged(seg, tmp_path), result.geometry, tmp_path)
    assert np.array_equal(back["Gallbladder"], gallbladder)
    judged(sr, tmp_path, "sr")


def test_a_deflated_segmentation_holds_its_native_twin(tmp_path):
    """The native one is judged; the deflated one inflates to its bytes, and others read the same voxels."""
    _, result = small_case()
    content = content_of(result, source_of(result.geometry))
    native, deflated = segmentation(content), segmentation(content, deflate=True)
    judged(native, tmp_path, "native")
    deflated.save_as(tmp_path / "deflated.dcm", enforce_file_format=True)
    assert (tmp_path / "deflated.dcm").stat().st_size < 0.5 * (tmp_path / "native.dcm").stat().st_size
    back = dcmread(tmp_path / "deflated.dcm")
    assert back.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1.99"
    twin = dcmread(tmp_path / "native.dcm")
    assert without_times(back) == without_times(twin)
    read = hd.seg.Segmentation.from_dataset(back)
    for number, label in enumerate(["Liver", *(f"Lesion {x.number}" for x in result.lesions)], start=1):
        mask = result.liver_zyx if number == 1 else result.lesion_labels_zyx == number - 1
        assert read.get_segment_description(number).segment_label == label
        voxels = read.get_volume(segment_numbers=[number]).array[..., 0]
        assert np.count_nonzero(voxels) == np.count_nonzero(mask)
    (tmp_path / "masks").mkdir()
    by_dcmqi = masks_back(tmp_path / "deflated.dcm", result.geometry, tmp_path / "masks")
    assert np.array_equal(by_dcmqi["Liver"], result.liver_zyx)


def test_a_large_segmentation_offers_to_be_deflated(tmp_path, monkeypatch):
    _, result = small_case()
    monkeypatch.setattr("LiverLesionAILib.writing.export.LARGE_SEG_BYTES", 1000)
    said: list[str] = []
    for deflate in (False, True):
        what = Export(dicom=True, deflate=deflate)
        export_case(result, source_of(result.geometry), tmp_path / str(deflate), what, say=said.append)
    assert len(said) == 1 and "--deflate" in said[0]


def test_one_frame_for_each_slice_that_a_segment_has_and_no_more(tmp_path):
    """What a native SEG takes: rows x columns / 8 bytes for each slice of each segment, and little else."""
    _, result = small_case()
    _, rows, columns = result.geometry.shape_zyx
    said: list[str] = []
    written = export_case(
        result, source_of(result.geometry), tmp_path, Export(dicom=True), now=NOW, say=said.append
    )
    masks = [result.liver_zyx, *(result.lesion_labels_zyx == x.number for x in result.lesions)]
    frames = sum(int(mask.any((1, 2)).sum()) for mask in masks)
    seg = dcmread(written["SEG"])
    assert seg.NumberOfFrames == frames
    assert len(seg.PixelData) == (frames * rows * columns + 15) // 16 * 2
    assert written["SEG"].stat().st_size < len(seg.PixelData) + 1500 * frames + 20_000
    assert said == []


def test_category_type_and_modifier_say_what_a_lesion_is(tmp_path):
    _, result = small_case(lesions=4)
    named = zip(result.lesions, ("HCC", "metastasis", "cyst"), strict=True)
    lesions = tuple(replace(lesion, reader_class=name) for lesion, name in named)
    _, seg, sr = objects(replace(result, lesions=lesions), source_of(result.geometry))
    back = dcmread(judged(seg, tmp_path))
    judged(sr, tmp_path, "sr")
    said = []
    for segment in back.SegmentSequence:
        kind = segment.SegmentedPropertyTypeCodeSequence[0]
        modifiers = kind.get("SegmentedPropertyTypeModifierCodeSequence", [])
        site = [code.CodeValue for code in segment.get("AnatomicRegionSequence", [])]
        said.append((kind.CodeValue, [code.CodeValue for code in modifiers], site))
    assert said == [
        ("10200004", [], []),
        ("108369006", ["86049000"], ["10200004"]),
        ("108369006", ["14799000"], ["10200004"]),
        ("367643001", [], ["10200004"]),
    ]


def test_a_lesion_that_an_edit_emptied_makes_no_segment(tmp_path):
    _, result = small_case()
    labels = np.where(result.lesion_labels_zyx == 1, 0, result.lesion_labels_zyx)
    emptied = replace(result.lesions[0], measurement=None)
    result = replace(result, lesion_labels_zyx=labels, lesions=(emptied, *result.lesions[1:]))
    _, seg, sr = objects(result, source_of(result.geometry))
    assert "Lesion 1" not in [s.SegmentLabel for s in seg.SegmentSequence]
    judged(seg, tmp_path)
    judged(sr, tmp_path, "sr")
