"""Mask networks that were trained before, bundled or of a run, with the scales that they read at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.support.errors import InputError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class TrainedMasks:
    """A mask network and how it reads: scales for the liver and for lesions, thresholds of both."""

    network: nn.Module
    spec: InputSpec
    scales: dict[str, tuple[float, ...]]
    tumour_threshold: float
    liver_threshold: float = Rules().liver_threshold


def run_network(run: Path, network: str, config: Mapping[str, Any]) -> nn.Module:
    """The averaged weights of a training run in inference form: those at its end, or as far as it has got.

    Raises:
        InputError: the folder holds no weights.
    """
    import torch
    from LiverLesionAILib.models.folding import fold_batch_norm
    from LiverLesionAILib.models.weights import build_network

    weights, checkpoint = run / "weights.pt", run / "checkpoint.pt"
    if weights.is_file():
        state = torch.load(weights, weights_only=True)
    elif checkpoint.is_file():
        state = torch.load(checkpoint, weights_only=True)["average"]
    else:
        raise InputError(f"{run} holds neither weights.pt nor checkpoint.pt: give the folder of a run.")
    built = build_network(network, config)
    built.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return fold_batch_norm(built.eval())


def bundled_model(name: str) -> TrainedMasks:
    """A bundled mask network as the product runs it."""
    store = ModelStore.bundled()
    entry = store.manifest.find(name)
    rules = Rules().calibrated(entry)
    return TrainedMasks(
        store.network(name, "cpu", "float32"),
        entry.input,
        dict(entry.scales),
        rules.tumour_threshold,
        rules.liver_threshold,
    )


def run_model(run: Path) -> TrainedMasks:
    """The averaged weights of a training run, read with its recipe's scales.

    Raises:
        InputError: the folder holds no run of a mask network.
    """
    try:
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{run} holds no run.json: give the folder of a training run.") from error
    network = run_network(run, record["network"], record["config"])
    scales = {part: tuple(values) for part, values in record["scales"].items()}
    return TrainedMasks(
        network, InputSpec.from_json(record["spec"]), scales, record["calibration"]["tumour_threshold"]
    )
