"""Scans judged with noise added: as much as asked, as coarse as asked, the same each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.data.scan import Scan
from LiverLesionAILab.evaluation.noisy import noisy, with_noise
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry

CT = CtVolume(
    np.full((8, 96, 96), 100, np.int16), Geometry((8, 96, 96), (5.0, 0.8, 0.8), (0.0, 0.0, 0.0), np.eye(3))
)
# Its range is what is not left.
CT = replace(CT, hu_zyx=np.where(np.indices(CT.hu_zyx.shape)[2] < 8, -1000, CT.hu_zyx).astype(np.int16))
CT = replace(CT, hu_zyx=np.where(np.indices(CT.hu_zyx.shape)[2] > 88, 1000, CT.hu_zyx).astype(np.int16))
BODY = np.s_[:, :, 8:89]


def scan(name: str) -> Scan:
    return Scan(name, name, "here", Path("ct"), Path("mask"), lambda: CT, lambda: (CT.hu_zyx, CT.geometry))


def test_noise_of_the_sd_and_grain_asked_for() -> None:
    added = noisy(CT, 20.0, 0).hu_zyx[BODY] - 100.0
    assert added.std() == pytest.approx(20.0, rel=0.05) and abs(added.mean()) < 0.5
    beside = np.mean(added[:, :, 1:] * added[:, :, :-1]) / added.var()
    across = np.mean(added[1:] * added[:-1]) / added.var()
    assert 0.55 < beside < 0.8 and abs(across) < 0.1


def test_it_stays_in_the_scans_own_range_and_type() -> None:
    made = noisy(CT, 50.0, 1).hu_zyx
    assert made.dtype == np.int16 and made.min() >= -1000 and made.max() <= 1000


def test_each_scan_has_its_own_noise_the_same_every_time() -> None:
    first, again = (with_noise(scan("a"), 20.0).read_ct().hu_zyx for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (with_noise(scan("b"), 20.0).read_ct().hu_zyx != first).any()
    own = scan("a")
    assert with_noise(own, 0.0) is own


@pytest.mark.parametrize("sd", [-1.0, float("nan"), float("inf")])
def test_no_such_noise(sd: float) -> None:
    with pytest.raises(InputError, match="--noise"):
        with_noise(scan("a"), sd)
