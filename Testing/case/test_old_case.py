"""A case folder that version 0.1 (git 12de617) saved still opens, with all that it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.description import CaseScene
from LiverLesionAILib.case.findings import LesionSource, LesionStatus
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.writing.tables import findings_csv, findings_json

OLD = Path(__file__).parent / "assets" / "case_of_0.1"
"""Three lesions: the first with the reader's class, a note and edits, a class box and a map of its own; the
second accepted; the third, rejected, is a box without a mask, whose measurements are all null."""


@pytest.fixture(scope="module")
def old():
    return load_result(OLD)


def test_decisions_classes_and_measurements(old):
    first, second, third = old.lesions
    assert (first.status, first.edited, first.status_text) == (LesionStatus.UNDECIDED, True, "edited")
    assert (first.model_class, first.reader_class, first.shown_class) == ("HCC", "Haemangioma", "Haemangioma")
    assert first.note == "old; stable" and first.class_box is not None
    assert first.measurement.volume_ml == pytest.approx(1.472)
    assert (second.status, second.edited) == (LesionStatus.ACCEPTED, False)
    assert (third.status, third.source, third.measurement) == (LesionStatus.REJECTED, LesionSource.BOX, None)
    assert old.phase.phase is Phase.PORTAL and old.run is None and old.gallbladder_zyx is None
    assert [shown.lesion_number for shown in old.attention] == [None, 1]


def test_its_lesions_get_tracking_uids_that_stay(old, tmp_path):
    uids = [lesion.tracking_uid for lesion in old.lesions]
    assert len(set(uids)) == 3 and all(uid.startswith("2.25.") for uid in uids)
    assert [lesion.tracking_uid for lesion in load_result(OLD).lesions] == uids
    save_result(old, tmp_path)
    assert [lesion.tracking_uid for lesion in load_result(tmp_path).lesions] == uids


def test_it_is_described_and_listed_like_a_new_one(old):
    scene = CaseScene.of(old)
    assert [s.name for s in scene.segments] == ["Liver", "Lesion 1 (Haemangioma)", "Lesion 2 (CYST 0.82)"]
    assert [box.segment_id for box in scene.boxes] == ["lesion_1", "lesion_2", "", "lesion_1"]
    listed = findings_json(old)["lesions"]
    assert [(x["status"], x["edited"], x["volume_ml"]) for x in listed] == [
        ("undecided", True, 1.472),
        ("accepted", False, 0.8),
        ("rejected", False, None),
    ]
    assert "Haemangioma" in findings_csv(old)
