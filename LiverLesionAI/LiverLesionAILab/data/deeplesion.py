"""DeepLesion: key slices with their neighbours as 16-bit PNGs, lesions as boxes (Yan et al. 2018).

    DL_info.csv
    Images_png/PPPPPP_SS_RR/KKK.png      patient, study, series; slice

HU are the stored values minus 32768. Coordinates in the table start at 1. Annotations that the authors marked
as possibly noisy (35 of them) are left out, as in 3DCE and the CS-Att paper.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from LiverLesionAILib.support.errors import InputError
from numpy.typing import NDArray

HU_OFFSET = 32768
SPLITS = {"train": 1, "validation": 2, "test": 3}
# The table's coarse lesion types, with the CS-Att paper's abbreviations.
TYPES = {-1: "", 1: "BN", 2: "AB", 3: "ME", 4: "LV", 5: "LU", 6: "KD", 7: "ST", 8: "PV"}
COLUMNS = (
    "File_name",
    "Patient_index",
    "Key_slice_index",
    "Bounding_boxes",
    "Lesion_diameters_Pixel_",
    "Coarse_lesion_type",
    "Possibly_noisy",
    "Spacing_mm_px_",
    "Train_Val_Test",
)


@dataclass(frozen=True, eq=False)
class KeySlice:
    """A key slice with its lesions.

    Attributes:
        name: "000001_01_01_109".
        patient: "deeplesion-000001".
        folder: of the slices of its series.
        slice_index: of the key slice.
        boxes_xyxy_px: (n, 4) x1, y1, x2, y2, pixel indices from 0.
        diameters_mm: (n,) long axis of each lesion.
        short_axes_mm: (n,).
        types: (n,) "LV", ...; "" where the authors gave none.
        pixel_mm, slice_interval_mm: of the series.
        split: "train", "validation" or "test".
    """

    name: str
    patient: str
    folder: Path
    slice_index: int
    boxes_xyxy_px: NDArray[np.float64]
    diameters_mm: NDArray[np.float64]
    short_axes_mm: NDArray[np.float64]
    types: tuple[str, ...]
    pixel_mm: float
    slice_interval_mm: float
    split: str


def read_deeplesion(
    folder: Path, split: str, types: Collection[str] | None = None, *, keep_noisy: bool = False
) -> list[KeySlice]:
    """The key slices of one part of the official split, which is by patient.

    Args:
        folder: holds DL_info.csv and Images_png.
        split: "train", "validation" or "test".
        types: only key slices with a lesion of these types ("LV"). All lesions of a key slice are kept, since
            one left out would be trained and counted as a false one.
        keep_noisy: keep the annotations marked as possibly noisy.

    Raises:
        InputError: table missing, damaged or without a column; no such split; a key slice without its file.
    """
    if split not in SPLITS:
        raise InputError(f"There is no split {split} in DeepLesion; there are {', '.join(SPLITS)}.")
    table = folder / "DL_info.csv"
    if not table.is_file():
        raise InputError(f"{table} is missing.")
    with table.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        lacking = [c for c in COLUMNS if c not in (reader.fieldnames or [])]
        if lacking:
            raise InputError(f"{table}: the column {lacking[0]} is missing.")
        rows = list(enumerate(reader, start=2))
    grouped: dict[str, list[_Row]] = {}
    splits: dict[str, int] = {}
    for line, fields in rows:
        row = _parse(fields, table, line)
        if splits.setdefault(row.patient, row.split) != row.split:
            raise InputError(f"{table}, line {line}: patient {row.patient} is in two parts of the split.")
        if row.split == SPLITS[split] and (keep_noisy or not row.noisy):
            grouped.setdefault(row.file, []).append(row)
    slices = []
    for file_name, members in grouped.items():
        if types is not None and not any(m.kind in types for m in members):
            continue
        slices.append(_key_slice(folder, file_name, members, split))
    return slices


def load_slices(key: KeySlice, offsets: Sequence[int]) -> NDArray[np.int16]:
    """Slices at these distances from the key slice, in slices; beyond the ends the last one is repeated.

    Returns:
        (len(offsets), H, W) HU.

    Raises:
        InputError: the key slice is missing, a slice is damaged, or sizes differ.
    """
    available = {int(p.stem) for p in key.folder.glob("*.png") if p.stem.isdigit()}
    if key.slice_index not in available:
        raise InputError(f"{_slice_path(key.folder, key.slice_index)} is missing.")
    low = high = key.slice_index
    # Only slices without a gap to the key slice are neighbours.
    while low - 1 in available:
        low -= 1
    while high + 1 in available:
        high += 1
    wanted = [min(max(key.slice_index + o, low), high) for o in offsets]
    read = {index: _read_png(_slice_path(key.folder, index)) for index in set(wanted)}
    shapes = {image.shape for image in read.values()}
    if len(shapes) > 1:
        raise InputError(f"{key.folder}: slices of different sizes, {sorted(shapes)}.")
    return np.stack([read[index] for index in wanted])


def load_resampled(key: KeySlice, n_slices: int, interval_mm: float = 2.0) -> NDArray[np.float32]:
    """`n_slices` (odd) at an even interval around the key slice, linear between slices (3DCE, CS-Att: 2 mm).

    Returns:
        (n_slices, H, W) HU.

    Raises:
        InputError: as :func:`load_slices`.
    """
    if n_slices % 2 == 0:
        raise InputError(f"{n_slices} slices have no middle one; give an odd number.")
    positions = (np.arange(n_slices) - n_slices // 2) * (interval_mm / key.slice_interval_mm)
    below = np.floor(positions + 1e-9).astype(int)
    weight = np.clip(positions - below, 0.0, 1.0).astype(np.float32)
    offsets = sorted({*below.tolist(), *(below + 1).tolist()})
    stack = dict(zip(offsets, load_slices(key, offsets), strict=True))
    return np.stack(
        [
            (1 - w) * stack[b].astype(np.float32) + w * stack[b + 1].astype(np.float32)
            for b, w in zip(below.tolist(), weight, strict=True)
        ]
    )


@dataclass(frozen=True)
class _Row:
    file: str
    patient: int
    index: int
    box: tuple[float, ...]
    diameters: tuple[float, ...]
    kind: str
    noisy: bool
    spacing: tuple[float, ...]
    split: int


def _parse(fields: dict[str, str], table: Path, line: int) -> _Row:
    def numbers(column: str, n: int) -> tuple[float, ...]:
        values = tuple(float(v) for v in fields[column].split(","))
        if len(values) != n:
            raise ValueError(f"{column} has {len(values)} numbers, expected {n}")
        return values

    try:
        kind = int(float(fields["Coarse_lesion_type"]))
        row = _Row(
            file=fields["File_name"].strip(),
            patient=int(fields["Patient_index"]),
            index=int(fields["Key_slice_index"]),
            box=numbers("Bounding_boxes", 4),
            diameters=numbers("Lesion_diameters_Pixel_", 2),
            kind=TYPES[kind],
            noisy=int(fields["Possibly_noisy"]) != 0,
            spacing=numbers("Spacing_mm_px_", 3),
            split=int(fields["Train_Val_Test"]),
        )
        if row.split not in SPLITS.values():
            raise ValueError(f"Train_Val_Test is {row.split}")
        if row.box[0] >= row.box[2] or row.box[1] >= row.box[3] or not row.spacing[2]:
            raise ValueError("a box without area, or slices without distance")
        if not re.fullmatch(r"\d+_\d+_\d+_\d+\.png", row.file):
            raise ValueError(f"File_name is {row.file}")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{table}, line {line}: cannot be understood ({error}).") from error
    return row


def _key_slice(folder: Path, file_name: str, rows: Sequence[_Row], split: str) -> KeySlice:
    series = folder / "Images_png" / file_name.rsplit("_", 1)[0]
    first = rows[0]
    path = _slice_path(series, first.index)
    if not path.is_file():
        raise InputError(f"{path} is missing, the key slice of {file_name}.")
    axes = np.array([r.diameters for r in rows]) * first.spacing[0]
    return KeySlice(
        name=file_name.removesuffix(".png"),
        patient=f"deeplesion-{first.patient:06d}",
        folder=series,
        slice_index=first.index,
        boxes_xyxy_px=np.array([r.box for r in rows]) - 1.0,
        diameters_mm=axes.max(axis=1),
        short_axes_mm=axes.min(axis=1),
        types=tuple(r.kind for r in rows),
        pixel_mm=first.spacing[0],
        slice_interval_mm=abs(first.spacing[2]),
        split=split,
    )


def _slice_path(series: Path, index: int) -> Path:
    return series / f"{index:03d}.png"


def _read_png(path: Path) -> NDArray[np.int16]:
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read; it is damaged or no PNG.") from error
    if image.GetPixelID() != sitk.sitkUInt16 or image.GetDimension() != 2:
        raise InputError(f"{path}: a DeepLesion slice is a 16-bit grey PNG, this one is not.")
    return (sitk.GetArrayFromImage(image).astype(np.int32) - HU_OFFSET).astype(np.int16)
