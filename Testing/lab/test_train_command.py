"""`liverlesionai train` from its options to weights in a models folder, on a volume of seconds."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.data.cases import TrainingCase, encode_hu
from LiverLesionAILab.training import command
from LiverLesionAILab.training.command import add_train_arguments, asked_recipe, run_train, smaller_bank
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.support.errors import InputError

WIDTHS = ["--config", "widths=[8, 16]", "--threads", "1"]


def _arguments(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_train_arguments(parser)
    return parser.parse_args(given)


def _case(patient: str, kind: str = "real") -> TrainingCase:
    """A liver with a dark lesion."""
    z, y, x = np.mgrid[:8, :48, :48]
    away = (z - 4) ** 2 * 4 + (y - 24) ** 2 + (x - 22) ** 2
    labels = np.where(away < 300, 1, 0) + (away < 25)
    hu = np.choose(labels, [-60.0, 110.0, 60.0]) + np.random.default_rng(0).normal(0, 6, labels.shape)
    return TrainingCase(
        f"case{patient}", patient, encode_hu(hu), labels.astype(np.uint8), (2.5, 1.25, 1.25), kind
    )


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Recipes with small crops and batches, patients A and B; what was asked to be left out."""
    asked: list[str] = []

    def sized(name: str, size: str) -> object:
        chosen = recipe(name)
        loop = replace(chosen.loop, batch=2, log_every=1, checkpoint_every=2)
        return replace(chosen, crop=32, loop=loop, shares={"real": 1.0})

    def cases(chosen: object, hold_out: str, *_: object) -> list[TrainingCase]:
        asked.append(hold_out)
        return [_case(patient) for patient in "AB" if patient not in hold_out]

    monkeypatch.setattr(command, "sized_recipe", sized)
    monkeypatch.setattr(command, "training_cases", cases)
    return asked


def test_a_run_is_trained_kept_bundled_and_gone_on_from(small, tmp_path: Path, capsys) -> None:
    run, models = tmp_path / "run", tmp_path / "models"
    words = ["unet", "--steps", "4", "--out", str(run), "--bundle", str(models), *WIDTHS]
    assert run_train(_arguments(*words, "--hold-out", "B")) == 0
    printed = capsys.readouterr().out
    assert small == ["B"] and "4 steps, weights" in printed and f"unet now in {models}" in printed
    kept = json.loads((run / "run.json").read_text())
    assert kept["loop"]["steps"] == 4 and kept["config"]["widths"] == [8, 16] and kept["cases"] == {"real": 1}
    assert len((run / "curve.csv").read_text().splitlines()) == 5
    entry = Manifest.read(models).find("unet")
    assert entry.sha256[:12] in printed and (models / "unet_compact.pt").is_file()
    # The same command again has nothing left to do and gives the same weights.
    before = (run / "weights.pt").read_bytes()
    assert run_train(_arguments(*words, "--hold-out", "B")) == 0
    assert (run / "weights.pt").read_bytes() == before
    # Another run goes on from these weights, and says what does not fit.
    other = ["unet", "--steps", "1", "--out", str(tmp_path / "other"), "--start", str(run / "weights.pt")]
    capsys.readouterr()
    assert run_train(_arguments(*other, "--config", "widths=[8, 24]", "--threads", "1")) == 0
    assert "starts anew" in capsys.readouterr().out


def test_the_mean_of_runs_that_went_on_from_one_another_is_bundled(small, tmp_path: Path) -> None:
    first, second, models = tmp_path / "first", tmp_path / "second", tmp_path / "models"
    run_train(_arguments("unet", "--steps", "2", "--out", str(first), *WIDTHS))
    words = [
        "unet",
        "--steps",
        "2",
        "--seed",
        "1",
        "--out",
        str(second),
        "--start",
        str(first / "weights.pt"),
    ]
    more = ["--bundle", str(models), "--average", str(first / "weights.pt")]
    run_train(_arguments(*words, *more, *WIDTHS))
    one, two = (torch.load(run / "weights.pt") for run in (first, second))
    mean = torch.load(models / "unet_compact.pt")
    changed = 0
    for name, value in mean.items():
        if value.is_floating_point():
            assert torch.allclose(value.float(), (one[name].float() + two[name].float()) / 2, atol=2e-3)
            changed += int(not torch.equal(one[name], two[name]))
    assert changed, "the second run learnt something"
    assert Manifest.read(models).find("unet").sha256
    wide = [
        "unet",
        "--steps",
        "1",
        "--out",
        str(tmp_path / "wide"),
        "--config",
        "widths=[8, 24]",
        *WIDTHS[2:],
    ]
    with pytest.raises(InputError, match="weights of another network"):
        run_train(_arguments(*wide, *more))
    with pytest.raises(InputError, match="holds no weights"):
        run_train(
            _arguments(*words, "--bundle", str(models), "--average", str(tmp_path / "none.pt"), *WIDTHS)
        )
    with pytest.raises(InputError, match="give both"):
        asked_recipe(_arguments(*words, "--average", "FILE"))


def test_the_best_validation_is_kept(small, tmp_path: Path) -> None:
    words = ["unet", "--steps", "3", "--validate", "B", "--out", str(tmp_path), *WIDTHS]
    assert run_train(_arguments(*words)) == 0
    assert (tmp_path / "best.pt").is_file()
    with pytest.raises(InputError, match="no labelled scan of E to validate on"):
        run_train(_arguments(*words[:4], "E", "--out", str(tmp_path / "none"), *WIDTHS))


def test_another_run_in_the_same_folder_is_refused(small, tmp_path: Path) -> None:
    words = ["unet", "--out", str(tmp_path), *WIDTHS]
    run_train(_arguments(*words, "--steps", "2"))
    with pytest.raises(Exception, match="made with other settings"):
        run_train(_arguments(*words, "--steps", "3"))


def test_a_plan_trains_nothing(tmp_path: Path, capsys) -> None:
    assert run_train(_arguments("sfan", "--plan", "--out", str(tmp_path / "run"))) == 0
    assert "sfan" in capsys.readouterr().out and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["unet", "--learning-rate", "2"], "between 0 and 1"),
        (["cs_att", "--validate", "A"], "networks that draw masks"),
        (["unet", "--bank", "0"], "from 1"),
        (["unet", "--config", "colour=3"], "no setting 'colour'"),
    ],
)
def test_options_that_make_no_sense_are_told(words: list[str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        asked_recipe(_arguments(*words))


def test_options_change_the_recipe() -> None:
    chosen = asked_recipe(_arguments("sfan", "--steps", "20", "--learning-rate", "0.001", "--seed", "5"))
    assert (chosen.loop.steps, chosen.loop.warmup, chosen.loop.seed) == (20, 4, 5)
    assert chosen.loop.learning_rate == 0.001
    assert asked_recipe(_arguments("unet", "--shares", "real=0.5,body=0.5")).shares == {
        "real": 0.5,
        "body": 0.5,
    }
    assert asked_recipe(_arguments("unet", "--synthliver", "DIR")).shares == {"real": 1.0}
    few = smaller_bank(recipe("sfan"), 3)
    assert (few.bank.variants_per_patient, few.bodies, few.healthy_variants, few.slice_variants) == (
        3,
        3,
        3,
        3,
    )


def test_folders_say_what_was_trained() -> None:
    def folder(*words: str) -> str:
        args = _arguments(*words)
        return command._run_folder(args, asked_recipe(args)).as_posix()

    assert folder("sfan") == ".train/sfan-all-0"
    assert (
        folder("sfan", "--hold-out", "AB", "--seed", "2", "--without", "slices")
        == ".train/sfan-AB-2-no-slices"
    )
    assert folder("unet", "--config", "norm=batch") == ".train/unet-norm_batch-all-0"
    assert folder("unet", "--synthliver", "DIR") == ".train/unet-all-0-synthliver"
