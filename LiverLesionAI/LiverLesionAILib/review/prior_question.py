"""How an earlier scan lies on the current one: the question for the worker, and its answer in the scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import slicer
from numpy.typing import NDArray

from ..analysis.compared import read_alignment
from ..scene import segments
from ..scene.ras import volume_geometry
from ..scene.study import patient_warning, study_of
from ..support.errors import InputError
from ..volume.ct import Geometry
from ..volume.packed_mask import pack_mask
from .case_view import CaseView, read_case
from .comparing import keep_alignment


class PriorQuestion:
    """Two cases of the scene, each with findings."""

    command = "compare"

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        volume: slicer.vtkMRMLScalarVolumeNode,
        prior: slicer.vtkMRMLScalarVolumeNode,
    ) -> None:
        self._scene, self._volume, self._prior = scene, volume, prior

    def prepare(self) -> tuple[NDArray, Geometry, Mapping[str, Any]]:
        """The current scan, and both livers.

        Raises:
            InputError: one of the two has no findings.
        """
        current, prior = read_case(self._scene, self._volume), read_case(self._scene, self._prior)
        said = {"current": _liver_and_phase(current), "prior": _liver_and_phase(prior)}
        warning = patient_warning(study_of(self._prior), study_of(self._volume))
        request = {**said, "warnings": [warning] if warning else []}
        array = slicer.util.arrayFromVolume(self._volume)
        return array, volume_geometry(self._volume), request

    def answer(self, result: Path) -> Iterator[str]:
        """Keep the answer with the current case."""
        kept = read_alignment(result)
        yield "compare the lesions"
        current = read_case(self._scene, self._volume)
        if current.table is None or not self._scene.IsNodePresent(self._prior):
            raise InputError("The findings of one of the scans were removed meanwhile. Click Analyze again.")
        keep_alignment(current, self._prior, kept)


def _liver_and_phase(case: CaseView) -> dict[str, str]:
    if case.segmentation is None:
        raise InputError(f"{case.volume.GetName()} has no findings to compare. Click Analyze first.")
    liver = ""
    if case.liver_segment:
        geometry = volume_geometry(case.volume)
        mask = segments.read_mask(case.segmentation, case.liver_segment, geometry)
        liver = pack_mask(mask, geometry) if mask.count else ""
    phase = case.phase
    return {"liver": liver, "phase": "" if phase is None else phase.name}
