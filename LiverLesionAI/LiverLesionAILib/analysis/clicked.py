"""An outline mended by the network that answers clicks: what the panel asks for *Add* and *Correct*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..case.findings import CaseResult
from ..stages.detect.click_input import Clicks, near_liver
from ..stages.detect.star import LiverLevel, Surroundings
from ..stages.faces import Runtime
from ..support.errors import InputError
from ..volume.crops import Mask
from ..volume.ct import CtVolume, reorient
from ..volume.geometry import Geometry
from ..volume.packed_mask import turned, unpack_whole

if TYPE_CHECKING:
    from ..models.weights import ModelStore

TASK = "click"
"""Of the manifest's entry."""


def outline_clicked(volume: CtVolume, request: Mapping[str, Any], store: ModelStore) -> CaseResult:
    """The outline as lesion 1 of a case without findings.

    Args:
        volume: the part of the CT that was handed over, any orientation.
        request: `model`, `device`, `precision`; `inside_lps` and `outside_lps`: clicks in the lesion and
            beside it; `drawn`: the packed outline there is so far; `liver`: packed, "" where it is not
            known; `level_hu`, `spread_hu`: the liver's density.

    Raises:
        InputError: a click is not in the volume, or a mask is damaged.
        ModelError: the network's weights are missing or damaged.
    """
    from ..models.device import choose_device

    entry = store.manifest.choose(TASK, request["model"])
    device = choose_device(request["device"], request["precision"])
    asked = Runtime(store, device).open(entry)
    upright, own = reorient(volume), volume.geometry
    drawn = _mask(request["drawn"], upright.geometry)
    if request["liver"]:
        spacing = upright.geometry.spacing_zyx_mm
        near = near_liver(_mask(request["liver"], upright.geometry), spacing)
    else:
        near = np.ones(upright.geometry.shape_zyx, bool)
    level = LiverLevel(float(request["level_hu"]), float(request["spread_hu"]))
    seen = Surroundings(upright.hu_zyx, upright.geometry.spacing_zyx_mm, near, level)
    found = asked.outline(seen, drawn, _clicks(request, upright.geometry))
    labels = np.zeros(own.shape_zyx, np.uint16)
    if found.any():
        mask = turned(Mask.of(found), upright.geometry, own)
        labels[mask.slices][mask.voxels_zyx] = 1
    return CaseResult(volume.name, own, np.zeros(labels.shape, bool), labels)


def _clicks(request: Mapping[str, Any], geometry: Geometry) -> Clicks:
    shape, groups = np.array(geometry.shape_zyx), []
    for name in ("inside_lps", "outside_lps"):
        points = [geometry.lps_to_index(point) for point in request[name]]
        if any((np.array(point) < -0.5).any() or (np.array(point) > shape - 0.5).any() for point in points):
            raise InputError("The point is outside the CT. Click inside the liver.")
        groups.append(tuple((float(z), float(y), float(x)) for z, y, x in points))
    return Clicks(*groups)


def _mask(text: str, geometry: Geometry) -> NDArray[np.bool_]:
    mask = unpack_whole(text, geometry)
    if mask is None:
        raise InputError("The outlines cannot be read. Click again.")
    return mask
