"""The CT's images as objects to refer to, made from what the case remembers of them."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from ...support.errors import InputError
from ...volume.ct import Geometry
from ...volume.dicom import ATTRIBUTES, DicomSource, keyword
from .uids import uid_of

_TYPE_2 = [
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyID",
    "ReferringPhysicianName",
    "SeriesNumber",
    "Manufacturer",
]
_CARRIED = [
    "patient_name",
    "patient_id",
    "issuer_of_patient_id",
    "patient_birth_date",
    "patient_sex",
    "patient_age",
    "patient_size",
    "patient_weight",
    "study_instance_uid",
    "study_date",
    "study_time",
    "accession_number",
    "study_id",
    "study_description",
    "referring_physician_name",
    "series_instance_uid",
    "series_number",
    "modality",
    "manufacturer",
    "manufacturer_model_name",
    "frame_of_reference_uid",
    "position_reference_indicator",
]
_DATES = {"PatientBirthDate": "%Y%m%d", "StudyDate": "%Y%m%d"}


def checked_source(source: DicomSource) -> DicomSource:
    """The source with what every object needs, or a refusal.

    A missing frame of reference gets a UID of its own from the series'.

    Raises:
        InputError: the images name no study or series.
    """
    from dataclasses import replace

    missing = [
        keyword(name)
        for name in ("study_instance_uid", "series_instance_uid")
        if not getattr(source, name).strip()
    ]
    if missing or not any(source.slices):
        what = " and ".join(missing) or "the images' SOP Instance UIDs"
        raise InputError(
            f"The CT's DICOM headers lack {what}: DICOM results could not be filed with it. Export the "
            "series again from the archive, or write them with --as-dicom, which makes a study of its own."
        )
    if not source.frame_of_reference_uid:
        made = uid_of("frame of reference", source.series_instance_uid)
        source = replace(source, frame_of_reference_uid=made)
    return source


def reference_images(source: DicomSource, geometry: Geometry) -> list[Dataset]:
    """A data set per slice of the CT's grid that stands for its image in headers; no pixels.

    Frames of a multi-frame file get a data set each, whose UID is replaced afterwards by
    :func:`point_at_frames`. Slices without an image are left out.
    """
    orientation = [float(v) for v in geometry.directions_lps[:, :2].T.ravel()]
    spacing_z, spacing_y, spacing_x = geometry.spacing_zyx_mm
    images, common = [], header(source)
    for z, place in enumerate(source.slices):
        if place is None:
            continue
        image = Dataset()
        image.update(common)
        image.file_meta = common.file_meta
        # A frame stands as an image of its own while an object is built.
        image.SOPClassUID = CTImageStorage if place.frame_number is not None else place.sop_class_uid
        image.SOPInstanceUID = stand_in_uid(source, z)
        image.InstanceNumber = z + 1
        image.Rows, image.Columns = geometry.shape_zyx[1:]
        image.PixelSpacing = [spacing_y, spacing_x]
        image.SliceThickness = spacing_z
        image.ImageOrientationPatient = orientation
        image.ImagePositionPatient = [float(v) for v in position_lps(geometry, z)]
        images.append(image)
    return images


def position_lps(geometry: Geometry, z: int) -> NDArray[np.float64]:
    """Centre of the first voxel of a slice, LPS mm."""
    return np.asarray(geometry.index_to_lps((z, 0, 0)), float)


def stand_in_uid(source: DicomSource, z: int) -> str:
    """The UID by which slice `z` is referred to while an object is being built."""
    place = source.slices[z]
    assert place is not None
    if place.frame_number is None:
        return place.sop_instance_uid
    return uid_of("frame", place.sop_instance_uid, place.frame_number)


def header(source: DicomSource) -> Dataset:
    """Patient, study, series and frame of reference; type 2 attributes are there, empty where unknown."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SpecificCharacterSet = "ISO_IR 192"
    for name in _CARRIED:
        assert name in ATTRIBUTES
        value = getattr(source, name)
        if value not in ("", None):
            setattr(image, keyword(name), _date_or_empty(keyword(name), value))
    for name in _TYPE_2:
        if name not in image:
            setattr(image, name, None)
    image.Modality = source.modality or "CT"
    return image


def _date_or_empty(name: str, value: str) -> str | None:
    """Dates of other forms (``1950``, ``unknown``) would make the object invalid: left empty."""
    if name not in _DATES:
        return value
    try:
        datetime.strptime(value, _DATES[name])
    except ValueError:
        return None
    return value


def point_at_frames(dataset: Dataset, source: DicomSource) -> None:
    """Replace the stand-ins of multi-frame sources by their file's UID and frame number, in place."""
    frames = {
        stand_in_uid(source, z): place
        for z, place in enumerate(source.slices)
        if place is not None and place.frame_number is not None
    }
    if not frames:
        return

    def visit(item: Dataset) -> None:
        uid = item.get("ReferencedSOPInstanceUID")
        if uid in frames:
            place = frames[uid]
            item.ReferencedSOPClassUID = place.sop_class_uid
            item.ReferencedSOPInstanceUID = place.sop_instance_uid
            item.ReferencedFrameNumber = place.frame_number
        for element in item:
            if element.VR == "SQ":
                for child in element.value:
                    visit(child)
                if element.keyword in ("ReferencedInstanceSequence", "ReferencedSOPSequence"):
                    element.value = _unique_instances(element.value)

    visit(dataset)


def _unique_instances(items: list[Dataset]) -> list[Dataset]:
    """A list of instances names each once and no frames."""
    seen: dict[str, Dataset] = {}
    for item in items:
        if "ReferencedFrameNumber" in item:
            del item.ReferencedFrameNumber
        seen.setdefault(item.ReferencedSOPInstanceUID, item)
    return list(seen.values())
