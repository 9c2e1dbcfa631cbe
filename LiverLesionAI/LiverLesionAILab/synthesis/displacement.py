"""A lesion and its surroundings: it pushes vessels and the capsule away, and the capsule and bone hold it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .texture import Spacing, gaussian
from .tissue import Box, LiverTissue


def push_away(
    tissue: LiverTissue, box: Box, depth_mm: NDArray[np.float32], push_mm: float, reach_mm: float
) -> bool:
    """Move what lies around an outline outwards: by `push_mm` at its border, fading over `reach_mm`.

    The image and the liver are changed in the box; the inside of the outline is left to whoever paints it.
    Bone stays where it is. Cubic interpolation keeps the noise; nothing is folded as long as push < reach.

    Args:
        tissue: changed in place.
        box: holds the outline and what is around it.
        depth_mm: signed depth over the box, positive inside.
        push_mm, reach_mm: mm.

    Returns:
        Whether anything was moved (not beside protected voxels, which must stay as they are labelled).
    """
    push = np.float32(min(push_mm, 0.8 * reach_mm))
    amount = push * np.exp(np.minimum(depth_mm, 0) / np.float32(reach_mm))
    if tissue.protected is not None and (tissue.protected[box] & (amount > 0.2)).any():
        return False
    hu = tissue.hu[box]
    bone = (hu > 170) & ~tissue.liver[box]
    if bone.any():
        amount = amount * np.clip(1 - 2.5 * gaussian(bone, 3.0, tissue.spacing), 0, 1)
    # Fade out towards the box's faces, so that nothing tears there.
    for axis, n in enumerate(amount.shape):
        ramp = np.minimum(np.arange(n), np.arange(n)[::-1]).astype(np.float32) * tissue.spacing[axis]
        amount = amount * np.clip(ramp / 4, 0, 1).reshape([-1 if a == axis else 1 for a in range(3)])
    moved = np.nonzero((amount > 0.35) & (depth_mm < 1.5))
    if len(moved[0]) == 0:
        return False
    smooth = gaussian(depth_mm, 2.0, tissue.spacing)
    slopes = np.stack([g[moved] for g in np.gradient(smooth, *tissue.spacing)])
    slopes /= np.maximum(np.linalg.norm(slopes, axis=0), 1e-3)
    # Depth grows inwards: what is now here came from further in.
    shift = slopes * amount[moved] / np.array(tissue.spacing, np.float32)[:, None]
    source = np.stack(moved).astype(np.float32) + shift
    liver = tissue.liver[box]
    new_hu = ndimage.map_coordinates(hu, source, order=3, mode="nearest", output=np.float32)
    new_liver = ndimage.map_coordinates(liver.astype(np.float32), source, order=1, mode="nearest")
    # Splines overshoot at bone and gas.
    hu[moved] = np.clip(new_hu, float(hu.min()), float(hu.max()))
    liver[moved] = new_liver > 0.5
    return True


def held_by_capsule(
    tissue: LiverTissue, box: Box, depth_mm: NDArray[np.float32], bulge_mm: float
) -> NDArray[np.float32]:
    """Depth limited by the liver's surface, moved out by `bulge_mm`; bone is never grown into.

    Args:
        tissue: gives liver and image.
        box: where.
        depth_mm: the free outline's signed depth, positive inside.
        bulge_mm: how far beyond the surface the lesion may reach.
    """
    liver = tissue.liver[box]
    outside = ~liver
    if not (outside & (depth_mm > -4.0)).any():
        return depth_mm
    limit = _near_surface_mm(liver, max(1.5, 0.5 * bulge_mm), tissue.spacing)
    if bulge_mm > 0:
        bone = gaussian(outside & (tissue.hu[box] > 170), 2.5, tissue.spacing)
        limit += np.float32(bulge_mm) * np.clip(1 - 12 * bone, 0, 1)
    return np.minimum(depth_mm, limit + np.float32(0.3))


def _near_surface_mm(mask: NDArray[np.bool_], sigma_mm: float, spacing: Spacing) -> NDArray[np.float32]:
    """Signed distance to a mask's surface, positive inside, good to about 2.5 sigma; far inside it is large.

    A blurred step gives back the distance by its inverse. That is several times faster than a distance
    transform and rounds off the mask's stairs.
    """
    blur = np.clip(gaussian(mask, sigma_mm, spacing), 1e-3, 1 - 1e-3)
    near = np.log(blur / (1 - blur)) * np.float32(sigma_mm / 1.702)
    return np.where(blur > 0.99, np.float32(1e3), near)
