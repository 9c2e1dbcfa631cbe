"""Where a CT came from in DICOM: its images, and the patient, study and series they belong to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace


@dataclass(frozen=True)
class DicomSlice:
    """One image of the source.

    Attributes:
        sop_class_uid: of its file.
        sop_instance_uid: of its file.
        frame_number: its place in a multi-frame file, from 1; None for single-frame files.
    """

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None = None


def _patient() -> str:
    """A field that is never printed: what names the patient must not end in a log."""
    return field(default="", repr=False)


@dataclass(frozen=True)
class DicomSource:
    """What results made from a DICOM series repeat so that they belong to the same patient and study.

    Texts are as in the files, decoded; dates are YYYYMMDD, times HHMMSS.FFFFFF, names in DICOM's
    form (``Family^Given``); "" where the files say nothing. Every field but the first is named as DICOM's
    attribute (see :func:`keyword`).

    Attributes:
        slices: the image at each slice of the volume, in the order of its z; None where the slice was
            interpolated or lies outside of the scan.
        series_number: None where absent.
        kvp: tube voltage, kV; None where absent.
        acquisition_date, acquisition_time, content_date, content_time: of the first slice along z.
    """

    slices: tuple[DicomSlice | None, ...]
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    frame_of_reference_uid: str = ""
    position_reference_indicator: str = ""
    patient_name: str = _patient()
    patient_id: str = _patient()
    issuer_of_patient_id: str = _patient()
    patient_birth_date: str = _patient()
    patient_sex: str = _patient()
    patient_age: str = _patient()
    patient_size: str = _patient()
    patient_weight: str = _patient()
    study_date: str = _patient()
    study_time: str = _patient()
    accession_number: str = _patient()
    study_id: str = _patient()
    referring_physician_name: str = _patient()
    study_description: str = ""
    series_number: int | None = None
    series_description: str = ""
    series_date: str = _patient()
    series_time: str = _patient()
    modality: str = ""
    body_part_examined: str = ""
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    kvp: float | None = None
    convolution_kernel: str = ""
    slice_thickness: str = ""
    acquisition_number: str = ""
    acquisition_date: str = _patient()
    acquisition_time: str = _patient()
    acquisition_date_time: str = _patient()
    content_date: str = _patient()
    content_time: str = _patient()
    contrast_bolus_agent: str = ""
    contrast_bolus_route: str = ""
    contrast_bolus_start_time: str = ""
    contrast_bolus_stop_time: str = ""
    contrast_bolus_volume: str = ""
    specific_character_set: str = ""

    def at_slices(self, indices: Iterable[int]) -> DicomSource:
        """The source of a volume whose slices are those at `indices` of this one; None beyond the ends."""
        known = range(len(self.slices))
        return replace(self, slices=tuple(self.slices[k] if k in known else None for k in indices))


ATTRIBUTES = tuple(f.name for f in fields(DicomSource) if f.name != "slices")


def keyword(name: str) -> str:
    """DICOM's keyword of a field of :class:`DicomSource`.

    >>> keyword("study_instance_uid"), keyword("patient_id"), keyword("kvp")
    ('StudyInstanceUID', 'PatientID', 'KVP')
    """
    whole = {"uid": "UID", "id": "ID", "kvp": "KVP"}
    return "".join(whole.get(part, part.capitalize()) for part in name.split("_"))
