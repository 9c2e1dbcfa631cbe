"""Synthetic gallbladders, the axial slices, and the training cases made of both."""

from __future__ import annotations

import zlib
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.data.axial_slices import AxialSlice, axial_slices, is_validation, with_fat
from LiverLesionAILab.data.cases import UNKNOWN, TrainingCase, data_folder, decode_hu, encode_hu
from LiverLesionAILab.synthesis.gallbladders import GallbladderState, add_gallbladder, draw_look, restate
from LiverLesionAILab.synthesis.tissue import LiverTissue
from LiverLesionAILab.training.gallbladder_cases import (
    GallbladderMix,
    lesions_near,
    slice_with_lesions,
    tissue_case,
)
from LiverLesionAILib.support.errors import InputError

SPACING = (3.0, 1.5, 1.5)
LIVER_HU, FAT_HU = 110.0, -100.0


@pytest.fixture(scope="module")
def abdomen() -> tuple[np.ndarray, np.ndarray]:
    """HU and liver: a block of liver in fat, its visceral surface to the patient's left."""
    rng = np.random.default_rng(0)
    liver = np.zeros((30, 120, 120), bool)
    liver[8:, 20:95, 15:70] = True
    hu = np.where(liver, LIVER_HU, FAT_HU) + rng.normal(0, 8, liver.shape)
    return hu.astype(np.float32), liver


def tissue_of(abdomen: tuple[np.ndarray, np.ndarray]) -> LiverTissue:
    hu, liver = abdomen
    return LiverTissue.measure(hu.copy(), liver.copy(), SPACING, np.random.default_rng(1))


@pytest.mark.parametrize("state", list(GallbladderState))
def test_every_state_can_be_put_beside_a_liver(abdomen, state: GallbladderState) -> None:
    tissue = tissue_of(abdomen)
    made = add_gallbladder(tissue, np.random.default_rng(5), state)
    assert made is not None
    mask, look = made
    assert look.state is state
    assert mask.sum() * np.prod(SPACING) > 300
    assert not (mask & tissue.liver).any()
    assert (tissue.hu[mask] != abdomen[0][mask]).any()


def test_the_same_state_of_chance_makes_the_same_gallbladder(abdomen) -> None:
    one, other = tissue_of(abdomen), tissue_of(abdomen)
    first = add_gallbladder(one, np.random.default_rng(2))
    second = add_gallbladder(other, np.random.default_rng(2))
    assert (first[0] == second[0]).all() and first[1] == second[1]
    assert (one.hu == other.hu).all()


def test_bile_is_fluid_and_a_collapsed_one_is_flat() -> None:
    rng = np.random.default_rng(0)
    plain = [draw_look(rng, 110, GallbladderState.PLAIN) for _ in range(50)]
    assert all(0 <= look.bile_hu <= 45 for look in plain)
    collapsed = [draw_look(rng, 110, GallbladderState.COLLAPSED) for _ in range(50)]
    assert all(look.flat <= 0.6 < min(p.flat for p in plain) for look in collapsed)


def test_the_same_seed_draws_the_same_look_in_every_version() -> None:
    looks = [astuple(draw_look(np.random.default_rng(7), 110.0, s)) for s in [None, *GallbladderState]]
    rounded = [[round(v, 6) if isinstance(v, float) else str(v) for v in look] for look in looks]
    assert zlib.crc32(repr(rounded).encode()) == 2068468666


def test_restating_keeps_the_outline(abdomen) -> None:
    tissue = tissue_of(abdomen)
    mask, _ = add_gallbladder(tissue, np.random.default_rng(5), GallbladderState.PLAIN)
    again, look = restate(tissue, mask, np.random.default_rng(6), GallbladderState.LAYERED)
    assert look.state is GallbladderState.LAYERED
    overlap = 2 * (again & mask).sum() / (again.sum() + mask.sum())
    assert overlap > 0.8


def test_protected_lesions_are_not_painted_over(abdomen) -> None:
    tissue = tissue_of(abdomen)
    tissue.protected = np.zeros(tissue.hu.shape, bool)
    tissue.protected[8:20, 40:70, 50:70] = True
    add_gallbladder(tissue, np.random.default_rng(5), GallbladderState.DISTENDED)
    assert (tissue.hu[tissue.protected] == abdomen[0][tissue.protected]).all()
    assert tissue.liver[tissue.protected].all()


def test_lesions_lie_near_the_place(abdomen) -> None:
    hu, liver = abdomen
    place = np.array([12.0, 60.0, 66.0])
    _, _, labels = lesions_near(
        hu, liver, np.zeros_like(liver), place, SPACING, np.random.default_rng(3), 25.0
    )
    assert labels.any()
    for number in range(1, labels.max() + 1):
        centre = np.argwhere(labels == number).mean(axis=0)
        assert np.linalg.norm((centre - place) * SPACING) < 35


def test_fat_is_told_from_bile_in_a_window_that_begins_at_zero() -> None:
    rng = np.random.default_rng(0)
    hu = np.full((60, 60), FAT_HU) + rng.normal(0, 12, (60, 60))
    hu[20:40, 20:40] = 8 + rng.normal(0, 12, (20, 20))
    back = with_fat(np.clip(hu, 0, 255).astype(np.uint8))
    assert (back[:12] == -80).all() and back[24:36, 24:36].mean() > 3


def test_validation_patients_are_a_fifth_and_never_half_of_one() -> None:
    kept = [patient for patient in range(100) if is_validation(patient)]
    assert len(kept) == 20


@pytest.fixture(scope="module")
def flat_slice() -> AxialSlice:
    """A slice like the real ones: a body, a liver on its right."""
    rng = np.random.default_rng(0)
    hu = np.full((256, 256), -80.0)
    hu[30:220, 20:236] = 50
    hu[40:212, 30:226] = -80
    labels = np.zeros((256, 256), np.uint8)
    labels[60:150, 34:95] = 1
    hu[labels == 1] = LIVER_HU
    hu[hu > 0] += rng.normal(0, 8, int((hu > 0).sum()))
    return AxialSlice(0, 0, hu.astype(np.float32), labels, 1.5, "none")


def test_painted_slices_have_gallbladders_and_lesions_apart(flat_slice: AxialSlice, monkeypatch) -> None:
    # The picture's fat is one large ball, as lung would be.
    monkeypatch.setattr("LiverLesionAILab.training.gallbladder_cases.shows_lung", lambda *_: False)
    mix = GallbladderMix(gallbladder=1.0, lesions=1.0)
    made = [slice_with_lesions(flat_slice, number, mix) for number in range(12)]
    assert any((case.labels_zyx == 2).any() for case, _ in made)
    assert any(lesions.any() for _, lesions in made)
    for case, lesions in made:
        assert case.grey_zyx.shape == case.labels_zyx.shape == lesions.shape
        assert not ((case.labels_zyx == 2) & (lesions > 0)).any()


def test_own_fluid_beside_a_real_liver_is_unknown(abdomen) -> None:
    hu, liver = abdomen
    hu = hu.copy()
    hu[2:8, 50:70, 75:95] = 10
    labels = liver.astype(np.uint8)
    labels[15:18, 30:34, 30:34] = 2
    case = TrainingCase("real", "A", encode_hu(hu), labels, SPACING)
    made = tissue_case(case, 0, GallbladderMix(gallbladder=0.0, lesions=0.0))
    assert (made.labels_zyx[3:7, 55:65, 80:90] == UNKNOWN).all()
    # A real lesion is liver here, never gallbladder.
    assert (made.labels_zyx[15:18, 30:34, 30:34] == 1).all()
    assert not (made.labels_zyx == 2).any()


def test_mix_decides_the_folder() -> None:
    mix = GallbladderMix()
    assert mix.key() != replace(mix, seed=4).key() and mix.smaller(1).bodies == 1


def test_real_slices_split_by_patient() -> None:
    try:
        data = data_folder()
        slices = list(axial_slices(data))
    except InputError as missing:
        pytest.skip(str(missing))
    assert {one.kind for one in slices} == {"outlined", "none"}
    for one in slices:
        assert (2 in one.labels_yx) == (one.kind == "outlined")
    seen = {one.patient for one in slices if not one.validation}
    kept = {one.patient for one in slices if one.validation}
    assert not seen & kept and kept
    bile = decode_hu(slices[[one.kind for one in slices].index("outlined")].case(1.5).grey_zyx)
    assert bile.min() < -60


def test_missing_slices_say_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="axial slices"):
        next(axial_slices(tmp_path))
