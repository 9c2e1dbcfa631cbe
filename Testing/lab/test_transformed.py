"""The same patient stored otherwise, on other voxels, cropped, or in slabs of any size: the same findings.

With networks that look at HU alone; `liverlesionai compare transformed` does it with the bundled ones on real
scans.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st
from LiverLesionAILab.compare.transformed import (
    CHANGES,
    OTHER_VOXELS,
    STORED_OTHERWISE,
    agreement,
    compare_changes,
    line,
    stored,
)
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.stages.segment import inference
from LiverLesionAILib.support import steps
from LiverLesionAILib.volume import resampling
from support.threshold_models import ThresholdModels, phantom

PLAIN = Settings(device="cpu", precision="float32", attention=False)
PHANTOM, _ = phantom()


@pytest.fixture(scope="module")
def whole() -> CaseResult:
    """Analysed in one piece."""
    return in_slabs(1 << 40)


def in_slabs(voxels: int, slices: int = 1 << 20, batch: int = 8) -> CaseResult:
    """Analysed in slabs of so many voxels, of so many slices round one box, so many slices at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "SLAB_BYTES", 4 * voxels)
        patch.setattr(steps, "VOXELS_PER_STEP", voxels)
        patch.setattr(inference, "SLAB", slices)
        patch.setattr(inference, "_slices_at_once", lambda *_: batch)
        return analyze(PHANTOM, PLAIN, ThresholdModels())


@settings(max_examples=3, deadline=None)
@given(voxels=st.integers(1, 300_000), slices=st.integers(1, 64), batch=st.integers(1, 9))
def test_slabs_of_any_size_find_what_one_piece_does(
    whole: CaseResult, voxels: int, slices: int, batch: int
) -> None:
    other = in_slabs(voxels, slices, batch)
    assert np.array_equal(whole.liver_zyx, other.liver_zyx)
    assert np.array_equal(whole.lesion_labels_zyx, other.lesion_labels_zyx)
    assert whole.lesions == other.lesions
    assert whole.messages == other.messages


@pytest.fixture(scope="module")
def changed():
    return {
        found.name: (found, tolerance)
        for found, tolerance in compare_changes(PHANTOM, PLAIN, ThresholdModels())
    }


@pytest.mark.parametrize("name", CHANGES)
def test_the_same_patient_has_the_same_findings(changed, name):
    found, tolerance = changed[name]
    assert found.lesions == (2, 2, 2)
    assert found.within(tolerance), line(found, tolerance)


def test_what_is_only_stored_otherwise_differs_in_no_voxel(changed):
    exact = [found for found, tolerance in changed.values() if tolerance is STORED_OTHERWISE]
    assert len(exact) == 8
    assert all(found.liver_dice == found.lesion_dice == 1.0 for found in exact)


def test_a_change_that_loses_moves_or_swells_a_lesion_is_seen(whole):
    def judged(other: CaseResult):
        return agreement("x", whole, other, OTHER_VOXELS.smallest_mm)

    assert judged(whole).within(STORED_OTHERWISE)
    lost = whole.lesion_labels_zyx.copy()
    lost[lost == 2] = 0
    without = replace(whole, lesion_labels_zyx=lost, lesions=whole.lesions[:1])
    assert judged(without).missed == (round(whole.lesions[1].measurement.long_axis_mm, 1),)
    assert not judged(without).within(OTHER_VOXELS)
    assert "in one only" in line(judged(without), OTHER_VOXELS)
    moved = replace(whole, lesions=(replace(whole.lesions[0], centre_lps=(0.0, 0.0, 0.0)), whole.lesions[1]))
    assert not judged(moved).within(OTHER_VOXELS)
    large = replace(whole.lesions[0].measurement, volume_ml=99.0)
    swollen = replace(whole, lesions=(replace(whole.lesions[0], measurement=large), whole.lesions[1]))
    assert not judged(swollen).within(OTHER_VOXELS)


def test_a_patient_who_is_mirrored_is_another(whole):
    """The array flipped and its geometry left as it was: the findings move."""
    volume = replace(PHANTOM, hu_zyx=np.ascontiguousarray(PHANTOM.hu_zyx[:, :, ::-1]))
    other = analyze(volume, PLAIN, ThresholdModels())
    assert not agreement("mirrored", whole, other, 10.0).within(OTHER_VOXELS)
    turned = stored(PHANTOM, (0, 1, 2), (2,))
    assert np.array_equal(turned.hu_zyx, volume.hu_zyx)
