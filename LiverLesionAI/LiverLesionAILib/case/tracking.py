"""Who is who: every lesion has a DICOM UID, given when it is first found and kept from then on.

It is made from what the lesion is at that moment (where it lies, its voxels, their density), so that the same
run gives the same UID, and nothing of the patient can be read from it. It stays through edits, in the store
and in the scene, and a second run hands it to the lesion that lies where the earlier one lay.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..volume.crops import Mask, same_lesion
from ..volume.ct import Geometry
from . import tags
from .findings import CaseResult, Lesion
from .lesion_masks import lesion_masks

_NAMESPACE = uuid.UUID("6f1d7f3e-2b0c-5c55-9d2b-8a4b1f0c7a11")


def tracking_uid(*content: str) -> str:
    """A UID under 2.25 (a name-based UUID) from what tells a lesion from all others."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(0).join(content)).int}"


def mask_uid(mask: Mask, geometry: Geometry, *more: str) -> str:
    """The UID of a lesion that is born with this mask; `more`: what else tells it apart."""
    grid = " ".join(f"{value:.4f}" for value in (*geometry.origin_lps, *geometry.spacing_zyx_mm))
    return tracking_uid(grid, mask.fingerprint(geometry), *more)


def with_tracking(result: CaseResult, masks: Mapping[int, Mask] | None = None) -> CaseResult:
    """The result whose lesions all have a UID; those that have one keep it.

    Args:
        masks: the lesions' by number, where they are known already.
    """
    if all(lesion.tracking_uid for lesion in result.lesions):
        return result
    masks = lesion_masks(result) if masks is None else masks

    def named(lesion: Lesion) -> Lesion:
        if lesion.tracking_uid:
            return lesion
        measured = lesion.measurement
        density = "" if measured is None else f"{measured.hu_mean:.3f} {measured.hu_sd:.3f}"
        if lesion.number in masks:
            uid = mask_uid(masks[lesion.number], result.geometry, density)
        else:
            uid = tracking_uid(tags.box_text(lesion.box), f"{lesion.score:.4f}")
        return replace(lesion, tracking_uid=uid)

    return replace(result, lesions=tuple(named(lesion) for lesion in result.lesions))


def with_tracking_of(result: CaseResult, earlier: CaseResult) -> CaseResult:
    """The result whose lesions have the UIDs of the earlier run's lesions that they lie on.

    Largest first; each earlier lesion gives its UID to one. Grids that differ give none.
    """
    if not result.geometry.matches(earlier.geometry):
        return result
    masks, before = lesion_masks(result), lesion_masks(earlier)
    uids = {lesion.number: lesion.tracking_uid for lesion in earlier.lesions if lesion.tracking_uid}
    pairs = match_masks(masks, {number: mask for number, mask in before.items() if number in uids})
    lesions = (
        replace(lesion, tracking_uid=uids[pairs[lesion.number]]) if lesion.number in pairs else lesion
        for lesion in result.lesions
    )
    return replace(result, lesions=tuple(lesions))


def match_masks(new: Mapping[int, Mask], earlier: Mapping[int, Mask]) -> dict[int, int]:
    """Number of a new lesion -> number of the earlier one that it is; each earlier one at most once."""
    left = dict(earlier)
    pairs: dict[int, int] = {}
    for number in _largest_first(new):
        for candidate in _largest_first(left):
            if same_lesion(new[number], left[candidate]):
                pairs[number] = candidate
                del left[candidate]
                break
    return pairs


def _largest_first(masks: Mapping[int, Mask]) -> Iterable[int]:
    return sorted(masks, key=lambda number: (-masks[number].count, number))
