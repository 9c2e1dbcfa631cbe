"""The panel driven by clicks in the stand-in for the Slicer desktop.

Run, progress, cancel, and what can go wrong.
"""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from support.desk import Desk, add_volume, truth_array

pytest.importorskip("PySide6")


@pytest.fixture
def desk(request, shared):
    """The shared desk, cleared; with another worker for a test that says how its worker behaves."""
    mode = getattr(request, "param", "")
    shared.fresh()
    if mode:
        hire(shared, mode)
    yield shared
    if mode:
        shared.queue_idle()
        hire(shared, "truth")


def hire(desk: Desk, mode: str) -> None:
    """Let the next analysis start a worker of this kind."""
    client = desk.panel.queue._client
    desk.until(lambda: not client.busy, 5)
    client.stop()
    client._command = Desk.command(mode)
    desk.widget.exit()
    desk.widget.enter()
    desk.turn()


def node_count(desk: Desk) -> int:
    return desk.scene.GetNumberOfNodes()


def rows(desk: Desk) -> int:
    return desk.ui.findingsTable.model().rowCount()


def cell(desk: Desk, row: int, column: int):
    model = desk.ui.findingsTable.model()
    return model.data(model.index(row, column))


def worker_pid(desk: Desk) -> int:
    return desk.panel.queue._client._pid


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_an_empty_scene_says_what_to_do(desk):
    desk.turn()
    assert desk.ui.inputSelector.currentNode() is None
    desk.ui.analyzeButton.click()
    assert "Load a CT" in desk.message()
    assert rows(desk) == 0
    assert desk.idle()


def test_five_clicks_from_volume_to_findings(desk):
    volume = add_volume("Patient A")
    desk.turn()
    assert desk.ui.inputSelector.currentNode() is volume
    desk.ui.analyzeButton.click()
    assert desk.ui.analyzeButton.text == "Cancel"
    assert desk.ui.progressBar.visible
    seen = set()
    desk.until(lambda: seen.add(desk.ui.stageLabel.text) or desk.idle())
    desk.turn()
    assert any("looking for" in text.lower() or "Locate the liver" in text for text in seen), seen
    assert all(text.startswith("Patient A: ") for text in seen if text)
    assert desk.ui.analyzeButton.text == "Analyze"
    assert not desk.ui.progressBar.visible
    assert rows(desk) == 3
    assert "3 lesions" in desk.ui.summaryLabel.text
    assert [cell(desk, r, 0) for r in range(3)] == ["1", "2", "3"]
    assert cell(desk, 0, 1) == "HCC"
    assert float(cell(desk, 0, 5)) == pytest.approx(10 * 12 * 14 * 2.5 * 1.5 * 1.5 / 1000, abs=0.06)
    case = desk.panel.case
    assert case.segmentation.GetSegmentation().GetNumberOfSegments() == 4
    assert [row.place.box is not None for row in case.rows] == [True] * 3
    # One box, two lines, one model and one list of numbers, however many lesions there are.
    assert desk.scene.GetNumberOfNodesByClass("vtkMRMLMarkupsNode") == 4
    assert desk.scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 1
    assert case.marks.labels.GetNumberOfControlPoints() == 3
    assert case.table.GetNumberOfRows() == 3


def test_the_selected_row_moves_the_views(desk):
    import slicer

    add_volume()
    desk.turn()
    desk.analyze()
    red = desk.scene.GetNodeByID("vtkMRMLSliceNodeRed")
    assert isinstance(red, slicer.vtkMRMLSliceNode)
    offsets = []
    for _ in range(3):
        desk.ui.nextButton.click()
        desk.turn()
        offsets.append(round(red.GetSliceOffset(), 1))
    # Lesion k spans these slices; the view shows its middle (or its longest axis' slice) within it.
    for offset, (low, high) in zip(offsets, ((4, 14), (15, 20), (6, 9)), strict=True):
        assert 100 + 2.5 * low - 1.25 <= offset <= 100 + 2.5 * high
    assert desk.panel.parameters.selectedSegment == "lesion_3"
    desk.ui.previousButton.click()
    desk.turn()
    assert round(red.GetSliceOffset(), 1) == offsets[1]
    camera = desk.scene.GetNodeByID("vtkMRMLCameraNode1")
    assert camera.GetFocalPoint()[2] == pytest.approx(red.GetSliceOffset(), abs=5)


def test_a_second_case_finds_the_worker_warm(desk):
    add_volume("one")
    desk.turn()
    desk.analyze()
    pid = worker_pid(desk)
    second = add_volume("two")
    desk.ui.inputSelector.setCurrentNode(second)
    desk.turn()
    assert rows(desk) == 0
    desk.analyze()
    assert worker_pid(desk) == pid
    assert rows(desk) == 3


def test_several_volumes_run_one_after_the_other(desk):
    volumes = [add_volume(f"CT {k}") for k in range(3)]
    desk.turn()
    desk.ui.queueButton.menu().aboutToShow.emit()
    actions = {action.text: action for action in desk.ui.queueButton.menu().actions()}
    actions["Add all 3 CTs of the scene"].trigger()
    assert "2 more waiting" in desk.ui.stageLabel.text
    desk.until(desk.idle)
    for volume in volumes:
        desk.ui.inputSelector.setCurrentNode(volume)
        desk.turn()
        assert rows(desk) == 3


@pytest.mark.parametrize("desk", ["slow", "deaf"], indirect=True)
def test_cancel_leaves_the_scene_as_before(desk):
    """Also where the worker does not listen: it is given less than two seconds, then it is ended."""
    from LiverLesionAILib.panel.run import worker_client

    assert worker_client.CANCEL_PATIENCE_MS + worker_client.QUIT_PATIENCE_MS < 2000
    add_volume()
    desk.turn()
    before = node_count(desk)
    desk.ui.analyzeButton.click()
    desk.until(lambda: "Segment" in desk.ui.stageLabel.text or "Locate" in desk.ui.stageLabel.text)
    desk.ui.analyzeButton.click()
    # The one that does not listen would go on for 60 s.
    desk.until(desk.idle, 30)
    assert "cancelled" in desk.message()
    assert node_count(desk) == before
    assert rows(desk) == 0


@pytest.mark.parametrize("desk", ["truth"], indirect=True)
def test_after_a_hard_cancel_the_next_analysis_runs(desk):
    hire(desk, "deaf")
    add_volume()
    desk.turn()
    desk.ui.analyzeButton.click()
    desk.until(lambda: "Segment" in desk.ui.stageLabel.text)
    pid = worker_pid(desk)
    desk.ui.analyzeButton.click()
    desk.until(desk.idle)
    desk.until(lambda: not alive(pid), 5)
    hire(desk, "truth")
    desk.analyze()
    assert rows(desk) == 3


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("desk", ["slow"], indirect=True)
def test_a_killed_worker_is_told_and_replaced(desk):
    add_volume()
    desk.turn()
    before = node_count(desk)
    desk.ui.analyzeButton.click()
    desk.until(lambda: "Locate" in desk.ui.stageLabel.text)
    pid = worker_pid(desk)
    os.kill(pid, signal.SIGKILL)
    desk.until(desk.idle)
    assert "ended from outside" in desk.message()
    assert "click Analyze again" in desk.message()
    assert node_count(desk) == before
    hire(desk, "truth")
    desk.analyze()
    assert rows(desk) == 3
    assert worker_pid(desk) != pid


@pytest.mark.parametrize(
    ("desk", "words"),
    [
        ("bad input", "choose a CT"),
        ("memory", "Memory ran out"),
        ("crash", "log below"),
        ("killed", "ended from outside"),
        ("disk", "disk"),
    ],
    indirect=["desk"],
)
def test_failures_are_told_in_the_panel(desk, words):
    add_volume("CT")
    desk.turn()
    before = node_count(desk)
    desk.analyze()
    assert words in desk.message()
    assert desk.message().startswith("CT: ")
    assert "Traceback" not in desk.message()
    assert node_count(desk) == before


@pytest.mark.parametrize("desk", ["truth"], indirect=True)
def test_a_missing_program_is_told(desk):
    from LiverLesionAILib.panel.run.worker_client import WorkerCommand

    desk.panel.queue._client.stop()
    desk.panel.queue._client._command = WorkerCommand("/nowhere/PythonSlicer", (), "")
    add_volume()
    desk.turn()
    desk.analyze()
    assert "could not be started: /nowhere/PythonSlicer is missing" in desk.message()


def test_a_slicer_without_its_python_is_named_in_full(tmp_path, monkeypatch):
    from LiverLesionAILib.panel.run import worker_client

    monkeypatch.setattr(worker_client.shutil, "which", lambda name: None)
    expected = str(tmp_path / "bin" / "PythonSlicer")
    assert worker_client.python_program(str(tmp_path), "") == expected
    assert worker_client.python_program(str(tmp_path), "/usr/bin/python3") == "/usr/bin/python3"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "PythonSlicer").touch()
    assert worker_client.python_program(str(tmp_path), "/usr/bin/python3") == expected


@pytest.mark.parametrize("desk", ["slow"], indirect=True)
def test_the_volume_is_deleted_while_it_is_analysed(desk):
    volume = add_volume("gone")
    desk.turn()
    desk.ui.analyzeButton.click()
    desk.until(lambda: "Locate" in desk.ui.stageLabel.text)
    desk.scene.RemoveNode(volume)
    desk.until(desk.idle)
    assert "deleted" in desk.message()
    desk.turn(0.1)
    other = add_volume("other")
    desk.turn()
    desk.ui.inputSelector.setCurrentNode(other)
    hire(desk, "truth")
    desk.analyze()
    assert rows(desk) == 3


@pytest.mark.parametrize("desk", ["slow"], indirect=True)
def test_the_scene_is_closed_while_it_is_analysed(desk):
    add_volume("one")
    add_volume("two")
    desk.turn()
    desk.ui.analyzeButton.click()
    desk.until(lambda: "Locate" in desk.ui.stageLabel.text)
    desk.scene.Clear(False)
    desk.until(desk.idle)
    desk.turn(0.1)
    assert "scene was closed" in desk.message()
    assert rows(desk) == 0
    add_volume("new")
    desk.turn()
    hire(desk, "truth")
    desk.analyze()
    assert rows(desk) == 3


def test_a_case_without_lesions_says_so(desk):
    array = truth_array()
    array[array > 1000] = 1000
    add_volume("healthy", array)
    desk.turn()
    desk.analyze()
    assert "No lesion above the threshold" in desk.message()
    assert "no lesion" in desk.ui.summaryLabel.text


def test_leaving_the_module_lets_the_analysis_go_on(desk):
    add_volume()
    desk.turn()
    desk.ui.analyzeButton.click()
    desk.widget.exit()
    desk.until(desk.idle)
    desk.widget.enter()
    desk.turn()
    assert rows(desk) == 3


@pytest.mark.parametrize("desk", ["prints"], indirect=True)
def test_prints_of_libraries_land_in_the_log(desk):
    add_volume()
    desk.turn()
    desk.analyze()
    assert rows(desk) == 3
    desk.until(lambda: "a library prints" in desk.ui.logText.plainText)


@pytest.mark.parametrize("desk", ["truth"], indirect=True)
def test_a_missing_torch_shows_a_button(desk, monkeypatch):
    from LiverLesionAILib.panel.run import run_panel

    monkeypatch.setattr(run_panel, "torch_is_there", lambda: False)
    desk.widget.enter()
    add_volume()
    desk.turn()
    assert desk.ui.installButton.visible
    assert not desk.ui.analyzeButton.enabled
    assert "missing" in desk.ui.deviceLabel.text
    monkeypatch.setattr(run_panel, "install_torch", lambda: (False, "no network: do this"))
    desk.ui.installButton.click()
    assert "no network" in desk.message()
    monkeypatch.setattr(run_panel, "torch_is_there", lambda: True)
    monkeypatch.setattr(run_panel, "install_torch", lambda: (True, "PyTorch is installed."))
    desk.ui.installButton.click()
    desk.until(lambda: "PyTorch 2.7.0" in desk.ui.deviceLabel.text)
    assert not desk.ui.installButton.visible
    assert desk.ui.analyzeButton.enabled


def test_the_sample_button_loads_a_case_and_takes_it_again(desk):
    desk.turn()
    desk.ui.sampleButton.click()
    # At once: no process is asked, no turn of the event loop waited for.
    assert desk.ui.inputSelector.currentNode() is not None
    desk.turn()
    volume = desk.ui.inputSelector.currentNode()
    assert volume.GetName() == "Sample CT"
    assert "Click Analyze" in desk.message()
    red = desk.scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert red.GetBackgroundVolumeID() == volume.GetID()
    desk.ui.sampleButton.click()
    desk.turn()
    assert desk.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1


def test_a_damaged_sample_is_told(desk, monkeypatch, tmp_path):
    monkeypatch.setattr("LiverLesionAILib.case.sample.sample_folder", lambda: tmp_path)
    desk.ui.sampleButton.click()
    assert "Install the extension again" in desk.message()
    assert desk.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda node: node.SetAndObserveImageData(None), "no voxels"),
        (lambda node: node.SetIJKToRASDirections(1, 0.4, 0, 0, 1, 0, 0, 0, 1), "straight grid"),
    ],
)
def test_a_volume_that_cannot_be_handed_over_is_refused(desk, prepare, words):
    volume = add_volume("bad")
    prepare(volume)
    desk.turn()
    desk.analyze()
    assert words in desk.message()


def test_no_liver_says_so(desk):
    add_volume("head", truth_array().clip(max=40))
    desk.turn()
    desk.analyze()
    assert "No liver was found" in desk.message()
    assert desk.ui.summaryLabel.text == "No liver was found."
    assert rows(desk) == 0
    desk.ui.nextButton.click()
    desk.ui.hideAllButton.click()
    desk.turn()


@pytest.mark.parametrize("desk", ["truth"], indirect=True)
def test_the_device_line_shows_memory_and_what_is_wrong_with_the_gpu(desk):
    desk.until(lambda: "free" in desk.ui.deviceLabel.text)
    assert "12.3 of 16 GB free" in desk.ui.deviceLabel.text
    desk.panel.run.worker_info(
        {
            "torch_version": "2.7.0",
            "line": "CPU: 4 cores, 12 of 16 GB free",
            "problem": "The GPU cannot be used: its driver is too old.",
        }
    )
    assert "driver is too old" in desk.ui.deviceLabel.text
    assert desk.ui.analyzeButton.enabled


def test_the_log_is_behind_a_disclosure(desk):
    add_volume()
    desk.turn()
    desk.analyze()
    assert not desk.ui.logText.visible
    desk.ui.logSection.click()
    desk.turn()
    assert desk.ui.logText.visible
    assert "CT: done." in desk.ui.logText.plainText


@pytest.mark.parametrize("desk", ["no network"], indirect=True)
def test_installing_without_a_network_says_what_to_do(desk, monkeypatch):
    import slicer
    from LiverLesionAILib.panel.run import torch_install

    def fails(*_args):
        raise RuntimeError("Could not find a version that satisfies torch")

    monkeypatch.setattr(slicer.util, "pip_install", fails, raising=False)
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_a, **_k: True, raising=False)
    done, text = torch_install.install_torch()
    assert not done
    assert "Could not find a version" in text
    assert "download the torch wheel" in text


def test_a_volume_that_lies_otherwise_than_its_file_says_is_named_before_it_is_analysed(desk, tmp_path):
    """As Slicer's reader may settle a header that contradicts itself."""
    import slicer
    from LiverLesionAILab.fuzz.writers import nifti
    from LiverLesionAILib.scene.ras import volume_geometry

    volume = add_volume("Mirrored")
    geometry = volume_geometry(volume)
    matrix = geometry.ijk_to_ras @ np.diag([-1.0, 1, 1, 1])
    sizes = (1.0, *geometry.spacing_zyx_mm[::-1], 0, 0, 0, 0)
    values = np.zeros(geometry.shape_zyx, np.int16)
    (tmp_path / "ct.nii").write_bytes(nifti(values, qform_code=0, srow=matrix[:3], pixdim=sizes))
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(tmp_path / "ct.nii"))
    desk.scene.AddNode(storage)
    volume.SetAndObserveStorageNodeID(storage.GetID())
    desk.turn()
    desk.ui.analyzeButton.click()
    assert "mirror image" in desk.message()
    assert "ct.nii" in desk.message()
    assert any("mirror image" in sentence for sentence in desk.panel.queue.current.warnings)
    desk.until(desk.idle)
    # The same volume as the second phase of another one.
    first = add_volume("First")
    desk.panel.run._add(first, volume)
    assert any(text.startswith("Second phase: ") for text in desk.panel.queue.current.warnings)
    desk.until(desk.idle)


def test_a_report_before_the_analysis_is_refused(desk, tmp_path):
    from LiverLesionAILib.support.errors import InputError

    volume = add_volume("CT")
    desk.turn()
    with pytest.raises(InputError, match="Click Analyze"):
        desk.module.LiverLesionAILogic().writeReport(volume, tmp_path)
    assert not list(tmp_path.iterdir())


def test_without_findings_there_is_nothing_to_report(desk):
    add_volume("CT")
    desk.turn()
    assert not desk.ui.reportButton.enabled
    assert not desk.ui.copyTextButton.enabled
    assert desk.ui.importButton.enabled
