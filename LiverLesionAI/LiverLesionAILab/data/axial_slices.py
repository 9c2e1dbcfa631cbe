"""Single axial slices of 107 more patients, with liver outlines and, where it was seen, the gallbladder's.

Intensities are windowed to 0..255 HU (fat and air are 0), pixels are about 1.5 mm. Slices whose gallbladder
is unsure, and the doubtful liver borders among them, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray
from scipy import ndimage

from .cases import UNKNOWN, TrainingCase, encode_hu

USUAL_PIXEL_MM = 1.5
"""Where the pixel's size is not known; those that are lie at 1.1 to 2.0 mm."""

FAT_HU = -80.0
"""What stands for fat and air, which the window has cut to 0."""

VALIDATION_SHARE = 5
"""One patient in so many is kept for validation."""


@dataclass(frozen=True, eq=False)
class AxialSlice:
    """One slice.

    Attributes:
        number: its place in the file; patient: running number.
        hu_yx: float32, HU; fat and air stand at `FAT_HU`.
        labels_yx: uint8, 0 background, 1 liver with its lesions, 2 gallbladder with its wall, 255 unknown.
        pixel_mm: in plane.
        kind: "outlined" (a gallbladder is seen) or "none".
        free: whether the liver is known to hold no tumour.
    """

    number: int
    patient: int
    hu_yx: NDArray[np.float32]
    labels_yx: NDArray[np.uint8]
    pixel_mm: float
    kind: str
    free: bool = False

    @property
    def validation(self) -> bool:
        """Whether its patient is kept for validation."""
        return is_validation(self.patient)

    def case(self, spacing_mm: float, kind: str = "") -> TrainingCase:
        """The slice on a training grid, as a volume of one slice."""
        factor = self.pixel_mm / spacing_mm
        hu = ndimage.zoom(
            ndimage.gaussian_filter(self.hu_yx, max(0.0, 0.35 / factor - 0.35)), factor, order=1
        )
        labels = ndimage.zoom(self.labels_yx, factor, order=0)
        return TrainingCase(
            f"slice{self.number:03d}",
            f"slices:{self.patient}",
            encode_hu(hu)[None],
            labels[None],
            (3.0, spacing_mm, spacing_mm),
            kind or self.kind,
        )


def is_validation(patient: int) -> bool:
    """Whether a patient of the slices is kept for validation: the last of every `VALIDATION_SHARE`."""
    return patient % VALIDATION_SHARE == VALIDATION_SHARE - 1


def axial_slices(data: Path) -> Iterator[AxialSlice]:
    """The slices whose gallbladder is known, or known to be absent.

    Raises:
        InputError: the files are missing.
    """
    folder = data / "slices"
    try:
        slices, outlines = np.load(folder / "slices.npz"), np.load(folder / "gallbladders.npz")
    except OSError as error:
        raise InputError(f"The axial slices are not at {folder} ({error}).") from error
    images, masks, pixels = slices["images"], slices["masks"], slices["pixel_mm"]
    patients, gallbladders, kinds = slices["patient"], outlines["masks"], outlines["kind"]
    free = slices["label_kind"] == "no_tumour"
    for number, kind in enumerate(kinds):
        if kind == "unsure":
            continue
        labels = np.where(masks[number] == 2, 1, masks[number]).astype(np.uint8)
        labels[gallbladders[number] > 0] = 2
        labels[masks[number] == UNKNOWN] = UNKNOWN
        pixel = float(pixels[number])
        yield AxialSlice(
            number,
            int(patients[number]),
            with_fat(images[number]),
            labels,
            pixel if np.isfinite(pixel) else USUAL_PIXEL_MM,
            str(kind),
            bool(free[number]),
        )


def with_fat(grey_yx: NDArray[np.uint8]) -> NDArray[np.float32]:
    """HU of a windowed slice (grey = HU, 0 and less cut to 0), fat and air moved down to `FAT_HU`.

    Fluid has noise that shows above 0; where nearly nothing does, it is fat or air.
    """
    hu = grey_yx.astype(np.float32)
    empty = ndimage.uniform_filter((grey_yx <= 3).astype(np.float32), 5) > 0.75
    return np.where(empty & (grey_yx <= 8), np.float32(FAT_HU), hu)
