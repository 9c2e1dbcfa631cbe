"""`liverlesionai info --attention CT`: whether the attention of every bundled network attends, on one CT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..support.errors import InputError
from ..support.progress import Progress, part, silent

if TYPE_CHECKING:
    from ..models.device import Device
    from ..models.weights import ModelEntry, ModelStore
    from ..networks.health import Health
    from ..stages.explain.health import LiverPart
    from ..stages.locate.coarse import LiverLocation
    from ..volume.ct import CtVolume

SLICES = 6
"""Slices that stand for the scan: networks are run four times for each of some thirty attentions."""


def run_attention(ct: Path, device: str, as_json: bool, progress: Progress = silent) -> int:
    """Print the health of every attention on a CT.

    Raises:
        LiverLesionAIError: the CT cannot be read, or shows no liver.
    """
    from ..models.device import choose_device
    from ..models.weights import ModelStore
    from ..reading import read_ct
    from ..stages.explain.health import health_json, health_text

    volume = read_ct(ct, None, part(progress, 0.0, 0.1))
    # What is measured is small: everything in float32, on a processor too.
    chosen = choose_device(device, "float32")
    found = attention_health(volume, ModelStore.bundled(), chosen, progress=part(progress, 0.1, 1.0))
    print(health_json(found) if as_json else health_text(found))
    return 0


def attention_health(
    volume: CtVolume,
    store: ModelStore,
    device: Device,
    names: Sequence[str] | None = None,
    slices: int = SLICES,
    progress: Progress = silent,
) -> list[Health]:
    """The health of every attention of the networks `names` (all of the store's where None) on a CT.

    Raises:
        InputError: there is no liver in the CT.
    """
    from ..analysis.choice import Choice
    from ..analysis.rules import rules_of
    from ..analysis.settings import Settings
    from ..stages.explain.health import all_health
    from ..stages.faces import Runtime
    from ..stages.locate.coarse import LocateSettings, locate
    from ..volume.ct import reorient

    choice = Choice.of(store.manifest, Settings(device=device.name))
    runtime = Runtime(store, device)
    locator = runtime.open(store.manifest.choose("locate"))
    oriented = reorient(volume)
    where = locate(
        oriented,
        locator.probability,
        locator.entry.input,
        rules_of(choice).part(LocateSettings),
        part(progress, 0.0, 0.1),
    )
    if where is None:
        raise InputError(f"No liver was found in {volume.name}: attention is examined on slices of a liver.")
    entries = [
        entry
        for entry in store.manifest.entries
        if entry.file
        and entry.task not in ("locate", "vessels", "trees")
        and (names is None or entry.name in names)
    ]
    asked = [(entry, runtime.network(entry), liver_part(oriented, where, entry, slices)) for entry in entries]
    return all_health(asked, part(progress, 0.1, 1.0))


def liver_part(oriented: CtVolume, where: LiverLocation, entry: ModelEntry, slices: int) -> LiverPart:
    """What one network sees of the liver, on its own grid."""
    from ..models.inputs import liver_level_hu
    from ..stages.explain.health import LiverPart, spread_slices
    from ..volume.ct import resample, resample_labels

    spec = entry.input
    box = oriented.geometry.cropped(where.start_zyx, where.stop_zyx)
    working = box.with_spacing(spec.spacing_zyx_mm)
    cut = tuple(slice(a, b) for a, b in zip(where.start_zyx, where.stop_zyx, strict=True))
    hu_zyx = resample(oriented.hu_zyx[cut], box, working)
    liver_zyx = resample_labels(where.mask_zyx.astype(np.uint8), where.geometry, working) > 0
    level_hu = liver_level_hu(hu_zyx[liver_zyx])
    return LiverPart(
        hu_zyx + np.float32(spec.shift_hu(level_hu)), liver_zyx, spread_slices(liver_zyx, slices)
    )
