"""Intervals and paired tests against scipy, loops and known coverage."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILab.metrics import bootstrap as bs
from LiverLesionAILib.support.errors import InputError
from scipy import stats


def test_mean_interval_agrees_with_scipy_when_each_case_is_a_patient():
    values = np.random.default_rng(0).gamma(2.0, size=40)
    ours = bs.mean_interval(values, [str(i) for i in range(40)], seed=1, n_draws=20000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20000, method="percentile", rng=2)
    assert ours.value == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.02)
    assert (ours.n_patients, ours.n_cases) == (40, 40)


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_the_fast_mean_is_the_general_bootstrap(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 12))
    values = rng.random(n)
    values[rng.random(n) < 0.2] = np.nan
    patients = [f"p{k}" for k in rng.integers(0, 5, n)]
    fast = bs.mean_interval(values, patients, seed=seed, n_draws=200)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        assert math.isnan(fast.value)
        return
    slow = bs.bootstrap(
        lambda rows: float(values[known][rows].mean()), [patients[k] for k in known], seed=seed, n_draws=200
    )
    assert (fast.value, fast.low, fast.high) == pytest.approx((slow.value, slow.low, slow.high), nan_ok=True)
    assert fast.n_cases == len(known)


def test_cases_of_a_patient_stay_together():
    patients = ["A", "A", "B", "C"]
    drawn = []

    def look(rows):
        drawn.append(rows.tolist())
        return float(len(rows))

    bs.bootstrap(look, patients, seed=0, n_draws=200)
    for rows in drawn:
        assert rows.count(0) == rows.count(1)
    assert any(rows.count(0) == 3 for rows in drawn)
    # Twenty copies of one patient are no evidence: the interval stays as wide as with one.
    values = [0.2] * 20 + [0.8]
    interval = bs.mean_interval(values, ["A"] * 20 + ["B"], seed=0)
    assert (interval.low, interval.high) == pytest.approx((0.2, 0.8))


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        interval = bs.mean_interval(
            rng.normal(1.0, 1.0, 30), [str(i) for i in range(30)], seed=3, n_draws=400
        )
        covered += interval.low <= 1.0 <= interval.high
    assert 0.88 <= covered / 200 <= 0.98


def test_ratio_interval():
    interval = bs.ratio_interval([1, 3, 0], [2, 4, 0], ["A", "B", "C"], seed=0)
    assert interval.value == pytest.approx(4 / 6)
    assert interval.low == pytest.approx(0.5)
    assert interval.high == pytest.approx(0.75)
    nothing = bs.ratio_interval([0, 0], [0, 0], ["A", "B"], seed=0)
    assert math.isnan(nothing.value)
    assert math.isnan(nothing.low)


def test_one_patient_has_no_interval():
    interval = bs.mean_interval([0.5, 0.7], ["A", "A"], seed=0)
    assert interval.value == pytest.approx(0.6)
    assert math.isnan(interval.low)
    with pytest.raises(InputError, match="No case"):
        bs.bootstrap(lambda rows: 0.0, [], seed=0)
    with pytest.raises(InputError, match="1 values but 2 patients"):
        bs.mean_interval([1.0], ["A", "B"], seed=0)


def test_seed_decides():
    values, patients = np.arange(9.0), list("ABCDEFGHI")
    assert bs.mean_interval(values, patients, seed=1) == bs.mean_interval(values, patients, seed=1)
    assert bs.mean_interval(values, patients, seed=1) != bs.mean_interval(values, patients, seed=2)


@given(st.lists(st.floats(-1, 1, width=16), min_size=1, max_size=8), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_paired_p_value_agrees_with_all_sign_changes(delta, n_same):
    """Patients: the first n_same cases are one."""
    names = [f"c{i}" for i in range(len(delta))]
    patients = {n: "A" if i < n_same else n for i, n in enumerate(names)}
    a = dict.fromkeys(names, 0.0)
    b = dict(zip(names, delta, strict=True))
    result = bs.compare_paired(a, b, patients, seed=0, n_draws=200)
    groups = sorted(set(patients.values()))
    observed = abs(sum(delta))
    extreme = 0
    for signs in product((-1, 1), repeat=len(groups)):
        flipped = sum(signs[groups.index(patients[n])] * b[n] for n in names)
        extreme += abs(flipped) >= observed - 1e-12
    assert result.exact
    assert result.p_value == pytest.approx(extreme / 2 ** len(groups))
    assert (result.wins, result.losses) == (sum(d > 0 for d in delta), sum(d < 0 for d in delta))
    assert result.difference.value == pytest.approx(np.mean(delta))


def test_paired_p_value_agrees_with_scipys_permutation_test():
    rng = np.random.default_rng(2)
    first = rng.normal(0.6, 0.1, 12)
    second = first + rng.normal(0.03, 0.05, 12)
    names = [str(i) for i in range(12)]
    ours = bs.compare_paired(
        dict(zip(names, first, strict=True)),
        dict(zip(names, second, strict=True)),
        {n: n for n in names},
        seed=0,
    )
    theirs = stats.permutation_test(
        (second, first), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert ours.p_value == pytest.approx(theirs.pvalue)


def test_random_sign_changes_come_near_the_exact_value():
    rng = np.random.default_rng(3)
    delta = rng.normal(0.02, 0.05, 30)
    names = [str(i) for i in range(30)]
    result = bs.compare_paired(
        dict.fromkeys(names, 0.0), dict(zip(names, delta, strict=True)), {n: n for n in names}, seed=0
    )
    assert not result.exact
    assert result.p_value == pytest.approx(stats.ttest_1samp(delta, 0).pvalue, abs=0.03)


def test_different_cases_are_refused_and_undefined_ones_left_out():
    with pytest.raises(InputError, match="only one has: c2"):
        bs.compare_paired({"c1": 1.0}, {"c1": 1.0, "c2": 1.0}, {"c1": "A", "c2": "B"}, seed=0)
    a, b = {"c1": 1.0, "c2": math.nan}, {"c1": 0.5, "c2": 1.0}
    result = bs.compare_paired(a, b, {"c1": "A", "c2": "B"}, seed=0)
    assert (result.losses, result.difference.n_cases, result.difference.value) == (1, 1, -0.5)
    with pytest.raises(InputError, match="No case"):
        bs.compare_paired({"c": math.nan}, {"c": 1.0}, {"c": "A"}, seed=0)


def test_lesions_of_a_single_patient_have_no_interval():
    interval = bs.ratio_interval([0, 2, 1, 0], [0, 3, 1, 0], ["A", "B", "B", "C"], seed=0)
    assert interval.value == pytest.approx(0.75)
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
