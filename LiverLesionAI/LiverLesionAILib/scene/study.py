"""What a scene knows of a CT's study: its day, and whether two are of one patient."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import slicer

ATTR_DAY = "LiverLesionAI.StudyDate"
ATTR_PATIENT = "LiverLesionAI.Patient"
"""On a CT that came with a case folder: digests of patient ID, birth date and sex, never themselves."""

_PATIENT_ATTRIBUTES = ("DICOM.PatientID", "DICOM.PatientBirthDate", "DICOM.PatientSex")
_NAMES = ("patient ID", "birth date", "sex")


@dataclass(frozen=True)
class Study:
    """A CT's study.

    Attributes:
        day: None where it is not known.
        patient: digests of patient ID, birth date and sex; "" for what is not known.
    """

    day: date | None
    patient: tuple[str, str, str] = ("", "", "")


def study_of(volume: slicer.vtkMRMLScalarVolumeNode) -> Study:
    """From what was kept with the volume, else from the subject hierarchy, as DICOM was loaded into it."""
    kept = volume.GetAttribute(ATTR_PATIENT)
    day = day_of(volume.GetAttribute(ATTR_DAY) or "")
    patient = tuple(kept.split(",")) if kept else ()
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())
    item = tree.GetItemByDataNode(volume)
    if item and day is None:
        study = tree.GetItemAncestorAtLevel(item, "Study")
        day = day_of(tree.GetItemAttribute(study, "DICOM.StudyDate") or "") if study else None
    if item and len(patient) != 3:
        owner = tree.GetItemAncestorAtLevel(item, "Patient")
        if owner:
            patient = patient_digests(*(tree.GetItemAttribute(owner, a) or "" for a in _PATIENT_ATTRIBUTES))
    return Study(day, patient if len(patient) == 3 else ("", "", ""))  # type: ignore[arg-type]


def same_study(
    volume: slicer.vtkMRMLScalarVolumeNode, others: Sequence[slicer.vtkMRMLScalarVolumeNode]
) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """Those of `others` that lie in the volume's study of the subject hierarchy; none where it has none."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())

    def study(node: slicer.vtkMRMLScalarVolumeNode) -> int:
        item = tree.GetItemByDataNode(node)
        return int(tree.GetItemAncestorAtLevel(item, "Study")) if item else 0

    own = study(volume)
    return [node for node in others if own and study(node) == own]


def keep_study(
    volume: slicer.vtkMRMLScalarVolumeNode, study_date: str, patient: tuple[str, str, str]
) -> None:
    """Keep what a case folder says of its study; `study_date` as in DICOM, `patient` as digests."""
    volume.SetAttribute(ATTR_DAY, study_date)
    volume.SetAttribute(ATTR_PATIENT, ",".join(patient))


def patient_digests(patient_id: str, birth_date: str, sex: str) -> tuple[str, str, str]:
    """What two scans' patients are compared by; "" for what is not known."""
    digests = [
        hashlib.sha256(f"{name}:{text}".encode()).hexdigest()[:16] if text.strip() else ""
        for name, text in zip(_NAMES, (patient_id, birth_date, sex), strict=True)
    ]
    return digests[0], digests[1], digests[2]


def patient_warning(prior: Study, current: Study) -> str:
    """What speaks against one patient, without naming anybody; "" for nothing."""
    differ = [
        name
        for name, one, other in zip(_NAMES, prior.patient, current.patient, strict=True)
        if one and other and one != other
    ]
    if not differ:
        return ""
    return f"The scans name different patients: {', '.join(differ)} differ{'s' if len(differ) == 1 else ''}."


def day_of(text: str) -> date | None:
    """A day as DICOM or ISO 8601 writes it; None for anything else."""
    digits = text.strip().replace("-", "")[:8]
    try:
        return datetime.strptime(digits, "%Y%m%d").date()
    except ValueError:
        return None
