"""Vessels and Couinaud segments for the panel: asked with the masks as they are drawn, answered as a case.

The CT lies in the folder (see :mod:`.handover`); the request holds the masks and the contrast phase. The
answer is a case store with the anatomy, and with each lesion's place among vessels and segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..case.findings import Box, CaseResult, Lesion, PhaseEstimate
from ..case.store import save_result
from ..models.weights import ModelStore
from ..support.errors import InputError
from ..support.progress import Progress, silent
from ..volume.checking import whole_hu
from ..volume.geometry import Geometry
from ..volume.packed_mask import unpack_whole
from .anatomy import anatomy_networks, with_anatomy
from .handover import read_volume
from .rules import Rules


def find_handed_over(
    folder: Path, request: Mapping[str, Any], progress: Progress = silent, store: ModelStore | None = None
) -> None:
    """Find the anatomy of the volume in a folder and write it to ``result`` in it.

    Args:
        request: "liver", "gallbladder": packed masks, "" for none; "lesions": one for each; "phase": the
            contrast phase's name, "" where it is not known.
        store: whose vessel network looks as well.

    Raises:
        InputError: the folder is incomplete, or a mask is damaged.
        Cancelled: from `progress`.
    """
    volume = read_volume(folder)
    volume = replace(volume, hu_zyx=whole_hu(volume.hu_zyx))
    geometry = volume.geometry
    labels = np.zeros(geometry.shape_zyx, np.uint16)
    masks = [_mask(text, geometry) for text in request["lesions"]]
    for number, mask in sorted(enumerate(masks, 1), key=lambda item: -int(np.count_nonzero(item[1]))):
        labels[mask] = number
    nowhere = Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    lesions = (Lesion(number, 1.0, nowhere.centre_lps, nowhere, None) for number in range(1, len(masks) + 1))
    case = CaseResult(
        volume.name,
        geometry,
        _mask(request["liver"], geometry),
        labels,
        tuple(lesions),
        phase=PhaseEstimate(request["phase"], 1.0) if request.get("phase") else None,
        gallbladder_zyx=_mask(request["gallbladder"], geometry) if request.get("gallbladder") else None,
    )
    found = with_anatomy(case, volume, Rules(), progress, *anatomy_networks(store))
    save_result(found, folder / "result")


def _mask(text: str, geometry: Geometry) -> NDArray[np.bool_]:
    mask = unpack_whole(text, geometry) if text else np.zeros(geometry.shape_zyx, bool)
    if mask is None:
        raise InputError("The outlines cannot be read. Click Vessels and segments again.")
    return mask
