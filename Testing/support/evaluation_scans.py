"""Small labelled scans on disk for the evaluation and reader tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from support.evaluation_masks import ball

SHAPE, SPACING = (14, 40, 48), (3.0, 1.5, 1.5)


def make_labels(seed: int, n_lesions: int) -> np.ndarray:
    """A ball of liver with `n_lesions` balls of tumour in it."""
    rng = np.random.default_rng(seed)
    labels = ball(SHAPE, (7, 20, 24), 24, SPACING).astype(np.uint8)
    for k in range(n_lesions):
        centre = (7 + rng.integers(-2, 3), 20 + rng.integers(-6, 7), 14 + 9 * k)
        labels[ball(SHAPE, centre, rng.uniform(4, 6), SPACING) & (labels > 0)] = 2
    return labels


def make_ct(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """HU that go with labels."""
    hu = np.choose(labels, [-60, 110, 60]) + np.random.default_rng(seed).normal(0, 12, labels.shape)
    return hu.astype(np.int16)


def write_image(path: Path, array: np.ndarray, spacing=SPACING, origin=(-30.0, 12.0, 400.0)) -> Path:
    """A z, y, x array as an image file with LPS axes."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin(origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def write_scan(folder: Path, name: str, labels: np.ndarray) -> None:
    """NAME_ct.nii.gz and NAME_mask.nii.gz."""
    write_image(folder / f"{name}_ct.nii.gz", make_ct(labels))
    write_image(folder / f"{name}_mask.nii.gz", labels)


LIVER_SHAPE, LIVER_SPACING = (16, 80, 88), (2.5, 1.25, 1.25)
LIVER_LESIONS_MM = {(8, 34, 30): 8.0, (7, 48, 58): 6.0}
"""Centre, voxels, and radius of the dark balls in a body of :func:`write_liver`."""


def write_liver(folder: Path, name: str, lesions: dict[tuple[int, int, int], float]) -> None:
    """A round liver in a body, big enough for the bundled networks, with dark balls in it."""
    labels = ball(LIVER_SHAPE, (8, 40, 44), 40, LIVER_SPACING).astype(np.uint8)
    for centre, radius in lesions.items():
        labels[ball(LIVER_SHAPE, centre, radius, LIVER_SPACING) & (labels > 0)] = 2
    hu = np.choose(labels, [-100, 110, 45]) + np.random.default_rng(1).normal(0, 6, LIVER_SHAPE)
    hu[~ball(LIVER_SHAPE, (8, 40, 44), 46, LIVER_SPACING)] = -1000
    write_image(folder / f"{name}_ct.nii.gz", hu.astype(np.int16), LIVER_SPACING)
    write_image(folder / f"{name}_mask.nii.gz", labels, LIVER_SPACING)


def write_two_livers(folder: Path) -> Path:
    """Two such patients, "one" with the usual lesions and "two" with a single one; the folder."""
    write_liver(folder, "one", LIVER_LESIONS_MM)
    write_liver(folder, "two", {(9, 44, 40): 9.0})
    return folder
