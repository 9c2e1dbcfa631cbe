"""The bundled detector in the whole line, on the sample case."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILab.synthesis.sample import Sample
from LiverLesionAILib.analysis.choice import choose_detector
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.case.findings import CaseResult, LesionSource
from LiverLesionAILib.case.wording import notes
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.explain.cs_att import CONTEXTUAL, SPATIAL
from LiverLesionAILib.support.errors import ModelError


def test_cs_att_is_the_default(models: ModelStore) -> None:
    assert choose_detector(models.manifest, "").name == "cs_att"
    assert choose_detector(models.manifest, "none") is None
    assert choose_detector(models.manifest, None) is None
    with pytest.raises(ModelError, match=r"no model 'yolo' to detect.*cs_att"):
        choose_detector(models.manifest, "yolo")


def test_masks_and_boxes_agree_on_the_sample(sample: Sample, sample_result: CaseResult) -> None:
    assert "cs_att" in sample_result.models
    assert sample_result.timings_s["detect"] > 0
    both = [lesion for lesion in sample_result.lesions if lesion.source is LesionSource.BOTH]
    true = [x for x in both if sample.lesion_labels_zyx[sample_result.lesion_labels_zyx == x.number].any()]
    assert len(true) >= 3
    assert all(0.5 < lesion.box.score <= 1 for lesion in true)
    assert all(lesion.score >= 0.6 for lesion in both)
    judged = [lesion for lesion in both if lesion.measurement.volume_ml < 7.0]
    assert len(judged) >= 2
    assert all(lesion.score <= lesion.box.score**0.5 + 1e-6 for lesion in judged), "a mask's is 1 at most"
    alone = [lesion for lesion in sample_result.lesions if lesion.source is LesionSource.BOX]
    assert len(alone) <= 1
    assert any("detector only" in message for message in notes(sample_result)) == bool(alone)


def test_attention_of_every_lesion_with_a_box(sample_result: CaseResult) -> None:
    maps = [a for a in sample_result.attention if a.name.startswith((CONTEXTUAL, SPATIAL))]
    boxed = {x.number for x in sample_result.lesions if x.source in (LesionSource.BOTH, LesionSource.BOX)}
    assert {a.lesion_number for a in maps} == boxed
    by_number = {lesion.number: lesion for lesion in sample_result.lesions}
    for shown in maps:
        lesion = by_number[shown.lesion_number]
        assert shown.name.endswith(f", lesion {lesion.number}")
        index = shown.geometry.lps_to_index(lesion.box.centre_lps)
        assert (index[1:] > 0).all() and (index[1:] < np.array(shown.geometry.shape_zyx[1:])).all()
        assert "key slice" in shown.bars and len(shown.bars) == 3
    contextual = [a for a in maps if a.name.startswith(CONTEXTUAL)]
    assert np.mean([max(a.bars, key=a.bars.get) == "key slice" for a in contextual]) >= 0.5


def test_a_low_threshold_shows_proposals_inside_the_liver(
    slab: Sample, models: ModelStore, slab_result: CaseResult
) -> None:
    settings = Settings(device="cpu", attention=False, detector_threshold=0.02)
    found = analyze(slab.volume, settings, models)
    labels = found.lesion_labels_zyx
    alone = [lesion for lesion in found.lesions if lesion.source is LesionSource.BOX]
    before = [lesion for lesion in slab_result.lesions if lesion.source is LesionSource.BOX]
    assert len(found.lesions) - len(alone) == len(slab_result.lesions) - len(before)
    assert len(alone) >= len(before)
    assert [lesion.number for lesion in found.lesions] == list(range(1, len(found.lesions) + 1))
    assert bool(found.liver_zyx[labels > 0].all())
    for lesion in alone:
        assert lesion.measurement.volume_ml > 0
        index = np.argwhere(labels == lesion.number)
        inside = found.geometry.lps_to_index(lesion.box.centre_lps)
        half = np.array(lesion.box.size_xyz_mm[::-1]) / np.array(found.geometry.spacing_zyx_mm) / 2
        assert (np.abs(index - inside) <= half + 1.0).all(), "a proposal stays in its box"


def test_the_panel_points_at_the_same_places_with_the_same_scores(
    slab: Sample, models: ModelStore, slab_result: CaseResult
) -> None:
    """A panel analyses down to faint lesions for its slider; a report of the command line does not."""
    aside = Settings(
        device="cpu",
        attention=False,
        classifier=None,
        score_threshold=Rules().faintest_score,
        faint_aside=True,
    )
    found = analyze(slab.volume, aside, models)
    (entry,) = (one for one in models.manifest.entries if one.name == "sfan")
    least = Rules().calibrated(entry).score_threshold
    faint = [lesion for lesion in found.lesions if lesion.score < least]
    assert faint and slab_result.doubtful, "this slab has something to point at"
    places = [(one.centre_lps, one.diameter_mm, one.score) for one in found.doubtful]
    assert places == [
        (pytest.approx(one.centre_lps), pytest.approx(one.diameter_mm), pytest.approx(one.score))
        for one in slab_result.doubtful
    ]
    scores = [lesion.score for lesion in faint]
    shared = [one for one in found.doubtful if any(abs(one.score - score) < 1e-6 for score in scores)]
    assert shared, "scores are those that the slider goes by"
