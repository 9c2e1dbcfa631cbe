"""Random grids for property-based tests."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from LiverLesionAILib.volume.ct import Geometry
from scipy.spatial.transform import Rotation

# Reproducible, and deaf to a busy machine.
steady = settings(deadline=None, derandomize=True, max_examples=80)


@st.composite
def geometries(draw: st.DrawFn, oblique: bool = True, least: int = 2, most: int = 14) -> Geometry:
    """Any axis order and flips, tilted by any angles if `oblique`, spacing 0.4 to 10 mm per axis."""
    order = draw(st.permutations((0, 1, 2)))
    signs = draw(st.tuples(*[st.sampled_from((-1.0, 1.0))] * 3))
    directions = np.eye(3)[:, list(order)] * signs
    if oblique and draw(st.booleans()):
        angles = draw(st.tuples(*[st.floats(-60, 60)] * 3))
        directions = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ directions
    return Geometry.make(
        draw(st.tuples(*[st.integers(least, most)] * 3)),
        draw(st.tuples(*[st.floats(0.4, 10)] * 3)),
        draw(st.tuples(*[st.floats(-500, 500)] * 3)),
        directions,
    )
