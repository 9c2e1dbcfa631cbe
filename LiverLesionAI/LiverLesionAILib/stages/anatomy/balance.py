"""Whether a liver's two trees are as large as each other, roughly: where not, twigs are named wrongly.

Both trees reach all of a liver, so that neither can have nearly all of its vessels. Where one has, whole
branches bear the other tree's name, and no sign along them says which.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...case.anatomy import LIKELIEST, Vessel
from .found_tubes import FoundTubes
from .naming import THICK, NamedTrees
from .tube_shape import filled_around

OF_THICK_VOXELS = 2.0
"""So far round the middle of a thick tube all is that tube: one of 7 mm has its middle this far inside."""


class Balance(NamedTuple):
    """Names after the balance of the trees was looked at.

    Attributes:
        named: the trees, thin tubes unsure where `hepatic` is out of bounds.
        hepatic: 0..1 of the tubes' voxels in the liver that are likelier hepatic; NaN without one.
        lopsided: it is out of bounds.
    """

    named: NamedTrees
    hepatic: float
    lopsided: bool


def hepatic_share(named: NamedTrees, found: FoundTubes, liver_zyx: NDArray[np.bool_]) -> float:
    """0..1 of the tubes' voxels in the liver that are likelier hepatic; NaN without one."""
    inside = named.likelier_zyx[liver_zyx & found.tubes_zyx]
    inside = inside[inside > 0]
    return float((inside == Vessel.HEPATIC).mean()) if len(inside) else float("nan")


def balanced(
    named: NamedTrees, found: FoundTubes, liver_zyx: NDArray[np.bool_], least: float, most: float
) -> Balance:
    """The names, of which none of a thin tube is sure where too few or too many of them are hepatic.

    What is thick, and what lies at a tree's root, keeps its name: trunk, bifurcation, confluence.

    Args:
        liver_zyx: bool on the grid of `found`.
        least, most: 0..1 of the tubes' voxels in the liver that may be hepatic veins.
    """
    hepatic = hepatic_share(named, found, liver_zyx)
    if not (hepatic < least or hepatic > most):
        return Balance(named, hepatic, False)
    sure = named.sure_zyx.copy()
    twigs = found.tubes_zyx & ~_of_thick_tubes(found.tubes_zyx)
    twigs &= ~(found.roots.hepatic_seed | found.roots.portal_seed)
    for tree in (Vessel.HEPATIC, Vessel.PORTAL):
        sure[twigs & (sure == tree)] = LIKELIEST[tree][1]
    return Balance(named._replace(sure_zyx=sure), hepatic, True)


def _of_thick_tubes(tubes_zyx: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A thick tube's whole width: its surface alone has as little round it as a thin tube."""
    middle = np.zeros(tubes_zyx.shape, bool)
    middle[tubes_zyx] = filled_around(tubes_zyx) >= THICK
    if not middle.any():
        return middle
    return np.asarray(ndimage.distance_transform_edt(~middle) <= OF_THICK_VOXELS)
