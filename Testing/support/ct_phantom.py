"""Made-up volumes for tests of reading and checking: quick, small, with the histogram of a body."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation


def phantom_hu(shape_zyx: tuple[int, int, int] = (30, 64, 64), seed: int = 0) -> NDArray[np.int16]:
    """A body of fat, muscle, liver, lung and bone in air; int16 HU, no symmetry."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape_zyx), indexing="ij")
    hu = np.full(shape_zyx, -1000.0)
    hu[(x / 0.85) ** 2 + (y / 0.6) ** 2 < 1] = -100.0
    hu[(x / 0.75) ** 2 + (y / 0.5) ** 2 < 1] = 50.0
    hu[((x - 0.3) / 0.25) ** 2 + ((y + 0.1) / 0.3) ** 2 + ((z - 1.1) / 0.6) ** 2 < 1] = -850.0
    hu[((x + 0.35) / 0.3) ** 2 + ((y + 0.05) / 0.35) ** 2 + (z / 0.7) ** 2 < 1] = 110.0
    hu[(x / 0.1) ** 2 + ((y - 0.35) / 0.1) ** 2 < 1] = 400.0
    return np.maximum(np.rint(hu + rng.normal(0, 12, shape_zyx)), -1024).astype(np.int16)


def phantom(
    shape_zyx: tuple[int, int, int] = (30, 64, 64),
    spacing_zyx_mm: tuple[float, float, float] = (5.0, 3.0, 3.0),
    name: str = "phantom",
) -> CtVolume:
    """The phantom as a volume that passes the check."""
    return CtVolume(phantom_hu(shape_zyx), Geometry.make(shape_zyx, spacing_zyx_mm, (-90, -80, 20)), name)


def turned(degrees: tuple[float, float, float]) -> NDArray[np.float64]:
    """Directions turned about x, y, z."""
    return Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()


def real_data(*parts: str) -> Path:
    """A path in the optional real data; the test skips, saying so, where it is missing."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    root = Path(os.environ.get("LIVERLESIONAI_DATA") or default)
    path = root.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"real data not there: {'/'.join(parts)} (set LIVERLESIONAI_DATA)")
    return path
