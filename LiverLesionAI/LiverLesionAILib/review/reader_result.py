"""What a scene holds for one CT as a result again: the reader's masks, classes and marks, for the reports."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import numpy as np
import slicer
from numpy.typing import NDArray

from .. import __version__
from ..case import terminology as terms
from ..case.attributes import ATTR_DEVICE, read_models, read_notes, read_phase, read_threshold
from ..case.findings import CaseResult, Lesion, LesionStatus, as_kept
from ..case.tracking import mask_uid
from ..case.wording import fainter_kept, nothing_reached
from ..scene import nodes
from ..scene.anatomy_nodes import AnatomyNodes, read_anatomy
from ..scene.boxed import read_boxed
from ..scene.prepare import find_nodes
from ..scene.read import DrawnLesion, ReaderCase, read_back
from ..stages.measure.lesions import box_of, measure_liver, measure_mask
from ..support.errors import InputError
from ..volume.geometry import triple
from ..volume.masks import bounding_box
from .kept import places_to_look_at, read_faint


def reader_result(scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode) -> CaseResult:
    """The findings of a CT as the reader has left them, measured anew on the masks that are shown.

    Rejected lesions, and those that are not liver, are left out and named in a message. Overlapping lesions
    are each measured whole. What the analysis said of the case, its models with their checksums and its
    device are those of the run, vessels and Couinaud segments those of the scene. Probabilities, maps and
    timings are not in it.

    Raises:
        InputError: the CT was not analysed.
        GeometryError: CT and segmentation are under different transforms.
    """
    found = find_nodes(scene, volume)
    segmentation = (found.get(nodes.ROLE_SEGMENTATION) or [None])[0]
    table = (found.get(nodes.ROLE_TABLE) or [None])[0]
    if segmentation is None:
        raise InputError(f"{volume.GetName()} has no findings yet. Click Analyze first.")
    case = read_back(segmentation, volume)
    hu_zyx = slicer.util.arrayFromVolume(volume)
    left_out = [(le.number, le.name, le.status) for le in case.lesions if not le.status.counts]
    rejected = {number for number, _, _ in left_out}
    labels = _without(case, rejected)
    liver_volume_ml = float(np.count_nonzero(case.liver_zyx)) * case.geometry.voxel_volume_mm3 / 1000.0
    lesions = [
        _lesion(lesion, hu_zyx, case, liver_volume_ml)
        for lesion in case.lesions
        if lesion.number not in rejected
    ]
    for one in read_boxed(table).values():
        if one.below:
            continue
        if not one.lesion.status.counts:
            left_out.append((one.lesion.number, terms.lesion_title(one.lesion), one.lesion.status))
        else:
            lesions.append(one.lesion)
    get = table.GetAttribute if table is not None else _no_attribute
    faint = [one.score for one in read_faint(table)]
    anatomy = AnatomyNodes.of(found)
    whole = measure_liver(labels, case.liver_zyx, hu_zyx, case.geometry)
    return CaseResult(
        case_name=volume.GetName(),
        geometry=case.geometry,
        liver_zyx=case.liver_zyx,
        lesion_labels_zyx=labels,
        gallbladder_zyx=case.gallbladder_zyx,
        lesions=tuple(sorted(lesions, key=lambda lesion: lesion.number)),
        liver_volume_ml=whole.volume_ml,
        liver_hu_mean=whole.hu_mean,
        tumour_burden_percent=whole.tumour_burden_percent,
        messages=(*_left_out(left_out), *_said_by_run(get, faint, empty=not lesions and not left_out)),
        models=read_models(get),
        device=get(ATTR_DEVICE) or "",
        version=__version__,
        phase=read_phase(get),
        doubtful=places_to_look_at(table, [lesion.box for lesion in lesions]),
        anatomy=None if anatomy is None else read_anatomy(anatomy, case.geometry),
    )


def _no_attribute(name: str) -> None:
    """Of a case without a table."""


def _said_by_run(get: Callable[[str], str | None], faint: Sequence[float], *, empty: bool) -> tuple[str, ...]:
    """The messages of the run; an empty case that it said nothing of is explained.

    Args:
        faint: scores of the lesions below the reader's threshold.
    """
    said, threshold = read_notes(get), read_threshold(get)
    if empty and faint:
        return (*said, fainter_kept(faint))
    return (nothing_reached(threshold),) if empty and not said and threshold is not None else said


def _left_out(lesions: list[tuple[int, str, LesionStatus]]) -> tuple[str, ...]:
    """What the reader has decided to leave out, in sentences: (number, name, decision) of each."""
    sentences = []
    for status, text in (
        (LesionStatus.REJECTED, "Rejected by the reader and left out"),
        (LesionStatus.NOT_LIVER, "Not liver, as the reader says, and taken out of it"),
    ):
        names = ", ".join(name for _, name, decided in sorted(lesions) if decided is status)
        if names:
            sentences.append(f"{text}: {names}.")
    return tuple(sentences)


def _without(case: ReaderCase, numbers: set[int]) -> NDArray[np.uint16]:
    """The label map without these lesions; where one hid a part of another, that part comes back."""
    labels = np.zeros_like(case.lesion_labels_zyx)
    for lesion in sorted(case.lesions, key=lambda lesion: -lesion.mask.count):
        if lesion.number not in numbers:
            labels[lesion.mask.slices][lesion.mask.voxels_zyx] = lesion.number
    return labels


def _lesion(drawn: DrawnLesion, hu_zyx: NDArray, case: ReaderCase, liver_volume_ml: float) -> Lesion:
    """The lesion with its place and measurements as it is drawn now."""
    geometry = case.geometry
    whole = np.zeros(geometry.shape_zyx, bool)
    whole[drawn.mask.slices] = drawn.mask.voxels_zyx
    box = bounding_box(whole)
    assert box is not None
    # What a reader has drawn is a lesion.
    score = 1.0 if math.isnan(drawn.score) else drawn.score
    centroid_zyx = np.argwhere(drawn.mask.voxels_zyx).mean(axis=0) + drawn.mask.start_zyx
    said = {field.name: getattr(drawn, field.name) for field in fields(Lesion)}
    return replace(
        Lesion(**said),
        score=score,
        centre_lps=triple(geometry.index_to_lps(centroid_zyx)),
        box=box_of(box, geometry, score),
        measurement=as_kept(
            measure_mask(whole, hu_zyx, geometry, case.liver_zyx, liver_volume_ml=liver_volume_ml)
        ),
        tracking_uid=drawn.tracking_uid or mask_uid(drawn.mask, geometry),
    )
