"""An analysis in one call, for programs that use this library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..case.findings import CaseResult
from ..support.progress import Progress, silent
from ..volume.ct import CtVolume
from . import pipeline
from .settings import Settings

if TYPE_CHECKING:
    from ..models.weights import ModelStore


def analyze(
    ct: CtVolume | Path | str,
    settings: Settings | None = None,
    models: ModelStore | None = None,
    progress: Progress = silent,
    second_phase: CtVolume | Path | str | None = None,
) -> CaseResult:
    """Find the liver and its lesions.

    Args:
        ct: a CT that :func:`~LiverLesionAILib.reading.read_ct` gave, or the path of a file or DICOM folder.
        settings: what can be chosen; None takes what the page of rules says.
        models: networks; hand in the same ones, as ``ModelStore.bundled()`` gives them, to keep them loaded
            from case to case. None loads the bundled ones.
        progress: called as progress(stage, fraction 0..1); may raise Cancelled.
        second_phase: another contrast phase of the patient, used for the lesions' classes.

    Returns:
        The findings, on the CT's own grid.

    Raises:
        InputError: no CT that can be analysed; the text says why and what to do.
        LiverLesionAIError: for other reasons that the text says.
        Cancelled: from `progress`.
    """
    from ..models.weights import ModelStore
    from ..reading import read_ct

    def read(given: CtVolume | Path | str) -> CtVolume:
        return given if isinstance(given, CtVolume) else read_ct(given)

    volume = read(ct)
    second = None if second_phase is None else read(second_phase)
    if models is None:
        models = ModelStore.bundled()
    return pipeline.analyze(volume, settings or Settings(), models, progress, second)
