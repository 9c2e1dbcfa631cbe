"""The attention of an analysed case.

The class of every slice; what every network weighs in the slice of the largest lesion, and whether that
decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..case.class_strip import ClassStrip
from ..case.findings import CaseResult
from ..models.weights import ModelEntry
from ..stages.classify.liver_box import LiverBox, liver_box
from ..support.errors import InputError
from ..support.progress import Progress, part, silent
from ..volume.ct import CtVolume
from .choice import Choice
from .rules import Rules, rules_of

if TYPE_CHECKING:
    from ..models.device import Device
    from ..models.weights import ModelStore
    from ..networks.health import Health
    from ..stages.explain.readings import Reading
    from .settings import Settings

HEALTH_SLICES = 2
"""Slices on which a mechanism is replaced: `info --attention` takes more, and more time."""
_WITHOUT = ("locate", "neighbour", "vessels", "trees")


@dataclass(frozen=True, eq=False)
class NetworkAttention:
    """One network on one case.

    Attributes:
        ran: whether it took part in the analysis.
        hu_yx: the slice as it sees it, its liver's level shifted; point_yx: the voxel asked about.
        readings, health: of its mechanisms, in its order.
    """

    entry: ModelEntry
    ran: bool
    hu_yx: NDArray[np.float32]
    point_yx: tuple[int, int]
    readings: Sequence[Reading]
    health: Sequence[Health]


def case_liver(result: CaseResult, volume: CtVolume) -> LiverBox:
    """The case's liver.

    Raises:
        InputError: there is none.
    """
    if not result.liver_zyx.any():
        raise InputError("No liver was found: there is no attention to show.")
    return liver_box(result, volume)


def strip_of_case(
    liver: LiverBox,
    store: ModelStore,
    device: Device,
    settings: Settings,
    rules: Rules | None = None,
    progress: Progress = silent,
    *,
    phase: Sequence[float] | None = None,
) -> ClassStrip:
    """The class of every slice, by the classifier of the settings.

    Args:
        phase: probability of each contrast phase, for networks that take it.

    Raises:
        InputError: nobody wants a classifier, or there is none.
    """
    from ..stages.classify.lesions import ClassifySettings
    from ..stages.explain.strip import class_strip
    from ..stages.faces import Runtime

    choice = Choice.of(store.manifest, settings)
    entry = choice.classifier
    if entry is None:
        raise InputError("There is no classifier: the slices have no class. Leave out --no-classify.")
    rules = rules_of(choice) if rules is None else rules
    network = Runtime(store, device).network(entry)
    temperature = rules.part(ClassifySettings).temperature
    return class_strip(network, entry, liver, temperature=temperature, phase=phase, progress=progress)


def attention_of_case(
    result: CaseResult,
    liver: LiverBox,
    store: ModelStore,
    device: Device,
    wanted: Callable[[ModelEntry], bool] = lambda entry: True,
    progress: Progress = silent,
) -> list[NetworkAttention]:
    """Every network of the store with attention, those first that took part in the analysis.

    Args:
        wanted: leaves out others.
    """
    from ..stages.explain.health import health_of, spread_slices
    from ..stages.explain.readings import part_of, read_attention
    from ..stages.faces import Runtime

    runtime = Runtime(store, device)
    entries = [e for e in store.manifest.entries if e.file and e.task not in _WITHOUT and wanted(e)]
    entries.sort(key=lambda entry: entry.name not in result.models)
    found = []
    for number, entry in enumerate(entries):
        now = part(progress, number / len(entries), (number + 1) / len(entries))
        crop = liver.on_spacing(entry.input.spacing_zyx_mm)
        z, y, x = _point(crop.labels_zyx, crop.liver_zyx)
        network = runtime.network(entry)
        phase = None if result.phase is None else result.phase.shares
        one = part_of(crop, entry.input, [z], phase)
        readings = read_attention(entry, network, one, (y, x), part(now, 0.0, 0.3))
        if not readings:
            continue
        # Where nothing is found no answer can change: an attention would look dead.
        where = crop.labels_zyx > 0 if crop.labels_zyx.any() else crop.liver_zyx
        several = part_of(crop, entry.input, spread_slices(where, HEALTH_SLICES), phase)
        health = health_of(entry, network, several, part(now, 0.3, 1.0))
        found.append(
            NetworkAttention(entry, entry.name in result.models, one.hu_zyx[z], (y, x), readings, health)
        )
    return found


def _point(labels_zyx: NDArray[np.uint16], liver_zyx: NDArray[np.bool_]) -> tuple[int, int, int]:
    """A voxel of the largest lesion in the slice where it is largest; the liver's where there is none."""
    counts = np.bincount(labels_zyx.ravel())[1:]
    mask = labels_zyx == 1 + int(counts.argmax()) if counts.size else liver_zyx
    z = int(mask.sum(axis=(1, 2)).argmax())
    inside = np.argwhere(mask[z])
    y, x = inside[int(((inside - inside.mean(axis=0)) ** 2).sum(axis=1).argmin())]
    return z, int(y), int(x)
