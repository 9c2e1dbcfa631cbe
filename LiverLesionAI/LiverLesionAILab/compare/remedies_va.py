"""Remedies for the spatial branch of volumetric attention, learnt alone on bundled weights.

Every branch starts as the bundled one, its new part from zero; a constant gate from the bundled gates' mean.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.networks.va_rcnn import VaRcnn, truths_of
from LiverLesionAILib.networks.volumetric_attention import SpatialBranch, bag_indices
from LiverLesionAILib.stages.detect.view import view_around
from LiverLesionAILib.stages.detect.volumetric import Found, SlabFeatures, boxes_on_grid
from numpy.typing import NDArray
from torch import Tensor, nn

from ..training.detection import instances_of
from .asked_slices import AskedScan, claimed_tumour, scored_slices
from .spoilt import spoilt_each_way

if TYPE_CHECKING:
    from LiverLesionAILib.models.weights import ModelEntry

LOOKED_AT = 8
"""Maps that a remedy pools beside the two of the paper."""

REMEDIES = ("seen", "compared", "taken away")
CONSTANT, CONSTANT_SPOILT = "one number", "one number, learnt spoilt"


class Asked(NamedTuple):
    """The slices of one scan.

    Attributes:
        levels: features of every image of their bags, then of each version of the targets; float16.
        bags: (T, N) with the targets as they are; versions: first row of each spoilt version's targets.
        labels: (T, 2, H, W) as the network's training takes them; size_yx: of the slices, unpadded.
    """

    levels: tuple[Tensor, ...]
    bags: Tensor
    versions: tuple[int, ...]
    labels: Tensor
    size_yx: tuple[int, int]

    def with_targets(self, version: int | None) -> Tensor:
        """The bags, their targets of a spoilt version; None as they are."""
        if version is None:
            return self.bags
        bags = self.bags.clone()
        bags[:, bags.shape[1] // 2] = self.versions[version] + torch.arange(len(bags))
        return bags


class Constant(SpatialBranch):
    """One gate for all places of all slices of a level."""

    def __init__(self, bundled: SpatialBranch, mean_gate: float) -> None:
        super().__init__(1, bundled.mean_affinity)
        for part in (self.embedding, self.excite):
            part.requires_grad_(False)
        self.logit = nn.Parameter(torch.logit(torch.tensor(mean_gate)))

    def embed(self, x: Tensor) -> Tensor:
        """Nothing is looked at."""
        return x.new_zeros(len(x), 1, 1, 1)

    def forward(self, target: Tensor, embedded: Tensor, bags: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As every branch's; all images weigh alike."""
        size = (len(target), 1, *target.shape[2:])
        gate = torch.sigmoid(self.logit).to(target.dtype).expand(size)
        return target * gate, target.new_full(bags.shape, 1 / bags.shape[1]), gate


class TakenAway(SpatialBranch):
    """The bundled form; while it learns, a target can be left out of its own bag."""

    left_out = False

    def __init__(self, bundled: SpatialBranch) -> None:
        super().__init__(bundled.embedding.out_channels, bundled.mean_affinity)
        self.load_state_dict(bundled.state_dict())

    def forward(self, target: Tensor, embedded: Tensor, bags: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As every branch's."""
        if self.left_out:
            middle = bags.shape[1] // 2
            bags = torch.cat([bags[:, :middle], bags[:, middle + 1 :]], dim=1)
        return super().forward(target, embedded, bags)


class _Added(SpatialBranch, ABC):
    """The bundled gate's logit, and something more from maps of a learnt look at all channels."""

    def __init__(self, bundled: SpatialBranch, level: Tensor, given: int) -> None:
        super().__init__(bundled.embedding.out_channels, bundled.mean_affinity)
        self.load_state_dict(bundled.state_dict())
        self.maps = bundled.embedding.out_channels
        channels = level.shape[1]
        self.register_buffer("scale", 1 / (level.float().std(dim=(0, 2, 3)) + 1e-3)[:, None, None])
        self.look = nn.Conv2d(channels, LOOKED_AT, 1)
        self.more = nn.Conv2d(given * LOOKED_AT, 1, 7, padding=3)
        nn.init.normal_(self.look.weight, std=channels**-0.5)
        for part in (self.look.bias, self.more.weight, self.more.bias):
            assert part is not None
            nn.init.zeros_(part)

    def embed(self, x: Tensor) -> Tensor:
        """The bundled maps, and those looked at."""
        return torch.cat([super().embed(x), self.look(x * self.scale)], dim=1)

    @abstractmethod
    def added(self, own: Tensor, bag: Tensor, weights: Tensor) -> Tensor:
        """What is added from maps (T, m, H, W) and (T, N, m, H, W), given S: (T, given * m, H, W)."""

    def forward(self, target: Tensor, embedded: Tensor, bags: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As every branch's."""
        looked = embedded[:, self.maps :][bags]
        bag = embedded[:, : self.maps][bags]
        weights = self.attend(super().embed(target), bag)
        mixed = (weights[:, :, None, None, None] * bag).sum(dim=1)
        more = self.more(self.added(looked[:, bags.shape[1] // 2], looked, weights))
        gate = torch.sigmoid(self.excite(F.leaky_relu(mixed, 0.1)) + more)
        return target * gate, weights, gate


class Seen(_Added):
    """Every place of a slice weighs the images of its bag by itself."""

    def __init__(self, bundled: SpatialBranch, level: Tensor) -> None:
        super().__init__(bundled, level, 1)

    def added(self, own: Tensor, bag: Tensor, weights: Tensor) -> Tensor:
        """The bag's maps, mixed place by place."""
        product = F.avg_pool2d((own[:, None] * bag).mean(dim=2), 7, stride=1, padding=3)
        return (product.softmax(dim=1)[:, :, None] * bag).sum(dim=1)


class Compared(_Added):
    """The target's maps, its neighbours' alone, and their difference side by side."""

    def __init__(self, bundled: SpatialBranch, level: Tensor) -> None:
        super().__init__(bundled, level, 3)

    def added(self, own: Tensor, bag: Tensor, weights: Tensor) -> Tensor:
        """Three sets of maps."""
        others = torch.ones_like(weights)
        others[:, weights.shape[1] // 2] = 0
        shares = others * weights + 1e-6 * others
        shares = shares / shares.sum(dim=1, keepdim=True)
        near = (shares[:, :, None, None, None] * bag).sum(dim=1)
        return torch.cat([own, near, near - own], dim=1)


class VaFamily:
    """What :mod:`.remedies` asks of a family of networks."""

    kind = "spatial branch"
    remedies = REMEDIES
    constants = (CONSTANT, CONSTANT_SPOILT)
    spoilt = ("taken away", CONSTANT_SPOILT)
    versions = staticmethod(spoilt_each_way)

    def __init__(self, network: VaRcnn, entry: ModelEntry) -> None:
        self.network, self.entry = network, entry
        self.bundled = [part.spatial for part in network.attention]

    @property
    def masks(self) -> bool:
        """Whether masks are judged, or boxes."""
        return self.network.mask_head is not None

    @property
    def asked_of(self) -> VaRcnn:
        """The network whose answers are judged."""
        return self.network

    def asked(self, one: AskedScan, versions: Sequence[NDArray[np.float32]]) -> Asked:
        """The features of a scan's slices, in the liver's part; with the targets of spoilt versions of it."""
        spec, config = self.entry.input.enlarged(self.entry.scales), self.network.config
        view = view_around(one.liver_zyx, one.spacing_zyx_mm)
        assert view is not None
        cut = (slice(None), view.rows, view.columns)
        hu = one.hu_zyx[cut]
        slab = SlabFeatures(self.network, spec, hu, spec.magnify)
        bags = bag_indices(torch.from_numpy(one.slices), len(hu), config.bag, config.bag_step)
        used, own = bags.unique(return_inverse=True)
        images = [slab.images(some.numpy()) for some in used.split(slab.batch)]
        for version in versions:
            images.append(SlabFeatures(self.network, spec, version[cut], spec.magnify).images(one.slices))
        with torch.inference_mode():
            made = [self.network.fpn(self.network.encoder(some)) for some in images]
        levels = tuple(torch.cat([part.half() for part in same]) for same in zip(*made, strict=True))
        first = [len(used) + k * len(own) for k in range(len(versions))]
        meaning = torch.from_numpy(one.liver_zyx[cut][one.slices] + 1 * one.tumour_zyx[cut][one.slices])
        numbers = torch.stack([instances_of(part).clamp_min(0) for part in 2 * (meaning == 2).long()])
        labels = F.interpolate(torch.stack([meaning, numbers], 1).float(), size=slab.size_yx)
        below, right = (p - s for p, s in zip(slab.padded_yx, slab.size_yx, strict=True))
        labels = F.pad(labels, (0, right, 0, below)).long()
        return Asked(tuple(x.clone() for x in levels), own.clone(), tuple(first), labels, slab.size_yx)

    def branch(self, name: str, examples: Sequence[Asked]) -> list[nn.Module]:
        """A branch for every level, at its start."""
        torch.manual_seed(1)
        if name in self.constants:
            return [
                Constant(old, gate) for old, gate in zip(self.bundled, self._gates(examples), strict=True)
            ]
        made: list[nn.Module] = []
        for number, old in enumerate(self.bundled):
            level = examples[0].levels[number]
            made.append(
                Seen(old, level)
                if name == "seen"
                else Compared(old, level)
                if name == "compared"
                else TakenAway(old)
            )
        return made

    def _gates(self, examples: Sequence[Asked]) -> list[float]:
        """The bundled gates' means, level by level."""
        seen: list[list[float]] = [[] for _ in self.bundled]
        with torch.inference_mode():
            for one in examples:
                features = self.network.known(tuple(level.float() for level in one.levels))
                for kept, level in zip(seen, self.network.attend(features, one.bags)[1], strict=True):
                    assert level.spatial_gate is not None
                    kept.append(float(level.spatial_gate.mean()))
        return [float(np.mean(each)) for each in seen]

    @contextmanager
    def using(self, branch: Sequence[nn.Module] | None) -> Iterator[None]:
        """The network with these branches; None with the bundled ones."""
        try:
            for part, new in zip(self.network.attention, branch or self.bundled, strict=True):
                part.spatial = new
            yield
        finally:
            for part, old in zip(self.network.attention, self.bundled, strict=True):
                part.spatial = old

    def loss(self, branch: Sequence[nn.Module], one: Asked, step: int, spoilt: bool) -> Tensor:
        """The network's own loss of a scan's slices."""
        bags = one.with_targets(step % len(one.versions) if spoilt else None)
        for part in branch:
            if isinstance(part, TakenAway):
                part.left_out = step % 2 == 1
        features = self.network.known(tuple(level.float() for level in one.levels))
        meaning, classes = one.labels[:, 0], self.network.config.classes
        parts = self.network.bag_losses(
            features,
            (one.labels.shape[2], one.labels.shape[3]),
            bags,
            truths_of(one.labels, classes),
            torch.Generator().manual_seed(step),
            meaning if classes == 3 else (meaning == 2).long(),
        )
        for part in branch:
            if isinstance(part, TakenAway):
                part.left_out = False
        return torch.stack(list(parts.values())).sum()

    def answers(self, one: AskedScan, asked: Asked, version: int | None) -> Any:
        """Dice of the slices pooled, or their boxes matched with the lesions."""
        view = view_around(one.liver_zyx, one.spacing_zyx_mm)
        assert view is not None
        grid_yx = (view.rows.stop - view.rows.start, view.columns.stop - view.columns.start)
        padded = (asked.labels.shape[2], asked.labels.shape[3])
        features = self.network.known(tuple(level.float() for level in asked.levels))
        output = self.network.detect(features, asked.with_targets(version), padded)
        if self.network.mask_head is not None:
            from LiverLesionAILib.volume.overlap import dice

            least = max(1, round(255 * float(self.entry.calibration["tumour_threshold"])))
            cut = (one.slices, view.rows, view.columns)
            group = Found(one.slices, output, asked.size_yx, padded)
            found = claimed_tumour(self.network, group, grid_yx) >= least
            inside = one.liver_zyx[cut]
            # What lies outside of the view is in no liver.
            return dice(one.tumour_zyx[cut], found & inside)
        every = output.detections
        lesion = every.classes == self.network.config.classes - 1
        shift = np.array([view.rows.start, view.columns.start] * 2, float)
        boxes = boxes_on_grid(every.boxes, asked.size_yx, grid_yx).double().numpy() + shift
        each = [(lesion & (every.images == k)).numpy() for k in range(len(asked.bags))]
        return scored_slices(one, [(boxes[k], every.scores.double().numpy()[k]) for k in each])
