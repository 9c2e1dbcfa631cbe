"""A result from the worker into the scene, in steps between which the event loop runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import slicer

from ..case.findings import CaseResult
from ..case.lesion_masks import lesion_mask_steps
from ..case.surfaces import load_surfaces
from ..case.wording import fainter_kept
from ..scene.prepare import Surface
from ..scene.segments import read_mask
from ..scene.show import Extras, SceneNodes, apply_steps
from ..support.errors import InputError
from ..support.steps import staged
from .case_view import ATTR_LIVER_VOLUME, read_case
from .derived import follow, measure_liver
from .kept import drawn_tags, split_by_score, write_candidates

ROUNDED_ML = 0.0051
"""Half a step of the table's volumes."""


def result_steps(
    scene: slicer.vtkMRMLScene,
    volume: slicer.vtkMRMLScalarVolumeNode,
    folder: Path,
    threshold: float,
) -> Iterator[Any]:
    """Read a result and show it; yields a text before each step, and last the :class:`SceneNodes`.

    Args:
        threshold: lesions of a lower score are kept aside for the threshold slider.

    Raises:
        LiverLesionAIError: the volume went away or was changed meanwhile.
    """
    from ..case.store import load_steps

    result = yield from staged("read the result", load_steps(folder))
    if not scene.IsNodePresent(volume):
        raise InputError("The CT was deleted; its result was not shown.")
    yield from show_steps(scene, volume, result, threshold, load_surfaces(folder))


def show_steps(
    scene: slicer.vtkMRMLScene,
    volume: slicer.vtkMRMLScalarVolumeNode,
    result: CaseResult,
    threshold: float,
    surfaces: Mapping[int, Surface] | None = None,
) -> Iterator[Any]:
    """:func:`result_steps` of a result that was read already.

    Args:
        surfaces: lesion's number in the result, 0 for the liver -> its closed surface, where there is one.
    """
    masks = yield from staged("read the result", lesion_mask_steps(result))
    split = split_by_score(result, threshold, masks)
    shown, candidates = split.shown, split.candidates
    yield "show the result"
    tags = yield from staged("show the result", drawn_tags(split))
    by_number = {split.numbers.get(n, -1) if n else 0: surface for n, surface in (surfaces or {}).items()}
    extras = Extras(split.masks, tags, by_number)
    made: SceneNodes = yield from staged("show the result", apply_steps(scene, shown, volume, extras=extras))
    made.table.SetAttribute(ATTR_LIVER_VOLUME, f"{result.liver_volume_ml:.3f}")
    write_candidates(made.table, candidates, result.geometry)
    if made.segment_ids.get(0) in made.kept_segment_ids:
        # The liver is the reader's: what was measured against the analysis' own is measured against this one.
        yield "show the result"
        liver = read_mask(made.segmentation, made.segment_ids[0], result.geometry)
        measure_liver(read_case(scene, volume), liver)
    if made.kept_segment_ids:
        yield "show the result"
        cut = _cut(scene, volume, made, result)
        if cut:
            case = read_case(scene, volume)
            follow(scene, case, cut, read_mask(case.segmentation, case.liver_segment, result.geometry))
    if candidates and not shown.lesions:
        made = replace(made, notes=(*made.notes, fainter_kept([one.lesion.score for one in candidates])))
    yield made


def _cut(
    scene: slicer.vtkMRMLScene,
    volume: slicer.vtkMRMLScalarVolumeNode,
    made: SceneNodes,
    result: CaseResult,
) -> list[str]:
    """New lesions that gave voxels to a kept one: they are not what the analysis measured any more."""
    found = []
    for row in read_case(scene, volume).rows:
        if row.box_only or row.measurement is None or row.segment_id in made.kept_segment_ids:
            continue
        count = read_mask(made.segmentation, row.segment_id, result.geometry).count
        if abs(count * result.geometry.voxel_volume_mm3 / 1000 - row.measurement.volume_ml) > ROUNDED_ML:
            found.append(row.segment_id)
    return found
