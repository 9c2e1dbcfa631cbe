"""The anatomy of an analysed case: computed when asked for, and again where a landmark was moved."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..case.anatomy import Landmark, LesionAnatomy, LiverAnatomy, SegmentShare
from ..case.classes import Phase
from ..case.findings import CaseResult
from ..models.weights import ModelStore
from ..stages.anatomy.doubt import some_voxels, with_possible
from ..stages.anatomy.face import VesselFinder
from ..stages.anatomy.relations import lesion_relations, lesion_shares
from ..stages.anatomy.stage import UNFILLED, AnatomySettings, find_anatomy, with_segments
from ..stages.anatomy.tree_view import TreeNamer
from ..stages.anatomy.tube_names import tube_table
from ..support.errors import InputError, ModelError
from ..support.message import Message
from ..support.progress import Progress, silent
from ..volume.ct import CtVolume
from ..volume.geometry import Vec3
from ..volume.masks import label_boxes
from .rules import Rules

NO_NETWORK = (
    "The vessel network could not be used (its weights are missing or damaged, or PyTorch is): a filter "
    "alone shows fewer vessels. Distances may be too long; install the extension again."
)
"""Told beside vessels that the filter alone has found."""
NO_NAMER = (
    "The network that names vessels could not be used (its weights are missing or damaged): more of them are "
    "taken for the other tree. Install the extension again."
)
"""Told beside vessels that the signs along them alone have named, or without what is learnt of tubes."""

NOT_DELAYED = (
    "The scan counts as delayed, but its hepatic veins do not seem to be filled with contrast medium, as in "
    "an early phase: one of the two is wrong. Check the phase, and name it where you know it."
)
"""Two statements of one page that contradict each other are told as that."""
_UNFILLED = Message(UNFILLED)


def vessel_finder(store: ModelStore | None) -> VesselFinder | None:
    """The vessel network of a store; None where it has none, its weights are missing, or torch is.

    Never a reason to say nothing of the anatomy: the filter finds vessels as well, fewer of them. It runs on
    the processor, within seconds, wherever the other networks do.
    """
    finder: VesselFinder | None = _opened(store, "vessels")
    return finder


def anatomy_networks(store: ModelStore | None) -> tuple[VesselFinder | None, TreeNamer | None]:
    """:func:`vessel_finder`, and the network that names what it finds; None as there."""
    finder = vessel_finder(store)
    namer: TreeNamer | None = None if finder is None else _opened(store, "trees")
    return finder, namer


def _opened(store: ModelStore | None, task: str) -> Any:
    if store is None or not store.manifest.of_task(task):
        return None
    from ..models.device import DeviceError, choose_device
    from ..stages.faces import Runtime

    try:
        return Runtime(store, choose_device("cpu")).open(store.manifest.choose(task))
    except (DeviceError, ModelError):
        return None


def with_anatomy(
    result: CaseResult,
    volume: CtVolume,
    rules: Rules,
    progress: Progress = silent,
    finder: VesselFinder | None = None,
    namer: TreeNamer | None = None,
) -> CaseResult:
    """The case with its vessels, segments and each lesion's place among them.

    Args:
        volume: the CT that the case was made on.
        finder, namer: of :func:`anatomy_networks`; without the one a filter finds the vessels, fewer of them,
            without the other the signs along the tubes name them.

    Raises:
        Cancelled: from `progress`.
    """
    started = time.perf_counter()
    phase = None if result.phase is None else result.phase.phase
    anatomy = find_anatomy(
        volume.hu_zyx,
        volume.geometry,
        result.liver_zyx,
        result.lesion_labels_zyx > 0,
        phase,
        rules.part(AnatomySettings),
        result.gallbladder_zyx,
        finder,
        progress,
        namer,
    )
    if anatomy.vessels_zyx.any() and (finder is None or namer is None or tube_table() is None):
        told = NO_NETWORK if finder is None else NO_NAMER
        anatomy = replace(anatomy, messages=(*anatomy.messages, told))
    if phase is Phase.DELAYED and any(map(_UNFILLED.is_said_by, anatomy.messages)):
        anatomy = replace(anatomy, messages=(NOT_DELAYED, *anatomy.messages))
    progress("anatomy: lesions", 0.9)
    placed = with_places(result, anatomy, rules)
    seconds = {**result.timings_s, "anatomy": time.perf_counter() - started}
    return replace(placed, timings_s=seconds)


def with_moved_landmark(result: CaseResult, name: str, point_lps: Vec3, rules: Rules) -> CaseResult:
    """The case after the reader has put a landmark elsewhere: segments and lesions follow.

    Raises:
        InputError: the case has no such landmark.
    """
    anatomy = result.anatomy
    if anatomy is None or name not in anatomy.landmarks:
        raise InputError(f"This case has no landmark {name!r}: compute its anatomy first.")
    return with_landmarks(
        result, {**anatomy.landmarks, name: anatomy.landmarks[name].moved(point_lps)}, rules
    )


def with_landmarks(result: CaseResult, landmarks: Mapping[str, Landmark], rules: Rules) -> CaseResult:
    """The case with segments made of other landmarks; vessels and how near they are to lesions stay."""
    assert result.anatomy is not None
    moved = replace(result.anatomy, landmarks=landmarks)
    again = with_segments(moved, result.liver_zyx, rules.part(AnatomySettings))
    return with_shares(result, again, rules)


def with_places(result: CaseResult, anatomy: LiverAnatomy, rules: Rules) -> CaseResult:
    """The case with an anatomy, and each lesion's place in it; what the reader said of a lesion stays."""
    places = lesion_relations(anatomy, result.lesion_labels_zyx, rules.anatomy_touching_mm)
    return _placed(result, anatomy, places, rules)


def with_shares(result: CaseResult, anatomy: LiverAnatomy, rules: Rules) -> CaseResult:
    """:func:`with_places` where only planes have moved: how near the vessels are is as it was."""
    labels, places = result.lesion_labels_zyx, {}
    known = {lesion.number: lesion.anatomy or LesionAnatomy() for lesion in result.lesions}
    for number, box in label_boxes(labels).items():
        shares = lesion_shares(labels[box] == number, anatomy.segments_zyx[box])
        places[number] = LesionAnatomy(shares, known.get(number, LesionAnatomy()).contacts)
    return _placed(result, anatomy, places, rules)


def _placed(
    result: CaseResult, anatomy: LiverAnatomy, known: Mapping[int, LesionAnatomy], rules: Rules
) -> CaseResult:
    """Shares widened by what the planes' doubt leaves possible; what the reader said stays."""
    labels, places = result.lesion_labels_zyx, dict(known)
    if anatomy.has_segments and places:
        points = {}
        for number, box in label_boxes(labels).items():
            index = some_voxels(labels[box] == number) + [s.start for s in box]
            points[number] = anatomy.geometry.index_to_lps(index)
        shares: dict[int, tuple[SegmentShare, ...]] = {n: places[n].shares for n in points}
        for number, widened in with_possible(anatomy, points, shares, rules.anatomy_possible).items():
            places[number] = replace(places[number], shares=widened)
    lesions = []
    for lesion in result.lesions:
        place = places.get(lesion.number, LesionAnatomy())
        said = () if lesion.anatomy is None else lesion.anatomy.reader_segments
        lesions.append(replace(lesion, anatomy=replace(place, reader_segments=said)))
    return replace(result, anatomy=anatomy, lesions=tuple(lesions))
