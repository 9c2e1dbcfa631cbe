"""The sample case in Slicer's module *Sample Data*, in the stand-in."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="PySide6 is not installed")
import slicer
from LiverLesionAILib.case.sample import load_sample
from LiverLesionAILib.reading import read_ct
from support.slicer_desktop import sample_data


@pytest.fixture
def source(desk, monkeypatch):
    """The one entry that the module makes at startup, the application having announced it twice."""
    monkeypatch.setitem(sys.modules, "SampleData", sample_data.install())
    monkeypatch.setattr(slicer.modules, "sampleDataSources", {}, raising=False)
    for _ in range(2):
        desk.module.LiverLesionAI(types.SimpleNamespace())
        assert "SampleData" in sys.modules
        slicer.app.startupCompleted()
    (entry,) = slicer.modules.sampleDataSources["Liver Lesion AI"]
    return entry


def test_nothing_is_listed_before_all_modules_are_loaded(desk, monkeypatch):
    monkeypatch.setitem(sys.modules, "SampleData", sample_data.install())
    monkeypatch.setattr(slicer.modules, "sampleDataSources", {}, raising=False)
    desk.module.LiverLesionAI(types.SimpleNamespace())
    assert not slicer.modules.sampleDataSources
    slicer.app.startupCompleted()
    assert len(slicer.modules.sampleDataSources) == 1


def test_its_button_loads_the_ct_into_the_views_once(desk, source):
    source.click()
    source.click()
    volume = desk.scene.GetFirstNodeByName("Sample CT")
    assert desk.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 1
    assert np.array_equal(slicer.util.arrayFromVolume(volume), load_sample().volume.hu_zyx)
    red = desk.scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert red.GetBackgroundVolumeID() == volume.GetID()
    # The panel's own button takes the same one.
    desk.ui.sampleButton.click()
    desk.turn()
    assert desk.ui.inputSelector.currentNode() is volume


def test_a_script_gets_the_same_ct_as_a_file(source, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_data.SampleDataLogic, "cache", str(tmp_path))
    path = sample_data.SampleDataLogic().downloadFile(source)
    ct, sample = read_ct(path), load_sample().volume
    assert np.array_equal(ct.hu_zyx, sample.hu_zyx)
    assert ct.geometry.matches(sample.geometry)


def test_its_thumbnail_has_the_size_that_the_module_shows(source):
    with open(source.thumbnailFileName, "rb") as file:
        head = file.read(24)
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(head[at : at + 4], "big") for at in (16, 20))
    assert (width, height) == (260, 280)


def test_a_damaged_installation_is_told(desk, source, monkeypatch, tmp_path):
    said = []
    monkeypatch.setattr(slicer.util, "errorDisplay", said.append)
    monkeypatch.setattr("LiverLesionAILib.case.sample.sample_folder", lambda: tmp_path)
    source.click()
    assert "Install the extension again" in said[0]
    assert desk.scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
