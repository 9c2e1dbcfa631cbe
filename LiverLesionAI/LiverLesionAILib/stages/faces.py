"""Networks behind faces: what a model of each task can be asked, and which code answers for which network.

A manifest entry names its network; the family of that network (beside its stage, in `families.py`) makes the
answers. A network that keeps to the plain contract of its task needs no family of its own:

=========  ==================================================================================================
locate     images (B, in_slices, H, W) -> `.logits` (B, 2, H, W): background, liver
segment    images (B, in_slices, H, W) -> `.logits` (B, 3, H, W): background, liver, tumour
neighbour  images (B, in_slices, H, W) -> `.logits` (B, 3, H, W): background, liver with lesions, gallbladder
vessels    images (B, in_slices, H, W) -> `.logits` (B, 5, H, W): background, liver, portal vein, hepatic
           veins, IVC
trees      volumes of the whole liver (B, 12 * D, H, W), see `anatomy.tree_view` -> `.logits` (B, D, H, W):
           log odds that a tube there is a hepatic vein
detect     images (B, in_slices, H, W) -> a list of B pairs: boxes (n, 4) y0, x0, y1, x1 px; scores (n,) 0..1
classify   images (B, in_slices, 160, 160) -> `.logits` (B, classes) and `.features` (B, C, h, w);
           `head(features)` -> logits; `config.classes`, the first of them "Normal"; with `config.phases` four
           channels more, :func:`..networks.dadrn.with_phase`
click      a crop, an outline and clicks (B, 9 * D, H, W), see `detect.click_input` -> `.logits`
           (B, D, H, W): log odds of belonging to what was clicked on
=========  ==================================================================================================

So a model is one file in `networks/` (with `CONFIG` and `build`), one entry of the manifest, one weight. This
file knows no torch: families are loaded when a model is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..case.findings import AttentionMap, PointLps
from ..models.inputs import InputSpec
from ..models.weights import ModelEntry, ModelStore
from ..support.errors import ModelError
from ..support.progress import Progress, silent
from ..volume.ct import CtVolume, Geometry

if TYPE_CHECKING:
    from torch import nn

    from ..models.device import Device
    from .classify.lesions import ClassAnswer, ClassifySettings
    from .classify.liver_box import LiverCrop
    from .detect.link import LinkedBox, SliceBoxes
    from .detect.view import View
    from .segment.region import Region


class Explainer(Protocol):
    """What a segmenter attended to, gathered while it ran."""

    @property
    def filled(self) -> bool:
        """Whether there is anything to show."""

    def maps(self, geometry: Geometry) -> tuple[AttentionMap, ...]:
        """Maps of the whole liver on `geometry`, the working grid."""

    def lesion_maps(
        self, geometry: Geometry, labels_zyx: NDArray[np.uint16], numbers: Mapping[int, int]
    ) -> tuple[AttentionMap, ...]:
        """Maps of single lesions; `numbers`: label on the working grid -> the lesion's number."""


class Probabilities(NamedTuple):
    """A segmenter's answer.

    Attributes:
        liver_zyx, tumour_zyx: uint8 on the region's grid, 0..255: liver or tumour, and tumour.
        explainers: of what ran.
    """

    liver_zyx: NDArray[np.uint8]
    tumour_zyx: NDArray[np.uint8]
    explainers: tuple[Explainer, ...] = ()


class Locator(Protocol):
    """Finds the liver on a coarse grid."""

    entry: ModelEntry

    def probability(self, hu_zyx: NDArray[np.float32], progress: Progress = silent) -> NDArray[np.uint8]:
        """0..255 for every voxel of HU on the grid of `entry.input`."""


class Neighbour(Protocol):
    """Finds an organ beside the liver that is taken for a lesion: the gallbladder."""

    entry: ModelEntry

    def probability(self, hu_zyx: NDArray[np.float32], progress: Progress = silent) -> NDArray[np.uint8]:
        """0..255 for every voxel of HU on the grid of `entry.input`."""


class Segmenter(Protocol):
    """Tells liver and tumour apart, voxel by voxel."""

    entry: ModelEntry

    def probabilities(self, region: Region, progress: Progress = silent) -> Probabilities:
        """On the region's grid, whose spacing is that of `entry.input`."""


class Attentive(Protocol):
    """A segmenter that can tell what one point attends to."""

    def attend(self, volume: CtVolume, point_lps: PointLps, level_hu: float) -> tuple[AttentionMap, ...]:
        """A map for each level that relates positions; `volume` is the CT round the point.

        Raises:
            InputError: the point is not in the volume, or nothing relates positions.
        """


class Detector(Protocol):
    """Puts scored boxes round lesions, slice by slice."""

    entry: ModelEntry

    @property
    def input(self) -> InputSpec:
        """As a scan is read: magnified by the first of the scales for lesions."""

    def boxes(self, hu_zyx: NDArray, view: View, progress: Progress = silent) -> SliceBoxes:
        """2D boxes on the view's slices, in voxels of `hu_zyx`.

        That is HU on the grid of `input`, its liver's level shifted as `input` wants.
        """

    def explain(
        self, hu_zyx: NDArray, view: View, geometry: Geometry, box: LinkedBox
    ) -> tuple[AttentionMap, ...]:
        """What one lesion's box was decided on; nothing where nobody asked for maps."""


class Classifier(Protocol):
    """Gives lesions their class."""

    entry: ModelEntry

    def classes(
        self,
        crop: LiverCrop,
        settings: ClassifySettings,
        progress: Progress = silent,
        *,
        phase: Sequence[float] | None = None,
        only: Sequence[str] = (),
    ) -> dict[int, ClassAnswer]:
        """By lesion number; `crop` is on the grid of `entry.input`. Lesions without a voxel are left out.

        Args:
            phase: probability of each contrast phase, for networks that take it.
            only: of the network's classes those that may be answered; () for all.
        """


@dataclass(frozen=True)
class Runtime:
    """Where networks come from and how they run.

    Attributes:
        store: trained networks by name.
        device: to run on; its `batch` is slices at once.
        explain: whether attention maps are wanted.
        pyramid: scales for liver and lesions alike in place of each mask network's own.
    """

    store: ModelStore
    device: Device
    explain: bool = False
    pyramid: tuple[float, ...] | None = None

    def open(self, entry: ModelEntry) -> Any:
        """The model of an entry, its network loaded, behind the face of its task.

        Raises:
            ModelError: the weights are missing or damaged, or no family answers for the entry's task.
        """
        if self.pyramid is not None and entry.task == "segment":
            entry = replace(entry, scales={"liver": self.pyramid, "lesions": self.pyramid})
        return family_of(entry).load().opened(entry, self)

    def network(self, entry: ModelEntry) -> nn.Module:
        """The entry's network on the device, in inference form."""
        return self.store.network(entry.name, self.device.name, self.device.precision)


def _never(_config: Mapping[str, Any]) -> bool:
    return False


def _with_spatial_context(config: Mapping[str, Any]) -> bool:
    return bool(config.get("spatial", True))


@dataclass(frozen=True)
class Family:
    """The code that answers for a network.

    Attributes:
        module, name: a class in this room.
        attends: whether a network of this configuration can tell what a point attends to.
    """

    module: str
    name: str
    attends: Callable[[Mapping[str, Any]], bool] = _never

    def load(self) -> Any:
        """The class."""
        return getattr(import_module(f"{__package__}.{self.module}"), self.name)


OF_NETWORK: Mapping[str, Family] = {
    "mean": Family("segment.families", "MeanSegmenter"),
    "sfan": Family("segment.families", "SfanSegmenter"),
    "mscd": Family("segment.families", "MscdSegmenter", _with_spatial_context),
    "va_mask_rcnn": Family("segment.families", "VolumetricSegmenter"),
    "cs_att": Family("detect.families", "CsAttDetector"),
    "va_faster_rcnn": Family("detect.families", "VolumetricDetector"),
}
"""Networks that do more than the plain contract of their task."""

OF_TASK: Mapping[str, Family] = {
    "locate": Family("locate.families", "SliceLocator"),
    "segment": Family("segment.families", "SliceSegmenter"),
    "neighbour": Family("neighbours.families", "SliceNeighbour"),
    "vessels": Family("anatomy.families", "SliceVessels"),
    "trees": Family("anatomy.families", "TreeNetwork"),
    "detect": Family("detect.families", "SliceDetector"),
    "classify": Family("classify.families", "SliceClassifier"),
    "click": Family("detect.families", "ClickNetwork"),
}
"""All others."""


def family_of(entry: ModelEntry) -> Family:
    """Which code answers for a model.

    Raises:
        ModelError: its task is none of `OF_TASK`.
    """
    try:
        return OF_NETWORK.get(entry.network) or OF_TASK[entry.task]
    except KeyError:
        raise ModelError(
            f"The model {entry.name} is to {entry.task!r}; there is no such task. Its entry in the manifest "
            f"has to name one of {', '.join(OF_TASK)}."
        ) from None


def can_attend(entry: ModelEntry) -> bool:
    """Whether a model can tell what a point attends to (:class:`Attentive`)."""
    return family_of(entry).attends(entry.config)


WEIGHS = ("mscd", "dadrn", "va_mask_rcnn", "va_faster_rcnn")
"""Networks whose affinities, gates and slice weights are shown when asked; others' are among their maps."""


def can_weigh(entry: ModelEntry) -> bool:
    """Whether a model's attentions can be read in a slice (:mod:`.explain.network_maps`)."""
    return entry.network in WEIGHS
