"""Points of signs: fitted where they tell something, never against what a reader expects."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.evaluation.class_directions import AT_MOST, DIRECTIONS, INSIDE, LOOKS
from LiverLesionAILab.evaluation.class_points import (
    AT_HAND,
    LEAST_EXPONENTS,
    MOST_POINTS,
    Example,
    examples,
    fit_points,
    held_out,
    left_out,
    main,
    rows_text,
)
from LiverLesionAILab.evaluation.kept_classes import KeptPatient, write_kept
from LiverLesionAILab.evaluation.lesion_classes import with_even_priors
from LiverLesionAILib.analysis.class_priors import EVEN
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.stages.classify.differential import DifferentialSettings
from LiverLesionAILib.stages.classify.signs import SAID

EVEN_SHARES = dict(EVEN.shares)
SETTINGS = with_even_priors(Rules().part(DifferentialSettings))


def example(look: str, signs: dict[str, float], number: int = 0) -> Example:
    return Example(
        f"body{number}",
        "arterial",
        1,
        look,
        np.array([one == look for one in LOOKS]),
        np.zeros(len(LOOKS)),
        dict.fromkeys(SAID, math.nan) | signs,
    )


def test_a_sign_that_tells_two_classes_apart_gets_points_in_the_direction_a_reader_expects() -> None:
    lesions = [example("benign", {"vessels_through": 0.9}, n) for n in range(20)]
    lesions += [example("metastasis", {"vessels_through": 0.3}, n) for n in range(20)]
    signs, _ = fit_points(lesions, EVEN_SHARES)
    points = {name: dict(own) for name, _, _, own in signs}
    assert points["vessels_through"]["benign"] > 0.3
    turned = [example("metastasis" if one.look == "benign" else "benign", dict(one.signs)) for one in lesions]
    signs, _ = fit_points(turned, EVEN_SHARES)
    points = {name: dict(own) for name, _, _, own in signs}
    assert "benign" not in points.get("vessels_through", {}), "the other way round is nothing to believe"


def test_tables_that_are_right_keep_their_weight_and_wrong_ones_lose_it() -> None:
    rng = np.random.default_rng(0)

    def lesions(right: bool) -> list[Example]:
        made = []
        for number, look in enumerate(("cyst", "metastasis", "FNH") * 15):
            says = look if right else rng.choice(("cyst", "metastasis", "FNH"))
            logs = np.array([3.0 if one == says else 0.0 for one in LOOKS])
            made.append(replace(example(look, {}, number), logs=logs))
        return made

    assert fit_points(lesions(True), EVEN_SHARES)[1][0] == 1.0
    assert fit_points(lesions(False), EVEN_SHARES)[1][0] == LEAST_EXPONENTS[0] < 1.0


def test_a_class_follows_from_what_small_lesions_show_as_well() -> None:
    """Told by its inside alone in most, by its border in all: the border keeps a say."""
    lesions = [example("cyst", {"dense_part_hu": 10.0, "edge_mm": 1.0}, n) for n in range(20)]
    lesions += [example("metastasis", {"dense_part_hu": 80.0, "edge_mm": 4.0}, n) for n in range(20)]
    assert "dense_part_hu" in INSIDE and "edge_mm" not in INSIDE
    points = {name: dict(own) for name, _, _, own in fit_points(lesions, EVEN_SHARES)[0]}
    assert points["dense_part_hu"]["cyst"] < -0.1
    assert points["edge_mm"]["metastasis"] > 1.5 * 0.17, "more than textbooks give it"


def test_the_pages_points_speak_in_the_directions_that_a_reader_expects() -> None:
    known = {(name, low, high): directions for name, low, high, directions, _ in DIRECTIONS}
    rows = Rules().part(DifferentialSettings).signs
    assert rows
    for name, low, high, points in rows:
        for look, value in points:
            assert value * known[name, low, high][look] > 0, (name, look)
            assert abs(value) <= AT_MOST.get((name, look), MOST_POINTS)
    told = {(name, low, high): dict(points) for name, low, high, points in rows}
    for name, low, high, _, least in DIRECTIONS:
        for look, value in least.items():
            assert abs(told[name, low, high][look]) >= abs(value) - 0.01, "what textbooks give stays"


@pytest.fixture(scope="module")
def kept() -> tuple[list[KeptPatient], dict]:
    """Four bodies with a cyst, a metastasis and an FNH, measured in two phases."""
    plain = {
        "core_error_hu": 2.0,
        "noise_hu": 10.0,
        "spread_hu": 10.0,
        "edge_mm": 3.0,
        "diameter_mm": 20.0,
        "whole_core": True,
    }

    def phase(name: str, aorta: float, liver: float, cores: tuple[float, ...]) -> dict:
        features = {
            str(n): {**plain, "core_hu": core, "liver_hu": liver, "rim_hu": liver}
            for n, core in enumerate(cores, 1)
        }
        shares = [float(name == one) for one in ("unenhanced", "arterial", "portal", "delayed")]
        return {
            "phase": name,
            "vessels_hu": liver + 45,
            "aorta_hu": aorta,
            "cava_hu": 100.0,
            "arterial": shares[1],
            "shares": shares,
            "features": features,
            "network": {},
            "looks": name,
            "sure": 1.0,
        }

    patients, measured = [], {}
    for number in range(4):
        contrasts = ((-65.0, -100.0), (-30.0, -50.0), (60.0, 2.0))
        lesions = {
            n: {
                "number": n,
                "class": c,
                "habit": c,
                "rim": False,
                "contrast_hu": {"arterial": a, "portal": p},
            }
            for n, (c, (a, p)) in enumerate(zip(("cyst", "metastasis", "FNH"), contrasts, strict=True), 1)
        }
        name = f"other{number:03d}"
        patients.append(KeptPatient(name, lesions))
        measured[name] = {
            "arterial": phase("arterial", 280.0, 75.0, (8.0 + number, 44.0, 138.0)),
            "portal": phase("portal", 150.0, 110.0, (8.0 + number, 62.0, 112.0)),
        }
    return patients, measured


def test_examples_are_lesions_in_every_setting_with_what_can_be_said_there(kept) -> None:
    found = examples(*kept, SETTINGS)
    of_fnh = {one.setting: one for one in found if one.look == "FNH"}
    assert set(of_fnh) == {"arterial", "arterial and portal", "all phases", "enhanced phases"}
    assert of_fnh["arterial and portal"].phases == 2
    assert {one.setting for one in found} == set(AT_HAND) - {"delayed"}
    portal = next(one for one in found if one.setting == "portal" and one.look == "metastasis")
    assert [look for look, right in zip(LOOKS, portal.answers, strict=True) if right] == ["metastasis"]
    assert portal.logs[LOOKS.index("metastasis")] > portal.logs[LOOKS.index("cyst")]


def test_bodies_left_out_are_judged_by_points_that_never_saw_them(kept) -> None:
    text = left_out(kept[1], SETTINGS, held_out(*kept, SETTINGS, 0.03))
    assert text.startswith("| phases | lesions | balanced |")
    assert "| arterial | 12 | 1.000 |" in text


def test_the_command_prints_rows_and_figures(kept, tmp_path: Path, capsys) -> None:
    write_kept(tmp_path / "kept.json", *kept)
    assert main([str(tmp_path / "kept.json")]) == 0
    said = capsys.readouterr().out
    assert "PHASES_WEIGHT = (" in said
    assert "Bodies left out (4 in 4 parts)" in said
    assert (
        rows_text((("edge_mm", 1.0, 4.0, (("cyst", -0.5),)),))
        == '    ("edge_mm", 1.0, 4.0, (("cyst", -0.5),)),'
    )
