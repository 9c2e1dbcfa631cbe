"""A small made-up case on any grid, and a result read off label arrays, for tests and for looking."""

from __future__ import annotations

import itertools

import numpy as np
from LiverLesionAILib.case.findings import (
    AttentionMap,
    Box,
    CaseResult,
    Lesion,
    LesionSource,
    Measurement,
    ProbabilityMap,
)
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from scipy import ndimage as ndi


def rotation(degrees_xyz: tuple[float, float, float]) -> np.ndarray:
    """3 x 3 rotation about x, then y, then z."""
    matrix = np.eye(3)
    for axis, degrees in enumerate(degrees_xyz):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        i, j = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[i, i] = step[j, j] = c
        step[i, j], step[j, i] = -s, s
        matrix = step @ matrix
    return matrix


def oblique_geometry(shape_zyx: tuple[int, int, int] = (20, 40, 48), left_handed: bool = False) -> Geometry:
    """A tilted grid with three different spacings, off the origin."""
    directions = rotation((12.0, -7.0, 25.0))
    if left_handed:
        directions[:, 2] *= -1
    return Geometry.make(shape_zyx, (3.1, 1.3, 0.9), (-31.5, 47.25, -210.0), directions)


def box_of(mask_zyx: np.ndarray, geometry: Geometry, score: float = 0.9) -> Box:
    """The box round a mask's outer voxel faces."""
    where = ndi.find_objects(mask_zyx.astype(np.uint8))[0]
    lo = np.array([s.start - 0.5 for s in where])
    hi = np.array([s.stop - 0.5 for s in where])
    size_zyx = (hi - lo) * np.array(geometry.spacing_zyx_mm)
    centre = geometry.index_to_lps((lo + hi) / 2)
    return Box(
        tuple(float(c) for c in centre),
        tuple(float(s) for s in size_zyx[::-1]),
        tuple(float(d) for d in geometry.directions_lps.ravel()),
        score,
    )


def box_corners_lps(box: Box) -> np.ndarray:
    """The eight corners, (8, 3) LPS mm."""
    directions = np.array(box.directions_lps).reshape(3, 3)
    half = np.array(box.size_xyz_mm) / 2
    signs = np.array(list(itertools.product((-1, 1), repeat=3)))
    return np.array(box.centre_lps) + (signs * half) @ directions.T


def measured(mask_zyx: np.ndarray, hu_zyx: np.ndarray, geometry: Geometry, liver_voxels: int) -> Measurement:
    """Plausible measurements: the axes are the sides of the largest slice's rectangle, not RECIST's."""
    index = int(mask_zyx.sum(axis=(1, 2)).argmax())
    points = np.argwhere(mask_zyx[index])
    centre = points.mean(axis=0)
    mm = (points - centre) * np.array(geometry.spacing_zyx_mm[1:])
    _, vectors = np.linalg.eigh(np.cov(mm.T) + 1e-6 * np.eye(2)) if len(mm) > 2 else (0, np.eye(2))
    axes = []
    for direction in (vectors[:, 1], vectors[:, 0]):
        along = mm @ direction
        ends_yx = centre + np.outer((along.min(), along.max()), direction) / geometry.spacing_zyx_mm[1:]
        ends = tuple(tuple(float(v) for v in geometry.index_to_lps((index, *end))) for end in ends_yx)
        axes.append((float(np.ptp(along)), ends))
    hu = hu_zyx[mask_zyx]
    return Measurement(
        volume_ml=float(mask_zyx.sum() * geometry.voxel_volume_mm3 / 1000),
        long_axis_mm=axes[0][0],
        short_axis_mm=axes[1][0],
        long_axis_lps=axes[0][1],
        short_axis_lps=axes[1][1],
        hu_mean=float(hu.mean()),
        hu_sd=float(hu.std()),
        surface_distance_mm=4.0,
        percent_of_liver=float(100 * mask_zyx.sum() / max(liver_voxels, 1)),
    )


def result_of(
    volume: CtVolume,
    liver_zyx: np.ndarray,
    lesions_zyx: np.ndarray,
    *,
    classes: tuple[str, ...] = ("HCC", "CYST", "FNH", "HEM"),
    maps: bool = True,
) -> CaseResult:
    """A result with the components of `lesions_zyx` as lesions, largest first; every fourth unclassified."""
    components, count = ndi.label(lesions_zyx)
    sizes = np.bincount(components.ravel(), minlength=count + 1)[1:]
    labels = np.zeros(liver_zyx.shape, np.uint16)
    lesions = []
    for number, index in enumerate(np.argsort(-sizes, kind="stable"), 1):
        mask = components == index + 1
        labels[mask] = number
        named = number % 4 != 0
        predicted = classes[(number - 1) % len(classes)] if named else None
        others = dict.fromkeys(classes, 0.06)
        lesions.append(
            Lesion(
                number=number,
                score=0.95 - 0.02 * number,
                centre_lps=tuple(
                    float(v) for v in volume.geometry.index_to_lps(np.argwhere(mask).mean(axis=0))
                ),
                box=box_of(mask, volume.geometry),
                measurement=measured(mask, volume.hu_zyx, volume.geometry, int(liver_zyx.sum())),
                source=LesionSource.MASK,
                model_class=predicted,
                class_probabilities={**others, predicted: 0.82} if predicted else {},
            )
        )
    probabilities, attention = {}, ()
    if maps:
        soft = ndi.gaussian_filter((labels > 0).astype(np.float32), 1.0)
        probabilities = {
            "tumour": ProbabilityMap((soft * 255).astype(np.uint8), volume.geometry, 0.42),
        }
        attention = (
            AttentionMap("Gate", "Where the gate let features through.", soft, volume.geometry, (0.0, 1.0)),
        )
    return CaseResult(
        case_name=volume.name,
        geometry=volume.geometry,
        liver_zyx=liver_zyx.astype(bool),
        lesion_labels_zyx=labels,
        lesions=tuple(lesions),
        liver_volume_ml=float(liver_zyx.sum() * volume.geometry.voxel_volume_mm3 / 1000),
        liver_hu_mean=float(volume.hu_zyx[liver_zyx.astype(bool)].mean())
        if liver_zyx.any()
        else float("nan"),
        tumour_burden_percent=float(100 * (labels > 0).sum() / max(int(liver_zyx.sum()), 1)),
        probabilities=probabilities,
        attention=attention,
        version="0.1.0",
    )


def small_case(
    geometry: Geometry | None = None, lesions: int = 3, seed: int = 1
) -> tuple[CtVolume, CaseResult]:
    """An ellipsoid of a liver with up to four lesions of falling size, on an oblique grid by default."""
    geometry = oblique_geometry() if geometry is None else geometry
    nz, ny, nx = geometry.shape_zyx
    z, y, x = np.mgrid[:nz, :ny, :nx]
    liver = (
        ((z - nz / 2) / (0.4 * nz)) ** 2
        + ((y - ny / 2) / (0.4 * ny)) ** 2
        + ((x - nx / 2) / (0.42 * nx)) ** 2
    ) < 1
    places = (
        (0.5, 0.4, 0.35, 0.16),
        (0.55, 0.6, 0.66, 0.12),
        (0.4, 0.45, 0.68, 0.09),
        (0.6, 0.66, 0.4, 0.06),
    )
    tumour = np.zeros(geometry.shape_zyx, bool)
    for fz, fy, fx, radius in places[:lesions]:
        tumour |= (
            ((z - fz * nz) / (radius * nz)) ** 2
            + ((y - fy * ny) / (radius * ny)) ** 2
            + ((x - fx * nx) / (radius * nx)) ** 2
        ) < 1
    rng = np.random.default_rng(seed)
    hu = rng.normal(-80.0, 12.0, geometry.shape_zyx)
    hu[liver] += 185.0
    hu[tumour] -= 45.0
    volume = CtVolume(np.round(hu).astype(np.int16), geometry, "made-up case")
    return volume, result_of(volume, liver, tumour & liver)
