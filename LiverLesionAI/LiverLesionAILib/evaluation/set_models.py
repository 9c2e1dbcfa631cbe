"""Bundled models as box detectors and slice classifiers of SynthLiver-1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from ..ct import CtVolume, Geometry
from ..errors import InputError
from ..findings import CaseResult
from ..training.readers.deeplesion import KeySlice, load_slices
from .boxes import BoxDetector, Detections
from .class_models import network_classifier
from .slice_classes import Classifier


def box_model(name: str, device: str = "auto") -> BoxDetector:
    """A bundled segmentation model as a box detector: the boxes of its lesions in the key slice.

    Raises:
        ModelError: no such model. InputError: the model is of another task.
    """
    from ..weights import Manifest

    entry = Manifest.read().find(name)
    if entry.task != "segment":
        raise InputError(f"{name} is no segmentation model; give its boxes with --predicted FILE.")
    return mask_boxes(name, device)


def mask_boxes(segmenter: str, device: str = "auto") -> BoxDetector:
    """The whole pipeline on a key slice's series.

    A box is put around each piece of its lesions in the key slice, with the lesion's score.
    """
    from ..pipeline import Settings, analyze
    from ..weights import ModelStore

    models = ModelStore.bundled()
    # Nothing is dropped by score: the free-response curve asks for all of them.
    settings = Settings(
        segmenter=segmenter, detector="none", device=device, attention=False, score_threshold=0.01
    )
    kept: dict[Path, tuple[CaseResult | None, int]] = {}

    def detect(key: KeySlice) -> Detections:
        if key.folder not in kept:
            kept.clear()
            volume, first = series_volume(key)
            try:
                kept[key.folder] = analyze(volume, settings, models), first
            except InputError:
                # A series that the pipeline refuses counts as one in which it found nothing.
                kept[key.folder] = None, first
        result, first = kept[key.folder]
        if result is None:
            return Detections.make([], [])
        return boxes_in_slice(result, key.slice_index - first)

    return detect


def series_volume(key: KeySlice) -> tuple[CtVolume, int]:
    """All slices of a key slice's series without a gap to it, and the number of the first one."""
    numbers = {int(p.stem) for p in key.folder.glob("*.png") if p.stem.isdigit()}
    low = high = key.slice_index
    while low - 1 in numbers:
        low -= 1
    while high + 1 in numbers:
        high += 1
    hu = load_slices(key, range(low - key.slice_index, high - key.slice_index + 1))
    spacing = (key.slice_interval_mm, key.pixel_mm, key.pixel_mm)
    return CtVolume(hu, Geometry.make(hu.shape, spacing), key.name), low


def boxes_in_slice(result: CaseResult, z: int) -> Detections:
    """The lesions' boxes in slice z of a result on its scan's own grid (axes L, P, S)."""
    plane = np.asarray(result.lesion_labels_zyx)[z]
    boxes, scores = [], []
    for lesion in result.lesions:
        pieces, _ = ndimage.label(plane == lesion.number, np.ones((3, 3)))
        for y, x in ndimage.find_objects(pieces):
            boxes.append((x.start, y.start, x.stop, y.stop))
            scores.append(lesion.score)
    return Detections.make(boxes, scores)


def class_model(name: str, device: str = "auto") -> Classifier:
    """A bundled slice classifier.

    Raises:
        ModelError: no such model. InputError: the model is of another task.
    """
    from ..device import choose_device
    from ..weights import ModelStore

    models = ModelStore.bundled()
    entry = models.manifest.find(name)
    if entry.task != "classify":
        raise InputError(f"{name} is no slice classifier; give its probabilities with --predicted FILE.")
    chosen = choose_device(device)
    network = models.network(entry.name, chosen.name, chosen.precision)
    return network_classifier(network, entry.input, float(entry.calibration.get("temperature", 1.0)))
