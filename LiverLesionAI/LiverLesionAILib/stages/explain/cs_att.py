"""What CS-Att attends to for one lesion, on the working grid.

The contextual weight of every image of the window, and each image's spatial map.
"""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ...case.findings import AttentionMap
from ...models.inputs import InputSpec
from ...networks.cs_att import SLICES_PER_IMAGE, CsAtt
from ...volume.ct import Geometry
from ..detect.link import LinkedBox
from ..detect.slice_boxes import VolumeWindows, window_attention
from ..detect.view import View

CONTEXTUAL = "CS-Att contextual weight"
SPATIAL = "CS-Att spatial attention"


def lesion_attention(
    network: CsAtt,
    spec: InputSpec,
    hu_zyx: NDArray,
    view: View,
    geometry: Geometry,
    box: LinkedBox,
    margin_mm: float = 25.0,
) -> tuple[AttentionMap, ...]:
    """Maps round one lesion, as its key slice's window was looked at; none where both attentions are off.

    Every image of three slices carries its own weights: slice by slice the map shows which neighbours the
    lesion was decided on (paper, figure 2, its columns along z) and where in each (figure 3). `bars` of the
    contextual map are the mean weights over the lesion's cells, image by image.

    Args:
        hu_zyx, geometry: the detector's grid; `box` in its voxels.
        margin_mm: shown round the lesion's box in plane.
    """
    attention, windows = window_attention(network, spec, hu_zyx, view, box.key_slice)
    spacing = geometry.spacing_zyx_mm
    edges = np.array(box.boxes_yx[box.key_slice])
    cut = []
    for axis, (used, length) in enumerate(((view.rows, hu_zyx.shape[1]), (view.columns, hu_zyx.shape[2]))):
        low = int(np.floor(edges[axis] - margin_mm / spacing[axis + 1]))
        high = int(np.ceil(edges[axis + 2] + margin_mm / spacing[axis + 1]))
        cut.append(slice(max(used.start, low), min(used.stop, high, length)))
    half = len(network.offsets) * SLICES_PER_IMAGE // 2
    first, last = max(0, box.key_slice - half), min(len(hu_zyx), box.key_slice + half + 1)
    grid = geometry.cropped((first, cut[0].start, cut[1].start), (last, cut[0].stop, cut[1].stop))
    images = [(z - (box.key_slice - half)) // SLICES_PER_IMAGE for z in range(first, last)]
    said = (
        f"three-slice image by image, from {network.offsets[0] * spacing[0]:+g} "
        f"to {network.offsets[-1] * spacing[0]:+g} mm round the slice with the best box"
    )
    maps = []
    for values, name, meaning in (
        (
            attention.contextual,
            CONTEXTUAL,
            f"How much each neighbouring image counts here against the one that counts most, {said}.",
        ),
        (
            attention.spatial,
            SPATIAL,
            f"How much this place counts within its own image against the place that counts most, {said}.",
        ),
    ):
        if values is None:
            continue
        planes = on_view(values[0], windows)
        shown = planes[:, cut[0].start - view.rows.start : cut[0].stop - view.rows.start]
        shown = shown[:, :, cut[1].start - view.columns.start : cut[1].stop - view.columns.start]
        bars = weights_over_box(planes, edges, view, network.offsets, spacing[0])
        maps.append(
            AttentionMap(name, meaning, shown[images], grid, seen_range(shown), "relative weight", None, bars)
        )
    return tuple(maps)


def seen_range(values: NDArray[np.float32]) -> tuple[float, float]:
    """The range that a map covers here, in steps of 0.05.

    A mean over channels hardly reaches 0 or 1, and shown over 0..1 it would look flat.
    """
    low, high = np.floor(values.min() * 20) / 20, np.ceil(values.max() * 20) / 20
    return float(low), float(max(high, low + 0.05))


def on_view(weights: Tensor, windows: VolumeWindows) -> NDArray[np.float32]:
    """(M, C, h, w) weights to (M, rows, columns) of the view: mean over channels, padding cut away."""
    mean = weights.float().mean(dim=1, keepdim=True)
    stride = windows.network.multiple
    full = F.interpolate(mean, scale_factor=stride, mode="bilinear", align_corners=False)
    full = full[..., : windows.size_yx[0], : windows.size_yx[1]]
    view = windows.view
    size = (view.rows.stop - view.rows.start, view.columns.stop - view.columns.start)
    return F.interpolate(full, size=size, mode="bilinear", align_corners=False)[:, 0].cpu().numpy()


def weights_over_box(
    planes: NDArray[np.float32],
    edges_yx: NDArray,
    view: View,
    offsets: tuple[int, ...],
    slice_mm: float,
) -> dict[str, float]:
    """Mean weight of every image over the lesion's box: label (distance from the key slice) -> 0..1."""
    low = np.floor(edges_yx[:2]).astype(int) - (view.rows.start, view.columns.start)
    high = np.ceil(edges_yx[2:]).astype(int) - (view.rows.start, view.columns.start)
    low = np.clip(low, 0, np.array(planes.shape[1:]) - 1)
    high = np.maximum(high, low + 1)
    inside = planes[:, low[0] : high[0], low[1] : high[1]]
    labels = ["key slice" if not o else f"{o * slice_mm:+g} mm" for o in offsets]
    return {label: float(values.mean()) for label, values in zip(labels, inside, strict=True)}
