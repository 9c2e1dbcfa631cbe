"""Augmented training samples of DADRN from stored class slices; deterministic from a seed and a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.networks.dadrn import CLASSES, with_phase
from LiverLesionAILib.stages.classify.liver_slices import EDGE_PX, fill_with_liver, masked, place, slice_input
from numpy.typing import NDArray
from torch import Tensor

from ..data.cases import decode_hu
from ..synthesis.appearance import Phase
from .classes import BENIGN, LESION_BIT, LIVER_BIT, METASTASIS, OUTLIER, ClassSlices
from .loop import LoopSettings
from .sampling import AugmentSettings, affine_grid, augment_intensity, blurred


@dataclass(frozen=True)
class ClassAugment:
    """Chance in a class sample.

    Attributes:
        general: geometry and intensities; the level moves little, as absolute HU tell water from tissue.
        mask_px: SD of the smoothing that makes the liver's outline another one.
        fill_chance: chance that a piece of liver is filled with liver's noise, as other lesions are when one
            lesion of several is asked about.
        mirror_chance: chance to mirror left and right.
    """

    general: AugmentSettings = field(
        default_factory=lambda: AugmentSettings(
            rotate_degree=25.0,
            scale=0.25,
            shear=0.08,
            level_hu=8.0,
            contrast=0.1,
            pivot_hu=75.0,
            noise_hu=10.0,
            thick_chance=0.2,
            mirror_chance=0.25,
        )
    )
    mask_px: float = 2.0
    fill_chance: float = 0.12


_FIVE = {0: 0.32, 1: 0.11, 2: 0.13, 3: 0.15, 4: 0.14}
DEFAULT_SHARES: dict[int, float] = {**_FIVE, METASTASIS: 0.09, OUTLIER: 0.06}
"""Share of every label among the samples; metastases and treated lesions are outliers to five classes."""
PHASED_SHARES: dict[int, float] = {
    0: 0.22,
    1: 0.11,
    2: 0.11,
    3: 0.14,
    4: 0.14,
    METASTASIS: 0.17,
    BENIGN: 0.08,
    OUTLIER: 0.03,
}
"""Of a network that has classes for them."""
UNTOLD = 0.15
"""Share of samples whose phase is not told, so that the network answers without it as well."""


def phase_shares(phase: str) -> tuple[float, ...]:
    """A scan's phase as it is told to a network; see :func:`~LiverLesionAILib.networks.dadrn.with_phase`."""
    return tuple(float(known.value == phase) for known in Phase)


class ClassSampler:
    """Draws training samples; the sample for (seed, number) is always the same one.

    Args:
        sources: slices.
        spec: what the network wants to see.
        seed: with the sample's number it decides everything.
        shares: label -> share of the samples.
        real_share: of the slices of a label from real livers, where there are both kinds.
        phases: whether the network is told the phase.
    """

    def __init__(
        self,
        sources: Sequence[ClassSlices],
        spec: InputSpec,
        seed: int,
        shares: Mapping[int, float] = DEFAULT_SHARES,
        real_share: float = 0.3,
        augment: ClassAugment = ClassAugment(),
        edge: int = EDGE_PX,
        phases: bool = False,
    ) -> None:
        self.phases = phases
        self.sources = list(sources)
        self.spec, self.seed, self.augment, self.edge = spec, seed, augment, edge
        self.real_share = real_share
        self.members: dict[tuple[int, str], NDArray[np.int64]] = {}
        for kind in ("body", "real"):
            for label in range(OUTLIER + 1):
                pairs = [
                    (number, index)
                    for number, source in enumerate(self.sources)
                    if source.kind == kind
                    for index in np.flatnonzero(source.labels == label)
                ]
                if pairs:
                    self.members[(label, kind)] = np.array(pairs)
        there = sorted({label for label, _ in self.members})
        weights = np.array([shares.get(label, 0.0) for label in there])
        if not weights.sum():
            raise ValueError("no slice has a label with a share")
        self.labels = there
        self.cumulative = np.cumsum(weights / weights.sum())

    def sample(self, number: int) -> tuple[Tensor, int]:
        """Sample `number`: image (in_slices, edge, edge) float32 in -1..1, and its label.

        With the phase four channels more.
        """
        rng = np.random.default_rng((self.seed, number))
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        drawn = int(np.searchsorted(self.cumulative, rng.random(), side="right"))
        label = self.labels[min(drawn, len(self.labels) - 1)]
        kinds = [kind for kind in ("real", "body") if (label, kind) in self.members]
        kind = kinds[0] if len(kinds) == 1 or rng.random() < self.real_share else kinds[1]
        pairs = self.members[(label, kind)]
        source, index = pairs[int(rng.integers(len(pairs)))]
        stored = np.asarray(self.sources[source].data[index])
        image, bits = decode_hu(stored[:-1]), stored[-1]
        liver = (bits & LIVER_BIT) > 0
        if rng.random() < self.augment.fill_chance:
            image = fill_with_liver(image, self._area(bits, rng), liver, rng)
        if rng.random() < 0.5:
            image = image[::-1].copy()
        where = place(liver, self.edge)
        general = replace(self.augment.general, scale=0.0) if where.scale > 1.15 else self.augment.general
        shift = rng.uniform(-6, 6, 2)
        centre = (where.centre_yx[0] + shift[0], where.centre_yx[1] + shift[1])
        shape = (bits.shape[0], bits.shape[1])
        grid = affine_grid(rng, general, centre, self.edge, shape, 1 / where.scale)
        both = torch.from_numpy(np.concatenate([image, liver[None].astype(np.float32)]))[None]
        both = F.grid_sample(both, grid, mode="bilinear", padding_mode="zeros", align_corners=True)[0]
        outline = both[-1:]
        if rng.random() < 0.6:
            # A soft outline cut at another level than one half is a larger or a smaller liver.
            outline = blurred(outline, float(rng.uniform(0.5, self.augment.mask_px)))
            outline = outline + float(rng.uniform(-0.2, 0.2))
        hu = augment_intensity(both[:-1], rng, general, generator)
        image_in = masked(hu, outline[0], self.spec)
        if self.phases:
            told = np.array(phase_shares(self.sources[source].phases[index])) * (rng.random() >= UNTOLD)
            image_in = with_phase(image_in[None], told)[0]
        return image_in, label

    def _area(self, bits: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.bool_]:
        """An ellipse somewhere in the liver, without its lesions."""
        ys, xs = np.nonzero(bits & LIVER_BIT)
        pick = int(rng.integers(len(ys)))
        radii = rng.uniform(3, 11, 2)
        y, x = np.ogrid[: bits.shape[0], : bits.shape[1]]
        inside = ((y - ys[pick]) / radii[0]) ** 2 + ((x - xs[pick]) / radii[1]) ** 2 <= 1
        return inside & ((bits & LIVER_BIT) > 0) & ((bits & LESION_BIT) == 0)

    def batch(self, first: int, size: int) -> tuple[Tensor, Tensor]:
        """Samples first .. first + size - 1: (B, S, edge, edge) and (B,) labels."""
        images, labels = zip(*(self.sample(first + i) for i in range(size)), strict=True)
        return torch.stack(images), torch.tensor(labels)


def plain_inputs(source: ClassSlices, spec: InputSpec, edge: int = EDGE_PX, phases: bool = False) -> Tensor:
    """All slices of a source as an analysis sees them, without chance: (n, in_slices, edge, edge).

    Args:
        phases: with the phase, four channels more.
    """
    images = []
    for stored in source.data:
        liver = (np.asarray(stored[-1]) & LIVER_BIT) > 0
        images.append(slice_input(decode_hu(stored[:-1]), liver, spec, place(liver, edge)))
    stacked = torch.stack(images)
    if not phases:
        return stacked
    return with_phase(stacked, torch.tensor([phase_shares(phase) for phase in source.phases]))


def class_loss(logits: Tensor, labels: Tensor, _settings: LoopSettings | None = None) -> Tensor:
    """Cross entropy, a little smoothed; for outliers against all lesion classes alike (outlier exposure).

    Args:
        logits: (B, classes); labels: (B,) class index, or the number of classes for an outlier.
    """
    count = logits.shape[1]
    logs = logits.float().log_softmax(dim=1)
    smoothing = 0.02
    targets = torch.full_like(logs, smoothing / count)
    inlier = labels < count
    rows = torch.arange(len(labels), device=labels.device)[inlier]
    targets[rows, labels[inlier]] += 1 - smoothing
    unknown = torch.full((count,), 1 / (count - 1), device=logits.device)
    unknown[0] = 0.0
    targets[~inlier] = unknown
    return -(targets * logs).sum(dim=1).mean()


__all__ = ["CLASSES", "ClassAugment", "ClassSampler", "class_loss", "plain_inputs"]
