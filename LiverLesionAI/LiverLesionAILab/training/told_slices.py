"""Livers and tumours of many more patients, as networks that were trained before tell them: self-training.

In the single axial slices tumour is mostly unknown inside the liver, and "liver or tumour" is asked there. As
synthetic lesions in them are sure, a network learns from these slices where tumour is and hardly ever where
none is: in the end it calls half of such livers tumour. So what a teacher, the mean of some trained networks,
is sure of is learnt from: liver where it sees no tumour; tumour where it is sure of one and the CT shows it,
darker than the liver and as far as its edge (networks draw too much in patients that they have not seen);
"liver or tumour" between.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.models.device import cpu_precision
from LiverLesionAILib.models.inputs import liver_level_hu
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.segment.edges import EdgeSettings, at_edges
from LiverLesionAILib.stages.segment.inference import class_probabilities
from LiverLesionAILib.stages.segment.masks import Masks, SegmentSettings
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.masks import components
from numpy.typing import NDArray
from scipy import ndimage

from ..data.axial_slices import AxialSlice, axial_slices
from ..data.cases import LIVER_OR_TUMOUR, TrainingCase, decode_hu
from .bank import load_mapped, save_mapped
from .kept_folders import is_whole
from .slice_cases import segment_case
from .trained_masks import TrainedMasks, bundled_model, run_model

KINDS = ("slice", "slice variant", "arterial slice")
"""What is made of a slice, and told by its teacher."""

VERSION = 1
"""Of what is made here: kept folders of another version are not read."""

SURE = 0.8
"""A teacher's tumour must somewhere be so likely, and half as likely in the mean."""

NONE = 0.05
"""Where tumour is less likely than this the teacher tells liver."""

PLAIN_HU = 5.0
PLAIN_MM = 2.5
"""Where the slice, seen through a Gaussian of so many mm, is as dense as the liver to within so much, the
teacher must be surer of tumour than of none, or it is liver: else a noisy slice teaches next to nothing."""

LEAST_MM2 = 20.0
"""A smaller spot of a single slice is as well a vessel."""

MARGIN_MM = 45.0
"""Around the liver's box, as of all that a mask network learns from."""

_SEGMENT = replace(Rules().part(SegmentSettings), tumour_threshold=0.25, smallest_mm=0.0)
"""With a mask network's own threshold; a slice is no volume that a smallest one could be asked of."""

_EDGES = Rules().part(EdgeSettings)


def teacher(name: str) -> TrainedMasks:
    """A bundled mask network by its name, or a training run by its folder.

    Raises:
        InputError: it is neither.
    """
    import torch

    told = run_model(Path(name)) if Path(name).is_dir() else bundled_model(name)
    kind = getattr(torch, cpu_precision())
    return replace(told, network=told.network.to(kind).to(memory_format=torch.channels_last))


def teachers_key(names: Sequence[str]) -> str:
    """Names the folder of what these teachers tell, by their weights.

    Raises:
        InputError: a run has no weights yet.
    """
    store = ModelStore.bundled().manifest
    parts = [str(VERSION).encode()]
    for name in names:
        weights = Path(name) / "weights.pt"
        if not Path(name).is_dir():
            parts.append(store.find(name).sha256.encode())
        elif weights.is_file():
            parts.append(weights.read_bytes())
        else:
            raise InputError(f"{name} holds no weights.pt: a teacher is a run that has come to its end.")
    return hashlib.sha256(b" ".join(parts)).hexdigest()[:12]


def tumour_probability(
    teachers: Sequence[TrainedMasks], hu_zyx: NDArray[np.float32], liver_zyx: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Mean of the teachers' tumour probabilities of one slice, 0..1, (1, y, x)."""
    level = liver_level_hu(hu_zyx[liver_zyx]) if liver_zyx.any() else float("nan")
    seen = []
    for one in teachers:
        shifted = hu_zyx + np.float32(one.spec.shift_hu(level))
        pyramid = one.scales.get("lesions", (1.0,))
        told = class_probabilities(one.network, one.spec, shifted, classes=3, pyramid=pyramid)
        seen.append(told[1].astype(np.float32) / 255)
    return np.mean(seen, axis=0, dtype=np.float32)


def told_labels(
    labels_zyx: NDArray[np.uint8],
    hu_zyx: NDArray[np.float32],
    probability_zyx: NDArray[np.float32],
    spacing_zyx_mm: tuple[float, float, float],
) -> NDArray[np.uint8]:
    """Labels of one slice with what a teacher is sure of.

    Args:
        labels_zyx: (1, y, x) of :func:`.slice_cases.segment_case`: "liver or tumour" where that is unknown.
        hu_zyx: HU; probability_zyx: the teacher's, of tumour, 0..1.

    Returns:
        The same labels where liver and tumour are known already or the teacher is unsure; 2 where it is sure
        of tumour, 1 where of none.
    """
    told = labels_zyx.copy()
    unknown = labels_zyx == LIVER_OR_TUMOUR
    liver = unknown | (labels_zyx == 1)
    level = liver_level_hu(hu_zyx[liver]) if liver.any() else 0.0
    smooth = ndimage.gaussian_filter(hu_zyx, [0, *(PLAIN_MM / size for size in spacing_zyx_mm[1:])])
    plain = np.abs(smooth - level) < PLAIN_HU
    told[unknown & ((probability_zyx < NONE) | (plain & (probability_zyx < 0.5)))] = 1
    seen, count = components(unknown & (probability_zyx >= _SEGMENT.tumour_threshold))
    least = LEAST_MM2 / (spacing_zyx_mm[1] * spacing_zyx_mm[2])
    for number in range(1, count + 1):
        own = seen == number
        of_it = probability_zyx[own]
        if own.sum() < least or of_it.max() < SURE or of_it.mean() < SURE / 2:
            continue
        drawn = Masks(liver, own.astype(np.uint16), {1: float(of_it.max())}, 0, liver)
        ended, _ = at_edges(drawn, hu_zyx, spacing_zyx_mm, _SEGMENT, _EDGES)
        lesion = ended.labels_zyx > 0
        # Where the CT shows no edge it does not confirm the teacher.
        if ended.edges_zyx is None or lesion.sum() < least or np.median(hu_zyx[lesion]) >= level:
            continue
        told[own & unknown] = 1
        told[lesion & unknown] = 2
    return told


def told_case(
    one: AxialSlice, teachers: Sequence[TrainedMasks], spacing_zyx_mm: tuple[float, float, float]
) -> TrainingCase:
    """A slice as the teachers tell it; what they see is cut to the liver's box."""
    plain = segment_case(one, spacing_zyx_mm)
    labels = plain.labels_zyx.copy()
    unknown = np.argwhere(labels == LIVER_OR_TUMOUR)
    if not len(unknown):
        return plain
    margins = [int(np.ceil(MARGIN_MM / size)) for size in plain.spacing_zyx_mm]
    box = tuple(
        slice(max(0, low - margin), high + margin + 1)
        for low, high, margin in zip(unknown.min(axis=0), unknown.max(axis=0), margins, strict=True)
    )
    hu = decode_hu(plain.grey_zyx[box])
    probability = tumour_probability(teachers, hu, np.isin(labels[box], (1, LIVER_OR_TUMOUR)))
    labels[box] = told_labels(labels[box], hu, probability, plain.spacing_zyx_mm)
    return replace(plain, labels_zyx=labels)


def told_slices(
    data: Path,
    spacing_zyx_mm: tuple[float, float, float],
    names: Sequence[str],
    cache: Path,
    progress: Progress = silent,
) -> dict[str, NDArray[np.uint8]]:
    """Of each training patient's slice the labels (1, y, x) as the teachers tell them, by its case's name.

    Args:
        names: the teachers, see :func:`teacher`, none for nothing; what they tell is kept in `cache`.

    Raises:
        InputError: the slices are missing, or a teacher is.
    """
    if not names:
        return {}
    grid = "x".join(f"{s:g}" for s in spacing_zyx_mm)
    folder = cache / f"told-{grid}-{teachers_key(names)}"
    own = [one for one in axial_slices(data) if not one.validation]
    targets = {one.number: folder / f"slice{one.number:03d}" for one in own}
    missing = [one for one in own if not is_whole(targets[one.number], load_mapped)]
    teachers = [teacher(name) for name in names] if missing else []
    for done, one in enumerate(missing, start=1):
        save_mapped(told_case(one, teachers, spacing_zyx_mm), targets[one.number])
        progress("slices told by the teacher", done / len(missing))
    return {target.name: np.array(load_mapped(target).labels_zyx) for target in targets.values()}


def as_told(cases: Sequence[TrainingCase], labels: Mapping[str, NDArray[np.uint8]]) -> list[TrainingCase]:
    """Cases whose slices, and what was made of them, have what is told in place of "liver or tumour"."""

    def told(case: TrainingCase) -> TrainingCase:
        own = labels.get(case.name.split("-")[0]) if case.kind in KINDS else None
        if own is None:
            return case
        return replace(case, labels_zyx=np.where(case.labels_zyx == LIVER_OR_TUMOUR, own, case.labels_zyx))

    return [told(case) for case in cases]
