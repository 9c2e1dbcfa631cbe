"""What volumetric attention attends to.

Its spatial gates on the working grid, and how much each neighbouring image counts, over the whole liver and
for one lesion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ...case.findings import AttentionMap
from ...models.inputs import InputSpec
from ...networks.parts.rcnn_pooling import pyramid_level
from ...networks.va_rcnn import VaRcnn, VaRcnnOutput
from ...networks.volumetric_attention import LevelAttention
from ...volume.ct import Geometry
from ..detect.link import LinkedBox
from ..detect.view import View
from ..detect.volumetric import walk

GATE = "VA spatial gate"
BOX_GATE = "VA spatial gate of the box"
MASK_SLICES, BOX_SLICES = "VA slice weights of the mask", "VA slice weights of the box"
"""A mask network and a box detector may run on one case; names are unique within it."""

LESION_MARGIN_MM = 25.0
"""Shown round a lesion in plane."""


def slice_weights(seen: LevelAttention) -> NDArray[np.float32] | None:
    """How much each image of the bag counts, mean over the branches there are, (T, N); None without any."""
    there = [s for s in (seen.channel_slices, seen.spatial_slices) if s is not None]
    return torch.stack(there).float().mean(dim=0).cpu().numpy() if there else None


def gate_on_grid(
    gate: Tensor, size_yx: tuple[int, int], padded_yx: tuple[int, int], grid_yx: tuple[int, int]
) -> NDArray[np.float32]:
    """A level's spatial gate (T, h, w) on the grid's slices, (T, *grid_yx); padding cut away."""
    full = F.interpolate(gate[:, None].float(), size=padded_yx, mode="bilinear", align_corners=False)
    full = full[:, :, : size_yx[0], : size_yx[1]]
    if size_yx != grid_yx:
        full = F.interpolate(full, size=grid_yx, mode="bilinear", align_corners=False)
    return full[:, 0].cpu().numpy()


def bag_labels(images: int, step: int, slice_mm: float) -> list[str]:
    """Names of the images of a bag by their distance from the target, lowest first."""
    offsets = (np.arange(images) - images // 2) * step
    return ["key slice" if not o else f"{o * slice_mm:+g} mm" for o in offsets]


@dataclass
class VolumetricAttentionCollector:
    """Gathers gates and slice weights while a network with volumetric attention runs.

    No second pass is needed.

    Attributes:
        network: that runs.
        shape_zyx: of the working grid.
        magnify: how much larger the network sees it in plane.
    """

    network: VaRcnn
    shape_zyx: tuple[int, int, int]
    magnify: float = 1.0
    _gates: dict[int, NDArray[np.float16]] = field(default_factory=dict)
    _weights: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    def __call__(
        self,
        slices: NDArray[np.intp],
        output: VaRcnnOutput,
        size_yx: tuple[int, int],
        padded_yx: tuple[int, int],
    ) -> None:
        """Take what was attended to in some target slices."""
        for level, seen in enumerate(output.attention or ()):
            if seen.spatial_gate is not None:
                gates = self._gates.setdefault(level, np.zeros(self.shape_zyx, np.float16))
                gates[slices] = gate_on_grid(seen.spatial_gate, size_yx, padded_yx, self.shape_zyx[1:])
            weights = slice_weights(seen)
            if weights is not None:
                shape = (self.shape_zyx[0], weights.shape[1])
                self._weights.setdefault(level, np.zeros(shape, np.float32))[slices] = weights

    @property
    def filled(self) -> bool:
        """Whether a network with volumetric attention on its pyramid ran."""
        return bool(self._weights)

    def maps(self, geometry: Geometry) -> tuple[AttentionMap, ...]:
        """The spatial gate of every level; its bars are the mean weights of the neighbouring images."""
        config = self.network.config
        made = []
        for level, gates in self._gates.items():
            cell_mm = geometry.spacing_zyx_mm[1] * self.network.strides[level] / self.magnify
            labels = bag_labels(config.bag, config.bag_step, geometry.spacing_zyx_mm[0])
            means = self._weights[level].mean(axis=0)
            made.append(
                AttentionMap(
                    name=f"{GATE}, level {level + 1}",
                    meaning=(
                        f"How much of pyramid level {level + 1} ({cell_mm:.2g} mm cells) passes, decided "
                        "from this slice and its neighbours: 1 passes all. Bars: how much each neighbouring "
                        "image counts, mean over all slices."
                    ),
                    values_zyx=gates.astype(np.float32),
                    geometry=geometry,
                    bars={k: float(v) for k, v in zip(labels, means, strict=True)},
                )
            )
        return tuple(made)

    def lesion_maps(
        self, geometry: Geometry, labels_zyx: NDArray[np.uint16], numbers: Mapping[int, int]
    ) -> tuple[AttentionMap, ...]:
        """For every lesion which neighbouring images its largest slice was decided on.

        Args:
            labels_zyx: lesions on the working grid.
            numbers: label -> the lesion's number.
        """
        if not self.filled:
            return ()
        made = []
        found = ndimage.find_objects(labels_zyx)
        for label, number in numbers.items():
            if label > len(found) or found[label - 1] is None:
                continue
            box = found[label - 1]
            areas = (labels_zyx[box] == label).sum(axis=(1, 2))
            key = box[0].start + int(areas.argmax())
            edges = np.array([box[1].start, box[2].start, box[1].stop, box[2].stop], np.float64)
            level = _level(self.network, edges * self.magnify)
            column = weights_map(self.network, geometry, self._weights[level][key], key, edges)
            name = f"{MASK_SLICES}, lesion {number}"
            made.append(replace(column, name=name, lesion_number=number))
        return tuple(made)


def _level(network: VaRcnn, edges_yx: NDArray[np.float64]) -> int:
    return int(pyramid_level(torch.as_tensor(edges_yx, dtype=torch.float32)[None], network.strides))


def weights_map(
    network: VaRcnn,
    geometry: Geometry,
    weights: NDArray[np.float32],
    key: int,
    edges_yx: NDArray[np.float64],
) -> AttentionMap:
    """The weights of a bag's images as a column round a lesion: each slice shows the weight of its image.

    Args:
        weights: (N,), lowest image first.
        key: the target slice; edges_yx: the lesion's box in voxels of `geometry`.
    """
    config = network.config
    spacing = geometry.spacing_zyx_mm
    depth, *plane = geometry.shape_zyx
    half = config.bag // 2 * config.bag_step + config.in_slices // 2
    first, last = max(0, key - half), min(depth, key + half + 1)
    cut = []
    for axis, length in enumerate(plane):
        margin = LESION_MARGIN_MM / spacing[axis + 1]
        low, high = np.floor(edges_yx[axis] - margin), np.ceil(edges_yx[axis + 2] + margin)
        cut.append((max(0, int(low)), min(length, int(high))))
    grid = geometry.cropped((first, cut[0][0], cut[1][0]), (last, cut[0][1], cut[1][1]))
    # A slice belongs to the image whose middle is nearest.
    nearest = np.rint((np.arange(first, last) - key) / config.bag_step).astype(int) + config.bag // 2
    column = weights[nearest.clip(0, len(weights) - 1)].astype(np.float32)
    labels = bag_labels(config.bag, config.bag_step, spacing[0])
    values = np.broadcast_to(column[:, None, None], grid.shape_zyx).copy()
    return AttentionMap(
        name=BOX_SLICES,
        meaning=(
            f"How much each image of {config.in_slices} slices counts for the slice where the lesion is "
            "largest, mean of channel and spatial attention; all add up to 1."
        ),
        values_zyx=values,
        geometry=grid,
        bars={k: float(v) for k, v in zip(labels, weights, strict=True)},
    )


def volumetric_lesion_attention(
    network: VaRcnn, spec: InputSpec, hu_zyx: NDArray, view: View, geometry: Geometry, box: LinkedBox
) -> tuple[AttentionMap, ...]:
    """Slice weights and spatial gate for one lesion of a box detector, on its key slice.

    See :func:`.cs_att.lesion_attention` for the arguments.
    """
    key = box.key_slice
    found = next(
        walk(network, spec, hu_zyx[:, view.rows, view.columns], slices=range(key, key + 1), attention=True)
    )
    edges = np.array(box.boxes_yx[key], np.float64)
    level = _level(network, edges * spec.magnify)
    if not found.output.attention:
        return ()
    seen = found.output.attention[level]
    weights = slice_weights(seen)
    made = [] if weights is None else [weights_map(network, geometry, weights[0], key, edges)]
    if seen.spatial_gate is not None:
        size = (view.rows.stop - view.rows.start, view.columns.stop - view.columns.start)
        gate = gate_on_grid(seen.spatial_gate, found.size_yx, found.padded_yx, size)
        grid = geometry.cropped(
            (key, view.rows.start, view.columns.start), (key + 1, view.rows.stop, view.columns.stop)
        )
        meaning = (
            f"How much of pyramid level {level + 1}, which the lesion's box was judged on, passes here: 1 "
            "passes all."
        )
        made.append(AttentionMap(BOX_GATE, meaning, gate, grid))
    return tuple(made)
