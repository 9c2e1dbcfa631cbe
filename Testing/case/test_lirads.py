"""LI-RADS v2018: every cell of its table, and every reason to give no category."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.lirads import AtRisk, Consider, LiRads, Observation, lirads, threshold_growth
from LiverLesionAILib.case.lirads_answers import Answers, CaseAnswers

PATIENT = AtRisk(at_risk=True, age_years=61, vascular_or_congenital=False)
PHASES = (Phase.ARTERIAL, Phase.PORTAL, Phase.DELAYED)
SEEN = Observation(15.0, True, False, False, None, False, False, True)


def of(seen: Observation = SEEN, patient: AtRisk = PATIENT, phases: tuple[Phase, ...] = PHASES) -> LiRads:
    return lirads(patient, phases, seen)


# Rows: which of washout, capsule, growth are there. Columns: no enhancement below and from 20 mm, enhancement
# below 10, from 10 to below 20, from 20 mm.
TABLE = {
    (): "33334",
    ("washout",): "34455",
    ("capsule",): "34445",
    ("growth",): "34455",
    ("washout", "capsule"): "44455",
    ("washout", "growth"): "44455",
    ("capsule", "growth"): "44455",
    ("washout", "capsule", "growth"): "44455",
}
COLUMNS = (
    (False, (3.0, 9.9, 10.0, 19.9)),
    (False, (20.0, 80.0)),
    (True, (3.0, 9.9)),
    (True, (10.0, 19.9)),
    (True, (20.0, 80.0)),
)


@pytest.mark.parametrize(
    ("features", "column", "size_mm"),
    [(f, c, s) for f, c in product(TABLE, range(5)) for s in COLUMNS[c][1]],
)
def test_every_cell_of_the_table(features: tuple[str, ...], column: int, size_mm: float) -> None:
    there = {name: name in features for name in ("washout", "capsule", "growth")}
    seen = replace(SEEN, size_mm=size_mm, arterial_enhancement=COLUMNS[column][0], **there)
    found = of(seen)
    assert found.category is not None and found.category.value == f"LR-{TABLE[features][column]}"
    assert len(found.steps) == 13 and not any(step.ends for step in found.steps)


@pytest.mark.parametrize(
    ("patient", "ends_at"),
    [
        (replace(PATIENT, at_risk=None), "at risk"),
        (replace(PATIENT, at_risk=False), "at risk"),
        (replace(PATIENT, age_years=17.9), "18 years"),
        (replace(PATIENT, age_years=None), "18 years"),
        (replace(PATIENT, vascular_or_congenital=True), "vascular or congenital"),
        (replace(PATIENT, vascular_or_congenital=None), "vascular or congenital"),
    ],
)
def test_patients_that_get_no_category(patient: AtRisk, ends_at: str) -> None:
    found = of(patient=patient)
    assert found.category is None and found.consider is Consider.NOTHING
    assert found.steps[-1].ends and ends_at in found.steps[-1].question


@pytest.mark.parametrize("missing", PHASES)
def test_all_three_phases_have_to_be_there(missing: Phase) -> None:
    found = of(phases=tuple(p for p in (*PHASES, Phase.UNENHANCED) if p is not missing))
    assert found.category is None
    assert found.steps[-1].answer == f"missing: {missing.title}"


def test_a_phase_that_was_measured_but_not_confirmed_is_not_called_missing() -> None:
    """The reader of a portal venous CT does not have to look for the portal venous phase."""
    found = lirads(PATIENT, (), SEEN, unconfirmed=(Phase.PORTAL, Phase.UNENHANCED))
    assert found.category is None and found.steps[-1].ends
    assert found.steps[-1].answer == "missing: arterial, delayed; there, but not confirmed: portal venous"
    assert lirads(PATIENT, PHASES, SEEN, unconfirmed=PHASES) == of()


@pytest.mark.parametrize(
    ("change", "ends_at", "consider"),
    [
        ({"treated": True}, "treated", Consider.NOTHING),
        ({"benign_excluded": None}, "benign", Consider.NOTHING),
        ({"benign_excluded": False}, "benign", Consider.NOTHING),
        ({"tumour_in_vein": True}, "vein", Consider.LR_TIV),
        ({"tumour_in_vein": None}, "vein", Consider.NOTHING),
        ({"targetoid": True}, "targetoid", Consider.LR_M),
        ({"targetoid": None}, "targetoid", Consider.NOTHING),
        ({"tumour_in_vein": True, "targetoid": True}, "vein", Consider.LR_TIV),
        ({"arterial_enhancement": None}, "Arterial", Consider.NOTHING),
        ({"size_mm": float("nan")}, "Size", Consider.NOTHING),
    ],
)
def test_lesions_that_get_no_category(change: dict, ends_at: str, consider: Consider) -> None:
    found = of(replace(SEEN, **change))
    assert found.category is None and found.consider is consider
    assert found.steps[-1].ends and ends_at in found.steps[-1].question


def test_what_is_not_known_is_not_counted() -> None:
    unknown = replace(SEEN, washout=None, capsule=None, growth=None)
    assert of(unknown).category is of(replace(SEEN, growth=False)).category


FEATURE = st.sampled_from(["washout", "capsule", "growth"])


@given(st.floats(0.5, 200), st.booleans(), st.booleans(), st.booleans(), st.booleans(), FEATURE)
def test_one_feature_more_never_lowers_the_category(
    size_mm: float, enhances: bool, washout: bool, capsule: bool, growth: bool, more: str
) -> None:
    seen = Observation(size_mm, enhances, washout, capsule, growth, False, False, True)
    assert of(replace(seen, **{more: True})).category.value >= of(seen).category.value  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("before_mm", "now_mm", "months", "grown"),
    [
        (10, 15, 6, True),
        (10, 14.9, 6, False),
        (12.4, 18.6, 3, True),
        (10, 30, 6.1, None),
        (10, 30, 0, None),
        (10, 30, -2, None),
        (20, 10, 3, False),
    ],
)
def test_threshold_growth(before_mm: float, now_mm: float, months: float, grown: bool | None) -> None:
    assert threshold_growth(before_mm, now_mm, months) is grown


def test_growth_from_nothing_is_no_size() -> None:
    with pytest.raises(ValueError, match="above 0 mm"):
        threshold_growth(0.0, 12.0, 3.0)


def test_what_the_reader_says_comes_back_as_it_was_kept_and_damage_is_nothing() -> None:
    said = CaseAnswers(
        AtRisk(True, 61.0, False), {"1.2": Answers(benign_excluded=True, washout=False, confirmed=True)}
    )
    assert CaseAnswers.from_text(said.text) == said
    for text in (None, "", "{", "[]", '{"patient": 3}', '{"lesions": {"1": 4}}'):
        assert CaseAnswers.from_text(text) == CaseAnswers()
    odd = '{"patient": {"at_risk": "yes", "age_years": true, "more": 1}, "lesions": {"1": {"washout": 1}}}'
    assert CaseAnswers.from_text(odd) == CaseAnswers(AtRisk(), {"1": Answers()})
