"""What a DICOM header says once more in other words, to hold against what is used of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .dicom_values import number, text_of, whole_or_none

CLAIM_TAGS = (
    "SpacingBetweenSlices", "ReconstructionDiameter", "GantryDetectorTilt", "PatientPosition",
    "ModalityLUTSequence", "LossyImageCompression", "LossyImageCompressionRatio", "InConcatenationNumber",
    "InConcatenationTotalNumber",
)  # fmt: skip


@dataclass(frozen=True)
class Claims:
    """What one image's header says beside what is used; None or "" where it does not.

    Attributes:
        apart_mm: distance between slices.
        diameter_mm: of the reconstructed field of view.
        tilt_degrees: of the gantry.
        patient_position: "HFS" and its kin.
        has_table: the values are given by a lookup table (Modality LUT).
        lossy: "01" where details were lost by compression, with the ratio.
        in_stack: place among the frames, from 1.
        part: (number, of so many) where one acquisition is spread over several files.
    """

    apart_mm: float | None = None
    diameter_mm: float | None = None
    tilt_degrees: float | None = None
    patient_position: str = ""
    has_table: bool = False
    lossy: str = ""
    in_stack: int | None = None
    part: tuple[int, int] | None = None


NO_CLAIMS = Claims()


def claims_of(get: Callable[..., Any]) -> Claims:
    """The claims of an image; `get` takes a functional group's and an attribute's keyword."""
    lossy = text_of(get("", "LossyImageCompression")) == "01"
    ratio = text_of(get("", "LossyImageCompressionRatio")).split("\\")[-1]
    part, parts = (whole_or_none(get("", f"InConcatenation{k}")) for k in ("Number", "TotalNumber"))
    return Claims(
        number(get("PixelMeasuresSequence", "SpacingBetweenSlices")),
        number(get("CTReconstructionSequence", "ReconstructionDiameter")),
        number(get("CTAcquisitionDetailsSequence", "GantryDetectorTilt")),
        text_of(get("", "PatientPosition")).upper(),
        bool(get("", "ModalityLUTSequence")),
        f"01 {ratio}" if lossy else "",
        whole_or_none(get("FrameContentSequence", "InStackPositionNumber")),
        (part, parts) if part and parts else None,
    )
