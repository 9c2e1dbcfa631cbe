"""The training loop: learns, resumes to the same curve, keeps what is good when the loss breaks."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.data.cases import UNKNOWN
from LiverLesionAILab.training.loop import TrainingError, train
from LiverLesionAILab.training.losses import lesion_dice_loss, segmentation_loss, soft_dice_loss
from LiverLesionAILab.training.optimisers import LoopSettings
from LiverLesionAILib.support.errors import Cancelled
from support.small_training import SETTINGS, make_network, make_sampler


def curve(folder: Path) -> list[tuple[str, str]]:
    with open(folder / "curve.csv", newline="") as file:
        return [(row["step"], row["loss"]) for row in csv.DictReader(file)]


def test_learns_a_ball(tmp_path: Path) -> None:
    network = train(make_network(), make_sampler().batch, replace(SETTINGS, steps=60), tmp_path, workers=0)
    losses = [float(loss) for _, loss in curve(tmp_path)]
    assert losses[-1] < 0.4 * losses[0]
    images, labels = make_sampler(seed=9).batch(0, 8)
    with torch.inference_mode():
        predicted = network(images).logits.argmax(dim=1)
    overlap = 2 * ((predicted == 1) & (labels == 1)).sum() / ((predicted == 1).sum() + (labels == 1).sum())
    assert overlap > 0.8


def test_resumes_to_the_same_curve_and_weights(tmp_path: Path) -> None:
    whole = train(make_network(), make_sampler().batch, SETTINGS, tmp_path / "whole", workers=0)
    calls = []

    def killed_after(stage: str, fraction: float) -> None:
        calls.append(fraction)
        if fraction > 0.55:
            raise Cancelled("killed")

    with pytest.raises(Cancelled):
        train(
            make_network(), make_sampler().batch, SETTINGS, tmp_path / "cut", workers=0, progress=killed_after
        )
    resumed = train(make_network(), make_sampler().batch, SETTINGS, tmp_path / "cut", workers=0)
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_other_settings_are_not_resumed(tmp_path: Path) -> None:
    train(make_network(), make_sampler().batch, replace(SETTINGS, steps=6), tmp_path, workers=0)
    with pytest.raises(TrainingError, match="other settings"):
        train(make_network(), make_sampler().batch, SETTINGS, tmp_path, workers=0)


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    sampler = make_sampler()

    def poisoned(first: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = sampler.batch(first, size)
        return (images * float("nan") if first >= 8 * SETTINGS.batch else images), labels

    with pytest.raises(TrainingError, match="step 8"):
        train(make_network(), poisoned, SETTINGS, tmp_path, workers=0)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 6
    assert all(bool(v.isfinite().all()) for v in state["network"].values())
    assert torch.load(tmp_path / "bad_batch.pt", weights_only=True)["step"] == 8


def test_a_parameter_without_gradient_is_named(tmp_path: Path) -> None:
    network = make_network()
    network.unused = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(TrainingError, match="unused"):
        train(network, make_sampler().batch, SETTINGS, tmp_path, workers=0)


def test_samples_depend_on_seed_and_number_alone() -> None:
    one, other = make_sampler(), make_sampler()
    other.sample(3)
    assert torch.equal(one.sample(7)[0], other.sample(7)[0])
    assert not torch.equal(one.sample(7)[0], one.sample(8)[0])
    assert not torch.equal(one.sample(7)[0], make_sampler(seed=1).sample(7)[0])


def test_unknown_pixels_do_not_count() -> None:
    logits = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 2, (2, 8, 8), generator=torch.Generator().manual_seed(1))
    labels[:, :4] = UNKNOWN
    changed = logits.clone()
    changed[:, :, :4] += torch.randn(2, 2, 4, 8)
    settings = replace(SETTINGS)
    assert segmentation_loss(logits, labels, settings) == pytest.approx(
        float(segmentation_loss(changed, labels, settings))
    )


def test_soft_dice_of_a_perfect_prediction_is_zero() -> None:
    labels = torch.randint(0, 3, (1, 16, 16), generator=torch.Generator().manual_seed(0))
    exact = torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()
    assert float(soft_dice_loss(exact, labels)) == pytest.approx(0.0, abs=1e-6)
    assert float(soft_dice_loss(exact.flip(1), labels)) > 0.3


def test_dice_per_image_counts_small_lesions_as_much_as_large_ones() -> None:
    labels = torch.zeros(2, 64, 64, dtype=torch.long)
    labels[0, :50, :50] = 2
    labels[1, 5:15, 5:15] = 2
    logits = torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()
    logits[1] = torch.nn.functional.one_hot(torch.zeros(64, 64, dtype=torch.long), 3).permute(2, 0, 1)
    by_batch, by_image = soft_dice_loss(logits, labels), soft_dice_loss(logits, labels, per_image=True)
    # Class 1 does not occur and is right; the small lesion is missed: 2500 of 2600 pixels, 1 of 2 images.
    assert float(by_batch) == pytest.approx((1 - (5000 + 20) / (5100 + 20)) / 2, abs=1e-6)
    assert float(by_image) == pytest.approx((1 - 20 / 120) / 2 / 2, abs=1e-6)


def test_dice_per_lesion_counts_a_small_one_beside_a_large_one() -> None:
    labels = torch.zeros(2, 64, 64, dtype=torch.long)
    labels[0, :40, :40] = 2
    labels[0, 50:60, 50:60] = 2
    missed = torch.where(labels == 2, labels, 0).clone()
    missed[0, 45:, 45:] = 0
    drawn = torch.nn.functional.one_hot(missed, 3).permute(0, 3, 1, 2).float()
    assert float(lesion_dice_loss(drawn, labels)) == pytest.approx((1 - 20 / 120) / 2, abs=1e-6)
    exact = torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float()
    assert float(lesion_dice_loss(exact, labels)) == pytest.approx(0.0, abs=1e-6)


def test_dice_per_lesion_charges_what_is_wrong_to_the_nearest_lesion() -> None:
    labels = torch.zeros(1, 32, 64, dtype=torch.long)
    labels[0, 10:20, 5:15] = 2
    labels[0, 10:20, 50:60] = 2
    drawn = labels.clone()
    drawn[0, 10:20, 15:20] = 2
    probabilities = torch.nn.functional.one_hot(drawn, 3).permute(0, 3, 1, 2).float()
    expected = (1 - (200 + 20) / (250 + 20)) / 2
    assert float(lesion_dice_loss(probabilities, labels)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("ignored", [255, 254])
def test_dice_per_lesion_leaves_out_what_is_not_known(ignored: int) -> None:
    labels = torch.zeros(1, 32, 32, dtype=torch.long)
    labels[0, 5:15, 5:15] = 2
    labels[0, 20:30, 20:30] = ignored
    probabilities = torch.nn.functional.one_hot(labels.clamp(max=2), 3).permute(0, 3, 1, 2).float()
    assert float(lesion_dice_loss(probabilities, labels)) == pytest.approx(0.0, abs=1e-6)
    labels[labels == 2] = 0
    assert float(lesion_dice_loss(probabilities, labels)) == 0.0


def test_dice_per_lesion_pulls_at_each_lesion_alike() -> None:
    labels = torch.zeros(1, 64, 64, dtype=torch.long)
    labels[0, :40, :40] = 2
    labels[0, 50:56, 50:56] = 2
    logits = torch.zeros(1, 3, 64, 64, requires_grad=True)
    settings = LoopSettings(dice_per_image=True)
    loss = segmentation_loss(logits, labels, replace(settings, lesion_dice_weight=1.0))
    loss.backward()
    with_it = logits.grad[0, 2, 50:56, 50:56].sum()
    logits.grad = None
    segmentation_loss(logits, labels, settings).backward()
    assert float(with_it) < 3 * float(logits.grad[0, 2, 50:56, 50:56].sum()) < 0
