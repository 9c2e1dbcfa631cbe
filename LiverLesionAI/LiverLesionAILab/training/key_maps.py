"""Maps of key slices by a trunk that learns no more: made once, on disk, for all variants to learn from.

A detector of M images costs M passes of the backbone a key slice, forward and backward, most of what a step
takes. Where the trunk is common to all variants and stays as it is, only what differs between them, attention
and heads, has to be computed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.networks.cs_att import SLICES_PER_IMAGE
from LiverLesionAILib.support.files import replacing, write_text
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.deeplesion import KeySlice
from .detector_families import Family, Levels, summed_losses
from .key_slices import MOST_BOXES, PreparedSlice, cut_boxes, lesion_corner, prepare


@dataclass(frozen=True, eq=False)
class KeyMaps:
    """What the trunk made of a key slice and its neighbours.

    Attributes:
        levels: (M, h, w, C) float16 per level, finest first, memory-mapped.
        prepared: boxes and where they lie in the key slice; without the slices themselves.
        size_yx: of the images before they were padded to multiples of the coarsest stride.
    """

    levels: tuple[NDArray[np.float16], ...]
    prepared: PreparedSlice
    size_yx: tuple[int, int]

    def tensors(
        self, images: int, part: tuple[slice, slice] | None = None, dtype: torch.dtype = torch.float32
    ) -> Levels:
        """The middle `images` as (images, C, h, w), channels last in memory.

        Args:
            part: rows and columns in cells of the coarsest level; None for all.
        """
        middle = self.levels[0].shape[0] // 2
        chosen = slice(middle - images // 2, middle + images // 2 + 1)
        found = []
        for level in self.levels:
            cut = level[chosen]
            if part is not None:
                times = level.shape[1] // self.levels[-1].shape[1]
                rows, columns = (slice(p.start * times, p.stop * times) for p in part)
                cut = cut[:, rows, columns]
            found.append(torch.from_numpy(np.array(cut)).to(dtype).permute(0, 3, 1, 2))
        return tuple(found)


class MapStore:
    """Maps of key slices in a folder; those that are there already are not made again.

    Args:
        folder: gets a folder for this trunk, by its weights.
        spec: with the slices of the largest bag; variants with fewer images take the middle ones.
        trunk: eval mode; images pass it on its device, in its precision.
    """

    def __init__(self, folder: Path, family: Family, trunk: nn.Module, spec: InputSpec) -> None:
        self.family, self.trunk, self.spec = family, trunk, spec
        weights = hashlib.sha256(json.dumps(spec.to_json()).encode())
        for name, value in trunk.state_dict().items():
            if name.startswith(family.trunk):
                weights.update(value.float().cpu().numpy().tobytes())
        self.folder = folder / weights.hexdigest()[:12]
        self.strides = family.strides(trunk)

    def fill(self, keys: Sequence[KeySlice], progress: Progress = silent) -> None:
        """Make what is missing.

        Raises:
            InputError: as :func:`.key_slices.prepare`. Cancelled: from `progress`; what is there stays.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for number, key in enumerate(keys):
            if not self._description(key).is_file():
                self._make(key)
            progress("passing key slices through the common trunk", (number + 1) / len(keys))

    def get(self, key: KeySlice) -> KeyMaps:
        """Maps of a key slice that :meth:`fill` has made."""
        known = json.loads(self._description(key).read_text(encoding="utf-8"))
        levels = tuple(np.load(self._file(key, n), mmap_mode="r") for n in range(len(self.strides)))
        prepared = PreparedSlice(
            np.zeros((0, *known["size_yx"]), np.uint8),
            np.array(known["boxes_yx"], np.float32).reshape(-1, 4),
            tuple(known["origin_yx"]),
            tuple(known["scale_yx"]),
        )
        return KeyMaps(levels, prepared, tuple(known["size_yx"]))

    def _description(self, key: KeySlice) -> Path:
        return self.folder / f"{key.name}.json"

    def _file(self, key: KeySlice, level: int) -> Path:
        return self.folder / f"{key.name}-{level}.npy"

    def _make(self, key: KeySlice) -> None:
        prepared = prepare(key, self.spec)
        image = prepared.image()
        size = (image.shape[1], image.shape[2])
        below, right = (-n % self.strides[-1] for n in size)
        image = F.pad(image, (0, right, 0, below), value=-1.0)
        images = image.unflatten(0, (-1, SLICES_PER_IMAGE)).contiguous(memory_format=torch.channels_last)
        parameter = next(self.trunk.parameters())
        with torch.inference_mode():
            made = self.family.maps(self.trunk, images.to(parameter.device, parameter.dtype))
        for number, level in enumerate(made):
            with replacing(self._file(key, number), durable=False) as part:
                np.save(part, level.permute(0, 2, 3, 1).to(torch.float16).cpu().numpy())
        known = {
            "size_yx": size,
            "boxes_yx": prepared.boxes_yx.tolist(),
            "origin_yx": prepared.origin_yx,
            "scale_yx": prepared.scale_yx,
        }
        # Last, so that its presence says that all is there.
        write_text(self._description(key), json.dumps(known))


class MapSampler:
    """Draws crops of maps; the sample for (seed, number) is always the same one.

    Args:
        keys: with their lesions, all in the store.
        images: of the network's bag.
        crop: edge in pixels, a multiple of the coarsest stride; smaller slices are padded with zeros.
        lesion_share: of the crops hold a lesion; the others lie anywhere.
    """

    def __init__(
        self,
        store: MapStore,
        keys: Sequence[KeySlice],
        images: int,
        crop: int,
        seed: int,
        lesion_share: float = 0.85,
    ) -> None:
        self.store, self.keys, self.images = store, list(keys), images
        self.crop, self.seed, self.lesion_share = crop, seed, lesion_share
        self.stride = store.strides[-1]
        self.cells = crop // self.stride

    def sample(self, number: int) -> tuple[Levels, Tensor]:
        """Sample `number`: (M, C, h, w) bfloat16 per level, boxes (MOST_BOXES, 4), NaN where none."""
        rng = np.random.default_rng((self.seed, number))
        maps = self.store.get(self.keys[int(rng.integers(len(self.keys)))])
        boxes = maps.prepared.boxes_yx.astype(np.float64)
        corner = lesion_corner(rng, boxes, maps.size_yx, self.crop, self.lesion_share)
        low = tuple(n // self.stride for n in corner)
        part = tuple(slice(n, n + self.cells) for n in low)
        levels = maps.tensors(self.images, part, torch.bfloat16)  # type: ignore[arg-type]
        sizes = (self.crop // stride for stride in self.store.strides)
        padded = [
            F.pad(level, (0, size - level.shape[3], 0, size - level.shape[2]))
            for level, size in zip(levels, sizes, strict=True)
        ]
        boxes = cut_boxes(boxes, tuple(n * self.stride for n in low), self.crop)  # type: ignore[arg-type]
        out = torch.full((MOST_BOXES, 4), float("nan"))
        out[: len(boxes)] = torch.from_numpy(boxes[:MOST_BOXES]).float()
        return tuple(padded), out

    def batch(self, first: int, size: int) -> tuple[Levels, Tensor]:
        """Samples first .. first + size - 1, stacked: (B, M, C, h, w) per level and (B, MOST_BOXES, 4)."""
        levels, boxes = zip(*(self.sample(first + i) for i in range(size)), strict=True)
        return tuple(_stacked(same) for same in zip(*levels, strict=True)), torch.stack(boxes)


def _stacked(maps: Sequence[Tensor]) -> Tensor:
    """(M, C, h, w) -> (B, M, C, h, w), the channels still last in memory."""
    return torch.stack([one.permute(0, 2, 3, 1) for one in maps]).permute(0, 1, 4, 2, 3)


def map_loss(
    family: Family, network: nn.Module, seed: int, crop: int, levels: Levels, boxes: Tensor, step: int
) -> Tensor:
    """The loss of a batch of :class:`MapSampler`."""
    return summed_losses(family, network, levels, (crop, crop), boxes, seed, step)
