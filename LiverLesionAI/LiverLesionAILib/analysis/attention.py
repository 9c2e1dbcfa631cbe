"""What networks attend to, asked of a part of a CT.

A clicked point's row, all attentions of a network in a slice, the class of every slice. The panel's questions
travel as plain types (:class:`Question`), with the liver's mask packed beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from ..case.findings import AttentionMap, CaseResult
from ..stages.faces import Runtime, can_attend
from ..support.errors import InputError
from ..support.progress import Progress, part
from ..volume.ct import CtVolume
from ..volume.packed_mask import unpack_whole

if TYPE_CHECKING:
    from ..models.weights import ModelStore


class Question(Enum):
    """What can be asked; the value travels."""

    POINT = "point"
    NETWORK = "network"
    CLASSES = "classes"


def answer(volume: CtVolume, request: Mapping[str, Any], store: ModelStore, progress: Progress) -> CaseResult:
    """The answer as attention maps of a case without findings.

    Args:
        volume: the part of the CT that was handed over.
        request: `question` ("point" where it is not given), `model`, `device`, `precision`; `point_lps` and
            `level_hu` of a point, `point_lps` and `liver` of a network, `liver` of classes
            (:mod:`..volume.packed_mask`); `phase`: probability of each contrast phase, where it is known.

    Raises:
        InputError: the model cannot tell that, or the point is elsewhere.
    """
    from ..models.device import choose_device

    asked = Question(request.get("question", Question.POINT.value))
    entry = store.manifest.find(request["model"])
    nothing = np.zeros(volume.geometry.shape_zyx, bool)
    result = CaseResult(volume.name, volume.geometry, nothing, nothing.astype(np.uint16))
    # Gates and gradients are small numbers: all but the plain question in float32.
    precision = request["precision"] if asked is Question.POINT else "float32"
    runtime = Runtime(store, choose_device(request["device"], precision))
    maps: tuple[AttentionMap, ...]
    if asked is Question.POINT:
        if not can_attend(entry):
            raise InputError(f"{entry.name} cannot tell what a point attends to.")
        progress("following the point", 0.1)
        point_lps = _point(request)
        maps = runtime.open(entry).attend(volume, point_lps, float(request["level_hu"]))
    else:
        from ..stages.classify.liver_box import liver_box

        liver = unpack_whole(request["liver"], volume.geometry)
        if liver is None:
            raise InputError("The liver handed over with the question cannot be read.")
        if not liver.any():
            raise InputError("There is no liver in the part that was handed over.")
        crop = liver_box(CaseResult(volume.name, volume.geometry, liver, result.lesion_labels_zyx), volume)
        network = runtime.network(entry)
        if asked is Question.NETWORK:
            from ..stages.explain.network_maps import network_maps

            end = part(progress, 0.1, 1.0)
            maps = network_maps(network, entry, crop, _point(request), end, request.get("phase"))
        else:
            from ..stages.explain.strip import class_strip, strip_maps

            phase = request.get("phase")
            strip = class_strip(network, entry, crop, phase=phase, progress=part(progress, 0.1, 1.0))
            maps = strip_maps(strip)
    return CaseResult(volume.name, volume.geometry, nothing, result.lesion_labels_zyx, attention=maps)


def _point(request: Mapping[str, Any]) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in request["point_lps"])
    return x, y, z
