"""CT volumes and their geometry: the one place where coordinates are decided.

Arrays are indexed z, y, x. Patient space is LPS in millimetres (x grows to the patient's left, y to
posterior, z to superior), the space of DICOM and ITK. A voxel's coordinates are those of its centre.

The parts are in :mod:`geometry` (grids) and :mod:`resampling` (values between grids); import them from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..support.errors import GeometryError
from .contrast import NOTHING_SAID, ContrastHeader
from .dicom import DicomSource
from .geometry import Geometry, axis_permutation, crop_array, lps_to_ras, paste, permuted, reoriented_geometry
from .resampling import resample, resample_labels, resample_slabs, resampling_weights

__all__ = [
    "AIR_HU",
    "CtVolume",
    "Geometry",
    "axis_permutation",
    "crop",
    "crop_array",
    "lps_to_ras",
    "paste",
    "permuted",
    "reorient",
    "reoriented_geometry",
    "resample",
    "resample_labels",
    "resample_slabs",
    "resampling_weights",
]

AIR_HU = -1024


@dataclass(frozen=True, eq=False)
class CtVolume:
    """A CT in Hounsfield units with its patient geometry.

    Attributes:
        hu_zyx: HU, int16 or float32.
        geometry: its grid.
        name: what the reader calls it (file or series name).
        warnings: what was changed or is doubtful, in sentences for the reader.
        notes: what was decided on reading without being doubtful (which series was taken), in sentences.
        dicom: the images it came from, one per slice, with patient, study and series; None for other formats.
        contrast: what its header says of contrast medium.
        checked: voxels and grid that :func:`~.checking.check_ct` found to be those of a CT.
    """

    hu_zyx: NDArray[Any]
    geometry: Geometry
    name: str = "CT"
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    dicom: DicomSource | None = field(default=None, repr=False)
    contrast: ContrastHeader = NOTHING_SAID
    checked: tuple[NDArray[Any], Geometry] | None = field(default=None, repr=False)

    @property
    def is_checked(self) -> bool:
        """Whether it is as it was when :func:`~.checking.check_ct` let it pass."""
        return self.checked is not None and (
            self.checked[0] is self.hu_zyx and self.checked[1] is self.geometry
        )

    def __post_init__(self) -> None:
        if tuple(self.hu_zyx.shape) != self.geometry.shape_zyx:
            raise GeometryError(
                f"{self.name}: the array has shape {self.hu_zyx.shape}, its geometry "
                f"{self.geometry.shape_zyx}."
            )
        if self.dicom is not None and len(self.dicom.slices) != self.geometry.shape_zyx[0]:
            raise GeometryError(
                f"{self.name}: {len(self.dicom.slices)} DICOM images for {self.geometry.shape_zyx[0]} slices."
            )


def reorient(volume: CtVolume) -> CtVolume:
    """The same voxels with x, y, z running most nearly along L, P, S (oblique stays oblique); a view.

    Where slices of the result are cut across the images they came from, `dicom` becomes None.
    """
    target = reoriented_geometry(volume.geometry)
    dicom = volume.dicom
    if dicom is not None:
        axes, flips = axis_permutation(volume.geometry, target)
        count = len(dicom.slices)
        dicom = dicom.at_slices(range(count)[:: -1 if flips[0] else 1]) if axes[0] == 0 else None
    values = permuted(volume.hu_zyx, volume.geometry, target)
    return replace(volume, hu_zyx=values, geometry=target, dicom=dicom)


def crop(volume: CtVolume, start_zyx: ArrayLike, stop_zyx: ArrayLike, fill_hu: float = AIR_HU) -> CtVolume:
    """The voxels `start` to `stop` (not included) per axis with their geometry.

    Beyond the scan lies `fill_hu`.

    Raises:
        GeometryError: the box is empty.
    """
    first, end = int(np.asarray(start_zyx)[0]), int(np.asarray(stop_zyx)[0])
    return replace(
        volume,
        hu_zyx=crop_array(volume.hu_zyx, start_zyx, stop_zyx, fill_hu),
        geometry=volume.geometry.cropped(start_zyx, stop_zyx),
        dicom=volume.dicom and volume.dicom.at_slices(range(first, end)),
        checked=None,  # it would keep the whole volume in memory
    )
