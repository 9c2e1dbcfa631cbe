"""What a resection leaves: volumes, the share of the functional liver, the standardised remnant.

Estimated total liver volume: Vauthey, -794 + 1267.28 BSA; Urata, 706.2 BSA + 2.4 (mL, m2); body surface by
Mosteller, sqrt(height * weight / 3600). Functional liver is the liver without its tumours.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..support.errors import InputError
from ..volume.geometry import Geometry, Vec3
from ..volume.masks import bounding_box, components
from .anatomy import UNSURE, CouinaudSegment, LiverAnatomy, Vessel

HEIGHT_CM, WEIGHT_KG = (40.0, 250.0), (2.0, 350.0)
SURFACE_VOXELS = 0.2
"""From the nearest voxel's centre to a mask's surface, on average over directions, for balls."""
FED_BY = {Vessel.PORTAL: ("portal inflow", "portal"), Vessel.HEPATIC: ("venous outflow", "hepatic")}
"""What a vessel gives a segment, and how one of its branches is called."""
LOST = "Segment {names} would remain without {what}. Look at the vessels."
UNSEEN = "The remnant's {what} was not judged: no {branch} vein is shown."
UNFOLLOWED = "The {what} of segment {names} was not judged: no {branch} vein was followed into it."
NOT_JUDGED = (
    "Portal inflow and venous outflow of the remnant were not judged: its vessels and segments are not known."
)


@dataclass(frozen=True)
class Body:
    """A patient's height and weight.

    Raises:
        InputError: no height or weight that a patient has.
    """

    height_cm: float
    weight_kg: float

    def __post_init__(self) -> None:
        for name, value, (low, high) in (
            ("height", self.height_cm, HEIGHT_CM),
            ("weight", self.weight_kg, WEIGHT_KG),
        ):
            if not low <= value <= high:
                unit = "cm" if name == "height" else "kg"
                raise InputError(f"A {name} of {value:g} {unit}: give {low:g} to {high:g} {unit}.")

    @property
    def surface_m2(self) -> float:
        """Body surface area."""
        return math.sqrt(self.height_cm * self.weight_kg / 3600.0)

    @property
    def vauthey_ml(self) -> float:
        """Estimated total liver volume, Vauthey."""
        return -794.0 + 1267.28 * self.surface_m2

    @property
    def urata_ml(self) -> float:
        """Estimated total liver volume, Urata."""
        return 706.2 * self.surface_m2 + 2.4


@dataclass(frozen=True)
class Remnant:
    """A resection in numbers.

    Attributes:
        liver_ml: with tumours; resected_ml and remaining_ml sum to it.
        tumour_ml: in the whole liver; remaining_tumour_ml: in what remains.
        body: for the standardised remnant; None where height and weight were not given.
        least_percent: the surgeon's minimum of the functional liver; None where none was chosen.
        warnings: segments of the remnant that lose a vessel, and those of which that was not judged.
    """

    liver_ml: float
    resected_ml: float
    remaining_ml: float
    tumour_ml: float
    remaining_tumour_ml: float
    body: Body | None = None
    least_percent: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def functional_percent(self) -> float:
        """Remaining functional liver of the whole functional liver; NaN where there is none."""
        whole = self.liver_ml - self.tumour_ml
        return 100.0 * self.functional_ml / whole if whole > 0 else math.nan

    @property
    def functional_ml(self) -> float:
        """Remaining liver without tumour, mL."""
        return self.remaining_ml - self.remaining_tumour_ml

    @property
    def vauthey_percent(self) -> float | None:
        """Of the estimated total liver volume; None without height and weight or below its range."""
        return None if self.body is None else _share(self.functional_ml, self.body.vauthey_ml)

    @property
    def urata_percent(self) -> float | None:
        """As :attr:`vauthey_percent`."""
        return None if self.body is None else _share(self.functional_ml, self.body.urata_ml)

    @property
    def enough(self) -> bool | None:
        """Whether the functional remnant reaches the surgeon's minimum; None where none was chosen."""
        return None if self.least_percent is None else self.functional_percent >= self.least_percent

    @property
    def text(self) -> str:
        """For the reader, a line for each figure."""
        lines = [
            f"Resected {self.resected_ml:.0f} mL, remaining {self.remaining_ml:.0f} mL "
            f"of {self.liver_ml:.0f} mL.",
            f"Functional remnant (without tumour) {self.functional_ml:.0f} mL, "
            f"{self.functional_percent:.1f} % of the functional liver.",
        ]
        if self.remaining_tumour_ml > 0:
            lines.append(f"{self.remaining_tumour_ml:.1f} mL of tumour remain.")
        if self.vauthey_percent is not None and self.urata_percent is not None:
            lines.append(
                f"Standardised remnant {self.vauthey_percent:.1f} % (Vauthey), "
                f"{self.urata_percent:.1f} % (Urata)."
            )
        if self.enough is not None:
            said = "reaches" if self.enough else "does NOT reach"
            lines.append(f"It {said} the chosen minimum of {self.least_percent:g} %.")
        return "\n".join((*lines, *self.warnings, "Measured on CT; what is resected is usually less."))


def _share(part: float, whole: float) -> float | None:
    return 100.0 * part / whole if whole > 0 else None


def resected_segments(anatomy: LiverAnatomy, segments: Collection[CouinaudSegment]) -> NDArray[np.bool_]:
    """The resection of whole segments, on the anatomy's grid.

    Raises:
        InputError: the liver could not be divided into segments.
    """
    if not anatomy.has_segments:
        reason = " ".join(anatomy.messages) or "Its anatomy says nothing of them."
        raise InputError(f"This liver has no segments to resect. {reason}")
    return np.isin(anatomy.segments_zyx, [int(one) for one in segments])


def resected_beyond_plane(
    liver_zyx: NDArray[np.bool_], geometry: Geometry, point_lps: Vec3, normal_lps: Vec3
) -> NDArray[np.bool_]:
    """The part of the liver on the side of a plane that its normal points to.

    Raises:
        InputError: the normal has no direction.
    """
    normal = np.array(normal_lps, float)
    if not np.linalg.norm(normal) > 0:
        raise InputError("A plane needs a normal that points to the side that is resected.")
    out = np.zeros(liver_zyx.shape, bool)
    for z, plane in enumerate(liver_zyx):
        if plane.any():
            index = np.argwhere(plane)
            points = geometry.index_to_lps(np.column_stack((np.full(len(index), z), index)))
            out[z][tuple(index.T)] = (points - np.array(point_lps)) @ normal > 0
    return out


def resected_round(
    lesion_zyx: NDArray[np.bool_], liver_zyx: NDArray[np.bool_], geometry: Geometry, margin_mm: float
) -> NDArray[np.bool_]:
    """Lesions with a margin of liver round them.

    Args:
        margin_mm: from the lesion's surface.

    Raises:
        InputError: a negative margin.
    """
    if not margin_mm >= 0:
        raise InputError(f"A margin of {margin_mm:g} mm: give 0 or more.")
    spacing = geometry.spacing_zyx_mm
    out = np.zeros(liver_zyx.shape, bool)
    box = bounding_box(lesion_zyx, [int(np.ceil(margin_mm / s)) + 1 for s in spacing])
    if box is not None:
        # Measured from the nearest voxel's centre; the surface lies a little beyond it. In slices that are
        # much thicker than the pixels the margin comes out smaller, by up to a tenth of its volume.
        away = ndimage.distance_transform_edt(~lesion_zyx[box], sampling=spacing)
        beyond = SURFACE_VOXELS * float(np.prod(spacing)) ** (1 / 3)
        out[box] = lesion_zyx[box] | ((away <= margin_mm + beyond) & (margin_mm > 0))
    return out & liver_zyx


def measure_remnant(
    liver_zyx: NDArray[np.bool_],
    lesion_zyx: NDArray[np.bool_],
    resection_zyx: NDArray[np.bool_],
    geometry: Geometry,
    body: Body | None = None,
    least_percent: float | None = None,
    anatomy: LiverAnatomy | None = None,
) -> Remnant:
    """What a resection takes and leaves; all arrays bool on `geometry`.

    Args:
        liver_zyx: with its lesions.
        resection_zyx: what lies outside the liver is not counted.
        least_percent: chosen by the surgeon.
        anatomy: on the same grid, for the warnings; None: inflow and outflow are not judged, which is said.

    Raises:
        InputError: no liver, or nothing in it is resected.
    """
    inside = resection_zyx & liver_zyx
    if not inside.any():
        raise InputError("The resection does not touch the liver: nothing would be resected.")

    def ml(mask_zyx: NDArray[np.bool_]) -> float:
        return int(np.count_nonzero(mask_zyx)) * geometry.voxel_volume_mm3 / 1000.0

    tumour = lesion_zyx & liver_zyx
    warnings = (NOT_JUDGED,) if anatomy is None else lost_vessels(anatomy, inside)
    return Remnant(
        ml(liver_zyx),
        ml(inside),
        ml(liver_zyx & ~inside),
        ml(tumour),
        ml(tumour & ~inside),
        body,
        least_percent,
        warnings,
    )


def lost_vessels(
    anatomy: LiverAnatomy, resection_zyx: NDArray[np.bool_], kept: float = 0.2
) -> tuple[str, ...]:
    """Segments of the remnant whose portal inflow or venous outflow the resection cuts off, or nobody knows.

    Each kind of vessel is followed, without what is resected, from the trunk: its largest connected part.
    A segment that had vessels of that kind and keeps less than a share of them connected is named, and so is
    one into which none was followed: silence would read as that it keeps them.

    Args:
        kept: share, of a segment's vessel voxels.
    """
    box = bounding_box(anatomy.vessels_zyx > 0, 3)
    if box is None or not anatomy.has_segments:
        return (NOT_JUDGED,)
    lost, unseen = [], []
    whole_voxels = np.bincount(anatomy.segments_zyx.ravel(), minlength=10)
    left_voxels = whole_voxels - np.bincount(anatomy.segments_zyx[resection_zyx], minlength=10)
    resection_zyx = resection_zyx[box]
    anatomy = replace(anatomy, vessels_zyx=anatomy.vessels_zyx[box], segments_zyx=anatomy.segments_zyx[box])
    remaining = [one for one in CouinaudSegment if left_voxels[one] > 0.5 * whole_voxels[one]]
    for vessel, (what, branch) in FED_BY.items():
        whole = anatomy.vessels_zyx == vessel
        if not whole.any():
            unseen.append(UNSEEN.format(what=what, branch=branch))
            continue
        # What may be of either tree may be the way, but is counted for neither.
        way = whole | np.isin(anatomy.vessels_zyx, UNSURE)
        before, after = _trunk(way, anatomy), _trunk(way & ~resection_zyx, anatomy)
        had, has = (np.bincount(anatomy.segments_zyx[part & whole], minlength=10) for part in (before, after))
        if cut := [one.roman for one in remaining if had[one] > 0 and has[one] < kept * had[one]]:
            lost.append(LOST.format(names=", ".join(cut), what=what))
        # The caudate lobe's own veins run to the vena cava and are too short to be seen.
        asked = [one for one in remaining if (vessel, one) != (Vessel.HEPATIC, CouinaudSegment.I)]
        if none := [one.roman for one in asked if had[one] == 0]:
            unseen.append(UNFOLLOWED.format(names=", ".join(none), what=what, branch=branch))
    return (*lost, *unseen)


def _trunk(vessel_zyx: NDArray[np.bool_], anatomy: LiverAnatomy) -> NDArray[np.bool_]:
    """Pieces of a vessel that begin outside the liver or at the IVC; the largest where none does."""
    labels, count = components(vessel_zyx)
    if count < 2:
        return vessel_zyx
    outside = (anatomy.segments_zyx == 0) | ndimage.binary_dilation(
        anatomy.vessels_zyx == Vessel.IVC, iterations=2
    )
    roots = np.unique(labels[vessel_zyx & outside])
    roots = roots[roots > 0]
    if not roots.size:
        roots = np.array([1 + int(np.bincount(labels.ravel())[1:].argmax())])
    return np.isin(labels, roots)
