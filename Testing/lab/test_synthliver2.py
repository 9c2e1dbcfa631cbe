"""SynthLiver-2: its plan, its physics, and one small patient with its checksum."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.data.images import read_image
from LiverLesionAILab.synthesis.appearance import Phase
from LiverLesionAILab.synthesis.organs import Organ
from LiverLesionAILab.synthesis.synthliver import build as building
from LiverLesionAILab.synthesis.synthliver import checksums, command
from LiverLesionAILab.synthesis.synthliver.habits import HABITS, draw_make
from LiverLesionAILab.synthesis.synthliver.kinetics import (
    SECONDS,
    Tissue,
    draw_bolus,
    draw_liver,
    draw_tables,
)
from LiverLesionAILab.synthesis.synthliver.multiphase_plan import PART, plan_patients
from LiverLesionAILib.case.classes import LesionClass
from LiverLesionAILib.support.errors import InputError

SMALL_DIGEST, SMALL_FINGERPRINT = "39fbaa1d83205ae1", [3, 1290.56, 56.4, 114.1, 85.32]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """A coarse patient with HCC, made as the set's are."""
    folder = tmp_path_factory.mktemp("synthliver2")
    hcc = next(p for p in plan_patients() if p.habit == "HCC")
    body = replace(hcc.body, spacing_zyx_mm=(5.0, 4.0, 4.0), thickness_mm=5.0, coarse_mm=5.0)
    return folder, building.make_one(PART, replace(hcc, body=body, phases=tuple(Phase)[1:]), folder)


class TestPlan:
    def test_sixty_patients_of_every_class_and_habit(self) -> None:
        plans = plan_patients()
        assert len(plans) == 60
        assert Counter(p.habit for p in plans) == {h: one.patients for h, one in HABITS.items()}
        codes = {one.code for one in HABITS.values()}
        assert codes == {"cyst", "haemangioma", "FNH", "HCC", "metastasis", "benign"}
        assert all(LesionClass.of(code).code == code for code in codes)
        assert sum(one.patients for h, one in HABITS.items() if h.endswith("metastasis")) == 18
        assert len({p.seed for p in plans}) == len({p.name for p in plans}) == 60

    def test_fewer_are_the_same_patients_and_the_first_hold_every_habit(self) -> None:
        plans = plan_patients()
        assert {p.habit for p in plans[: len(HABITS)]} == set(HABITS)
        assert set(plan_patients(1)) == {p for p in plans if p in plan_patients(1)}
        assert len(plan_patients(1)) == len(HABITS)
        assert all(p.phases[-3:] == tuple(Phase)[1:] for p in plans)


class TestKinetics:
    def test_uptake_is_the_equations_solution(self) -> None:
        """Under constant input E = V E_in (1 - exp(-k t / V))."""
        bolus = replace(draw_bolus(np.random.default_rng(0)), aorta=np.full(SECONDS.shape, 100.0))
        tissue = Tissue(0.01, 0.4)
        wanted = 40.0 * (1 - np.exp(-0.01 * SECONDS / 0.4))
        assert np.abs(bolus.uptake(tissue) - wanted).max() < 1.0

    def test_a_bolus_does_what_it_does_in_a_patient(self) -> None:
        """Bounds wide enough for any injection (Bae 2010)."""
        for seed in range(12):
            rng = np.random.default_rng(seed)
            bolus = draw_bolus(rng)
            tables = draw_tables(rng, bolus, draw_liver(rng, False), 0.0)
            hu = {phase: tables[phase].hu for phase in Phase}
            assert 190 < hu[Phase.ARTERIAL][Organ.AORTA] < 430
            assert hu[Phase.ARTERIAL][Organ.AORTA] > hu[Phase.ARTERIAL][Organ.PORTAL_VEIN] + 60
            assert 85 < hu[Phase.PORTAL_VENOUS][Organ.LIVER] < 150
            assert hu[Phase.PORTAL_VENOUS][Organ.LIVER] > hu[Phase.DELAYED][Organ.LIVER] > 70
            assert hu[Phase.ARTERIAL][Organ.LIVER] - hu[Phase.UNENHANCED][Organ.LIVER] < 45

    def test_lesions_enhance_as_their_class_does(self) -> None:
        def contrast(habit: str, phase: Phase) -> float:
            found = []
            for seed in range(15):
                rng = np.random.default_rng(seed)
                bolus, liver = draw_bolus(rng), draw_liver(rng, False)
                part = draw_make(habit, 20.0, liver, 0.0, rng).bulk
                own = 0.0 if part.tissue is None else bolus.at(bolus.uptake(part.tissue), phase)
                base = part.base_hu if part.beside_liver else part.base_hu - 57
                found.append(base + own - bolus.at(bolus.uptake(liver), phase))
            return float(np.median(found))

        for bright in ("FNH", "HCC", "hypervascular metastasis", "flash haemangioma"):
            assert contrast(bright, Phase.ARTERIAL) > 15, bright
        assert contrast("HCC", Phase.DELAYED) < -10
        assert abs(contrast("FNH", Phase.DELAYED)) < 10
        assert contrast("soft metastasis", Phase.PORTAL_VENOUS) < -25
        assert contrast("haemangioma", Phase.DELAYED) > contrast("haemangioma", Phase.PORTAL_VENOUS) + 15
        assert contrast("cyst", Phase.PORTAL_VENOUS) < -80
        assert contrast("perfusion difference", Phase.ARTERIAL) > 8
        assert abs(contrast("perfusion difference", Phase.DELAYED)) < 6


class TestPatient:
    def test_its_checksum_is_the_recorded_one(self, small: tuple[Path, dict]) -> None:
        known = {PART: {"one": [SMALL_DIGEST, SMALL_FINGERPRINT]}}
        (check,) = checksums.compare({PART: {"one": small[1]}}, known)
        assert not check.other, f"the generator is frozen; now {small[1]['digest']} {small[1]['fingerprint']}"

    def test_files_say_the_same(self, small: tuple[Path, dict]) -> None:
        folder = small[0] / PART / "multi05"
        facts = json.loads((folder / "lesions.json").read_text())
        labels, grid = read_image(folder / "labels.nii.gz")
        assert {path.name for path in folder.glob("*.nii.gz")} == {
            f"{name}.nii.gz" for name in ("arterial", "portal", "delayed", "labels")
        }
        lesion = facts["lesions"][0]
        own = labels == lesion["label"]
        where = np.argwhere(own)
        assert lesion["box_zyx"] == [where.min(0).tolist(), (where.max(0) + 1).tolist()]
        liver = labels == 1
        shifts = []
        for phase, wanted in lesion["contrast_hu"].items():
            hu, own_grid = read_image(folder / f"{phase}.nii.gz")
            assert hu.shape == labels.shape
            shifts.append(np.abs(np.subtract(own_grid.origin_lps, grid.origin_lps)).max())
            seen = np.median(hu[own]) - np.median(hu[liver])
            assert abs(seen - wanted) < 16, phase
        assert shifts[1] == 0
        assert 0 < max(shifts) < 16
        assert facts["habit"] == "HCC"
        assert lesion["class"] == "HCC"

    def test_aphe_and_washout_follow_from_the_densities(self, small: tuple[Path, dict]) -> None:
        for lesion in json.loads((small[0] / PART / "multi05" / "lesions.json").read_text())["lesions"]:
            seen = lesion["contrast_hu"]
            assert lesion["aphe"] == (seen["arterial"] >= 10 and not lesion["rim"])
            assert lesion["washout"] == (lesion["aphe"] and min(seen["portal"], seen["delayed"]) <= -10)


def test_every_patient_is_recorded_and_the_total_fits() -> None:
    path = checksums.recorded_file("SynthLiver-2")
    known = checksums.recorded(path)
    assert list(known[PART]) == sorted(p.name for p in plan_patients())
    assert checksums.set_digest(known) == json.loads(path.read_text())["digest"]


def test_command_knows_the_set_and_its_parts(tmp_path: Path) -> None:
    import argparse

    parser = argparse.ArgumentParser()
    command.add_synthesize_arguments(parser)
    words = ["SynthLiver-2", "--out", str(tmp_path), "--part", "volumes"]
    with pytest.raises(InputError, match="SynthLiver-2 has no part volumes"):
        command.run_synthesize(parser.parse_args(words), say=lambda text: None)
