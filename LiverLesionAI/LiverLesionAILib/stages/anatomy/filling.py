"""Whether the hepatic veins are filled with contrast medium, and what is told of vessels where they are not.

Some twenty seconds after the arteries the portal vein is bright and the hepatic veins are still as dense as
the liver. Whatever is bright is the portal vein's then, and what runs towards the vena cava is not seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...case.anatomy import Vessel
from ...volume.masks import within_mm
from .cava import Cava
from .found_tubes import FoundTubes, ball
from .grid import GRID_MM, LiverGrid
from .naming import NamedTrees

THICK_VOXELS = 2.0
"""How deep inside a vessel its middle lies: some 7 mm across."""
NEAR_CAVA_MM = (6.0, 34.0)
BELOW_CONFLUENCE_MM = 30.0
FROM_FORK_MM = 40.0
"""What lies nearer to the portal bifurcation may be its branches."""


def thick_veins_ml(grid: LiverGrid, cava: Cava, found: FoundTubes) -> float:
    """How much of thick tubes the liver holds round the upper vena cava, where its own veins flow in: mL.

    All three hepatic veins are some 7 to 12 mm wide there; no portal branch is, so far from the bifurcation.
    """
    upper = cava.mask_zyx.copy()
    height = float(grid.geometry.lps_to_index(found.roots.confluence_lps)[0]) - BELOW_CONFLUENCE_MM / GRID_MM
    lowest = max(0, int(height))
    upper[:lowest] = False
    spacing, (inner, outer) = (GRID_MM,) * 3, NEAR_CAVA_MM
    near = within_mm(upper, spacing, outer) & ~within_mm(upper, spacing, inner)
    near &= grid.liver_zyx & ~grid.lesions_zyx & ~ball(grid, found.roots.bifurcation_lps, FROM_FORK_MM)
    near[:lowest] = False
    thick = found.depth[near[found.tubes_zyx]] >= THICK_VOXELS
    return float(np.count_nonzero(thick)) * GRID_MM**3 / 1000.0


def portal_alone(named: NamedTrees, found: FoundTubes) -> NamedTrees:
    """All tubes as the portal vein's; what is likelier hepatic beside the upper vena cava is of neither."""

    def of_one_tree(trees_zyx: NDArray[np.uint8]) -> NDArray[np.uint8]:
        stub = found.roots.hepatic_seed & (named.likelier_zyx == Vessel.HEPATIC)
        return np.where((trees_zyx > 0) & ~stub, np.uint8(Vessel.PORTAL), np.uint8(0))

    nothing = np.zeros_like(named.hepatic_zyx)
    return NamedTrees(of_one_tree(named.likelier_zyx), of_one_tree(named.sure_zyx), nothing)


def hepatic_in_doubt(named: NamedTrees) -> NamedTrees:
    """No vessel's name as a hepatic vein is sure: what they run to, or that they are filled, is not seen."""
    doubted = named.sure_zyx == Vessel.HEPATIC
    return named._replace(sure_zyx=np.where(doubted, np.uint8(Vessel.LIKELIER_HEPATIC), named.sure_zyx))
