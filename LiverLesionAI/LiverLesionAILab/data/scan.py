"""What every volume reader hands back: a CT with its labels, and the checks all of them share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from numpy.typing import NDArray

BACKGROUND, LIVER, TUMOUR, UNKNOWN = 0, 1, 2, 255
LIVER_OR_TUMOUR = 254
"""In training alone: liver, of which nobody said whether it is free of tumour."""
# Grids of one scan may disagree by rounding in their headers, in voxels.
GRID_TOLERANCE = 0.1


@dataclass(frozen=True)
class LabelMeaning:
    """Which values of a label file mean what.

    Attributes:
        liver, tumour: values of liver without and of lesions.
        unknown: values whose voxels may be anything: no loss there, not scored.
        background: further values beside 0 that are neither.
    """

    liver: Collection[int] = (1,)
    tumour: Collection[int] = (2,)
    unknown: Collection[int] = ()
    background: Collection[int] = ()


LITS_LABELS = LabelMeaning()


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """A CT with labels on its grid.

    Attributes:
        name: unique within its data set.
        patient: scans of one patient have the same; splits never separate them.
        ct: as stored, any orientation.
        labels_zyx: uint8 on the CT's grid: 0 background, 1 liver, 2 tumour, 255 unknown.
    """

    name: str
    patient: str
    ct: CtVolume
    labels_zyx: NDArray[np.uint8]


@dataclass(frozen=True)
class Scan:
    """A labelled scan on disk, read when asked.

    Attributes:
        name, patient, data_set: what it is.
        ct_path, label_path: its file or folder, for messages.
        read_ct: reads the CT.
        read_labels: reads the labels (uint8 as in :class:`LabelledScan`) with their grid.
    """

    name: str
    patient: str
    data_set: str
    ct_path: Path
    label_path: Path
    read_ct: Callable[[], CtVolume]
    read_labels: Callable[[], tuple[NDArray[np.uint8], Geometry]]

    def read(self) -> LabelledScan:
        """The CT with its labels.

        Raises:
            InputError: a file is missing or damaged, the grids differ, or a label is unknown.
        """
        ct = self.read_ct()
        labels, geometry = self.read_labels()
        check_same_grid(geometry, self.label_path, ct.geometry, self.ct_path)
        return LabelledScan(self.name, self.patient, ct, labels)


def check_same_grid(mask: Geometry, mask_path: Path, image: Geometry, image_path: Path) -> None:
    """Raises InputError naming both files unless the mask lies on the image's grid."""
    if mask.shape_zyx != image.shape_zyx:
        raise InputError(
            f"{mask_path}: its grid has {_shape(mask)} voxels, {image_path.name} has {_shape(image)}. "
            "A mask has to have the size of its image."
        )
    if not mask.matches(image, GRID_TOLERANCE):
        raise InputError(
            f"{mask_path}: spacing, origin or orientation differ from those of {image_path.name} "
            f"({_place(mask)} against {_place(image)}). Resample the mask onto its image."
        )


def translate_labels(values: NDArray, path: Path, meaning: LabelMeaning = LITS_LABELS) -> NDArray[np.uint8]:
    """A file's label values as 0, 1, 2 and 255.

    Raises:
        InputError: values that are no whole numbers, or that the meaning does not know.
    """
    if values.dtype.kind == "f":
        whole = np.rint(values)
        if not np.array_equal(whole, values):
            raise InputError(f"{path}: a label file holds whole numbers, this one holds fractions.")
        values = whole.astype(np.int64)
    known = {BACKGROUND: BACKGROUND}
    known.update(dict.fromkeys(meaning.background, BACKGROUND))
    known.update(dict.fromkeys(meaning.liver, LIVER))
    known.update(dict.fromkeys(meaning.tumour, TUMOUR))
    known.update(dict.fromkeys(meaning.unknown, UNKNOWN))
    found = _distinct(values)
    strange = sorted(found - set(known))
    if strange:
        shown = ", ".join(str(v) for v in strange[:8])
        raise InputError(
            f"{path}: unknown label {shown}; known are {', '.join(str(k) for k in sorted(known))}. "
            "Is this a mask of this CT, and of liver and tumours?"
        )
    out = np.zeros(values.shape, np.uint8)
    for value in found - {BACKGROUND}:
        if known[value] != BACKGROUND:
            out[values == value] = known[value]
    return out


def _distinct(values: NDArray) -> set[int]:
    """The values that occur; counting is some ten times faster than sorting a whole scan."""
    if values.dtype == np.uint8:
        return {int(v) for v in np.flatnonzero(np.bincount(values.ravel(), minlength=256))}
    return {int(v) for v in np.unique(values)}


def _shape(geometry: Geometry) -> str:
    return " x ".join(str(n) for n in geometry.shape_zyx[::-1])


def _place(geometry: Geometry) -> str:
    spacing = " x ".join(f"{s:.3g}" for s in geometry.spacing_zyx_mm[::-1])
    origin = ", ".join(f"{o:.1f}" for o in geometry.origin_lps)
    return f"{spacing} mm at ({origin})"
