"""3D-IRCADb-01: per patient a DICOM scan and a folder of DICOM masks per structure (Soler et al. 2010).

    3Dircadb1.N/PATIENT_DICOM/image_K
    3Dircadb1.N/MASKS_DICOM/liver/image_K
    3Dircadb1.N/MASKS_DICOM/livertumor01/image_K ... (also livertumor, livertumors, liverkyst, ...)

The inner folders come as zip files that have to be unpacked first. A mask's slice belongs to the CT slice of
the same file name; mask headers are not relied on.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from numpy.typing import NDArray

from .dicom_slices import read_slice, read_stack
from .scan import LIVER, TUMOUR, Scan

# Names of lesion structures vary from patient to patient: tumor, tumors01; cysts are "kyst" or "cyst".
LESION = re.compile(r"liver.*(tumou?r|kyst|cyst)", re.IGNORECASE)
PATIENT = re.compile(r"3dircadb1\.(\d+)", re.IGNORECASE)


def find_ircadb(folder: Path) -> list[Scan]:
    """The patients of an unpacked 3D-IRCADb-01, in order of their number.

    Raises:
        InputError: none there, an inner archive not unpacked, or no liver mask.
    """
    patients = sorted(
        (int(match[1]), path)
        for path in folder.iterdir()
        if path.is_dir() and (match := PATIENT.fullmatch(path.name))
    )
    if not patients:
        raise InputError(f"{folder}: no patient folder 3Dircadb1.N in it.")
    scans = []
    for number, path in patients:
        ct, masks = _inner(path, "PATIENT_DICOM"), _inner(path, "MASKS_DICOM")
        if not (masks / "liver").is_dir():
            raise InputError(f"{masks / 'liver'} is missing: a patient needs its liver mask.")
        name = f"ircadb{number:02d}"
        scans.append(
            Scan(
                name,
                name,
                "3D-IRCADb-01",
                ct,
                masks,
                partial(read_ircadb_ct, ct),
                partial(read_ircadb_labels, ct, masks),
            )
        )
    return scans


def read_ircadb_ct(folder: Path) -> CtVolume:
    """The CT of a PATIENT_DICOM folder."""
    return replace(read_stack(_slices(folder), str(folder)).ct, name=folder.parent.name)


def read_ircadb_labels(ct: Path, masks: Path) -> tuple[NDArray[np.uint8], Geometry]:
    """Liver and lesions of a MASKS_DICOM folder on the CT's grid.

    A lesion wins over liver where both are marked.

    Raises:
        InputError: a mask lacks a slice, or a slice has another size.
    """
    stack = read_stack(_slices(ct), str(ct))
    labels = np.zeros(stack.ct.geometry.shape_zyx, np.uint8)
    structures = [(masks / "liver", LIVER)]
    structures += [(p, TUMOUR) for p in sorted(masks.iterdir()) if p.is_dir() and LESION.match(p.name)]
    for folder, value in structures:
        for z, path in enumerate(stack.paths):
            mask = folder / path.name
            if not mask.is_file():
                raise InputError(f"{mask} is missing: every slice of the CT needs one in every mask.")
            labels[z][read_slice(mask, labels.shape[1:]) > 0] = value
    return labels, stack.ct.geometry


def _slices(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and re.fullmatch(r"image_\d+(\.dcm)?", p.name))


def _inner(patient: Path, name: str) -> Path:
    """The inner folder; archives unpack with or without a second level of the same name."""
    for path in (patient / name / name, patient / name):
        if path.is_dir():
            return path
    if (patient / f"{name}.zip").is_file():
        raise InputError(f"{patient / (name + '.zip')} has to be unpacked first.")
    raise InputError(f"{patient / name} is missing.")
