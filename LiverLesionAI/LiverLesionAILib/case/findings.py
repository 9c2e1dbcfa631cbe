"""What an analysis hands back: lesions, boxes, measurements, maps, as frozen dataclasses.

Coordinates are LPS mm, lengths mm, volumes mL, intensities HU; arrays are z, y, x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from ..support.text import chance
from ..volume.ct import Geometry
from .anatomy import LesionAnatomy, LiverAnatomy
from .classes import Phase
from .enhancement import Enhancement
from .manifest import RunManifest
from .resection import Resection

PointLps = tuple[float, float, float]


class LesionSource(str, Enum):
    """What found a lesion; one of source BOX that has a mask has a proposed one, grown inside its box."""

    MASK = "mask"
    BOX = "box"
    BOTH = "mask and box"
    READER = "reader"


class LesionStatus(str, Enum):
    """What the reader has decided about a lesion. Whether its mask was changed is :attr:`Lesion.edited`."""

    UNDECIDED = "undecided"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_LIVER = "not_liver"
    TREATED = "treated"

    @property
    def title(self) -> str:  # type: ignore[override]
        """For the reader."""
        return self.value.replace("_", " ")

    @property
    def action(self) -> str:
        """What the reader does to decide so: "accept", "mark as not liver"."""
        verbs = {LesionStatus.ACCEPTED: "accept", LesionStatus.REJECTED: "reject"}
        return verbs.get(self, f"mark as {self.title}")

    @property
    def counts(self) -> bool:
        """Whether the lesion is part of the findings: reported, counted and measured."""
        return self not in (LesionStatus.REJECTED, LesionStatus.NOT_LIVER)

    @classmethod
    def read(cls, text: str | None) -> LesionStatus:
        """From its value; UNDECIDED for none, an unknown one, and the "AI" and "edited" of version 0.1."""
        return next((status for status in cls if status.value == text), cls.UNDECIDED)


@dataclass(frozen=True)
class Box:
    """A box in patient space: outer voxel faces, axes along the CT's grid.

    Attributes:
        centre_lps: mm.
        size_xyz_mm: full edge lengths along the grid's x, y, z axes.
        directions_lps: 9 numbers, row-major 3 x 3; column k is the unit vector of the grid's x, y, z axis k.
        score: 0..1.
    """

    centre_lps: PointLps
    size_xyz_mm: tuple[float, float, float]
    directions_lps: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    score: float = 1.0


@dataclass(frozen=True)
class Measurement:
    """What is measured on one mask.

    Attributes:
        volume_ml: voxel count times voxel volume.
        long_axis_mm, short_axis_mm: RECIST 1.1 long axis (largest in-plane diameter over the axial
        slices) and the
            largest perpendicular to it in the same slice.
        long_axis_lps, short_axis_lps: the two end points of each.
        hu_mean, hu_sd: over the mask.
        surface_distance_mm: smallest distance from the lesion to the liver's surface; 0 where it touches.
        percent_of_liver: share of the liver's volume (liver with its lesions), in per cent.
    """

    volume_ml: float
    long_axis_mm: float
    short_axis_mm: float
    long_axis_lps: tuple[PointLps, PointLps]
    short_axis_lps: tuple[PointLps, PointLps]
    hu_mean: float
    hu_sd: float
    surface_distance_mm: float
    percent_of_liver: float


MEASURED_DIGITS = {
    "volume_ml": 6,
    "long_axis_mm": 4,
    "short_axis_mm": 4,
    "hu_mean": 3,
    "hu_sd": 3,
    "surface_distance_mm": 4,
    "percent_of_liver": 6,
}
"""Decimals that a measurement is kept with."""


def as_kept(measured: Measurement) -> Measurement:
    """A measurement with the decimals that are kept: the same figures before and after it was saved."""
    return replace(
        measured, **{name: round(getattr(measured, name), n) for name, n in MEASURED_DIGITS.items()}
    )


@dataclass(frozen=True)
class DoubtfulPlace:
    """A place that looks somewhat like a lesion and is not listed.

    Attributes:
        centre_lps: mm; diameter_mm: of the ball of its volume.
        score: 0..1, the mask network's; below what is asked of a lesion, or doubted by the detector.
    """

    centre_lps: PointLps
    diameter_mm: float
    score: float


@dataclass(frozen=True)
class Lesion:
    """One lesion; its mask is `CaseResult.lesion_labels_zyx == number`.

    Attributes:
        number: 1, 2, ... in order of size, largest first.
        score: 0..1, what the networks give it; ranks findings.
        centre_lps: centroid, mm.
        status: what the reader has decided.
        model_class: one of the classifier's classes, "indeterminate", or None when not classified.
        measurement: on its mask; None where it has none.
        class_probabilities: by class name, the model's; most probable first.
        class_reasons: one line of figures behind the model's class; "" where there are none.
        reader_class: the class the reader gave; None where the reader has said nothing.
        note: the reader's.
        class_box: where the classifier saw its class, None where it was not asked.
        edited: the reader has drawn its mask, or changed the one the AI drew.
        probability: 0..1 that it is a lesion, calibrated (see :mod:`..stages.measure.probability`); None
            where its model was not, and where the reader drew it.
        tracking_uid: DICOM UID of this lesion, given once and kept (see :mod:`.tracking`); "" before that.
        enhancement: densities over the contrast phases at hand; None where they were not measured.
        anatomy: where it lies among segments and vessels; None where nobody asked.
        half_width_mm: half the width of the long axis' interval, by how sure the network was of its outline
            (see :mod:`.interval`); None where that is not known. It says nothing of an outline that the
            reader drew.
        at_gallbladder: whether it lies at the gallbladder and cannot be told from it with certainty.
    """

    number: int
    score: float
    centre_lps: PointLps
    box: Box
    measurement: Measurement | None
    source: LesionSource = LesionSource.MASK
    status: LesionStatus = LesionStatus.UNDECIDED
    model_class: str | None = None
    class_probabilities: Mapping[str, float] = field(default_factory=dict)
    class_box: Box | None = None
    reader_class: str | None = None
    note: str = ""
    edited: bool = False
    tracking_uid: str = ""
    class_reasons: str = ""
    probability: float | None = None
    enhancement: Enhancement | None = None
    anatomy: LesionAnatomy | None = None
    half_width_mm: float | None = None
    at_gallbladder: bool = False

    @property
    def shown_class(self) -> str | None:
        """The reader's class, or the model's where the reader has given none."""
        return self.reader_class or self.model_class

    @property
    def status_text(self) -> str:
        """For the reader: "undecided", "edited", "accepted", "accepted, edited"."""
        return status_text(self.status, self.edited)


def status_text(status: LesionStatus, edited: bool) -> str:
    """A decision and whether the mask was edited, in words."""
    if not edited:
        return status.title
    return "edited" if status is LesionStatus.UNDECIDED else f"{status.title}, edited"


@dataclass(frozen=True, eq=False)
class ProbabilityMap:
    """A probability kept at the resolution it was computed in, so that thresholds can move later.

    Attributes:
        values_zyx: uint8, 0..255 for probability 0..1.
        geometry: its grid; axes parallel to the CT's.
        threshold: the calibrated operating point, 0..1.
    """

    values_zyx: NDArray[np.uint8]
    geometry: Geometry
    threshold: float = 0.5


REDUCED_HU = (-120.0, 260.0)
"""Densities that :class:`ReducedCt` keeps; what is outside is clipped."""


@dataclass(frozen=True, eq=False)
class ReducedCt:
    """The liver's surroundings in the CT, coarse: enough to bring a later scan into line with it.

    Attributes:
        values_zyx: uint8, 0..255 for :data:`REDUCED_HU`.
        geometry: its grid; axes parallel to the CT's.
    """

    values_zyx: NDArray[np.uint8]
    geometry: Geometry

    @property
    def hu_zyx(self) -> NDArray[np.float32]:
        """HU, good to 1 HU within :data:`REDUCED_HU`."""
        low, high = REDUCED_HU
        return self.values_zyx.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Where a network looked.

    Attributes:
        name: short, unique within the case ("SFAN semantic gate, level 2").
        meaning: one sentence for the reader.
        values_zyx: float32 on `geometry`.
        value_range: smallest and largest value the map can take.
        unit: "" when it has none.
        lesion_number: the lesion it belongs to, or None for the whole liver.
        bars: label -> value, for a small bar chart beside the map (weights of neighbouring slices).
    """

    name: str
    meaning: str
    values_zyx: NDArray[np.float32]
    geometry: Geometry
    value_range: tuple[float, float] = (0.0, 1.0)
    unit: str = ""
    lesion_number: int | None = None
    bars: Mapping[str, float] = field(default_factory=dict)


SURE_PHASE = 0.7
"""A phase less probable is called uncertain."""


@dataclass(frozen=True)
class PhaseEstimate:
    """The contrast phase a CT seems to be in.

    Attributes:
        name: title of a :class:`.Phase`: "unenhanced", "arterial", "portal venous", "delayed".
        probability: 0..1.
        warning: what follows from it for the reader, "" for nothing.
        named: whether the reader has named it.
    """

    name: str
    probability: float
    warning: str = ""
    named: bool = False

    @property
    def shares(self) -> tuple[float, ...]:
        """Probability of every :class:`.Phase`, in their order; what its own leaves is the others' alike."""
        rest = (1.0 - self.probability) / (len(Phase) - 1)
        return tuple(self.probability if phase is self.phase else rest for phase in Phase)

    @property
    def phase(self) -> Phase | None:
        """The phase that is named."""
        return Phase.of(self.name)

    @property
    def unsure(self) -> bool:
        """Whether neither the picture nor the reader says it with certainty."""
        return not self.named and self.probability < SURE_PHASE

    @property
    def text(self) -> str:
        """For the reader: "Portal venous phase (0.83)." and the warning."""
        doubt = ", uncertain" if self.unsure else ""
        sure = f" ({chance(self.probability)}{doubt})" if self.probability == self.probability else ""
        sure = " (as named)" if self.named else sure
        return f"{self.name[:1].upper()}{self.name[1:]} phase{sure}. {self.warning}".strip()


@dataclass(frozen=True, eq=False)
class CaseResult:
    """Everything one analysis found, on the grid of the CT that went in.

    Attributes:
        case_name: the CT's name.
        geometry: the input CT's grid.
        liver_zyx: bool; the liver with its lesions.
        lesion_labels_zyx: uint16; 0 none, k the lesion with number k.
        lesions: in order of number.
        liver_volume_ml, liver_hu_mean, tumour_burden_percent: of the whole liver.
        probabilities: "liver" and "tumour", on the working grid.
        attention: maps of whatever ran.
        messages: what the reader has to know ("No lesion above the threshold ...").
        models: model name -> first 12 digits of its weights' SHA-256.
        timings_s: stage -> seconds.
        phase: contrast phase, where it was estimated.
        run: how the case was made; None for cases of versions that kept no manifest.
        gallbladder_zyx: bool; None where none is seen or nothing looked for it. Neither liver nor lesion.
        doubtful: places to look at that are not listed, likeliest first.
        reduced_ct: for a comparison with a later scan; None in cases of versions that kept none.
        anatomy: vessels and segments; None where nobody asked.
        resection: that was planned; None where none was.
    """

    case_name: str
    geometry: Geometry
    liver_zyx: NDArray[np.bool_]
    lesion_labels_zyx: NDArray[np.uint16]
    lesions: tuple[Lesion, ...] = ()
    liver_volume_ml: float = 0.0
    liver_hu_mean: float = float("nan")
    tumour_burden_percent: float = 0.0
    probabilities: Mapping[str, ProbabilityMap] = field(default_factory=dict)
    attention: tuple[AttentionMap, ...] = ()
    messages: tuple[str, ...] = ()
    device: str = "cpu"
    models: Mapping[str, str] = field(default_factory=dict)
    timings_s: Mapping[str, float] = field(default_factory=dict)
    version: str = ""
    phase: PhaseEstimate | None = None
    run: RunManifest | None = None
    gallbladder_zyx: NDArray[np.bool_] | None = None
    reduced_ct: ReducedCt | None = None
    doubtful: tuple[DoubtfulPlace, ...] = ()
    anatomy: LiverAnatomy | None = None
    resection: Resection | None = None

    @property
    def is_placed(self) -> bool:
        """Whether it is said where lesions lie: as computed, or by the reader."""
        return self.anatomy is not None or any(one.anatomy is not None for one in self.lesions)

    @property
    def gallbladder_ml(self) -> float:
        """Volume of the gallbladder with its wall, mL; 0 where none is seen."""
        if self.gallbladder_zyx is None:
            return 0.0
        return float(np.count_nonzero(self.gallbladder_zyx)) * self.geometry.voxel_volume_mm3 / 1000.0
