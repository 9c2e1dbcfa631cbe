"""`compare classes`: figures of made-up lesions, and what is kept of a measurement."""

from __future__ import annotations

import argparse
import gzip
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.data.synthliver2 import PhasesOfPatient, find_phases
from LiverLesionAILab.evaluation.kept_classes import chance_table
from LiverLesionAILab.evaluation.lesion_class_command import class_table, enhancement_table, phase_table
from LiverLesionAILab.evaluation.lesion_classes import (
    JudgedLesion,
    class_figures,
    judged_lesions,
    read_phase,
    sayable,
    with_even_priors,
)
from LiverLesionAILab.evaluation.lesion_page import chosen
from LiverLesionAILab.evaluation.phase_table import found_masks, phase_row, run_phase_table
from LiverLesionAILab.fuzz import writers
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.stages.classify.differential import Differential, DifferentialSettings
from LiverLesionAILib.stages.classify.enhancement import MeasuredEnhancement
from LiverLesionAILib.stages.classify.features import LesionFeatures
from LiverLesionAILib.support.errors import InputError
from support.results import measured_result

SETTINGS = Rules().part(DifferentialSettings)


def features(core_hu: float, liver_hu: float) -> LesionFeatures:
    return LesionFeatures(core_hu, 1.0, liver_hu, 10.0, liver_hu, 10.0, 2.0, 20.0, True)


def record(core_hu: float, liver_hu: float, looks: str, arterial: float) -> dict:
    return {
        "phase": looks,
        "vessels_hu": 170.0,
        "aorta_hu": 300.0,
        "arterial": arterial,
        "features": {"1": asdict(features(core_hu, liver_hu))},
        "network": {},
        "looks": looks,
        "sure": 0.9,
    }


def judged(truth: str, probabilities: dict[str, float], aphe: bool, contrast: float) -> JudgedLesion:
    name, probability = next(iter(probabilities.items()))
    facts = {"contrast_hu": {"arterial": contrast, "portal": -30.0, "delayed": -30.0}, "rim": False}
    said = Differential(name if probability > 0.6 else "indeterminate", probabilities, "")
    return JudgedLesion("a", 1, truth, facts, said, MeasuredEnhancement(aphe, False, aphe, False, ""), {})


def test_figures_of_four_lesions() -> None:
    lesions = [
        judged("HCC", {"HCC": 0.9, "FNH": 0.1}, True, 40.0),
        judged("HCC", {"HCC": 0.7, "FNH": 0.3}, False, 40.0),
        judged("FNH", {"HCC": 0.5, "FNH": 0.4}, True, 40.0),
        judged("cyst", {"cyst": 1.0}, False, -60.0),
    ]
    figures = class_figures(lesions, (Phase.ARTERIAL,))
    assert figures.recall == {"cyst": 1.0, "FNH": 0.0, "HCC": 1.0}
    assert figures.balanced == pytest.approx(2 / 3)
    assert (figures.error, figures.error_80) == (0.25, 0.0)
    assert (figures.named, figures.named_right) == (0.75, 1.0)
    assert figures.calibration_error == pytest.approx((0.1 + 0.3 + 0.5 + 0.0) / 4)
    assert "| 0.667 |" in class_table({"arterial": figures})
    table = enhancement_table(lesions, 15.0, 10.0)
    assert "| APHE | 4 | 0.750 | 2 of 3 | 1 of 1 |" in table
    assert "| washout | 4 | 0.750 | 2 of 3 | 1 of 1 |" in table
    near = enhancement_table([judged("HCC", {"HCC": 1.0}, False, 13.0)], 15.0, 10.0)
    assert "| APHE | 0 |" in near


def test_without_an_arterial_phase_fnh_and_hcc_cannot_be_said() -> None:
    assert sayable("HCC", (Phase.PORTAL,)) == "indeterminate"
    assert sayable("HCC", (Phase.PORTAL, Phase.ARTERIAL)) == "HCC"
    assert sayable("cyst", (Phase.PORTAL,)) == "cyst"


def test_kept_measurements_become_the_products_classes() -> None:
    truth = {"number": 1, "class": "HCC", "habit": "HCC", "contrast_hu": {"arterial": 45.0, "portal": -25.0}}
    patient = PhasesOfPatient("a", Path("a"), {"lesions": [truth]})
    kept = {
        "a": {
            "arterial": record(120.0, 75.0, "arterial", 1.0),
            "portal": record(85.0, 110.0, "portal", 0.0),
        }
    }
    both = judged_lesions([patient], kept, (Phase.PORTAL, Phase.ARTERIAL), SETTINGS)
    assert [(one.guess, one.enhancement.aphe, one.enhancement.washout) for one in both] == [
        ("HCC", True, True)
    ]
    (alone,) = judged_lesions([patient], kept, (Phase.PORTAL,), SETTINGS)
    assert not {"HCC", "FNH"} & set(alone.said.probabilities)
    truth["contrast_hu"] = {"arterial": 3.0, "portal": 2.0}
    assert not judged_lesions([patient], kept, (Phase.PORTAL,), SETTINGS), "nobody can see it"


def test_a_phase_is_as_named_or_as_it_looks() -> None:
    kept = record(120.0, 75.0, "arterial", 0.8)
    assert (read_phase(kept, None).phase, read_phase(kept, None).arterial) == ("arterial", 0.8)
    assert (read_phase(kept, Phase.DELAYED).phase, read_phase(kept, Phase.DELAYED).arterial) == (
        "delayed",
        0.0,
    )
    assert "| portal | 0 | 1 | 0 | 0 |" in phase_table({"a": {"portal": kept}})


def test_a_folder_without_the_set_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no patients of SynthLiver-2"):
        find_phases(tmp_path)


def test_even_priors_give_each_class_as_much() -> None:
    even = dict(with_even_priors(SETTINGS).priors)
    stated = dict(SETTINGS.priors)
    looks = ("benign", "sparing", "perfusion")
    assert {even[c] for c in even if c not in looks} == {1.0}
    assert sum(even[look] for look in looks) == pytest.approx(1.0)
    assert even["perfusion"] / even["benign"] == pytest.approx(stated["perfusion"] / stated["benign"])


def test_what_chance_does_to_calibration_stands_beside_what_was_found() -> None:
    """Forty lesions at 0.75: all of them right is beyond chance, thirty is what to expect."""
    lesions = [judged("cyst", {"cyst": 0.75, "HCC": 0.25}, False, -60.0) for _ in range(40)]
    others = [judged("HCC", {"cyst": 0.75, "HCC": 0.25}, False, -60.0) for _ in range(10)]
    sure, fair = (
        chance_table({"arterial": found}).splitlines()[2] for found in (lesions, lesions[:30] + others)
    )
    ece, expected, wrong = (cell.strip() for cell in (sure.split("|")[3:6]))
    assert ece == "0.250" and wrong == "0.000"
    mean, low, high = (float(v.strip("[,]")) for v in expected.split())
    assert 0.03 < mean < 0.08 and low <= 0.01 and 0.08 < high < 0.25
    assert fair.split("|")[3].strip() == "0.000" and fair.split("|")[4] == sure.split("|")[4]
    # All alike: leaving a fifth open takes away no more than its part.
    assert 0.9 < float(sure.split("|")[8].split()[0]) < 1.1


def test_phases_need_outlined_scans(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="NAME_mask"):
        run_phase_table(argparse.Namespace(data=tmp_path, cases=None))


def test_the_page_takes_the_surest_of_each_class_in_turn() -> None:
    lesions = [judged("cyst", {"cyst": 0.5 + n / 100}, False, -60.0) for n in range(9)]
    lesions += [judged("HCC", {"HCC": 0.6, "FNH": 0.4}, True, 40.0)]
    lesions += [judged("FNH", {"HCC": 0.6, "FNH": 0.4}, True, 40.0)]
    right, wrong = chosen(lesions)
    assert [one.truth for one in right] == ["cyst", "HCC", "cyst", "cyst", "cyst", "cyst"]
    assert right[0].confidence == 0.58
    assert [one.truth for one in wrong] == ["FNH"]


def test_phases_are_judged_on_found_masks_only_of_the_same_ct(tmp_path: Path) -> None:
    result = measured_result()
    save_result(result, tmp_path / "cases" / "a_ct")
    ct = tmp_path / "a_ct.nii.gz"
    masks = found_masks(tmp_path / "cases", ct)
    assert np.array_equal(masks[0], result.liver_zyx) and np.array_equal(masks[1], result.lesion_labels_zyx)
    ct.write_bytes(
        gzip.compress(writers.nifti(np.zeros((4, 8, 8), np.int16), pixdim=(1, 1, 1, 1, 1, 0, 0, 0)))
    )
    with pytest.raises(InputError, match="another CT"):
        phase_row(ct, masks)
    with pytest.raises(InputError):
        found_masks(tmp_path / "cases", tmp_path / "b_ct.nii.gz")
