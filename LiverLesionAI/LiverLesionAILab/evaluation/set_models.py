"""Bundled models as box detectors and slice classifiers of SynthLiver-1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from scipy import ndimage

from ..data.deeplesion import KeySlice, load_slices
from .boxes import BoxDetector, Detections
from .class_models import network_classifier
from .slice_classes import Classifier


def box_model(name: str, device: str = "auto") -> BoxDetector:
    """A bundled model as a box detector: the boxes of its lesions in the key slice.

    Raises:
        ModelError: no such model. InputError: the model is of another task.
    """
    from LiverLesionAILib.models.weights import Manifest

    entry = Manifest.read().find(name)
    if entry.task == "detect":
        return pipeline_boxes(name, device)
    if entry.task != "segment":
        raise InputError(f"{name} finds no boxes; give a segmentation or detection model.")
    return mask_boxes(name, device)


def mask_boxes(segmenter: str, device: str = "auto") -> BoxDetector:
    """The whole pipeline on a key slice's series.

    A box is put around each piece of its lesions in the key slice, with the lesion's score.
    """
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.analysis.settings import Settings
    from LiverLesionAILib.models.weights import ModelStore

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


def pipeline_boxes(detector: str, device: str = "auto") -> BoxDetector:
    """A bundled detector inside the liver that the pipeline finds in a key slice's series.

    Its 2D boxes are as they come, before they are linked.
    """
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.analysis.rules import Rules
    from LiverLesionAILib.analysis.settings import NO_DETECTOR, Settings
    from LiverLesionAILib.models.device import choose_device
    from LiverLesionAILib.models.inputs import liver_level_hu
    from LiverLesionAILib.models.weights import ModelStore
    from LiverLesionAILib.stages.detect.view import view_around
    from LiverLesionAILib.stages.faces import Runtime
    from LiverLesionAILib.stages.segment.masks import closed_liver
    from LiverLesionAILib.volume.ct import resample, resample_labels

    models = ModelStore.bundled()
    entry = models.manifest.choose("detect", detector)
    chosen = choose_device(device, "auto")
    opened = Runtime(models, replace(chosen, batch=1)).open(entry)
    spec, rules = opened.input, Rules()
    settings = Settings(device=device, attention=False, detector=NO_DETECTOR)
    kept: dict[Path, tuple[CaseResult | None, CtVolume, int]] = {}

    def detect(key: KeySlice) -> Detections:
        if key.folder not in kept:
            kept.clear()
            volume, first = series_volume(key)
            try:
                kept[key.folder] = analyze(volume, settings, models), volume, first
            except InputError:
                # A series that the pipeline refuses counts as one in which it found nothing.
                kept[key.folder] = None, volume, first
        result, volume, first = kept[key.folder]
        if result is None or not result.liver_zyx.any():
            return Detections.make([], [])
        grid = volume.geometry.with_spacing(spec.spacing_zyx_mm)
        hu = resample(volume.hu_zyx, volume.geometry, grid)
        liver = resample_labels(result.liver_zyx.astype(np.uint8), volume.geometry, grid) > 0
        closed = closed_liver(liver, grid.spacing_zyx_mm, rules.closing_mm, rules.reach_mm)
        view = view_around(closed, grid.spacing_zyx_mm)
        if view is None:
            return Detections.make([], [])
        middle = volume.geometry.index_to_lps((key.slice_index - first, 0.0, 0.0))
        z = min(max(round(float(grid.lps_to_index(middle)[0])), 0), len(hu) - 1)
        hu = hu + np.float32(spec.shift_hu(liver_level_hu(hu[liver])))
        found = opened.boxes(hu, replace(view, slices=range(z, z + 1)))
        inside = [closed[z, int(y0 + y1) // 2, int(x0 + x1) // 2] for y0, x0, y1, x1 in found.boxes_yx]
        corners = np.zeros((2 * len(found.boxes_yx), 3))
        corners[:, 0] = z
        corners[:, 1:] = found.boxes_yx.reshape(-1, 2) - 0.5
        moved = volume.geometry.lps_to_index(grid.index_to_lps(corners))[:, 1:] + 0.5
        boxes = moved.reshape(-1, 4)[:, [1, 0, 3, 2]]
        keep = np.array(inside, bool)
        return Detections.make(boxes[keep], found.scores[keep])

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
    from LiverLesionAILib.models.device import choose_device
    from LiverLesionAILib.models.weights import ModelStore

    models = ModelStore.bundled()
    entry = models.manifest.find(name)
    if entry.task != "classify":
        raise InputError(f"{name} is no slice classifier; give its probabilities with --predicted FILE.")
    chosen = choose_device(device)
    network = models.network(entry.name, chosen.name, chosen.precision)
    return network_classifier(network, entry.input, float(entry.calibration.get("temperature", 1.0)))
