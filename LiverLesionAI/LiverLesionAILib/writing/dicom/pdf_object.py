"""A PDF as a DICOM object of the CT's study (Encapsulated PDF, PS3.3 A.45).

Most archives show neither SEG nor SR.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from ...volume.dicom import DicomSource
from .images import header
from .segmentation import MANUFACTURER
from .uids import uid_of

SERIES_NUMBER = 9003


def encapsulated_pdf(
    pdf: bytes, source: DicomSource, *, title: str, version: str, draft: str, now: datetime
) -> Dataset:
    """The PDF's object; its UID comes from the PDF's bytes.

    Args:
        title: the document's.
        draft: "DRAFT, ..." as long as it is one, else "".
        now: when it was made.
    """
    result = hashlib.sha256(pdf).hexdigest()
    base = header(source)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    meta.MediaStorageSOPInstanceUID = uid_of("PDF", source.series_instance_uid, result)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", base, file_meta=meta)
    for name in ("FrameOfReferenceUID", "PositionReferenceIndicator"):
        if name in made:
            delattr(made, name)
    made.SOPClassUID = EncapsulatedPDFStorage
    made.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    made.SeriesInstanceUID = uid_of("PDF series", source.series_instance_uid, result)
    made.Modality = "DOC"
    made.SeriesNumber, made.InstanceNumber = SERIES_NUMBER, 1
    made.SeriesDescription = "LiverLesionAI report" + (f" ({draft})" if draft else "")
    made.Manufacturer, made.ManufacturerModelName = MANUFACTURER, MANUFACTURER
    made.SoftwareVersions = version or "unknown"
    made.ConversionType = "WSD"
    made.BurnedInAnnotation = "YES" if source.patient_name and source.patient_name in title else "NO"
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.AcquisitionDateTime = None
    made.DocumentTitle = title
    made.ConceptNameCodeSequence = Sequence([])
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    made.EncapsulatedDocumentLength = len(pdf)
    return made
