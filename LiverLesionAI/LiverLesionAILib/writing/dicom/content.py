"""What a case hands over to a hospital's archive, before it takes DICOM's form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...case.findings import Measurement
from ...volume.crops import Mask
from ...volume.ct import Geometry
from ...volume.dicom import DicomSource

Code = tuple[str, str, str]
"""(value, coding scheme, meaning)."""


@dataclass(frozen=True, eq=False)
class Region:
    """One segment and what is said of it.

    Attributes:
        label: its name, at most 64 characters.
        mask: voxels on the CT's grid; may overlap other regions.
        category, kind, modifier: SNOMED CT property category, type, and what qualifies the type ("Primary").
        site: where it lies; further sites (Couinaud segments) may follow.
        tracking_uid: the same for the same lesion in a second run and in a follow-up.
        drawn_by_reader: whether a reader changed or drew the mask.
        colour: RGB, 0..1.
        measurement: None for anatomy without diameters.
        numbers: further figures by (name, unit), e.g. {("Score", "1"): 0.93}.
        texts: statements for the reader by name ("Class", "Reader's decision").
        codes: the same as codes.
        ranges: (low, high) that a figure's true value should lie in, by its name and in its unit.
    """

    label: str
    mask: Mask
    category: Code
    kind: Code
    site: Sequence[Code]
    tracking_uid: str
    drawn_by_reader: bool = False
    colour: tuple[float, float, float] = (0.5, 0.5, 0.5)
    measurement: Measurement | None = None
    numbers: Mapping[Code, tuple[float, str]] = field(default_factory=dict)
    texts: Mapping[Code, str] = field(default_factory=dict)
    codes: Mapping[Code, Code] = field(default_factory=dict)
    modifier: Code | None = None
    ranges: Mapping[Code, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Statement:
    """A group of figures without a segment of its own: a lesion that is gone, the sum of targets at a time.

    Attributes:
        label, tracking_uid: what it is about.
        time_point: (text, type) of the scan that it is of; None for the current one.
        site: where it lies.
        numbers, texts, codes: as in :class:`Region`.
    """

    label: str
    tracking_uid: str
    time_point: tuple[str, Code | None] | None = None
    site: Sequence[Code] = ()
    numbers: Mapping[Code, tuple[float, str]] = field(default_factory=dict)
    texts: Mapping[Code, str] = field(default_factory=dict)
    codes: Mapping[Code, Code] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class DicomContent:
    """Everything that segmentation and report are written from.

    Attributes:
        source: images, patient and study of the CT.
        geometry: the CT's grid; slice k of the masks is `source.slices[k]`.
        regions: anatomy first, then lesions in the order of the findings table.
        remarks: sentences for the whole study ("No lesion above the threshold 0.60 was found.").
        algorithm, version: what computed.
        parameters: "name=value" of models and rules, with checksums.
        undecided, lesions: how many of the lesions the reader has not judged yet.
        verified_by, organisation: the reader who signs; "" while nobody has.
        statements: what is said beside the regions, of earlier scans.
    """

    source: DicomSource
    geometry: Geometry
    regions: tuple[Region, ...]
    remarks: tuple[str, ...] = ()
    algorithm: str = "LiverLesionAI"
    version: str = ""
    parameters: tuple[str, ...] = ()
    undecided: int = 0
    lesions: int = 0
    verified_by: str = ""
    organisation: str = ""
    statements: tuple[Statement, ...] = ()

    @property
    def draft(self) -> str:
        """ "DRAFT, n of m not reviewed" while lesions are undecided, or a case without any is not signed."""
        if not self.lesions:
            return "" if self.verified_by else "DRAFT, no lesion, not confirmed"
        return f"DRAFT, {self.undecided} of {self.lesions} not reviewed" if self.undecided else ""
