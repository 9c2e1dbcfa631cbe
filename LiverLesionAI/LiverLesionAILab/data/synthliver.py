"""SynthLiver-1 (`liverlesionai synthesize`): scans, key slices with boxes, and slices of five classes.

volumes/SPLIT/NAME/{ct,labels}.nii.gz, lesions.json
slices/DL_info.csv, slices/Images_png/...        DeepLesion's layout
classes/classes.csv, classes/{images,masks}/NAME.nii.gz
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray

from ..synthesis.synthliver.classes import COLUMNS
from ..synthesis.synthliver.plan import CLASSES, NAME, SPLITS
from ..synthesis.synthliver.volumes import CT_FILE, LABEL_FILE, LESION_FILE
from .deeplesion import KeySlice, read_deeplesion
from .images import read_ct_file, read_image
from .scan import LabelMeaning, Scan
from .volumes import read_label_file

LABELS = LabelMeaning(liver=(1,), tumour=range(2, 256))
"""In the volumes: 1 + k is lesion number k."""


def find_synthliver(folder: Path, split: str = "") -> list[Scan]:
    """The scans of the volumes.

    Args:
        folder: of the set, of its `volumes`, or of one split of them.
        split: "train", "validation" or "test"; empty takes all there are.

    Raises:
        InputError: no such split, none there, or a scan that is not whole.
    """
    if split:
        _check_split(split)
    root = folder / "volumes" if (folder / "volumes").is_dir() else folder
    found = sorted(root.glob(f"{split or '*'}/*/{LESION_FILE}")) or (
        sorted(root.glob(f"*/{LESION_FILE}")) if not split or root.name == split else []
    )
    if not found:
        what = f"{split} volumes" if split else "volumes"
        raise InputError(
            f"{folder}: no {what} of {NAME} in it. Make them with `liverlesionai synthesize {NAME}`."
        )
    return [_scan(path.parent) for path in found]


def read_lesions(scan: Scan) -> dict[str, Any]:
    """What is known of a scan and its lesions: `lesions.json`; see `lesion_facts` in the synthesis.

    Raises:
        InputError: missing or damaged.
    """
    path = scan.ct_path.parent / LESION_FILE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is missing or damaged.") from error


def read_synth_slices(folder: Path, split: str) -> list[KeySlice]:
    """The key slices of a split; `folder` is that of the set or its `slices`.

    Raises:
        InputError: as :func:`~.deeplesion.read_deeplesion`.
    """
    return read_deeplesion(folder / "slices" if (folder / "slices").is_dir() else folder, split)


@dataclass(frozen=True, eq=False)
class ClassImage:
    """A slice with its neighbours, below, itself and above.

    Attributes:
        hu: (3, H, W) int16.
        labels: (3, H, W) uint8; 0 background, 1 liver, 2 lesion.
        spacing_zyx_mm: of the slices.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    spacing_zyx_mm: tuple[float, float, float]


@dataclass(frozen=True)
class ClassSlice:
    """An example of a class.

    Attributes:
        name: unique; patient: its slices are never separated by a split.
        kind: of :data:`~LiverLesionAILab.synthesis.synthliver.plan.CLASSES`.
        lesion_mm2: area of its lesions in the slice; 0 for Normal.
        image_path, mask_path: its files.
    """

    name: str
    patient: str
    kind: str
    lesion_mm2: float
    image_path: Path
    mask_path: Path

    @property
    def index(self) -> int:
        """The class's place in CLASSES."""
        return CLASSES.index(self.kind)

    def load(self) -> ClassImage:
        """The pixels.

        Raises:
            InputError: a file is missing or damaged, or they do not fit together.
        """
        hu, geometry = read_image(self.image_path)
        labels, grid = read_image(self.mask_path)
        if hu.shape != labels.shape or hu.shape[0] != 3 or not grid.matches(geometry, 0.1):
            raise InputError(f"{self.mask_path} does not lie on the three slices of {self.image_path.name}.")
        return ClassImage(hu.astype(np.int16), labels.astype(np.uint8), geometry.spacing_zyx_mm)


def read_class_slices(folder: Path, split: str, division: int = 1) -> list[ClassSlice]:
    """The slices of one part of a patient-wise split.

    Args:
        folder: of the set or its `classes`.
        split: "train", "validation" or "test".
        division: 1 or 2: which of the two ways the patients are divided (the study averages over two).

    Raises:
        InputError: no such split, or the table is missing or damaged.
    """
    _check_split(split)
    if division not in (1, 2):
        raise InputError(f"There is no division {division}; the classes are divided in two ways, 1 and 2.")
    root = folder / "classes" if (folder / "classes").is_dir() else folder
    table = root / "classes.csv"
    if not table.is_file():
        raise InputError(f"{table} is missing. Make it with `liverlesionai synthesize {NAME}`.")
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if missing := [c for c in COLUMNS if c not in (reader.fieldnames or [])]:
            raise InputError(f"{table}: the column {missing[0]} is missing.")
        rows = list(enumerate(reader, start=2))
    return [_class_slice(root, row, table, line) for line, row in rows if row[f"split_{division}"] == split]


def _class_slice(root: Path, row: dict[str, str], table: Path, line: int) -> ClassSlice:
    if row["class"] not in CLASSES:
        raise InputError(f"{table}, line {line}: there is no class {row['class']}.")
    name = row["name"]
    try:
        area = float(row["lesion_mm2"])
    except ValueError:
        raise InputError(f"{table}, line {line}: lesion_mm2 is {row['lesion_mm2']!r}.") from None
    paths = [root / what / f"{name}.nii.gz" for what in ("images", "masks")]
    return ClassSlice(name, row["patient"], row["class"], area, *paths)


def _scan(folder: Path) -> Scan:
    ct, labels = folder / CT_FILE, folder / LABEL_FILE
    for path in (ct, labels):
        if not path.is_file():
            raise InputError(f"{path} is missing.")
    return Scan(
        folder.name,
        folder.name,
        NAME,
        ct,
        labels,
        partial(read_ct_file, ct),
        partial(read_label_file, labels, LABELS),
    )


def _check_split(split: str, known: Sequence[str] = SPLITS) -> None:
    if split not in known:
        raise InputError(f"There is no split {split} in {NAME}; there are {', '.join(known)}.")
