"""Training of box detectors on key slices with boxes: DeepLesion, and the slices of SynthLiver-1.

Preprocessing as 3DCE and CS-Att have it: 0.8 mm pixels, slices 2 mm apart (linear in between), black borders
clipped, at most 512 pixels. Intensities go through the input's window: [-1024, 3071] HU in the papers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ..data.deeplesion import KeySlice, load_resampled

PAPER_INPUT = InputSpec(spacing_zyx_mm=(2.0, 0.8, 0.8), window_hu=(-1024.0, 3071.0), in_slices=15)
LONGEST_PX = 512
BODY_HU = -500.0
MOST_BOXES = 64
KEPT_BYTES = 1 << 30
"""Of prepared key slices that stay in memory."""


@dataclass(frozen=True, eq=False)
class PreparedSlice:
    """A key slice with its neighbours as a network sees it.

    Attributes:
        grey_zyx: (S, H, W) uint8, the window's range as 0..255.
        boxes_yx: (G, 4) y0, x0, y1, x1 px of it.
        origin_yx: where it begins in the key slice, px there.
        scale_yx: its pixels per pixel of the key slice.
    """

    grey_zyx: NDArray[np.uint8]
    boxes_yx: NDArray[np.float32]
    origin_yx: tuple[int, int]
    scale_yx: tuple[float, float]

    def image(self) -> Tensor:
        """(S, H, W) float32 in -1..1."""
        return torch.from_numpy(self.grey_zyx.astype(np.float32)) * (2 / 255) - 1

    def to_key_slice(self, boxes_yx: Tensor) -> NDArray[np.float64]:
        """(n, 4) y0, x0, y1, x1 px of it to (n, 4) x1, y1, x2, y2 px of the key slice."""
        scale = np.tile(self.scale_yx, 2)
        boxes = boxes_yx.double().cpu().numpy().reshape(-1, 4) / scale + np.tile(self.origin_yx, 2)
        return boxes[:, [1, 0, 3, 2]]


def body_box(plane_hu: NDArray) -> tuple[slice, slice]:
    """The box round the patient in a slice, black borders clipped; the whole where nothing is seen."""
    body = ndimage.binary_opening(plane_hu > BODY_HU, iterations=2)
    if not body.any():
        return slice(0, plane_hu.shape[0]), slice(0, plane_hu.shape[1])
    y, x = ndimage.find_objects(body.astype(np.uint8))[0]
    return y, x


def prepare(key: KeySlice, spec: InputSpec) -> PreparedSlice:
    """Read and preprocess a key slice with the neighbours that `spec` asks for.

    Raises:
        InputError: as :func:`~.readers.deeplesion.load_slices`.
    """
    hu = load_resampled(key, spec.in_slices, spec.spacing_zyx_mm[0])
    rows, columns = body_box(hu[spec.in_slices // 2])
    cut = hu[:, rows, columns]
    factor = key.pixel_mm / spec.spacing_zyx_mm[1]
    factor = min(factor, LONGEST_PX / max(cut.shape[1:]))
    size = tuple(max(1, round(n * factor)) for n in cut.shape[1:])
    values = torch.from_numpy(spec.normalise(cut))[None]
    values = F.interpolate(values, size=size, mode="bilinear", align_corners=False, antialias=factor < 1)[0]
    scale = (size[0] / cut.shape[1], size[1] / cut.shape[2])
    boxes = key.boxes_xyxy_px[:, [1, 0, 3, 2]] - np.tile((rows.start, columns.start), 2)
    boxes = np.clip(boxes * np.tile(scale, 2), 0, np.tile(size, 2))
    grey = ((values + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    return PreparedSlice(grey, boxes.astype(np.float32), (rows.start, columns.start), scale)


def lesion_corner(
    rng: np.random.Generator, boxes_yx: NDArray, size_yx: tuple[int, ...], crop: int, lesion_share: float
) -> tuple[int, int]:
    """Where a square crop begins: round a lesion in `lesion_share` of the draws, anywhere in the others."""
    room = [max(0, n - crop) for n in size_yx]
    if len(boxes_yx) and rng.random() < lesion_share:
        box = boxes_yx[int(rng.integers(len(boxes_yx)))]
        middle = (box[:2] + box[2:]) / 2 + rng.uniform(-0.3, 0.3, 2) * crop
        corner = middle - crop / 2
    else:
        corner = np.array([rng.uniform(0, r) for r in room])
    y, x = (int(np.clip(round(c), 0, r)) for c, r in zip(corner, room, strict=True))
    return y, x


def cut_boxes(boxes_yx: NDArray, low_yx: tuple[int, int], crop: int) -> NDArray:
    """Boxes in px of the crop, those of which half or more lies inside: less of a lesion is hardly one."""
    moved = np.clip(boxes_yx - np.tile(low_yx, 2), 0, crop)
    whole = np.prod(boxes_yx[:, 2:] - boxes_yx[:, :2], axis=1)
    left = np.prod(moved[:, 2:] - moved[:, :2], axis=1)
    return moved[left >= 0.5 * whole]


class KeySliceSampler:
    """Draws training samples from key slices; the sample for (seed, number) is always the same one.

    Args:
        keys: with their lesions.
        spec: what the network wants to see.
        crop: edge of the square crop, px; smaller images are padded with black.
        lesion_share: of the crops hold a lesion; the others lie anywhere.

    Raises:
        InputError: no key slice.
    """

    def __init__(
        self, keys: Sequence[KeySlice], spec: InputSpec, crop: int, seed: int, lesion_share: float = 0.85
    ) -> None:
        if not keys:
            raise InputError("There is no key slice to train on.")
        self.keys, self.spec, self.crop, self.seed = list(keys), spec, crop, seed
        self.lesion_share = lesion_share
        self._kept: OrderedDict[int, PreparedSlice] = OrderedDict()
        self._bytes = 0

    def _prepared(self, number: int) -> PreparedSlice:
        if number not in self._kept:
            self._kept[number] = prepare(self.keys[number], self.spec)
            self._bytes += self._kept[number].grey_zyx.nbytes
            while self._bytes > KEPT_BYTES and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].grey_zyx.nbytes
        self._kept.move_to_end(number)
        return self._kept[number]

    def sample(self, number: int) -> tuple[Tensor, Tensor]:
        """Sample `number`: image (S, crop, crop) float32 in -1..1, boxes (MOST_BOXES, 4), NaN where none."""
        rng = np.random.default_rng((self.seed, number))
        chosen = self._prepared(int(rng.integers(len(self.keys))))
        image, boxes = chosen.image(), chosen.boxes_yx.astype(np.float64)
        zoom = float(2.0 ** rng.uniform(-0.25, 0.25))
        size = tuple(max(1, round(n * zoom)) for n in image.shape[1:])
        image = F.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]
        boxes = boxes * (np.tile(size, 2) / np.tile(chosen.grey_zyx.shape[1:], 2))
        low = lesion_corner(rng, boxes, size, self.crop, self.lesion_share)
        image, boxes = self._cut(image, boxes, low)
        if rng.random() < 0.5:
            image = image.flip(2)
            boxes = np.stack([boxes[:, 0], self.crop - boxes[:, 3], boxes[:, 2], self.crop - boxes[:, 1]], 1)
        if rng.random() < 0.5:
            image = image.flip(0)
        out = torch.full((MOST_BOXES, 4), float("nan"))
        out[: len(boxes)] = torch.from_numpy(boxes[:MOST_BOXES]).float()
        return image.contiguous(), out

    def _cut(self, image: Tensor, boxes: NDArray, low: tuple[int, int]) -> tuple[Tensor, NDArray]:
        part = image[:, low[0] : low[0] + self.crop, low[1] : low[1] + self.crop]
        missing = [self.crop - n for n in part.shape[1:]]
        part = F.pad(part, (0, missing[1], 0, missing[0]), value=-1.0)
        return part, cut_boxes(boxes, low, self.crop)

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """Samples first .. first + size - 1, stacked: (B, S, H, W) and (B, MOST_BOXES, 4)."""
        images, boxes = zip(*(self.sample(first + i) for i in range(size)), strict=True)
        return torch.stack(images), torch.stack(boxes)
