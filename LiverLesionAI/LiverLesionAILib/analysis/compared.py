"""An earlier scan brought into line with the current one, for the panel: handed over and given back as files.

The current CT lies in the folder, the earlier one in its subfolder for a second scan (see :mod:`.handover`);
the request holds both livers. The answer is one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..case.alignment import KeptAlignment
from ..case.findings import CaseResult, PhaseEstimate
from ..support.errors import InputError
from ..support.files import write_text
from ..support.progress import Progress, silent
from ..volume.ct import CtVolume
from ..volume.packed_mask import unpack_whole
from ..volume.point_map import PointMap
from .followup import Examined, align
from .handover import SECOND_FOLDER, read_volume

ALIGNMENT_FILE = "alignment.json"


def compare_handed_over(folder: Path, request: Mapping[str, Any], progress: Progress = silent) -> None:
    """Register the two scans of a folder and write the answer to ``result`` in it.

    Args:
        request: "prior" and "current", each with "liver" (a packed mask, "" for none) and "phase" (the
            contrast phase's name, "" where it is not known); "warnings", what the sender doubts.

    Raises:
        InputError: the folder is incomplete, or a mask is damaged.
        Cancelled: from `progress`.
    """
    current = _examined(read_volume(folder), request["current"])
    prior = _examined(read_volume(folder / SECOND_FOLDER), request["prior"])
    kept = kept_alignment(prior, current, tuple(request.get("warnings", ())), progress)
    result = folder / "result"
    result.mkdir()
    write_text(result / ALIGNMENT_FILE, kept.text)


def kept_alignment(
    prior: Examined, current: Examined, warnings: tuple[str, ...] = (), progress: Progress = silent
) -> KeptAlignment:
    """Register two scans, in a form that can be kept.

    Raises:
        Cancelled: from `progress`.
    """
    found = align(prior, current, progress)
    movement = None
    if found.movement is not None:
        result = prior.result
        movement = PointMap.sampled(found.movement.points, result.liver_zyx, result.geometry)
    said = tuple(dict.fromkeys((*warnings, *found.warnings)))
    return KeptAlignment(movement, found.failed, said, found.dice, found.gap_mm)


def read_alignment(result: Path) -> KeptAlignment:
    """The answer that :func:`compare_handed_over` wrote.

    Raises:
        InputError: it is not there, or is damaged.
    """
    try:
        kept = KeptAlignment.from_text((result / ALIGNMENT_FILE).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The comparison cannot be read ({error}). Click Analyze again.") from error
    if kept is None:
        raise InputError("The comparison cannot be read. Click Analyze again.")
    return kept


def _examined(volume: CtVolume, said: Mapping[str, Any]) -> Examined:
    geometry = volume.geometry
    liver = unpack_whole(said["liver"], geometry) if said["liver"] else np.zeros(geometry.shape_zyx, bool)
    if liver is None:
        raise InputError(f"The liver of {volume.name} cannot be read. Click Analyze again.")
    phase = PhaseEstimate(said["phase"], 1.0) if said.get("phase") else None
    labels = np.zeros(geometry.shape_zyx, np.uint16)
    result = CaseResult(volume.name, geometry, liver, labels, phase=phase)
    return Examined(result, volume)
