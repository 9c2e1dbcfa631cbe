"""Maps in the panel: of single lesions, with bars beside them, and their legend."""

from __future__ import annotations

import numpy as np
import pytest
from support.boxes_desk import boxes_desk, five_found
from support.desk import Desk

pytest.importorskip("PySide6")


@pytest.fixture(scope="module")
def shared():
    yield from boxes_desk()


@pytest.fixture
def case(desk, monkeypatch):
    return five_found(desk, monkeypatch)


def foreground(desk: Desk):
    composite = desk.scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    return desk.scene.GetNodeByID(composite.GetForegroundVolumeID() or "none")


class TestMaps:
    def test_maps_of_single_lesions_follow_the_selection(self, case):
        import slicer

        box = case.ui.mapSelector
        names = [box.itemText(k) for k in range(box.count)]
        assert names == ["tumour probability", "Grad-CAM", "Semantic gate", "liver probability"]
        case.ui.mapBox.checked = True
        box.currentIndex = 1
        case.choose()
        case.turn()
        assert foreground(case) is None
        assert "select a lesion" in case.ui.mapMeaning.text
        for row_index, number in ((0, 1), (2, 3), (4, 5)):
            case.choose(row_index)
            case.turn()
            shown = foreground(case)
            assert shown.GetAttribute("LiverLesionAI.Map") == "Grad-CAM"
            # The scripted map is 3 where its lesion is.
            truth = slicer.util.arrayFromVolume(case.panel.case.volume) == 1000 + number
            assert np.allclose(slicer.util.arrayFromVolume(shown), 3.0 * truth, atol=1e-3)
            assert "Range 0 to 3 logit" in case.ui.mapMeaning.text
        case.choose(3)
        case.turn()
        assert foreground(case) is None
        assert "There is none for Lesion 4" in case.ui.mapMeaning.text

    def test_the_numbers_beside_a_map_are_bars(self, case):
        assert not case.ui.mapBars.visible
        case.ui.mapSelector.currentIndex = 2
        case.turn()
        assert case.ui.mapSelector.currentText == "Semantic gate"
        assert case.ui.mapBars.visible
        text = case.ui.mapBars.text
        widths = [int(part.split('"')[0]) for part in text.split('<td width="')[1:]][::2]
        assert widths == [35, 70]
        assert text.index("level 1") < text.index("0.25") < text.index("level 2") < text.index("0.50")
        case.ui.overlaysSection.click()
        case.ui.overlaysSection.click()
        case.turn(0.02)
        assert case.ui.mapBars.visible
        case.ui.mapSelector.currentIndex = 0
        case.turn()
        assert not case.ui.mapBars.visible

    def test_the_legend_has_name_range_and_unit(self, case):
        import slicer

        case.ui.mapBox.checked = True
        case.ui.mapSelector.currentIndex = 1
        case.choose(0)
        case.turn()
        legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(foreground(case))
        assert legend.GetVisibility()
        assert legend.GetTitleText() == "Grad-CAM [logit]"
        display = foreground(case).GetDisplayNode()
        assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0.0, 3.0)
        case.ui.legendBox.click()
        case.turn()
        assert not legend.GetVisibility()

    def test_a_faint_lesions_map_waits_for_it(self, case):
        case.ui.thresholdSlider.value = 0.6
        case.turn()
        case.analyze()
        case.ui.thresholdSlider.value = 0.3
        case.turn()
        case.ui.mapBox.checked = True
        case.ui.mapSelector.currentIndex = 1
        for index, now in enumerate(case.panel.case.rows):
            if now.model_class != "indeterminate":
                case.choose(index)
                case.turn()
                assert foreground(case).GetAttribute("LiverLesionAI.Segment") == now.segment_id

    def test_families(self):
        from LiverLesionAILib.case.description import map_family

        assert map_family("Grad-CAM, lesion 12") == "Grad-CAM"
        assert map_family("Grad-CAM (lesion 3)") == "Grad-CAM"
        assert map_family("Spatial attention of lesion 3") == "Spatial attention"
        assert map_family("Lesion attention") == "Lesion attention"
