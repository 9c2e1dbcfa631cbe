"""DADRN's layer for outliers: logistic regression on what the classifier pools, to the network as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.networks.dadrn import Dadrn
from LiverLesionAILib.stages.classify.lesions import probabilities_of
from numpy.typing import NDArray
from torch import Tensor, nn

from .class_sampling import plain_inputs
from .classes import ClassSlices

PENALTY = 100.0
"""Of half the weights' squared length, against the sum of the slices' losses."""


def with_outlier_layer(network: Dadrn, sources: Sequence[ClassSlices], spec: InputSpec) -> Dadrn:
    """The network with a fitted layer for outliers; all else as it was.

    Args:
        network: trained, in eval mode; a layer that it has already is fitted anew.
        sources: slices it may learn from, some of none of its classes; those without a lesion are left out.
        spec: of its input.

    Raises:
        ValueError: the sources do not hold both, lesions of a class and of none.
    """
    pooled, outlier = [], []
    for source in sources:
        lesions = np.flatnonzero(source.labels > 0)
        if not len(lesions):
            continue
        picked = replace(source, data=source.data[lesions])
        told = bool(network.config.phases)
        picked = replace(picked, phases=tuple(source.phases[n] for n in lesions))
        features = probabilities_of(network, plain_inputs(picked, spec, phases=told))[1]
        with torch.inference_mode():
            pooled.append(network.pooled(features).double().cpu())
        outlier.append(source.labels[lesions] >= len(network.config.classes))
    truth = np.concatenate(outlier) if outlier else np.zeros(0, bool)
    if not truth.any() or truth.all():
        raise ValueError("there must be lesions of a class and of none")
    weight, bias = logistic(torch.cat(pooled).clone(), truth)
    made = Dadrn(replace(network.config, outlier=True))
    state = {k: v for k, v in network.state_dict().items() if not k.startswith("outlier.")}
    made.load_state_dict({**made.state_dict(), **state})
    with torch.no_grad():
        made.outlier.weight.copy_(weight[None])
        made.outlier.bias.fill_(bias)
    return made.eval()


def logistic(values: Tensor, truth: NDArray[np.bool_], penalty: float = PENALTY) -> tuple[Tensor, float]:
    """Weights (C,) and bias of a logistic regression on (n, C), both sides weighing alike.

    Args:
        penalty: on the weights of the values divided by their SD.
    """
    mean, deviation = values.mean(dim=0), values.std(dim=0).clamp_min(1e-6)
    scaled = (values - mean) / deviation
    target = torch.from_numpy(truth.astype(float))
    share = float(target.mean())
    each = torch.where(target > 0, 0.5 / share, 0.5 / (1 - share))
    weight = torch.zeros(values.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        losses = nn.functional.binary_cross_entropy_with_logits(
            scaled @ weight + bias, target, weight=each, reduction="sum"
        )
        total = (losses + 0.5 * penalty * (weight**2).sum()) / len(target)
        total.backward()
        return total

    solver.step(loss)
    with torch.no_grad():
        own = weight / deviation
        return own.detach(), float(bias - (own * mean).sum())


__all__ = ["logistic", "with_outlier_layer"]
