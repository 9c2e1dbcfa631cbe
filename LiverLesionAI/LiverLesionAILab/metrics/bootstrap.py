"""Confidence intervals over patients, and the comparison of two methods on the same cases.

Cases of one patient are not independent: patients are drawn, and all cases of a drawn patient come along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import ArrayLike, NDArray
from scipy import stats

# All sign changes are tried up to this many patients, random ones beyond.
EXACT_PATIENTS = 14


@dataclass(frozen=True)
class Interval:
    """An estimate with its percentile bootstrap interval.

    Attributes:
        value: on all cases.
        low, high: limits at `confidence`; NaN with fewer than two patients.
        n_patients, n_cases: what it was computed over.
    """

    value: float
    low: float
    high: float
    n_patients: int
    n_cases: int
    confidence: float = 0.95


@dataclass(frozen=True)
class PairedComparison:
    """Method B against method A on the same cases.

    Attributes:
        a, b: each method's mean.
        difference: mean of b - a with its interval over patients.
        p_value: two-sided sign-flip permutation test over patients.
        wins, losses, ties: cases in which b is higher, lower, equal.
        exact: all sign changes were tried.
    """

    a: float
    b: float
    difference: Interval
    p_value: float
    wins: int
    losses: int
    ties: int
    exact: bool


def groups_of(patients: Sequence[str]) -> list[NDArray[np.int64]]:
    """Indices of each patient's cases, in order of first appearance."""
    members: dict[str, list[int]] = {}
    for i, patient in enumerate(patients):
        members.setdefault(patient, []).append(i)
    return [np.array(rows) for rows in members.values()]


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], float],
    patients: Sequence[str],
    *,
    seed: int,
    n_draws: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """The interval of any statistic of a set of cases, patients drawn with replacement.

    Args:
        statistic: called with the indices of the drawn cases (repeated where a patient was drawn twice).
            Draws for which it is NaN (a size group without a lesion) are left out.
        patients: the patient of every case.
        seed: of the draws.
        n_draws: number of draws.
        confidence: of the interval.

    Raises:
        InputError: no case.
    """
    if len(patients) == 0:
        raise InputError("No case to compute a confidence interval over.")
    groups = groups_of(patients)
    value = float(statistic(np.arange(len(patients))))
    low = high = float("nan")
    if len(groups) > 1:
        rng = np.random.default_rng(seed)
        draws = rng.integers(0, len(groups), (n_draws, len(groups)))
        values = np.array([statistic(np.concatenate([groups[g] for g in draw])) for draw in draws], float)
        values = values[~np.isnan(values)]
        if values.size:
            tail = 50.0 * (1.0 - confidence)
            low, high = (float(v) for v in np.percentile(values, [tail, 100.0 - tail]))
    return Interval(value, low, high, len(groups), len(patients), confidence)


def mean_interval(
    values: ArrayLike, patients: Sequence[str], *, seed: int, n_draws: int = 2000, confidence: float = 0.95
) -> Interval:
    """The interval of the mean over cases; undefined cases (NaN) are left out.

    The number of cases it reports is that of the defined ones. Without any, all is NaN.
    """
    values = np.asarray(values, float).ravel()
    if len(values) != len(patients):
        raise InputError(f"{len(values)} values but {len(patients)} patients.")
    known = ~np.isnan(values)
    nan = float("nan")
    if not known.any():
        return Interval(nan, nan, nan, 0, 0, confidence)
    used, who = values[known], [p for p, k in zip(patients, known, strict=True) if k]
    # Sums per patient make 2000 draws one matrix product.
    groups = groups_of(who)
    sums = np.array([used[g].sum() for g in groups])
    sizes = np.array([len(g) for g in groups])
    low = high = nan
    if len(groups) > 1:
        rng = np.random.default_rng(seed)
        draws = rng.integers(0, len(groups), (n_draws, len(groups)))
        means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
        tail = 50.0 * (1.0 - confidence)
        low, high = (float(v) for v in np.percentile(means, [tail, 100.0 - tail]))
    return Interval(float(used.mean()), low, high, len(groups), len(used), confidence)


def ratio_interval(
    parts: ArrayLike,
    wholes: ArrayLike,
    patients: Sequence[str],
    *,
    seed: int,
    n_draws: int = 2000,
    confidence: float = 0.95,
) -> Interval:
    """The interval of sum(parts) / sum(wholes): lesions found of all lesions, over those who have any."""
    parts, wholes = np.asarray(parts, float).ravel(), np.asarray(wholes, float).ravel()

    def ratio(rows: NDArray[np.int64]) -> float:
        whole = wholes[rows].sum()
        return float(parts[rows].sum() / whole) if whole > 0 else float("nan")

    interval = bootstrap(ratio, patients, seed=seed, n_draws=n_draws, confidence=confidence)
    if len({p for p, whole in zip(patients, wholes, strict=True) if whole > 0}) < 2:
        # One patient's lesions say nothing of how patients differ.
        return replace(interval, low=float("nan"), high=float("nan"))
    return interval


def compare_paired(
    a: Mapping[str, float],
    b: Mapping[str, float],
    patients: Mapping[str, str],
    *,
    seed: int,
    n_draws: int = 10000,
    confidence: float = 0.95,
) -> PairedComparison:
    """Compare two methods' scores of the same cases.

    Args:
        a, b: case name -> score. Cases for which either is NaN are left out.
        patients: case name -> patient.
        seed: of the draws and the permutations.
        n_draws: bootstrap draws, and random sign changes where not all can be tried.
        confidence: of the interval.

    Raises:
        InputError: the two do not cover the same cases, or no case is left.
    """
    only = sorted(set(a) ^ set(b))
    if only:
        raise InputError(f"The two results do not cover the same cases; only one has: {', '.join(only[:5])}.")
    names = [n for n in a if not (np.isnan(a[n]) or np.isnan(b[n]))]
    if not names:
        raise InputError("No case for which both results have a value.")
    first, second = (np.array([scores[n] for n in names]) for scores in (a, b))
    delta = second - first
    who = [patients[n] for n in names]
    interval = mean_interval(delta, who, seed=seed, n_draws=n_draws, confidence=confidence)
    p_value, exact = _sign_flip_test(delta, who, seed=seed + 1, n_draws=n_draws)
    return PairedComparison(
        a=float(first.mean()),
        b=float(second.mean()),
        difference=interval,
        p_value=p_value,
        wins=int((delta > 0).sum()),
        losses=int((delta < 0).sum()),
        ties=int((delta == 0).sum()),
        exact=exact,
    )


def _sign_flip_test(
    delta: NDArray[np.float64], patients: Sequence[str], *, seed: int, n_draws: int
) -> tuple[float, bool]:
    """P value of the mean difference when the methods are exchanged patient by patient."""
    sums = np.array([delta[g].sum() for g in groups_of(patients)])
    if len(sums) < 2:
        return 1.0, True  # both sign changes are as extreme
    exact = len(sums) <= EXACT_PATIENTS
    test = stats.permutation_test(
        (sums,),
        lambda flipped, axis: np.abs(flipped.sum(axis=axis)),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**EXACT_PATIENTS if exact else n_draws,
        alternative="greater",
        random_state=np.random.default_rng(seed),
    )
    return float(test.pvalue), exact
