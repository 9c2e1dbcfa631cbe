"""Box detectors on key slices (DeepLesion, the slices of SynthLiver-1): who predicts, scores with intervals.

A detector is any callable from a key slice to boxes with scores, so that every network, and a file of
predictions, is scored by the same lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import ArrayLike, NDArray

from ..data.deeplesion import KeySlice
from ..metrics.bootstrap import Interval, bootstrap
from ..metrics.freeresponse import free_response
from ..metrics.froc import (
    RATES_PER_IMAGE,
    DetectionSummary,
    ImageBoxes,
    match_image,
    match_ranked,
    precision_area,
    summarise_detection,
)


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in a key slice.

    Attributes:
        boxes_xyxy_px: (m, 4) x1, y1, x2, y2, outer edges, pixels of the key slice from 0.
        scores: (m,) higher is surer.
    """

    boxes_xyxy_px: NDArray[np.float64]
    scores: NDArray[np.float64]

    @classmethod
    def make(cls, boxes_xyxy_px: ArrayLike, scores: ArrayLike) -> Detections:
        """From anything that looks like boxes and scores."""
        boxes = np.asarray(boxes_xyxy_px, float).reshape(-1, 4)
        return cls(boxes, np.asarray(scores, float).reshape(-1))


BoxDetector = Callable[[KeySlice], Detections]


@dataclass(frozen=True, eq=False)
class BoxResult:
    """A detector's scores on a set of key slices.

    Attributes:
        images: reference and predictions of every key slice.
        summary: the protocol's figures.
        sensitivity: rate of false positives per image -> interval over patients.
        ap50: interval over patients.
    """

    images: tuple[ImageBoxes, ...]
    summary: DetectionSummary
    sensitivity: Mapping[float, Interval]
    ap50: Interval


def evaluate_boxes(
    keys: Sequence[KeySlice],
    detectors: Mapping[str, BoxDetector],
    *,
    seed: int = 0,
    n_draws: int = 1000,
    progress: Progress = silent,
) -> dict[str, BoxResult]:
    """Run and score every detector on every key slice.

    Args:
        keys: key slices with their lesions.
        detectors: name -> callable.
        seed, n_draws: of the bootstrap over patients.
        progress: told of every key slice; may cancel.

    Raises:
        InputError: no key slice; or as the detectors raise.
    """
    images: dict[str, list[ImageBoxes]] = {name: [] for name in detectors}
    for k, key in enumerate(keys):
        progress(f"Evaluating {key.name} ({k + 1} of {len(keys)})", k / len(keys))
        for name, detect in detectors.items():
            images[name].append(image_boxes(key, detect(key)))
    progress("Evaluated", 1.0)
    return {name: score_boxes(each, seed=seed, n_draws=n_draws) for name, each in images.items()}


def image_boxes(key: KeySlice, found: Detections) -> ImageBoxes:
    """A key slice's lesions beside what was found."""
    return ImageBoxes(
        reference=key.boxes_xyxy_px,
        predicted=found.boxes_xyxy_px,
        scores=found.scores,
        diameters_mm=tuple(key.diameters_mm.tolist()),
        lesion_types=tuple(key.types) if all(key.types) else (),
        slice_interval_mm=key.slice_interval_mm,
        name=key.name,
        patient=key.patient,
    )


def score_boxes(images: Sequence[ImageBoxes], *, seed: int = 0, n_draws: int = 1000) -> BoxResult:
    """The detection protocol with intervals over patients.

    Raises:
        InputError: no image.
    """
    summary = summarise_detection(images)
    patients = [image.patient or image.name for image in images]
    matches = [match_image(image) for image in images]
    ranked = [match_ranked(image) for image in images]

    def sensitivity(rows: NDArray[np.int64], rate: float) -> float:
        found = np.concatenate([matches[i].found_scores for i in rows])
        false = np.concatenate([matches[i].false_scores for i in rows])
        return free_response(found, false, len(rows)).at(rate) if found.size else float("nan")

    def area(rows: NDArray[np.int64]) -> float:
        return precision_area([ranked[i] for i in rows])

    settings = {"seed": seed, "n_draws": n_draws}
    rates = {
        rate: bootstrap(lambda rows, rate=rate: sensitivity(rows, rate), patients, **settings)
        for rate in RATES_PER_IMAGE
    }
    return BoxResult(tuple(images), summary, rates, bootstrap(area, patients, **settings))


def boxes_from_file(path: Path) -> BoxDetector:
    """Predictions of a JSON file: {key slice: {"boxes_xyxy_px": [[x1, y1, x2, y2], ...], "scores": [...]}}.

    Raises:
        InputError: the file is missing or damaged; when called: it has nothing for a key slice.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        known = {str(n): Detections.make(e["boxes_xyxy_px"], e["scores"]) for n, e in table.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} holds no boxes ({error}). Expected JSON: key slice name to boxes_xyxy_px and scores."
        ) from error

    def detect(key: KeySlice) -> Detections:
        if key.name not in known:
            raise InputError(
                f"{path}: nothing for {key.name}. A key slice without a finding has empty lists."
            )
        return known[key.name]

    return detect


def boxes_json(images: Sequence[ImageBoxes]) -> dict[str, dict[str, list]]:
    """Predictions as :func:`boxes_from_file` reads them."""
    return {
        image.name: {
            "boxes_xyxy_px": np.round(image.predicted, 2).tolist(),
            "scores": np.round(image.scores, 5).tolist(),
        }
        for image in images
    }
