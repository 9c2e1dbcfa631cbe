"""SynthLiver-2: its plan, its physics, and one small patient with its checksum."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.data.images import read_image
from LiverLesionAILab.data.synthliver2 import find_phases
from LiverLesionAILab.synthesis.appearance import Phase
from LiverLesionAILab.synthesis.organs import Organ
from LiverLesionAILab.synthesis.patient import LiverKind
from LiverLesionAILab.synthesis.synthliver import build as building
from LiverLesionAILab.synthesis.synthliver import checksums, command
from LiverLesionAILab.synthesis.synthliver.habits import HABITS, draw_make
from LiverLesionAILab.synthesis.synthliver.kinetics import (
    FROZEN,
    SECONDS,
    Tissue,
    draw_bolus,
    draw_liver,
    draw_tables,
)
from LiverLesionAILab.synthesis.synthliver.multiphase_other import OTHER_BOLUS, draw_other, plan_others
from LiverLesionAILab.synthesis.synthliver.multiphase_plan import (
    PART,
    PART_SECOND,
    SEED,
    SEED_SECOND,
    plan_patients,
    plan_second,
)
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


@pytest.mark.parametrize(
    ("name", "part", "plans", "digest"),
    [
        ("SynthLiver-2", PART, plan_patients(), "003c67adadf94e1d"),
        ("SynthLiver-2-second", PART_SECOND, plan_second(), "d2114d64ec003835"),
    ],
)
def test_every_patient_is_recorded_and_the_total_fits(name, part, plans, digest) -> None:
    path = checksums.recorded_file(name)
    known = checksums.recorded(path)
    assert list(known[part]) == sorted(p.name for p in plans)
    assert checksums.set_digest(known) == json.loads(path.read_text())["digest"] == digest


class TestSecond:
    def test_the_first_set_is_planned_as_it_was(self) -> None:
        """All 60 plans, to the last figure; their images follow from them and from `small`'s checksum."""
        told = "\n".join(
            f"{p.name} {p.seed} {p.body} {p.habit} {p.cyst_beside} {[phase.value for phase in p.phases]}"
            for p in plan_patients()
        )
        assert hashlib.sha256(told.encode()).hexdigest()[:16] == "90e3adafb54d4874"

    def test_the_second_differs_in_its_seed_alone(self) -> None:
        first, second = plan_patients(), plan_second()
        assert plan_patients(None, SEED, PART_SECOND, "second") == [
            replace(p, name=p.name.replace("multi", "second"), part=PART_SECOND) for p in first
        ]
        assert [p.habit for p in second] == [p.habit for p in first], "as many of every habit"
        assert not {p.seed for p in first} & {p.seed for p in second}
        assert {p.seed[0] for p in second} == {SEED_SECOND}
        assert {p.body for p in first}.isdisjoint(p.body for p in second)
        assert plan_second(1) == [p for p in second if p in plan_second(1)]

    def test_a_patient_is_made_where_the_second_set_has_it(self, tmp_path: Path) -> None:
        one = next(p for p in plan_second() if p.habit == "perfusion difference")
        body = replace(one.body, spacing_zyx_mm=(5.0, 4.0, 4.0), thickness_mm=5.0, coarse_mm=5.0)
        building.make_one(PART_SECOND, replace(one, body=body, phases=tuple(Phase)[1:]), tmp_path)
        (patient,) = find_phases(tmp_path)
        assert (patient.name, patient.folder.parent.name) == (one.name, PART_SECOND)


def test_command_knows_the_set_and_its_parts(tmp_path: Path) -> None:
    words = ["SynthLiver-2", "--out", str(tmp_path), "--part", "volumes"]
    with pytest.raises(InputError, match="SynthLiver-2 has no part volumes"):
        command.run_synthesize(_arguments(words), say=lambda text: None)


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_synthesize_arguments(parser)
    return parser.parse_args(words)


class TestOther:
    def test_bodies_of_all_classes_from_other_seeds_and_ranges(self) -> None:
        plans = plan_others()
        assert len({p.seed for p in plans} | {p.seed for p in plan_patients()}) == len(plans) + 60
        assert plan_others(3) == plans[:3]
        for plan in plans:
            assert {HABITS[kind].code for kind in plan.kinds} == {one.code for one in HABITS.values()}
            assert ("focal sparing" in plan.kinds) <= (plan.body.liver_kind is LiverKind.FATTY)
        frozen, other = FROZEN, OTHER_BOLUS
        for name in (
            "peak_hu",
            "mixed_hu",
            "length_s",
            "arrival_s",
            "heart_s",
            "leaving_s",
            "transit_s",
            "gut_s",
        ):
            low, high = getattr(frozen, name)
            assert getattr(other, name)[0] < low < high < getattr(other, name)[1]

    def test_lesions_scatter_further_and_what_is_liver_stays_liver(self) -> None:
        def volumes(draw) -> np.ndarray:
            made = (
                draw("HCC", 30.0, Tissue(0.018, 0.5, 0.2), 0.0, np.random.default_rng(n)) for n in range(80)
            )
            return np.array([one.bulk.tissue.volume for one in made])

        assert np.ptp(volumes(draw_other)) > 1.4 * np.ptp(volumes(draw_make))
        liver = Tissue(0.018, 0.5, 0.2)
        fat = draw_other("focal fat", 30.0, liver, 0.0, np.random.default_rng(1))
        assert fat.bulk.tissue == liver and fat.adds
        assert draw_other("cyst", 20.0, liver, 0.0, np.random.default_rng(1)).bulk.tissue is None

    def test_a_body_is_made_read_back_and_nothing_is_recorded_of_it(
        self, tmp_path: Path, monkeypatch
    ) -> None:
        one = plan_others(2)[1]
        body = replace(one.body, spacing_zyx_mm=(5.0, 4.0, 4.0), thickness_mm=5.0, coarse_mm=5.0)
        small = replace(one, body=body)
        monkeypatch.setattr(building, "plan_others", lambda limit=None: [small])
        said: list[str] = []
        args = _arguments(["SynthLiver-2-other", "--out", str(tmp_path), "--jobs", "1"])
        assert command.run_synthesize(args, say=said.append) == 0
        assert not any("checksum" in line for line in said)
        (patient,) = find_phases(tmp_path)
        assert patient.name == one.name
        assert {facts["class"] for facts in patient.lesions.values()} <= {h.code for h in HABITS.values()}
        assert len(patient.lesions) >= 4
        with pytest.raises(InputError, match="no checksums"):
            command.run_synthesize(
                _arguments(
                    ["SynthLiver-2-other", "--out", str(tmp_path), "--record", str(tmp_path / "r.json")]
                )
            )
