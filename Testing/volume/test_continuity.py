"""Volumes whose rows or slices do not continue each other: dimensions exchanged or miscounted."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LiverLesionAILib.volume.checking import check_ct
from LiverLesionAILib.volume.continuity import continuity_warning, row_shift
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from support.ct_grids import steady
from support.ct_phantom import phantom_hu, real_data

HU = phantom_hu((30, 64, 72))


@pytest.mark.parametrize("axes", list(permutations(range(3))))
@pytest.mark.parametrize("flip", [False, True])
def test_a_sound_volume_in_any_order(axes: tuple[int, int, int], flip: bool) -> None:
    assert continuity_warning(np.ascontiguousarray(HU.transpose(axes))[:: -1 if flip else 1]) is None


@pytest.mark.parametrize("shape", [p for p in permutations(HU.shape) if p != HU.shape])
def test_exchanged_dimensions(shape: tuple[int, int, int]) -> None:
    assert continuity_warning(HU.reshape(shape)) is not None


@given(width=st.integers(58, 86).filter(lambda n: n != 72))
@steady
def test_another_width(width: int) -> None:
    rows = HU.size // width
    assert row_shift(HU.ravel()[: rows // 16 * 16 * width].reshape(-1, 16, width)) != 0


def test_a_tilted_gantry_is_none() -> None:
    tilted = np.stack([np.roll(plane, k, axis=0) for k, plane in enumerate(HU)])
    assert continuity_warning(tilted) is None


def test_it_leads_the_warnings() -> None:
    volume = CtVolume(HU.reshape(30, 72, 64), Geometry.make((30, 72, 64), (5, 3, 3)), "torn")
    assert "do not continue each other" in check_ct(volume).warnings[0]


def test_real_cts_are_sound() -> None:
    from LiverLesionAILib.reading import load_ct

    for name in ("lits000_ct.nii.gz", "lits003_ct.nii.gz"):
        hu = load_ct(real_data("lits", name)).hu_zyx
        for axes in permutations(range(3)):
            assert continuity_warning(hu.transpose(axes)) is None, (name, axes)
        assert continuity_warning(hu.reshape(512, -1, 512)) is not None
