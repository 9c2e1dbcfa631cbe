"""Whether two runs over the same CTs found the same: what counts as a difference, and the exit status."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.compare.cases import (
    Tolerance,
    add_case_arguments,
    compare_cases,
    flat,
    run_compare_cases,
)
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.writing.tables import write_tables
from support.case_factory import small_case


@pytest.fixture(scope="module")
def result() -> CaseResult:
    return small_case(lesions=4)[1]


def written(result: CaseResult, folder: Path) -> Path:
    save_result(result, folder)
    write_tables(result, folder)
    return folder


def run(*arguments: object) -> tuple[int, str]:
    parser = argparse.ArgumentParser()
    add_case_arguments(parser)
    lines: list[str] = []
    status = run_compare_cases(parser.parse_args([str(a) for a in arguments]), say=lines.append)
    return status, "\n".join(lines)


def test_a_result_is_the_same_as_itself(result: CaseResult, tmp_path: Path) -> None:
    again = replace(result, device="another", timings_s={"segment": 3.0}, version="0.9")
    a, b = written(result, tmp_path / "a"), written(again, tmp_path / "b")
    status, text = run(a, b)
    assert status == 0
    assert "1 cases, 1 the same" in text
    assert text.count("lesion ") == len(result.lesions) == 3


def test_one_voxel_of_a_mask_is_a_difference(result: CaseResult, tmp_path: Path) -> None:
    labels = result.lesion_labels_zyx.copy()
    labels[tuple(np.argwhere(labels == 1)[0])] = 0
    a = written(result, tmp_path / "a")
    b = written(replace(result, lesion_labels_zyx=labels), tmp_path / "b")
    status, text = run(a, b)
    assert status == 1
    assert "mask of lesions: voxels -> 1" in text
    assert run(a, b, "--voxels", 1)[0] == 0
    agreement = compare_cases("case", a, b)
    assert [mask.differing for mask in agreement.masks] == [0, 1]
    assert agreement.masks[1].dice < 1


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"score": 0.5}, "lesion 1 score"),
        ({"reader_class": "Cyst"}, "lesion 1 class"),
        ({"centre_lps": (1.0, 2.0, 3.0)}, "findings.json lesions[0].centre_lps_mm[0]"),
    ],
)
def test_what_is_said_of_a_lesion_counts(
    result: CaseResult, tmp_path: Path, change: dict, where: str
) -> None:
    other = replace(result, lesions=(replace(result.lesions[0], **change), *result.lesions[1:]))
    agreement = compare_cases("case", written(result, tmp_path / "a"), written(other, tmp_path / "b"))
    assert where in [difference.where for difference in agreement.differences]


def test_a_value_of_a_map_counts(result: CaseResult, tmp_path: Path) -> None:
    tumour = result.probabilities["tumour"]
    values = tumour.values_zyx.copy()
    values[0, 0, 0] += 1
    other = replace(result, probabilities={"tumour": replace(tumour, values_zyx=values)})
    status, text = run(written(result, tmp_path / "a"), written(other, tmp_path / "b"))
    assert status == 1
    assert "probability of tumour: 1 voxels differ" in text


def test_lesions_are_matched_by_their_masks(result: CaseResult, tmp_path: Path) -> None:
    swap = np.array([0, 2, 1, 3], np.uint16)
    lesions = (
        replace(result.lesions[1], number=1),
        replace(result.lesions[0], number=2),
        result.lesions[2],
    )
    other = replace(result, lesion_labels_zyx=swap[result.lesion_labels_zyx], lesions=lesions)
    agreement = compare_cases("case", written(result, tmp_path / "a"), written(other, tmp_path / "b"))
    wheres = [d.where for d in agreement.differences]
    assert {"lesion 1 number", "lesion 2 number"} <= set(wheres)
    assert "lesion 1 score" not in wheres
    fewer = replace(result, lesions=result.lesions[:2])
    agreement = compare_cases("case", written(result, tmp_path / "c"), written(fewer, tmp_path / "d"))
    assert any(d.where == "lesion" and d.b is None for d in agreement.differences)


def test_sets_of_cases(result: CaseResult, tmp_path: Path) -> None:
    for run_name in ("a", "b"):
        written(result, tmp_path / run_name / "one")
    written(result, tmp_path / "a" / "two")
    with pytest.raises(InputError, match="two"):
        run(tmp_path / "a", tmp_path / "b")
    assert run(tmp_path / "a", tmp_path / "b", "--common")[0] == 0
    with pytest.raises(InputError, match="no case folder in common"):
        run(tmp_path / "a", tmp_path / "b" / "one")


def test_numbers_and_tolerance() -> None:
    said = {"lesions": [{"score": 0.5, "class": None}], "computation": {"seconds": {"a": 1.0}}}
    assert flat(said) == {"lesions[0].score": 0.5, "lesions[0].class": None}
    assert not Tolerance().same(1.0, 1.0000001)
    assert Tolerance(number=1e-3).same(100.0, 100.05)
    assert Tolerance().same(float("nan"), float("nan"))
    assert not Tolerance().same(None, 0.0)
