"""Which slices of a case to look at: where the method failed most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from LiverLesionAILib.volume.masks import bounding_box
from numpy.typing import NDArray

from ..data.scan import TUMOUR
from ..metrics.lesions import LesionScores

GREY_WINDOW_HU = (-110.0, 190.0)
MARGIN_PX = 12
MOST_PICTURES = 3


@dataclass(frozen=True, eq=False)
class CasePicture:
    """An axial slice with the labels of reference and method, cropped to what either of them marks.

    Attributes:
        caption: why this slice.
        grey_yx: uint8.
        reference_yx, predicted_yx: uint8 labels, 1 liver, 2 tumour.
        spacing_yx_mm: pixel size.
    """

    caption: str
    grey_yx: NDArray[np.uint8]
    reference_yx: NDArray[np.uint8]
    predicted_yx: NDArray[np.uint8]
    spacing_yx_mm: tuple[float, float]


def choose_pictures(
    hu_zyx: NDArray | None,
    reference_zyx: NDArray,
    labels_zyx: NDArray,
    lesions: LesionScores,
    spacing_yx_mm: tuple[float, float],
) -> tuple[CasePicture, ...]:
    """Up to three slices: the largest missed lesion, the largest false one, where most voxels are wrong.

    Args:
        hu_zyx, reference_zyx, labels_zyx: axial slices along the first axis, one shape; none without HU.
        lesions: the case's detection, on the same grid.
        spacing_yx_mm: pixel size.
    """
    box = bounding_box((reference_zyx > 0) | (labels_zyx > 0), MARGIN_PX)
    if box is None or hu_zyx is None:
        return ()
    wanted: list[tuple[int, str]] = []
    missed = [lesion for lesion in lesions.reference if not lesion.found]
    if missed:
        wanted.append((round(missed[0].centre_zyx[0]), f"missed lesion of {missed[0].diameter_mm:.0f} mm"))
    false = [finding for finding in lesions.predicted if finding.false]
    if false:
        wanted.append((round(false[0].centre_zyx[0]), f"false lesion of {false[0].diameter_mm:.0f} mm"))
    tumour_error = np.array(
        [
            np.count_nonzero((a == TUMOUR) != (b == TUMOUR))
            for a, b in zip(reference_zyx, labels_zyx, strict=True)
        ]
    )
    liver_error = np.array(
        [np.count_nonzero((a > 0) != (b > 0)) for a, b in zip(reference_zyx, labels_zyx, strict=True)]
    )
    if tumour_error.any():
        wanted.append((int(tumour_error.argmax()), "most tumour voxels wrong"))
    if liver_error.any():
        wanted.append((int(liver_error.argmax()), "most liver voxels wrong"))
    if not wanted:
        largest = np.array([np.count_nonzero(a) for a in reference_zyx])
        wanted.append((int(largest.argmax()), "largest section, nothing wrong"))
    by_slice: dict[int, list[str]] = {}
    for z, why in wanted:
        by_slice.setdefault(z, []).append(why)
    low, high = GREY_WINDOW_HU
    pictures = []
    for z, reasons in list(by_slice.items())[:MOST_PICTURES]:
        hu = np.asarray(hu_zyx[z][box[1:]], np.float32)
        pictures.append(
            CasePicture(
                caption=f"slice {z + 1} of {len(hu_zyx)}: {', '.join(reasons)}",
                grey_yx=np.clip((hu - low) * (255 / (high - low)), 0, 255).astype(np.uint8),
                reference_yx=reference_zyx[z][box[1:]].astype(np.uint8),
                predicted_yx=labels_zyx[z][box[1:]].astype(np.uint8),
                spacing_yx_mm=spacing_yx_mm,
            )
        )
    return tuple(pictures)
