"""Between the library's LPS arrays and MRML's RAS objects; nothing here touches a scene."""

from __future__ import annotations

import numpy as np
import slicer
from numpy.typing import ArrayLike, NDArray
from vtkmodules.util import numpy_support
from vtkmodules.vtkCommonCore import VTK_FLOAT, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkImageData, vtkPolyData
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkGeneralTransform
from vtkmodules.vtkFiltersCore import vtkPolyDataNormals

from ..case.findings import Box
from ..support.steps import Steps, slabs
from ..volume.crops import trimmed
from ..volume.geometry import LPS_TO_RAS, Geometry, Vec3, lps_to_ras, triple


def point_ras(point_lps: ArrayLike) -> Vec3:
    """An LPS point in RAS, mm, or back."""
    return triple(lps_to_ras(point_lps))


def vtk_matrix(matrix: NDArray) -> vtkMatrix4x4:
    """A 4 x 4 array as vtkMatrix4x4."""
    out = vtkMatrix4x4()
    out.DeepCopy(tuple(float(v) for v in np.asarray(matrix).ravel()))
    return out


def numpy_matrix(matrix: vtkMatrix4x4) -> NDArray[np.float64]:
    """A vtkMatrix4x4 as a 4 x 4 array."""
    return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def volume_geometry(volume_node: slicer.vtkMRMLScalarVolumeNode) -> Geometry:
    """The voxel grid of a volume node in its own space (before any parent transform), as LPS geometry."""
    matrix = vtkMatrix4x4()
    volume_node.GetIJKToRASMatrix(matrix)
    image = volume_node.GetImageData()
    shape = image.GetDimensions()[::-1] if image is not None else (0, 0, 0)
    return Geometry.from_ijk_to_ras(shape, numpy_matrix(matrix))


def set_volume(
    node: slicer.vtkMRMLScalarVolumeNode, array_zyx: NDArray, geometry: Geometry, *, copy: bool = True
) -> None:
    """Give a scalar volume node its voxels and its place; without `copy` it shares the array's memory."""
    image = vtkImageData()
    image.SetDimensions(*geometry.shape_zyx[::-1])
    array = np.ascontiguousarray(array_zyx)
    scalars = numpy_support.numpy_to_vtk(array.reshape(-1), deep=copy)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    place_image(node, image, geometry)


def place_image(node: slicer.vtkMRMLScalarVolumeNode, image: vtkImageData, geometry: Geometry) -> None:
    """Give a scalar volume node voxels that are there already."""
    node.SetIJKToRASMatrix(vtk_matrix(geometry.ijk_to_ras))
    node.SetAndObserveImageData(image)


def image_steps(array_zyx: NDArray) -> Steps[vtkImageData]:
    """Image data of float32 with an array's voxels, its place left out; uint8 arrays are taken as 0..1."""
    image = vtkImageData()
    image.SetDimensions(*array_zyx.shape[::-1])
    image.AllocateScalars(VTK_FLOAT, 1)
    scalars = image.GetPointData().GetScalars()
    scalars.SetName("ImageScalars")
    target = numpy_support.vtk_to_numpy(scalars).reshape(array_zyx.shape)
    scale = np.float32(1 / 255 if array_zyx.dtype == np.uint8 else 1)
    for slab in slabs(array_zyx.shape):
        np.multiply(array_zyx[slab], scale, out=target[slab], dtype=np.float32)
        yield
    return image


def labelmap(
    labels_zyx: NDArray, start_zyx: tuple[int, int, int], geometry: Geometry
) -> slicer.vtkOrientedImageData:
    """A crop of a label array (its voxel 0 at index `start_zyx` of `geometry`) as oriented image data."""
    image = slicer.vtkOrientedImageData()
    image.SetImageToWorldMatrix(vtk_matrix(geometry.ijk_to_ras))
    (z, y, x), (depth, height, width) = start_zyx, labels_zyx.shape
    image.SetExtent(x, x + width - 1, y, y + height - 1, z, z + depth - 1)
    array = np.ascontiguousarray(labels_zyx)
    if array.dtype == bool:
        array = array.view(np.uint8)
    scalars = numpy_support.numpy_to_vtk(array.reshape(-1), deep=True)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def labelmap_crop(
    image: slicer.vtkOrientedImageData, geometry: Geometry
) -> tuple[NDArray[np.bool_], tuple[int, int, int]]:
    """What a labelmap covers on `geometry`: (mask crop, index of its voxel 0), clipped to the grid.

    A labelmap on another grid (drawn on another volume) is resampled by nearest neighbour.
    """
    labels, start = label_crop(image, geometry)
    if not labels.size:
        return np.zeros((0, 0, 0), bool), (0, 0, 0)
    tight, offset = trimmed(labels > 0)
    return tight, tuple(int(a + b) for a, b in zip(start, offset, strict=True))  # type: ignore[return-value]


def label_crop(
    image: slicer.vtkOrientedImageData, geometry: Geometry
) -> tuple[NDArray, tuple[int, int, int]]:
    """:func:`labelmap_crop` with its labels, as they lie in the image's memory; not trimmed."""
    matrix = vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    to_index = np.linalg.inv(geometry.ijk_to_ras) @ numpy_matrix(matrix)
    if np.abs(to_index - np.round(to_index)).max() > 1e-3 or not np.allclose(
        to_index[:3, :3], np.eye(3), atol=1e-3
    ):
        resampled = slicer.vtkOrientedImageData()
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceGeometry(
            image, vtk_matrix(geometry.ijk_to_ras), resampled, False
        )
        image, to_index = resampled, np.eye(4)
    shift_zyx = np.round(to_index[:3, 3]).astype(int)[::-1]
    empty = np.zeros((0, 0, 0), np.uint8)
    scalars = image.GetPointData().GetScalars() if image is not None else None
    x0, x1, y0, y1, z0, z1 = image.GetExtent()
    if scalars is None or x1 < x0 or y1 < y0 or z1 < z0:
        return empty, (0, 0, 0)
    array = numpy_support.vtk_to_numpy(scalars).reshape(z1 - z0 + 1, y1 - y0 + 1, x1 - x0 + 1)
    start = np.array((z0, y0, x0)) + shift_zyx
    lo = np.maximum(start, 0)
    hi = np.minimum(start + array.shape, geometry.shape_zyx)
    if (hi <= lo).any():
        return empty, (0, 0, 0)
    inner = array[tuple(slice(a - s, b - s) for a, b, s in zip(lo, hi, start, strict=True))]
    return inner, (int(lo[0]), int(lo[1]), int(lo[2]))


def box_to_ras(box: Box) -> NDArray[np.float64]:
    """4 x 4 matrix from the box's own axes to RAS, right-handed as an ROI node wants it.

    A box on a left-handed grid has its third axis turned round, which leaves the box where it was.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = LPS_TO_RAS[:3, :3] @ np.asarray(box.directions_lps, float).reshape(3, 3)
    matrix[:3, 3] = point_ras(box.centre_lps)
    if np.linalg.det(matrix[:3, :3]) < 0:
        matrix[:3, 2] *= -1
    return matrix


def box_from_ras(matrix: NDArray, size_mm: ArrayLike, score: float = 1.0) -> Box:
    """The way back from :func:`box_to_ras`: an ROI's matrix and edges as a box in LPS."""
    lps = LPS_TO_RAS @ matrix
    return Box(triple(lps[:3, 3]), triple(size_mm), tuple(float(v) for v in lps[:3, :3].ravel()), score)


def surface_data(points_ras: NDArray[np.float32], triangles: NDArray[np.int32]) -> vtkPolyData:
    """A closed surface with its normals: points (n, 3) in RAS mm, triangles (m, 3) into them."""
    points = vtkPoints()
    points.SetData(numpy_support.numpy_to_vtk(points_ras, deep=True))
    cells = vtkCellArray()
    connectivity = numpy_support.numpy_to_vtkIdTypeArray(triangles.astype(np.int64).ravel(), deep=True)
    offsets = numpy_support.numpy_to_vtkIdTypeArray(
        np.arange(0, triangles.size + 1, 3, dtype=np.int64), deep=True
    )
    cells.SetData(offsets, connectivity)
    surface = vtkPolyData()
    surface.SetPoints(points)
    surface.SetPolys(cells)
    normals = vtkPolyDataNormals()
    normals.SetInputData(surface)
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    return normals.GetOutput()


def to_world(volume: slicer.vtkMRMLVolumeNode, point_lps: ArrayLike) -> Vec3:
    """A point of the volume's own space (LPS, mm) in the world (RAS, mm)."""
    transform = vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volume.GetParentTransformNode(), None, transform)
    return triple(transform.TransformPoint(*point_ras(point_lps)))


def to_volume(volume: slicer.vtkMRMLVolumeNode, point_world: tuple[float, ...]) -> Vec3:
    """A point of the world (RAS mm) in the volume's own space, LPS mm."""
    transform = vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(None, volume.GetParentTransformNode(), transform)
    return point_ras(transform.TransformPoint(*point_world))
