"""What is judged by `compare anatomy`: the product's anatomy with its ridge filter, and with the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.anatomy import NAMED, LiverAnatomy
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.models.weights import ModelEntry, build_network
from LiverLesionAILib.stages.anatomy.face import VesselFinder
from LiverLesionAILib.stages.anatomy.families import SliceVessels, TreeNetwork
from LiverLesionAILib.stages.anatomy.network import vessel_probability
from LiverLesionAILib.stages.anatomy.stage import AnatomySettings, find_anatomy
from LiverLesionAILib.stages.anatomy.tree_view import TreeNamer
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume
from numpy.typing import NDArray

from ..metrics.anatomy import couinaud
from ..training.recipes import recipe

if TYPE_CHECKING:
    from torch import nn

RECIPE, NAMER_RECIPE = "vessel_unet", "tree_unet"


@dataclass(frozen=True, eq=False)
class AnatomyAnswer:
    """What a method says of a patient; what it does not say is None or missing.

    Attributes:
        vessels_zyx: values of `case.anatomy.Vessel` on the CT's grid.
        segments_zyx: 0, 1 to 8.
        landmarks_lps: by name.
        messages: what it could not say, and why.
    """

    vessels_zyx: NDArray[np.uint8] | None = None
    segments_zyx: NDArray[np.uint8] | None = None
    landmarks_lps: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    messages: tuple[str, ...] = ()

    @classmethod
    def of(cls, anatomy: LiverAnatomy) -> AnatomyAnswer:
        """The product's answer; landmarks that it only guesses count as well."""
        return cls(
            anatomy.vessels_zyx if anatomy.vessels_zyx.any() else None,
            couinaud(anatomy.segments_zyx) if anatomy.has_segments else None,
            {name: one.lps for name, one in anatomy.landmarks.items()},
            anatomy.messages,
        )

    def cropped(self, box: tuple[slice, ...]) -> AnatomyAnswer:
        """Its arrays in a box."""
        vessels, segments = self.vessels_zyx, self.segments_zyx
        return replace(
            self,
            vessels_zyx=None if vessels is None else vessels[box],
            segments_zyx=None if segments is None else segments[box],
        )


Method = Callable[[CtVolume, NDArray[np.uint8], Phase], AnatomyAnswer]
"""(CT, labels 0, 1 liver, 1 + k lesion k, phase) -> answer."""


def network_of(weights: Path) -> VesselFinder:
    """The vessel network with the weights of a file.

    Raises:
        InputError: the file is missing or holds no such network.
    """
    return SliceVessels(*_opened(RECIPE, weights))


def namer_of(weights: Path) -> TreeNamer:
    """The network that names what another one finds, with the weights of a file.

    Raises:
        InputError: the file is missing or holds no such network.
    """
    return TreeNetwork(*_opened(NAMER_RECIPE, weights))


def _opened(name: str, weights: Path) -> tuple[ModelEntry, nn.Module]:
    import pickle

    import torch

    chosen = recipe(name)
    network = build_network(chosen.network, asdict(chosen.config))
    try:
        network.load_state_dict(torch.load(weights, weights_only=True))
    except (OSError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
        raise InputError(f"{weights} holds no weights of {name}.") from error
    entry = ModelEntry(name, chosen.task, chosen.network, {}, chosen.spec, weights.name, "")
    return entry, network.float().eval()


def product_anatomy(
    ct: CtVolume,
    labels_zyx: NDArray[np.uint8],
    phase: Phase,
    finder: VesselFinder | None = None,
    namer: TreeNamer | None = None,
) -> LiverAnatomy:
    """The product's anatomy of an outlined liver, by the rules as shipped.

    Args:
        labels_zyx: 0, 1 liver, above it lesions.
        finder: besides the product's ridge filter; namer: of what it finds.
    """
    liver, lesions = labels_zyx > 0, labels_zyx > 1
    settings = Rules().part(AnatomySettings)
    return find_anatomy(ct.hu_zyx, ct.geometry, liver, lesions, phase, settings, finder=finder, namer=namer)


def anatomy_method(finder: VesselFinder | None, namer: TreeNamer | None = None) -> Method:
    """:func:`product_anatomy` as a method."""

    def answer(ct: CtVolume, labels_zyx: NDArray[np.uint8], phase: Phase) -> AnatomyAnswer:
        return AnatomyAnswer.of(product_anatomy(ct, labels_zyx, phase, finder, namer))

    return answer


def network_alone(finder: VesselFinder, threshold: float = 0.5) -> Method:
    """Nothing but the network's vessels, each voxel the likeliest kind."""

    def answer(ct: CtVolume, labels_zyx: NDArray[np.uint8], _phase: Phase) -> AnatomyAnswer:
        likely = vessel_probability(finder, ct.hu_zyx, ct.geometry, labels_zyx > 0, labels_zyx > 1)
        stack = np.stack([likely[vessel] for vessel in NAMED])
        seen = stack.sum(axis=0, dtype=np.int32) >= 255 * threshold
        return AnatomyAnswer(np.where(seen, stack.argmax(axis=0) + 1, 0).astype(np.uint8))

    return answer
