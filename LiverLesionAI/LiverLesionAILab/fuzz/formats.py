"""The formats that the fuzzer knows; each brings its samples and its mutators."""

from __future__ import annotations

from .corpus import metaimage_samples, nifti_samples, nrrd_samples
from .data_mutators import DATA_MUTATORS, other_voxels, trailer
from .dicom_corpus import dicom_samples
from .dicom_mutators import DICOM_MUTATORS
from .jpeg_corpus import jpeg_samples
from .mutation import Format
from .name_mutators import NAME_MUTATORS
from .nifti_mutators import NIFTI_MUTATORS
from .text_mutators import TEXT_MUTATORS

# A slice more or less is a sound series; there is no checksum behind the voxels.
_DICOM_DATA = tuple(m for m in DATA_MUTATORS if m not in (other_voxels, trailer))

FORMATS: dict[str, Format] = {
    "nifti": Format(nifti_samples, (*NIFTI_MUTATORS, *DATA_MUTATORS, *NAME_MUTATORS)),
    "nrrd": Format(nrrd_samples, (*TEXT_MUTATORS, *DATA_MUTATORS, *NAME_MUTATORS)),
    "metaimage": Format(metaimage_samples, (*TEXT_MUTATORS, *DATA_MUTATORS, *NAME_MUTATORS)),
    "dicom": Format(dicom_samples, (*DICOM_MUTATORS, *_DICOM_DATA)),
}
# Of their own: compressing the samples needs GDCM.
COMPRESSED_FORMATS: dict[str, Format] = {"jpeg": Format(jpeg_samples, (*DICOM_MUTATORS, *_DICOM_DATA))}
