"""A CT that came from another format as a DICOM series of its own, for SEG and SR to refer to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from ...volume.ct import CtVolume
from ...volume.dicom import DicomSlice, DicomSource
from .images import header, position_lps
from .segmentation import MANUFACTURER
from .uids import uid_of


def derived_source(volume: CtVolume) -> DicomSource:
    """Study, series and images for a CT without DICOM: UIDs from its voxels and grid, no patient."""
    digest = hashlib.sha256(np.ascontiguousarray(volume.hu_zyx).tobytes())
    digest.update(repr((volume.geometry.shape_zyx, volume.geometry.ijk_to_lps.tolist())).encode())
    result = digest.hexdigest()
    slices = tuple(
        DicomSlice(CTImageStorage, uid_of("CT image", result, z)) for z in range(volume.geometry.shape_zyx[0])
    )
    return DicomSource(
        slices,
        study_instance_uid=uid_of("study", result),
        series_instance_uid=uid_of("CT series", result),
        frame_of_reference_uid=uid_of("frame of reference", result),
        series_number=1,
        series_description="CT from another format (LiverLesionAI)",
        modality="CT",
        manufacturer=MANUFACTURER,
    )


def ct_series(volume: CtVolume, source: DicomSource, now: datetime) -> Iterator[Dataset]:
    """The images of `source`, one per slice of the volume: int16 HU, DERIVED\\SECONDARY\\AXIAL."""
    geometry = volume.geometry
    spacing_z, spacing_y, spacing_x = geometry.spacing_zyx_mm
    for z, place in enumerate(source.slices):
        assert place is not None
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = place.sop_instance_uid
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image = FileDataset("", header(source), file_meta=meta)
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, place.sop_instance_uid
        image.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        image.ContentDate, image.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
        image.AcquisitionNumber, image.InstanceNumber = None, z + 1
        image.KVP = None
        image.BodyPartExamined = "ABDOMEN"
        image.PositionReferenceIndicator = image.PatientPosition = None
        image.SeriesDescription = source.series_description
        image.DerivationDescription = "Written from a file of another format, in HU"
        image.Rows, image.Columns = geometry.shape_zyx[1:]
        image.PixelSpacing = [_ds(spacing_y), _ds(spacing_x)]
        image.SliceThickness = _ds(spacing_z)
        image.ImageOrientationPatient = [_ds(v) for v in geometry.directions_lps[:, :2].T.ravel()]
        image.ImagePositionPatient = [_ds(v) for v in position_lps(geometry, z)]
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 1
        image.RescaleIntercept, image.RescaleSlope, image.RescaleType = 0, 1, "HU"
        image.WindowCenter, image.WindowWidth = 40, 400
        hu = np.clip(np.rint(volume.hu_zyx[z]), -32768, 32767).astype("<i2")
        image.PixelData = hu.tobytes()
        yield image


def _ds(value: float) -> str:
    """At most 16 characters, DICOM's limit for a decimal string."""
    for digits in range(15, 5, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{value:.6g}"
