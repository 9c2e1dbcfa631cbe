"""DADRN's layer for outliers: what it learns, and that nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.data.cases import encode_hu
from LiverLesionAILab.training.class_sampling import plain_inputs
from LiverLesionAILab.training.classes import LESION_BIT, LIVER_BIT, OUTLIER, ClassSlices
from LiverLesionAILab.training.outlier_layer import logistic, with_outlier_layer
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import build_network, save_weights
from LiverLesionAILib.networks.dadrn import SIZES, Dadrn

SPEC = InputSpec((3.0, 1.5, 1.5), (-40.0, 220.0), 3)
CONFIG = replace(SIZES["compact"], backbone=replace(SIZES["compact"].backbone, stem=8, widths=(8, 8, 12, 16)))


def slices(seed: int, count: int = 12) -> ClassSlices:
    """Livers with a dark lesion: small ones are cysts, large ones of no class; the last has none."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((96, 96))
    liver = np.hypot(y - 48, x - 48) < 32
    labels = np.array([1, OUTLIER] * (count // 2))
    labels[-1] = 0
    data = np.zeros((count, 4, 96, 96), np.uint8)
    for stored, label in zip(data, labels, strict=True):
        hu = np.where(liver, 80, -100) + rng.normal(0, 3, liver.shape)
        stored[3] = liver * LIVER_BIT
        if label:
            lesion = np.hypot(y - rng.uniform(38, 58), x - 45) < (5 if label == 1 else 14)
            hu[lesion] = 10
            stored[3] |= (lesion * LESION_BIT).astype(np.uint8)
        stored[:3] = encode_hu(hu)
    return ClassSlices(data, labels, np.arange(count), ("arterial",) * count, f"s{seed}", "body")


def test_it_tells_apart_and_leaves_the_classes_alone(tmp_path) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = Dadrn(CONFIG).eval()
    made = with_outlier_layer(network, [slices(0), slices(1)], SPEC)
    assert made.config.outlier and not network.config.outlier and not made.training
    other = slices(2)
    images = plain_inputs(other, SPEC)
    with torch.inference_mode():
        before, after = network(images), made(images)
        assert torch.equal(before.logits, after.logits)
        assert network.unlike(before.features) is None
        said = made.unlike(after.features).numpy()
    assert said.shape == (12,)
    assert (said[other.labels == OUTLIER] > 0).all() and (said[other.labels == 1] < 0).all()
    save_weights(made, tmp_path / "w.pt")
    from dataclasses import asdict

    again = build_network("dadrn", asdict(made.config)).eval()
    again.load_state_dict({k: v.float() for k, v in torch.load(tmp_path / "w.pt").items()})
    with torch.inference_mode():
        assert np.allclose(again.unlike(again(images).features).numpy(), said, atol=0.05)


def test_one_sort_of_lesions_teaches_nothing() -> None:
    own = slices(0)
    picked = own.labels != OUTLIER
    alone = replace(own, data=own.data[picked], labels=own.labels[picked], groups=own.groups[picked])
    with pytest.raises(ValueError, match="of none"):
        with_outlier_layer(Dadrn(CONFIG).eval(), [alone], SPEC)


def test_the_regression_is_that_of_the_textbook() -> None:
    """Two unequal groups of one value each way: both weigh alike, so the answer turns half-way."""
    values = torch.tensor([[0.0, 5.0]] * 30 + [[4.0, 5.0]] * 10, dtype=torch.float64)
    values = values + torch.linspace(-1, 1, 40, dtype=torch.float64)[torch.randperm(40)][:, None] * 0.01
    truth = np.arange(40) >= 30
    weight, bias = logistic(values, truth, penalty=1e-3)
    said = values @ weight + bias
    assert (said[truth] > 0).all() and (said[~truth] < 0).all()
    middle = torch.tensor([2.0, 5.0], dtype=torch.float64) @ weight + bias
    assert abs(float(middle)) < 0.3 * float(said.abs().mean())
    softer, _ = logistic(values, truth, penalty=100.0)
    assert float(softer.norm()) < float(weight.norm())
