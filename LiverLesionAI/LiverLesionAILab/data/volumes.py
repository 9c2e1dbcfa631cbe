"""Labelled CTs in image files: LiTS, Medical Segmentation Decathlon Task03, and any folder of CT + mask."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import Geometry
from numpy.typing import NDArray

from .images import image_files, read_ct_file, read_image, stem_of
from .scan import LITS_LABELS, LabelMeaning, Scan, translate_labels

# Training volumes 0 and 1 of LiTS show one patient.
SAME_PATIENT = {1: 0}
MASK_ENDINGS = (
    "_mask",
    "-mask",
    "_seg",
    "-seg",
    "_segmentation",
    "-segmentation",
    "_label",
    "-label",
    "_labels",
)
CT_ENDINGS = ("_ct", "-ct", "_image", "_0000")


def read_label_file(path: Path, meaning: LabelMeaning = LITS_LABELS) -> tuple[NDArray[np.uint8], Geometry]:
    """A label file as 0 background, 1 liver, 2 tumour, 255 unknown, with its grid.

    Raises:
        InputError: unreadable, or a label that the meaning does not know.
    """
    values, geometry = read_image(path)
    return translate_labels(values, path, meaning), geometry


def lits_patient(number: int) -> str:
    """The patient of a LiTS training volume (MSD Task03 keeps the numbers)."""
    return f"lits-{SAME_PATIENT.get(number, number):03d}"


def find_lits(folder: Path) -> list[Scan]:
    """LiTS as distributed: volume-N.nii and segmentation-N.nii, here or in folders below.

    Raises:
        InputError: no such files, or a volume without its segmentation.
    """
    volumes: dict[int, Path] = {}
    masks: dict[int, Path] = {}
    for path in sorted(folder.rglob("*.nii*")):
        match = re.fullmatch(r"(volume|segmentation)-(\d+)", stem_of(path) or "")
        if match:
            (volumes if match[1] == "volume" else masks)[int(match[2])] = path
    if not volumes:
        raise InputError(f"{folder}: no volume-N.nii of the LiTS training set.")
    scans = []
    for number, path in sorted(volumes.items()):
        if number not in masks:
            raise InputError(f"{path}: its mask segmentation-{number}.nii is missing.")
        scans.append(_scan(f"lits{number:03d}", lits_patient(number), "LiTS", path, masks[number]))
    return scans


def find_msd(folder: Path) -> list[Scan]:
    """Medical Segmentation Decathlon Task03_Liver: imagesTr/liver_N.nii.gz, labelsTr, dataset.json.

    The label names come from dataset.json, so that a task with other labels is refused and not misread.

    Raises:
        InputError: files missing, or labels that are not liver and tumour.
    """
    description = folder / "dataset.json"
    try:
        labels = json.loads(description.read_text(encoding="utf-8"))["labels"]
        names = {int(value): str(name).lower() for value, name in labels.items()}
    except FileNotFoundError:
        raise InputError(f"{description} is missing.") from None
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{description} is damaged: no table of labels in it.") from error
    meaning = LabelMeaning(
        liver=[v for v, name in names.items() if name == "liver"],
        tumour=[v for v, name in names.items() if name in ("cancer", "tumour", "tumor")],
    )
    if not meaning.liver or not meaning.tumour:
        raise InputError(f"{description}: its labels are {names}, not liver and cancer (Task03_Liver).")
    scans = []
    for path in image_files(folder / "imagesTr"):
        mask = folder / "labelsTr" / path.name
        if not mask.is_file():
            raise InputError(f"{path}: its mask {mask} is missing.")
        name = stem_of(path) or path.name
        number = re.fullmatch(r"liver_(\d+)", name)
        patient = lits_patient(int(number[1])) if number else name
        scans.append(_scan(name, patient, "MSD Task03", path, mask, meaning))
    if not scans:
        raise InputError(f"{folder / 'imagesTr'}: no image in it.")
    return scans


def find_plain(
    folder: Path,
    *,
    labels: LabelMeaning = LITS_LABELS,
    patients: Mapping[str, str] | None = None,
) -> list[Scan]:
    """A folder of CTs and masks.

    Either NAME_ct + NAME_mask (or _seg, _segmentation, _label) side by side, NAME + NAME_mask, or the
    subfolders images and labels (or masks) with equal names. Files may be NIfTI, NRRD or MetaImage.

    Args:
        folder: of the files.
        labels: what the values mean.
        patients: name -> patient; by default the table patients.csv (columns name and patient) in the folder,
            names of LiTS volumes by what is known of them, and otherwise every scan is its own patient.

    Raises:
        InputError: nothing there, a CT without a mask or a mask without a CT.
    """
    pairs = _pairs(folder)
    if not pairs:
        raise InputError(
            f"{folder}: no CT with a mask in it. Expected NAME_ct.nii.gz with NAME_mask.nii.gz, or folders "
            "images and labels with files of equal names."
        )
    known = dict(patients) if patients is not None else _patient_table(folder)
    scans = []
    for name, (ct, mask) in sorted(pairs.items()):
        if ct is None:
            raise InputError(f"{mask}: its CT is missing.")
        if mask is None:
            raise InputError(f"{ct}: its mask is missing.")
        scans.append(_scan(name, known.get(name) or default_patient(name), folder.name, ct, mask, labels))
    return scans


def default_patient(name: str) -> str:
    """The patient of a scan of which nothing but its name is known."""
    match = re.fullmatch(r"(?:lits|liver|volume|segmentation)[-_]?(\d+)", name.lower())
    return lits_patient(int(match[1])) if match else name


def _scan(
    name: str, patient: str, data_set: str, ct: Path, mask: Path, meaning: LabelMeaning = LITS_LABELS
) -> Scan:
    return Scan(
        name, patient, data_set, ct, mask, partial(read_ct_file, ct), partial(read_label_file, mask, meaning)
    )


def _pairs(folder: Path) -> dict[str, tuple[Path | None, Path | None]]:
    """Name -> (CT, mask), either None when missing."""
    for masks in ("labels", "masks"):
        if (folder / "images").is_dir() and (folder / masks).is_dir():
            images = {_without(stem_of(p) or "", CT_ENDINGS): p for p in image_files(folder / "images")}
            found = {_without(stem_of(p) or "", MASK_ENDINGS): p for p in image_files(folder / masks)}
            return {name: (images.get(name), found.get(name)) for name in sorted({*images, *found})}
    cts: dict[str, Path] = {}
    found = {}
    for path in image_files(folder):
        stem = stem_of(path) or ""
        name = _without(stem, MASK_ENDINGS)
        if name != stem or path.name.endswith(".seg.nrrd"):
            found[name] = path
        else:
            cts[_without(stem, CT_ENDINGS)] = path
    return {name: (cts.get(name), found.get(name)) for name in sorted({*cts, *found})}


def _without(stem: str, endings: tuple[str, ...]) -> str:
    for ending in sorted(endings, key=len, reverse=True):
        if stem.lower().endswith(ending) and len(stem) > len(ending):
            return stem[: -len(ending)]
    return stem


def _patient_table(folder: Path) -> dict[str, str]:
    path = folder / "patients.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"name", "patient"} <= set(rows[0]):
        raise InputError(f"{path}: expected a table with the columns name and patient.")
    return {row["name"]: row["patient"] for row in rows}
