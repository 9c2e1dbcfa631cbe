"""`liverlesionai lirads` on a stored case: steps, category, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.enhancement import Enhancement, PhaseLevels
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.cli.main import main
from support.results import measured_result

READ = [
    "--at-risk", "yes", "--age", "60", "--vascular-or-congenital", "no", "--benign-excluded", "yes",
    "--phases", "arterial,portal,delayed", "--tumour-in-vein", "no", "--targetoid", "no", "--aphe", "yes",
]  # fmt: skip


@pytest.fixture
def result() -> CaseResult:
    return measured_result()


def said(folder: Path, capsys, *options: str, status: int = 0) -> str:
    assert main(["lirads", str(folder), *options]) == status
    printed = capsys.readouterr()
    return printed.out + printed.err


def test_steps_and_category(result: CaseResult, tmp_path: Path, capsys) -> None:
    lesion = result.lesions[0]
    save_result(result, tmp_path / "case")
    size_mm = lesion.measurement.long_axis_mm
    text = said(tmp_path / "case", capsys, "--lesion", str(lesion.number), *READ, "--washout", "yes")
    assert f"Size {size_mm:.1f} mm" in text
    assert ("LR-5" if size_mm >= 10 else "LR-4") in text
    half = ["--prior-mm", f"{size_mm / 2:.2f}", "--prior-months", "5"]
    text = said(tmp_path / "case", capsys, "--lesion", str(lesion.number), *READ, *half)
    assert "Threshold growth? yes" in text
    assert "Threshold growth? not said" in said(
        tmp_path / "case", capsys, "--lesion", str(lesion.number), *READ, *half[:3], "8"
    )


def test_nothing_said_is_no_category(result: CaseResult, tmp_path: Path, capsys) -> None:
    save_result(result, tmp_path / "case")
    text = said(tmp_path / "case", capsys, "--lesion", str(result.lesions[0].number))
    assert "No category: the last question is not answered yet." in text
    assert "at risk? not said" in text and " 2." not in text
    text = said(
        tmp_path / "case", capsys, "--lesion", str(result.lesions[0].number), *READ, "--targetoid", "yes"
    )
    assert "consider LR-M" in text and "Category:" not in text
    assert "the last answer does not allow one." in text


def test_what_was_measured_counts_only_when_the_reader_confirms_it(
    result: CaseResult, tmp_path: Path, capsys
) -> None:
    phases = tuple(PhaseLevels(p, 90.0, 100.0) for p in (Phase.ARTERIAL, Phase.PORTAL, Phase.DELAYED))
    measured = Enhancement(phases, aphe=True, rim=False, washout=True, capsule=True)
    lesions = (replace(result.lesions[0], enhancement=measured), *result.lesions[1:])
    save_result(replace(result, lesions=lesions), tmp_path / "case")
    number = ("--lesion", str(lesions[0].number))
    patient = READ[:8]
    eyes = ("--tumour-in-vein", "no", "--targetoid", "no")
    text = said(tmp_path / "case", capsys, *number, *patient, *eyes)
    assert (
        "Measured (arterial, portal venous, delayed), not counted: APHE yes, washout yes, capsule yes" in text
    )
    assert "No category" in text and "there, but not confirmed: arterial, portal venous, delayed" in text
    text = said(tmp_path / "case", capsys, *number, *patient, *eyes, "--confirm-measured")
    assert "Category: LR-" in text and "Washout, not at the edge alone? yes" in text
    text = said(tmp_path / "case", capsys, *number, *patient, *eyes, "--confirm-measured", "--washout", "no")
    assert "Washout, not at the edge alone? no" in text


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(LesionStatus.NOT_LIVER, "marked as not liver"), (LesionStatus.REJECTED, "marked as rejected")],
)
def test_what_is_no_lesion_has_no_category(
    result: CaseResult, tmp_path: Path, capsys, status: LesionStatus, sentence: str
) -> None:
    first = replace(result.lesions[0], status=status)
    save_result(replace(result, lesions=(first, *result.lesions[1:])), tmp_path / "case")
    assert sentence in said(tmp_path / "case", capsys, "--lesion", str(first.number), *READ, status=1)


def test_a_treated_lesion_has_none_by_its_state(result: CaseResult, tmp_path: Path, capsys) -> None:
    first = replace(result.lesions[0], status=LesionStatus.TREATED)
    save_result(replace(result, lesions=(first, *result.lesions[1:])), tmp_path / "case")
    text = said(tmp_path / "case", capsys, "--lesion", str(first.number), *READ)
    assert "treated? yes" in text and "No category" in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--lesion", "77"], "has no lesion 77"),
        (["--lesion", "1", "--phases", "venous"], "no phase 'venous'"),
        (["--lesion", "1", "--prior-mm", "8"], "both --prior-mm and --prior-months"),
        (["--lesion", "1", "--prior-mm", "0", "--prior-months", "3"], "above 0"),
    ],
)
def test_wrong_options_are_told(
    result: CaseResult, tmp_path: Path, capsys, options: list[str], sentence: str
) -> None:
    save_result(result, tmp_path / "case")
    assert sentence in said(tmp_path / "case", capsys, *options, status=1)
