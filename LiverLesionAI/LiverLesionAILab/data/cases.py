"""Labelled volumes as training sees them: on a network's grid, 8 bits, small enough to hold all in memory.

Intensities are stored as uint8 g with HU = g / 255 * 400 - 160 (the range and precision of the real training
volumes); labels are 0 background, 1 liver, 2 tumour, 254 liver or tumour (it is not known which), 255 unknown
(no loss there).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import replacing
from LiverLesionAILib.volume.ct import CtVolume, Geometry, reorient, reoriented_geometry, resample
from LiverLesionAILib.volume.masks import components
from numpy.typing import NDArray

from .scan import LIVER_OR_TUMOUR as LIVER_OR_TUMOUR
from .scan import UNKNOWN as UNKNOWN

HU_LOW, HU_RANGE = -160.0, 400.0

LITS_PATIENTS = {
    "lits000": "A",
    "lits001": "A",
    "lits002": "B",
    "lits003": "C",
    "lits004": "D",
    "lits005": "E",
}
"""Which volumes are of one patient; splits never separate them."""


def data_folder() -> Path:
    """Where the real CTs lie: $LIVERLESIONAI_DATA, or ../shared/data beside the repository.

    Raises:
        InputError: neither exists.
    """
    named = os.environ.get("LIVERLESIONAI_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[4] / "shared" / "data"
    if not folder.is_dir():
        raise InputError(
            f"The real CTs are not at {folder}. Set LIVERLESIONAI_DATA to a folder "
            "that holds lits/*_ct.nii.gz."
        )
    return folder


def encode_hu(hu: NDArray) -> NDArray[np.uint8]:
    """HU to 8 bits, clipped to [-160, 240]."""
    return np.clip(np.rint((np.asarray(hu, np.float32) - HU_LOW) * (255 / HU_RANGE)), 0, 255).astype(np.uint8)


def decode_hu(values: NDArray) -> NDArray[np.float32]:
    """8 bits back to HU."""
    return np.asarray(values, np.float32) * np.float32(HU_RANGE / 255) + np.float32(HU_LOW)


@dataclass(frozen=True, eq=False)
class TrainingCase:
    """One labelled volume on a training grid (axes L, P, S).

    Attributes:
        name, patient: a synthetic variant carries the patient it was made from; purely synthetic ones "".
        grey_zyx: uint8, see :func:`encode_hu`.
        labels_zyx: uint8, see the module.
        spacing_zyx_mm: of the grid.
        kind: "real", "variant" (synthetic lesions in a real liver) or "body" (all synthetic).
    """

    name: str
    patient: str
    grey_zyx: NDArray[np.uint8]
    labels_zyx: NDArray[np.uint8]
    spacing_zyx_mm: tuple[float, float, float]
    kind: str = "real"


def read_unchecked(path: Path) -> CtVolume:
    """An image file as it is, without the checks that clinical input gets."""
    if not path.is_file():
        raise InputError(f"{path} is missing.")
    image = sitk.ReadImage(str(path))
    geometry = Geometry.make(
        image.GetSize()[::-1], image.GetSpacing()[::-1], image.GetOrigin(), np.array(image.GetDirection())
    )
    return CtVolume(sitk.GetArrayFromImage(image), geometry, path.name)


def resample_by_majority(labels_zyx: NDArray, source: Geometry, target: Geometry) -> NDArray[np.uint8]:
    """Resample a label map by majority of anti-aliased one-hot maps: small lesions keep their volume."""
    best = np.full(target.shape_zyx, 0.5, np.float32)
    out = np.zeros(target.shape_zyx, np.uint8)
    body = resample((labels_zyx > 0).astype(np.float32), source, target)
    out[body > 0.5] = 1
    for value in np.unique(labels_zyx):
        if value > 1:
            share = resample((labels_zyx == value).astype(np.float32), source, target)
            # A tumour voxel has to hold more tumour than liver, and at least half the body's share.
            wins = (share >= best) | ((share > 0.4) & (share >= body - share))
            out[wins] = value
    return out


def without_specks(labels_zyx: NDArray, value: int, smallest_mm3: float, voxel_mm3: float) -> NDArray:
    """Drop components of `value` smaller than `smallest_mm3` (they become liver): slips of the annotation."""
    pieces, count = components(labels_zyx == value, 6)
    if not count:
        return labels_zyx
    sizes = np.bincount(pieces.ravel()) * voxel_mm3
    small = np.flatnonzero(sizes < smallest_mm3)
    cleaned = labels_zyx.copy()
    cleaned[np.isin(pieces, small[small > 0])] = 1
    return cleaned


def prepare(
    ct: CtVolume, mask_zyx: NDArray, spacing_zyx_mm: tuple[float, float, float], name: str, patient: str
) -> TrainingCase:
    """Bring a labelled CT onto a training grid, whole slices, all of them."""
    volume = reorient(ct)
    source = reoriented_geometry(ct.geometry)
    target = source.with_spacing(spacing_zyx_mm)
    mask = reorient(CtVolume(mask_zyx, ct.geometry)).hu_zyx
    mask = without_specks(mask, 2, 10.0, source.voxel_volume_mm3)
    hu = resample(volume.hu_zyx, source, target)
    return TrainingCase(
        name, patient, encode_hu(hu), resample_by_majority(mask, source, target), target.spacing_zyx_mm
    )


def cached(folder: Path, settings: dict, make: Callable[[], TrainingCase]) -> TrainingCase:
    """`make()` once per settings: kept as .npz under a name that holds the settings' checksum.

    A damaged or half-written file is made again.
    """
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{settings['name']}-{key}.npz"
    try:
        return load_case(path)
    except (OSError, ValueError, KeyError, EOFError):
        case = make()
        save_case(case, path)
        return case


def save_case(case: TrainingCase, path: Path) -> None:
    """Write a case, whole or not at all."""
    meta = json.dumps(
        {"name": case.name, "patient": case.patient, "spacing": case.spacing_zyx_mm, "kind": case.kind}
    )
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, grey=case.grey_zyx, labels=case.labels_zyx, meta=np.array(meta))


def load_case(path: Path) -> TrainingCase:
    """Read what :func:`save_case` wrote; raises OSError, ValueError or KeyError where it is damaged."""
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as data:
            meta = json.loads(str(data["meta"]))
            return TrainingCase(
                meta["name"],
                meta["patient"],
                data["grey"],
                data["labels"],
                tuple(meta["spacing"]),
                meta["kind"],
            )
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is damaged") from error


def lits_cases(
    data: Path, cache: Path, spacing_zyx_mm: tuple[float, float, float], names: tuple[str, ...] | None = None
) -> list[TrainingCase]:
    """The labelled LiTS volumes under `data`/lits on a training grid, through the cache.

    Raises:
        InputError: a volume has no mask, or one of another shape.
    """
    cases = []
    for name in names or tuple(sorted(LITS_PATIENTS)):
        settings = {"name": name, "spacing": list(spacing_zyx_mm), "version": 3}

        def make(name: str = name) -> TrainingCase:
            ct = read_unchecked(data / "lits" / f"{name}_ct.nii.gz")
            mask = read_unchecked(data / "lits" / f"{name}_mask.nii.gz")
            if not ct.geometry.matches(mask.geometry, 0.1):
                raise InputError(f"{name}_mask.nii.gz does not lie on the grid of {name}_ct.nii.gz.")
            return prepare(ct, mask.hu_zyx, spacing_zyx_mm, name, LITS_PATIENTS[name])

        cases.append(cached(cache, settings, make))
    return cases


def crop_to_liver(case: TrainingCase, margin_mm: float) -> TrainingCase:
    """Cut away what is further than `margin_mm` from the liver's box (in plane and through it)."""
    index = np.where(case.labels_zyx > 0)
    window = []
    for axis, spacing in enumerate(case.spacing_zyx_mm):
        margin = int(np.ceil(margin_mm / spacing))
        low = max(0, int(index[axis].min()) - margin)
        window.append(slice(low, min(case.grey_zyx.shape[axis], int(index[axis].max()) + 1 + margin)))
    cut = tuple(window)
    return TrainingCase(
        case.name,
        case.patient,
        np.ascontiguousarray(case.grey_zyx[cut]),
        np.ascontiguousarray(case.labels_zyx[cut]),
        case.spacing_zyx_mm,
        case.kind,
    )
