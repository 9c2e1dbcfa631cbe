"""Early stop, TensorBoard, several training processes, and settings of a network from the command line."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.training.command import changed_config
from LiverLesionAILab.training.fitting import validation
from LiverLesionAILab.training.loop import train
from LiverLesionAILab.training.processes import Group
from LiverLesionAILab.training.recipes import RECIPES
from LiverLesionAILib.networks import sfan
from LiverLesionAILib.support.errors import InputError
from support.small_training import PLAIN, SETTINGS, SPEC, make_case, make_network, make_sampler, plain_network


def validations(folder: Path) -> list[tuple[int, float]]:
    with open(folder / "validation.csv", newline="") as file:
        return [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]


class TestEarlyStop:
    settings = replace(SETTINGS, steps=40, validate_every=4, patience=2)

    def run(self, folder: Path, losses: list[float], settings=None) -> tuple[torch.nn.Module, list[dict]]:
        """Train with these validation losses; also what the averaged network was at each of them."""
        states = []

        def validate(network: torch.nn.Module) -> float:
            assert not network.training
            states.append({k: v.clone() for k, v in network.state_dict().items()})
            return losses[len(states) - 1]

        network = train(
            make_network(),
            make_sampler().batch,
            settings or self.settings,
            folder,
            validate=validate,
            workers=0,
        )
        return network, states

    def test_stops_when_it_gets_no_better_and_keeps_the_best(self, tmp_path: Path) -> None:
        network, states = self.run(tmp_path, [0.9, 0.5, 0.6, 0.7, 0.1])
        assert [step for step, _ in validations(tmp_path)] == [4, 8, 12, 16]
        kept = network.state_dict()
        assert all(torch.equal(kept[name], states[1][name]) for name in kept)
        assert any(not torch.equal(kept[name], states[3][name]) for name in kept)

    def test_a_stopped_run_is_over_when_called_again(self, tmp_path: Path) -> None:
        first, _ = self.run(tmp_path, [0.9, 0.5, 0.6, 0.7])
        again, states = self.run(tmp_path, [])
        assert states == []
        assert all(
            torch.equal(a, b)
            for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True)
        )

    def test_without_patience_it_goes_on(self, tmp_path: Path) -> None:
        self.run(tmp_path, [0.1] + [0.5] * 9, replace(self.settings, patience=0))
        assert validations(tmp_path)[-1][0] == 40

    def test_the_watched_patient_decides_the_loss(self) -> None:
        recipe = replace(
            RECIPES["unet"], spec=SPEC, crop=32, loop=replace(SETTINGS, class_weights=(1.0, 1.0))
        )
        measure = validation(recipe, [make_case()], "cpu", batches=2)
        network = make_network().eval()
        assert measure(network) == measure(network)
        before = measure(network)
        with torch.no_grad():
            network.classify.bias += torch.tensor([-20.0, 20.0])
        assert measure(network) > before


def test_tensorboard_has_the_curve(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(make_network(), make_sampler().batch, SETTINGS, tmp_path, workers=0)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    points = [(event.step, event.value) for event in events.Scalars("loss")]
    with open(tmp_path / "curve.csv", newline="") as file:
        rows = [(int(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]
    assert [step for step, _ in points] == [step for step, _ in rows]
    assert [value for _, value in points] == pytest.approx([value for _, value in rows], abs=1e-4)


SCRIPT = """
import sys
from pathlib import Path
import torch
sys.path[:0] = {paths!r}
from LiverLesionAILab.training.loop import train
from LiverLesionAILab.training.processes import join, leave
from support.small_training import PLAIN, make_sampler, plain_network
torch.set_num_threads(1)
group = join("cpu")
network = train(plain_network(), make_sampler().batch, PLAIN, Path(sys.argv[1]), group=group, workers=0)
if group.rank == 0:
    torch.save(network.state_dict(), Path(sys.argv[1]) / "joint.pt")
leave()
"""


def test_two_processes_train_as_one_with_the_whole_batch(tmp_path: Path) -> None:
    alone = train(plain_network(), make_sampler().batch, PLAIN, tmp_path / "alone", workers=0)
    script = tmp_path / "run.py"
    testing = Path(__file__).parents[1]
    paths = [str(testing), str(testing.parent / "LiverLesionAI")]
    script.write_text(SCRIPT.format(paths=paths))
    (tmp_path / "joint").mkdir()
    command = [str(script), str(tmp_path / "joint")]
    run = subprocess.run(
        [sys.executable, *["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"], *command],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    joint = torch.load(tmp_path / "joint" / "joint.pt", weights_only=True)
    start = plain_network().state_dict()
    moved = sum(float((alone.state_dict()[name] - value).square().sum()) for name, value in start.items())
    apart = sum(float((alone.state_dict()[name] - joint[name]).square().sum()) for name in start)
    # Rounding to bfloat16 differs with the size of a batch.
    assert apart < 0.05**2 * moved


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(InputError, match=r"batch of 5 .* 2 processes"):
        Group(0, 2, "cpu").check(5)


class TestConfig:
    def test_values_are_read_as_what_they_are(self) -> None:
        changed = changed_config(sfan.SIZES["compact"], ["sat=false", "widths=[8, 16]", "norm=none"])
        assert (changed.sat, changed.widths, changed.norm) == (False, (8, 16), "none")
        assert changed.gca == sfan.SIZES["compact"].gca
        json.dumps(changed.widths)

    def test_an_unknown_setting_is_named(self) -> None:
        with pytest.raises(InputError, match="no setting 'gate'; it has in_slices"):
            changed_config(sfan.SIZES["compact"], ["gate=1"])
