"""SynthLiver-anatomy (`liverlesionai synthesize SynthLiver-anatomy`): patients whose anatomy is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume
from numpy.typing import NDArray

from ..synthesis.synthliver.anatomy_case import TRUTH_FILE
from ..synthesis.synthliver.anatomy_plan import NAME, PART
from .images import read_ct_file, read_image


@dataclass(frozen=True, eq=False)
class AnatomyPatient:
    """A patient of the set; its images are read when they are asked for.

    Attributes:
        name: of the patient; folder: its files.
        facts: of `truth.json`: variant, split, landmarks (LPS, mm), lesions.
    """

    name: str
    folder: Path
    facts: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> AnatomyPatient:
        """The patient of a folder.

        Raises:
            InputError: its truth is missing or damaged.
        """
        try:
            facts = json.loads((folder / TRUTH_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{folder / TRUTH_FILE} is missing or damaged: make the set again.") from error
        return cls(folder.name, folder, facts)

    def ct(self) -> CtVolume:
        """The scan; axes L, P, S.

        Raises:
            InputError: missing or damaged.
        """
        return read_ct_file(self.folder / "ct.nii.gz")

    def labels(self) -> NDArray[np.uint8]:
        """0, 1 liver, 1 + k lesion number k."""
        return self._image("labels")

    def segments(self) -> NDArray[np.uint8]:
        """Codes of :data:`~..synthesis.known_trees.habit.SEGMENTS`."""
        return self._image("segments")

    def branches(self) -> NDArray[np.uint8]:
        """:class:`~..synthesis.known_trees.habit.Branch`, 100 more where thinner than asked for."""
        return self._image("vessels")

    def _image(self, name: str) -> NDArray[np.uint8]:
        return read_image(self.folder / f"{name}.nii.gz")[0].astype(np.uint8)


def find_anatomy(folder: Path, split: str | None = None) -> list[AnatomyPatient]:
    """The patients that are whole, by name.

    Args:
        folder: of the set or of its `anatomy`.
        split: "train" or "held-out"; None for all.

    Raises:
        InputError: none, or a damaged truth.
    """
    root = folder / PART if (folder / PART).is_dir() else folder
    found = [AnatomyPatient.read(path.parent) for path in sorted(root.glob(f"*/{TRUTH_FILE}"))]
    found = [one for one in found if split in (None, one.facts["split"])]
    if not found:
        raise InputError(
            f"{folder}: no patients of {NAME} in it. Make them with `liverlesionai synthesize {NAME}`."
        )
    return found
