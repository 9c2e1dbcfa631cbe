"""Livers of scans without labels.

More patients and scanners, and the answer to smooth livers that a network takes for one large tumour.

The liver is outlined by the bundled networks and the density of parenchyma; what is uncertain, and what might
be a lesion, is labelled unknown. Which scans are used, and which of their livers show no lesion, was decided
by looking at them. The bundled networks have seen every labelled patient: through these outlines a
leave-one-patient-out network knows how other people's livers were outlined, never the held-out patient.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
from LiverLesionAILib.models.inputs import liver_level_hu
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.locate.coarse import liver_from_coarse
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, reorient, reoriented_geometry, resample
from LiverLesionAILib.volume.masks import largest_component
from scipy import ndimage

from ..data.cases import UNKNOWN, TrainingCase, encode_hu, read_unchecked
from .bodies import ORGAN_CROP

SMOOTH_LIVER = "unlabelled/tcga_09_2043_ct.nii.gz"
"""Portal venous, 3 mm, much ascites, no lesion seen in the liver."""

FATTY_LIVER = "unlabelled/lits013_ct.nii.gz"
"""Fatty, with lesions that nobody outlined: wherever the bundled network sees a trace of one is unknown."""


def healthy_cases(data: Path, spacing_zyx_mm: tuple[float, float, float]) -> list[TrainingCase]:
    """Livers without labels on a training grid, kind "healthy"; files that are missing are left out."""
    cases = []
    with suppress(InputError):
        cases.append(_pseudo_labelled(read_unchecked(data / SMOOTH_LIVER), spacing_zyx_mm))
    with suppress(InputError):
        cases.append(_outlined(read_unchecked(data / FATTY_LIVER), spacing_zyx_mm))
    try:
        ct, organs = read_unchecked(data / ORGAN_CROP[0]), read_unchecked(data / ORGAN_CROP[1])
    except InputError:
        return cases
    source = reoriented_geometry(ct.geometry)
    target = source.with_spacing(spacing_zyx_mm)
    liver = reorient(CtVolume((organs.hu_zyx == ORGAN_CROP[2]).astype(np.uint8), ct.geometry)).hu_zyx
    share = resample(liver, source, target)
    labels = np.where(share > 0.7, 1, np.where(share > 0.3, UNKNOWN, 0)).astype(np.uint8)
    grey = encode_hu(resample(reorient(ct).hu_zyx, source, target))
    cases.append(TrainingCase("torso", "healthy:torso", grey, labels, target.spacing_zyx_mm, "healthy"))
    return cases


def _pseudo_labelled(ct: CtVolume, spacing_zyx_mm: tuple[float, float, float]) -> TrainingCase:
    from LiverLesionAILib.stages.segment.inference import class_probabilities

    volume = reorient(ct)
    models = ModelStore.bundled()
    entry = models.manifest.of_task("locate")[0]
    coarse = volume.geometry.with_spacing(entry.input.spacing_zyx_mm)
    hu = resample(volume.hu_zyx, volume.geometry, coarse)
    network = models.network(entry.name, "cpu", "float32")
    found = liver_from_coarse(class_probabilities(network, entry.input, hu, classes=2)[0])
    level = liver_level_hu(hu[found])
    smooth = ndimage.gaussian_filter(hu, 0.7)
    near = ndimage.binary_dilation(found, iterations=3)
    # Parenchyma and vessels; ascites and stomach lie far below the level.
    dense = near & (smooth > level - 22) & (smooth < level + 60)
    liver = largest_component(ndimage.binary_opening(dense, iterations=2))
    sure = ndimage.binary_erosion(liver)
    unknown = ndimage.binary_dilation(liver) & ~sure
    # Dense tissue nearby that is not the liver found (spleen, wall, kidney) is nobody's business here.
    unknown |= near & dense & ~liver
    target = volume.geometry.with_spacing(spacing_zyx_mm)
    sure_share = resample(sure.astype(np.uint8), coarse, target)
    unknown_share = resample(unknown.astype(np.uint8), coarse, target)
    labels = np.where(sure_share > 0.5, 1, np.where(unknown_share > 0.2, UNKNOWN, 0)).astype(np.uint8)
    grey = encode_hu(resample(volume.hu_zyx, volume.geometry, target))
    return TrainingCase("smooth", "healthy:smooth", grey, labels, target.spacing_zyx_mm, "healthy")


def _outlined(ct: CtVolume, spacing_zyx_mm: tuple[float, float, float]) -> TrainingCase:
    """The liver as the bundled line outlines it; unknown where it is unsure or suspects a lesion."""
    from LiverLesionAILib.analysis.pipeline import analyze
    from LiverLesionAILib.analysis.settings import Settings

    found = analyze(
        ct, Settings(attention=False, classifier=None, device="cpu"), ModelStore.bundled()
    ).probabilities
    if not found:
        raise InputError(f"No liver was found in {ct.name}.")
    volume = reorient(ct)
    target = volume.geometry.with_spacing(spacing_zyx_mm)
    liver = resample(found["liver"].values_zyx, found["liver"].geometry, target)
    tumour = resample(found["tumour"].values_zyx, found["tumour"].geometry, target)
    labels = np.where(liver > 0.65 * 255, 1, np.where(liver > 0.25 * 255, UNKNOWN, 0)).astype(np.uint8)
    sure = largest_component(labels == 1)
    labels[(labels == 1) & ~sure] = UNKNOWN
    labels[ndimage.binary_dilation(tumour > 0.06 * 255, iterations=2)] = UNKNOWN
    grey = encode_hu(resample(volume.hu_zyx, volume.geometry, target))
    return TrainingCase("fatty", "healthy:fatty", grey, labels, target.spacing_zyx_mm, "healthy")
