"""Portal venous livers turned towards the arterial phase: what changes, what stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

import numpy as np
from LiverLesionAILab.data.cases import LIVER_OR_TUMOUR, TrainingCase, decode_hu, encode_hu
from LiverLesionAILab.synthesis.appearance import LesionType, Phase
from LiverLesionAILab.training.arterial_cases import arterial_bank, arterial_bodies, arterial_look
from LiverLesionAILab.training.bank import BankSettings, make_variant
from LiverLesionAILab.training.bodies import BodyMix
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILab.training.slice_cases import slice_variant
from LiverLesionAILab.training.switches import without
from scipy import ndimage

SPACING = (2.5, 1.25, 1.25)
LEVEL = 105.0


def portal_venous(rng: np.random.Generator) -> TrainingCase:
    """A liver of 105 HU in muscle of 60 with a vessel 40 HU brighter and a lesion 45 HU darker."""
    z, y, x = np.ogrid[:16, :72, :72]
    hu = np.full((16, 72, 72), 60.0)
    labels = np.zeros(hu.shape, np.uint8)
    liver = np.broadcast_to((y - 36) ** 2 + (x - 36) ** 2 < 30**2, hu.shape)
    lesion = (2 * (z - 8)) ** 2 + (y - 46) ** 2 + (x - 36) ** 2 < 8**2
    vessel = np.broadcast_to((y - 24) ** 2 + (x - 36) ** 2 < 5**2, hu.shape)
    hu[liver], labels[liver] = LEVEL, 1
    hu[vessel] = LEVEL + 40
    hu[lesion], labels[lesion] = LEVEL - 45, 2
    hu += rng.normal(0, 8, hu.shape)
    return TrainingCase("lits000", "A", encode_hu(hu), labels, SPACING, "real")


def contrasts(case: TrainingCase) -> tuple[float, float, float]:
    """Liver's level, vessel against it, lesion against it."""
    hu = decode_hu(case.grey_zyx)
    level = float(np.median(hu[2:-2, 33:39, 12:22]))
    return level, float(hu[2:-2, 22:26, 34:38].mean()) - level, float(hu[7:10, 43:49, 33:39].mean()) - level


class TestArterialLook:
    def test_lesions_turn_bright_or_fade_and_vessels_lose_their_contrast(self) -> None:
        plain = portal_venous(np.random.default_rng(0))
        _, vessel, lesion = contrasts(plain)
        assert (vessel, lesion) == pytest.approx((40, -45), abs=3)
        turned = np.array([contrasts(arterial_look(plain, np.random.default_rng(s))) for s in range(60)])
        levels, vessels, lesions = turned.T
        assert levels.max() < LEVEL + 3
        assert levels.min() < LEVEL - 28
        assert 0.4 < np.mean(lesions > 10) < 0.8
        assert np.mean(lesions < -5) > 0.2
        assert lesions.max() < 60
        assert vessels.min() < -8
        assert vessels.max() > 40
        assert np.mean(np.abs(vessels) < 25) > 0.4

    def test_noise_and_labels_stay(self) -> None:
        plain = portal_venous(np.random.default_rng(0))
        turned = arterial_look(plain, np.random.default_rng(4))
        assert np.array_equal(turned.labels_zyx, plain.labels_zyx)

        def grain(case: TrainingCase) -> np.ndarray:
            hu = decode_hu(case.grey_zyx)
            return (hu - ndimage.gaussian_filter(hu, (0, 2, 2)))[3:-3, 33:39, 12:22]

        assert grain(turned).std() == pytest.approx(grain(plain).std(), rel=0.15)
        assert np.corrcoef(grain(turned).ravel(), grain(plain).ravel())[0, 1] > 0.9

    def test_muscle_stays_and_the_same_state_gives_the_same(self) -> None:
        plain = portal_venous(np.random.default_rng(0))
        turned = arterial_look(plain, np.random.default_rng(9))
        assert np.array_equal(turned.grey_zyx, arterial_look(plain, np.random.default_rng(9)).grey_zyx)
        assert np.array_equal(turned.grey_zyx[:, :2], plain.grey_zyx[:, :2])

    def test_a_case_without_a_liver_comes_back_as_it_is(self) -> None:
        plain = portal_venous(np.random.default_rng(0))
        empty = replace(plain, labels_zyx=np.zeros_like(plain.labels_zyx))
        assert arterial_look(empty, np.random.default_rng(0)) is empty


class TestWhatIsMade:
    def test_most_lesions_of_a_variant_are_brighter_than_the_liver(self) -> None:
        settings = replace(arterial_bank(BankSettings(lesion_free_share=0.0), 4), distractors=None)
        bright = []
        for seed in range(12):
            rng = np.random.default_rng(seed)
            made = make_variant(arterial_look(portal_venous(rng), rng), rng, settings, None)
            new = (made.labels_zyx == 2) & (portal_venous(rng).labels_zyx != 2)
            hu = decode_hu(made.grey_zyx)
            if new.sum() > 30:
                level = np.median(hu[(made.labels_zyx == 1)])
                bright.append(hu[new].mean() > level + 5)
        assert len(bright) >= 6
        assert 0.4 <= np.mean(bright) <= 0.95

    def test_a_slice_keeps_what_is_not_known_of_it(self) -> None:
        whole = portal_venous(np.random.default_rng(0))
        labels = np.where(whole.labels_zyx > 0, LIVER_OR_TUMOUR, 0).astype(np.uint8)[8:9]
        one = replace(whole, name="slice012", grey_zyx=whole.grey_zyx[8:9], labels_zyx=labels)
        turned = arterial_look(one, np.random.default_rng(3))
        made = slice_variant(turned, 0, arterial_bank(BankSettings(lesion_free_share=0.0), 1), None)
        assert set(np.unique(made.labels_zyx)) <= {0, 2, LIVER_OR_TUMOUR}

    def test_bodies_are_of_that_phase_and_the_others_keep_their_folder(self) -> None:
        mix = arterial_bodies(BodyMix(), BankSettings())
        assert mix.phase is Phase.ARTERIAL
        assert mix.lesions.type_weights[LesionType.HCC] == 0.4
        assert mix.key().endswith("-arterial")
        # The folder that bodies of all phases had before there was a choice.
        assert BodyMix().key() == "9ee4a8cde80f"

    def test_the_recipe_has_them_and_loses_what_it_is_told_to(self) -> None:
        chosen = recipe("sfan_finish")
        assert chosen.arterial > 0
        share = sum(v for k, v in chosen.shares.items() if "arterial" in k)
        assert 0.15 <= share / sum(chosen.shares.values()) <= 0.25
        assert sum(chosen.shares.values()) == pytest.approx(1.0)
        assert arterial_bank(without(chosen, ["distractors"]).bank, 3).distractors is None
        assert arterial_bank(without(chosen, ["large"]).bank, 3).lesions.diameter_mm[1] == 45.0
