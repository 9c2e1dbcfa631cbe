"""What a reader of all densities could tell: lesions drawn without an image, and trees on them."""

from __future__ import annotations

import numpy as np
import pytest
from LiverLesionAILab.evaluation.class_ceiling import PHASES_OF, ceiling, draw_lesions, part_hu
from LiverLesionAILab.synthesis.appearance import Phase
from LiverLesionAILab.synthesis.synthliver.habits import HABITS, Part
from LiverLesionAILab.synthesis.synthliver.kinetics import Tissue, draw_bolus


def test_a_part_is_what_it_was_before_contrast_and_what_it_takes_up() -> None:
    bolus = draw_bolus(np.random.default_rng(1))
    water, fed = Part(None, 8.0, beside_liver=False), Part(Tissue(0.03, 0.4), -10.0)
    assert part_hu(water, bolus, 60.0, Phase.PORTAL_VENOUS) == 8.0
    assert part_hu(fed, bolus, 60.0, Phase.UNENHANCED) == 50.0
    assert part_hu(fed, bolus, 60.0, Phase.ARTERIAL) > 80.0


def test_lesions_of_every_habit_are_drawn_alike_for_the_same_seed() -> None:
    shown, structure, codes, weights = draw_lesions("SynthLiver-2", 3, 1)
    again = draw_lesions("SynthLiver-2", 3, 1)
    assert len(codes) == len(structure) == 3 * len(HABITS)
    assert all(np.array_equal(shown[phase], again[0][phase]) for phase in shown)
    for code in set(codes):
        assert weights[codes == code].sum() == pytest.approx(3.0), "classes count alike"
    cysts = shown[Phase.PORTAL_VENOUS][codes == "cyst"]
    assert (cysts[:, 3] < -40).all(), "water beside an enhanced liver"


def test_what_differs_is_told_apart_and_noise_makes_it_harder() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    lesions = draw_lesions("SynthLiver-2", 60, 2)
    exact, table = ceiling(*lesions, PHASES_OF["all enhanced phases"], 0.0)
    blurred, _ = ceiling(*lesions, PHASES_OF["arterial"], 60.0)
    assert exact > 0.75 and exact > blurred + 0.03
    assert table["cyst"]["cyst"] > 0.9
    assert sum(table["FNH"].values()) == pytest.approx(1.0)
