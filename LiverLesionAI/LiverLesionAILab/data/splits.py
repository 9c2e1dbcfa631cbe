"""Splits that never separate the scans of a patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from LiverLesionAILib.support.errors import InputError


class HasPatient(Protocol):
    """Anything that belongs to a patient."""

    @property
    def patient(self) -> str: ...


Item = TypeVar("Item", bound=HasPatient)


@dataclass(frozen=True)
class Fold:
    """One split; indices into the items it was made from."""

    train: tuple[int, ...]
    test: tuple[int, ...]
    patients: tuple[str, ...]
    """The patients of the test part."""


def leave_one_patient_out(items: Sequence[HasPatient]) -> list[Fold]:
    """One fold per patient, in order of first appearance."""
    return k_fold(items, len({item.patient for item in items}), seed=None)


def k_fold(items: Sequence[HasPatient], n_folds: int, *, seed: int | None) -> list[Fold]:
    """Folds with about equally many items; patients are dealt out whole, the largest first.

    Args:
        items: scans, slices or anything with a patient.
        n_folds: number of folds.
        seed: shuffles the patients first; None keeps their order.

    Raises:
        InputError: fewer patients than folds.
    """
    patients = list(dict.fromkeys(item.patient for item in items))
    if n_folds < 1 or len(patients) < n_folds:
        raise InputError(f"{len(patients)} patients cannot be split into {n_folds} folds.")
    if seed is not None:
        patients = [patients[i] for i in np.random.default_rng(seed).permutation(len(patients))]
    sizes = {p: sum(item.patient == p for item in items) for p in patients}
    folds: list[list[str]] = [[] for _ in range(n_folds)]
    for patient in sorted(patients, key=lambda p: -sizes[p]):
        smallest = min(folds, key=lambda fold: (sum(sizes[p] for p in fold), len(fold)))
        smallest.append(patient)
    return [_fold(items, set(fold)) for fold in folds]


def hold_out(items: Sequence[Item], fraction: float, *, seed: int) -> tuple[list[Item], list[Item]]:
    """(train, test) with at least `fraction` of the items' patients, one at least, in the test part.

    Raises:
        InputError: fewer than two patients, or a fraction outside 0..1.
    """
    patients = list(dict.fromkeys(item.patient for item in items))
    if not 0 < fraction < 1 or len(patients) < 2:
        raise InputError(f"{len(patients)} patients cannot be split at {fraction}.")
    n_test = min(max(1, int(np.ceil(fraction * len(patients) - 1e-9))), len(patients) - 1)
    chosen = {patients[i] for i in np.random.default_rng(seed).permutation(len(patients))[:n_test]}
    train = [item for item in items if item.patient not in chosen]
    return train, [item for item in items if item.patient in chosen]


def _fold(items: Sequence[HasPatient], test: set[str]) -> Fold:
    inside = [item.patient in test for item in items]
    return Fold(
        train=tuple(i for i, t in enumerate(inside) if not t),
        test=tuple(i for i, t in enumerate(inside) if t),
        patients=tuple(dict.fromkeys(item.patient for item, t in zip(items, inside, strict=True) if t)),
    )
