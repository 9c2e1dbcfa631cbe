"""DICOM objects of any CT: its study and patient, its kind of images, and what has none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

hd = pytest.importorskip("highdicom", reason="highdicom is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")

from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.reading.dicom_source import source_of_files
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import silent
from LiverLesionAILib.volume.ct import CtVolume, Geometry, reorient
from LiverLesionAILib.writing.dicom.ct_series import ct_series, derived_source
from LiverLesionAILib.writing.export import Export, export_case
from pydicom import dcmread
from support.case_factory import result_of, small_case
from support.ct_phantom import real_data
from support.dicom_compress import LOSSLESS, RLE, compress
from support.dicom_judged import NOW, judged, masks_back, objects, source_of, texts_of
from support.dicom_writer import write_series


@pytest.mark.parametrize("syntax", [RLE, LOSSLESS["JPEG-LS"], LOSSLESS["JPEG 2000 lossless"]])
def test_a_compressed_series_is_referred_to_like_any_other(syntax, tmp_path):
    """The objects are native, whatever the CT's images are, and name those that the lesions lie on."""
    volume, result = small_case(Geometry.make((10, 40, 48), (5, 3, 3), (-70, -60, 12)))
    at = [volume.geometry.index_to_lps((z, 0, 0)) for z in range(10)]
    study = {"StudyInstanceUID": "1.2.8", "FrameOfReferenceUID": "1.2.9", "StudyDate": "20260131"}
    write_series(tmp_path / "CT", volume.hu_zyx, at, PatientName="Muster^Max", **study)
    for path in (tmp_path / "CT").iterdir():
        compress(path, syntax, tmp_path)
    images = {str(i.SOPInstanceUID): i for i in map(dcmread, (tmp_path / "CT").iterdir())}
    assert {str(i.file_meta.TransferSyntaxUID) for i in images.values()} == {syntax}
    read = read_ct(tmp_path / "CT", None, silent)
    assert np.array_equal(read.hu_zyx, volume.hu_zyx)
    assert np.allclose(read.geometry.ijk_to_lps, result.geometry.ijk_to_lps, atol=1e-4)
    _, seg, sr = objects(result, read.dicom)
    path = judged(seg, tmp_path)
    judged(sr, tmp_path, "sr")
    assert seg.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert np.array_equal(masks_back(path, result.geometry, tmp_path)["Liver"], result.liver_zyx)
    for frame in seg.PerFrameFunctionalGroupsSequence:
        uid = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        here = images[uid].ImagePositionPatient
        assert np.allclose(here, frame.PlanePositionSequence[0].ImagePositionPatient, atol=1e-3)
    named = {e.value for e in sr.iterall() if e.keyword == "ReferencedSOPInstanceUID"}
    assert set(images) & named and named <= {*images, seg.SOPInstanceUID}


@pytest.mark.parametrize("name", ["O\"Neil/../Ñandú'Ærø^Zoë^^Prof.", "Yamada^Tarou=山田^太郎=やまだ^たろう"])
def test_names_of_any_kind_are_kept(name, tmp_path):
    _, result = small_case()
    note = 'left/right "quoted" ^ 100 % \\ ÅÉ 山'
    lesions = (replace(result.lesions[0], note=note, reader_class="a/b^c"), *result.lesions[1:])
    result = replace(result, case_name=f"../{name}/", lesions=lesions)
    source = source_of(result.geometry, patient_name=name, patient_id="ä/1^2", study_description='"a" / b')
    what = Export(dicom=True, pdf=True, text=True, csv=True, report=True)
    written = export_case(result, source, tmp_path / "out", what, now=NOW)
    assert {path.parent for path in written.values()} == {tmp_path / "out"}
    assert not list(tmp_path.glob("out/.*")) and [p.name for p in tmp_path.iterdir()] == ["out"]
    for kind in ("SEG", "SR", "PDF"):
        back = dcmread(judged(dcmread(written[kind]), tmp_path, kind))
        assert (str(back.PatientName), back.PatientID) == (name, "ä/1^2")
        assert back.StudyDescription == '"a" / b' and back.SpecificCharacterSet == "ISO_IR 192"
    assert note in texts_of(dcmread(written["SR"]))
    assert note in written["report.txt"].read_text(encoding="utf-8")


def test_nothing_found_is_a_result(tmp_path):
    volume, result = small_case()
    empty = result_of(volume, result.liver_zyx, np.zeros_like(result.lesion_labels_zyx))
    content, seg, sr = objects(empty, source_of(result.geometry))
    judged(seg, tmp_path)
    judged(sr, tmp_path, "sr")
    assert [s.SegmentLabel for s in seg.SegmentSequence] == ["Liver"]
    assert content.remarks[0].startswith("No lesion")
    assert any("No lesion" in text and "Research use" in text for text in texts_of(sr))


def test_neither_liver_nor_lesion_is_refused():
    volume, result = small_case()
    nothing = result_of(volume, np.zeros_like(result.liver_zyx), np.zeros_like(result.lesion_labels_zyx))
    with pytest.raises(InputError, match="nothing to write"):
        objects(nothing, source_of(result.geometry))


def test_uids_come_from_the_content():
    _, result = small_case()
    source = source_of(result.geometry)
    first, again = objects(result, source), objects(result, source)
    assert [x.SOPInstanceUID for x in first[1:]] == [x.SOPInstanceUID for x in again[1:]]
    labels = result.lesion_labels_zyx.copy()
    labels[tuple(np.argwhere(labels == 1)[0])] = 0
    edited = objects(replace(result, lesion_labels_zyx=labels), source)
    noted = objects(
        replace(result, lesions=(replace(result.lesions[0], note="x"), *result.lesions[1:])), source
    )
    every = [x.SOPInstanceUID for three in (first, edited, noted) for x in three[1:]]
    assert len(set(every)) == len(every)
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in every)


def test_patient_and_study_are_the_cts(tmp_path):
    _, result = small_case()
    source = source_of(result.geometry)
    for number, dataset in enumerate(objects(result, source)[1:]):
        back = dcmread(judged(dataset, tmp_path, str(number)))
        assert str(back.PatientName) == source.patient_name
        assert back.PatientID == source.patient_id
        assert back.StudyInstanceUID == source.study_instance_uid
        assert back.SeriesInstanceUID not in (source.series_instance_uid, "")


@pytest.mark.parametrize("field", ["study_instance_uid", "series_instance_uid"])
def test_a_ct_without_study_or_series_is_refused_with_a_remedy(field):
    _, result = small_case()
    with pytest.raises(InputError, match="--as-dicom"):
        objects(result, source_of(result.geometry, **{field: ""}))


def test_a_missing_frame_of_reference_and_odd_dates_still_make_a_valid_object(tmp_path):
    _, result = small_case()
    odd = {"frame_of_reference_uid": "", "patient_birth_date": "1950", "study_date": "", "patient_sex": ""}
    for number, dataset in enumerate(objects(result, source_of(result.geometry, **odd))[1:]):
        judged(dataset, tmp_path, str(number))


@pytest.mark.parametrize("z_sign", [1, -1])
def test_a_ct_of_another_format_gets_a_derived_series(z_sign, tmp_path):
    axes = np.diag([1, 1, z_sign])
    volume, result = small_case(Geometry.make((20, 44, 48), (5, 2.9, 2.8), (1, 2, 3), axes))
    source = derived_source(volume)
    images = list(ct_series(volume, source, NOW))
    for image in images:
        path = tmp_path / "CT" / f"{image.InstanceNumber}.dcm"
        path.parent.mkdir(exist_ok=True)
        image.save_as(path, enforce_file_format=True)
    judged(images[0], tmp_path)
    assert not images[0].PatientID
    back = reorient(read_ct(tmp_path / "CT", None, silent))
    here = reorient(volume)
    assert np.allclose(back.geometry.ijk_to_lps, here.geometry.ijk_to_lps, atol=1e-6)
    assert np.array_equal(back.hu_zyx, here.hu_zyx)
    _, seg, sr = objects(result, source)
    judged(seg, tmp_path, "seg")
    judged(sr, tmp_path, "sr")


@pytest.mark.filterwarnings("ignore:The string:UserWarning")
def test_three_slices_of_a_real_series_get_valid_objects(tmp_path):
    """Too few for an analysis, but a reader may have drawn on them."""
    files = [path for path in sorted(real_data("dicom", "ct_3slice").rglob("*")) if path.is_file()]
    images = sorted(map(dcmread, files), key=lambda image: float(image.ImagePositionPatient[2]))
    corner = tuple(map(float, images[0].ImagePositionPatient))
    step = float(images[1].ImagePositionPatient[2]) - corner[2]
    spacing = (step, *map(float, images[0].PixelSpacing))
    geometry = Geometry.make((3, images[0].Rows, images[0].Columns), spacing, corner)
    source = source_of_files(files, geometry)
    liver, tumour = np.zeros(geometry.shape_zyx, bool), np.zeros(geometry.shape_zyx, bool)
    liver[:, 100:300, 100:250] = True
    tumour[1, 200:220, 150:180] = True
    volume = CtVolume(np.zeros(geometry.shape_zyx, np.int16), geometry, "three")
    _, seg, sr = objects(result_of(volume, liver, tumour, maps=False), source)
    judged(sr, tmp_path, "sr")
    back = masks_back(judged(seg, tmp_path), geometry, tmp_path)
    assert np.array_equal(back["Liver"], liver) and np.array_equal(back["Lesion 1"], tumour)
    assert seg.StudyInstanceUID == images[0].StudyInstanceUID


@pytest.mark.filterwarnings("ignore:The string:UserWarning")
def test_a_real_series_with_missing_slices_gets_valid_objects_in_place(tmp_path):
    volume = read_ct(real_data("dicom", "irregular"), None, silent)
    shape = volume.geometry.shape_zyx
    liver, tumour = np.zeros(shape, bool), np.zeros(shape, bool)
    liver[:, 150:300, 100:250] = True
    tumour[shape[0] // 2, 200:220, 150:180] = True
    result = result_of(volume, liver, tumour, maps=False)
    _, seg, sr = objects(result, volume.dicom)
    judged(sr, tmp_path, "sr")
    back = hd.seg.Segmentation.from_dataset(dcmread(judged(seg, tmp_path)))
    sources = {uid for _, _, uid in back.get_source_image_uids()}
    assert sources <= {place.sop_instance_uid for place in volume.dicom.slices if place is not None}
    positions = [
        frame.PlanePositionSequence[0].ImagePositionPatient for frame in back.PerFrameFunctionalGroupsSequence
    ]
    index = volume.geometry.lps_to_index(np.asarray(positions, float))
    assert np.abs(index - np.round(index)).max() < 0.01
    assert set(np.round(index[:, 0]).astype(int)) == set(range(shape[0]))
