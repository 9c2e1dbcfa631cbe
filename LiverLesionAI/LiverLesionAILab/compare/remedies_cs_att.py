"""Remedies for CS-Att's spatial attention, learnt alone on bundled weights; each starts as these are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.networks.cs_att import CsAtt, CsAttention, embedded
from LiverLesionAILib.networks.parts.peak_softmax import peak_softmax
from LiverLesionAILib.stages.detect.slice_boxes import VolumeWindows
from LiverLesionAILib.stages.detect.view import view_around
from numpy.typing import NDArray
from torch import Tensor, nn

from ..training.detection import instance_boxes, instances_of
from .asked_slices import AskedScan, scored_slices
from .spoilt import spoilt_each_way

if TYPE_CHECKING:
    from LiverLesionAILib.models.weights import ModelEntry

WINDOWS_A_STEP = 2


class Window(NamedTuple):
    """A key slice: features of its images (M, C, h, w) and of spoilt key images (V, C, h, w), float16."""

    images: Tensor
    spoilt: Tensor
    boxes: Tensor

    def with_key(self, version: int | None) -> Tensor:
        """The images (M, C, h, w), float32, the key one of a spoilt version; None as it is."""
        images = self.images.float()
        if version is not None:
            images[len(images) // 2] = self.spoilt[version].float()
        return images


class Asked(NamedTuple):
    """The key slices of one scan, and what turns their boxes into the grid's."""

    keys: list[Window]
    windows: VolumeWindows


class Constant(nn.Module):
    """One weight for an image and a channel."""

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(mean.clone())

    def forward(self, network: CsAtt, x: Tensor) -> Tensor:
        """(B, M, C, h, w) to weights of that shape."""
        return self.weight[None, :, :, None, None].expand_as(x)


class Scored(nn.Module, ABC):
    """The bundled scores, and something more, through the paper's softmax over its maximum."""

    def __init__(self, network: CsAtt) -> None:
        super().__init__()
        assert network.phi_spatial is not None
        channels = network.config.widths[-1]
        self.phi = nn.Conv2d(channels, channels, 1)
        self.phi.load_state_dict(network.phi_spatial.state_dict())

    def scores(self, network: CsAtt, x: Tensor) -> Tensor:
        """Equation 5 over the temperature, (B, M, C, h, w)."""
        flat = embedded(self.phi, x.flatten(0, 1), network.config.spatial_temperature)
        return flat.unflatten(0, x.shape[:2])

    @abstractmethod
    def more(self, x: Tensor, scores: Tensor) -> Tensor:
        """What is added to them."""

    def forward(self, network: CsAtt, x: Tensor) -> Tensor:
        """(B, M, C, h, w) to weights of that shape."""
        scores = self.scores(network, x)
        return peak_softmax(scores + self.more(x, scores), (3, 4))


class Standardised(Scored):
    """Scores of a second embedding, in units of their SD over places, with a gain a channel."""

    def __init__(self, network: CsAtt) -> None:
        super().__init__(network)
        channels = network.config.widths[-1]
        self.second = nn.Conv2d(channels, channels, 1)
        self.second.load_state_dict(self.phi.state_dict())
        self.gain = nn.Parameter(torch.zeros(channels, 1, 1))

    def more(self, x: Tensor, scores: Tensor) -> Tensor:
        """Standardised in every image."""
        made = self.second(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        made = made - made.mean(dim=(3, 4), keepdim=True)
        return self.gain * made / (made.std(dim=(3, 4), keepdim=True) + 1e-6)


class StandingOut(Scored):
    """What a place differs by from its neighbourhood, and that from a wider one."""

    def __init__(self, network: CsAtt) -> None:
        super().__init__(network)
        channels = network.config.widths[-1]
        self.embed = nn.Conv2d(2 * channels, channels, 1)
        nn.init.zeros_(self.embed.weight)
        nn.init.zeros_(self.embed.bias)  # type: ignore[arg-type]

    def more(self, x: Tensor, scores: Tensor) -> Tensor:
        """Of every image by itself."""
        flat = x.flatten(0, 1)
        near, wide = (
            F.avg_pool2d(flat, n, stride=1, padding=n // 2, count_include_pad=False) for n in (5, 15)
        )
        return self.embed(torch.cat([flat - near, near - wide], dim=1)).unflatten(0, x.shape[:2])


class TakenAway(Scored):
    """The key image's scores are told by its neighbours too; while it learns, by them alone at times."""

    left_out = False

    def __init__(self, network: CsAtt) -> None:
        super().__init__(network)
        channels, others = network.config.widths[-1], network.config.images - 1
        self.told = nn.Conv2d(others * channels, channels, 3, padding=1)
        nn.init.zeros_(self.told.weight)
        nn.init.zeros_(self.told.bias)  # type: ignore[arg-type]

    def more(self, x: Tensor, scores: Tensor) -> Tensor:
        """For the key image alone."""
        middle = x.shape[1] // 2
        others = [k for k in range(x.shape[1]) if k != middle]
        told = self.told(x[:, others].flatten(1, 2))
        if self.left_out:
            told = told + scores[:, others].mean(dim=1) - scores[:, middle]
        more = torch.zeros_like(scores)
        more[:, middle] = told
        return more


class RemediedCsAtt(CsAtt):
    """A bundled network whose spatial weights a remedy gives."""

    remedy: nn.Module

    @classmethod
    def of(cls, network: CsAtt, remedy: nn.Module) -> RemediedCsAtt:
        """A copy of a network, in inference form as it is, with a remedy."""
        made = deepcopy(network)
        made.__class__ = cls
        assert isinstance(made, cls)
        made.remedy = remedy
        return made

    @property
    def replaced(self) -> bool:
        """The shorter ways know nothing of remedies."""
        return True

    def attend(self, x: Tensor) -> tuple[Tensor, CsAttention]:
        """The network's, but for the spatial weights."""
        scores = self.context_scores(x.flatten(0, 1))
        assert scores is not None
        contextual = self.contextual_weights(peak_softmax(scores.unflatten(0, x.shape[:2]), 1))
        x = contextual * x
        spatial = self.spatial_weights(self.remedy(self, x))
        return spatial * x, CsAttention(contextual, spatial)


class CsAttFamily:
    """What :mod:`.remedies` asks of a family of networks."""

    kind = "spatial attention"
    constants = ("one number", "one number, learnt spoilt")
    remedies = ("standardised", "standing out", "taken away")
    spoilt = ("taken away", constants[1])
    versions = staticmethod(spoilt_each_way)
    masks = False

    def __init__(self, network: CsAtt, entry: ModelEntry) -> None:
        self.bundled, self.entry = network, entry
        self.asked_of = network

    def asked(self, one: AskedScan, versions: Sequence[NDArray[np.float32]]) -> Asked:
        """The windows of a scan's slices, in the liver's part; with key images of spoilt versions of it."""
        view = view_around(one.liver_zyx, one.spacing_zyx_mm)
        assert view is not None
        every = [VolumeWindows(self.bundled, self.entry.input, hu, view) for hu in (one.hu_zyx, *versions)]
        windows = every[0]
        scale = np.array(windows.size_yx) / (
            view.rows.stop - view.rows.start,
            view.columns.stop - view.columns.start,
        )
        keys = []
        with torch.inference_mode():
            known = windows.known(one.slices.tolist())
            spoilt = [
                [self.bundled.features(other.image(int(z))[None])[0] for other in every[1:]]
                for z in one.slices
            ]
        for z, images, others in zip(one.slices, known, spoilt, strict=True):
            part = one.tumour_zyx[z][view.rows, view.columns]
            boxes = instance_boxes(instances_of(torch.from_numpy(2 * part.astype(np.int64))))
            keys.append(
                Window(
                    torch.stack([image.features.half() for image in images]).clone(),
                    torch.stack([image.half() for image in others]).clone(),
                    boxes * torch.from_numpy(np.tile(scale, 2)).float(),
                )
            )
        return Asked(keys, windows)

    def branch(self, name: str, examples: Sequence[Asked]) -> nn.Module:
        """A remedy at its start."""
        torch.manual_seed(1)
        if name == "standardised":
            return Standardised(self.bundled)
        if name == "standing out":
            return StandingOut(self.bundled)
        if name == "taken away":
            return TakenAway(self.bundled)
        with torch.inference_mode():
            keys = [key for one in examples for key in one.keys]
            seen = [self.bundled.attend(key.with_key(None)[None])[1].spatial for key in keys[::2]]
            mean = torch.stack([one[0].mean(dim=(2, 3)) for one in seen if one is not None]).mean(dim=0)
        return Constant(mean.clone())

    @contextmanager
    def using(self, branch: nn.Module | None) -> Iterator[None]:
        """Ask the network with this remedy; None the bundled one."""
        self.asked_of = self.bundled if branch is None else RemediedCsAtt.of(self.bundled, branch)
        try:
            yield
        finally:
            self.asked_of = self.bundled

    def loss(self, branch: nn.Module, one: Asked, step: int, spoilt: bool) -> Tensor:
        """The network's own loss, behind its proposals, of some of a scan's windows."""
        if isinstance(branch, TakenAway):
            branch.left_out = step % 2 == 1
        order = np.random.default_rng(step).permutation(len(one.keys))[:WINDOWS_A_STEP]
        found = []
        for key in (one.keys[k] for k in order):
            x = key.with_key(step % len(key.spoilt) if spoilt else None)[None]
            high, wide = (n * self.bundled.multiple for n in x.shape[3:])
            unknown = torch.zeros(1, high, wide, dtype=torch.bool)
            generator = torch.Generator().manual_seed(step)
            parts = self.asked_of.window_losses(x, one.windows.size_yx, [key.boxes], unknown, generator)
            found.append(parts["score"] + parts["box"])
        if isinstance(branch, TakenAway):
            branch.left_out = False
        return torch.stack(found).mean()

    def answers(self, one: AskedScan, asked: Asked, version: int | None) -> Any:
        """The slices' boxes matched with the lesions."""
        network, size_yx = self.asked_of, asked.windows.size_yx
        found = []
        for key in asked.keys:
            x = key.with_key(version)[None]
            output, _ = network.detect(x, size_yx)
            found.append(asked.windows.to_grid(output[0]))
        return scored_slices(one, found)
