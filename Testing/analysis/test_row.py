"""The stages in their row: a stage is a function and a line, and what it leaves reaches the result."""

from __future__ import annotations

import inspect
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")

from LiverLesionAILib.analysis import pipeline
from LiverLesionAILib.analysis.choice import Models
from LiverLesionAILib.analysis.draft import Draft
from LiverLesionAILib.analysis.pipeline import analyze
from LiverLesionAILib.analysis.row import ROW, Stage
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.analysis.settings import Settings
from LiverLesionAILib.stages.segment.masks import keep_lesions
from LiverLesionAILib.support.progress import Progress
from support.threshold_models import ThresholdModels, phantom

PLAIN = Settings(device="cpu", precision="float32", attention=False)


def test_every_stage_takes_four_things_and_gives_back_a_draft() -> None:
    for stage in ROW:
        signature = inspect.signature(stage.run)
        assert list(signature.parameters) == ["draft", "rules", "models", "progress"], stage.name
        assert signature.return_annotation == "Draft"
    assert len({stage.name for stage in ROW}) == len(ROW)


def test_their_shares_of_the_progress_follow_each_other() -> None:
    ends = [edge for stage in ROW for edge in stage.share]
    assert ends == sorted(ends) and ends[0] >= 0 and ends[-1] <= 1


def test_a_stage_between_two_others_is_a_function_and_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one that knows another organ where the segmenter saw a lesion."""
    seen: list[Draft] = []

    def neighbours(draft: Draft, rules: Rules, models: Models, progress: Progress) -> Draft:
        seen.append(draft)
        progress("looking at neighbours", 1.0)
        masks = draft.segmented.masks
        kept = {label: score for label, score in masks.scores.items() if label != 1}
        segmented = replace(draft.segmented, masks=keep_lesions(masks, kept))
        return replace(draft, segmented=segmented).say("The largest spot is another organ.")

    plain = analyze(phantom()[0], PLAIN, ThresholdModels())
    row = [*ROW]
    row.insert([stage.name for stage in ROW].index("detect"), Stage("neighbours", neighbours, (0.62, 0.62)))
    monkeypatch.setattr(pipeline, "ROW", tuple(row))
    heard: list[str] = []
    found = analyze(phantom()[0], PLAIN, ThresholdModels(), lambda stage, fraction: heard.append(stage))
    assert [lesion.centre_lps for lesion in found.lesions] == [plain.lesions[1].centre_lps]
    assert "The largest spot is another organ." in found.messages
    assert "looking at neighbours" in heard and found.timings_s["neighbours"] >= 0
    (draft,) = seen
    assert draft.placed is None and draft.lesions == (), "a draft says what was found so far, and no more"


def test_masks_are_held_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """From `place` on they lie on the CT's own grid, and the stages see the liver's box of them."""
    seen: list[Draft] = []

    def look(draft: Draft, rules: Rules, models: Models, progress: Progress) -> Draft:
        seen.append(draft)
        return draft

    monkeypatch.setattr(pipeline, "ROW", (*ROW, Stage("look", look, (1.0, 1.0))))
    volume, _ = phantom()
    found = analyze(volume, PLAIN, ThresholdModels())
    (draft,) = seen
    assert draft.placed is not None
    for whole, inside in (
        (found.liver_zyx, draft.placed.liver_zyx),
        (found.lesion_labels_zyx, draft.placed.labels_zyx),
    ):
        assert np.shares_memory(whole, inside) and inside.size < whole.size
        assert inside.any() and np.count_nonzero(inside) == np.count_nonzero(whole)


def test_without_a_liver_the_row_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    none = Rules().changed({"smallest_liver_ml": 1e6}, "me")
    found = analyze(phantom()[0], PLAIN, ThresholdModels(), rules=none)
    assert set(found.timings_s) == {"load", "locate"}
    assert any(message.startswith("No liver was found") for message in found.messages)
