"""Masks of shapes whose size is known, and random ones, on grids of all kinds of spacing."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

SPACINGS = [
    (1.0, 1.0, 1.0),
    (0.4, 0.4, 0.4),
    (5.0, 0.7, 0.7),
    (10.0, 0.9, 0.9),
    (1.5, 0.6, 1.1),
    (3.0, 1.7, 0.8),
]


def ellipsoid(spacing_zyx, radii_zyx_mm, angle=0.0, shift_voxels=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Voxels whose centre lies in an ellipsoid rotated in the slice, centred `shift` off the middle voxel."""
    spacing = np.array(spacing_zyx)
    reach = np.array([radii_zyx_mm[0], *[max(radii_zyx_mm[1:])] * 2])
    half = np.ceil(reach / spacing).astype(int) + 2
    offsets = [(np.arange(-h, h + 1) - s) * d for h, s, d in zip(half, shift_voxels, spacing, strict=True)]
    z, y, x = np.meshgrid(*offsets, indexing="ij", sparse=True)
    u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    return (z / radii_zyx_mm[0]) ** 2 + (v / radii_zyx_mm[1]) ** 2 + (u / radii_zyx_mm[2]) ** 2 <= 1.0


def rotation(degrees) -> np.ndarray:
    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()


masks = arrays(bool, st.tuples(*[st.integers(1, 7)] * 3), elements=st.booleans()).filter(np.any)
spacings = st.tuples(*[st.floats(0.4, 10.0)] * 3)
