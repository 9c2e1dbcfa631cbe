"""From scans of one body in several phases to classes, a page of lesions, and a table of phases."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILab.data.cases import read_unchecked
from LiverLesionAILab.data.synthliver2 import PhasesOfPatient, find_phases
from LiverLesionAILab.evaluation.lesion_classes import judged_lesions, kept_measurements, read_phase
from LiverLesionAILab.evaluation.lesion_page import SIDE_PX, lesion_picture, write_lesion_page
from LiverLesionAILab.evaluation.phase_table import NamedLesion, PhaseRow, names_table, run_phase_table
from LiverLesionAILab.synthesis.synthliver.multiphase import LABEL_FILE, LESION_FILE
from LiverLesionAILab.synthesis.synthliver.multiphase_plan import PART
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.store import save_result
from LiverLesionAILib.stages.classify.differential import DifferentialSettings
from LiverLesionAILib.stages.classify.features import LesionFeatures
from LiverLesionAILib.stages.classify.lesions import ClassifySettings
from LiverLesionAILib.stages.classify.second_phase import RegisterSettings
from LiverLesionAILib.stages.classify.stage import ClassStageSettings
from LiverLesionAILib.stages.phase.estimate import PhaseSettings
from LiverLesionAILib.support.errors import InputError
from support.evaluation_scans import write_image
from support.vessel_phantom import GRID, LESIONS, points_of, vessel_case

SETTINGS = Rules().part(DifferentialSettings)


def _write(path: Path, array: np.ndarray) -> None:
    write_image(path, array, GRID.spacing_zyx_mm, GRID.origin_lps)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> PhasesOfPatient:
    """A body with a metastasis and a cyst, arterial and portal venous."""
    folder = tmp_path_factory.mktemp("set")
    own = folder / PART / "patient001"
    own.mkdir(parents=True)
    portal, result = vessel_case()
    arterial, _ = vessel_case(vein_hu=95.0)
    labels = result.lesion_labels_zyx
    hu = {Phase.PORTAL: np.array(portal.hu_zyx), Phase.ARTERIAL: np.array(arterial.hu_zyx)}
    hu[Phase.ARTERIAL][result.liver_zyx & (labels == 0)] -= 35
    noise = np.random.default_rng(1).normal(0, 6, labels.shape)
    for phase, values in hu.items():
        # Deep in the body a round vessel on the spine's left: the aorta.
        x, y = points_of(GRID)[..., 0], points_of(GRID)[..., 1]
        aorta = np.hypot(x - 12, y - 25) < 10
        values[aorta & ~result.liver_zyx] = 320 if phase is Phase.ARTERIAL else 160
        values[labels == 2] = np.rint(8 + noise[labels == 2]).astype(values.dtype)
        _write(own / f"{phase.value}.nii.gz", values)
    _write(own / LABEL_FILE, np.where(labels > 0, labels + 1, result.liver_zyx).astype(np.uint8))
    lesions = []
    for number, kind in ((1, "metastasis"), (2, "cyst")):
        at = np.argwhere(labels == number)
        contrast = {"arterial": -30.0, "portal": -60.0}
        facts = {"number": number, "label": number + 1, "class": kind, "habit": kind, "contrast_hu": contrast}
        facts["diameter_mm"] = 2 * LESIONS[number][1]
        facts["box_zyx"] = [at.min(axis=0).tolist(), (at.max(axis=0) + 1).tolist()]
        lesions.append(facts)
    (own / LESION_FILE).write_text(json.dumps({"lesions": lesions}))
    (one,) = find_phases(folder)
    return one


@pytest.fixture(scope="module")
def measurements(patient: PhasesOfPatient, tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("run")
    rules = Rules()
    parts = (rules.part(kind) for kind in (ClassifySettings, PhaseSettings, RegisterSettings))
    settings = ClassStageSettings(*parts, SETTINGS)
    made = kept_measurements([patient], folder, settings, None)
    kept = folder / "measured" / "patient001.json"
    before = kept.stat().st_mtime_ns
    assert kept_measurements([patient], folder, settings, None) == made
    assert kept.stat().st_mtime_ns == before, "measured once"
    return made


def test_a_network_is_asked_as_the_picture_looks_and_as_it_is_named(patient, measurements, tmp_path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from LiverLesionAILib.models.inputs import InputSpec
    from LiverLesionAILib.models.weights import ModelEntry
    from LiverLesionAILib.stages.classify.families import SliceClassifier
    from support.toy_phased import ToldPhase

    (tmp_path / "measured").mkdir()
    (tmp_path / "measured" / "patient001.json").write_text(json.dumps(measurements["patient001"]))
    parts = (Rules().part(kind) for kind in (ClassifySettings, PhaseSettings, RegisterSettings))
    settings = ClassStageSettings(*parts, SETTINGS)
    spec = InputSpec((3.0, 1.5, 1.5), (-40.0, 220.0), 3)
    entry = ModelEntry("dadrn", "classify", "dadrn", {"phases": 4}, spec, "", "")
    network = ToldPhase()
    said = kept_measurements([patient], tmp_path, settings, SliceClassifier(entry, network, explain=False))
    told = [seen[0].tolist() for seen in network.told]
    shares = measurements["patient001"]["arterial"]["shares"]
    assert told[0] == pytest.approx(shares) and [0.0, 1.0, 0.0, 0.0] in told
    own = said["patient001"]["portal"]
    named, looks = read_phase(own, Phase.PORTAL), read_phase(own, None)
    assert named.shares == (0.0, 0.0, 1.0, 0.0) and looks.shares == pytest.approx(own["shares"])
    assert named.network == {int(n): one for n, one in own["network_named"].items()}
    count = len(network.told)
    kept_measurements([patient], tmp_path, settings, SliceClassifier(entry, network, explain=False))
    assert len(network.told) == count, "asked once"
    other = SliceClassifier(replace(entry, sha256="another"), network, explain=False)
    kept_measurements([patient], tmp_path, settings, other)
    assert len(network.told) == 2 * count, "other weights are asked anew, nothing else is measured again"


def test_what_is_measured_is_what_was_drawn(patient, measurements) -> None:
    assert patient.phases == (Phase.ARTERIAL, Phase.PORTAL)
    own = measurements["patient001"]
    assert set(own) == {"arterial", "portal"}
    cyst = LesionFeatures(**own["portal"]["features"]["2"])
    solid = LesionFeatures(**own["portal"]["features"]["1"])
    assert cyst.core_hu == pytest.approx(8, abs=4) and solid.core_hu == pytest.approx(70, abs=4)
    assert own["portal"]["looks"] == "portal" and own["portal"]["vessels_hu"] > 140


def test_a_cyst_is_called_so_and_the_dark_solid_one_is_no_fnh(patient, measurements) -> None:
    said = {
        one.number: one
        for one in judged_lesions([patient], measurements, (Phase.PORTAL, Phase.ARTERIAL), SETTINGS)
    }
    assert said[2].guess == said[2].truth == "cyst"
    assert said[1].guess not in ("fnh", "hcc", "cyst")
    alone = judged_lesions([patient], measurements, (Phase.PORTAL,), SETTINGS)
    assert {one.number for one in alone} == {1, 2}
    assert judged_lesions([patient], measurements, (Phase.DELAYED,), SETTINGS) == []


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_page_shows_each_lesion_in_each_phase(patient, measurements, tmp_path: Path) -> None:
    lesions = judged_lesions([patient], measurements, (Phase.PORTAL, Phase.ARTERIAL), SETTINGS)
    path = write_lesion_page([patient], lesions, tmp_path)
    text = path.read_text(encoding="utf-8")
    tags = _Tags(text).seen
    sections = [tag for tag, _ in tags if tag == "section"]
    pictures = [attrs["src"] for tag, attrs in tags if tag == "img"]
    assert len(sections) == len(lesions) == 2 and len(pictures) >= 4
    assert all(src and src.startswith("data:image/png;base64,") for src in pictures)
    assert "truth <b>cyst</b>" in text and "http" not in text.replace("http-equiv", "")


def test_the_picture_is_the_lesions_slice_with_its_outline(patient) -> None:
    rgb = lesion_picture(patient, 2, Phase.PORTAL)
    assert rgb.shape == (SIDE_PX, SIDE_PX, 3)
    middle = rgb[SIDE_PX // 2 - 4 : SIDE_PX // 2 + 4, SIDE_PX // 2 - 4 : SIDE_PX // 2 + 4]
    # Water in the middle is dark; the outline around it is the only thing in colour.
    assert middle.mean() < 90
    assert (np.ptp(rgb.astype(int), axis=2) > 60).sum() > 40


def test_the_table_of_phases_says_what_it_sees(patient, tmp_path: Path, capsys) -> None:
    ct = tmp_path / "one_ct.nii.gz"
    ct.write_bytes((patient.folder / "portal.nii.gz").read_bytes())
    labels = patient.labels()
    _write(tmp_path / "one_mask.nii.gz", np.where(labels > 1, 2, labels).astype(np.uint8))
    (tmp_path / "alone_ct.nii.gz").write_bytes(ct.read_bytes())
    told = []
    args = argparse.Namespace(data=tmp_path, cases=None)
    assert run_phase_table(args, lambda text, share: told.append(text)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert told == ["phase of one_ct.nii.gz"] and len(lines) == 7
    assert lines[2].startswith("| one |") and "portal venous" in lines[2] and "cyst 1" in lines[2]
    assert lines[4].startswith("| scans that look |") and lines[6].startswith("| portal venous | 2 |")


def test_names_are_counted_over_the_scans_of_a_phase() -> None:
    metastases = (NamedLesion("metastasis", 0.9, 20.0, True), NamedLesion("metastasis", 0.7, 5.0, True))
    others = (NamedLesion("indeterminate", 0.4, 9.0, True), NamedLesion("cyst", 0.0, 6.0, False))
    rows = [PhaseRow("", "portal venous", metastases), PhaseRow("", "portal venous", others)]
    rows += [PhaseRow("", "arterial", (NamedLesion("FNH", 0.1, 30.0, False),)), PhaseRow("", "delayed", ())]
    assert names_table(rows).splitlines()[2:] == [
        "| arterial | 1 | 0 | nan | 1 | 0 | 0 | 0 | 0 | 1 | 0 |",
        "| portal venous | 4 | 2 | 0.70 | 0 | 1 | 1 | 3 | 2 | 2 | 1 |",
    ]


def test_any_analysed_ct_has_a_phase_without_a_mask(patient, tmp_path: Path, capsys) -> None:
    """Image files in folders below, and those alone that have a case."""
    deep = tmp_path / "data" / "unlabelled"
    deep.mkdir(parents=True)
    for name in ("one", "alone"):
        (deep / f"{name}_ct.nii.gz").write_bytes((patient.folder / "portal.nii.gz").read_bytes())
    ct, labels = read_unchecked(deep / "one_ct.nii.gz"), patient.labels()
    none = np.zeros(labels.shape, np.uint16)
    save_result(CaseResult("one_ct", ct.geometry, labels > 0, none), tmp_path / "cases" / "one_ct")
    args = argparse.Namespace(data=tmp_path / "data", cases=tmp_path / "cases")
    assert run_phase_table(args) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("| one |") and "portal venous" in lines[2] and "say nothing" in lines[2]
    with pytest.raises(InputError, match="no case folder"):
        run_phase_table(argparse.Namespace(data=tmp_path / "data", cases=tmp_path / "nothing"))
