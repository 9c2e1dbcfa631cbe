"""How a run was made, written down; and another run by the same rules."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from .. import __version__
from ..case.manifest import ModelDigest, RunManifest, ct_digest, read_run
from ..models.weights import Manifest, ModelEntry
from ..support.errors import InputError, ModelError
from .choice import Choice
from .draft import Draft
from .rules import Rules
from .settings import NO_DETECTOR, Settings

LIBRARIES = ("torch", "numpy", "scipy", "SimpleITK")


def manifest_of(
    choice: Choice, rules: Rules, draft: Draft, device: str, seconds: dict[str, float]
) -> RunManifest:
    """How a run is made, from what it is made of.

    Args:
        device: described for the reader; seconds: of the stages.
    """
    named = replace(
        choice.settings,
        segmenter=choice.segmenter.name,
        detector=NO_DETECTOR if choice.detector is None else choice.detector.name,
        classifier=None if choice.classifier is None else choice.classifier.name,
    )
    named_cts = draft.phases.others
    return RunManifest(
        version=__version__,
        versions={"python": platform.python_version(), **{name: _version(name) for name in LIBRARIES}},
        settings=named.to_json(),
        rules=rules.to_json(),
        set_by=dict(rules.set_by),
        models={entry.name: digest_of(entry) for entry in (choice.segmenter, *choice.computing)},
        ct=ct_digest(draft.ct),
        second_phase="" if draft.second_phase is None else ct_digest(draft.second_phase),
        phases={
            f"unnamed {k}" if phase is None else phase.value: ct_digest(other)
            for k, (phase, other) in enumerate(named_cts, 1)
        },
        ct_phase="" if draft.phases.own is None else draft.phases.own.value,
        device=device,
        seconds=seconds,
    )


def digest_of(entry: ModelEntry) -> ModelDigest:
    """What makes a model the same one: its weights and how it reads a CT."""
    told = entry.to_json()
    reading = json.dumps({key: told[key] for key in ("network", "config", "input", "scales")}, sort_keys=True)
    return ModelDigest(entry.sha256, hashlib.sha256(reading.encode()).hexdigest())


def like_case(path: Path, manifest: Manifest) -> tuple[Settings, Rules]:
    """Settings and rules of a case, for another CT.

    Args:
        path: a case folder or its ``case.json``.
        manifest: of the models that are here.

    Raises:
        InputError: the case keeps no rules; or this is another version of LiverLesionAI, or another model, so
            that the same rules would not give the same findings. The text says which.
    """
    run = read_run(path)
    differ = []
    if run.version != __version__:
        differ.append(f"LiverLesionAI was {run.version} and is {__version__}")
    for name, digest in run.models.items():
        try:
            here = digest_of(manifest.find(name))
        except ModelError:
            differ.append(f"the model {name} is not here")
            continue
        if here.weights != digest.weights:
            differ.append(
                f"the weights of {name} were {digest.weights[:12]} and are {here.weights[:12] or 'none'}"
            )
        elif here.reading != digest.reading:
            differ.append(f"the configuration, input or scales of {name} are others")
    if differ:
        raise InputError(
            f"{path} cannot be followed: {'; '.join(differ)}. Install what made it, or analyse that CT again."
        )
    try:
        settings = Settings.from_json(run.settings)
    except TypeError as error:
        raise InputError(f"{path}: its settings are not known here ({error}).") from error
    return settings, replace(Rules.from_json(run.rules, str(path)), set_by=run.set_by)


def _version(name: str) -> str:
    try:
        return str(getattr(import_module(name), "__version__", "unknown"))
    except ImportError:
        return "none"
