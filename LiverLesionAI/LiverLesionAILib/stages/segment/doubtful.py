"""Places that look somewhat like a lesion and are not listed: where a second pair of eyes is worth most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...case.findings import DoubtfulPlace
from ...volume.geometry import triple
from ...volume.masks import ball_diameter_mm, components
from .masks import Masks, SegmentSettings, lesion_scores

if TYPE_CHECKING:
    from ...volume.ct import Geometry

Judge = Callable[[NDArray[np.integer], NDArray[np.floating]], NDArray[np.floating]]
"""(Pieces, 0 none and k that of the k-th score; scores of the mask network) -> scores as a list has them."""


@dataclass(frozen=True)
class DoubtfulSettings:
    """Which places are pointed at.

    Attributes:
        faintest_score: a fainter one is noise.
        doubtful_most: so many at most, the likeliest first: a long list is not looked at.
    """

    faintest_score: float
    doubtful_most: int


def doubtful_places(
    tumour_zyx: NDArray[np.uint8],
    masks: Masks,
    known_zyx: NDArray[np.bool_],
    geometry: Geometry,
    segment: SegmentSettings,
    settings: DoubtfulSettings,
    judge: Judge | None = None,
) -> tuple[DoubtfulPlace, ...]:
    """Pieces of the tumour's probability in the liver that no listed lesion touches, likeliest first.

    Args:
        tumour_zyx: probability, 0..255, on `geometry`.
        masks: what was made of it.
        known_zyx: bool, what is listed, and what is known to be something else.
        judge: what a further network makes of the scores; None where none has a say in them.
    """
    if masks.inside_zyx is None:
        return ()
    wanted_zyx = tumour_zyx >= max(1, round(segment.tumour_threshold * 255))
    pieces, count = components(wanted_zyx & masks.inside_zyx)
    if not count:
        return ()
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    scores = lesion_scores(tumour_zyx, pieces, count)
    if judge is not None:
        scores = judge(pieces, scores)
    bare = masks.bare_zyx if masks.beside_zyx is None else masks.bare_zyx | masks.beside_zyx
    inner = np.bincount(pieces[bare], minlength=count + 1)[1:]
    voxel_mm3 = float(np.prod(geometry.spacing_zyx_mm))
    wanted = (sizes >= segment.smallest_voxels(voxel_mm3)) & (scores >= settings.faintest_score)
    wanted &= inner >= segment.inside_share * sizes
    wanted[np.unique(pieces[known_zyx & (pieces > 0)]) - 1] = False
    numbers = [n for n in np.argsort(-scores, kind="stable") if wanted[n]][: settings.doubtful_most]
    centres = ndimage.center_of_mass(pieces > 0, pieces, [n + 1 for n in numbers])
    return tuple(
        DoubtfulPlace(
            triple(geometry.index_to_lps(np.array(centre))),
            ball_diameter_mm(float(sizes[n]) * voxel_mm3),
            float(scores[n]),
        )
        for n, centre in zip(numbers, centres, strict=True)
    )
