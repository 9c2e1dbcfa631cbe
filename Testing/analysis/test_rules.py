"""The page of clinical decisions: complete, with evidence that exists, overrides that show, and obeyed."""

from __future__ import annotations

import ast
import importlib
import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILib.analysis.class_priors import SETTINGS
from LiverLesionAILib.analysis.page import Page
from LiverLesionAILib.analysis.rules import Rules, settings_from
from LiverLesionAILib.analysis.settings import Settings, parse_class_priors
from LiverLesionAILib.cli.rules import rules_markdown
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.stages.detect.agree import AgreeSettings
from LiverLesionAILib.stages.detect.link import LinkSettings
from LiverLesionAILib.stages.segment.masks import SegmentSettings
from LiverLesionAILib.support.errors import InputError, LiverLesionAIError

ROOT = Path(__file__).resolve().parents[2]
STAGES = ROOT / "LiverLesionAI" / "LiverLesionAILib" / "stages"

TECHNICAL = {
    "BATCH": "memory",
    "SLICES": "how many slices of a view are filled together; no voxel differs",
    "FEW": "how many of a lesion's points bound its distance first; no distance differs",
    "RESIZED": "how many slices are enlarged together; no voxel differs",
    "CANDIDATES": "how many discs of a slice a vena cava's path is chosen from",
    "BETWEEN, BRIDGED": "where a vena cava's path may run between two slices that a network sees it in",
    "HALVED": "where the liver's grid begins; so that a network halves it alike in every scan",
    "HALVED_YX": "where the vessel network's grid begins; so that it halves slices alike in every scan",
    "LEAST_SLICE_MM2": "how little of the liver its first and last slices may be",
    "ANYWHERE": "what speaks for every angle of a vein, so that a few voxels do not lead it away",
    "FORK_MM": "how far about its usual place the right portal fork is looked for",
    "BLOCK_MM": "how finely planes are followed between the corners of blocks; every voxel near one is asked",
    "LIKELY, FEWEST_PIXELS": "how a vena cava is recognised in a network's answer; decides no finding",
    "OUTLINED": "where a network's vena cava has its edge, by its radius on training bodies",
    "MOST_MISSED": "over how many slices a vena cava may be unseen; decides no finding",
    "STRAY_MM": "how straight a vena cava runs; decides no finding",
    "ROUNDED, SLICES_AGREE": "how even a vena cava's wall is told; decides no finding",
    "MOST_SPIKES": "how even a vena cava's wall is told; decides no finding",
    "DOME, TOP": "how far up a vena cava is followed; decides no finding",
    "PEAK_VOXELS, NEARLY": "how finely the portal bifurcation is read about its strongest voxel",
    "SURE": "log odds, chosen with the fitted weights of naming: what is nearer to even is shown as unsure",
    "CHANNELS": "volumes of a network's view",
    "MARGIN_VOXELS": "of a network's view round the liver",
    "BLOOD_HU": "how a vena cava is recognised; decides no finding",
    "FEWEST_VOXELS": "from which a vein's course is read; else its usual place is, and that is said",
    "FEWEST_SLICES": "how a vena cava is recognised; decides no finding",
    "MOST_EXPLAINED": "how many pictures of an explanation are made",
    "MOST_PAIRS": "how much of a map is shown",
    "DRAWS": "how often planes are drawn by chance to see what a lesion could lie in",
    "HEPATIC_SEED_MM": "how near the vena cava a tube enters it",
    "BESIDE_LIVER_MM": "by how much outlines of a liver differ; what is farther out is no vessel of it",
    "TRUNK_MM, TRUNK_LENGTH_MM": "where the portal trunk begins and how far it is drawn",
    "DISCS, RUNS": "among how many round spots an aorta is chosen; as BODY_HU, BONE_HU",
    "SQUEEZED": "how a registration tells that tissue was taken away; such a lesion is said to be resected",
    "SQUEEZED_ROUND_MM": "over which that is measured",
    "LEAST_SHARE": "how sure a network can be of what it leaves out; as the tail of what is measured",
    "HEARD": "how far a network has to count at all before it contradicts; its weights are on the page",
    "HIGH_PERCENT": 'what "could" means there: the page\'s share is compared with it',
    "OPEN, SHUT": "how a gate is described in words",
    "RIGHT_MM, FRONT_MM": "where a vena cava is looked for; decides no finding",
    "SPREAD_MM": "how a vena cava is recognised; decides no finding",
    "TOP_PERCENT": "how bright a picture is",
    "ARTERIAL": "place in the list of phases",
    "BODY_HU, BONE_HU": "how an aorta, and a spine, is recognised",
    "EDGE_PX": "input that the classifier was trained with",
    "ENHANCED_HU": "when a liver has enhanced; without that no sign of enhancement is read",
    "ENTROPY_WEIGHT": "part of the score that the outlier threshold is calibrated on",
    "DEPTH, EDGE": "input that the network that answers clicks was trained with",
    "DISTANCE": "input that the network that answers clicks was trained with",
    "INSIDE, OUTSIDE": "input that the network that answers clicks was trained with",
    "SPREADS": "input that the network that answers clicks was trained with",
    "FAR": "input that the network that answers clicks was trained with",
    "SHARE": "input that the network that answers clicks was trained with",
    "FINEST_MM": "input that the network that answers clicks was trained with",
    "LEAST": "log odds of the network that answers clicks, chosen on patients left out",
    "BELOW": "what stands for no lesion outside of a crop",
    "FALLS": "input that the network that answers clicks was trained with",
    "NARROW_HU": "input that the network that answers clicks was trained with",
    "HU_LIMITS": "what its training volumes hold",
    "FARTHEST": "saves memory; decides nothing",
    "FAR_MM": "capping of the distances that the registration of two times compares",
    "FITTED_SHARE": "input that the classifier was trained with",
    "GOOD_DICE, GOOD_GAP_MM": "when no further start of the registration of two times is tried",
    "GRID_MM": "sampling of the registration, and of the anatomy",
    "KNOTS_MM": "how finely the registration of two times bends",
    "LEAST_SCORE": "keeps log odds finite; how a vena cava is recognised",
    "LESION_MARGIN_MM": "size of a map that is shown",
    "MARGIN_MM": "crop round the liver",
    "MAX_TIES": "calipers, exact",
    "STEPS": "how many points of a place are looked at",
    "MIDDLE_MM": "where the size of the probability's formula counts from; its offset is fitted with it",
    "MOST_POINTS": "sampling of a lesion's voxels",
    "MOST_SHARE, MOST_SAMPLES": "sampling of the registration of two times",
    "NORMAL": "place in the list of classes",
    "N_DIRECTIONS": "calipers, exact",
    "OUTLINE_LEVEL": "input that the classifier was trained with",
    "QUERY_FIRST": "speed of a search",
    "RADII_MM": "how an aorta is recognised",
    "REACH_MM": "what the registration of two times looks at; gaps in a tube that are bridged",
    "RING_MM": "width of the surroundings that are looked at",
    "SMOOTH_MM": "what is coarser is tissue and no noise; single noisy voxels are no edge",
    "MOST_SLICES": "so many slices are enough to measure noise in",
    "LEAST_VOXELS": "noise of less liver is not told; a lesion is not held against less, nor bile",
    "NEAR_MM": "how far from a candidate bile is compared with it; `gallbladder_end_hu` decides",
    "WALL_PERCENTILE": "which voxels are asked for a wall; `gallbladder_end_wall` decides",
    "DEEP": "where a lesion's middle is looked at: deeper than this share of its deepest point",
    "DEEP_MM": "as deep at most",
    "LEAST_HU": "a fainter lesion shows no edge, however quiet the scan",
    "LEAST_LEFT": "with less left the CT shows another thing than the network saw",
    "SHRINK_PX": "the liver's edge is no noise",
    "SHELL_MM": "where a candidate's surroundings are looked at: clear of its blurred border; a lesion's too",
    "SD_OF_MAD": "mathematics",
    "ROUND_MM": "round a lesion the course of a vessel is read in",
    "SEEN_MM": "how surely a point on a vessel is placed",
    "SLAB": "memory",
    "SLAB_POINTS": "memory",
    "SLICES_BESIDE": "what is handed over for a point",
    "SMOOTHING_PX": "input that the classifier was trained with",
    "SPACING_MM": "sampling of the search for the aorta",
    "STARTS_MM": "where the registration of two times begins",
    "STEP_HU": "how even a vena cava usually runs on; `anatomy_cava_uneven_hu` decides",
    "OF_THICK_VOXELS": "how far a thick vessel's wall lies from its middle; `anatomy_least_hepatic` decides",
    "STEP_MM": "sampling of the search for necks; how straight a vena cava runs",
    "TIE_MM": "calipers, exact",
    "WIDTHS_MM": "of the filter for bright tubes",
    "_BOTH": "mathematics",
    "TISSUE_HU, BONE_HU": "how body and spine are recognised",
}
"""Numbers in stages that decide nothing which is reported, or that a network's training fixed."""

BESIDE_THE_PAGE = {
    "anatomy/filling.py": "where thick hepatic veins are looked for; `anatomy_filled_ml` decides",
    "classify/differential.py": "what the page's tables of looks are compared by",
    "classify/features.py": "how edge, rim and core of a lesion are measured",
    "classify/signs.py": "how signs are measured; how far they speak is in the page's `differential_signs`",
    "detect/rays.py": "how finely a surface round a point is searched",
    "detect/star.py": "how what was clicked on is told from the liver; how far it reaches is on the page",
    "explain/health.py": "how a network's attention is judged; nothing is found by it",
    "anatomy/naming.py": "weights learnt of the signs by which a vessel's tree is told, and their reach",
    "anatomy/tube_names.py": "scales and bounds that the learnt table of tubes was trained with",
    "anatomy/tube_shape.py": "how a tube's direction and width are read",
    "anatomy/tube_ways.py": "signs that the table of tubes was trained with, and how finely they are solved",
    "anatomy/usual.py": "where landmarks usually lie; what is taken from there says so, with its uncertainty",
}
"""Files of stages that keep limits with their reasons beside the code, and why."""


@pytest.mark.parametrize("line", Rules().lines, ids=lambda line: line.name)
def test_every_rule_has_a_reason_and_evidence_that_exists(line) -> None:
    assert len(line.why) > 8 and line.why.endswith(".")
    if line.evidence.startswith("none"):
        assert re.fullmatch(r"none: .+", line.evidence), "what is known instead"
        return
    commands = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for one in line.evidence.split("; "):
        file, _, test = one.partition("::")
        if one.startswith("liverlesionai "):
            assert f"\n{one.split()[1]} = " in commands
        elif test:
            assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")
        else:
            assert one.endswith(".md") and (ROOT / one).is_file()


def test_models_and_users_override_and_it_is_told_who_did() -> None:
    manifest = Manifest.read()
    sfan, cs_att = manifest.find("sfan"), manifest.find("cs_att")
    rules = Rules().calibrated(sfan).calibrated(cs_att)
    assert rules.score_threshold == sfan.calibration["score_threshold"]
    assert rules.box_threshold == cs_att.calibration["score_threshold"], "each task has its own"
    assert rules.without_box == 0.1 and Rules().without_box is None
    assert rules.set_by["tumour_threshold"] == rules.set_by["liver_threshold"] == "calibration of sfan"
    user = rules.chosen(Settings(smallest_mm=6.0, detector_threshold=0.3))
    assert (user.smallest_mm, user.box_threshold) == (6.0, 0.3)
    assert user.set_by["smallest_mm"] == user.set_by["box_threshold"] == "the user"
    assert user.score_threshold == rules.score_threshold
    assert "smallest_mm" not in rules.set_by
    same = rules.chosen(Settings(smallest_mm=rules.smallest_mm, margin_mm=rules.margin_mm))
    assert same == rules, "a setting that says what the page says changes nothing"


def test_unknown_rules_and_those_networks_were_trained_with_cannot_be_set() -> None:
    with pytest.raises(InputError, match="no rule 'smallest'"):
        Rules().changed({"smallest": 3.0}, "me")
    with pytest.raises(InputError, match="level_shift_hu cannot be changed"):
        Rules().changed({"level_shift_hu": 90.0}, "me")
    assert Rules().changed({"level_shift_hu": 60.0}, "me").level_shift_hu == 60.0
    spec = InputSpec((1.0, 1.0, 1.0), (-100.0, 100.0), 3, liver_hu=100.0)
    assert spec.shift_hu(-50.0) == Rules().level_shift_hu, "printed is what is used"


def test_there_and_back_through_json() -> None:
    rules = Rules().changed({"smallest_mm": 7.5, "without_box": 0.2}, "me")
    again = Rules.from_json(json.loads(json.dumps(rules.to_json())), "a case")
    assert replace(again, set_by={}) == replace(rules, set_by={})
    values = rules.to_json()
    del values["neck_mm"]
    with pytest.raises(InputError, match="lacks the rules neck_mm"):
        Rules.from_json(values, "a case")
    with pytest.raises(InputError, match="no rule 'more'"):
        Rules.from_json({**rules.to_json(), "more": 1}, "a case")


def test_parts_are_the_pages_lines() -> None:
    rules = Rules().changed({"link_gap": 3, "neck_mm": 12.0}, "me")
    assert rules.part(LinkSettings).gap == 3
    assert rules.part(SegmentSettings).neck_mm == 12.0
    links = settings_from({"link_bias": -1.0, "score_threshold": 0.4, "else": 5.0}, LinkSettings)
    assert links == replace(Rules().part(LinkSettings), bias=-1.0)
    assert settings_from({"agree_without": 0.3}, AgreeSettings).without_box == 0.3


def stage_modules() -> Iterator[Path]:
    yield from (p for p in sorted(STAGES.rglob("*.py")) if p.name != "__init__.py")


def test_settings_of_stages_have_no_number_of_their_own() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    seen = set()
    for path in stage_modules():
        name = ".".join(path.relative_to(STAGES.parents[1]).with_suffix("").parts)
        for key, value in vars(importlib.import_module(name)).items():
            if not (isinstance(value, type) and is_dataclass(value) and key.endswith("Settings")):
                continue
            if value.__module__ != name:
                continue
            seen.add(key)
            defaults = [f.name for f in fields(value) if f.default is not MISSING]
            assert defaults == [], f"{name}.{key} has numbers of its own"
            if key != "ClassStageSettings":
                assert isinstance(Rules().part(value), value)
    assert {"SegmentSettings", "LinkSettings", "PhaseSettings", "RegisterSettings"} <= seen


def test_stages_have_no_threshold_beside_the_page() -> None:
    wrong = []
    for path in stage_modules():
        where = path.relative_to(STAGES).as_posix()
        if where in BESIDE_THE_PAGE:
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
                continue
            target = ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
            numbers = [
                one
                for one in ast.walk(node.value)
                if isinstance(one, ast.Constant) and type(one.value) in (int, float)
            ]
            if numbers and target.strip("()") not in TECHNICAL:
                wrong.append(f"{where}: {target}")
    assert wrong == [], "on the page of rules, or in TECHNICAL with the reason why not"


def test_a_changed_rule_changes_what_is_reported() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    from LiverLesionAILib.analysis.pipeline import analyze
    from support.threshold_models import ThresholdModels, phantom

    volume, _ = phantom()
    settings = Settings(device="cpu", precision="float32", attention=False)
    larger = Rules().changed({"smallest_mm": 28.0}, "me")
    found = analyze(volume, settings, ThresholdModels(), rules=larger)
    (lesion,) = found.lesions
    assert lesion.measurement.volume_ml > 20, "the smaller one, of 7 mL, is left out"
    assert found.run.rules["smallest_mm"] == 28.0 and found.run.set_by == {"smallest_mm": "me"}
    none = Rules().changed({"smallest_liver_ml": 5000.0}, "me")
    assert not np.any(analyze(volume, settings, ThresholdModels(), rules=none).liver_zyx)


def test_the_documentation_is_what_the_command_prints() -> None:
    from LiverLesionAILib.analysis.choice import Choice
    from LiverLesionAILib.analysis.rules import rules_of

    page = (ROOT / "Resources" / "RULES.md").read_text(encoding="utf-8")
    printed = rules_markdown(rules_of(Choice.of(Manifest.read(), Settings())))
    assert printed in page, "liverlesionai rules --markdown prints what belongs below the introduction"


def test_every_rule_is_on_the_page_once() -> None:
    assert issubclass(Rules, Page)
    names = [line.name for line in Rules().lines]
    assert len(names) == len(set(names)) > 50
    assert set(Rules.HEADINGS) <= set(names)


def test_class_priors_can_be_changed_and_the_others_share_the_rest() -> None:
    stated = Rules().differential_priors
    changed = parse_class_priors("hcc=0.4,cyst=0.1", stated)
    assert changed is not None
    shares, before = dict(changed), dict(stated)
    assert (shares["HCC"], shares["cyst"]) == (0.4, 0.1)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["metastasis"] / shares["FNH"] == pytest.approx(before["metastasis"] / before["FNH"])
    settings = Settings.from_json(Settings(class_priors=changed).to_json())
    assert Rules().chosen(settings).differential_priors == changed
    assert parse_class_priors(None, stated) is None
    for wrong in ("HCC", "HCC=2", "melanoma=0.1", "HCC=0.1,HCC=0.2", "HCC=0.7,cyst=0.7"):
        with pytest.raises(LiverLesionAIError, match="--class-priors"):
            parse_class_priors(wrong, stated)


def test_class_priors_of_a_setting_are_whole_and_named_alike() -> None:
    stated = Rules().differential_priors
    for name, priors in SETTINGS.items():
        assert [one for one, _ in priors.shares] == [one for one, _ in stated], name
        assert sum(share for _, share in priors.shares) == pytest.approx(1.0)
        assert parse_class_priors(name.upper().replace(" ", "-"), stated) == priors.shares
    assert parse_class_priors("staging", stated) == stated
