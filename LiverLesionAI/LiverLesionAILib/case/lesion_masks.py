"""The lesions' masks of a case, as crops."""

from __future__ import annotations

from scipy import ndimage

from ..support.steps import Steps, finish, slabs
from ..volume.crops import Mask
from .findings import CaseResult


def lesion_masks(result: CaseResult) -> dict[int, Mask]:
    """Mask of every lesion that has voxels, by number; one pass over the label array."""
    return finish(lesion_mask_steps(result))


def lesion_mask_steps(result: CaseResult) -> Steps[dict[int, Mask]]:
    """:func:`lesion_masks` in steps."""
    labels = result.lesion_labels_zyx
    low: dict[int, list[int]] = {}
    high: dict[int, list[int]] = {}
    for slab in slabs(labels.shape):
        part = labels[slab]
        for number, box in enumerate(ndimage.find_objects(part) if part.any() else (), start=1):
            if box is None:
                continue
            start = [box[0].start + slab.start, box[1].start, box[2].start]
            stop = [box[0].stop + slab.start, box[1].stop, box[2].stop]
            low[number] = [min(pair) for pair in zip(low.get(number, start), start, strict=True)]
            high[number] = [max(pair) for pair in zip(high.get(number, stop), stop, strict=True)]
        yield
    found: dict[int, Mask] = {}
    for lesion in result.lesions:
        if lesion.number in low:
            z, y, x = start = low[lesion.number]
            where = tuple(slice(a, b) for a, b in zip(start, high[lesion.number], strict=True))
            found[lesion.number] = Mask(labels[where] == lesion.number, (z, y, x))
            yield
    return found
