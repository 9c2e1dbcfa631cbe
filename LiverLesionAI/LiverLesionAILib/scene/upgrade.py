"""Scenes of version 0.1, in which every lesion had nodes of its own, made like those of today.

A box, two lines, a box of its class and three maps stood for each lesion. What they say goes into the
segments' tags, the table's attribute and the stack of maps; then they go.
"""

from __future__ import annotations

import slicer

from ..case import terminology as terms
from ..case.description import map_family
from ..case.findings import AttentionMap, Lesion, LesionSource, LesionStatus
from ..case.place import Axis, Place
from ..support.steps import finish
from ..volume.geometry import Vec3
from . import nodes, segments
from .boxed import BoxedLesion, read_boxed, write_boxed
from .map_stack import ROLE_STACK, lesion_map_steps, stack_steps, with_rows, write_entries
from .marks import make_marks, moved_box
from .ras import box_from_ras, numpy_matrix, point_ras, volume_geometry

ROLE_BOX = "box"
ROLE_CLASS_BOX = "class box"
ROLE_LONG_AXIS = "long axis"
ROLE_SHORT_AXIS = "short axis"
OLD_ROLES = (ROLE_BOX, ROLE_CLASS_BOX, ROLE_LONG_AXIS, ROLE_SHORT_AXIS)

ATTR_LESION = "LiverLesionAI.Lesion"
ATTR_BELOW = "LiverLesionAI.BelowThreshold"


def needs_upgrade(found: dict[str, list]) -> bool:
    """Whether a case's nodes, by role, are those of version 0.1."""
    return any(role in found for role in OLD_ROLES) or any(
        node.GetAttribute(ATTR_LESION) for node in found.get(nodes.ROLE_MAP, [])
    )


def upgrade(
    scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode, found: dict[str, list]
) -> bool:
    """Make a case of version 0.1 one of today; whether that was needed.

    Args:
        found: the case's nodes by role.
    """
    segmentation = (found.get(nodes.ROLE_SEGMENTATION) or [None])[0]
    table = (found.get(nodes.ROLE_TABLE) or [None])[0]
    if segmentation is None or table is None or not needs_upgrade(found):
        return False
    scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    try:
        _places_into_tags(segmentation, found)
        boxed = dict(read_boxed(table))
        for node in found.get(ROLE_BOX, []):
            if not node.GetAttribute(nodes.ATTR_SEGMENT):
                one = _boxed(node, found)
                boxed[one.row_id] = one
        write_boxed(table, boxed.values())
        _maps_into_stack(scene, volume, found)
        _new_marks(scene, volume, segmentation, found)
        for role in OLD_ROLES:
            for node in found.get(role, []):
                nodes.remove_node(scene, node)
    finally:
        scene.EndState(slicer.vtkMRMLScene.BatchProcessState)
    return True


def _places_into_tags(segmentation: slicer.vtkMRMLSegmentationNode, found: dict[str, list]) -> None:
    with segments.one_change(segmentation):
        for segment_id in segments.segment_ids(segmentation):
            segment = segmentation.GetSegmentation().GetSegment(segment_id)
            if not segments.is_lesion(segment):
                continue
            own = {role: _of_segment(found, role, segment_id) for role in OLD_ROLES}
            box = own[ROLE_BOX]
            long_axis, short_axis = _axis(own[ROLE_LONG_AXIS]), _axis(own[ROLE_SHORT_AXIS])
            before = segments.place(segment)
            class_box = own[ROLE_CLASS_BOX]
            place = Place(
                before.box
                if box is None
                else box_from_ras(numpy_matrix(box.GetObjectToNodeMatrix()), box.GetSize()),
                long_axis if short_axis else None,
                short_axis if long_axis else None,
                before.class_box
                if class_box is None or before.class_box is not None
                else box_from_ras(numpy_matrix(class_box.GetObjectToNodeMatrix()), class_box.GetSize()),
                box is not None and moved_box(box) is not None,
            )
            segments.set_place(segment, place)


def _of_segment(found: dict[str, list], role: str, segment_id: str) -> slicer.vtkMRMLMarkupsNode | None:
    return next((n for n in found.get(role, []) if n.GetAttribute(nodes.ATTR_SEGMENT) == segment_id), None)


def _axis(node: slicer.vtkMRMLMarkupsLineNode | None) -> Axis | None:
    if node is None or node.GetNumberOfControlPoints() != 2:
        return None
    start, end = (_point(node, index) for index in range(2))
    return start, end


def _point(node: slicer.vtkMRMLMarkupsLineNode, index: int) -> Vec3:
    return point_ras(node.GetNthControlPointPosition(index))


def _boxed(node: slicer.vtkMRMLMarkupsROINode, found: dict[str, list]) -> BoxedLesion:
    """A lesion that has only a box."""

    def text(name: str) -> str:
        return node.GetAttribute(f"LiverLesionAI.{name}") or ""

    score = float(text("Score") or 1.0)
    box = box_from_ras(numpy_matrix(node.GetObjectToNodeMatrix()), node.GetSize(), score)
    own_class_box = next(
        (
            n
            for n in found.get(ROLE_CLASS_BOX, [])
            if not n.GetAttribute(nodes.ATTR_SEGMENT) and n.GetAttribute(ATTR_LESION) == text("Lesion")
        ),
        None,
    )
    lesion = Lesion(
        number=int(text("Lesion") or 0),
        score=score,
        centre_lps=box.centre_lps,
        box=box,
        measurement=None,
        source=LesionSource.BOX,
        status=LesionStatus.read(text("Status")),
        model_class=text("Class") or None,
        class_probabilities=terms.parse_probabilities(text("Probabilities")),
        class_box=None
        if own_class_box is None
        else box_from_ras(numpy_matrix(own_class_box.GetObjectToNodeMatrix()), own_class_box.GetSize()),
        reader_class=text("ReaderClass") or None,
        note=text("Note"),
    )
    return BoxedLesion(lesion, node.GetAttribute(ATTR_BELOW) == "1", moved_box(node) is not None)


def _maps_into_stack(
    scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode, found: dict[str, list]
) -> None:
    """The maps of single lesions into one volume; of each kind one node stays, to show them."""
    own = [node for node in found.get(nodes.ROLE_MAP, []) if node.GetAttribute(ATTR_LESION)]
    maps, rows = [], {}
    for node in own:
        display = node.GetDisplayNode()
        number, row_id = int(node.GetAttribute(ATTR_LESION)), node.GetAttribute(nodes.ATTR_SEGMENT) or ""
        rows[number] = row_id
        maps.append(
            AttentionMap(
                node.GetAttribute(nodes.ATTR_MAP) or node.GetName(),
                node.GetAttribute(nodes.ATTR_MEANING) or "",
                slicer.util.arrayFromVolume(node),
                volume_geometry(node),
                (0.0, 1.0) if display is None else (display.GetWindowLevelMin(), display.GetWindowLevelMax()),
                node.GetAttribute(nodes.ATTR_UNIT) or "",
                number,
                nodes.read_bars(node),
            )
        )
    stack = finish(stack_steps(maps))
    if stack is None:
        return
    entries = with_rows(stack.entries, rows)
    stacked = scene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    stacked.UnRegister(None)
    stacked.SetName(f"{volume.GetName()} maps of lesions")
    stacked.SetHideFromEditors(True)
    own_like(stacked, own[0], volume, ROLE_STACK)
    stacked.SetAndObserveImageData(stack.image)
    write_entries(stacked, entries)
    scene.AddNode(stacked)
    for kind in dict.fromkeys(entry.kind for entry in entries):
        first = next(entry for entry in entries if entry.kind == kind)
        same = [n for n in own if map_family(n.GetAttribute(nodes.ATTR_MAP) or n.GetName()) == kind]
        shown, *others = same
        for node in others:
            nodes.remove_node(scene, node)
        image, described = finish(lesion_map_steps(stack.image, first, volume.GetName()))
        shown.SetAttribute(nodes.ATTR_MAP, kind)
        shown.RemoveAttribute(ATTR_LESION)
        shown.SetName(f"{volume.GetName()} {kind}")
        nodes.fill_map(shown, described, image)


def _new_marks(
    scene: slicer.vtkMRMLScene,
    volume: slicer.vtkMRMLScalarVolumeNode,
    segmentation: slicer.vtkMRMLSegmentationNode,
    found: dict[str, list],
) -> None:
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    parent = tree.GetItemParent(tree.GetItemByDataNode(segmentation))

    def add(node: slicer.vtkMRMLNode) -> slicer.vtkMRMLNode:
        node = scene.AddNode(node)
        if node.IsA("vtkMRMLDisplayableNode"):
            item = tree.GetItemByDataNode(node)
            if item:
                tree.SetItemParent(item, parent)
            else:
                tree.CreateItem(parent, node)
        return node

    make_marks(
        scene,
        volume.GetName(),
        lambda node, role: own_like(node, segmentation, volume, role),
        add,
        found,
    )


def own_like(
    node: slicer.vtkMRMLNode,
    like: slicer.vtkMRMLNode,
    volume: slicer.vtkMRMLScalarVolumeNode,
    role: str,
) -> None:
    """Say of a node that it belongs to the case of another one."""
    node.SetAttribute(nodes.ATTR_ROLE, role)
    node.SetAttribute(nodes.ATTR_CASE, like.GetAttribute(nodes.ATTR_CASE))
    node.SetNodeReferenceID(nodes.REF_VOLUME, volume.GetID())
    if node.IsA("vtkMRMLTransformableNode"):
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
