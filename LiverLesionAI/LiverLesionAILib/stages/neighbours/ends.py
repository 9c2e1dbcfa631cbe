"""Whether a candidate is the end of a gallbladder that goes on beyond it.

Seen in synthetic scans: the upper end of a deep gallbladder has liver on all sides but the one on which it
goes on, so it was kept as a lesion that liver surrounds. A cyst or metastasis at the bed that the
gallbladder's mask runs into is told from it by what a reader looks for: it meets the gallbladder with a small
part of its surface, a wall lies between both, or its density is another than the bile's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...volume.masks import components, within_mm
from .lobes import LobeSettings

SMOOTH_MM = 1.0
"""SD of the blur that a wall is looked for with: noise in a few voxels is no wall."""
LEAST_VOXELS = 20
"""Fewer voxels give no density: then nothing is known."""
NEAR_MM = 25.0
"""So near to a candidate bile is compared with it: sludge and contrast medium layer."""
WALL_PERCENTILE = 80.0
"""Of what lies between both: a wall is thin, and the mask need not lie on it."""


@dataclass(frozen=True)
class EndSettings(LobeSettings):
    """When a candidate that looks like gallbladder is an end of it.

    Attributes:
        end_part: it is no larger a part, 0..1, of the gallbladder that it and what it goes on into are.
        end_contact: at least this share, 0..1, of its border lies at what it goes on into.
        end_hu: their densities differ by no more than this.
        end_wall: what lies between both is no nearer to the liver's density than this share, 0..1, of the way
            from the denser of the two.
    """

    PREFIX: ClassVar[str] = "gallbladder_"

    end_part: float
    end_contact: float
    end_hu: float
    end_wall: float


@dataclass(frozen=True)
class Meeting:
    """How a candidate and the gallbladder that it meets are to each other.

    Attributes:
        part: the candidate's part of both, 0..1, counting what looks like gallbladder.
        contact: share of its border, 0..1, that lies at the rest.
        hu: how much denser or less dense it is than the rest near it, HU, 0 and more.
        wall: how dense what lies between both is: 0 as the denser of the two, 1 as liver.
    """

    part: float
    contact: float
    hu: float
    wall: float


def meeting(
    lesion_zyx: NDArray[np.bool_],
    gallbladder_zyx: NDArray[np.bool_],
    bare_zyx: NDArray[np.bool_],
    hu_zyx: NDArray,
    spacing_zyx_mm: tuple[float, float, float],
) -> Meeting | None:
    """Measure a candidate against what of the gallbladder lies beyond it; None where nothing can be said.

    Args:
        lesion_zyx: bool, the candidate; gallbladder_zyx: bool, all of it; bare_zyx: bool, liver that is
            neither; hu_zyx: HU; all on one grid, with a margin around both.
    """
    hu = np.asarray(hu_zyx, np.float32)
    rest, shared = _goes_on(lesion_zyx, gallbladder_zyx), lesion_zyx & gallbladder_zyx
    near = rest & within_mm(lesion_zyx, spacing_zyx_mm, NEAR_MM)
    if min(np.count_nonzero(part) for part in (shared, near, bare_zyx)) < LEAST_VOXELS:
        return None
    reach = max(spacing_zyx_mm)
    at_rest, at_lesion = (within_mm(one, spacing_zyx_mm, reach) for one in (rest, lesion_zyx))
    seam = at_rest & at_lesion & ndimage.binary_erosion(lesion_zyx | rest)
    if not seam.any():
        return None
    border = lesion_zyx & ~ndimage.binary_erosion(lesion_zyx)
    here, there, liver = _density(hu, shared), _density(hu, near), float(np.median(hu[bare_zyx]))
    smooth = ndimage.gaussian_filter(hu, [SMOOTH_MM / size for size in spacing_zyx_mm])
    denser = max(here, there)
    size = np.count_nonzero(shared)
    return Meeting(
        part=float(size / (size + np.count_nonzero(rest))),
        contact=float(at_rest[border].mean()),
        hu=abs(here - there),
        wall=(float(np.percentile(smooth[seam], WALL_PERCENTILE)) - denser) / max(1.0, liver - denser),
    )


def is_end(met: Meeting | None, settings: EndSettings) -> bool:
    """Whether a candidate is an end: the gallbladder goes on beyond it, with no wall and no other density."""
    return (
        met is not None
        and met.part <= settings.end_part
        and met.contact >= settings.end_contact
        and met.hu <= settings.end_hu
        and met.wall <= settings.end_wall
    )


def _goes_on(lesion_zyx: NDArray[np.bool_], gallbladder_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest piece of the gallbladder without the candidate that touches it; empty where none does."""
    parts, count = components(gallbladder_zyx & ~lesion_zyx)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    touching = np.unique(parts[ndimage.binary_dilation(lesion_zyx)])
    touching = touching[touching > 0]
    if not len(touching):
        return np.zeros(lesion_zyx.shape, bool)
    return parts == touching[np.argmax(sizes[touching])]


def _density(hu_zyx: NDArray[np.float32], part_zyx: NDArray[np.bool_]) -> float:
    """Median HU, away from the border where that leaves enough."""
    inner = ndimage.binary_erosion(part_zyx)
    return float(np.median(hu_zyx[inner if np.count_nonzero(inner) >= LEAST_VOXELS else part_zyx]))
