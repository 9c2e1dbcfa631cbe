"""The bundled networks, or those of a fold, as methods to evaluate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.support.errors import ModelError
from LiverLesionAILib.volume.checking import check_ct
from LiverLesionAILib.volume.ct import CtVolume

from ..data.cases import LITS_PATIENTS
from ..data.scan import Scan
from .sources import Analyse

if TYPE_CHECKING:
    from LiverLesionAILib.analysis.settings import Settings
    from LiverLesionAILib.models.weights import ModelStore


def pipeline_method(settings: Settings, folds: Path | None = None, models: Path | None = None) -> Analyse:
    """The whole pipeline as a method.

    Args:
        settings: the user's choices, the segmenter among them.
        folds: for leave-one-patient-out: a folder with a models folder (manifest and weights) per patient,
            made without that patient. None takes the same models for every scan.
        models: their folder; None takes the bundled ones.

    Raises:
        ModelError: when called: the models, or those for the scan's patient, are missing or damaged.
    """
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.models.weights import ModelStore

    # One patient's scans follow each other: only the latest models stay loaded.
    warm: dict[Path | None, ModelStore] = {}

    def method(scan: Scan, ct: CtVolume) -> CaseResult:
        folder = models if folds is None else fold_folder(folds, scan)
        if folder not in warm:
            warm.clear()
            warm[folder] = ModelStore.bundled(folder)
        return analyze(check_ct(ct), settings, warm[folder])

    return method


def fold_folder(folds: Path, scan: Scan) -> Path:
    """The models folder of the fold that leaves out a scan's patient.

    It is called as the patient ("lits-002"), as training calls the patient ("B"), or as the scan.

    Raises:
        ModelError: there are none.
    """
    names = [scan.patient, LITS_PATIENTS.get(scan.name, scan.patient), scan.name]
    for name in names:
        if (folds / name / "manifest.json").is_file():
            return folds / name
    raise ModelError(
        f"{folds}: no models made without patient {scan.patient}; looked for manifest.json in the folders "
        f"{', '.join(dict.fromkeys(names))}."
    )


def method_maker(
    device: str,
    tumour_threshold: float | None,
    score_threshold: float | None,
    folds: Path | None,
    pyramid: tuple[float, ...] | None = None,
    detector: str = "",
    models: Path | None = None,
    liver_threshold: float | None = None,
) -> Callable[[str], Analyse]:
    """Turns a mask network's name into its method, for the command line.

    Args:
        detector: that looks for further lesions; "" the first of the models, where there is one; "none".
        models: folder of the models, where there are no folds; None takes the bundled ones.
        liver_threshold: like those of tumour and score, None for the calibrated one.
    """

    def make(name: str) -> Analyse:
        from LiverLesionAILib.analysis.settings import Settings

        settings = Settings(
            segmenter=name,
            detector=detector,
            classifier=None,
            device=device,
            liver_threshold=liver_threshold,
            tumour_threshold=tumour_threshold,
            score_threshold=score_threshold,
            pyramid=pyramid,
            attention=False,
        )
        return pipeline_method(settings, folds, models)

    return make
