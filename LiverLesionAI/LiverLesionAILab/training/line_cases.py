"""Labelled scans as the default line lists them at a low score: what a second look has to judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.support.files import replacing
from LiverLesionAILib.volume.geometry import Geometry, permuted, reoriented_geometry
from LiverLesionAILib.volume.masks import ball_diameter_mm
from LiverLesionAILib.volume.resampling import resample
from numpy.typing import NDArray

from ..data.scan import TUMOUR, Scan

if TYPE_CHECKING:
    from LiverLesionAILib.models.weights import ModelStore
    from LiverLesionAILib.volume.ct import CtVolume

LOW_SCORE = 0.15
"""As for the operating points: below, a sensitive setting lists hundreds."""

VERSION = 1


@dataclass(frozen=True, eq=False)
class LineCase:
    """A scan, its truth and what the line lists, all on the CT's grid with axes along L, P, S.

    Attributes:
        hu_zyx: HU; tumour_zyx: bool, the truth.
        liver_zyx: bool, labels_zyx: uint16, as the line found them.
        probability_zyx: uint8, the line's probability of tumour, 0..255.
        scores, diameters_mm: by number; diameters of the ball of the volume.
    """

    name: str
    patient: str
    hu_zyx: NDArray
    tumour_zyx: NDArray[np.bool_]
    liver_zyx: NDArray[np.bool_]
    labels_zyx: NDArray[np.uint16]
    probability_zyx: NDArray[np.uint8]
    spacing_zyx_mm: tuple[float, float, float]
    scores: dict[int, float]
    diameters_mm: dict[int, float]


def line_case(scan: Scan, models: ModelStore, cache: Path, device: str = "auto") -> LineCase:
    """The default line on one scan, kept in `cache`: it takes a minute.

    Raises:
        InputError: the scan is missing or damaged.
    """
    read = scan.read()
    weights = "".join(sorted(entry.sha256[:4] for entry in models.manifest.entries))
    path = cache / f"line{VERSION}-{scan.name}-{weights[:24]}.npz"
    if not path.is_file():
        _keep(read.ct, models, path, device)
    with np.load(path) as kept:
        found = {name: kept[name] for name in kept.files}
    own = read.ct.geometry
    axial = reoriented_geometry(own)
    working = Geometry.make(found["tumour"].shape, found["spacing"], found["origin"], found["directions"])
    probability = np.rint(resample(found["tumour"], working, axial, 0.0)).astype(np.uint8)
    numbers = [int(n) for n in found["numbers"]]
    return LineCase(
        scan.name,
        scan.patient,
        permuted(read.ct.hu_zyx, own, axial),
        permuted(read.labels_zyx == TUMOUR, own, axial),
        permuted(found["liver"], own, axial),
        permuted(found["labels"], own, axial),
        probability,
        axial.spacing_zyx_mm,
        dict(zip(numbers, map(float, found["scores"]), strict=True)),
        dict(zip(numbers, map(float, found["diameters"]), strict=True)),
    )


def _keep(ct: CtVolume, models: ModelStore, path: Path, device: str) -> None:
    settings = Settings(device=device, attention=False, classifier=None, score_threshold=LOW_SCORE)
    result = analyze(ct, settings, models)
    tumour = result.probabilities["tumour"]
    volumes = [0.0 if one.measurement is None else one.measurement.volume_ml for one in result.lesions]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside, beside.open("wb") as file:
        np.savez_compressed(
            file,
            tumour=tumour.values_zyx,
            labels=result.lesion_labels_zyx,
            liver=result.liver_zyx,
            spacing=np.array(tumour.geometry.spacing_zyx_mm),
            origin=np.array(tumour.geometry.origin_lps),
            directions=np.array(tumour.geometry.directions_lps),
            numbers=np.array([one.number for one in result.lesions], int),
            scores=np.array([one.score for one in result.lesions], float),
            diameters=np.array([ball_diameter_mm(1000.0 * ml) for ml in volumes]),
        )
