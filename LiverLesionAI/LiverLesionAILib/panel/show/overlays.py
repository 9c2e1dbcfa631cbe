"""Switches masks, boxes, diameters, surfaces and maps on and off, as the parameters say."""

from __future__ import annotations

import slicer

from ...case.description import PROBABILITY
from ...review.case_view import CaseView, box_id
from ...scene import nodes
from ...stages.explain.mscd_point import POINT_MAP
from ..choices import MapColours, MaskStyle
from ..parameters import PanelParameters

LEGEND_FONT = 10
FIRST_MAP = f"tumour {PROBABILITY}"


def apply_overlays(scene: slicer.vtkMRMLScene, case: CaseView, parameters: PanelParameters) -> None:
    """Make the scene's display nodes agree with the panel's switches; untouched ones are not modified."""
    visible = not parameters.allHidden
    _show_segments(case, parameters, visible)
    hidden = {row.segment_id for row in case.rows if not row.status.counts}
    listed = {row.segment_id for row in case.rows}
    for group, shown in ((case.boxes, parameters.showBoxes), (case.axes, parameters.showAxes)):
        for node in group:
            display = node.GetDisplayNode()
            if display is None:
                continue
            owner = node.GetAttribute(nodes.ATTR_SEGMENT) or ""
            wanted = shown
            if nodes.is_box_only(node):
                # Nothing else shows where such a lesion is: its box is seen while it is selected.
                owner = box_id(node)
                wanted = owner in listed and (shown or owner == parameters.selectedSegment)
            display.SetVisibility(visible and wanted and owner not in hidden)
            if node.IsA("vtkMRMLMarkupsROINode"):
                display.SetPropertiesLabelVisibility(True)
    show_map(scene, case, parameters)


def _show_segments(case: CaseView, parameters: PanelParameters, visible: bool) -> None:
    if case.segmentation is None or case.segmentation.GetDisplayNode() is None:
        return
    display = case.segmentation.GetDisplayNode()
    was = display.StartModify()
    try:
        display.SetVisibility(True)
        masks = visible and parameters.showMasks
        display.SetVisibility2DFill(masks and parameters.maskStyle is not MaskStyle.OUTLINE)
        display.SetVisibility2DOutline(masks and parameters.maskStyle is not MaskStyle.FILL)
        display.SetVisibility3D(visible and parameters.show3d)
        for row in case.rows:
            if row.box_only:
                continue
            display.SetSegmentVisibility(row.segment_id, row.status.counts)
    finally:
        display.EndModify(was)


def chosen_map(case: CaseView, name: str, selected: str = "") -> slicer.vtkMRMLScalarVolumeNode | None:
    """The map of this name; of a family of maps, one for each lesion, that of the selected lesion."""
    for node in case.maps:
        if family := node.GetAttribute(nodes.ATTR_FAMILY):
            if family == name and selected and node.GetAttribute(nodes.ATTR_SEGMENT) == selected:
                return node
        elif node.GetAttribute(nodes.ATTR_MAP) == name:
            return node
    return None


def map_names(case: CaseView) -> list[str]:
    """What can be chosen, maps and families of maps: the tumour's probability first, as it is what the masks
    come from, then where the networks looked, then other probabilities."""
    names = {
        node.GetAttribute(nodes.ATTR_FAMILY) or node.GetAttribute(nodes.ATTR_MAP) or node.GetName()
        for node in case.maps
    }
    return sorted(names, key=lambda name: (name != FIRST_MAP, name.endswith(PROBABILITY), name))


def is_family(case: CaseView, name: str) -> bool:
    """Whether this name stands for a map of each lesion."""
    return any(node.GetAttribute(nodes.ATTR_FAMILY) == name for node in case.maps)


def map_range(node: slicer.vtkMRMLScalarVolumeNode) -> tuple[float, float]:
    """Smallest and largest value the map's colours stand for."""
    display = node.GetDisplayNode()
    return float(display.GetWindowLevelMin()), float(display.GetWindowLevelMax())


def show_map(scene: slicer.vtkMRMLScene, case: CaseView, parameters: PanelParameters) -> None:
    """Put the chosen map over the CT, or take every map of this case away."""
    wanted = chosen_map(case, parameters.mapName, parameters.selectedSegment)
    shown = wanted if parameters.showMap and not parameters.allHidden else None
    ours = {node.GetID() for node in case.maps}
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLSliceCompositeNode")):
        composite = scene.GetNthNodeByClass(index, "vtkMRMLSliceCompositeNode")
        if shown is not None:
            composite.SetForegroundVolumeID(shown.GetID())
            composite.SetForegroundOpacity(parameters.mapOpacity)
        elif composite.GetForegroundVolumeID() in ours:
            composite.SetForegroundVolumeID(None)
    for node in case.maps:
        if node.GetDisplayNode() is None:
            continue
        if node is shown:
            _style_map(scene, node, parameters.mapThreshold, parameters.mapColours)
        _show_legend(node, node is shown and parameters.showLegend)
    of_point = shown is not None and POINT_MAP in (shown.GetAttribute(nodes.ATTR_MAP) or "")
    for point in case.points:
        if point.GetDisplayNode() is not None:
            point.GetDisplayNode().SetVisibility(of_point)


def _style_map(
    scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLScalarVolumeNode, share: float, colours: MapColours
) -> None:
    display = node.GetDisplayNode()
    low, high = map_range(node)
    was = display.StartModify()
    try:
        for node_id in colours.node_ids:
            if scene.GetNodeByID(node_id) is not None:
                display.SetAndObserveColorNodeID(node_id)
                break
        display.SetApplyThreshold(True)
        display.SetThreshold(low + share * (high - low), high)
    finally:
        display.EndModify(was)


def _show_legend(node: slicer.vtkMRMLScalarVolumeNode, shown: bool) -> None:
    logic = getattr(slicer, "vtkSlicerColorLogic", None)
    if logic is None:
        return
    legend = logic.GetColorLegendDisplayNode(node)
    if legend is None and shown:
        legend = logic.AddDefaultColorLegendDisplayNode(node)
        if legend is not None:
            legend.SetTitleText(legend_title(node))
            legend.SetLabelFormat("%.2f")
            legend.SetUseColorNamesForLabels(False)
            legend.SetSize(0.1, 0.35)
            legend.GetTitleTextProperty().SetFontSize(LEGEND_FONT)
            legend.GetLabelTextProperty().SetFontSize(LEGEND_FONT)
    if legend is not None:
        legend.SetVisibility(shown)


def legend_title(node: slicer.vtkMRMLScalarVolumeNode) -> str:
    """The map's name with its unit, where the name does not say it already."""
    unit = node.GetAttribute(nodes.ATTR_UNIT)
    name = node.GetAttribute(nodes.ATTR_MAP) or node.GetName()
    return f"{name} [{unit}]" if unit and not name.endswith(unit) else name
