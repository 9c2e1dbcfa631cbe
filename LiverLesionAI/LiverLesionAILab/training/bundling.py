"""A finished run's weights among the bundled models."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from LiverLesionAILib.models.weights import MEAN, Manifest, ModelEntry, write_state
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import replacing, sha256_of

from .recipes import MEANS, Recipe


def bundle(chosen: Recipe, name: str, run: Path, folder: Path, weights: str = "weights.pt") -> ModelEntry:
    """Put a finished run's weights and curve into a models folder and its manifest.

    Calibration and scales are kept where the input stays the same.

    Args:
        chosen: what was trained.
        name: of the model in the manifest.
        run: folder of the run, with `weights` and `curve.csv`.
        folder: models folder; made where it does not exist.
        weights: their file's name in the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest.read(folder) if (folder / "manifest.json").is_file() else Manifest(folder, ())
    # What was calibrated for another input says nothing about this one.
    old = next((e for e in manifest.entries if e.name == name and e.input == chosen.spec), None)
    kept = folder / f"{name}_compact.pt"
    for source, target in ((run / weights, kept), (run / "curve.csv", folder / f"{name}_curve.csv")):
        with replacing(target) as beside:
            shutil.copyfile(source, beside)
    entry = ModelEntry(
        name=name,
        task=chosen.task,
        network=chosen.network,
        config=json.loads(json.dumps(asdict(chosen.config))),
        input=chosen.spec,
        file=kept.name,
        sha256=sha256_of(kept),
        calibration=old.calibration if old else chosen.calibration,
        card=f"{name}.md",
        title=chosen.title,
        scales=old.scales if old else chosen.scales,
    )
    manifest.with_entry(entry).write()
    return entry


def bundle_means(folder: Path) -> list[ModelEntry]:
    """Put every mean whose members are in the manifest of `folder` there, last; returns them."""
    manifest = Manifest.read(folder)
    names = {entry.name for entry in manifest.entries}
    added = []
    for name, mean in MEANS.items():
        if not names.issuperset(mean.members):
            continue
        entry = replace(
            manifest.find(mean.members[0]),
            name=name,
            network=MEAN,
            config={"members": list(mean.members)},
            file="",
            sha256="",
            calibration=mean.calibration,
            scales={},
            card=f"{mean.members[-1]}.md",
            title=mean.title,
        )
        manifest = manifest.with_entry(entry)
        added.append(entry)
    if added:
        manifest.write()
    return added


def average_weights(own: Path, others: Sequence[Path], target: Path) -> None:
    """Write the mean of runs' weights (Wortsman et al. 2022, "Model soups").

    Runs that went on from one another's weights lie in one basin: their mean is often better than any.

    Args:
        own, others: files of weights of one network.
        target: gets the mean, as float16.

    Raises:
        InputError: a file is missing or damaged, or the weights of another network.
    """
    import torch

    states = []
    for path in (own, *others):
        try:
            states.append(torch.load(path, weights_only=True, map_location="cpu"))
        except (OSError, RuntimeError, pickle.UnpicklingError) as error:
            raise InputError(
                f"{path} holds no weights: give weights.pt of a run, or a bundled file."
            ) from error
        shapes = [{k: v.shape for k, v in state.items()} for state in (states[0], states[-1])]
        if shapes[0] != shapes[1]:
            raise InputError(f"{path} holds the weights of another network than {own}.")
    mean = {
        name: torch.stack([state[name].float() for state in states]).mean(dim=0).half()
        if first.is_floating_point()
        else first
        for name, first in states[0].items()
    }
    write_state(mean, target)
