"""The comparison of mask networks: what is trained and scored, what is kept, and the table's figures."""

from __future__ import annotations

import argparse
import itertools
import json
import math
from dataclasses import asdict
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.compare.kept import read_rows
from LiverLesionAILab.compare.segmenter_families import FAMILIES, Variant, trunk_of
from LiverLesionAILab.compare.segmenter_tables import found_at, pooled_slices, slices_table
from LiverLesionAILab.compare.segmenters import (
    Training,
    add_segmenter_arguments,
    protocol,
    run_compare_segmenters,
    run_training,
    score,
    tables_text,
    trainings,
    with_coarse,
)
from LiverLesionAILab.training.bundling import bundle
from LiverLesionAILab.training.command import add_train_arguments, changed_config, smaller_bank
from LiverLesionAILab.training.loop import take_weights
from LiverLesionAILab.training.recipes import RECIPES
from LiverLesionAILib.cli import main as cli
from LiverLesionAILib.models.inputs import parse_pyramid
from LiverLesionAILib.models.weights import Manifest, build_network, load_network, save_weights
from LiverLesionAILib.support.errors import InputError, LiverLesionAIError

PATIENTS = {"one": "P", "two": "P", "three": "Q"}


def options(out: Path, *more: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_segmenter_arguments(parser)
    return parser.parse_args(["sfan", "data", "--out", str(out), *more])


def flat(parts: list[list[Training]]) -> list[Training]:
    return list(itertools.chain.from_iterable(parts))


def bundled(training: Training) -> None:
    """What a training leaves behind, with weights that learnt nothing."""
    recipe = RECIPES[training.model]
    run = training.models / "run"
    run.mkdir(parents=True)
    save_weights(build_network(recipe.network, asdict(recipe.config)), run / "weights.pt")
    (run / "curve.csv").write_text("step,loss\n")
    bundle(recipe, training.model, run, training.models)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_training_is_a_command_that_train_takes(family: str, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    args = options(tmp_path, "--seeds", "2", "--trunk-steps", "3")
    for training in flat(trainings(args, FAMILIES[family].variants)):
        args = parser.parse_args(list(training.command))
        assert args.model == training.model and args.bundle == training.models and args.hold_out in "ABCDE"
        # The network really has these settings, and can be built with them.
        build_network(
            RECIPES[args.model].network, asdict(changed_config(RECIPES[args.model].config, args.config))
        )


def test_one_run_a_patient_and_seed_and_none_twice(tmp_path: Path) -> None:
    jobs = flat(trainings(options(tmp_path, "--seeds", "2"), FAMILIES["pyramid"].variants))
    assert len(jobs) == 5 + 2 * 5
    assert len({job.models for job in jobs}) == len(jobs)


def test_rows_of_the_data_leave_parts_out_and_share_a_small_bank(tmp_path: Path) -> None:
    jobs = flat(trainings(options(tmp_path, "--seeds", "1", "--bank", "7"), FAMILIES["data"].variants))
    assert len({job.models for job in jobs}) == len(jobs) == 5 + 5 * len(FAMILIES["data"].variants)
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    left_out = {tuple(parser.parse_args(list(job.command)).without) for job in jobs}
    assert {("distractors",), ("large",), ("capsule",), ("healthy",), ("bodies",), ("synthetic",)} < left_out
    assert {parser.parse_args(list(job.command)).bank for job in jobs} == {7}
    small = smaller_bank(RECIPES["sfan"], 7)
    assert small.bank.variants_per_patient == small.bodies == small.healthy_variants == 7
    assert smaller_bank(RECIPES["coarse_unet"], 500).bodies == RECIPES["coarse_unet"].bodies
    with pytest.raises(InputError, match="--bank 0"):
        smaller_bank(RECIPES["sfan"], 0)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_variant_takes_over_all_of_its_trunk(family: str) -> None:
    for variant in FAMILIES[family].variants:
        trunk = trunk_of(variant)
        own, common = (
            build_network(
                RECIPES[v.recipe].network, asdict(changed_config(RECIPES[v.recipe].config, list(v.config)))
            )
            for v in (variant, trunk)
        )
        anew = set(take_weights(own, common.state_dict()))
        assert set(common.state_dict()) == set(own.state_dict()) - anew
        assert bool(anew) == (variant.run != trunk.run)


def test_variants_start_from_trunks_of_their_own_fold_which_are_trained_first(tmp_path: Path) -> None:
    args = options(tmp_path, "--trunk-steps", "7", "--seeds", "1")
    first, then = trainings(args, FAMILIES["sfan"].variants)
    trunks = {job.models: job for job in first if job.model != "coarse_unet"}
    assert len(trunks) == 2 * 5 and {job.command[2] for job in trunks.values()} == {"7"}
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    for job in then:
        told = parser.parse_args(list(job.command))
        trunk = trunks[told.start.parent.parent]
        assert told.start == trunk.models / "run" / "weights.pt"
        assert parser.parse_args(list(trunk.command)).hold_out == told.hold_out
        assert trunk.model == told.model


def test_trunks_are_done_before_what_starts_from_them(tmp_path: Path) -> None:
    args = options(tmp_path, "--seeds", "1", "--trunk-steps", "2", "--jobs", "4", "--only", "U-Net; SFAN")
    seen: list[Path] = []

    def train(training: Training) -> None:
        seen.append(training.models)
        bundled(training)

    def evaluate(args: argparse.Namespace, variant: Variant, seed: int) -> Path:
        path = tmp_path / f"{variant.run}-{seed}.json"
        path.write_text(json.dumps({"methods": {variant.recipe: {"cases": scores(variant, seed)}}}))
        return path

    run_compare_segmenters(args, train=train, evaluate=evaluate)
    late = [path for path in seen if not path.parent.name.startswith(("trunk", "coarse"))]
    assert seen[-len(late) :] == late and len(seen) == 5 + 10 + 10
    assert "after 2 steps of the same network without attention" in (tmp_path / "sfan.txt").read_text()


def test_a_pyramid_for_all_variants(tmp_path: Path) -> None:
    assert parse_pyramid(options(tmp_path).pyramid) is None
    assert parse_pyramid(options(tmp_path, "--pyramid", "0.5,1").pyramid) == (0.5, 1.0)
    assert protocol(options(tmp_path, "--pyramid", "0.5,1")).endswith("at 0.5, 1 times the size")
    for wrong in ("x", "0", "1,-2"):
        with pytest.raises(InputError, match="--pyramid"):
            run_compare_segmenters(options(tmp_path, f"--pyramid={wrong}"))


def slices(n: int, without: int, precision: float, recall: float, px: float | None) -> dict:
    rest = {"dice": 0.5, "jaccard": 0.4, "specificity": 0.99, "hausdorff_px": px}
    return {"n_slices": n, "n_without_distance": without, "precision": precision, "recall": recall, **rest}


def test_seven_scores_are_pooled_over_slices() -> None:
    rows = [
        {"slices": slices(10, 5, 0.2, 0.8, 10.0)},
        {"slices": slices(30, 30, 0.6, 0.4, None)},
        {"slices": None},
    ]
    pooled = pooled_slices(rows)
    assert pooled["precision"] == pytest.approx(0.5) and pooled["recall"] == pytest.approx(0.5)
    assert pooled["f1"] == pytest.approx(0.5) and pooled["hausdorff_px"] == 10.0
    assert math.isnan(pooled_slices([{"slices": None}])["dice"])
    text = slices_table(FAMILIES["mscd"], {"MSCD": [{"a": rows[0]}, {"a": rows[0], "b": rows[1]}]})
    line, published = text.splitlines()[2:4]
    assert line.startswith("MSCD ") and "50.0 (0.0)" in line and "35.0 (21.2)" in line
    assert published.split() == ["published", "82.16", "30.01", "73.46", "76.96", "91.18", "99.86", "83.37"]


def synthliver(folder: Path, tests: int = 3) -> Path:
    """A folder that is laid out like SynthLiver-1; nothing in it is read here."""
    for split, number in [("train", 1), *(("test", 2 + k) for k in range(tests))]:
        scan = folder / "volumes" / split / f"synth{number:03d}"
        scan.mkdir(parents=True)
        for name in ("ct.nii.gz", "labels.nii.gz"):
            (scan / name).write_bytes(b"")
        (scan / "lesions.json").write_text(json.dumps({"patient": scan.name, "lesions": []}))
    return folder


def test_on_synthliver_every_variant_is_trained_once_and_scored_on_the_test_scans(tmp_path: Path) -> None:
    data = synthliver(tmp_path / "set")
    parser = argparse.ArgumentParser()
    add_segmenter_arguments(parser)
    args = parser.parse_args(
        ["sfan", str(data), "--out", str(tmp_path / "out"), "--seeds", "2", "--scans", "2"]
    )
    jobs = flat(trainings(args, FAMILIES["sfan"].variants))
    assert len(jobs) == 2 * len(FAMILIES["sfan"].variants)
    trains = argparse.ArgumentParser()
    add_train_arguments(trains)
    for job in jobs:
        told = trains.parse_args(list(job.command))
        assert told.synthliver == data and told.hold_out == "" and job.models.name == "train"
    assert "scored on 2 test scans" in protocol(args)
    args.family = "data"
    with pytest.raises(InputError, match="measured on the real scans"):
        run_compare_segmenters(args, train=lambda training: None)


def test_a_common_trunk_would_have_seen_what_rows_of_the_data_go_without(tmp_path: Path) -> None:
    args = options(tmp_path, "--trunk-steps", "2")
    args.family = "data"
    with pytest.raises(InputError, match="--trunk-steps"):
        run_compare_segmenters(args, train=lambda training: None)


def test_scoring_on_synthliver_takes_the_trained_network_and_the_bundled_coarse_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from LiverLesionAILab.evaluation import command, models

    data = synthliver(tmp_path / "set")
    parser = argparse.ArgumentParser()
    add_segmenter_arguments(parser)
    args = parser.parse_args(["sfan", str(data), "--out", str(tmp_path / "out"), "--scans", "2"])
    variant = FAMILIES["sfan"].variants[1]
    job = next(iter(flat(trainings(args, [variant]))))
    bundled(job)
    asked: dict[str, object] = {}

    def evaluate(options: argparse.Namespace, method: object, say: object) -> int:
        asked.update(options=options)
        return 0

    def maker(*given: object, models: Path) -> object:
        asked.update(models=models, folds=given[3])
        return None

    monkeypatch.setattr(command, "run_evaluate", evaluate)
    monkeypatch.setattr(models, "method_maker", maker)
    score(args, variant, 0)
    assert asked["models"] == job.models and asked["folds"] is None
    names = [entry.name for entry in Manifest.read(job.models).entries]
    assert names == ["coarse_unet", "sfan"]
    coarse = next(e for e in Manifest.read().entries if e.name == "coarse_unet")
    assert (job.models / coarse.file).read_bytes() == (Manifest.read().folder / coarse.file).read_bytes()
    options = asked["options"]
    assert isinstance(options, argparse.Namespace)
    assert options.cases == "synth002,synth003" and options.split == "test" and options.model == ["sfan"]


def test_found_at_equal_rates_of_false_lesions() -> None:
    curve = {"false_per_unit": [0.0, 0.4, 1.0, 1.8], "sensitivity": [0.1, 0.3, 0.5, 0.9]}
    other = {"false_per_unit": [0.0, 0.9], "sensitivity": [0.2, 0.6]}
    assert found_at([curve], 0.5) == 0.3
    assert found_at([curve, other], 1.0) == pytest.approx(0.55)
    assert found_at([{"false_per_unit": [3.0], "sensitivity": [1.0]}], 2.0) == 0.0
    assert math.isnan(found_at([{}], 1.0))


def case(name: str, dice: float, lesions: list[tuple[float, float]], false: int) -> dict:
    return {
        "name": name,
        "patient": PATIENTS[name],
        "tumour": {"dice": dice},
        "lesions": {
            "total": len(lesions),
            "found": sum(d > 0 for _, d in lesions),
            "false": false,
            "reference": [{"diameter_mm": mm, "dice": d} for mm, d in lesions],
        },
    }


def scores(variant: Variant, seed: int) -> list[dict]:
    gain = 0.2 if variant.name == "SFAN" else 0.0
    return [
        case("one", 0.5 + gain + 0.02 * seed, [(8, 0.0), (20, 0.6 + gain)], 1),
        case("two", 0.4 + gain + 0.02 * seed, [(10, 0.4 + gain)], 2),
        case("three", 0.3 + gain + 0.02 * seed, [(40, 0.5)], 0),
    ]


def test_table_and_what_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    args = options(tmp_path, "--seeds", "2", "--only", "U-Net; SFAN")
    trained: list[Training] = []

    def train(training: Training) -> None:
        trained.append(training)
        bundled(training)

    def evaluate(args: argparse.Namespace, variant: Variant, seed: int) -> Path:
        path = tmp_path / f"{variant.run}-{seed}.json"
        path.write_text(json.dumps({"methods": {variant.recipe: {"cases": scores(variant, seed)}}}))
        return path

    assert run_compare_segmenters(args, train=train, evaluate=evaluate) == 0
    assert len(trained) == 5 + 2 * 2 * 5
    trained.clear()
    assert run_compare_segmenters(args, train=train, evaluate=evaluate) == 0
    assert trained == [], "what is there is kept"
    lines = (tmp_path / "sfan.txt").read_text().splitlines()
    unet, sfan = (next(line for line in lines if line.startswith(name + " ")) for name in ("U-Net", "SFAN"))
    # Means over two seeds: 0.41 and 0.61; the difference is the same in every scan.
    assert "0.410" in unet and "0.610" in sfan and "0.200 [0.200, 0.200]" in sfan
    # SD of 0.40 and 0.42; small lesions 0 and 0.4, or 0 and 0.6; the one large one 0.5.
    assert "0.014" in unet
    assert " 0.200 " in unet and " 0.300 " in sfan and " 0.500 " in unet
    assert "0.75" in unet and "1.00" in unet and sfan.split()[-1] == "71"
    assert "two-sided permutation" in lines[-1]
    # From the kept rows alone the same table.
    said: list[str] = []
    parser = argparse.ArgumentParser()
    add_segmenter_arguments(parser)
    rows = tmp_path / "rows.json.gz"
    assert run_compare_segmenters(parser.parse_args(["--rows", str(rows)]), say=said.append) == 0
    assert said[0].splitlines() == lines
    with pytest.raises(InputError, match="family: give it"):
        run_compare_segmenters(parser.parse_args([]))
    with pytest.raises(InputError, match="no comparison other"):
        tables_text({**read_rows(rows, "segmenters"), "family": "other"})


def test_a_training_that_fails_says_why(tmp_path: Path) -> None:
    wrong = Training(("sfan", "--config", "gate=1", "--steps", "1"), tmp_path / "m", "sfan")
    with pytest.raises(LiverLesionAIError, match="no setting 'gate'"):
        run_training(wrong)


def test_the_folds_own_coarse_network_finds_the_liver(tmp_path: Path) -> None:
    bundled(Training((), tmp_path / "coarse", "coarse_unet"))
    bundled(Training((), tmp_path / "fold", "mscd"))
    with_coarse(tmp_path / "fold", tmp_path / "coarse")
    with_coarse(tmp_path / "fold", tmp_path / "coarse")
    manifest = Manifest.read(tmp_path / "fold")
    assert [entry.name for entry in manifest.entries] == ["coarse_unet", "mscd"]
    load_network(manifest.find("coarse_unet"), manifest.folder)


def test_wrong_options_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SFAN without SAT"):
        run_compare_segmenters(options(tmp_path, "--only", "SFAN with everything"))


def test_help_of_all_comparisons(capsys: pytest.CaptureFixture) -> None:
    for kind in ("segmenters", "detectors", "classifiers"):
        with pytest.raises(SystemExit) as left:
            cli.main(["compare", kind, "--help"])
        assert left.value.code == 0
        assert "--seeds" in capsys.readouterr().out
