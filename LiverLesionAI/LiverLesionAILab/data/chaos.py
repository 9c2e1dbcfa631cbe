"""CHAOS, CT part: healthy livers of transplant donors (Kavur et al. 2021).

    CT/N/DICOM_anon/*.dcm
    CT/N/Ground/liver_GT_KKK.png

Masks belong to the DICOM files in order of file name, as in the challenge's own scripts. The donors have no
liver lesions (the challenge's description), so what is not marked is background and not unknown.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, Geometry
from numpy.typing import NDArray

from .dicom_slices import read_stack
from .scan import LIVER, Scan


def find_chaos(folder: Path) -> list[Scan]:
    """The CT patients of CHAOS; `folder` is the one that holds CT, CT itself, or Train_Sets.

    Raises:
        InputError: none there, or slices and masks differ in number.
    """
    roots = [p for p in (folder / "CT", folder / "Train_Sets" / "CT", folder) if p.is_dir()]
    patients = (
        [
            (int(path.name), path)
            for path in roots[0].iterdir()
            if path.name.isdigit() and (path / "DICOM_anon").is_dir()
        ]
        if roots
        else []
    )
    if not patients:
        raise InputError(f"{folder}: no CT/N/DICOM_anon of CHAOS in it.")
    scans = []
    for number, path in sorted(patients):
        ct, ground = path / "DICOM_anon", path / "Ground"
        if not ground.is_dir():
            raise InputError(f"{ground} is missing (the test set of CHAOS has no masks).")
        name = f"chaos{number:02d}"
        scans.append(
            Scan(
                name,
                name,
                "CHAOS CT",
                ct,
                ground,
                partial(read_chaos_ct, ct),
                partial(read_chaos_labels, ct, ground),
            )
        )
    return scans


def read_chaos_ct(folder: Path) -> CtVolume:
    """The CT of a DICOM_anon folder."""
    return replace(read_stack(_files(folder, ".dcm"), str(folder)).ct, name=f"CHAOS {folder.parent.name}")


def read_chaos_labels(ct: Path, ground: Path) -> tuple[NDArray[np.uint8], Geometry]:
    """The liver of a Ground folder on the CT's grid.

    Raises:
        InputError: other number or size of masks than of slices, or unreadable files.
    """
    files, masks = _files(ct, ".dcm"), _files(ground, ".png")
    if len(files) != len(masks):
        raise InputError(f"{ground}: {len(masks)} masks for {len(files)} slices in {ct.name}.")
    stack = read_stack(files, str(ct))
    mask_of = dict(zip(files, masks, strict=True))
    labels = np.zeros(stack.ct.geometry.shape_zyx, np.uint8)
    for z, path in enumerate(stack.paths):
        mask = mask_of[path]
        try:
            pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(mask)))
        except RuntimeError as error:
            raise InputError(f"{mask} cannot be read; it is damaged or no PNG.") from error
        if pixels.shape != labels.shape[1:]:
            raise InputError(f"{mask}: {pixels.shape} pixels, its CT slice has {labels.shape[1:]}.")
        labels[z][pixels > 0] = LIVER
    return labels, stack.ct.geometry


def _files(folder: Path, extension: str) -> list[Path]:
    """Files in order of name, numbers in names by value (i9 before i10)."""
    found = [p for p in folder.iterdir() if p.suffix.lower() == extension and not p.name.startswith(".")]
    return sorted(found, key=lambda p: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", p.name)])
