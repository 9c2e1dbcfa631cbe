"""One liver at two times brought onto each other: by its outline first, then by what is inside it.

Coverage, spacing, phase, breathing and the liver's own growth differ between scans. The outlines (as signed
distances, which have no contrast phase) give the rough place, mutual information the fine one, a coarse
B-spline the shape. The result maps points of the prior scan to the current one, mm in LPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from ...case.findings import REDUCED_HU, ReducedCt
from ...support.progress import Progress, silent
from ...volume.ct import AIR_HU, Geometry
from ...volume.masks import bounding_box
from ...volume.overlap import dice
from ...volume.resampling import resample

GRID_MM = (4.0, 3.0, 3.0)
MARGIN_MM = 30.0
FAR_MM = 25.0
"""Distances from the outline count up to here: what is farther away is another organ."""
REACH_MM = 10.0
"""Around the liver that mutual information looks at."""
KNOTS_MM = 50.0
MOST_SHARE, MOST_SAMPLES = 0.15, 24000
STARTS_MM = (0.0, -30.0, 30.0, -60.0, 60.0)
"""Along the body: the middles of two partly covered livers may lie this far from each other."""
GOOD_DICE, GOOD_GAP_MM = 0.9, 4.0
"""A start that comes this close needs no other."""


@dataclass(frozen=True)
class AlignSettings:
    """When two livers lie on each other; the page of rules has the reasons.

    Attributes:
        least_dice: of the livers' common part after registration; less is a failure that is told.
        most_gap_mm: median distance of the outlines after registration; more is a failure.
        unlike_dice: less before the shape was bent is doubted.
    """

    PREFIX: ClassVar[str] = "align_"

    least_dice: float
    most_gap_mm: float
    unlike_dice: float


@dataclass(frozen=True, eq=False)
class ScanLiver:
    """A scan as registration sees it.

    Attributes:
        hu_zyx: CT on `geometry`; None where it is not at hand: then the outlines alone decide.
        liver_zyx: liver with its lesions on `geometry`.
        hu_geometry: of `hu_zyx`, where it is another grid (a reduced CT).
    """

    hu_zyx: NDArray | None
    liver_zyx: NDArray[np.bool_]
    geometry: Geometry
    hu_geometry: Geometry | None = None


@dataclass(frozen=True, eq=False)
class LiverTransform:
    """From the prior's patient space to the current one's.

    Attributes:
        transform: maps LPS points of the prior scan to the current one.
        dice: of the livers after registration, where both scans cover them.
        gap_mm: median distance between the outlines there.
        rigid_dice: before the shape was bent: livers of two patients can be bent onto each other.
        shift_mm: mean length by which points of the liver move.
    """

    transform: sitk.Transform
    dice: float
    gap_mm: float
    rigid_dice: float
    shift_mm: float

    def failed(self, settings: AlignSettings) -> bool:
        """Whether the livers do not lie on each other."""
        return self.dice < settings.least_dice or self.gap_mm > settings.most_gap_mm

    def points(self, points_lps: NDArray) -> NDArray[np.float64]:
        """(n, 3) points of the prior scan in the current one, LPS mm."""
        return np.array(
            [self.transform.TransformPoint([float(v) for v in p]) for p in np.atleast_2d(points_lps)]
        )

    def mask(self, mask_zyx: NDArray[np.bool_], source: Geometry, target: Geometry) -> NDArray[np.bool_]:
        """A mask of the **current** scan (`source`) as it lies in the prior one (`target`)."""
        moved = sitk.Resample(
            _image(mask_zyx.astype(np.float32), source),
            _reference(target),
            self.transform,
            sitk.sitkLinear,
            0.0,
            sitk.sitkFloat32,
        )
        return sitk.GetArrayFromImage(moved) >= 0.5


def composed(transforms: Sequence[LiverTransform | None]) -> LiverTransform | None:
    """One after the other, the oldest first; None where one is missing.

    Its quality is the worst of theirs.
    """
    whole = [t for t in transforms if t is not None]
    if not whole or len(whole) != len(transforms):
        return None
    # A composite applies what was added last first.
    joined = sitk.CompositeTransform([t.transform for t in reversed(whole)])
    return LiverTransform(
        joined,
        min(t.dice for t in whole),
        max(t.gap_mm for t in whole),
        min(t.rigid_dice for t in whole),
        sum(t.shift_mm for t in whole),
    )


def register_livers(
    prior: ScanLiver, current: ScanLiver, progress: Progress = silent, *, deformable: bool = True
) -> LiverTransform | None:
    """Find where every point of the prior liver lies now.

    Returns:
        None where one of them has no liver; otherwise what came closest. Whether that is close says
        :meth:`LiverTransform.failed`.

    Raises:
        Cancelled: from `progress`.
    """
    if not prior.liver_zyx.any() or not current.liver_zyx.any():
        return None
    progress("aligning the livers", 0.0)
    fixed, moving = _Prepared.of(prior), _Prepared.of(current)
    rigid = _by_outline(fixed, moving, progress)
    progress("aligning the livers", 0.4)
    best: sitk.Transform = rigid
    candidates = [rigid]
    densities = prior.hu_zyx is not None and current.hu_zyx is not None
    try:
        refined = _by_density(fixed, moving, rigid) if densities else rigid
        candidates.append(refined)
        if deformable:
            progress("aligning the livers", 0.6)
            start = min((rigid, refined), key=lambda t: -_agreement(t, fixed, moving)[0])
            candidates.append(_deformed(fixed, moving, start, densities=densities))
    except RuntimeError:
        # Too little in common for a sample of both: the outlines' answer stays.
        pass
    progress("aligning the livers", 0.95)
    scored = [(_agreement(t, fixed, moving), t) for t in candidates]
    (dice, gap), best = max(scored, key=lambda s: s[0][0] - 0.01 * s[0][1])
    rigid_dice = max(_agreement(t, fixed, moving)[0] for t in candidates[:2])
    return LiverTransform(best, dice, gap, rigid_dice, _mean_shift(best, prior))


def coarse_grid(liver_zyx: NDArray[np.bool_], geometry: Geometry) -> Geometry:
    """The grid that livers are registered on: around the liver.

    Raises:
        ValueError: no liver.
    """
    coarse, box = geometry.with_spacing(GRID_MM), bounding_box(liver_zyx)
    if box is None:
        raise ValueError("no liver to register")
    corners = [[s.start - 0.5 for s in box], [s.stop - 0.5 for s in box]]
    low, high = np.asarray(coarse.lps_to_index(geometry.index_to_lps(corners)))
    margin = np.ceil(MARGIN_MM / np.array(GRID_MM))
    start, stop = np.floor(low + 0.5 - margin), np.ceil(high + 0.5 + margin)
    return coarse.cropped(start.astype(int), stop.astype(int))


def reduced_ct(hu_zyx: NDArray, liver_zyx: NDArray[np.bool_], geometry: Geometry) -> ReducedCt | None:
    """What a later comparison needs of a CT, to be kept with its case; None without a liver."""
    if not liver_zyx.any():
        return None
    grid = coarse_grid(liver_zyx, geometry)
    low, high = REDUCED_HU
    hu = np.clip(resample(hu_zyx, geometry, grid), low, high)
    return ReducedCt(np.rint((hu - low) * (255 / (high - low))).astype(np.uint8), grid)


@dataclass(frozen=True, eq=False)
class _Prepared:
    """A scan cut to its liver on a coarse grid.

    Attributes:
        hu: windowed, smoothed.
        distance: signed distance from the liver's outline (negative inside), mm, clamped.
        liver: 0 or 1.
        near: where densities are compared.
        covered: 1 inside the scan.
    """

    hu: sitk.Image
    distance: sitk.Image
    liver: sitk.Image
    near: sitk.Image
    covered: sitk.Image

    @classmethod
    def of(cls, scan: ScanLiver) -> _Prepared:
        grid = coarse_grid(scan.liver_zyx, scan.geometry)
        if scan.hu_zyx is None:
            hu = np.zeros(grid.shape_zyx, np.float32)
        else:
            source = scan.hu_geometry or scan.geometry
            hu = _resampled(np.asarray(scan.hu_zyx, np.float32), source, grid, float(AIR_HU))
        inside = _resampled(np.ones(scan.geometry.shape_zyx, np.float32), scan.geometry, grid, 0.0) >= 0.5
        liver = _resampled(scan.liver_zyx.astype(np.float32), scan.geometry, grid, 0.0) >= 0.5
        outside_mm = ndimage.distance_transform_edt(~liver, sampling=GRID_MM)
        inside_mm = ndimage.distance_transform_edt(liver, sampling=GRID_MM)
        distance = np.clip(outside_mm - inside_mm, -FAR_MM, FAR_MM)
        smooth = ndimage.gaussian_filter(np.clip(hu, *REDUCED_HU), [1.0 / s for s in GRID_MM])
        return cls(
            _image(smooth.astype(np.float32), grid),
            _image(distance.astype(np.float32), grid),
            _image(liver.astype(np.float32), grid),
            _image(((outside_mm <= REACH_MM) & inside).astype(np.uint8), grid),
            _image(inside.astype(np.float32), grid),
        )


def _by_outline(fixed: _Prepared, moving: _Prepared, progress: Progress) -> sitk.Transform:
    """Rigid, by the distances from the outlines, from several heights."""
    best: tuple[float, sitk.Transform] | None = None
    middle_fixed, middle_moving = _middle(fixed.liver), _middle(moving.liver)
    near = sitk.Cast(sitk.Abs(fixed.distance) < FAR_MM, sitk.sitkUInt8) * sitk.Cast(
        fixed.covered, sitk.sitkUInt8
    )
    for k, height_mm in enumerate(STARTS_MM):
        progress("aligning the livers", 0.35 * k / len(STARTS_MM))
        start = sitk.Euler3DTransform()
        start.SetCenter([float(v) for v in middle_fixed])
        start.SetTranslation([float(v) for v in middle_moving - middle_fixed + np.array((0, 0, height_mm))])
        method = sitk.ImageRegistrationMethod()
        method.SetMetricAsMeanSquares()
        method.SetMetricFixedMask(near)
        method.SetMetricMovingMask(sitk.Cast(moving.covered, sitk.sitkUInt8))
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(0.2, 1)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(4.0, 0.05, 60, relaxationFactor=0.6)
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(start, inPlace=False)
        try:
            found = method.Execute(fixed.distance, moving.distance)
        except RuntimeError:
            continue
        dice, gap = _agreement(found, fixed, moving)
        score = dice - 0.01 * gap
        if best is None or score > best[0]:
            best = (score, found)
        if dice >= GOOD_DICE and gap <= GOOD_GAP_MM:
            break
    return best[1] if best is not None else start


def _by_density(fixed: _Prepared, moving: _Prepared, start: sitk.Transform) -> sitk.Transform:
    """Rigid once more, by mutual information in and near the liver."""
    method = _mutual_information(fixed, moving)
    method.SetOptimizerAsRegularStepGradientDescent(1.0, 0.02, 60, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(sitk.Euler3DTransform(_single(start)), inPlace=False)
    return method.Execute(fixed.hu, moving.hu)


def _deformed(
    fixed: _Prepared, moving: _Prepared, rigid: sitk.Transform, *, densities: bool
) -> sitk.Transform:
    """A coarse B-spline on top: first by the outlines, then by the densities."""
    extent = np.array(fixed.hu.GetSize()) * np.array(fixed.hu.GetSpacing())
    mesh = [max(2, int(np.ceil(e / KNOTS_MM))) for e in extent]
    spline = sitk.BSplineTransformInitializer(fixed.hu, mesh, 3)
    outline = sitk.ImageRegistrationMethod()
    outline.SetMetricAsMeanSquares()
    outline.SetMetricFixedMask(fixed.near)
    outline.SetMetricMovingMask(sitk.Cast(moving.covered, sitk.sitkUInt8))
    outline.SetMetricSamplingStrategy(outline.REGULAR)
    outline.SetMetricSamplingPercentage(_share(fixed.hu), 1)
    outline.SetInterpolator(sitk.sitkLinear)
    outline.SetMovingInitialTransform(rigid)
    outline.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-4, numberOfIterations=12)
    outline.SetInitialTransform(spline, inPlace=False)
    shaped = outline.Execute(fixed.distance, moving.distance)
    if not densities:
        return sitk.CompositeTransform([rigid, _single(shaped)])
    method = _mutual_information(fixed, moving)
    method.SetMovingInitialTransform(rigid)
    method.SetOptimizerAsLBFGSB(gradientConvergenceTolerance=1e-4, numberOfIterations=20)
    method.SetInitialTransform(_single(shaped), inPlace=False)
    found = method.Execute(fixed.hu, moving.hu)
    return sitk.CompositeTransform([rigid, found])


def _share(image: sitk.Image) -> float:
    """Of the voxels that are compared: three times as many cost three times as long and gain nothing."""
    return min(MOST_SHARE, MOST_SAMPLES / image.GetNumberOfPixels())


def _single(transform: sitk.Transform) -> sitk.Transform:
    """The transform itself, out of the composite of one that the optimiser may hand back."""
    if transform.GetTransformEnum() == sitk.sitkComposite:
        return sitk.CompositeTransform(transform).GetBackTransform()
    return transform


def _mutual_information(fixed: _Prepared, moving: _Prepared) -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricFixedMask(fixed.near)
    method.SetMetricMovingMask(sitk.Cast(moving.covered, sitk.sitkUInt8))
    method.SetMetricSamplingStrategy(method.RANDOM)
    # Seeded: the same scans give the same pairs.
    method.SetMetricSamplingPercentage(_share(fixed.hu), 1)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _agreement(transform: sitk.Transform, fixed: _Prepared, moving: _Prepared) -> tuple[float, float]:
    """(Dice, median gap of the outlines in mm) where both scans cover the liver."""
    moved = [
        sitk.GetArrayFromImage(sitk.Resample(image, fixed.liver, transform, sitk.sitkLinear, outside))
        for image, outside in ((moving.liver, 0.0), (moving.covered, 0.0), (moving.distance, FAR_MM))
    ]
    liver = sitk.GetArrayFromImage(fixed.liver) > 0.5
    both = (moved[1] > 0.5) & (sitk.GetArrayFromImage(fixed.covered) > 0.5)
    other = (moved[0] > 0.5) & both
    liver = liver & both
    if not (liver.any() or other.any()):
        return 0.0, float("inf")
    outline = liver & ~ndimage.binary_erosion(liver, border_value=1)
    gap = float(np.median(np.abs(moved[2][outline]))) if outline.any() else float("inf")
    return dice(liver, other), gap


def _mean_shift(transform: sitk.Transform, scan: ScanLiver) -> float:
    points = np.argwhere(scan.liver_zyx)
    points = points[:: max(1, len(points) // 300)]
    lps = np.asarray(scan.geometry.index_to_lps(points))
    moved = np.array([transform.TransformPoint([float(v) for v in p]) for p in lps])
    return float(np.linalg.norm(moved - lps, axis=1).mean())


def _middle(image: sitk.Image) -> NDArray[np.float64]:
    where = np.argwhere(sitk.GetArrayFromImage(image) > 0.5).mean(axis=0)
    return np.array(image.TransformContinuousIndexToPhysicalPoint([float(v) for v in where[::-1]]))


def _image(array_zyx: NDArray, geometry: Geometry) -> sitk.Image:
    image = sitk.GetImageFromArray(np.ascontiguousarray(array_zyx))
    image.SetSpacing([float(s) for s in geometry.spacing_zyx_mm[::-1]])
    image.SetOrigin([float(o) for o in geometry.origin_lps])
    image.SetDirection([float(d) for d in np.ravel(geometry.directions_lps)])
    return image


def _reference(geometry: Geometry) -> sitk.Image:
    return _image(np.zeros(geometry.shape_zyx, np.uint8), geometry)


def _resampled(array: NDArray[np.float32], source: Geometry, target: Geometry, outside: float) -> NDArray:
    moved = sitk.Resample(
        _image(array, source),
        _reference(target),
        sitk.Transform(),
        sitk.sitkLinear,
        outside,
        sitk.sitkFloat32,
    )
    return sitk.GetArrayFromImage(moved)
