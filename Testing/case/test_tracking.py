"""A lesion's tracking UID: given once, the same in a second run, kept where the lesion stays."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.case.tracking import with_tracking, with_tracking_of
from LiverLesionAILib.writing.case_folder import write_case_folder
from support.case_factory import small_case
from support.results import results

UID = re.compile(r"2\.25\.[1-9][0-9]{0,38}")


def uids(result: CaseResult) -> list[str]:
    return [lesion.tracking_uid for lesion in result.lesions]


def grown(result: CaseResult) -> CaseResult:
    """The same lesions a little larger, as another threshold would give them; without UIDs."""
    labels = result.lesion_labels_zyx.copy()
    labels[1:][(labels[1:] == 0) & (labels[:-1] > 0)] = labels[:-1][(labels[1:] == 0) & (labels[:-1] > 0)]
    lesions = tuple(replace(lesion, tracking_uid="") for lesion in result.lesions)
    return replace(result, lesion_labels_zyx=labels, lesions=lesions)


@settings(max_examples=30, deadline=None)
@given(results())
def test_every_lesion_gets_one_and_keeps_it(result):
    once = with_tracking(result)
    assert all(UID.fullmatch(uid) for uid in uids(once))
    assert uids(with_tracking(once)) == uids(once) == uids(with_tracking(result))
    for before, after in zip(result.lesions, once.lesions, strict=True):
        assert before.tracking_uid in ("", after.tracking_uid)


def test_it_tells_lesions_and_cts_apart():
    _, result = small_case(lesions=3)
    _, noise = small_case(lesions=3, seed=2)
    one, other = uids(with_tracking(result)), uids(with_tracking(noise))
    assert len({*one, *other}) == len(one) + len(other) == 2 * len(result.lesions), (
        "the same masks on another CT are other lesions"
    )


def test_a_second_run_hands_it_to_the_lesion_that_lies_there():
    _, result = small_case(lesions=3)
    first = with_tracking(result)
    second = with_tracking_of(with_tracking(grown(result)), first)
    assert uids(second) == uids(first)
    assert uids(with_tracking(grown(result))) != uids(first)


def test_one_lesion_in_place_of_two_takes_that_of_the_larger():
    _, result = small_case(lesions=2)
    first = with_tracking(result)
    everything = np.where(result.lesion_labels_zyx > 0, 1, 0).astype(np.uint16)
    joined = replace(result, lesion_labels_zyx=everything, lesions=result.lesions[:1])
    assert uids(with_tracking_of(with_tracking(joined), first)) == uids(first)[:1]


def test_the_store_and_a_second_run_into_the_same_folder_keep_it(tmp_path):
    volume, result = small_case(lesions=3)
    first = with_tracking(result)
    save_result(first, tmp_path / "saved")
    assert uids(load_result(tmp_path / "saved")) == uids(first)
    write_case_folder(first, volume, tmp_path / "case", pictures=False)
    write_case_folder(with_tracking(grown(result)), volume, tmp_path / "case", pictures=False)
    assert uids(load_result(tmp_path / "case")) == uids(first)
