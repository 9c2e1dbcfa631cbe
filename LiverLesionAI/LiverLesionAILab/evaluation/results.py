"""An evaluation as plain types for JSON, and files that are never half-written."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from LiverLesionAILib import __version__
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import replacing, write_text

from ..metrics.bootstrap import PairedComparison
from ..metrics.freeresponse import FreeResponse
from ..metrics.lesions import LesionRules
from .cases import CaseRow
from .summary import Summary


def case_json(row: CaseRow) -> dict[str, Any]:
    """A case with all its lesions."""
    return {
        "name": row.name,
        "patient": row.patient,
        "liver": plain(row.liver),
        "tumour": plain(row.tumour),
        "lesions": {
            "total": row.lesions.n_lesions,
            "found": row.lesions.n_found,
            "found_by_iou": row.lesions.n_found_by_iou,
            "false": row.lesions.n_false,
            "specks": row.lesions.n_specks,
            "reference": plain(row.lesions.reference),
            "predicted": plain(row.lesions.predicted),
        },
        "slices": plain(row.slices),
        "seconds": row.seconds,
        "messages": list(row.messages),
    }


def evaluation_json(
    data_set: str,
    methods: Mapping[str, Sequence[CaseRow]],
    summaries: Mapping[str, Summary],
    paired: Mapping[str, Mapping[str, PairedComparison]],
    rules: LesionRules,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything the tables and figures are made of.

    Args:
        data_set: what was evaluated on.
        methods: method -> its cases.
        summaries: method -> its figures.
        paired: method -> comparison with the first method.
        rules: what counted as a lesion and as found.
        settings: seed, draws and whatever else decides the figures.
    """
    return {
        "version": __version__,
        "data_set": data_set,
        "settings": plain(dict(settings)),
        "rules": plain(rules),
        "methods": {
            name: {
                "summary": [
                    {
                        "key": s.key,
                        "label": s.label,
                        "group": s.group,
                        "unit": s.unit,
                        "of": s.of,
                        **plain(s.interval),
                    }
                    for s in summaries[name].scores
                ],
                "slices": plain(summaries[name].slices),
                "free_response": plain(summaries[name].curve),
                "against_first": plain(paired.get(name)),
                "cases": [case_json(row) for row in rows],
            }
            for name, rows in methods.items()
        },
    }


def plain(value: Any) -> Any:
    """Dataclasses, arrays and numbers as JSON has them; what is no finite number becomes null."""
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    if isinstance(value, FreeResponse):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if is_dataclass(value) and not isinstance(value, type):
        return {k: plain(v) for k, v in asdict(value).items()}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return str(value)


def figure_module() -> ModuleType:
    """The module that draws figures.

    Raises:
        InputError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError(
            "Figures need matplotlib: install it (pip install matplotlib), or give --no-figures."
        )
    from . import figures

    return figures


def write_pictures(pictures: Mapping[tuple[str, str], bytes], out: Path) -> list[str]:
    """Write PNG files, each whole or not at all; their names.

    Args:
        pictures: (file stem, caption) -> PNG file.
        out: folder.

    Raises:
        OutputError: no space, no permission.
    """
    for (stem, _), png in pictures.items():
        with replacing(out / f"{stem}.png") as part:
            part.write_bytes(png)
    return [f"{stem}.png" for stem, _ in pictures]


def write_json(path: Path, data: Any) -> None:
    """Write indented JSON whole or not at all.

    Raises:
        OutputError: no space, no permission.
    """
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")
