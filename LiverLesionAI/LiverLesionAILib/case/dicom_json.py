"""The DICOM source of a case, in a file of its own: it names the patient, and the other files do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..support.errors import InputError
from ..support.files import write_text
from ..volume.dicom import ATTRIBUTES, DicomSlice, DicomSource, keyword

DICOM_FILE = "dicom.json"
SCHEMA = "LiverLesionAI DICOM source"
SCHEMA_VERSION = 1
_NOTE = (
    "This file names the patient. Results written as DICOM take patient and study from it; "
    "delete it before the case is given to somebody who must not know the patient."
)


def write_dicom(folder: Path, source: DicomSource) -> Path:
    """Write ``dicom.json``: attributes under DICOM's keywords, and per slice class, instance and frame.

    Raises:
        OutputError: no space or no permission.
    """
    values = {keyword(name): getattr(source, name) for name in ATTRIBUTES}
    described = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "contains_patient_data": True,
        "note": _NOTE,
        "attributes": {key: value for key, value in values.items() if value not in ("", None)},
        "slices": [s and [s.sop_class_uid, s.sop_instance_uid, s.frame_number] for s in source.slices],
    }
    write_text(folder / DICOM_FILE, json.dumps(described, indent=1, ensure_ascii=False) + "\n")
    return folder / DICOM_FILE


def read_dicom(folder: Path) -> DicomSource | None:
    """What :func:`write_dicom` wrote; None where the case did not come from DICOM or the file was taken away.

    Raises:
        InputError: the file is damaged, or a newer version wrote it.
    """
    path = folder / DICOM_FILE
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        if described["schema"] != SCHEMA:
            raise ValueError("not a DICOM source of LiverLesionAI")
        if described["schema_version"] > SCHEMA_VERSION:
            raise InputError(f"{path} was written by a newer LiverLesionAI. Update the extension.")
        slices = tuple(s and _slice(*s) for s in described["slices"])
        known = described["attributes"]
        values = {name: _checked(name, known[keyword(name)]) for name in ATTRIBUTES if keyword(name) in known}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} cannot be read ({error}). Delete it (results can then not be written as DICOM), or "
            "analyse the CT again."
        ) from error
    return DicomSource(slices, **values)


def _slice(sop_class_uid: str, sop_instance_uid: str, frame_number: int | None) -> DicomSlice:
    return DicomSlice(str(sop_class_uid), str(sop_instance_uid), frame_number and int(frame_number))


def _checked(name: str, value: Any) -> Any:
    kind = {"series_number": int, "kvp": float}.get(name, str)
    return kind(value)
