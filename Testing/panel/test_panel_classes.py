"""Classes in the panel: what is treated, and what follows from it, on a desk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed")
pytest.importorskip("slicer", reason="slicer-core is not installed")

from LiverLesionAILib.case import tags
from LiverLesionAILib.case import terminology as terms
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.enhancement import Enhancement, PhaseLevels
from LiverLesionAILib.case.findings import LesionStatus
from LiverLesionAILib.panel.choices import ClassSetting, CtPhase, StatusFilter
from LiverLesionAILib.scene.show import read_back
from support.desk import WIDTH, Desk, add_volume, truth_array, wanted_height

ASKED = "portal 20 HU; treated? 1200 HU (portal) is lipiodol or calcification"


def test_the_suggestion_is_taken_undone_kept_and_exported(case: Desk) -> None:
    node = case.panel.case.segmentation
    row_id = case.panel.case.rows[0].segment_id
    node.GetSegmentation().GetSegment(row_id).SetTag(tags.TAG_REASONS, ASKED)
    case.panel.refresh()
    case.panel.select(row_id)
    case.turn()
    assert "Mark as treated" in case.ui.detailLabel.text

    def status() -> LesionStatus:
        row = case.panel.case.row(row_id)
        assert row is not None
        return row.status

    case.ui.detailLabel.linkActivated.emit("treated")
    case.turn()
    assert status() is LesionStatus.TREATED and "as you say" in case.ui.detailLabel.text
    case.click("undoButton")
    assert status() is LesionStatus.UNDECIDED and "Mark as treated" in case.ui.detailLabel.text
    case.click("redoButton")
    case.panel.parameters.statusFilter = StatusFilter.TREATED
    case.turn()
    assert case.ui.findingsTable.model().rowCount() == 1
    case.panel.parameters.statusFilter = StatusFilter.ALL
    case.turn()
    case.analyze()
    assert status() is LesionStatus.TREATED, "a new analysis keeps what the reader has said"
    lesion = read_back(case.panel.case.segmentation, case.panel.case.volume).lesions[0]
    assert lesion.status is LesionStatus.TREATED


def small(name: str, value: int):
    return add_volume(name, np.full((9, 12, 14), value, np.int16))


def test_phases_that_are_chosen_go_along_with_the_ct_by_name(desk: Desk) -> None:
    ct = add_volume("CT", truth_array())
    arterial, late = small("early", 71), small("late", 77)
    desk.turn()
    desk.ui.classesSection.collapsed = False
    desk.turn()
    assert ct.GetID() in desk.ui.arterialSelector.sortFilterProxyModel().hiddenNodeIDs
    desk.ui.arterialSelector.setCurrentNode(arterial)
    desk.ui.delayedSelector.setCurrentNode(late)
    desk.panel.parameters.ctPhase = CtPhase.PORTAL
    desk.ui.secondSelector.setCurrentNode(late)
    desk.turn()
    desk.analyze()
    said = desk.ui.notesLabel.text
    assert "Named phases: portal; arterial early 71, delayed late 77." in said
    assert "Second phase" not in said, "what is named is no unnamed second phase too"
    # The phase of the CT itself comes from no other CT, and none without classes.
    desk.panel.parameters.ctPhase = CtPhase.DELAYED
    desk.turn()
    assert [phase for phase, _ in desk.panel.classes.phases.chosen(ct).others] == [Phase.ARTERIAL]
    desk.panel.parameters.findClasses = False
    desk.turn()
    assert desk.panel.classes.phases.chosen(ct).others == () and not desk.ui.arterialSelector.enabled
    desk.panel.parameters.findClasses = True
    desk.scene.RemoveNode(arterial)
    desk.turn()
    assert desk.panel.classes.phases.chosen(ct).others == ()


def test_phases_are_found_in_the_study_by_their_names(desk: Desk) -> None:
    import slicer

    ct = add_volume("3: Abd portalvenös 3.0")
    desk.turn()
    desk.click("findPhasesButton")
    assert "choose each phase" in desk.message()
    arterial, second, native, odd = (
        small(name, 70) for name in ("4: Abd art 2.0", "5: Leber arteriell", "2: nativ", "7: Abd B30")
    )
    elsewhere = small("delayed", 70)
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(desk.scene)
    study = tree.CreateStudyItem(tree.GetSceneItemID(), "CT abdomen")
    for node in (ct, arterial, second, native, odd):
        tree.SetItemParent(tree.GetItemByDataNode(node) or tree.CreateItem(study, node), study)
    desk.click("findPhasesButton")
    parameters = desk.panel.parameters
    assert parameters.ctPhase is CtPhase.PORTAL
    assert (parameters.arterialVolume, parameters.unenhancedVolume) == (arterial, native)
    assert parameters.portalVolume is None and parameters.delayedVolume is None, elsewhere.GetName()
    assert "called portal venous" in desk.message() and "1 more called so" in desk.message()


def test_a_phase_of_another_patient_is_doubted(desk: Desk) -> None:
    from LiverLesionAILib.scene.study import keep_study, patient_digests

    ct, other = add_volume("CT"), small("arterial", 70)
    keep_study(ct, "20260101", patient_digests("1", "19600101", "F"))
    keep_study(other, "20260101", patient_digests("2", "19600101", "F"))
    desk.turn()
    desk.panel.parameters.inputVolume, desk.panel.parameters.arterialVolume = ct, other
    desk.turn()
    [said] = desk.panel.classes.phases.warnings(ct)
    assert said.startswith("Arterial phase: ") and "patient ID" in said


LEVELS = tuple(PhaseLevels(p, 90.0, 100.0, 200.0) for p in (Phase.ARTERIAL, Phase.PORTAL, Phase.DELAYED))


def say(desk: Desk, name: str, answer: str) -> None:
    getattr(desk.ui, name).currentIndex = ("not said", "yes", "no").index(answer)
    desk.turn()


def test_li_rads_is_asked_only_of_patients_at_risk_and_every_step_is_seen(case: Desk) -> None:
    ui, node = case.ui, case.panel.case.segmentation
    first, second = case.panel.case.rows[:2]
    seen = Enhancement(LEVELS, aphe=True, rim=False, washout=True, capsule=None)
    node.GetSegmentation().GetSegment(first.segment_id).SetTag(
        tags.TAG_ENHANCEMENT, terms.tag_text(tags.enhancement_text(seen))
    )
    ui.liradsSection.collapsed = False
    case.panel.refresh()
    case.panel.select(first.segment_id)
    case.turn()
    assert "patients at risk" in ui.liradsLabel.text and not ui.apheBox.visible and not ui.ageBox.visible
    say(case, "atRiskBox", "yes")
    assert ui.apheBox.visible and ui.ageBox.visible
    assert "Measured (arterial, portal venous, delayed): APHE yes, washout yes" in ui.liradsLabel.text
    assert "At least 18 years old? <b>not said</b>" in ui.liradsLabel.text
    ui.ageBox.value = 61
    say(case, "vascularBox", "no")
    said = "there, but not confirmed: arterial, portal venous, delayed"
    assert said in ui.liradsLabel.text, "not before the reader has looked"
    ui.confirmBox.click()
    for name, answer in (("benignBox", "yes"), ("veinBox", "no"), ("targetoidBox", "no")):
        say(case, name, answer)
    assert "Category: LR-5" in ui.liradsLabel.text and "Size <b>" in ui.liradsLabel.text
    # Of the other lesion nothing was said, of the patient everything.
    case.panel.select(second.segment_id)
    case.turn()
    assert ui.benignBox.currentText == "not said" and ui.ageBox.value == 61
    assert "No category" in ui.liradsLabel.text and "Nothing was measured" in ui.liradsLabel.text
    assert not ui.confirmBox.enabled
    case.panel.select(first.segment_id)
    case.turn()
    assert "Category: LR-5" in ui.liradsLabel.text and ui.benignBox.currentText == "yes"
    say(case, "targetoidBox", "yes")
    assert "consider LR-M" in ui.liradsLabel.text and "Category:" not in ui.liradsLabel.text
    say(case, "targetoidBox", "no")
    case.panel.reader.actions.use(case.panel.case)
    case.panel.reader.write_note(first.segment_id, "seen before")
    for _ in range(2):
        case.click("liradsNoteButton")
    row = case.panel.case.row(first.segment_id)
    assert row is not None and row.note == "seen before LI-RADS CT v2018: LR-5 (at risk, as I say)."
    case.click("undoButton")
    row = case.panel.case.row(first.segment_id)
    assert row is not None and row.note == "seen before"
    case.panel.reader.treated()
    case.turn()
    assert (
        "Was the lesion treated? <b>yes</b>" in ui.liradsLabel.text and "No category" in ui.liradsLabel.text
    )
    say(case, "atRiskBox", "no")
    assert not ui.apheBox.visible and not ui.liradsNoteButton.visible


def test_how_often_classes_are_met_is_shown_and_goes_along_when_changed(desk: Desk) -> None:
    from LiverLesionAILib.analysis.settings import Settings

    add_volume("CT")
    desk.turn()
    assert "metastasis 0.56, cyst 0.21" in desk.ui.priorsLabel.text
    assert "Counted by Bruneton 1995; assumed: sparing, perfusion, HCC, FNH." in desk.ui.priorsLabel.text
    assert "metastases 58.2 %" in desk.ui.priorsLabel.toolTip
    assert "class_priors" not in desk.panel.settings(), "the page of rules states them"
    desk.ui.settingSelector.currentIndex = list(ClassSetting).index(ClassSetting.AT_RISK)
    desk.turn()
    assert desk.ui.priorsLabel.text.startswith("Taken to be met so often: benign other 0.36, HCC 0.29")
    assert "Counted by Forner 2008 and Park 2010; assumed: metastasis, cyst" in desk.ui.priorsLabel.text
    priors = Settings.from_json({"class_priors": desk.panel.settings()["class_priors"]}).class_priors
    assert priors is not None and dict(priors)["HCC"] == 0.289
    desk.panel.parameters.classSetting = ClassSetting.STAGING


def _of(value: Any) -> Any:
    """The stand-in has Qt's properties as PythonQt does; a plain PySide label has methods."""
    return value() if callable(value) else value


def test_no_line_is_cut_off_whatever_is_open(case: Desk) -> None:
    """As high as a scroll area makes the panel every label has room for its wrapped text, LI-RADS' too."""
    from PySide6.QtWidgets import QLabel

    for name in (n for n in dir(case.ui) if n.endswith("Section")):
        getattr(case.ui, name).collapsed = False
    case.panel.refresh()
    case.panel.select(case.panel.case.rows[0].segment_id)
    case.turn()
    say(case, "atRiskBox", "yes")
    case.ui.ageBox.value = 61
    say(case, "vascularBox", "no")
    assert "2. " in case.ui.liradsLabel.text, "its steps are among them"
    assert case.window.layout().totalMinimumSize().width() <= WIDTH, "nothing has to be scrolled sideways"
    case.window.resize(WIDTH, wanted_height(case))
    case.turn(0.1)
    cut = [
        (label.objectName(), height, wanted)
        for label in case.window.findChildren(QLabel)
        for height, wanted in [(_of(label.height), label.heightForWidth(_of(label.width)))]
        if label.isVisible() and _of(label.wordWrap) and height < wanted
    ]
    assert cut == []
