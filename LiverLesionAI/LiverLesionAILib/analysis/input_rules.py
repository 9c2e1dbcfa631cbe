"""The page's lines on CTs: what is refused or doubted before anything is analysed.

They stand where every reader can use them, in :mod:`..volume.checking`; here they are explained. Nobody can
change them for one analysis: a CT is checked before there are rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..volume import checking
from .page import Page, rule

_TESTS = "Testing/volume/test_checking.py"


@dataclass(frozen=True)
class InputRules(Page):
    """Which CTs are analysed."""

    ct_fewest_slices: int = rule(
        checking.FEWEST_SLICES,
        "slices",
        "Fewer cannot hold a liver.",
        f"{_TESTS}::test_few_slices",
        fixed=True,
    )
    ct_in_plane_mm: tuple[float, float] = rule(
        checking.IN_PLANE_MM,
        "mm",
        "Pixels of another width are no CT's, or not in millimetres.",
        f"{_TESTS}::test_pixels",
        fixed=True,
    )
    ct_slice_mm: tuple[float, float] = rule(
        checking.SLICE_MM,
        "mm",
        "Slices nearer or farther apart are not analysed.",
        f"{_TESTS}::test_slices",
        fixed=True,
    )
    ct_coarse_mm: float = rule(
        checking.COARSE_MM,
        "mm",
        "Of slices farther apart it is said that smaller lesions may be missed.",
        f"{_TESTS}::test_thick_slices_are_warned_about",
        fixed=True,
    )
    ct_shortest_mm: float = rule(
        checking.SHORTEST_MM,
        "mm",
        "A shorter scan, head to foot, cannot show a liver.",
        f"{_TESTS}::test_too_short",
        fixed=True,
    )
    ct_narrowest_mm: float = rule(
        checking.NARROWEST_MM,
        "mm",
        "Nor can a narrower or flatter one.",
        f"{_TESTS}::test_too_narrow",
        fixed=True,
    )
    ct_adult_mm: float = rule(
        checking.ADULT_MM,
        "mm",
        "A narrower or flatter body is doubted: networks were trained on adults.",
        f"{_TESTS}::test_infants_and_fine_pixels_are_read",
        fixed=True,
    )
    ct_largest_mm: tuple[float, float] = rule(
        (checking.LONGEST_MM, checking.WIDEST_MM),
        "mm long, wide",
        "What is larger is no patient: the spacing is not in millimetres.",
        f"{_TESTS}::test_larger_than_a_patient",
        fixed=True,
    )
    ct_tissue_share: float = rule(
        checking.TISSUE_SHARE,
        f"of the voxels in {checking.TISSUE_HU[0]:g} to {checking.TISSUE_HU[1]:g} HU",
        "Every body has more soft tissue.",
        f"{_TESTS}::test_no_soft_tissue",
        fixed=True,
    )
    ct_light_share: float = rule(
        checking.LIGHT_SHARE,
        f"of the voxels below {checking.LIGHT_HU:g} HU",
        "Every body has more fat, lung, or air round it.",
        f"{_TESTS}::test_mr",
        fixed=True,
    )
    ct_fat_share: float = rule(
        checking.FAT_SHARE,
        f"of what is no air in {checking.FAT_HU[0]:g} to {checking.FAT_HU[1]:g} HU",
        "Patients have 30 to 60 %, the blurred outline of a water phantom about 1 %.",
        "none: measured on the real CTs and phantoms at hand",
        fixed=True,
    )
    ct_body_share: float = rule(
        checking.BODY_SHARE,
        f"of what is denser than lung in {checking.BODY_HU[0]:g} to {checking.BODY_HU[1]:g} HU",
        "Of that a CT puts most within fat and soft tissue.",
        f"{_TESTS}::test_hu_far_too_high",
        fixed=True,
    )
    ct_bone_share: float = rule(
        checking.BONE_SHARE,
        f"of what is denser than lung above {checking.BONE_HU:g} HU",
        "And little as dense as this.",
        f"{_TESTS}::test_mr_phase_with_negative_values",
        fixed=True,
    )
