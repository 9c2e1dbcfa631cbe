"""Random masks for the evaluation tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

SPACINGS = st.tuples(*[st.sampled_from([0.5, 0.7, 1.0, 1.3, 5.0])] * 3)


@st.composite
def mask_pairs(draw, min_side: int = 1, max_side: int = 10):
    """(reference, prediction, spacing): sparse, full, empty, or blobby; they often touch the border."""
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=min_side, max_side=max_side))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = st.sampled_from(["empty", "noise", "noise", "sparse", "sparse", "blobs", "blobs", "full"])
    masks = []
    for kind in (draw(kinds), draw(kinds)):
        if kind == "empty":
            mask = np.zeros(shape, bool)
        elif kind == "full":
            mask = np.ones(shape, bool)
        elif kind == "blobs":
            field = ndimage.gaussian_filter(rng.standard_normal(shape), 1.0)
            mask = field > np.quantile(field, 0.7)
        else:
            mask = rng.random(shape) < (0.4 if kind == "noise" else 0.06)
        masks.append(mask)
    return masks[0], masks[1], draw(SPACINGS)


def ball(shape, centre, radius_mm, spacing=(1.0, 1.0, 1.0)):
    """Mask of a ball; centre in voxels."""
    grid = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    squared = sum(((g - c) * s) ** 2 for g, c, s in zip(grid, centre, spacing, strict=True))
    return squared <= radius_mm**2
