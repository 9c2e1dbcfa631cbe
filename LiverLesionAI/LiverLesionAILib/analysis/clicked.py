"""A lesion's outline from clicks in a part of a CT: what the panel asks for *Add* and *Correct*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..case.findings import CaseResult
from ..stages.detect.click_input import Clicks
from ..stages.faces import Runtime
from ..support.errors import InputError
from ..volume.crops import Mask
from ..volume.ct import CtVolume, reorient
from ..volume.packed_mask import turned

if TYPE_CHECKING:
    from ..models.weights import ModelStore

TASK = "click"
"""Of the manifest's entry."""


def outline_clicked(volume: CtVolume, request: Mapping[str, Any], store: ModelStore) -> CaseResult:
    """The outline as lesion 1 of a case without findings; without any where the network sees nothing there.

    Args:
        volume: the part of the CT that was handed over, any orientation.
        request: `model`, `device`, `precision`; `inside_lps` and `outside_lps`: clicks in the lesion and
            beside it; `level_hu`: the liver's, None where it is not known.

    Raises:
        InputError: a click is not in the volume.
        ModelError: the network's weights are missing or damaged.
    """
    from ..models.device import choose_device

    entry = store.manifest.choose(TASK, request["model"])
    device = choose_device(request["device"], request["precision"])
    asked = Runtime(store, device).open(entry)
    upright = reorient(volume)
    shape = np.array(upright.geometry.shape_zyx)
    groups = []
    for name in ("inside_lps", "outside_lps"):
        points = [upright.geometry.lps_to_index(point) for point in request[name]]
        if any((np.array(point) < -0.5).any() or (np.array(point) > shape - 0.5).any() for point in points):
            raise InputError("The point is outside the CT. Click inside the liver.")
        groups.append(tuple((float(z), float(y), float(x)) for z, y, x in points))
    level = request["level_hu"]
    level_hu = float("nan") if level is None else float(level)
    found = asked.outline(upright.hu_zyx, upright.geometry.spacing_zyx_mm, Clicks(*groups), level_hu)
    labels = np.zeros(volume.geometry.shape_zyx, np.uint16)
    if found is not None and found.any():
        mask = turned(Mask.of(found), upright.geometry, volume.geometry)
        labels[mask.slices][mask.voxels_zyx] = 1
    return CaseResult(volume.name, volume.geometry, np.zeros(labels.shape, bool), labels)
