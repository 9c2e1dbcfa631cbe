"""Leaving out parts of the training data, and the table of what that costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

import numpy as np
from LiverLesionAILab.compare.ablation import ablation_table, read_run
from LiverLesionAILab.data.cases import LITS_PATIENTS
from LiverLesionAILab.training import bank as banks
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILab.training.switches import PARTS, without
from LiverLesionAILib.support.errors import InputError


class TestWithout:
    def test_every_part_changes_the_recipe_and_is_recorded(self) -> None:
        whole = recipe("sfan_finish")
        for part in PARTS:
            less = without(whole, [part])
            assert less.loop.without == (part,)
            data = (less.bank, less.body_mix, less.shares, less.healthy_variants)
            assert data != (whole.bank, whole.body_mix, whole.shares, whole.healthy_variants), part
            assert less.spec == whole.spec
        assert without(whole, []) == whole

    def test_each_leaves_out_what_it_says(self) -> None:
        whole = recipe("sfan")
        assert without(whole, ["distractors"]).bank.distractors is None
        large = without(whole, ["large"])
        for lesions in (large.bank.lesions, large.body_mix.lesions):
            assert lesions.diameter_mm[1] == 45.0
            assert lesions.large_share == 0
            assert not lesions.necrosis
        assert without(whole, ["capsule"]).bank.lesions.subcapsular_share == 0
        assert set(without(whole, ["synthetic"]).shares) == {"real", "healthy", "slice"}
        assert set(without(whole, ["slices"]).shares) == {"real", "variant", "body", "healthy"}
        healthy = without(whole, ["healthy"])
        assert healthy.bank.lesion_free_share == 0
        assert healthy.body_mix.lesion_free_every == 0
        assert "healthy" not in healthy.shares
        assert without(whole, ["phantoms"]).body_mix.phantom_every == 0
        turned = recipe("sfan_finish")
        assert without(turned, ["arterial"]).arterial == 0
        assert not any("arterial" in kind for kind in without(turned, ["arterial"]).shares)
        assert set(without(turned, ["synthetic"]).shares) == {"real", "healthy", "slice"}
        assert "arterial slice" not in without(turned, ["slices"]).shares
        assert "arterial body" not in without(turned, ["bodies"]).shares
        both = without(whole, ["large", "capsule"])
        assert both.loop.without == ("capsule", "large")
        assert both.bank.lesions.bulge_mm == 0
        assert both.bank.lesions.diameter_mm[1] == 45.0

    def test_banks_and_bodies_get_folders_of_their_own(self) -> None:
        whole = recipe("sfan")
        keys = {(r.bank.key(), r.body_mix.key()) for r in [whole, *(without(whole, [p]) for p in PARTS)]}
        # Without bodies, slices, the arterial phase or anything synthetic, what is left is the same.
        assert len(keys) == len(PARTS) + 1 - 4

    def test_unknown_parts_and_empty_recipes_are_refused(self) -> None:
        with pytest.raises(InputError, match="no part 'noise'"):
            without(recipe("sfan"), ["noise"])
        only = without(recipe("sfan"), ["healthy"])
        with pytest.raises(InputError, match="Nothing is left"):
            without(type(only)(**{**only.__dict__, "shares": {"body": 1.0}}), ["bodies"])


def test_outlines_of_labelled_patients_are_never_drawn(tmp_path: Path) -> None:
    mask = np.zeros((6, 6, 6), bool)
    mask[1:5, 1:5, 1:5] = True
    keys = [f"{name}_01" for name in LITS_PATIENTS] + ["lits0001_01", "lits077_03"]
    packed = {f"{key}_bits": np.packbits(mask) for key in keys}
    np.savez(tmp_path / "bank.npz", **packed)
    entries = [
        {"key": key, "organ": "liver", "shape_zyx": [6, 6, 6], "spacing_zyx_mm": [1, 1, 1]} for key in keys
    ]
    (tmp_path / "bank.json").write_text(json.dumps(entries))
    assert list(banks.load_shapes(tmp_path / "bank.npz").keys) == ["lits0001_01", "lits077_03"]


def write_run(folder: Path, dice: list[float], false: list[int], name: str = "sfan") -> Path:
    cases = [
        {
            "name": f"s{k}",
            "patient": f"p{k}",
            "liver": {"dice": 0.95},
            "tumour": {"dice": d},
            "lesions": {"found": 2 if k else 0, "total": 3 if k else 0, "false": f},
        }
        for k, (d, f) in enumerate(zip(dice, false, strict=True))
    ]
    folder.mkdir()
    path = folder / "evaluation.json"
    path.write_text(json.dumps({"methods": {name: {"cases": cases}}}))
    return path


class TestTable:
    def test_differences_and_counts_are_those_of_the_cases(self, tmp_path: Path) -> None:
        one = read_run(write_run(tmp_path / "all", [1.0, 0.6, 0.7, 0.8], [0, 1, 2, 3]), "all")
        two = read_run(write_run(tmp_path / "less", [0.0, 0.5, 0.5, 0.6], [4, 1, 2, 3]), "less")
        lines = ablation_table([one, two]).splitlines()
        assert lines[2].split()[:3] == ["all", "0.950", "[0.950,"]
        assert "0.775" in lines[2]
        assert "0.400" in lines[3]
        assert "-0.375" in lines[3]
        assert lines[2].split()[-3:] == ["6/9", "1.50", "0.00"]
        assert lines[3].split()[-3:] == ["6/9", "2.50", "4.00"]
        assert "4 scans of 4 patients" in lines[-1]

    def test_wrong_files_are_named(self, tmp_path: Path) -> None:
        path = write_run(tmp_path / "a", [0.5, 0.5], [0, 0])
        with pytest.raises(InputError, match="no method mscd; there are sfan"):
            read_run(path, "a", "mscd")
        other = write_run(tmp_path / "b", [0.5, 0.5, 0.5], [0, 0, 0])
        with pytest.raises(InputError, match="not an evaluation of the same scans"):
            ablation_table([read_run(path, "a"), read_run(other, "b")])
        path.write_text("{}")
        with pytest.raises(InputError, match="is no evaluation"):
            read_run(path, "a")
        with pytest.raises(InputError, match="is no evaluation"):
            read_run(tmp_path / "none.json", "a")


def test_synthliver_takes_no_other_data(tmp_path: Path) -> None:
    import argparse

    import torch
    from LiverLesionAILab.training.command import add_train_arguments, run_train

    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    common = [
        "--threads",
        str(torch.get_num_threads()),
        "--synthliver",
        str(tmp_path),
        "--out",
        str(tmp_path),
    ]
    for words in (
        ["unet", "--hold-out", "A"],
        ["unet", "--without", "large"],
        ["unet", "--shares", "real=1"],
    ):
        with pytest.raises(InputError, match="brings its own data"):
            run_train(parser.parse_args([*words, *common]))
    with pytest.raises(InputError, match="not for slice"):
        run_train(parser.parse_args(["dadrn", *common]))
    with pytest.raises(InputError, match="no train volumes of SynthLiver-1"):
        run_train(parser.parse_args(["unet", *common]))
