"""Pictures for the report: each lesion on the slice of its long axis, and where it lies in the case."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...case.findings import CaseResult
from ...pictures.planes import AXIAL, CORONAL
from ...pictures.slice_views import Upright, best_slices, draw_slice
from ...volume.ct import CtVolume

WIDTH, HEIGHT = 460, 350
ACROSS_MM = 150.0
QUALITY = 88


def key_images(result: CaseResult, volume: CtVolume) -> Iterator[tuple[int, bytes]]:
    """(Lesion's number, JPEG) with outline, axes, letters and a scale, one by one."""
    case = Upright.of(result, volume)
    for lesion in result.lesions:
        m = lesion.measurement
        point = lesion.centre_lps if m is None else m.long_axis_lps[0]
        index = round(float(case.geometry.lps_to_index(point)[0]))
        index = min(max(index, 0), case.geometry.shape_zyx[0] - 1)
        around = (lesion.centre_lps, max(ACROSS_MM, 0.0 if m is None else 2.2 * m.long_axis_mm))
        canvas = draw_slice(
            case, AXIAL, index, width=WIDTH, height=HEIGHT, text_size=17.0, snug=True, around=around
        )
        yield lesion.number, jpeg_bytes(canvas.rgb)


def overview_image(result: CaseResult, volume: CtVolume) -> bytes:
    """The coronal slice that shows the lesions best, as JPEG."""
    case = Upright.of(result, volume)
    index = best_slices(case, CORONAL, 1)[0]
    return jpeg_bytes(
        draw_slice(case, CORONAL, index, width=WIDTH, height=HEIGHT, text_size=15.0, snug=True).rgb
    )


def jpeg_bytes(rgb: NDArray[np.float32]) -> bytes:
    """An (h, w, 3) picture of 0..1 as JPEG: a quarter of the PNG's size, so that twelve fit into 2 MB."""
    from PIL import Image

    pixels = (np.clip(rgb, 0, 1) * 255 + 0.5).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()
