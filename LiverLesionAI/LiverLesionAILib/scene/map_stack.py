"""The maps of single lesions, all in one hidden volume; of each kind one volume shows the selected lesion's.

A classifier gives three maps for each lesion. As volumes of their own, 60 lesions would bring 180 nodes,
which took the application eight seconds to add.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import slicer
from numpy.typing import NDArray
from vtkmodules.util import numpy_support
from vtkmodules.vtkCommonCore import VTK_UNSIGNED_SHORT
from vtkmodules.vtkCommonDataModel import vtkImageData

from ..case.description import SceneMap, attention_map, map_family
from ..case.findings import AttentionMap
from ..case.store_json import describe_geometry, read_geometry
from ..support.steps import Steps
from .ras import image_steps

ROLE_STACK = "maps of lesions"
ATTR_ENTRIES = "LiverLesionAI.Entries"
LEVELS = 65535


@dataclass(frozen=True)
class Entry:
    """One lesion's map in the stack.

    Attributes:
        kind: what the maps of all lesions have in common as a name.
        number: the lesion's in the result; fainter lesions, which are not listed yet, have one too.
        row_id: the row it belongs to, "" while it is not listed.
        start: its first layer in the stack.
        low, step: value = low + step * level.
    """

    kind: str
    meaning: str
    number: int
    row_id: str
    start: int
    low: float
    step: float
    geometry: Mapping[str, Any]
    value_range: tuple[float, float]
    unit: str
    bars: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Stack:
    """The layers of all maps, one upon the other, and what each is."""

    image: vtkImageData
    entries: tuple[Entry, ...]


def stack_steps(maps: Sequence[AttentionMap]) -> Steps[Stack | None]:
    """Lay the maps of single lesions one upon the other, in steps; None where there are none."""
    single = [shown for shown in maps if shown.lesion_number is not None]
    if not single:
        return None
    height = max(shown.values_zyx.shape[1] for shown in single)
    width = max(shown.values_zyx.shape[2] for shown in single)
    depth = sum(shown.values_zyx.shape[0] for shown in single)
    image = vtkImageData()
    image.SetDimensions(width, height, depth)
    image.AllocateScalars(VTK_UNSIGNED_SHORT, 1)
    image.GetPointData().GetScalars().SetName("ImageScalars")
    layers = _layers(image)
    layers[:] = 0
    entries, start = [], 0
    for shown in single:
        values = np.nan_to_num(np.asarray(shown.values_zyx, np.float32))
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
        step = (high - low) / LEVELS if high > low else 1.0
        part = layers[start : start + len(values), : values.shape[1], : values.shape[2]]
        part[:] = np.rint((values - low) / step)
        entries.append(
            Entry(
                map_family(shown.name),
                shown.meaning,
                shown.lesion_number or 0,
                "",
                start,
                low,
                step,
                describe_geometry(shown.geometry),
                shown.value_range,
                shown.unit,
                dict(shown.bars),
            )
        )
        start += len(values)
        yield
    return Stack(image, tuple(entries))


def _layers(image: vtkImageData) -> NDArray[np.uint16]:
    scalars = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    return scalars.reshape(image.GetDimensions()[::-1])


def with_rows(entries: Sequence[Entry], rows: Mapping[int, str]) -> tuple[Entry, ...]:
    """The entries with the rows of these lesions (by number in the result); the others as they are."""
    return tuple(replace(entry, row_id=rows.get(entry.number, entry.row_id)) for entry in entries)


def write_entries(node: slicer.vtkMRMLScalarVolumeNode, entries: Sequence[Entry]) -> None:
    """Say on the stack's node what its layers are."""
    text = json.dumps([vars(entry) for entry in entries])
    if node.GetAttribute(ATTR_ENTRIES) != text:
        node.SetAttribute(ATTR_ENTRIES, text)


def read_entries(node: slicer.vtkMRMLScalarVolumeNode | None) -> tuple[Entry, ...]:
    """What a stack's layers are; none where that is damaged."""
    try:
        described = json.loads(node.GetAttribute(ATTR_ENTRIES) or "[]") if node is not None else []
        return tuple(
            Entry(**{**entry, "value_range": (entry["value_range"][0], entry["value_range"][1])})
            for entry in described
        )
    except (ValueError, TypeError, KeyError, IndexError):
        return ()


def lesion_map_steps(
    image: vtkImageData, entry: Entry, case_name: str
) -> Steps[tuple[vtkImageData, SceneMap]]:
    """One lesion's map out of the stack, as voxels and with all that is said of it."""
    geometry = read_geometry(dict(entry.geometry))
    depth, height, width = geometry.shape_zyx
    levels = _layers(image)[entry.start : entry.start + depth, :height, :width]
    values = np.float32(entry.low) + np.float32(entry.step) * levels.astype(np.float32)
    shown = AttentionMap(
        entry.kind, entry.meaning, values, geometry, entry.value_range, entry.unit, entry.number, entry.bars
    )
    described = attention_map(shown, case_name, {entry.number: entry.row_id})
    return (yield from image_steps(values)), described
