"""A slice that is its own neighbour, as at a scan's ends and in scans of very thick slices."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.case.sample import SampleCase
from LiverLesionAILib.models.inputs import liver_level_hu
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.segment.inference import class_probabilities
from scipy import ndimage

MOST = 0.01
"""Of the liver, without what lies within three pixels of a lesion. SFAN had called 2 % of it tumour, and half
of real patients' livers, when it had learnt from single slices where tumour is and not where none is."""


@pytest.mark.parametrize("name", ["sfan", "mscd"])
def test_a_liver_is_not_called_tumour_where_its_slice_is_its_own_neighbour(
    sample: SampleCase, models: ModelStore, name: str
) -> None:
    entry = models.manifest.find(name)
    threshold = round(entry.calibration["tumour_threshold"] * 255)
    factor = sample.volume.geometry.spacing_zyx_mm[1] / entry.input.spacing_zyx_mm[1]
    area = sample.liver_zyx.sum(axis=(1, 2))
    called = []
    for z in np.flatnonzero(area > area.max() / 3)[::8]:
        hu = ndimage.zoom(sample.volume.hu_zyx[z].astype(np.float32), factor, order=1)
        liver = ndimage.zoom(sample.liver_zyx[z].astype(np.uint8), factor, order=0) > 0
        lesion = ndimage.zoom((sample.lesion_labels_zyx[z] > 0).astype(np.uint8), factor, order=0) > 0
        free = liver & ~ndimage.binary_dilation(lesion, iterations=3)
        box = ndimage.find_objects(ndimage.binary_dilation(liver, iterations=16).astype(np.uint8))[0]
        shifted = hu[box] + np.float32(entry.input.shift_hu(liver_level_hu(hu[free])))
        told = class_probabilities(
            models.network(name, "cpu", "float32"),
            entry.input,
            shifted[None],
            classes=3,
            pyramid=entry.scales["lesions"],
        )[1, 0]
        called.append(float((told[free[box]] >= threshold).mean()))
    assert len(called) >= 4 and np.mean(called) < MOST
