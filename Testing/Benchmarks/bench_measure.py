"""How long measuring takes, beside SimpleITK's label statistics for the same labels.

Run: ``python Testing/Benchmarks/bench_measure.py [--repeat 5]``. "shape" is LabelShapeStatistics with Feret
diameter alone (volume, centroid, box, a diameter between voxel centres in 3D; no short axis, nothing about
the liver); "all" adds what that lacks: LabelStatistics for HU and a distance map of the liver.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk

sys.path.insert(0, str(Path(__file__).parents[2] / "LiverLesionAI"))

from LiverLesionAILib.stages.measure.lesions import measure_case, measure_liver, measure_mask
from LiverLesionAILib.volume.ct import Geometry


def add_ball(
    array: np.ndarray, geometry: Geometry, centre_mm: np.ndarray, radii_mm: np.ndarray, value: int
) -> None:
    """Paint an ellipsoid; its centre is in mm from voxel 0 along z, y, x."""
    spacing = np.array(geometry.spacing_zyx_mm)
    low = np.maximum(0, np.floor((centre_mm - radii_mm) / spacing)).astype(int)
    high = np.minimum(array.shape, np.ceil((centre_mm + radii_mm) / spacing) + 1).astype(int)
    axes = np.meshgrid(
        *(np.arange(a, b) * s for a, b, s in zip(low, high, spacing, strict=True)), indexing="ij", sparse=True
    )
    squared = sum(((a - c) / r) ** 2 for a, c, r in zip(axes, centre_mm, radii_mm, strict=True))
    array[tuple(map(slice, low, high))][squared <= 1.0] = value


def make_case(
    lesions: int, largest_mm: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Geometry]:
    """Labels, liver, HU and geometry of a 300 x 512 x 512 CT with a liver of 1.6 L."""
    rng = np.random.default_rng(seed)
    geometry = Geometry.make((300, 512, 512), (1.0, 0.75, 0.75))
    centre_mm = np.array([150.0, 190.0, 150.0])
    liver = np.zeros(geometry.shape_zyx, bool)
    radii_mm = np.array([70.0, 65.0, 85.0])
    add_ball(liver, geometry, centre_mm, radii_mm, True)
    labels = np.zeros(geometry.shape_zyx, np.uint16)
    for number in range(1, lesions + 1):
        size_mm = largest_mm if lesions == 1 else rng.uniform(6.0, largest_mm)
        direction = rng.normal(size=3)
        where = direction / np.linalg.norm(direction) * rng.uniform(0.2, 0.75) * radii_mm
        shape = size_mm / 2 * rng.uniform(0.8, 1.0, 3)
        add_ball(labels, geometry, centre_mm + where, shape, number)
    hu = rng.normal(100, 15, geometry.shape_zyx).astype(np.int16)
    return labels, liver, hu, geometry


def simpleitk_shape(labels: np.ndarray, geometry: Geometry) -> sitk.Image:
    """Shape statistics of all labels; the label image."""
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(geometry.spacing_zyx_mm[::-1])
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.ComputeFeretDiameterOn()
    shape.Execute(image)
    return image


def simpleitk_all(labels: np.ndarray, liver: np.ndarray, hu: np.ndarray, geometry: Geometry) -> None:
    """Shape, HU, and smallest distance to the liver's surface of all labels."""
    label_image = simpleitk_shape(labels, geometry)
    statistics = sitk.LabelStatisticsImageFilter()
    for array in (hu, liver.astype(np.uint8)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(geometry.spacing_zyx_mm[::-1])
        if array is not hu:
            image = sitk.Abs(sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True))
        statistics.Execute(image, label_image)


def fastest(call: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest of `repeat` calls."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(options.threads)
    print(
        f"512 x 512 x 300 CT; ms, the fastest of {options.repeat}; SimpleITK on {options.threads} thread(s)"
    )
    print(f"{'':<36}{'this':>8}{'shape':>10}{'ratio':>8}{'all':>10}{'ratio':>8}")
    for name, count, size_mm in (("1 lesion of 40 mm", 1, 40.0), ("60 lesions of 6 to 30 mm", 60, 30.0)):
        case = make_case(count, size_mm, options.seed)
        labels, liver, hu, geometry = case
        shape_s = fastest(partial(simpleitk_shape, labels, geometry), 1)
        all_s = fastest(partial(simpleitk_all, *case), 1)
        rows = [(name, partial(measure_whole, *case))]
        if count == 1:
            rows.append(
                ("  after an edit of its mask", partial(measure_mask, labels > 0, hu, geometry, liver))
            )
        for row, call in rows:
            seconds = fastest(call, options.repeat)
            cells = f"{1e3 * seconds:>8.0f}"
            for theirs in (shape_s, all_s):
                cells += f"{1e3 * theirs:>10.0f}{theirs / seconds:>7.0f}x"
            print(f"{row:<36}{cells}")


def measure_whole(labels: np.ndarray, liver: np.ndarray, hu: np.ndarray, geometry: Geometry) -> None:
    """Everything the measure stage does for a case."""
    measure_case(labels, liver, hu, geometry)
    measure_liver(labels, liver, hu, geometry)


if __name__ == "__main__":
    main()
