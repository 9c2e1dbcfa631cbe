"""Which networks one analysis uses, and the same opened on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..models.weights import Manifest, ModelEntry, ModelStore
from ..stages.faces import Classifier, Detector, Locator, Neighbour, Runtime, Segmenter
from .settings import NO_DETECTOR, Settings

if TYPE_CHECKING:
    from ..models.device import Device


@dataclass(frozen=True, eq=False)
class Models:
    """Networks behind their faces, ready to compute; None where nobody wants one or there is none."""

    locator: Locator
    segmenter: Segmenter
    detector: Detector | None
    classifier: Classifier | None
    gallbladder: Neighbour | None = None


@dataclass(frozen=True)
class Choice:
    """Entries of the manifest for one analysis; see :class:`Models`.

    Attributes:
        members: of the segmenter: itself, or those that it is the mean of.
        settings: by which they were chosen.
        gallbladder: what finds it; None where nobody wants it or the manifest has no such model.
    """

    locator: ModelEntry
    segmenter: ModelEntry
    members: tuple[ModelEntry, ...]
    detector: ModelEntry | None
    classifier: ModelEntry | None
    settings: Settings
    gallbladder: ModelEntry | None = None

    @classmethod
    def of(cls, manifest: Manifest, settings: Settings) -> Choice:
        """What the user asks for, or the manifest's first model of each task.

        Raises:
            ModelError: there is no model of a name that is asked for.
        """
        segmenter = manifest.choose("segment", settings.segmenter)
        return cls(
            manifest.choose("locate"),
            segmenter,
            tuple(manifest.find(name) for name in segmenter.members),
            choose_detector(manifest, settings.detector),
            choose_classifier(manifest, settings.classifier),
            settings,
            manifest.choose("neighbour") if settings.gallbladder and manifest.of_task("neighbour") else None,
        )

    @property
    def computing(self) -> tuple[ModelEntry, ...]:
        """All models that have weights, in the order they run in."""
        others = (self.detector, self.gallbladder, self.classifier)
        return (self.locator, *self.members, *(entry for entry in others if entry is not None))

    def open(self, store: ModelStore, device: Device) -> Models:
        """The networks on a device; those that are loaded already stay warm.

        Raises:
            ModelError: weights are missing or damaged.
        """
        runtime = Runtime(store, device, self.settings.attention, self.settings.pyramid)
        return Models(
            runtime.open(self.locator),
            runtime.open(self.segmenter),
            None if self.detector is None else runtime.open(self.detector),
            None if self.classifier is None else runtime.open(self.classifier),
            None if self.gallbladder is None else runtime.open(self.gallbladder),
        )


def choose_detector(manifest: Manifest, name: str | None) -> ModelEntry | None:
    """The detector to run: the named one, the manifest's first for "".

    None for "none" or None, or where there is none.

    Raises:
        ModelError: there is none of that name.
    """
    if name in (None, NO_DETECTOR) or (not name and not manifest.of_task("detect")):
        return None
    return manifest.choose("detect", name)


def choose_classifier(manifest: Manifest, name: str | None) -> ModelEntry | None:
    """The model that gives lesions their class; None where nobody wants one or there is none to choose.

    Raises:
        ModelError: there is no classifier of the name that is asked for.
    """
    if name is None or not (name or manifest.of_task("classify")):
        return None
    return manifest.choose("classify", name)
