"""The bank of class slices: made once, in files that all training processes share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.support.progress import Progress, silent

from ..data.cases import TrainingCase, cached, crop_to_liver, lits_cases
from .classes import ClassSettings, ClassSlices, body_slices, real_slices
from .kept_folders import is_whole, make_all, write_folder


def save_slices(slices: ClassSlices, folder: Path) -> None:
    """Write `data.npy` and `slices.json`, whole or not at all."""
    meta = {
        "labels": slices.labels.tolist(),
        "groups": slices.groups.tolist(),
        "phases": slices.phases,
        "source": slices.source,
        "kind": slices.kind,
        "patient": slices.patient,
    }

    def write(beside: Path) -> None:
        np.save(beside / "data.npy", slices.data)
        (beside / "slices.json").write_text(json.dumps(meta))

    write_folder(folder, write, load_slices)


def load_slices(folder: Path) -> ClassSlices:
    """What :func:`save_slices` wrote, memory-mapped.

    Raises:
        OSError, ValueError, KeyError: it is missing or damaged.
    """
    meta = json.loads((folder / "slices.json").read_text(encoding="utf-8"))
    data = np.load(folder / "data.npy", mmap_mode="r", allow_pickle=False)
    return ClassSlices(
        data,
        np.array(meta["labels"], int),
        np.array(meta["groups"], int),
        tuple(meta["phases"]),
        meta["source"],
        meta["kind"],
        meta["patient"],
    )


def _make(task: tuple[int | TrainingCase, ClassSettings, Path | None, Path]) -> None:
    what, settings, shapes, folder = task
    make = body_slices if isinstance(what, int) else real_slices
    save_slices(make(what, settings, shapes), folder)  # type: ignore[operator]


def class_bank(
    settings: ClassSettings,
    cache: Path,
    shapes: Path | None,
    *,
    real: Sequence[TrainingCase] = (),
    workers: int = 1,
    progress: Progress = silent,
) -> list[ClassSlices]:
    """Make (or find) the class slices of all bodies and of `real` livers under `cache`."""
    folder = cache / f"classes-{replace(settings, bodies=0).key()}"
    tasks = [(n, settings, shapes, folder / f"body{n:04d}") for n in range(settings.bodies)]
    tasks += [(case, settings, shapes, folder / case.name) for case in real]
    missing = [task for task in tasks if not is_whole(task[3], load_slices)]
    what = "synthesising slices of every class"
    if workers > 1:
        make_all(_make, missing, workers, what, progress)
    else:
        # Starting a process takes longer than a small bank.
        for done, task in enumerate(missing, start=1):
            _make(task)
            progress(what, done / len(missing))
    return [load_slices(task[3]) for task in tasks]


def real_livers(data: Path, cache: Path, spec: InputSpec) -> list[TrainingCase]:
    """Real livers for class slices: the labelled ones, and those that are free of lesions."""
    from .healthy import healthy_cases

    cases = [crop_to_liver(c, 15.0) for c in lits_cases(data, cache / "cases", spec.spacing_zyx_mm)]
    grid = list(spec.spacing_zyx_mm)
    made: list[TrainingCase] = []

    def healthy(name: str) -> TrainingCase:
        if not made:
            made.extend(healthy_cases(data, spec.spacing_zyx_mm))
        return next(c for c in made if c.name == name)

    for name in ("smooth", "torso"):
        settings = {"name": f"class-{name}", "spacing": grid, "version": 1}
        try:
            case = cached(cache / "cases", settings, lambda name=name: healthy(name))
        except StopIteration:
            continue
        cases.append(crop_to_liver(case, 15.0))
    return cases
