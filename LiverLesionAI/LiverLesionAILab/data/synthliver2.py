"""SynthLiver-2 (`liverlesionai synthesize SynthLiver-2`): patients in several contrast phases.

patients/NAME/{unenhanced,arterial,portal,delayed}.nii.gz, labels.nii.gz, lesions.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume
from numpy.typing import NDArray

from ..synthesis.synthliver.multiphase import LABEL_FILE, LESION_FILE
from ..synthesis.synthliver.multiphase_other import PART as PART_OTHER
from ..synthesis.synthliver.multiphase_plan import NAME, PART, PART_SECOND
from .images import read_ct_file, read_image


@dataclass(frozen=True, eq=False)
class PhasesOfPatient:
    """A patient of the set; its images are read when they are asked for.

    Attributes:
        name: of the patient.
        folder: its files.
        facts: of `lesions.json`.
    """

    name: str
    folder: Path
    facts: Mapping[str, Any]

    @property
    def phases(self) -> tuple[Phase, ...]:
        """That were scanned, in the order of time."""
        return tuple(phase for phase in Phase if (self.folder / f"{phase.value}.nii.gz").is_file())

    @property
    def lesions(self) -> dict[int, dict[str, Any]]:
        """Truth by lesion number."""
        return {one["number"]: one for one in self.facts["lesions"]}

    def ct(self, phase: Phase) -> CtVolume:
        """The scan of a phase.

        Raises:
            InputError: missing or damaged.
        """
        return read_ct_file(self.folder / f"{phase.value}.nii.gz")

    def labels(self) -> NDArray[np.uint8]:
        """0, 1 liver, 1 + k lesion number k; the body is the same in all phases, voxel by voxel.

        Raises:
            InputError: missing or damaged.
        """
        return read_image(self.folder / LABEL_FILE)[0].astype(np.uint8)


def find_phases(folder: Path) -> list[PhasesOfPatient]:
    """The patients that are whole, by name.

    Args:
        folder: of the set or of its `patients`.

    Raises:
        InputError: none, or a damaged table of lesions.
    """
    known = [folder / part for part in (PART, PART_SECOND, PART_OTHER) if (folder / part).is_dir()]
    root = known[0] if known else folder
    found = []
    for path in sorted(root.glob(f"*/{LESION_FILE}")):
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{path} is damaged: make the set again.") from error
        found.append(PhasesOfPatient(path.parent.name, path.parent, facts))
    if not found:
        raise InputError(
            f"{folder}: no patients of {NAME} in it. Make them with `liverlesionai synthesize {NAME}`."
        )
    return found
