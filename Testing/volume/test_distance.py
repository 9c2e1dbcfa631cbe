"""Distances inside masks: scipy's, in less memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILib.volume.distance import distance_mm
from numpy.typing import NDArray
from scipy import ndimage

SPACINGS = st.tuples(*[st.floats(0.3, 6.0)] * 3)


@given(st.integers(0, 2**32 - 1), st.tuples(*[st.integers(1, 14)] * 3), SPACINGS, st.floats(0.02, 0.98))
@settings(max_examples=60, deadline=None)
def test_every_bit_is_scipys(
    seed: int, shape: tuple[int, int, int], spacing: tuple[float, float, float], share: float
) -> None:
    inside = np.random.default_rng(seed).random(shape) < share
    inside.flat[0] = False  # Else nothing is outside, and there is no distance.
    expected = ndimage.distance_transform_edt(inside, sampling=spacing)
    assert np.array_equal(distance_mm(inside, spacing), expected)


def peak_bytes(work: Callable[[], NDArray]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_less_than_half_of_scipys_memory() -> None:
    inside = np.ones((60, 80, 80), bool)
    inside[30, 40, 40] = False
    ours = peak_bytes(lambda: distance_mm(inside, (1.0, 0.5, 0.5)))
    scipys = peak_bytes(lambda: ndimage.distance_transform_edt(inside, sampling=(1.0, 0.5, 0.5)))
    assert ours == pytest.approx(20 * inside.size, rel=0.15)
    assert ours < 0.5 * scipys
