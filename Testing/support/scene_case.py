"""A small case in a scene: its segments, what a reader does to them, and all that a scene holds."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from LiverLesionAILib.case import terminology as terms
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.scene import segments as scene_segments
from LiverLesionAILib.scene import show as scenes
from LiverLesionAILib.scene.boxed import case_marks
from LiverLesionAILib.scene.marks import Shown, draw_marks
from LiverLesionAILib.scene.ras import labelmap, volume_geometry


def segment(nodes: scenes.SceneNodes, segment_id: str) -> slicer.vtkSegment:
    return nodes.segmentation.GetSegmentation().GetSegment(segment_id)


def select(nodes: scenes.SceneNodes, result: CaseResult, number: int) -> None:
    """What the panel does when a lesion is selected."""
    marks = case_marks(nodes.segmentation, ())
    draw_marks(nodes.marks, marks, Shown(selected=nodes.segment_ids[number]), result.geometry)


def draw(nodes: scenes.SceneNodes, segment_id: str, mask_zyx: np.ndarray, result: CaseResult) -> None:
    """What the Segment Editor does to a segment, without telling us."""
    nodes.segmentation.GetSegmentation().SeparateSegmentLabelmap(segment_id)
    image = labelmap(mask_zyx, (0, 0, 0), result.geometry)
    segment(nodes, segment_id).SetLabelValue(1)
    segment(nodes, segment_id).AddRepresentation("Binary labelmap", image)


def everything(scene: slicer.vtkMRMLScene) -> list[str]:
    """All that a scene holds, as text, for before and after."""
    found = []
    for index in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(index)
        found.append(f"{node.GetID()} {node.GetName()}")
        if node.IsA("vtkMRMLSegmentationNode"):
            for segment_id in scene_segments.segment_ids(node):
                part = node.GetSegmentation().GetSegment(segment_id)
                ct = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
                mask = scene_segments.read_mask(node, segment_id, volume_geometry(ct))
                fill = node.GetDisplayNode().GetSegmentOpacity2DFill(segment_id)
                status = scene_segments.tag(part, terms.TAG_STATUS)
                drawn = mask.fingerprint(volume_geometry(ct))
                found.append(f"{segment_id} {part.GetName()} {drawn} {status} {fill:.3f}")
        if node.IsA("vtkMRMLTableNode"):
            rows, columns = node.GetTable().GetNumberOfRows(), node.GetTable().GetNumberOfColumns()
            found += [node.GetTable().GetValue(r, c).ToString() for r in range(rows) for c in range(columns)]
        if node.IsA("vtkMRMLScalarVolumeNode"):
            found.append(f"{node.GetImageData().GetScalarRange()} {node.GetImageData().GetDimensions()}")
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    items = vtk.vtkIdList()
    tree.GetItemChildren(tree.GetSceneItemID(), items, True)
    for index in range(items.GetNumberOfIds()):
        item = items.GetId(index)
        found.append(f"{tree.GetItemName(item)} under {tree.GetItemName(tree.GetItemParent(item))}")
    return found
