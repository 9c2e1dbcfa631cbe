"""What a scene knows of a CT's study: day and patient, from DICOM's tree or from a case folder."""

from __future__ import annotations

from datetime import date

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from LiverLesionAILib.scene.offline import add_ct, new_scene
from LiverLesionAILib.scene.study import (
    Study,
    day_of,
    keep_study,
    patient_digests,
    patient_warning,
    study_of,
)
from support.case_factory import small_case

WHO = ("SECRET-1", "19501231", "F")


@pytest.fixture
def ct():
    scene = new_scene()
    node = add_ct(scene, small_case()[0])
    node.held = scene
    return node


def filed(ct, study_date: str, who: tuple[str, str, str]) -> None:
    """As Slicer's DICOM module files a volume."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(ct.GetScene())
    patient = tree.CreateSubjectItem(tree.GetSceneItemID(), "A patient")
    study = tree.CreateStudyItem(patient, "A study")
    for name, text in zip(("PatientID", "PatientBirthDate", "PatientSex"), who, strict=True):
        tree.SetItemAttribute(patient, f"DICOM.{name}", text)
    tree.SetItemAttribute(study, "DICOM.StudyDate", study_date)
    item = tree.GetItemByDataNode(ct) or tree.CreateItem(study, ct)
    tree.SetItemParent(item, study)


def test_a_ct_of_nowhere_has_neither(ct):
    assert study_of(ct) == Study(None)


def test_day_and_patient_come_from_the_tree_that_dicom_was_loaded_into(ct):
    filed(ct, "20260131", WHO)
    study = study_of(ct)
    assert study.day == date(2026, 1, 31)
    assert study.patient == patient_digests(*WHO)
    assert all(text not in "".join(study.patient) for text in WHO[:2]), "digests name nobody"


def test_what_came_with_a_case_folder_counts_more(ct):
    filed(ct, "20260131", WHO)
    kept = patient_digests("SECRET-2", "", "F")
    keep_study(ct, "20251224", kept)
    assert study_of(ct) == Study(date(2025, 12, 24), kept)
    keep_study(ct, "", kept)
    assert study_of(ct).day == date(2026, 1, 31), "a folder without a date leaves the tree's"


def test_damaged_digests_are_none(ct):
    keep_study(ct, "20251224", ("a", "b", "c"))
    ct.SetAttribute("LiverLesionAI.Patient", "a,b")
    assert study_of(ct).patient == ("", "", "")


@pytest.mark.parametrize(("one", "other", "said"), [
    (WHO, WHO, ""),
    (WHO, ("SECRET-2", "19501231", "F"), "patient ID differs."),
    (WHO, ("SECRET-2", "19501230", "M"), "patient ID, birth date, sex differ."),
    (WHO, ("", "", ""), ""),
    (("", "19501231", ""), ("SECRET-2", "19501231", "M"), ""),
])  # fmt: skip
def test_only_what_both_know_can_differ(one, other, said):
    studies = [Study(None, patient_digests(*who)) for who in (one, other)]
    warning = patient_warning(*studies)
    assert warning.endswith(said) and bool(warning) == bool(said)
    assert "SECRET" not in warning


@pytest.mark.parametrize(("text", "day"), [
    ("20260131", date(2026, 1, 31)), ("2026-01-31", date(2026, 1, 31)),
    (" 20260131120000", date(2026, 1, 31)),
    ("", None), ("31.01.2026", None), ("20260231", None), ("soon", None),
])  # fmt: skip
def test_days(text, day):
    assert day_of(text) == day
