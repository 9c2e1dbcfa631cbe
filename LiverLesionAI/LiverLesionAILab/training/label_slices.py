"""Slices of lesions whose class a reader named, for DADRN, from `liverlesionai labels`.

The CT is found among files by its content, the mask among cases by its own: labels name neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.case.labels import TrainingLabel
from LiverLesionAILib.case.lesion_masks import lesion_masks
from LiverLesionAILib.case.manifest import CASE_FILE, ct_digest
from LiverLesionAILib.case.store import load_result
from LiverLesionAILib.networks.dadrn import PHASED_CLASSES
from LiverLesionAILib.reading import read_ct
from LiverLesionAILib.stages.classify.liver_slices import fill_with_liver
from LiverLesionAILib.support.errors import InputError, LiverLesionAIError
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.support.text import path_text
from LiverLesionAILib.volume.ct import CtVolume, Geometry, reorient, resample
from LiverLesionAILib.volume.masks import bounding_box
from LiverLesionAILib.writing.labels import read_labels
from numpy.typing import NDArray
from scipy import ndimage

from ..data.cases import resample_by_majority
from ..synthesis.appearance import Phase
from .classes import BENIGN, METASTASIS, OUTLIER, ClassSettings, ClassSlices, Gathering, eligible_slices

LABEL_OF_CLASS = {
    "cyst": PHASED_CLASSES.index("CYST"),
    "FNH": PHASED_CLASSES.index("FNH"),
    "HCC": PHASED_CLASSES.index("HCC"),
    "haemangioma": PHASED_CLASSES.index("HEM"),
    "metastasis": METASTASIS,
    "benign": BENIGN,
    "treated": OUTLIER,
}
"""By the code of a reader's class; others (indeterminate, abscess, none) teach no class."""
PHASE_OF = {
    "unenhanced": Phase.UNENHANCED,
    "arterial": Phase.ARTERIAL,
    "portal": Phase.PORTAL_VENOUS,
    "delayed": Phase.DELAYED,
}
CT_PATTERNS = ("*.nii", "*.nii.gz", "*.nrrd", "*.nhdr", "*.mha", "*.mhd")


NO_LESION = ("rejected", "not_liver")
"""What the reader turned down; it is no lesion."""


def teaches(label: TrainingLabel) -> bool:
    """Whether a classifier can learn a class from it."""
    known = label.lesion_class in LABEL_OF_CLASS and label.phase in PHASE_OF
    return known and label.decision not in NO_LESION


def label_sources(
    file: Path,
    cases: Path,
    cts: Path,
    settings: ClassSettings,
    say: Callable[[str], None] = print,
    progress: Progress = silent,
) -> list[ClassSlices]:
    """Slices of every CT that labels and files are there for.

    Args:
        file: what `liverlesionai labels` wrote.
        cases: searched for case folders; cts: for CTs, as files or as folders of DICOM.

    Raises:
        InputError: the labels cannot be read, or nothing of them is there.
    """
    wanted: dict[str, list[TrainingLabel]] = defaultdict(list)
    for label in read_labels(file):
        wanted[label.ct].append(label)
    wanted = {ct: labels for ct, labels in wanted.items() if any(map(teaches, labels))}
    results = _results(cases, wanted)
    volumes = _volumes(cts, set(wanted) & set(results), progress)
    sources = []
    for ct, labels in wanted.items():
        if ct not in results or ct not in volumes:
            what = "masks are" if ct not in results else "CT is"
            say(f"{len(labels)} labels of CT {ct[:8]}: their {what} not there; left out.")
            continue
        source = slices_of_labels(volumes[ct], results[ct], labels, settings)
        of_use = sum(map(teaches, labels))
        missing = of_use - len(set(source.groups.tolist()))
        if missing:
            say(f"{missing} of {of_use} labels of CT {ct[:8]}: no such mask, or no slice shows it well.")
        if len(source.labels):
            sources.append(source)
    if not sources:
        raise InputError(f"{path_text(file)}: for none of its labels are both the CT and the mask there.")
    return sources


def slices_of_labels(
    volume: CtVolume, results: Sequence[CaseResult], labels: Sequence[TrainingLabel], settings: ClassSettings
) -> ClassSlices:
    """Slices through the labelled lesions of one CT; one group a lesion.

    As where the product asks about one lesion of several, the others are filled with liver. What the reader
    turned down is none and stays.
    """
    upright = reorient(volume)
    working = upright.geometry.with_spacing(settings.spec.spacing_zyx_mm)
    hu = np.asarray(resample(upright.hu_zyx, upright.geometry, working), np.float32)
    gathering, left = Gathering(settings), list(labels)
    for result in results:
        numbers = _numbers(result)
        there = {numbers[one.mask]: one for one in left if one.mask in numbers}
        left = [one for one in left if one.mask not in numbers]
        placed = _placed(result, [n for n, one in there.items() if one.decision in NO_LESION], working)
        cut = bounding_box(placed > 0, margin=6)
        if cut is None:
            continue
        for number, label in sorted(there.items()):
            if teaches(label) and number <= MOST_LESIONS:
                _add(gathering, hu[cut], placed[cut], number + 1, label)
    name = labels[0].ct[:8]
    return gathering.done(f"reader-{name}", "real", name)


MOST_LESIONS = 253
"""Of a case, that a label map of 8 bits can tell apart beside background and liver."""


def _placed(result: CaseResult, turned_down: Sequence[int], grid: Geometry) -> NDArray[np.uint8]:
    """1 liver, k + 1 lesion k, on another grid."""
    lesions = np.minimum(result.lesion_labels_zyx, MOST_LESIONS + 1)
    values = np.arange(1, MOST_LESIONS + 3, dtype=np.uint8)
    values[[0, *(number for number in turned_down if number <= MOST_LESIONS)]] = 0
    marks = np.maximum(values[lesions], result.liver_zyx.astype(np.uint8))
    return resample_by_majority(marks, result.geometry, grid)


def _add(
    gathering: Gathering,
    hu: NDArray[np.float32],
    placed: NDArray[np.uint8],
    value: int,
    label: TrainingLabel,
) -> None:
    """Keep the slices that show one lesion best, without the others."""
    liver, lesion = placed > 0, placed == value
    slices = eligible_slices(lesion, liver, None, True, gathering.settings)
    areas = lesion[slices].sum(axis=(1, 2))
    chosen = np.sort(slices[np.argsort(-areas, kind="stable")[: gathering.settings.slices]])
    image = hu.copy()
    for z in np.flatnonzero(((placed > 1) & ~lesion).any(axis=(1, 2))):
        others = ndimage.binary_dilation((placed[z] > 1) & ~lesion[z], iterations=2) & ~lesion[z]
        image[z] = fill_with_liver(image[z : z + 1], others, liver[z], np.random.default_rng(z))[0]
    gathering.add(image, liver, lesion, LABEL_OF_CLASS[label.lesion_class], PHASE_OF[label.phase], chosen)


def _numbers(result: CaseResult) -> dict[str, int]:
    """Fingerprint of each mask -> the lesion's number."""
    return {mask.fingerprint(result.geometry): number for number, mask in lesion_masks(result).items()}


def _results(folder: Path, wanted: Mapping[str, Sequence[TrainingLabel]]) -> dict[str, list[CaseResult]]:
    """Cases in a folder by their CT's digest; of a case that does not keep it, by the labels' masks."""
    found: dict[str, list[CaseResult]] = defaultdict(list)
    for path in sorted(folder.rglob(CASE_FILE)):
        try:
            result = load_result(path.parent)
        except LiverLesionAIError:
            continue
        own = result.run.ct if result.run is not None else ""
        masks = _numbers(result) if not own or own in wanted else {}
        for ct, labels in wanted.items():
            if own in ("", ct) and any(label.mask in masks for label in labels):
                found[ct].append(replace(result, probabilities={}, attention=()))
    return dict(found)


def _volumes(folder: Path, wanted: set[str], progress: Progress) -> dict[str, CtVolume]:
    """CTs in a folder by their digest."""
    found: dict[str, CtVolume] = {}
    places = list(_places(folder))
    for done, place in enumerate(places):
        if len(found) == len(wanted):
            break
        progress("Looking for the CTs", done / len(places))
        try:
            volume = read_ct(place)
        except LiverLesionAIError:
            continue
        for digest in digests_of(volume):
            if digest in wanted:
                found[digest] = volume
    return found


def digests_of(volume: CtVolume) -> set[str]:
    """The CT's digest, and those of the same HU in the other type that analyses keep them in."""
    same = [volume.hu_zyx.astype(kind) for kind in (np.int16, np.float32)]
    kept = [hu for hu in (volume.hu_zyx, *same) if np.array_equal(hu, volume.hu_zyx)]
    return {ct_digest(replace(volume, hu_zyx=hu)) for hu in kept}


def _places(folder: Path) -> Iterable[Path]:
    """Image files, and folders of DICOM files."""
    for pattern in CT_PATTERNS:
        yield from sorted(folder.rglob(pattern))
    holding = {path.parent for path in folder.rglob("*.dcm")}
    yield from sorted(holding)
