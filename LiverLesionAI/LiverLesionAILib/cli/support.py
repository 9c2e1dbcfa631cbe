"""`liverlesionai support`: what a report of a fault needs, without anything of a patient."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..support.errors import InputError
from ..support.text import path_text
from .info import installation

if TYPE_CHECKING:
    from .tools import Commands

PACKAGES = (
    "numpy", "scipy", "SimpleITK", "pydicom", "vtk", "torch", "slicer-core", "highdicom", "jinja2",
    "reportlab", "pillow", "pyarrow",
)  # fmt: skip
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
LONGEST_LOG = 400

_FRAME = re.compile(r'^\s*File ".*(LiverLesionAIL(?:ib|ab))[/\\]+([\w/\\]+\.py)", line (\d+), in (\w+)')
_ERROR = re.compile(r"^\s*(?:\w+\.)*(\w*(?:Error|Exception|Cancelled|Interrupt|Warning))(?::|$)")


def add_support_command(commands: Commands) -> None:
    """The parser of `support`."""
    support = commands.add_parser("support", help="write what a report of a fault needs, no patient data")
    support.add_argument("--out", type=Path, required=True, metavar="FILE", help="text file to write")
    support.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1")
    support.add_argument("--case", type=Path, help="case folder: its settings, models and seconds too")
    support.add_argument(
        "--log",
        type=Path,
        help="log of Slicer or of a command: places in this software and kinds of errors only",
    )
    support.set_defaults(run=run_support)


def run_support(args: argparse.Namespace) -> int:
    """Gather and write; the file's text is also for the eye before it is sent."""
    from ..support.files import write_text

    text = json.dumps(gathered(args.device, args.case, args.log), indent=2) + "\n"
    write_text(args.out, text)
    print(f"{path_text(args.out)}: read it, and send it with your report. It holds nothing of a patient.")
    return 0


def gathered(device: str = "auto", case: Path | None = None, log: Path | None = None) -> dict[str, Any]:
    """What is installed, the computer, settings of a case, places of errors: plain types, no patient data.

    Raises:
        InputError: the case or the log cannot be read.
        LiverLesionAIError: there is no such device.
    """
    from ..models.computer import describe_computer, host_memory_gb

    there = installation(device)
    del there["models_folder"]  # the path may hold a person's name
    free, total = host_memory_gb()
    return {
        **there,
        "computer": describe_computer().line,
        "machine": f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores",
        "memory_gb": {"free": round(free, 1), "total": round(total, 1)},
        "packages": {name: _version(name) for name in PACKAGES},
        "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "case": None if case is None else case_settings(case),
        "log": None if log is None else log_places(log),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def case_settings(folder: Path) -> dict[str, Any]:
    """How a case was made; nothing of its scan but the number of voxels and their size.

    Raises:
        InputError: it cannot be read.
    """
    from ..case.store import load_result

    result = load_result(folder)
    run, grid = result.run, result.geometry
    settings = None if run is None else {k: v for k, v in run.settings.items() if not isinstance(v, Path)}
    return {
        "version": result.version,
        "device": result.device,
        "models": dict(result.models),
        "seconds": {stage: round(seconds, 2) for stage, seconds in result.timings_s.items()},
        "settings": settings,
        "versions": None if run is None else dict(run.versions),
        "shape_zyx": [int(n) for n in grid.shape_zyx],
        "spacing_zyx_mm": [round(float(mm), 3) for mm in grid.spacing_zyx_mm],
        "lesions": len(result.lesions),
    }


def log_places(log: Path) -> list[str]:
    """Of a log: files and lines of this software that errors went through, and the errors' kinds.

    Messages are left out, since they may name a patient's file.

    Raises:
        InputError: it cannot be read.
    """
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise InputError(f"{path_text(log)}: the log cannot be read ({error.strerror}). Check it.") from error
    kept = []
    for line in lines:
        if frame := _FRAME.match(line):
            package, file, number, function = frame.groups()
            place = re.sub(r"[/\\]+", "/", f"{package}/{file}")
            kept.append(f"{place}:{number} {function}")
        elif kept and (error_kind := _ERROR.match(line)):
            kept.append(error_kind.group(1))
    return kept[-LONGEST_LOG:]
