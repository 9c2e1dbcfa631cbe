"""Grids: index and patient coordinates, against ITK and Slicer; reorienting, cropping, pasting."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from LiverLesionAILib.support.errors import GeometryError
from LiverLesionAILib.volume.ct import (
    CtVolume,
    Geometry,
    crop,
    crop_array,
    lps_to_ras,
    paste,
    permuted,
    reorient,
    reoriented_geometry,
)
from support.ct_grids import geometries, steady


def itk_image(geometry: Geometry) -> sitk.Image:
    image = sitk.Image([int(n) for n in geometry.shape_zyx[::-1]], sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing_zyx_mm[::-1])
    image.SetOrigin(geometry.origin_lps)
    image.SetDirection(geometry.directions_lps.ravel().tolist())
    return image


fractional = st.tuples(*[st.floats(-5, 40)] * 3)


@steady
@given(geometries(), fractional)
def test_index_to_lps_is_itks(geometry: Geometry, index_zyx: tuple[float, float, float]) -> None:
    expected = itk_image(geometry).TransformContinuousIndexToPhysicalPoint(index_zyx[::-1])
    point = geometry.index_to_lps(index_zyx)
    np.testing.assert_allclose(point, expected, atol=1e-6)
    np.testing.assert_allclose(geometry.lps_to_index(point), index_zyx, atol=1e-6)


@steady
@given(geometries(), fractional)
def test_matrices_are_slicers(geometry: Geometry, index_zyx: tuple[float, float, float]) -> None:
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    vtk = pytest.importorskip("vtk")
    node, matrix = slicer.vtkMRMLScalarVolumeNode(), vtk.vtkMatrix4x4()
    matrix.DeepCopy(geometry.ijk_to_ras.ravel())
    node.SetIJKToRASMatrix(matrix)
    np.testing.assert_allclose(node.GetSpacing(), geometry.spacing_zyx_mm[::-1], rtol=1e-9)
    back = vtk.vtkMatrix4x4()
    node.GetRASToIJKMatrix(back)
    point_ras = lps_to_ras(geometry.index_to_lps(index_zyx))
    ijk = back.MultiplyPoint((*point_ras, 1.0))[:3]
    np.testing.assert_allclose(ijk, index_zyx[::-1], atol=1e-6)
    node.GetIJKToRASMatrix(matrix)
    read = np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])
    assert Geometry.from_ijk_to_ras(geometry.shape_zyx, read).matches(geometry, 1e-6)


@steady
@given(geometries())
def test_matrix_round_trips(geometry: Geometry) -> None:
    assert Geometry.from_ijk_to_lps(geometry.shape_zyx, geometry.ijk_to_lps).matches(geometry, 1e-9)
    assert Geometry.from_ijk_to_ras(geometry.shape_zyx, geometry.ijk_to_ras).matches(geometry, 1e-9)


def test_known_corner_in_ras() -> None:
    geometry = Geometry.make((5, 6, 7), (2.0, 1.0, 0.5), (10, 20, 30))
    np.testing.assert_allclose(geometry.index_to_lps((1, 2, 4)), (12, 22, 32))
    np.testing.assert_allclose(lps_to_ras((12, 22, 32)), (-12, -22, 32))
    np.testing.assert_allclose(geometry.ijk_to_ras @ (4, 2, 1, 1), (-12, -22, 32, 1))
    assert geometry.extent_zyx_mm == (10.0, 6.0, 3.5)
    assert geometry.voxel_volume_mm3 == 1.0


@steady
@given(geometries(), st.randoms(use_true_random=False))
def test_reorient_moves_no_voxel(geometry: Geometry, random) -> None:
    values = np.arange(np.prod(geometry.shape_zyx), dtype=np.int32).reshape(geometry.shape_zyx)
    volume = CtVolume(values, geometry)
    result = reorient(volume)
    assert np.shares_memory(result.hu_zyx, values)
    index = np.array([random.randrange(n) for n in result.geometry.shape_zyx])
    source = geometry.lps_to_index(result.geometry.index_to_lps(index))
    np.testing.assert_allclose(source, np.rint(source), atol=1e-5)
    assert result.hu_zyx[tuple(index)] == values[tuple(np.rint(source).astype(int))]
    # Each axis points along its patient axis more than any other arrangement would: positive, and back is
    # exact.
    assert np.diag(result.geometry.directions_lps).min() > 0
    np.testing.assert_array_equal(permuted(result.hu_zyx, result.geometry, geometry), values)


@steady
@given(geometries(oblique=False))
def test_reoriented_straight_grids_run_along_lps(geometry: Geometry) -> None:
    np.testing.assert_allclose(reoriented_geometry(geometry).directions_lps, np.eye(3), atol=1e-9)


@steady
@given(geometries(), st.data())
def test_crop_and_paste(geometry: Geometry, data: st.DataObject) -> None:
    shape = np.array(geometry.shape_zyx)
    start = np.array([data.draw(st.integers(-4, n - 1)) for n in shape])
    stop = np.array(
        [data.draw(st.integers(int(a) + 1, int(n) + 4)) for a, n in zip(start, shape, strict=True)]
    )
    values = np.arange(1, shape.prod() + 1, dtype=np.int16).reshape(shape)
    part = crop(CtVolume(values, geometry), start, stop, fill_hu=-7)
    assert part.hu_zyx.shape == tuple(stop - start)
    np.testing.assert_allclose(part.geometry.index_to_lps((0, 0, 0)), geometry.index_to_lps(start), atol=1e-6)
    inside = (slice(max(a, 0), min(b, n)) for a, b, n in zip(start, stop, shape, strict=True))
    inside = tuple(slice(s.start, max(s.start, s.stop)) for s in inside)
    assert (part.hu_zyx != -7).sum() == values[inside].size
    whole = np.zeros_like(values)
    paste(part.hu_zyx, whole, start)
    np.testing.assert_array_equal(whole[inside], values[inside])
    assert (whole != 0).sum() == values[inside].size


def test_crop_inside_is_a_view_and_empty_is_refused() -> None:
    values = np.zeros((4, 5, 6), np.int16)
    assert np.shares_memory(crop_array(values, (1, 1, 1), (3, 3, 3)), values)
    with pytest.raises(GeometryError, match="empty"):
        crop_array(values, (1, 1, 1), (1, 3, 3))


@steady
@given(geometries(), st.tuples(*[st.floats(0.3, 10)] * 3))
def test_with_spacing_covers_the_same_extent(
    geometry: Geometry, spacing_zyx_mm: tuple[float, float, float]
) -> None:
    grid = geometry.with_spacing(spacing_zyx_mm)
    centre = (np.array(geometry.shape_zyx) - 1) / 2
    grid_centre = (np.array(grid.shape_zyx) - 1) / 2
    np.testing.assert_allclose(grid.index_to_lps(grid_centre), geometry.index_to_lps(centre), atol=1e-6)
    more = np.array(grid.extent_zyx_mm) - np.array(geometry.extent_zyx_mm)
    assert (more > -1e-4).all()
    assert (more <= np.array(spacing_zyx_mm) + 1e-4).all()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (((0, 4, 4),), "empty"),
        (((4, 4),), "three-dimensional"),
        (((4, 4, 4), (1, 0, 1)), "not positive"),
        (((4, 4, 4), (1, float("nan"), 1)), "not positive"),
        (((4, 4, 4), (1, 1, 1), (0, 0, float("inf"))), "origin"),
        (((4, 4, 4), (1, 1, 1), (0, 0, 0), [[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]), "perpendicular"),
    ],
)
def test_impossible_grids_are_refused(arguments: tuple, text: str) -> None:
    with pytest.raises(GeometryError, match=text):
        Geometry.make(*arguments)


def test_sheared_matrix_and_wrong_shape_are_refused() -> None:
    sheared = np.eye(4)
    sheared[1, 2] = 0.3
    with pytest.raises(GeometryError, match="shear"):
        Geometry.from_ijk_to_ras((4, 4, 4), sheared)
    with pytest.raises(GeometryError, match="singular"):
        Geometry.from_ijk_to_ras((4, 4, 4), np.zeros((4, 4)))
    with pytest.raises(GeometryError, match="shape"):
        CtVolume(np.zeros((4, 4, 5)), Geometry.make((4, 4, 4)))


def test_matches_sees_spacing_of_a_single_slice() -> None:
    assert not Geometry.make((1, 4, 4), (1, 1, 1)).matches(Geometry.make((1, 4, 4), (2, 1, 1)))
    assert Geometry.make((1, 4, 4)).matches(Geometry.make((1, 4, 4), origin_lps=(1e-4, 0, 0)))
