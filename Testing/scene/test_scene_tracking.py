"""Tracking UIDs in the scene: kept through the reader's actions and a second run, new for new lesions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.case_factory import small_case

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from LiverLesionAILib.case.findings import LesionSource
from LiverLesionAILib.case.tracking import with_tracking
from LiverLesionAILib.review.case_view import read_case
from LiverLesionAILib.review.reader_actions import ReaderActions
from LiverLesionAILib.review.reader_result import reader_result
from LiverLesionAILib.scene.offline import add_ct, new_scene
from LiverLesionAILib.scene.ras import labelmap
from LiverLesionAILib.scene.show import apply_result, read_back
from LiverLesionAILib.volume.crops import Mask
from LiverLesionAILib.volume.ct import Geometry


@pytest.fixture
def case():
    """Scene, CT, result (three lesions, the last with a box alone), the reader's actions on it."""
    volume, result = small_case(Geometry.make((20, 40, 48), (3.0, 1.5, 1.0)), lesions=4)
    *rest, last = result.lesions
    labels = result.lesion_labels_zyx.copy()
    labels[labels == last.number] = 0
    boxed = replace(last, measurement=None, source=LesionSource.BOX)
    result = with_tracking(replace(result, lesions=(*rest, boxed), lesion_labels_zyx=labels))
    scene = new_scene()
    ct = add_ct(scene, volume)
    apply_result(scene, result, ct)
    actions = ReaderActions(scene)
    actions.use(read_case(scene, ct))
    return scene, ct, result, actions


def uids(scene, ct) -> dict[int, str]:
    return {lesion.number: lesion.tracking_uid for lesion in reader_result(scene, ct).lesions}


def test_the_scene_and_its_report_have_those_of_the_result(case):
    scene, ct, result, _ = case
    assert uids(scene, ct) == {lesion.number: lesion.tracking_uid for lesion in result.lesions}


def test_a_second_run_with_other_masks_keeps_them(case):
    scene, ct, result, _ = case
    before = uids(scene, ct)
    labels = result.lesion_labels_zyx
    grown = labels.copy()
    grown[1:][(grown[1:] == 0) & (labels[:-1] > 0)] = labels[:-1][(grown[1:] == 0) & (labels[:-1] > 0)]
    fresh = tuple(replace(x, tracking_uid="") for x in result.lesions if x.measurement is not None)
    again = with_tracking(replace(result, lesion_labels_zyx=grown, lesions=fresh))
    assert not {x.tracking_uid for x in again.lesions} & set(before.values()), (
        "by its masks it would be another"
    )
    apply_result(scene, again, ct)
    after = uids(scene, ct)
    assert {number: before[number] for number in after} == after


def test_what_the_reader_makes_has_one_of_its_own_and_the_rest_keep_theirs(case):
    scene, ct, _, actions = case
    before = uids(scene, ct)
    voxels = np.ones((2, 3, 3), bool)
    actions.add(Mask(voxels, (1, 1, 1)))
    boxed = max(before)
    actions.use(read_case(scene, ct))
    actions.outline(f"box:{boxed}", Mask(voxels, (15, 30, 30)))
    after = uids(scene, ct)
    (new,) = set(after) - set(before)
    assert after[new].startswith("2.25.") and after[new] not in before.values()
    assert {number: after[number] for number in before} == before, "an outline is of the same lesion"
    actions.undo()
    assert uids(scene, ct) == after


def test_parts_of_a_lesion_that_is_split(case):
    scene, ct, result, actions = case
    before = uids(scene, ct)
    segmentation = actions._case.segmentation
    mask = next(x.mask for x in read_back(segmentation, ct).lesions if x.number == 1)
    two = mask.voxels_zyx.copy()
    two[two.shape[0] // 2] = False
    stroke = actions.state("lesion_1")
    drawn = segmentation.GetSegmentation().GetSegment("lesion_1")
    segmentation.GetSegmentation().SeparateSegmentLabelmap("lesion_1")
    drawn.SetLabelValue(1)
    drawn.AddRepresentation("Binary labelmap", labelmap(two, mask.start_zyx, result.geometry))
    assert actions.edited("lesion_1", stroke)
    actions.use(read_case(scene, ct))
    actions.split("lesion_1")
    after = uids(scene, ct)
    assert after[1] == before[1], "the largest part stays who it was"
    made = set(after) - set(before)
    assert made and all(after[number] not in before.values() for number in made)
