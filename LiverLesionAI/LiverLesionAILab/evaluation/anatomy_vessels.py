"""Two ways to find a liver's vessels, as they are compared: the network, and a filter for bright tubes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from LiverLesionAILib.models.inputs import liver_level_hu
from LiverLesionAILib.models.weights import build_network
from LiverLesionAILib.stages.segment.inference import class_probabilities
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.ct import CtVolume, resample, resample_labels
from LiverLesionAILib.volume.masks import bounding_box
from numpy.typing import NDArray
from scipy import ndimage

from ..training.recipes import recipe
from ..training.vessel_cases import CLASSES, MARGIN_MM

VesselFinder = Callable[[CtVolume, NDArray[np.bool_]], NDArray[np.uint8]]
"""(CT with axes L, P, S, liver) -> 0, 1 portal, 2 hepatic, 3 IVC, 9 of unknown kind on the CT's grid."""

OF_UNKNOWN_KIND = 9

RECIPE = "vessel_unet"
SCALES_MM = (1.5, 2.5, 4.0)


def network_finder(weights: Path, threshold: float = 0.5) -> VesselFinder:
    """The vessel network with the weights of a file.

    Args:
        threshold: least probability of a vessel of whatever kind.

    Raises:
        InputError: the file is missing or holds no such network.
    """
    import torch

    chosen = recipe(RECIPE)
    network = build_network(chosen.network, vars(chosen.config))
    try:
        network.load_state_dict(torch.load(weights, weights_only=True))
    except (OSError, RuntimeError, KeyError) as error:
        raise InputError(f"{weights} holds no weights of {RECIPE}.") from error
    network.float().eval()

    def find(ct: CtVolume, liver_zyx: NDArray[np.bool_]) -> NDArray[np.uint8]:
        source = ct.geometry
        target = source.with_spacing(chosen.spec.spacing_zyx_mm)
        hu = resample(ct.hu_zyx, source, target)
        near = resample_labels(liver_zyx.astype(np.uint8), source, target) > 0
        hu = hu + chosen.spec.shift_hu(liver_level_hu(hu[near]))
        box = _box(near, target.spacing_zyx_mm)
        found = class_probabilities(network, chosen.spec, hu[box], classes=len(CLASSES))[1:]
        kind = np.where(found.sum(axis=0) >= 255 * threshold, found.argmax(axis=0) + 1, 0)
        out = np.zeros(hu.shape, np.uint8)
        out[box] = kind
        return np.asarray(resample_labels(out, target, source)).astype(np.uint8)

    return find


def ridge_finder(strength: float = 12.0) -> VesselFinder:
    """Bright tubes in the liver: the objectness measure of ITK (after Frangi), at three widths.

    It cannot tell portal from hepatic veins, nor see the IVC: what it finds is of unknown kind.

    Args:
        strength: least response, HU.
    """

    def find(ct: CtVolume, liver_zyx: NDArray[np.bool_]) -> NDArray[np.uint8]:
        source = ct.geometry
        target = source.with_spacing((1.5, 1.5, 1.5))
        near = resample_labels(liver_zyx.astype(np.uint8), source, target) > 0
        box = _box(near, target.spacing_zyx_mm)
        hu, inside = resample(ct.hu_zyx, source, target)[box], near[box]
        level = liver_level_hu(hu[inside])
        flat = np.where(ndimage.binary_erosion(inside, iterations=2), hu, level)
        image = sitk.GetImageFromArray(np.clip(flat, level - 60, level + 120).astype(np.float32))
        image.SetSpacing((1.5, 1.5, 1.5))
        best = np.zeros(hu.shape, np.float32)
        for scale in SCALES_MM:
            smooth = sitk.SmoothingRecursiveGaussian(image, scale)
            tubes = sitk.ObjectnessMeasure(
                smooth, 0.5, 0.5, 5.0, scaleObjectnessMeasure=True, objectDimension=1, brightObject=True
            )
            best = np.maximum(best, sitk.GetArrayFromImage(tubes) * np.float32(scale**2))
        mask = (best > strength) & inside
        out = np.zeros(near.shape, np.uint8)
        out[box] = np.where(mask, OF_UNKNOWN_KIND, 0)
        return np.asarray(resample_labels(out, target, source)).astype(np.uint8)

    return find


def _box(near_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float]) -> tuple[slice, ...]:
    """The liver's box with a margin, as index slices.

    Raises:
        InputError: there is no liver.
    """
    box = bounding_box(near_zyx, [int(np.ceil(MARGIN_MM / s)) for s in spacing_zyx_mm])
    if box is None:
        raise InputError("There is no liver to look for vessels in.")
    return box
