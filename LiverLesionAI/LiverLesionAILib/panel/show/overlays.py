"""Switches masks, boxes, diameters, surfaces and maps on and off, as the parameters say."""

from __future__ import annotations

import slicer

from ...case.description import PROBABILITY, TUMOUR_PROBABILITY
from ...review.case_view import CaseView
from ...scene import nodes
from ...scene.map_stack import lesion_map_steps, read_entries
from ...scene.marks import Shown, draw_marks
from ...scene.ras import volume_geometry
from ...stages.explain.mscd_point import POINT_MAP
from ...support.steps import finish
from ..choices import MapColours, MaskStyle
from ..parameters import PanelParameters
from .views import is_prior_view

LEGEND_FONT = 10


def apply_overlays(scene: slicer.vtkMRMLScene, case: CaseView, parameters: PanelParameters) -> None:
    """Make the scene's display nodes agree with the panel's switches; untouched ones are not modified."""
    visible = not parameters.allHidden
    _show_segments(case, parameters, visible)
    if case.marks is not None:
        shown = Shown(
            boxes=parameters.showBoxes,
            axes=parameters.showAxes,
            labels=parameters.showNumbers,
            selected=parameters.selectedSegment,
            # A map's legend stands where a long text would reach.
            names=not (parameters.showMap and parameters.showLegend),
            doubtful_lps=tuple(place.centre_lps for place in case.doubtful)
            if visible and parameters.showDoubtful
            else (),
        )
        marks = case.drawn() if visible else []
        draw_marks(case.marks, marks, shown, volume_geometry(case.volume))
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
    """The map of this name; one of a kind that each lesion has, where it shows the selected lesion's."""
    for node in case.maps:
        if node.GetAttribute(nodes.ATTR_MAP) == name:
            of_lesion = bool(node.GetAttribute(nodes.ATTR_FAMILY))
            return node if not of_lesion or node.GetAttribute(nodes.ATTR_SEGMENT) == selected != "" else None
    return None


def fill_lesion_maps(case: CaseView, selected: str) -> None:
    """Let the volume of each kind show the selected lesion's map, where it has one."""
    if not selected or case.stack is None:
        return
    kinds = {node.GetAttribute(nodes.ATTR_FAMILY): node for node in case.maps}
    for entry in read_entries(case.stack):
        node = kinds.get(entry.kind)
        if entry.row_id != selected or node is None or node.GetAttribute(nodes.ATTR_SEGMENT) == selected:
            continue
        name = case.volume.GetName()
        image, described = finish(lesion_map_steps(case.stack.GetImageData(), entry, name))
        nodes.fill_map(node, described, image)


def map_names(case: CaseView) -> list[str]:
    """What can be chosen, maps and kinds of maps.

    The tumour's probability first, as it is what the masks come from, then where the networks looked, then
    other probabilities.
    """
    names = {node.GetAttribute(nodes.ATTR_MAP) or node.GetName() for node in case.maps}
    return sorted(names, key=lambda name: (name != TUMOUR_PROBABILITY, name.endswith(PROBABILITY), name))


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
        if is_prior_view(composite):
            continue
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
