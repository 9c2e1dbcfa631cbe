"""What a CT read from DICOM knows of its images and its patient, and how the case folder keeps it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from LiverLesionAILib.case.dicom_json import DICOM_FILE, read_dicom, write_dicom
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.reading.dicom_source import contrast_of_file, source_of_files
from LiverLesionAILib.support.errors import GeometryError, InputError
from LiverLesionAILib.volume.contrast import ContrastHeader
from LiverLesionAILib.volume.ct import CtVolume, Geometry, crop, reorient
from LiverLesionAILib.volume.dicom import ATTRIBUTES, DicomSlice, DicomSource, keyword
from LiverLesionAILib.writing.case_folder import write_case_folder
from pydicom.datadict import tag_for_keyword
from support.case_factory import small_case
from support.ct_phantom import phantom_hu
from support.dicom_writer import CT_IMAGE, ENHANCED_CT, axial_positions, write_enhanced, write_series

PATIENT = {
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientName": "Jürgens^Änne",
    "PatientBirthDate": "19610203",
    "PatientSex": "F",
    "StudyDate": "20260102",
    "StudyTime": "101112.5",
    "AccessionNumber": "A77",
    "StudyID": "S1",
    "ReferringPhysicianName": "Doe^Jane",
    "StudyDescription": "CT abdomen",
    "SeriesDate": "20260102",
    "SeriesTime": "101500",
    "Manufacturer": "Maker",
    "KVP": 120,
    "ContrastBolusAgent": "Iodine",
    "ContrastBolusStartTime": "101400",
    "AcquisitionNumber": 2,
}


def instances(folder: Path) -> dict[float, str]:
    """z of the first pixel -> SOP instance UID."""
    files = [pydicom.dcmread(p) for p in folder.iterdir()]
    return {float(d.ImagePositionPatient[2]): d.SOPInstanceUID for d in files}


def test_fields_are_dicom_attributes() -> None:
    assert all(tag_for_keyword(keyword(name)) for name in ATTRIBUTES)


@pytest.mark.parametrize("descending", [False, True])
def test_slices_in_the_order_of_z(tmp_path: Path, descending: bool) -> None:
    positions = axial_positions(30)[:: -1 if descending else 1]
    uid = write_series(tmp_path, phantom_hu()[:: -1 if descending else 1], positions, **PATIENT)
    volume = read_ct(tmp_path)
    source = volume.dicom
    assert source is not None
    at = instances(tmp_path)
    heights = volume.geometry.origin_lps[2] + 5.0 * np.arange(30)
    assert [s.sop_instance_uid for s in source.slices] == [at[z] for z in heights]
    assert {(s.sop_class_uid, s.frame_number) for s in source.slices} == {(CT_IMAGE, None)}
    assert (source.series_instance_uid, source.study_instance_uid) == (uid, "1.2.3")
    for key, value in PATIENT.items():
        name = next(n for n in ATTRIBUTES if keyword(n) == key)
        assert getattr(source, name) == (value if key == "KVP" else str(value))
    assert "Jürgens" not in repr(source) + repr(volume)


def test_interpolated_slices_have_no_image(tmp_path: Path) -> None:
    keep = [k for k in range(30) if k not in (10, 11)]
    write_series(tmp_path, phantom_hu()[keep], axial_positions(30)[keep])
    slices = read_ct(tmp_path).dicom.slices
    assert len(slices) == 30
    assert [k for k, s in enumerate(slices) if s is None] == [10, 11]
    assert slices[12].sop_instance_uid == instances(tmp_path)[80.0]


def test_frames_of_a_multi_frame_file(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "e.dcm", phantom_hu()[::-1], axial_positions(30)[::-1])
    source = read_ct(tmp_path / "e.dcm").dicom
    uid = pydicom.dcmread(tmp_path / "e.dcm").SOPInstanceUID
    assert source.slices == tuple(DicomSlice(ENHANCED_CT, uid, 30 - k) for k in range(30))
    assert float(source.slice_thickness) == 5


@pytest.mark.parametrize(("route", "agent"), [("Intravenous route", True), ("Oral route", None)])
def test_a_bolus_in_its_agents_own_sequences(tmp_path: Path, route: str, agent: bool | None) -> None:
    """Enhanced files say within an agent's item when and how it was given."""
    path = tmp_path / "e.dcm"
    write_enhanced(path, phantom_hu(), axial_positions(30))
    dataset = pydicom.dcmread(path)
    how, given, profile = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    how.CodeMeaning, given.CodeMeaning, profile.ContrastBolusStartTime = route, "Iohexol", "101500"
    # The first profile does not say when; the second does.
    given.ContrastAdministrationProfileSequence = [pydicom.Dataset(), profile]
    given.ContrastBolusAdministrationRouteSequence = [how]
    dataset.ContrastBolusAgentSequence = [given]
    dataset.AcquisitionDateTime = "20260101101610"
    dataset.save_as(path)
    assert contrast_of_file(path) == ContrastHeader(70.0, agent)


def test_other_grids_of_the_volume(tmp_path: Path) -> None:
    write_series(tmp_path, phantom_hu(), axial_positions(30), orientation=(-1, 0, 0, 0, 1, 0))
    volume = read_ct(tmp_path)
    turned = reorient(volume)
    assert turned.dicom.slices == volume.dicom.slices[::-1]
    part = crop(turned, (-2, 0, 0), (4, 9, 9)).dicom.slices
    assert part == (None, None, *turned.dicom.slices[:4])
    sagittal = Geometry.make((30, 64, 64), (1, 1, 1), directions_lps=[[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert reorient(replace(volume, geometry=sagittal)).dicom is None
    with pytest.raises(GeometryError, match="30 DICOM images for 29"):
        CtVolume(volume.hu_zyx[1:], Geometry.make((29, 64, 64)), dicom=volume.dicom)


def test_source_of_a_volume_that_slicer_loaded(tmp_path: Path) -> None:
    write_series(tmp_path, phantom_hu(), axial_positions(30), **PATIENT)
    volume = read_ct(tmp_path)
    files = sorted(tmp_path.iterdir())
    assert source_of_files(files, volume.geometry) == volume.dicom
    assert source_of_files(files, reorient(volume).geometry) == volume.dicom
    upside_down = Geometry.make((30, 64, 64), (5, 3, 3), (-90, -80, 165), np.diag([1.0, 1.0, -1.0]))
    assert source_of_files(files, upside_down).slices == volume.dicom.slices[::-1]
    elsewhere = Geometry.make((30, 64, 64), (5, 3, 3), (-90, -80, 900))
    assert source_of_files(files, elsewhere) is None
    assert source_of_files([], volume.geometry) is None


class TestCaseFolder:
    SOURCE = DicomSource(
        (DicomSlice(CT_IMAGE, "1.2.1"), None, DicomSlice(ENHANCED_CT, "1.2.3", 4)),
        patient_name="山田^太郎", series_number=4, kvp=100.0, study_date="20260102",
    )  # fmt: skip

    def test_read_back(self, tmp_path: Path) -> None:
        written = write_dicom(tmp_path, self.SOURCE)
        assert read_dicom(tmp_path) == self.SOURCE
        described = json.loads(written.read_text(encoding="utf-8"))
        assert described["contains_patient_data"] is True
        assert "names the patient" in described["note"]

    def test_only_this_file_names_the_patient(self, tmp_path: Path) -> None:
        volume, result = small_case(Geometry.make((24, 40, 40), (5, 3, 3)), lesions=1)
        source = DicomSource(
            tuple(DicomSlice(CT_IMAGE, f"1.2.{k}") for k in range(volume.geometry.shape_zyx[0])),
            patient_name="Jürgens^Änne",
        )
        volume = replace(volume, dicom=source)
        written = write_case_folder(result, volume, tmp_path / "case", pictures=False)
        assert written["dicom"] == tmp_path / "case" / DICOM_FILE
        assert read_dicom(tmp_path / "case") == source
        name = "Jürgens".encode()
        assert [p.name for p in (tmp_path / "case").iterdir() if name in p.read_bytes()] == [DICOM_FILE]
        write_case_folder(result, replace(volume, dicom=None), tmp_path / "case", pictures=False)
        assert read_dicom(tmp_path / "case") is None

    @pytest.mark.parametrize(
        ("text", "word"),
        [("{", "Delete it"), ('{"schema": "x"}', "not a DICOM source"), ("[]", "Delete it"),
         ('{"schema": "LiverLesionAI DICOM source", "schema_version": 9}', "newer"),
         ('{"schema": "LiverLesionAI DICOM source", "schema_version": 1, "slices": [[1]]}', "Delete it"),
        ],
    )  # fmt: skip
    def test_damage_is_named(self, tmp_path: Path, text: str, word: str) -> None:
        (tmp_path / DICOM_FILE).write_text(text)
        with pytest.raises(InputError, match=word):
            read_dicom(tmp_path)
