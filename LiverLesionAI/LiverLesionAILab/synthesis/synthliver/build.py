"""Making the sets with several processes; what is there and whole is kept, so that a killed run goes on.

Every patient leaves a record, `.records/PART/NAME.json`, once all its files are written: its digest,
fingerprint, files and rows of the part's table. `set.json` says what the folder holds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent

from ..pool import synthesis_pool
from . import classes, slices
from .anatomy_case import make_anatomy_patient
from .anatomy_plan import NAME as NAME_ANATOMY
from .anatomy_plan import PART as PART_ANATOMY
from .anatomy_plan import AnatomyPlan, plan_anatomy
from .classes import make_patient_slices
from .multiphase import make_patient
from .multiphase_other import NAME as NAME_OTHER
from .multiphase_other import PART as PART_OTHER
from .multiphase_other import plan_others
from .multiphase_plan import NAME as NAME_2
from .multiphase_plan import NAME_SECOND, PART_SECOND, MultiphasePlan, plan_patients, plan_second
from .multiphase_plan import PART as PART_2
from .plan import NAME, PARTS, PatientPlan, plan
from .slices import make_series
from .volumes import make_volume

RECORDS = ".records"
SET_FILE = "set.json"
FORMAT = 1
"""Of the records; those of another format are made again."""

_MAKERS = {
    "volumes": make_volume,
    "slices": make_series,
    "classes": make_patient_slices,
    PART_2: make_patient,
    PART_SECOND: make_patient,
    PART_OTHER: make_patient,
    PART_ANATOMY: make_anatomy_patient,
}
SETS: dict[str, tuple[str, ...]] = {
    NAME: PARTS,
    NAME_2: (PART_2,),
    NAME_SECOND: (PART_SECOND,),
    NAME_OTHER: (PART_OTHER,),
    NAME_ANATOMY: (PART_ANATOMY,),
}
"""The parts of each set."""
UNRECORDED = (NAME_OTHER,)
"""Sets that nothing is judged by: no checksums."""

Plans = PatientPlan | MultiphasePlan | AnatomyPlan


def build(
    folder: Path,
    parts: Sequence[str] = PARTS,
    *,
    limit: int | None = None,
    jobs: int = 1,
    progress: Progress = silent,
    name: str = NAME,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Make the parts under `folder`, or what is missing of them.

    Args:
        folder: made where it does not exist.
        parts: of the set, see :data:`SETS`.
        limit: only so many patients; see :func:`~.plan.plan` and :func:`~.multiphase_plan.plan_patients`.
        jobs: processes; 1 works in this one.
        progress: told after every patient; may cancel.
        name: of the set.

    Returns:
        Part -> patient -> record.

    Raises:
        OutputError: no space or no permission.
        Cancelled: from `progress`; what is finished stays.
    """
    plans: dict[str, Sequence[Any]] = {part: _plans(part, limit) for part in parts}
    records: dict[str, dict[str, dict[str, Any]]] = {part: {} for part in parts}
    todo: list[tuple[str, Plans]] = []
    for part, patients in plans.items():
        for one in patients:
            record = read_record(folder, part, one.name)
            if record is None:
                todo.append((part, one))
            else:
                records[part][one.name] = record
    _make(todo, records, folder, jobs, progress, name)
    for part, patients in plans.items():
        records[part] = {one.name: records[part][one.name] for one in patients}
    for part, table in (("slices", slices.write_table), ("classes", classes.write_table)):
        if part in records:
            table(list(records[part].values()), folder)
    _write_set(folder, records, limit, name)
    progress(f"{name} is complete", 1.0)
    return records


def _plans(part: str, limit: int | None) -> Sequence[Any]:
    if part == PART_ANATOMY:
        return plan_anatomy(limit)
    if part == PART_OTHER:
        return plan_others(limit)
    if part == PART_SECOND:
        return plan_second(limit)
    return plan_patients(limit) if part == PART_2 else plan(part, limit)


def make_one(part: str, one: Plans, folder: Path) -> dict[str, Any]:
    """Make one patient and leave its record."""
    record = {"format": FORMAT, **_MAKERS[part](one, folder)}  # type: ignore[operator]
    write_text(folder / RECORDS / part / f"{one.name}.json", json.dumps(record))
    return record


def read_record(folder: Path, part: str, name: str) -> dict[str, Any] | None:
    """The record of a patient that is whole; None where it has to be made (again)."""
    try:
        record = json.loads((folder / RECORDS / part / f"{name}.json").read_text(encoding="utf-8"))
        whole = record["format"] == FORMAT and all((folder / file).is_file() for file in record["files"])
        return record if whole and record["digest"] and record["fingerprint"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _make(
    todo: Sequence[tuple[str, Plans]],
    records: dict[str, dict[str, dict[str, Any]]],
    folder: Path,
    jobs: int,
    progress: Progress,
    name: str,
) -> None:
    # What has been made before is not counted: the time left is that of what is left.
    total, done = sum(one.cost for _, one in todo), 0.0
    if not todo:
        return
    progress(f"making {name}", 0.0)
    if jobs <= 1:
        for part, one in todo:
            records[part][one.name] = make_one(part, one, folder)
            done += one.cost
            progress(f"making {name}: {part}", done / total)
        return
    with synthesis_pool(jobs) as pool:
        # The dearest first, so that no process works alone at the end.
        ordered = sorted(todo, key=lambda item: -item[1].cost)
        running = {pool.submit(make_one, part, one, folder): (part, one) for part, one in ordered}
        try:
            for finished in as_completed(running):
                part, one = running[finished]
                records[part][one.name] = finished.result()
                done += one.cost
                progress(f"making {name}: {part}", done / total)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _write_set(
    folder: Path, records: dict[str, dict[str, dict[str, Any]]], limit: int | None, name: str
) -> None:
    path = folder / SET_FILE
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["parts"]
    except (OSError, ValueError, KeyError):
        known = {}
    for part, patients in records.items():
        known[part] = {"patients": len(patients), "limit": limit}
    write_text(path, json.dumps({"name": name, "format": FORMAT, "parts": known}, indent=1) + "\n")
