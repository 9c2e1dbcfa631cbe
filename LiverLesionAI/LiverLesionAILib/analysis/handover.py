"""How a volume goes from one process to another: a private folder with the voxels and their geometry.

The folder holds ``volume.npy`` (z, y, x) and, written last, ``volume.json``; a folder without the latter is
not
complete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ..case.classes import Phase
from ..case.phases import NamedPhases
from ..support.errors import GeometryError, InputError
from ..support.files import write_text
from ..volume.contrast import NOTHING_SAID, ContrastHeader, checked
from ..volume.ct import CtVolume, Geometry

VOXELS_FILE = "volume.npy"
GEOMETRY_FILE = "volume.json"
SECOND_FOLDER = "second"
"""Within a case's folder, where there is one: another contrast phase of the same patient."""
PHASES_FILE = "phases.json"
"""Beside it, where the reader names phases: that of the CT, and the folders of further ones."""
SLAB_BYTES = 2 << 20


def stored_type(dtype: np.dtype) -> np.dtype:
    """The type voxels are handed over in: int16 where it holds every value of `dtype`, float32 otherwise."""
    return np.dtype(np.int16) if np.can_cast(dtype, np.int16) else np.dtype(np.float32)


def write_volume(
    folder: Path,
    hu_zyx: NDArray[Any],
    geometry: Geometry,
    name: str,
    warnings: Sequence[str] = (),
    notes: Sequence[str] = (),
    contrast: ContrastHeader = NOTHING_SAID,
) -> Iterator[float]:
    """Write a volume slab by slab, so that an event loop can run in between.

    Args:
        folder: exists and is private to this case.
        hu_zyx: (z, y, x) HU on `geometry`, any numeric type.
        warnings, notes, contrast: as in :class:`~LiverLesionAILib.volume.ct.CtVolume`.

    Yields:
        the share written, 0..1, after each slab of a few megabytes.

    Raises:
        OSError: no space or no permission.
    """
    target = stored_type(hu_zyx.dtype)
    slices = max(1, SLAB_BYTES // max(1, int(np.prod(hu_zyx.shape[1:])) * target.itemsize))
    with (folder / VOXELS_FILE).open("wb") as file:
        npy_format.write_array_header_1_0(
            file, {"descr": npy_format.dtype_to_descr(target), "fortran_order": False, "shape": hu_zyx.shape}
        )
        for start in range(0, hu_zyx.shape[0], slices):
            slab = np.ascontiguousarray(hu_zyx[start : start + slices], dtype=target)
            file.write(slab.data)
            yield min(1.0, (start + slices) / hu_zyx.shape[0])
    text = json.dumps(
        {
            "name": name,
            "shape_zyx": geometry.shape_zyx,
            "spacing_zyx_mm": geometry.spacing_zyx_mm,
            "origin_lps": geometry.origin_lps,
            "directions_lps": np.asarray(geometry.directions_lps).ravel().tolist(),
            "warnings": list(warnings),
            "notes": list(notes),
            "contrast": {"delay_s": contrast.delay_s, "agent": contrast.agent},
        }
    )
    write_text(folder / GEOMETRY_FILE, text)


def read_volume(folder: Path) -> CtVolume:
    """Read what :func:`write_volume` wrote.

    Raises:
        InputError: the folder is incomplete or damaged.
    """
    try:
        known = json.loads((folder / GEOMETRY_FILE).read_text(encoding="utf-8"))
        geometry = Geometry.make(
            known["shape_zyx"],
            known["spacing_zyx_mm"],
            known["origin_lps"],
            np.array(known["directions_lps"]),
        )
        return CtVolume(
            np.load(folder / VOXELS_FILE, allow_pickle=False),
            geometry,
            known["name"],
            tuple(known["warnings"]),
            tuple(known["notes"]),
            contrast=checked(known["contrast"]["delay_s"], known["contrast"]["agent"]),
        )
    # Damage shows as a file that cannot be read, as text of another shape, or as voxels off their grid.
    except (OSError, ValueError, KeyError, TypeError, EOFError, GeometryError) as error:
        raise InputError(
            f"The volume handed over for the analysis cannot be read ({error}). Click Analyze again."
        ) from error


def name_phases(folder: Path, own: Phase | None, others: Sequence[Phase]) -> list[Path]:
    """Say which phases come along; a new folder for each of `others`, for :func:`write_volume`.

    Raises:
        OSError: no space or no permission.
    """
    places = {phase.value: f"phase_{phase.value}" for phase in others}
    for place in places.values():
        (folder / place).mkdir()
    known = {"own": None if own is None else own.value, "others": places}
    write_text(folder / PHASES_FILE, json.dumps(known))
    return [folder / place for place in places.values()]


def read_named_phases(folder: Path, read: Callable[[Path], CtVolume] = read_volume) -> NamedPhases | None:
    """What :func:`name_phases` and :func:`write_volume` wrote; None where no phase was named.

    Raises:
        InputError: a phase is incomplete or damaged.
    """
    if not (folder / PHASES_FILE).is_file():
        return None
    try:
        known = json.loads((folder / PHASES_FILE).read_text(encoding="utf-8"))
        own = None if known["own"] is None else Phase(known["own"])
        places = [(Phase(name), folder / place) for name, place in known["others"].items()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"The phases handed over for the analysis cannot be read ({error}). Click Analyze again."
        ) from error
    return NamedPhases(own, tuple((phase, read(place)) for phase, place in places))
