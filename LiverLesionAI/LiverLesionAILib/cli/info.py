"""`liverlesionai info`: what is installed and what would be computed with."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..support.errors import LiverLesionAIError
from ..support.progress import TimedProgress
from .progress_bar import add_progress_option, progress_of
from .tools import EXIT_ERROR

if TYPE_CHECKING:
    from ..models.weights import Manifest, ModelEntry
    from .tools import Commands

INFO_FORMAT, INFO_VERSION = "LiverLesionAI info", 1
"""A version may gain fields; none goes or changes its meaning."""


def add_info_command(commands: Commands) -> None:
    """The parser of `info`."""
    info = commands.add_parser("info", help="version, torch, device, bundled models with checksums")
    info.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    info.add_argument("--json", action="store_true", help="for programs")
    info.add_argument(
        "--networks",
        action="store_true",
        help="parameters and operations of every network, published and compact",
    )
    info.add_argument(
        "--attention",
        type=Path,
        metavar="CT",
        help="whether every network's attention attends, measured on the liver in this CT (some minutes)",
    )
    add_progress_option(info)
    info.set_defaults(run=run_info)


def run_info(args: argparse.Namespace) -> int:
    """What is installed and what would be computed with; exit status 1 where a model is damaged."""
    from ..models.device import torch_missing

    if args.networks:
        if missing := torch_missing():
            raise LiverLesionAIError(missing)
        from ..networks.size_table import size_table

        print(f"LiverLesionAI {__version__}")
        print(size_table())
        return 0
    if args.attention is not None:
        if missing := torch_missing():
            raise LiverLesionAIError(missing)
        from .attention import run_attention

        bar = progress_of(args)
        try:
            return run_attention(args.attention, args.device, args.json, TimedProgress(bar))
        finally:
            bar.done()
    there = installation(args.device)
    print(json.dumps(there, indent=2) if args.json else installation_text(there))
    return 0 if all(model["state"] != "damaged" for model in there["models"]) else EXIT_ERROR


def installation(device: str = "auto") -> dict[str, Any]:
    """What is installed, in plain types: version, Python, torch, device, models, files' formats.

    Args:
        device: as `--device`.

    Raises:
        LiverLesionAIError: there is no such device, or the manifest is damaged.
    """
    import platform

    from ..models.device import choose_device, torch_missing
    from ..models.weights import Manifest
    from ..writing.tables import JSON_FORMAT, JSON_VERSION
    from .progress_bar import PROGRESS_VERSION

    missing = torch_missing()
    version = None
    if not missing:
        import torch

        version = str(torch.__version__)
    manifest = Manifest.read()
    return {
        "format": INFO_FORMAT,
        "format_version": INFO_VERSION,
        "version": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "torch": version,
        "torch_missing": missing or None,
        "device": None if missing else choose_device(device).description,
        "models_folder": str(manifest.folder),
        "models": [_model(manifest, entry) for entry in manifest.entries],
        "writes": {JSON_FORMAT: JSON_VERSION, "progress": PROGRESS_VERSION},
    }


def _model(manifest: Manifest, entry: ModelEntry) -> dict[str, Any]:
    """``state`` is "right", "damaged" (its file is missing or another one) or "mean" (of other models)."""
    from ..support.files import sha256_of

    named = {"name": entry.name, "task": entry.task}
    if not entry.file:
        return {**named, "state": "mean", "of": list(entry.members)}
    path = manifest.folder / entry.file
    try:
        state = "right" if sha256_of(path) == entry.sha256 else "damaged"
        size = path.stat().st_size
    except OSError:
        state, size = "damaged", None
    return {**named, "state": state, "file": entry.file, "bytes": size, "sha256": entry.sha256}


def installation_text(there: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"LiverLesionAI {there['version']}, Python {there['python']}, {there['system']}"]
    if there["torch_missing"]:
        lines.append(there["torch_missing"])
    else:
        lines += [f"PyTorch {there['torch']}", f"Device: {there['device']}"]
    lines.append(f"Models in {there['models_folder']}:")
    for model in there["models"]:
        named = f"  {model['name']:<14} {model['task']:<10}"
        if model["state"] == "mean":
            lines.append(f"{named} mean of {' and '.join(model['of'])}")
            continue
        if model["bytes"] is None:
            size, state = "-", "MISSING: install the extension again"
        else:
            size = f"{model['bytes'] / 1e6:.1f} MB"
            right = model["state"] == "right"
            state = "checksum right" if right else "DAMAGED: install the extension again"
        lines.append(f"{named} {size:>7}  sha256 {model['sha256'][:16]}...  {state}")
    return "\n".join(lines)
