"""`liverlesionai info`: what is installed and what would be computed with."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .. import __version__
from ..support.errors import LiverLesionAIError
from .tools import EXIT_ERROR

if TYPE_CHECKING:
    from .tools import Commands


def add_info_command(commands: Commands) -> None:
    """The parser of `info`."""
    info = commands.add_parser("info", help="version, torch, device, bundled models with checksums")
    info.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    info.add_argument(
        "--networks",
        action="store_true",
        help="parameters and operations of every network, published and compact",
    )
    info.set_defaults(run=run_info)


def run_info(args: argparse.Namespace) -> int:
    """What is installed and what would be computed with."""
    import platform

    from ..models.device import choose_device, torch_missing
    from ..models.weights import Manifest
    from ..support.files import sha256_of

    print(f"LiverLesionAI {__version__}, Python {platform.python_version()}, {platform.system()}")
    missing = torch_missing()
    if args.networks:
        if missing:
            raise LiverLesionAIError(missing)
        from ..networks.size_table import size_table

        print(size_table())
        return 0
    if missing:
        print(missing)
    else:
        import torch

        print(f"PyTorch {torch.__version__}")
        print(f"Device: {choose_device(args.device).description}")
    manifest = Manifest.read()
    status = 0
    print(f"Models in {manifest.folder}:")
    for entry in manifest.entries:
        if not entry.file:
            print(f"  {entry.name:<14} {entry.task:<9} mean of {' and '.join(entry.members)}")
            continue
        path = manifest.folder / entry.file
        try:
            whole = sha256_of(path) == entry.sha256
            state = "checksum right" if whole else "DAMAGED: install the extension again"
            size = f"{path.stat().st_size / 1e6:.1f} MB"
        except OSError:
            whole, state, size = False, "MISSING: install the extension again", "-"
        status = status if whole else EXIT_ERROR
        print(f"  {entry.name:<14} {entry.task:<9} {size:>7}  sha256 {entry.sha256[:16]}...  {state}")
    return status
