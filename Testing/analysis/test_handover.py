"""A volume handed between processes: nothing of it is lost, and damage is named, never raised raw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from LiverLesionAILib.analysis.handover import GEOMETRY_FILE, VOXELS_FILE, read_volume, write_volume
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    geometry = Geometry.make((9, 7, 5), (2.5, 0.8, 0.7), (-30.0, 10.0, 5.0))
    array = np.arange(9 * 7 * 5, dtype=np.int16).reshape(9, 7, 5)
    volume = CtVolume(array, geometry, "Jürgens CT", ("Slices are uneven.",), ("Series 3 was taken.",))
    for _ in write_volume(tmp_path, array, geometry, volume.name, volume.warnings, volume.notes):
        pass
    return tmp_path


def test_warnings_and_notes_arrive(folder: Path) -> None:
    volume = read_volume(folder)
    assert volume.name == "Jürgens CT"
    assert volume.warnings == ("Slices are uneven.",)
    assert volume.notes == ("Series 3 was taken.",)
    assert np.array_equal(volume.hu_zyx.ravel(), np.arange(9 * 7 * 5))


def _change(**changed):
    def damage(folder: Path) -> None:
        path = folder / GEOMETRY_FILE
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changed}))

    return damage


def _drop(key: str):
    def damage(folder: Path) -> None:
        path = folder / GEOMETRY_FILE
        known = json.loads(path.read_text(encoding="utf-8"))
        del known[key]
        path.write_text(json.dumps(known))

    return damage


def _truncate(name: str, share: float):
    def damage(folder: Path) -> None:
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw[: int(len(raw) * share)])

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(_change(shape_zyx=[9, 7, 6]), id="other shape"),
        pytest.param(_change(shape_zyx=[9, 7]), id="two axes"),
        pytest.param(_change(shape_zyx=None), id="no shape"),
        pytest.param(_change(spacing_zyx_mm=[2.5, 0.0, 0.7]), id="zero spacing"),
        pytest.param(_change(directions_lps=[1.0, 0, 0, 1, 0, 0, 0, 0, 1]), id="directions not independent"),
        pytest.param(_change(directions_lps="north"), id="directions are text"),
        pytest.param(_drop("name"), id="no name"),
        pytest.param(_drop("origin_lps"), id="no origin"),
        pytest.param(_truncate(GEOMETRY_FILE, 0.5), id="half the geometry"),
        pytest.param(_truncate(GEOMETRY_FILE, 0.0), id="empty geometry"),
        pytest.param(_truncate(VOXELS_FILE, 0.7), id="voxels cut off"),
        pytest.param(_truncate(VOXELS_FILE, 0.0), id="no voxels"),
        pytest.param(lambda folder: (folder / VOXELS_FILE).unlink(), id="voxel file gone"),
        pytest.param(lambda folder: (folder / GEOMETRY_FILE).unlink(), id="not complete"),
    ],
)
def test_damage_is_told_with_what_to_do(folder: Path, damage) -> None:
    damage(folder)
    with pytest.raises(InputError, match=r"cannot be read \(.+Click Analyze again"):
        read_volume(folder)


def test_objects_in_the_voxel_file_are_not_executed(folder: Path) -> None:
    np.save(folder / VOXELS_FILE, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError):
        read_volume(folder)
