"""Pictures for the report: each lesion on the slice of its long axis, and where it lies in the case.

Drawn from the CT, or kept with the case as PNG, so that a report needs the CT no more. Reports of any
language show them: they hold letters, numbers and units, and which slice it is stands below them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...case.findings import CaseResult, Lesion, PointLps
from ...case.store_json import describe_lesion, rounded
from ...pictures.canvas import write_png
from ...pictures.planes import AXIAL, CORONAL, Plane
from ...pictures.slice_views import Upright, best_slices, draw_slice
from ...volume.ct import CtVolume

FOLDER = "key_images"
"""In a case folder."""

WIDTH, HEIGHT = 460, 350
ACROSS_MM = 150.0
QUALITY = 88


def key_images(result: CaseResult, volume: CtVolume) -> Iterator[tuple[int, bytes]]:
    """(Lesion's number, JPEG) with outline, axes, letters and a scale, one by one."""
    case = Upright.of(result, volume)
    for lesion in result.lesions:
        yield lesion.number, jpeg_bytes(_lesion_picture(case, lesion))


def overview_image(result: CaseResult, volume: CtVolume) -> bytes:
    """The coronal slice that shows the lesions best, as JPEG."""
    return jpeg_bytes(_overview_picture(Upright.of(result, volume)))


def write_key_images(result: CaseResult, volume: CtVolume, folder: Path) -> Path:
    """Keep the pictures in a case folder, as PNG.

    A picture's name tells what it was drawn from, so that it never stands for a lesion that changed since.

    Returns:
        The folder of the pictures.

    Raises:
        OSError: one cannot be written.
    """
    case = Upright.of(result, volume)
    place = folder / FOLDER
    place.mkdir()
    for lesion in result.lesions:
        write_png(place / _lesion_file(lesion), _lesion_picture(case, lesion))
    write_png(place / _overview_file(result), _overview_picture(case))
    return place


def read_key_images(result: CaseResult, folder: Path) -> tuple[dict[int, bytes], bytes | None]:
    """The kept pictures that still show the case as it is: JPEG by lesion number, and the overview.

    What is missing, damaged or of an earlier outline is left out.
    """
    place = folder / FOLDER
    found = {x.number: _read(place / _lesion_file(x)) for x in result.lesions}
    images = {number: data for number, data in found.items() if data is not None}
    return images, _read(place / _overview_file(result))


def jpeg_bytes(rgb: NDArray[np.uint8]) -> bytes:
    """An (h, w, 3) picture as JPEG: a quarter of the PNG's size, so that twelve fit into 2 MB."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def _lesion_picture(case: Upright, lesion: Lesion) -> NDArray[np.uint8]:
    m = lesion.measurement
    point = lesion.centre_lps if m is None else m.long_axis_lps[0]
    index = round(float(case.geometry.lps_to_index(point)[0]))
    index = min(max(index, 0), case.geometry.shape_zyx[0] - 1)
    around = (lesion.centre_lps, max(ACROSS_MM, 0.0 if m is None else 2.2 * m.long_axis_mm))
    return _drawn(case, AXIAL, index, 17.0, around)


def _overview_picture(case: Upright) -> NDArray[np.uint8]:
    index = best_slices(case, CORONAL, 1)[0]
    return _drawn(case, CORONAL, index, 15.0)


def _drawn(
    case: Upright, plane: Plane, index: int, size: float, around: tuple[PointLps, float] | None = None
) -> NDArray[np.uint8]:
    drawn = draw_slice(
        case,
        plane,
        index,
        width=WIDTH,
        height=HEIGHT,
        text_size=size,
        snug=True,
        around=around,
        titled=False,
    )
    return drawn.as_uint8()


def _read(path: Path) -> bytes | None:
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            if image.size[0] > 4 * WIDTH or image.size[1] > 4 * HEIGHT:
                return None
            return jpeg_bytes(np.asarray(image.convert("RGB")))
    except (OSError, ValueError, SyntaxError):
        return None


def _lesion_file(lesion: Lesion) -> str:
    return f"lesion_{lesion.number}_{_drawn_from(lesion)}.png"


def _overview_file(result: CaseResult) -> str:
    volume_ml = rounded(result.liver_volume_ml, 6)
    parts = (*result.geometry.shape_zyx, volume_ml, *map(_drawn_from, result.lesions))
    return f"overview_{_digest(parts)}.png"


def _drawn_from(lesion: Lesion) -> str:
    # An outline that changes has another volume, density or axis. In the digits that are stored: a number
    # that was read back may round to another neighbour than the one it was stored from.
    kept = describe_lesion(lesion)
    return _digest((lesion.number, kept["centre_lps"], kept["measurement"]))


def _digest(values: Iterable[object]) -> str:
    return hashlib.sha256(" ".join(map(str, values)).encode()).hexdigest()[:8]
