"""How a case was made: enough to make it again, and to say why it cannot be; nothing of the patient.

Kept in every ``case.json`` under "run". A CT is known by a hash of its voxels and grid only, never by a path
or a name.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..support.errors import InputError
from ..volume.ct import CtVolume

CASE_FILE = "case.json"


@dataclass(frozen=True)
class ModelDigest:
    """A model that took part.

    Attributes:
        weights: SHA-256 of its weights, "" where it has none of its own.
        reading: SHA-256 of its configuration, input and scales: how it reads a CT.
    """

    weights: str
    reading: str


@dataclass(frozen=True)
class RunManifest:
    """One run of the analysis.

    Attributes:
        version: of LiverLesionAI.
        versions: of Python and of the libraries that computed.
        settings: the user's choices, models by their names.
        rules: rule -> value, every one.
        set_by: rule -> which model's calibration, or the user, set it; the others are the page's own.
        models: name -> digest, of all that took part.
        ct, second_phase: SHA-256 of voxels and grid; "" without a second phase.
        phases: named phase -> the same of its CT.
        ct_phase: what the reader calls the CT's own phase; "" for nothing.
        device: that it ran on; seconds: stage -> seconds.
    """

    version: str
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
    rules: Mapping[str, Any]
    set_by: Mapping[str, str]
    models: Mapping[str, ModelDigest]
    ct: str
    second_phase: str = ""
    phases: Mapping[str, str] = field(default_factory=dict)
    ct_phase: str = ""
    device: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain types; the way back is :meth:`from_json`."""
        described = asdict(self)
        return {**described, "seconds": {name: round(value, 3) for name, value in self.seconds.items()}}

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> RunManifest:
        """KeyError, TypeError or ValueError where it is damaged."""
        return cls(
            version=str(entry["version"]),
            versions={str(k): str(v) for k, v in entry["versions"].items()},
            settings=dict(entry["settings"]),
            rules=dict(entry["rules"]),
            set_by={str(k): str(v) for k, v in entry["set_by"].items()},
            models={
                str(name): ModelDigest(str(digest["weights"]), str(digest["reading"]))
                for name, digest in entry["models"].items()
            },
            ct=str(entry["ct"]),
            second_phase=str(entry.get("second_phase", "")),
            phases={str(k): str(v) for k, v in entry.get("phases", {}).items()},
            ct_phase=str(entry.get("ct_phase", "")),
            device=str(entry.get("device", "")),
            seconds={str(k): float(v) for k, v in entry.get("seconds", {}).items()},
        )


def read_run(path: Path) -> RunManifest:
    """How the case in a folder, or of a ``case.json``, was made.

    Raises:
        InputError: there is no case, it is damaged, or a version made it that kept no manifest.
    """
    path = path / CASE_FILE if path.is_dir() else path
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        entry = described["run"]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read ({error}). Name a case folder or its {CASE_FILE}."
        ) from error
    except (ValueError, KeyError, TypeError):
        entry = None
    if entry is None:
        raise InputError(
            f"{path} does not say by which rules it was made: it is no case, or an earlier version made it. "
            "Analyse that CT again."
        )
    try:
        return RunManifest.from_json(entry)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: what it says of its rules is damaged ({error}).") from error


def ct_digest(volume: CtVolume) -> str:
    """SHA-256 of a CT's voxels and grid."""
    geometry = volume.geometry
    digest = hashlib.sha256(str(volume.hu_zyx.dtype).encode())
    for array in (geometry.shape_zyx, geometry.spacing_zyx_mm, geometry.origin_lps, geometry.directions_lps):
        digest.update(np.ascontiguousarray(array, np.float64).tobytes())
    for plane in volume.hu_zyx:
        digest.update(np.ascontiguousarray(plane).data)
    return digest.hexdigest()
