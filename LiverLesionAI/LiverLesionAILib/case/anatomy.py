"""The liver's anatomy: vessels, Couinaud segments, the landmarks they rest on, and where a lesion lies in it.

Codes: SNOMED CT as DICOM PS3.16 has them. IVa and IVb have none of their own and are sub-labels of IV.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ..volume.geometry import Geometry, Vec3
from .colours import Colour


class Vessel(IntEnum):
    """Values of :attr:`LiverAnatomy.vessels_zyx`."""

    HEPATIC = 1
    PORTAL = 2
    IVC = 3
    UNNAMED = 4
    """Of one of the liver's trees, of which is not sure: of a :class:`VesselContact`, never of a voxel."""
    LIKELIER_HEPATIC = 5
    LIKELIER_PORTAL = 6

    @property
    def title(self) -> str:
        """For the reader."""
        return (
            "Hepatic veins",
            "Portal vein",
            "Inferior vena cava",
            "Portal or hepatic vein",
            "Portal or hepatic vein, likelier hepatic",
            "Portal or hepatic vein, likelier portal",
        )[self - 1]

    @property
    def code(self) -> str:
        """SNOMED CT: "SCT^value^meaning"."""
        return (
            "SCT^8993003^Hepatic vein",
            "SCT^32764006^Portal vein",
            "SCT^64131007^Inferior vena cava",
            *["SCT^59820001^Blood Vessel"] * 3,
        )[self - 1]

    @property
    def colour(self) -> Colour:
        """RGB in 0..1: systemic veins blue, the portal vein purple, as atlases print them; pale: not sure."""
        return (
            (0.20, 0.45, 0.95),
            (0.62, 0.30, 0.78),
            (0.08, 0.20, 0.60),
            (0.86, 0.86, 0.90),
            (0.68, 0.80, 0.98),
            (0.87, 0.72, 0.94),
        )[self - 1]


NAMED = (Vessel.HEPATIC, Vessel.PORTAL, Vessel.IVC)
"""The vessels that a network tells apart."""
UNSURE = (Vessel.LIKELIER_HEPATIC, Vessel.LIKELIER_PORTAL)  # Of either tree.
TREES = (Vessel.HEPATIC, Vessel.PORTAL, *UNSURE)
"""What runs through the liver."""
LIKELIEST = {tree: (tree, maybe) for tree, maybe in zip((Vessel.HEPATIC, Vessel.PORTAL), UNSURE, strict=True)}
"""Each tree with what is likelier of it than of the other one."""
POSSIBLE = {
    Vessel.HEPATIC: (Vessel.HEPATIC, *UNSURE),
    Vessel.PORTAL: (Vessel.PORTAL, *UNSURE),
    Vessel.IVC: (Vessel.IVC,),
    Vessel.UNNAMED: UNSURE,
}
"""Kinds that a lesion's distance is given to; what may be of either counts for both, so none is too long."""


_ROMAN = ("I", "II", "III", "IVa", "V", "VI", "VII", "VIII", "IVb")
_SCT = (71133005, 277956007, 277957003, 277958008, 277959000, 277960005, 277961009, 277962002, 277958008)
_SEGMENT_COLOURS: tuple[Colour, ...] = (
    (0.55, 0.55, 0.55),
    (0.45, 0.75, 0.95),
    (0.20, 0.50, 0.85),
    (0.95, 0.85, 0.35),
    (0.55, 0.80, 0.40),
    (0.20, 0.58, 0.30),
    (0.75, 0.35, 0.30),
    (0.95, 0.62, 0.48),
    (0.85, 0.65, 0.15),
)


class CouinaudSegment(IntEnum):
    """Values of :attr:`LiverAnatomy.segments_zyx`: 1 to 8 as Couinaud counts, 4 for IVa alone, 9 for IVb."""

    I = 1  # noqa: E741
    II = 2
    III = 3
    IVA = 4
    V = 5
    VI = 6
    VII = 7
    VIII = 8
    IVB = 9

    @property
    def roman(self) -> str:
        """Its number: "VII", "IVa"."""
        return _ROMAN[self - 1]

    @property
    def title(self) -> str:
        """For the reader: "Segment VII"."""
        return f"Segment {self.roman}"

    @property
    def couinaud(self) -> int:
        """1 to 8: IVa and IVb are both 4."""
        return 4 if self is CouinaudSegment.IVB else int(self)

    @property
    def code(self) -> str:
        """SNOMED CT: "SCT^value^meaning"; IVa and IVb have that of IV."""
        roman = "IV" if self.couinaud == CouinaudSegment.IVA else self.roman
        return f"SCT^{_SCT[self - 1]}^Couinaud hepatic segment {roman}"

    @property
    def colour(self) -> Colour:
        """RGB in 0..1: left lateral blue, IV yellow, V and VI green, VII and VIII red, I grey."""
        return _SEGMENT_COLOURS[self - 1]

    @property
    def hemiliver(self) -> str:
        """ "right", "left" or, of I, "caudate"."""
        if self is CouinaudSegment.I:
            return "caudate"
        return "right" if self in RIGHT_SEGMENTS else "left"

    @classmethod
    def read(cls, text: str) -> CouinaudSegment:
        """From "VII", "7", "iva"; "IV" is IVa.

        Raises:
            ValueError: there is no such segment.
        """
        word = text.strip().lower()
        if word in ("iv", "4"):
            return cls.IVA
        for segment in cls:
            if word == segment.roman.lower() or (word == str(int(segment)) and segment != cls.IVB):
                return segment
        raise ValueError(f"{text!r} is no Couinaud segment: I to VIII, IVa, IVb.")


def read_segments(text: str) -> tuple[CouinaudSegment, ...]:
    """Segments as a reader writes them: "VII, VIII"; "IV" is IVa and IVb. Each once, in their order.

    Raises:
        ValueError: there is no such segment.
    """
    read: list[CouinaudSegment] = []
    for word in filter(None, (part.strip() for part in text.replace(";", ",").split(","))):
        read.append(CouinaudSegment.read(word))
        if word.lower() in ("iv", "4"):
            read.append(CouinaudSegment.IVB)
    return tuple(dict.fromkeys(read))


def segments_text(segments: Iterable[CouinaudSegment]) -> str:
    """The way back: "VII, VIII"."""
    return ", ".join(one.roman for one in segments)


SEGMENTS_IN_ORDER = tuple(sorted(CouinaudSegment, key=lambda one: (one.couinaud, one)))
"""As they are read: IVb, whose number is the last, after IVa."""
RIGHT_SEGMENTS = (CouinaudSegment.V, CouinaudSegment.VI, CouinaudSegment.VII, CouinaudSegment.VIII)


class LandmarkName:
    """Names of the landmarks that the planes rest on."""

    IVC_HIGH = "hepatic vein confluence"
    IVC_LOW = "IVC at the hilum"
    RIGHT_VEIN = "right hepatic vein, middle"
    MIDDLE_VEIN = "middle hepatic vein, middle"
    LEFT_VEIN = "left hepatic vein, middle"
    GALLBLADDER = "gallbladder fossa"
    BIFURCATION = "portal bifurcation"
    RIGHT_FORK = "right portal fork"
    UMBILICAL_BEND = "umbilical portion, bend"
    UMBILICAL_END = "umbilical portion, end"

    ALL = (
        IVC_HIGH,
        IVC_LOW,
        RIGHT_VEIN,
        MIDDLE_VEIN,
        LEFT_VEIN,
        GALLBLADDER,
        BIFURCATION,
        RIGHT_FORK,
        UMBILICAL_BEND,
        UMBILICAL_END,
    )


@dataclass(frozen=True)
class Landmark:
    """A point that planes rest on.

    Attributes:
        name: one of :class:`LandmarkName`.
        lps: mm.
        uncertainty_mm: about one standard deviation.
        source: where it was seen: "vein", "gallbladder", "liver shape", "usual place", "reader".
    """

    name: str
    lps: Vec3
    uncertainty_mm: float
    source: str

    def moved(self, lps: Vec3) -> Landmark:
        """Where the reader has put it: surely there."""
        return replace(self, lps=lps, uncertainty_mm=READER_MM, source="reader")


WIDENED = 0.05
"""By so much of the lesion a share has to be uncertain to be read as a range."""
DOUBT = " ?"  # After a distance to a vessel that may be of the other tree.
LEAST_DEG = 1.0
READER_MM = 3.0
"""How surely a reader puts a point, mm."""


@dataclass(frozen=True)
class SegmentShare:
    """How much of a lesion lies in a segment.

    Attributes:
        share: 0..1, of its volume.
        possible: 0..1, the most it can be where the planes are as uncertain as their landmarks.
    """

    segment: CouinaudSegment
    share: float
    possible: float = 0.0


@dataclass(frozen=True)
class VesselContact:
    """A lesion and the nearest vessel of one kind.

    Attributes:
        distance_mm: of the lesion's surface to the vessel's; 0 where they touch.
        length_mm: along the vessel over which they touch.
        angle_deg: largest part of the vessel's circumference that the lesion touches, 0..360. One voxel has
            none, but a contact of none would contradict itself: what touches has :data:`LEAST_DEG`.
        sure: whether what lies so near is surely of that kind; else it may be of the other tree.
    """

    vessel: Vessel
    distance_mm: float
    length_mm: float = 0.0
    angle_deg: float = 0.0
    sure: bool = True

    def __post_init__(self) -> None:
        if self.length_mm > 0:
            object.__setattr__(self, "angle_deg", max(self.angle_deg, LEAST_DEG))

    @property
    def text(self) -> str:
        """ "12 mm", or "contact 14 mm, 120°"; with a question mark where the vessel may be another one."""
        contact = f"contact {self.length_mm:.0f} mm, {self.angle_deg:.0f}°"
        said = contact if self.length_mm > 0 else f"{self.distance_mm:.0f} mm"
        return said if self.sure else said + DOUBT


@dataclass(frozen=True)
class LesionAnatomy:
    """Where a lesion lies in the liver.

    Attributes:
        shares: largest first; empty where segments cannot be told.
        contacts: by kind of vessel that is seen.
        reader_segments: what the reader says instead; it wins.
    """

    shares: tuple[SegmentShare, ...] = ()
    contacts: tuple[VesselContact, ...] = ()
    reader_segments: tuple[CouinaudSegment, ...] = ()

    def with_reader(self, segments: Iterable[CouinaudSegment] = ()) -> LesionAnatomy:
        """With what the reader says of its segments; nothing takes it back."""
        return replace(self, reader_segments=tuple(segments))

    @property
    def segments(self) -> tuple[CouinaudSegment, ...]:
        """The reader's, or those that the lesion lies in, the main one first; not those merely possible."""
        return self.reader_segments or tuple(one.segment for one in self.shares if one.share > 0)

    @property
    def text(self) -> str:
        """ "VII (82 %), VIII"; the reader's without shares."""
        if self.reader_segments:
            return segments_text(self.reader_segments)
        return shares_text(self.shares)

    @property
    def hemiliver(self) -> str:
        """ "right", "left", "caudate", or both: "right, left"; "" where nothing is told."""
        return ", ".join(dict.fromkeys(one.hemiliver for one in self.segments))

    def contact(self, vessel: Vessel) -> VesselContact | None:
        """That with a kind of vessel; None where it is not seen."""
        return next((one for one in self.contacts if one.vessel is vessel), None)


def segments_line(places: Iterable[tuple[int, LesionAnatomy | None]]) -> str:
    """ "1: VII (82 %), VIII; 2: IVb": lesions by number, as far as it is said where they lie."""
    return "; ".join(f"{number}: {one.text}" for number, one in places if one is not None and one.text)


def shares_text(shares: Iterable[SegmentShare]) -> str:
    """ "VII (82 %), VIII": the first with its share where there are several; "?": merely possible."""
    listed = list(shares)
    if not listed:
        return ""
    certain = [one for one in listed if one.share > 0]
    maybe = [f"{one.segment.roman}?" for one in listed if one.share <= 0]
    first, *others = certain
    head = f"{first.segment.roman} ({100 * first.share:.0f} %)" if others else first.segment.roman
    return ", ".join([head, *(one.segment.roman for one in others), *maybe])


def widened_text(shares: Iterable[SegmentShare]) -> str:
    """ "VII up to 90 %, VIII up to 40 %, IVa 30 %": the most of the lesion that the planes' doubt gives each.

    What one gains another loses. "" where each share stays within 5 per cent of the lesion: nothing is read.
    """
    listed = list(shares)
    if all(one.possible - one.share < WIDENED for one in listed):
        return ""
    said = []
    for one in listed:
        low, high = round(100 * one.share), round(100 * max(one.share, one.possible))
        reach = f"{low} %" if high == low else f"up to {high} %"
        said.append(f"{one.segment.roman} {reach}")
    return ", ".join(said)


@dataclass(frozen=True, eq=False)
class LiverAnatomy:
    """Vessels, segments and landmarks of one liver.

    Attributes:
        geometry: of the arrays.
        vessels_zyx: uint8; 0, or a :class:`Vessel`.
        segments_zyx: uint8; 0 outside the liver, or a :class:`CouinaudSegment`. All zero where segments
            cannot be told; else every voxel of the liver has one.
        landmarks: by name, in the order of :class:`LandmarkName`.
        messages: what cannot be said and why, in sentences for the reader.
    """

    geometry: Geometry
    vessels_zyx: NDArray[np.uint8]
    segments_zyx: NDArray[np.uint8]
    landmarks: Mapping[str, Landmark] = field(default_factory=dict)
    messages: tuple[str, ...] = ()

    @property
    def has_segments(self) -> bool:
        """Whether segments can be told."""
        return bool(self.segments_zyx.any())

    def volume_ml(self, segment: CouinaudSegment) -> float:
        """Of a segment, mL."""
        voxels = int(np.count_nonzero(self.segments_zyx == segment))
        return voxels * self.geometry.voxel_volume_mm3 / 1000.0

    @classmethod
    def blank(cls, geometry: Geometry, *messages: str) -> LiverAnatomy:
        """Nothing can be said, and why."""
        nothing = np.zeros(geometry.shape_zyx, np.uint8)
        return cls(geometry, nothing, nothing.copy(), messages=messages)
