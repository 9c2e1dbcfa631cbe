"""Files of the set: thousands of images, so each is renamed into place but not forced onto the disk."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from LiverLesionAILib.support.errors import OutputError
from LiverLesionAILib.support.files import replacing
from LiverLesionAILib.volume.ct import Geometry
from numpy.typing import NDArray

HU_OFFSET = 32768
"""Of HU in 16-bit PNGs, as in DeepLesion."""


def write_nifti(array_zyx: NDArray, geometry: Geometry, path: Path) -> None:
    """An array with its grid as a compressed NIfTI file.

    Raises:
        OutputError: no space or no permission.
    """
    image = sitk.GetImageFromArray(np.ascontiguousarray(array_zyx))
    image.SetSpacing(geometry.spacing_zyx_mm[::-1])
    image.SetOrigin(geometry.origin_lps)
    image.SetDirection(geometry.directions_lps.ravel().tolist())
    _write(image, path, 1)


def write_png16(hu_yx: NDArray[np.int16], path: Path) -> None:
    """A slice as a 16-bit grey PNG, HU + 32768.

    Raises:
        OutputError: no space or no permission.
    """
    _write(sitk.GetImageFromArray((hu_yx.astype(np.int32) + HU_OFFSET).astype(np.uint16)), path, 3)


def write_rows(records: Sequence[Mapping[str, Any]], columns: Sequence[str], path: Path) -> None:
    """A table of the "rows" of all records.

    Raises:
        OutputError: no space or no permission.
    """
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        for record in records:
            writer.writerows(record["rows"])


def _write(image: sitk.Image, path: Path, level: int) -> None:
    with replacing(path, durable=False) as part:
        try:
            sitk.WriteImage(image, str(part), useCompression=True, compressionLevel=level)
        except RuntimeError as error:
            raise OutputError(
                f"{path} could not be written: the disk is full, or the folder may not be written to. "
                "Make room, or choose another folder; the same command goes on."
            ) from error
