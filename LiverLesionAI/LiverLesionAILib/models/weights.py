"""Bundled weights: the manifest, checksums, and networks ready to compute.

`data/Models/manifest.json` lists every model: network file, configuration, input, calibrated thresholds,
weight file and its SHA-256. Weight files are float16 state dictionaries, read with `weights_only=True` after
their checksum has been verified: loading never executes code.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..support.errors import ModelError
from ..support.files import replacing, sha256_of, write_text
from .folding import fold_batch_norm
from .inputs import InputSpec

if TYPE_CHECKING:
    from torch import nn

MANIFEST_VERSION = 1
_PACKAGES = ["LiverLesionAILib.networks"]

MEAN = "mean"
"""Network of an entry that has no weights of its own: its answer is the mean of its members' answers."""


def models_folder() -> Path:
    """data/Models of the library: the same in a checkout, a wheel and an installed extension."""
    return Path(__file__).resolve().parents[1] / "data" / "Models"


@dataclass(frozen=True)
class ModelEntry:
    """One model of the manifest.

    Attributes:
        name: what users choose ("sfan").
        task: "locate", "segment", "neighbour", "vessels", "trees", "detect", "classify" or
            "click".
        network: module under `networks/`, or "mean".
        config: keyword arguments of that module's CONFIG; for "mean" the names of its `members`.
        input: what it wants to see.
        file, sha256: the weights; "" for "mean".
        calibration: numbers fitted on validation patients ("tumour_threshold", "temperature", ...).
        scales: image pyramid for the "liver" and for the "lesions", which are seen best at different
            magnifications; what is not named is seen at scale 1.
        card: file of the model card, beside the manifest.
        title: one line for a menu.
    """

    name: str
    task: str
    network: str
    config: Mapping[str, Any]
    input: InputSpec
    file: str
    sha256: str
    calibration: Mapping[str, float] = field(default_factory=dict)
    card: str = ""
    title: str = ""
    scales: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the models that compute: its own, or those that it is the mean of."""
        return tuple(self.config.get("members", (self.name,)))

    def to_json(self) -> dict[str, Any]:
        """Plain types for the manifest."""
        return {**asdict(self), "input": self.input.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ModelEntry:
        """Inverse of :meth:`to_json`."""
        scales = {part: tuple(map(float, values)) for part, values in data.get("scales", {}).items()}
        return cls(**{**data, "input": InputSpec.from_json(data["input"]), "scales": scales})


@dataclass(frozen=True)
class Manifest:
    """All bundled models, in the order of the file.

    Attributes:
        folder: where the weights lie.
        entries: the models; the first one of a task is the one that is used unless the user chooses.
    """

    folder: Path
    entries: tuple[ModelEntry, ...]

    @classmethod
    def read(cls, folder: Path | None = None) -> Manifest:
        """Read `manifest.json`.

        Raises:
            ModelError: it is missing or damaged.
        """
        folder = folder or models_folder()
        path = folder / "manifest.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            entries = tuple(ModelEntry.from_json(entry) for entry in data["models"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"The list of models at {path} is missing or damaged ({error}). Install the extension again."
            ) from error
        return cls(folder, entries)

    def write(self) -> None:
        """Write `manifest.json`, whole or not at all."""
        data = {"version": MANIFEST_VERSION, "models": [entry.to_json() for entry in self.entries]}
        write_text(self.folder / "manifest.json", json.dumps(data, indent=2) + "\n")

    def with_entry(self, entry: ModelEntry) -> Manifest:
        """The manifest with `entry` added, or put in place of the one of its name."""
        others = [e for e in self.entries if e.name != entry.name]
        position = next((i for i, e in enumerate(self.entries) if e.name == entry.name), len(others))
        return Manifest(self.folder, (*others[:position], entry, *others[position:]))

    def find(self, name: str) -> ModelEntry:
        """The model of that name.

        Raises:
            ModelError: there is none; the text lists those there are.
        """
        for entry in self.entries:
            if entry.name == name:
                return entry
        names = ", ".join(entry.name for entry in self.entries) or "none"
        raise ModelError(f"There is no model {name!r}. Bundled models: {names}.")

    def choose(self, task: str, name: str = "") -> ModelEntry:
        """The model `name` for a task, or the task's first one.

        Raises:
            ModelError: there is none of that name, or it is for another task.
        """
        entries = self.of_task(task)
        if entries and not name:
            return entries[0]
        for entry in entries:
            if entry.name == name:
                return entry
        names = ", ".join(entry.name for entry in entries) or "none"
        raise ModelError(f"There is no model {name!r} to {task}. Choose one of: {names}.")

    def of_task(self, task: str) -> tuple[ModelEntry, ...]:
        """The models for a task."""
        return tuple(entry for entry in self.entries if entry.task == task)


def add_networks(package: str) -> None:
    """Look for networks in the modules of a further package too."""
    if package not in _PACKAGES:
        _PACKAGES.append(package)


def network_module(network: str) -> ModuleType:
    """The module of a network, with its `build`, `CONFIG` and `SIZES`.

    Raises:
        ImportError: no such network.
    """
    names = [f"{package}.{network}" for package in _PACKAGES]
    return importlib.import_module(next((name for name in names if importlib.util.find_spec(name)), names[0]))


def build_network(network: str, config: Mapping[str, Any]) -> nn.Module:
    """An untrained network from its module's name and its configuration.

    Raises:
        ModelError: no such network, or a configuration it does not know.
    """
    try:
        module = network_module(network)
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        built: nn.Module = module.build(module.CONFIG(**values))
        return built
    except (ImportError, TypeError) as error:
        raise ModelError(f"The network {network!r} cannot be built with {dict(config)}: {error}.") from error


def load_network(entry: ModelEntry, folder: Path) -> nn.Module:
    """The trained network of an entry: checksum verified, strictly matching, float32, eval mode.

    Raises:
        ModelError: the file is missing, damaged, or of another network.
    """
    import torch

    path = folder / entry.file
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"The weights of {entry.name} cannot be read: {error}. Install the extension again."
        ) from error
    if hashlib.sha256(raw).hexdigest() != entry.sha256:
        raise ModelError(
            f"The weights of {entry.name} in {path} are damaged or not the ones that were released "
            "(their checksum differs). Install the extension again."
        )
    network = build_network(entry.network, entry.config)
    try:
        state = torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)
        network.load_state_dict(
            {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
        )
    except (RuntimeError, ValueError, TypeError, AttributeError, OSError, pickle.UnpicklingError) as error:
        raise ModelError(
            f"The weights in {path} do not belong to the network {entry.network!r} or are no plain weights: "
            f"{str(error).splitlines()[0]} Install the extension again."
        ) from error
    return network.eval()


def save_weights(network: nn.Module, path: Path) -> str:
    """Write a network's state as float16, whole or not at all; returns its SHA-256.

    The same state gives the same bytes, whatever the file is called.
    """
    state = {
        name: value.detach().cpu().half() if value.is_floating_point() else value.cpu()
        for name, value in network.state_dict().items()
    }
    return write_state(state, path)


def write_state(state: Mapping[str, Any], path: Path) -> str:
    """Write tensors by name, whole or not at all; returns the file's SHA-256."""
    import torch

    # Into a file torch writes the file's name too, and that of the part beside it is drawn by chance.
    written = io.BytesIO()
    torch.save(dict(state), written)
    with replacing(path) as part:
        part.write_bytes(written.getbuffer())
    return sha256_of(path)


@dataclass
class ModelStore:
    """Networks by name, loaded once, on a device, in inference form; the worker keeps one and stays warm.

    Attributes:
        manifest: what there is.
    """

    manifest: Manifest
    _loaded: dict[tuple[str, str, str], nn.Module] = field(default_factory=dict, repr=False)

    @classmethod
    def bundled(cls, folder: Path | None = None) -> ModelStore:
        """The models that come with the extension (or lie in `folder`)."""
        return cls(Manifest.read(folder))

    def network(self, name: str, device: str, precision: str) -> nn.Module:
        """The network `name` on `device`, batch norm folded, channels_last.

        Its type is "float32" or "bfloat16" (or "float16").

        Raises:
            ModelError: see :func:`load_network`.
        """
        import torch

        key = (name, device, precision)
        if key not in self._loaded:
            network = fold_batch_norm(load_network(self.manifest.find(name), self.manifest.folder))
            dtype = getattr(torch, precision)
            self._loaded[key] = network.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self._loaded[key]

    def release(self) -> None:
        """Forget loaded networks (before a retry on another device)."""
        self._loaded.clear()
