"""Which scan is the prior in the panel, and priors that do not belong."""

from __future__ import annotations

import numpy as np
import pytest
from support.desk import add_volume, truth_array
from support.follow_up_desk import follow_up_array

pytest.importorskip("PySide6")


def test_a_scan_beside_itself_and_one_without_a_liver_are_told(desk):
    array = truth_array()
    array[array >= 1000] = 40
    now, empty = add_volume("May"), add_volume("Empty", array)
    twin = add_volume("Twin")
    desk.turn()
    parameters = desk.panel.parameters
    parameters.inputVolume = now
    desk.turn()
    parameters.priorVolume = empty
    desk.turn()
    desk.analyze()
    assert "no liver" in desk.ui.priorStateLabel.text
    assert desk.ui.recistLabel.text == ""
    parameters.priorVolume = twin
    desk.turn()
    desk.analyze()
    assert "same scan" in desk.ui.priorStateLabel.text
    parameters.priorVolume = None
    desk.turn()
    assert not desk.ui.followUpSection.visible


def test_a_case_folder_is_a_prior_with_its_reader(desk, tmp_path):
    from LiverLesionAILib.case.store import save_result
    from LiverLesionAILib.stages.followup.register import reduced_ct
    from support.results import measured_result

    result = measured_result()
    hu = np.full(result.geometry.shape_zyx, 60, np.int16)
    coarse = reduced_ct(hu, result.liver_zyx, result.geometry)
    save_result(measured_result(reduced_ct=coarse), tmp_path / "case")
    desk.panel.prior._choose = lambda parent: str(tmp_path / "case")
    add_volume("May")
    desk.turn()
    desk.panel.prior.open_case()
    desk.turn()
    prior = desk.panel.parameters.priorVolume
    assert prior is not None and prior.GetName() == "Patient 7, portal venous"
    desk.panel.prior._choose = lambda parent: str(tmp_path)
    desk.panel.prior.open_case()
    assert desk.panel.parameters.priorVolume is prior and "case" in desk.message()


def test_another_patient_another_phase_and_a_later_prior_are_told(desk):
    from LiverLesionAILib.case.attributes import ATTR_PHASE
    from LiverLesionAILib.review.case_view import read_case

    array = np.full((24, 40, 48), 40, np.int16)
    array[2:22, 4:36, 4:40] = 1000
    array[2:22, 10:36, 10:34] = 40
    array[3:6, 5:9, 20:26] = 1001
    now, other, late = add_volume("May"), add_volume("Someone", array), add_volume("June", follow_up_array())
    desk.turn()
    parameters = desk.panel.parameters
    for volume in (other, late, now):
        parameters.inputVolume = volume
        desk.turn()
        desk.analyze()
    parameters.priorVolume = other
    desk.turn()
    desk.until(desk.idle)
    desk.turn()
    assert "do not fit" in desk.ui.priorStateLabel.text and "same patient" in desk.ui.priorStateLabel.text
    assert not desk.ui.besideButton.enabled, "what is not in line is not linked"
    assert desk.ui.recistLabel.text == ""
    for volume, phase in ((late, "arterial"), (now, "portal venous")):
        read_case(desk.scene, volume).table.SetAttribute(ATTR_PHASE, phase)
    parameters.priorVolume = late
    desk.turn()
    desk.until(desk.idle)
    desk.ui.priorDayEdit.text, desk.ui.currentDayEdit.text = "2026-06-01", "2026-05-01"
    desk.ui.currentDayEdit.editingFinished.emit()
    desk.turn()
    said = desk.ui.priorStateLabel.text
    assert "looks arterial, the current one portal venous" in said and "younger" in said
    assert "by the phase alone" in said
