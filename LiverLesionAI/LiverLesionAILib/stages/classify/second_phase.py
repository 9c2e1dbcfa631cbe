"""A second contrast phase brought onto the first.

Rigidly, then deformably, by mutual information (SimpleITK).

Between phases a patient breathes differently, so the liver lies elsewhere and has another shape; contrast
changes densities, so mutual information compares them rather than differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from ...support.errors import Cancelled
from ...support.progress import Progress, silent
from ...volume.ct import AIR_HU, CtVolume, Geometry
from ...volume.ct import crop as cropped
from .liver_box import LiverCrop

GRID_MM = (4.0, 3.0, 3.0)


@dataclass(frozen=True)
class RegisterSettings:
    """How a second phase is brought onto the first, and when it is believed.

    Attributes:
        knots_mm: between the knots of the deformation.
        near_mm: registration looks at the liver and what lies this near to it.
        breath_mm: the liver lies this far away at most in the second phase.
        covered_share: of the liver that must lie on tissue of its density; less is a failure.
        tissue_hu: that density, from and to.
    """

    PREFIX: ClassVar[str] = "second_"

    knots_mm: float
    near_mm: float
    breath_mm: float
    covered_share: float
    tissue_hu: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Registered:
    """A second phase on the first one's grid.

    Attributes:
        hu_zyx: float32 HU on the grid that was asked for.
        mean_shift_mm: mean length by which points of the liver were moved.
        covered: share of the liver that lies on tissue of a liver's density.
    """

    hu_zyx: NDArray[np.float32]
    mean_shift_mm: float
    covered: float


def register_phase(
    crop: LiverCrop, second: CtVolume, settings: RegisterSettings, progress: Progress = silent
) -> Registered | None:
    """Bring `second` onto the part of another CT that holds its liver.

    Args:
        crop: its grid is that of the result.
        second: a CT of the same patient in the same patient space, any grid.

    Returns:
        None where the second phase does not show the liver, or cannot be brought into line.
    """
    progress("registering the second phase", 0.0)
    geometry, liver_zyx = crop.geometry, crop.liver_zyx
    first = CtVolume(crop.hu_zyx, geometry)
    coarse = geometry.with_spacing(GRID_MM)
    fixed = _on(as_image(first), coarse)
    shift = _first_shift(first, second)
    moving = as_image(_near(second, geometry, np.array(shift), settings.breath_mm))
    mask = _mask(liver_zyx, geometry, coarse, settings.near_mm)
    start = sitk.Euler3DTransform()
    start.SetCenter([float(c) for c in _middle(liver_zyx, geometry)])
    start.SetTranslation(shift)
    try:
        rigid = _rigid(fixed, moving, mask, start)
        progress("registering the second phase", 0.3)
        both = _deformable(fixed, moving, mask, rigid, settings.knots_mm)
    except Cancelled:
        raise
    except RuntimeError:
        # Too little overlap for a sample of both: another patient, or another part of the body.
        return None
    progress("registering the second phase", 0.95)
    moved = sitk.Resample(
        moving, _reference(geometry), both, sitk.sitkLinear, float(AIR_HU), sitk.sitkFloat32
    )
    hu = sitk.GetArrayFromImage(moved)
    inside = hu[liver_zyx]
    low, high = settings.tissue_hu
    covered = float(np.mean((inside > low) & (inside < high))) if inside.size else 0.0
    if covered < settings.covered_share:
        return None
    return Registered(hu, _mean_shift(both, liver_zyx, geometry), covered)


def _near(volume: CtVolume, geometry: Geometry, shift_lps: NDArray[np.float64], breath_mm: float) -> CtVolume:
    """The part of a scan that a liver box can lie on after a breath; all of it where they do not meet."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(geometry.shape_zyx) - 1)
    index = np.asarray(volume.geometry.lps_to_index(np.asarray(geometry.index_to_lps(corners)) + shift_lps))
    margin = breath_mm / np.array(volume.geometry.spacing_zyx_mm)
    shape = np.array(volume.geometry.shape_zyx)
    start = np.clip(np.floor(index.min(axis=0) - margin), 0, shape).astype(int)
    stop = np.clip(np.ceil(index.max(axis=0) + margin) + 1, 0, shape).astype(int)
    if (stop - start < 4).any():
        return volume
    return cropped(volume, start, stop)


def as_image(volume: CtVolume) -> sitk.Image:
    """A CT as SimpleITK has it, float32, same patient space."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.hu_zyx, np.float32))
    _place(image, volume.geometry)
    return image


def _place(image: sitk.Image, geometry: Geometry) -> None:
    image.SetSpacing([float(s) for s in geometry.spacing_zyx_mm[::-1]])
    image.SetOrigin([float(o) for o in geometry.origin_lps])
    image.SetDirection([float(d) for d in np.ravel(geometry.directions_lps)])


def _reference(geometry: Geometry) -> sitk.Image:
    image = sitk.Image([int(n) for n in geometry.shape_zyx[::-1]], sitk.sitkUInt8)
    _place(image, geometry)
    return image


def _on(image: sitk.Image, geometry: Geometry) -> sitk.Image:
    smooth = sitk.SmoothingRecursiveGaussian(image, [1.0, 1.0, 1.5])
    return sitk.Resample(
        smooth, _reference(geometry), sitk.Transform(), sitk.sitkLinear, float(AIR_HU), sitk.sitkFloat32
    )


def _mask(liver_zyx: NDArray[np.bool_], geometry: Geometry, coarse: Geometry, near_mm: float) -> sitk.Image:
    near = ndimage.distance_transform_edt(~liver_zyx, sampling=geometry.spacing_zyx_mm) <= near_mm
    image = sitk.GetImageFromArray(near.astype(np.uint8))
    _place(image, geometry)
    return sitk.Resample(
        image, _reference(coarse), sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8
    )


def _middle(liver_zyx: NDArray[np.bool_], geometry: Geometry) -> NDArray[np.float64]:
    return np.asarray(geometry.index_to_lps(np.argwhere(liver_zyx).mean(axis=0)))


def _first_shift(first: CtVolume, second: CtVolume) -> list[float]:
    """Nothing where the scans share a patient space; else what puts their middles on each other, mm."""
    boxes = []
    for volume in (first, second):
        corners = np.array([[0, 0, 0], np.array(volume.geometry.shape_zyx) - 1])
        ends = np.asarray(volume.geometry.index_to_lps(corners))
        boxes.append((ends.min(axis=0), ends.max(axis=0)))
    shared = np.minimum(boxes[0][1], boxes[1][1]) - np.maximum(boxes[0][0], boxes[1][0])
    if (shared > 40).all():
        return [0.0, 0.0, 0.0]
    return [float(v) for v in (boxes[1][0] + boxes[1][1] - boxes[0][0] - boxes[0][1]) / 2]


def _method(mask: sitk.Image, share: float) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.RANDOM)
    # Seeded: the same scans give the same classes.
    method.SetMetricSamplingPercentage(share, 1)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _rigid(
    fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, start: sitk.Euler3DTransform
) -> sitk.Transform:
    method = _method(mask, 0.1)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.02, 80, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([3, 1])
    method.SetSmoothingSigmasPerLevel([2, 0])
    method.SetInitialTransform(start, inPlace=False)
    return method.Execute(_windowed(fixed), _windowed(moving))


def _deformable(
    fixed: sitk.Image, moving: sitk.Image, mask: sitk.Image, rigid: sitk.Transform, knots_mm: float
) -> sitk.Transform:
    extent = np.array(fixed.GetSize()) * np.array(fixed.GetSpacing())
    mesh = [max(2, int(np.ceil(e / knots_mm))) for e in extent]
    spline = sitk.BSplineTransformInitializer(fixed, mesh, 3)
    method = _method(mask, 0.12)
    method.SetMovingInitialTransform(rigid)
    method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-4, numberOfIterations=25)
    method.SetShrinkFactorsPerLevel([1])
    method.SetSmoothingSigmasPerLevel([0])
    method.SetInitialTransform(spline, inPlace=False)
    found = method.Execute(_windowed(fixed), _windowed(moving))
    return sitk.CompositeTransform([rigid, found])


def _windowed(image: sitk.Image) -> sitk.Image:
    """Fat to bright vessels: bone, metal and air would take most bins of the histogram."""
    return sitk.Clamp(image, sitk.sitkFloat32, -120.0, 260.0)


def _mean_shift(transform: sitk.Transform, liver_zyx: NDArray[np.bool_], geometry: Geometry) -> float:
    points = np.argwhere(liver_zyx)
    points = points[:: max(1, len(points) // 400)]
    lps = np.asarray(geometry.index_to_lps(points))
    moved = np.array([transform.TransformPoint([float(v) for v in p]) for p in lps])
    return float(np.linalg.norm(moved - lps, axis=1).mean())
