"""The grid of a volume in a scene against the header of its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from LiverLesionAILab.fuzz import writers
from LiverLesionAILib.reading.node_grid import grid_difference
from LiverLesionAILib.volume.ct import Geometry
from support.ct_grids import geometries, steady
from support.ct_phantom import phantom_hu

HU = phantom_hu((12, 48, 52))
GRID = writers.AxialGrid()
NODE = np.vstack([GRID.sform_ras, [0, 0, 0, 1]])


def written(folder: Path, **fields: object) -> Path:
    (folder / "ct.nii").write_bytes(writers.nifti(HU, **fields))
    return folder / "ct.nii"


def test_as_in_the_file(tmp_path: Path) -> None:
    assert grid_difference(written(tmp_path), HU.shape, NODE) is None
    (tmp_path / "ct.nrrd").write_bytes(writers.nrrd(writers.nrrd_fields(HU), HU.tobytes()))
    assert grid_difference(tmp_path / "ct.nrrd", HU.shape, NODE) is None
    (tmp_path / "ct.mha").write_bytes(writers.metaimage(writers.metaimage_fields(HU), HU.tobytes()))
    assert grid_difference(tmp_path / "ct.mha", HU.shape, NODE) is None


@given(grid=geometries())
@steady
def test_any_grid_against_itself(tmp_path_factory: pytest.TempPathFactory, grid: Geometry) -> None:
    path = tmp_path_factory.mktemp("any") / "ct.nii"
    values = np.zeros(grid.shape_zyx, np.int16)
    sizes = (1.0, *grid.spacing_zyx_mm[::-1], 0, 0, 0, 0)
    path.write_bytes(writers.nifti(values, qform_code=0, srow=grid.ijk_to_ras[:3], pixdim=sizes))
    assert grid_difference(path, grid.shape_zyx, grid.ijk_to_ras) is None
    mirrored = grid.ijk_to_ras @ np.diag([-1.0, 1, 1, 1])
    assert "mirror image" in grid_difference(path, grid.shape_zyx, mirrored)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (np.diag([1, 1, 0.4, 1.0]), "voxels of 3 x 3 x 2 mm"),
        (np.array([[1, 0, 0, 40], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "40 voxels away"),
        (np.diag([-1, 1, 1, 1.0]), "mirror image"),
    ],
)
def test_otherwise_than_in_the_file(tmp_path: Path, change: np.ndarray, words: str) -> None:
    text = grid_difference(written(tmp_path), HU.shape, NODE @ change)
    assert text is not None and words in text and "ct.nii" in text and "check the side of the liver" in text


def test_a_file_that_contradicts_itself(tmp_path: Path) -> None:
    """Slicer followed one of the two: which one is named."""
    mirrored = GRID.sform_ras * [-1, 1, 1, 1]
    path = written(tmp_path, srow=mirrored)
    text = grid_difference(path, HU.shape, NODE)
    assert text is not None and "loaded by the qform of ct.nii" in text and "mirror image" in text
    text = grid_difference(path, HU.shape, np.vstack([mirrored, [0, 0, 0, 1]]))
    assert text is not None and "loaded by the sform of ct.nii" in text


def test_other_dimensions(tmp_path: Path) -> None:
    assert "other dimensions" in grid_difference(written(tmp_path), (11, 48, 52), NODE)


@pytest.mark.parametrize("name", ["gone.nii", "scene.mrb", "IM0001.dcm", ""])
def test_nothing_to_compare_with(tmp_path: Path, name: str) -> None:
    assert grid_difference(tmp_path / name, HU.shape, NODE) is None
