"""Whether the set that was made is the set that is meant.

Recorded are, per patient, a digest of its arrays and a fingerprint of what they show. Digests agree where
numpy, scipy and the processor round alike; elsewhere single voxels differ by 1 HU, which no network notices,
and the fingerprint tells that from another patient.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import write_text

from .plan import NAME


def recorded_file(name: str) -> Path:
    """Where a set's checksums are recorded."""
    return Path(__file__).resolve().parent / f"{name}.json"


RECORDED = recorded_file(NAME)

# Largest difference that is rounding: a share of the volumes, and HU of the means.
VOLUME_SHARE, MEAN_HU = 0.01, 0.5


@dataclass(frozen=True)
class PartCheck:
    """A part against what is recorded; names of patients.

    Attributes:
        same: to the last voxel; rounded: the same patients with other rounding; other: not the same;
            unknown: not recorded.
    """

    part: str
    same: tuple[str, ...] = ()
    rounded: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    def text(self) -> str:
        """One line for the terminal."""
        total = len(self.same) + len(self.rounded) + len(self.other) + len(self.unknown)
        said = f"{self.part}: {len(self.same)} of {total} patients agree with the recorded checksums"
        if self.rounded:
            said += f", {len(self.rounded)} up to rounding"
        if self.other:
            said += f", {len(self.other)} DIFFER ({', '.join(self.other[:5])})"
        if self.unknown:
            said += f", {len(self.unknown)} are not recorded"
        return said


def recorded(path: Path = RECORDED) -> dict[str, dict[str, list]]:
    """Part -> patient -> [digest, fingerprint].

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))["parts"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: the recorded checksums of {path.stem} are missing or damaged.") from error


def set_digest(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """One checksum of all patients' digests: 16 hexadecimal digits."""
    lines = [
        f"{part}/{name} {entry[0]}"
        for part, known in sorted(parts.items())
        for name, entry in sorted(known.items())
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def compare(
    records: Mapping[str, Mapping[str, Mapping[str, Any]]], known: Mapping[str, Mapping[str, list]]
) -> list[PartCheck]:
    """What was made (:func:`~.build.build`) against what is recorded."""
    checks = []
    for part, patients in records.items():
        found: dict[str, list[str]] = {"same": [], "rounded": [], "other": [], "unknown": []}
        for name, record in patients.items():
            entry = known.get(part, {}).get(name)
            if entry is None:
                found["unknown"].append(name)
            elif entry[0] == record["digest"]:
                found["same"].append(name)
            else:
                alike = _alike(entry[1], record["fingerprint"])
                found["rounded" if alike else "other"].append(name)
        checks.append(PartCheck(part, **{k: tuple(v) for k, v in found.items()}))
    return checks


def _alike(one: list[float], other: list[float]) -> bool:
    """Two fingerprints of one patient: as many lesions, volumes and means within rounding."""
    if len(one) != len(other) or one[0] != other[0]:
        return False
    volumes = all(
        abs(a - b) <= VOLUME_SHARE * max(a, b) + 0.02 for a, b in zip(one[1:3], other[1:3], strict=True)
    )
    return volumes and all(abs(a - b) <= MEAN_HU for a, b in zip(one[3:], other[3:], strict=True))


def write_recorded(
    records: Mapping[str, Mapping[str, Mapping[str, Any]]], path: Path = RECORDED, name: str = NAME
) -> str:
    """Record what was made; returns the set's checksum. For those who change the set."""
    parts = {
        part: {patient: [r["digest"], r["fingerprint"]] for patient, r in sorted(patients.items())}
        for part, patients in sorted(records.items())
    }
    total = set_digest(parts)
    lines = [f' "name": "{name}",', f' "digest": "{total}",', ' "parts": {']
    for part, patients in parts.items():
        entries = ",\n".join(f'   "{patient}": {json.dumps(entry)}' for patient, entry in patients.items())
        lines.append(f'  "{part}": {{\n{entries}\n  }},')
    lines[-1] = lines[-1].rstrip(",")
    write_text(path, "{\n" + "\n".join(lines) + "\n }\n}\n")
    return total
