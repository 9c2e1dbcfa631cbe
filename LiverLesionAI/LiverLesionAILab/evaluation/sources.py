"""Where predictions come from: folders of masks, or a method that is run on each CT."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.store import CASE_FILE, load_result
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume

from ..data.images import image_files, read_image, stem_of
from ..data.scan import LabelMeaning, Scan, translate_labels
from .cases import Prediction, prediction_of

Analyse = Callable[[Scan, CtVolume], CaseResult]
"""A method: called with the scan (whose patient may decide which weights to use) and its CT."""


class Source(Protocol):
    """Gives a prediction for a scan; `ct` reads the scan's CT."""

    def __call__(self, scan: Scan, ct: Callable[[], CtVolume]) -> Prediction: ...


def folder_source(folder: Path, labels: LabelMeaning) -> Source:
    """Label maps of a folder, matched with the scans by name.

    A scan NAME is looked for as NAME, NAME_mask, NAME_seg, NAME_prediction, ... with any image extension, or
    as the only image of a subfolder NAME; or as a case folder NAME or NAME_ct of `liverlesionai batch`. A
    file `NAME_score` (probability of tumour, or a score per lesion) beside a mask ranks its lesions; a case
    folder has its own scores.

    Raises:
        InputError: no such folder; when called: no file, or several, for a scan.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder of predicted masks.")

    def predict(scan: Scan, _ct: Callable[[], CtVolume]) -> Prediction:
        for name in (scan.name, f"{scan.name}_ct"):
            if (folder / name / CASE_FILE).is_file():
                result = load_result(folder / name)
                return prediction_of(result, sum(result.timings_s.values()) or None)
        path = _match(folder, scan.name)
        values, geometry = read_image(path)
        score = None
        score_path = next((p for p in image_files(path.parent) if stem_of(p) == f"{scan.name}_score"), None)
        if score_path is not None:
            score, score_geometry = read_image(score_path)
            if not score_geometry.matches(geometry, 0.1):
                raise InputError(f"{score_path}: its grid differs from that of {path.name}.")
        return Prediction(translate_labels(values, path, labels), geometry, score)

    return predict


def method_source(analyse: Analyse) -> Source:
    """A method run on every CT.

    A scan that the method refuses (an InputError) is scored as an empty prediction with the reason as its
    message: it has to count against the method. Other errors (no model, no device, cancelled) end the run.
    """

    def predict(scan: Scan, ct: Callable[[], CtVolume]) -> Prediction:
        volume = ct()
        started = time.perf_counter()
        try:
            result = analyse(scan, volume)
        except InputError as error:
            empty = np.zeros(volume.geometry.shape_zyx, np.uint8)
            return Prediction(empty, volume.geometry, None, time.perf_counter() - started, (str(error),))
        return prediction_of(result, time.perf_counter() - started)

    return predict


def _match(folder: Path, name: str) -> Path:
    pattern = re.compile(
        rf"{re.escape(name)}([-_.](mask|seg|segmentation|labels?|pred|prediction))?", re.IGNORECASE
    )
    found = [p for p in image_files(folder) if pattern.fullmatch(stem_of(p) or "")]
    if not found and (folder / name).is_dir():
        found = [p for p in image_files(folder / name) if not (stem_of(p) or "").endswith(("_score", "_ct"))]
    if not found:
        raise InputError(
            f"{folder}: no predicted mask for {name} (looked for {name}.nii.gz, {name}_mask.nii.gz, ...)."
        )
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise InputError(f"{folder}: several predicted masks for {name}: {names}. Leave one.")
    return found[0]
