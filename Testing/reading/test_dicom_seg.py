"""DICOM SEG and SR read back: ours, others', other grids, damaged, foreign."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

hd = pytest.importorskip("highdicom", reason="highdicom is not installed (the extra export)")

from LiverLesionAILib.reading.dicom_seg import read_segmentation
from LiverLesionAILib.reading.dicom_sr import read_report
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.volume.dicom import DicomSlice, DicomSource
from LiverLesionAILib.writing.dicom.from_case import CLASS, SCORE, content_of
from LiverLesionAILib.writing.dicom.segmentation import segmentation
from LiverLesionAILib.writing.dicom.structured_report import shown_number, structured_report
from support.case_factory import rotation, small_case
from support.ct_phantom import real_data

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def written(folder: Path, geometry: Geometry | None = None, *, deflate: bool = False):
    _, result = small_case(geometry)
    slices = tuple(DicomSlice(CT_IMAGE, f"1.2.3.4.{z + 1}") for z in range(result.geometry.shape_zyx[0]))
    source = DicomSource(
        slices, study_instance_uid="1.2.3", series_instance_uid="1.2.3.4", frame_of_reference_uid="1.2.3.5"
    )
    content = content_of(result, source)
    seg = segmentation(content, deflate=deflate)
    seg.save_as(folder / "seg.dcm", enforce_file_format=True)
    structured_report(content, seg).save_as(folder / "sr.dcm", enforce_file_format=True)
    return result, content


def full(mask, geometry: Geometry) -> np.ndarray:
    out = np.zeros(geometry.shape_zyx, bool)
    out[mask.slices] = mask.voxels_zyx
    return out


@pytest.mark.parametrize("deflate", [False, True])
def test_our_own_segments_come_back_to_the_voxel(deflate, tmp_path):
    result, content = written(tmp_path, deflate=deflate)
    back = read_segmentation(tmp_path / "seg.dcm", result.geometry, "1.2.3.5")
    assert [s.label for s in back.segments] == [r.label for r in content.regions]
    assert [s.tracking_uid for s in back.segments] == [r.tracking_uid for r in content.regions]
    assert back.segments[0].kind == ("10200004", "SCT", "Liver")
    assert np.array_equal(full(back.segments[0].mask, result.geometry), result.liver_zyx)
    for lesion, segment in zip(result.lesions, back.segments[1:], strict=True):
        assert np.array_equal(full(segment.mask, result.geometry), result.lesion_labels_zyx == lesion.number)


@settings(max_examples=12, deadline=None)
@given(st.permutations(range(3)), st.tuples(*[st.sampled_from([1, -1])] * 3))
def test_on_a_ct_turned_or_flipped_since(tmp_path_factory, order, signs):
    folder = tmp_path_factory.mktemp("turned")
    result, _ = written(folder)
    geometry = result.geometry
    axes = [np.arange(n)[:: -1 if s < 0 else 1] for n, s in zip(geometry.shape_zyx, signs, strict=True)]
    turned = np.transpose(result.liver_zyx[np.ix_(*axes)], order)
    spacing = tuple(geometry.spacing_zyx_mm[k] for k in order)
    columns = [geometry.directions_lps[:, 2 - k] * signs[k] for k in order]
    corner = geometry.index_to_lps(
        [0 if s > 0 else n - 1 for n, s in zip(geometry.shape_zyx, signs, strict=True)]
    )
    other = Geometry.make(turned.shape, spacing, corner, np.column_stack(columns[::-1]))
    back = read_segmentation(folder / "seg.dcm", other)
    assert np.array_equal(full(back.segments[0].mask, other), turned)


@pytest.mark.parametrize("degrees", [(0.0, 0.0, 0.0), (4.0, 0.0, 7.0)])
def test_another_grid_keeps_place_and_volume(degrees, tmp_path):
    result, _ = written(tmp_path)
    geometry = result.geometry
    centre = geometry.index_to_lps((np.array(geometry.shape_zyx) - 1) / 2)
    directions = rotation(degrees) @ geometry.directions_lps
    shape = (40, 60, 70)
    spacing = tuple(e * 1.15 / n for e, n in zip(geometry.extent_zyx_mm, shape, strict=True))
    half = directions @ (np.array(spacing[::-1]) * (np.array(shape[::-1]) - 1) / 2)
    other = Geometry.make(shape, spacing, centre - half, directions)
    back = read_segmentation(tmp_path / "seg.dcm", other).segments[0].mask
    volume = back.count * other.voxel_volume_mm3
    assert volume == pytest.approx(result.liver_zyx.sum() * geometry.voxel_volume_mm3, rel=0.04)
    there = other.index_to_lps(np.argwhere(full(back, other)).mean(axis=0))
    here = geometry.index_to_lps(np.argwhere(result.liver_zyx).mean(axis=0))
    assert np.abs(there - here).max() < 0.5 * max(geometry.spacing_zyx_mm)


def test_another_scans_segmentation_is_refused(tmp_path):
    result, _ = written(tmp_path)
    with pytest.raises(InputError, match="another scan"):
        read_segmentation(tmp_path / "seg.dcm", result.geometry, "9.9.9")
    far = replace(result.geometry, origin_lps=(5000.0, 0.0, 0.0))
    with pytest.raises(InputError, match="none of its segments"):
        read_segmentation(tmp_path / "seg.dcm", far)


def test_the_report_comes_back_with_its_numbers_and_texts(tmp_path):
    result, content = written(tmp_path)
    groups = read_report(tmp_path / "sr.dcm")
    by_uid = {}
    for group in groups:
        by_uid.setdefault(group.tracking_uid, []).append(group)
    for lesion, region in zip(result.lesions, content.regions[1:], strict=True):
        volume, axes = by_uid[region.tracking_uid]
        assert volume.tracking_id == region.label
        assert volume.segment is not None
        assert volume.numbers[SCORE[:2]][0] == pytest.approx(lesion.score)
        measured = lesion.measurement
        assert volume.numbers[("118565006", "SCT")] == (shown_number(measured.volume_ml, "mL"), "mL")
        assert axes.numbers[("103339001", "SCT")][0] == shown_number(measured.long_axis_mm, "mm")
        assert shown_number(measured.volume_ml, "mL") == pytest.approx(measured.volume_ml, rel=0.01)
        if lesion.shown_class:
            assert volume.texts[CLASS[:2]] == lesion.shown_class


@pytest.mark.parametrize("read", [lambda p, g: read_segmentation(p, g), lambda p, g: read_report(p)])
def test_what_is_no_such_object_is_said_so(read, tmp_path):
    result, _ = written(tmp_path)
    (tmp_path / "text.dcm").write_text("no DICOM")
    with pytest.raises(InputError, match="no DICOM file"):
        read(tmp_path / "text.dcm", result.geometry)
    whole = (tmp_path / "seg.dcm").read_bytes()
    (tmp_path / "half.dcm").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        read(tmp_path / "half.dcm", result.geometry)


@pytest.mark.real_data
def test_a_segmentation_and_a_report_of_others():
    """A SEG with codes of an older scheme over three slices, and a report of another program."""
    data = real_data("dicom")
    positions = [
        dcmread(p).ImagePositionPatient for p in sorted((data / "ct_3slice").rglob("*")) if p.is_file()
    ]
    first = dcmread(next(p for p in sorted((data / "ct_3slice").rglob("*")) if p.is_file()))
    z = sorted(float(p[2]) for p in positions)
    corner = (*map(float, first.ImagePositionPatient[:2]), z[0])
    spacing = (z[1] - z[0], *map(float, first.PixelSpacing))
    geometry = Geometry.make((3, first.Rows, first.Columns), spacing, corner)
    back = read_segmentation(data / "ct_3slice_liver_seg.dcm", geometry, first.FrameOfReferenceUID)
    [liver] = back.segments
    assert liver.kind == ("T-62000", "SRT", "Liver")
    assert liver.outside == 0
    theirs = dcmread(data / "ct_3slice_liver_seg.dcm").pixel_array
    assert liver.mask.count == np.count_nonzero(theirs)
    groups = read_report(data / "tid1500_sr_example.dcm")
    assert groups
    assert all(group.numbers for group in groups)


@pytest.mark.parametrize("damage", ["pixels", "groups", "undecodable", "nameless"])
def test_a_segmentation_that_is_damaged_inside_is_named(damage, tmp_path):
    """Whatever a reader of files trips over is one sentence with the file's name."""
    result, _ = written(tmp_path)
    seg = dcmread(tmp_path / "seg.dcm")
    if damage == "pixels":
        seg.PixelData = seg.PixelData[: len(seg.PixelData) // 2]
    elif damage == "groups":
        del seg.PerFrameFunctionalGroupsSequence
    elif damage == "undecodable":
        seg.PixelData = encapsulate([b"no image"] * int(seg.NumberOfFrames))
        seg["PixelData"].is_undefined_length = True
        seg.file_meta.TransferSyntaxUID = JPEGLSLossless
    else:
        del seg.SOPInstanceUID
    seg.save_as(tmp_path / "bad.dcm")
    with pytest.raises(InputError, match=r"bad\.dcm: the segmentation is damaged or incomplete"):
        read_segmentation(tmp_path / "bad.dcm", result.geometry)
    with pytest.raises(InputError, match=r"sr\.dcm is no DICOM Segmentation object"):
        read_segmentation(tmp_path / "sr.dcm", result.geometry)
