"""One result put into a scene: build, add, swap, and take all of it back when anything fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import slicer
import vtk

from . import scene_nodes as nodes
from . import scene_segments as segments
from . import terminology as terms
from .findings import AttentionMap, CaseResult, Lesion, LesionSource
from .mask_crops import Mask, lesion_mask_steps, mask_steps, same_lesion, without
from .scene_geometry import ijk_to_ras, image_steps, vtk_matrix
from .scene_read import free_number, reader_lesion
from .steps import Steps, finish

ALGORITHM = "LiverLesionAI"


@dataclass(frozen=True, eq=False)
class SceneNodes:
    """What one case has in the scene.

    Attributes:
        segment_ids: lesion number in the result -> ID of its segment (of the reader's, where one was kept
        for it);
            0 is the liver.
        numbers: lesion number in the result -> number it is shown with.
        boxes: number shown -> ROI node.
        axes: number shown -> (long axis, short axis) line nodes.
        maps: map's name -> volume node.
        kept_segment_ids: segments left alone because the reader had touched them.
        study_item: subject hierarchy item that holds them all.
        messages: what the reader has to know, in sentences.
    """

    segmentation: slicer.vtkMRMLSegmentationNode
    table: slicer.vtkMRMLTableNode
    segment_ids: Mapping[int, str]
    numbers: Mapping[int, int]
    boxes: Mapping[int, slicer.vtkMRMLMarkupsROINode]
    axes: Mapping[int, tuple[slicer.vtkMRMLMarkupsLineNode, slicer.vtkMRMLMarkupsLineNode]]
    maps: Mapping[str, slicer.vtkMRMLScalarVolumeNode]
    kept_segment_ids: tuple[str, ...] = ()
    study_item: int = 0
    messages: tuple[str, ...] = ()


def find_nodes(
    scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLScalarVolumeNode | None, case_name: str = ""
) -> dict[str, list]:
    """The nodes of a case by role: of this CT, or without a CT those that carry the case's name."""
    found: dict[str, list] = {}
    collection = scene.GetNodes()
    for index in range(collection.GetNumberOfItems()):
        node = collection.GetItemAsObject(index)
        role = node.GetAttribute(nodes.ATTR_ROLE)
        if not role:
            continue
        reference = node.GetNodeReferenceID(nodes.REF_VOLUME)
        if volume_node is not None:
            belongs = reference == volume_node.GetID()
        else:
            belongs = not reference and node.GetAttribute(nodes.ATTR_CASE) == case_name
        if belongs:
            found.setdefault(role, []).append(node)
    return found


@dataclass(frozen=True, eq=False)
class _Ready:
    """What is to be put into the scene, computed before anything is changed.

    Attributes:
        state: of the segments it was computed for.
        kept, kept_lesions: masks of the segments that stay.
        kept_for: lesion number in the result -> the segment that stands for it already.
        kept_liver: the liver's segment where the reader has touched it, "" otherwise.
        copies: every segment as it was, to go back to.
        new, numbers, segments: what comes in.
    """

    segmentation: slicer.vtkMRMLSegmentationNode | None
    state: object
    liver: Mask
    kept: Mapping[str, Mask]
    kept_lesions: Mapping[str, Mask]
    kept_for: Mapping[int, str]
    kept_liver: str
    copies: Mapping[str, slicer.vtkSegment]
    new: list[Lesion]
    numbers: Mapping[int, int]
    segments: list[segments.NewSegment]


def _state(node: slicer.vtkMRMLSegmentationNode | None) -> object:
    """Differs when any segment has changed."""
    if node is None:
        return None
    found = []
    for segment_id in segments.segment_ids(node):
        segment = node.GetSegmentation().GetSegment(segment_id)
        image = segment.GetRepresentation(segments.BINARY)
        found.append((segment_id, segment.GetMTime(), image.GetMTime() if image is not None else 0))
    return found


class Apply:
    """One run of `apply_result`: what it adds and changes, and how to take that back."""

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        result: CaseResult,
        volume_node: object,
        algorithm: str,
        masks: Mapping[int, Mask] | None = None,
    ) -> None:
        self.scene, self.result, self.volume, self.algorithm = scene, result, volume_node, algorithm
        self.old = find_nodes(scene, volume_node, result.case_name)
        self.added: list = []
        self.undo: list[Callable[[], None]] = []
        self.replaced: list = []
        self._masks = masks
        self._ready: _Ready | None = None
        self._images: dict[str, vtk.vtkImageData] = {}

    def prepare(self, *, maps: bool) -> Steps[None]:
        """Everything that takes long and changes nothing in the scene; to be repeated where it is not
        :attr:`fresh` any more."""
        if self._masks is None:
            self._masks = yield from lesion_mask_steps(self.result)
        if self._ready is None:
            liver = yield from mask_steps(self.result.liver_zyx)
        else:
            liver = self._ready.liver
        if maps and not self._images:
            values = {f"{name} probability": p for name, p in self.result.probabilities.items()}
            values.update({attention.name: attention for attention in self.result.attention})
            for name, value in values.items():
                self._images[name] = yield from image_steps(value.values_zyx)
        self.old = find_nodes(self.scene, self.volume, self.result.case_name)
        segmentation = (self.old.get(nodes.ROLE_SEGMENTATION) or [None])[0]
        state = _state(segmentation)
        before: dict[str, Mask] = {}
        kept: dict[str, Mask] = {}
        copies: dict[str, slicer.vtkSegment] = {}
        for segment_id in segments.segment_ids(segmentation) if segmentation is not None else ():
            segment = segmentation.GetSegmentation().GetSegment(segment_id)
            if segment is None:
                continue
            mask = before[segment_id] = segments.read_mask(segmentation, segment_id, self.result.geometry)
            yield
            copies[segment_id] = segments.rebuilt(segment, mask, self.result.geometry)
            yield
            if segments.is_kept(segment, mask, self.result.geometry):
                kept[segment_id] = mask
            yield
        self._ready = yield from self._build(segmentation, state, liver, kept, copies)

    @property
    def fresh(self) -> bool:
        """Whether the scene still holds what was prepared for."""
        now = find_nodes(self.scene, self.volume, self.result.case_name)
        segmentation = (now.get(nodes.ROLE_SEGMENTATION) or [None])[0]
        return (
            self._ready is not None
            and segmentation is self._ready.segmentation
            and _state(segmentation) == self._ready.state
        )

    def _build(
        self,
        segmentation: slicer.vtkMRMLSegmentationNode | None,
        state: object,
        liver: Mask,
        kept: Mapping[str, Mask],
        copies: Mapping[str, slicer.vtkSegment],
    ) -> Steps[_Ready]:
        result, masks = self.result, dict(self._masks or {})
        kept_lesions = {k: m for k, m in kept.items() if segments.is_lesion(copies[k])}
        taken = {
            int(tag) for k in kept_lesions if (tag := segments.tag(copies[k], terms.TAG_NUMBER)).isdigit()
        }
        # Boxes without a mask that the reader has decided on keep their numbers too.
        taken |= {
            int(box.GetAttribute(nodes.ATTR_LESION) or 0)
            for box in self.old.get(nodes.ROLE_BOX, [])
            if nodes.is_decided(box)
        }
        kept_for: dict[int, str] = {}
        for number, mask in masks.items():
            for segment_id, kept_mask in kept_lesions.items():
                if same_lesion(mask, kept_mask):
                    kept_for[number] = segment_id
                    break
            else:
                masks[number] = without(mask, kept_lesions.values())
            yield
        new = [
            lesion
            for lesion in result.lesions
            if lesion.number not in kept_for and not self._decided_before(lesion)
        ]
        numbers = self._numbers(new, kept_for, taken, segmentation)
        built = segments.build_lesions(new, masks, numbers, result.geometry, self.algorithm)
        yield
        kept_liver = next((k for k in kept if segments.is_liver(copies[k])), "")
        built_liver = None if kept_liver else segments.build_liver(liver, result.geometry, self.algorithm)
        yield
        everything = ([built_liver] if built_liver else []) + built
        return _Ready(
            segmentation,
            state,
            liver,
            kept,
            kept_lesions,
            kept_for,
            kept_liver,
            copies,
            new,
            numbers,
            everything,
        )

    def run(self, *, diameters: bool, maps: bool, surfaces: bool) -> SceneNodes:
        """Change what is there, as prepared; the old goes in `remove_replaced`."""
        if self._ready is None:
            finish(self.prepare(maps=maps))
        ready, result = self._ready, self.result
        assert ready is not None
        segmentation = ready.segmentation
        if segmentation is None:
            segmentation = self._add("vtkMRMLSegmentationNode", f"{result.case_name} liver and lesions")
            self._own(segmentation, nodes.ROLE_SEGMENTATION)
        ids = self._swap_segments(segmentation, ready)
        ids.update(ready.kept_for)
        if ready.kept_liver:
            ids[0] = ready.kept_liver
        boxes, axes = self._markups(ready.new, ready.kept_for, ready.numbers, ids, set(ready.kept), diameters)
        table = self._table(ready.new, ready.numbers, ready.kept_lesions, segmentation)
        volumes = self._maps(ids) if maps else {}
        if surfaces:
            segmentation.CreateClosedSurfaceRepresentation()
        study = self._place(segmentation, table, boxes, axes, volumes)
        messages = list(result.messages)
        if ready.kept:
            names = ", ".join(segmentation.GetSegmentation().GetSegment(k).GetName() for k in ready.kept)
            messages.append(f"Kept as you left them: {names}.")
        return SceneNodes(
            segmentation,
            table,
            ids,
            ready.numbers,
            boxes,
            axes,
            volumes,
            tuple(ready.kept),
            study,
            tuple(messages),
        )

    def _decided_before(self, lesion: Lesion) -> bool:
        """Whether the reader has accepted or rejected this box already, in an earlier run."""
        return lesion.source is LesionSource.BOX and any(
            nodes.is_decided(node)
            and not node.GetAttribute(nodes.ATTR_SEGMENT)
            and nodes.covers(node, lesion.box)
            for node in self.old.get(nodes.ROLE_BOX, [])
        )

    def roll_back(self) -> None:
        """Undo every change, last first, then take the added nodes out again."""
        for step in reversed(self.undo):
            step()
        for node in reversed(self.added):
            _remove(self.scene, node)

    def remove_replaced(self) -> None:
        """The last step: take out what the new nodes stand for."""
        for node in self.replaced:
            _remove(self.scene, node)

    def _numbers(
        self,
        new: list[Lesion],
        kept_for: Mapping[int, str],
        taken: set[int],
        segmentation: slicer.vtkMRMLSegmentationNode | None,
    ) -> dict[int, int]:
        """Numbers to show: the result's own in a fresh scene; else the lowest that no kept lesion has."""
        numbers, taken = {}, set(taken)
        for lesion in new:
            numbers[lesion.number] = lesion.number if lesion.number not in taken else free_number(taken)
            taken.add(numbers[lesion.number])
        for number, segment_id in kept_for.items():
            text = segments.tag(segmentation.GetSegmentation().GetSegment(segment_id), terms.TAG_NUMBER)
            numbers[number] = int(text) if text.isdigit() else free_number(taken)
            taken.add(numbers[number])
        return numbers

    def _add(self, class_name: str, name: str) -> slicer.vtkMRMLNode:
        node = self.scene.AddNewNodeByClass(class_name, name)
        if node is None:
            raise RuntimeError(f"This Slicer cannot make a {class_name}.")
        self.added.append(node)
        return node

    def _own(self, node: slicer.vtkMRMLNode, role: str) -> None:
        node.SetAttribute(nodes.ATTR_ROLE, role)
        node.SetAttribute(nodes.ATTR_CASE, self.result.case_name)
        if self.volume is not None:
            node.SetNodeReferenceID(nodes.REF_VOLUME, self.volume.GetID())
            if node.IsA("vtkMRMLTransformableNode"):
                node.SetAndObserveTransformNodeID(self.volume.GetTransformNodeID())

    def _swap_segments(self, node: slicer.vtkMRMLSegmentationNode, ready: _Ready) -> dict[int, str]:
        """Take the untouched segments out and put the new ones in."""
        segmentation, geometry = node.GetSegmentation(), self.result.geometry
        fresh = segmentation.GetNumberOfSegments() == 0
        node.SetSourceRepresentationToBinaryLabelmap()
        if self.volume is not None:
            node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        else:
            nz, ny, nx = geometry.shape_zyx
            text = slicer.vtkSegmentationConverter.SerializeImageGeometry(
                vtk_matrix(ijk_to_ras(geometry)), [0, nx - 1, 0, ny - 1, 0, nz - 1]
            )
            name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
            segmentation.SetConversionParameter(name, text)
        node.CreateDefaultDisplayNodes()
        display = node.GetDisplayNode()
        if fresh:
            display.SetAllSegmentsOpacity2DFill(0.5)
            display.SetSliceIntersectionThickness(2)
        else:
            self._remember_segments(node, ready.copies)
        for segment_id in segments.segment_ids(node):
            if segment_id in ready.kept:
                # A kept segment may share its labelmap with one that goes: give it its own first.
                old = segmentation.GetSegment(segment_id)
                if segmentation.IsSharedBinaryLabelmap(segment_id):
                    image = ready.copies[segment_id].GetRepresentation(segments.BINARY)
                    old.SetLabelValue(1)
                    old.AddRepresentation(segments.BINARY, image)
            else:
                segmentation.RemoveSegment(segment_id)
        ids: dict[int, str] = {}
        for item in ready.segments:
            segment_id = segmentation.GenerateUniqueSegmentID(item.preferred_id)
            before = ""
            if item.lesion is None and segmentation.GetNumberOfSegments():
                before = segmentation.GetNthSegmentID(0)
            if not segmentation.AddSegment(item.segment, segment_id, before):
                raise RuntimeError(f"{item.segment.GetName()} could not be added to the segmentation.")
            ids[item.lesion.number if item.lesion else 0] = segment_id
            if item.lesion is None:
                display.SetSegmentOpacity2DFill(segment_id, 0.12)
                display.SetSegmentOpacity3D(segment_id, 0.35)
        return ids

    def _remember_segments(
        self, node: slicer.vtkMRMLSegmentationNode, copies: Mapping[str, slicer.vtkSegment]
    ) -> None:
        """How to bring all segments back, in order, with their looks."""
        segmentation = node.GetSegmentation()
        had_surface = segmentation.ContainsRepresentation(segments.CLOSED_SURFACE)
        display = node.GetDisplayNode()
        looks = {
            segment_id: (
                display.GetSegmentVisibility(segment_id),
                display.GetSegmentOpacity2DFill(segment_id),
                display.GetSegmentOpacity2DOutline(segment_id),
                display.GetSegmentOpacity3D(segment_id),
            )
            for segment_id in copies
        }

        def restore() -> None:
            segmentation.RemoveAllSegments()
            for segment_id, segment in copies.items():
                segmentation.AddSegment(segment, segment_id)
                visible, fill, outline, opacity = looks[segment_id]
                display.SetSegmentVisibility(segment_id, visible)
                display.SetSegmentOpacity2DFill(segment_id, fill)
                display.SetSegmentOpacity2DOutline(segment_id, outline)
                display.SetSegmentOpacity3D(segment_id, opacity)
            if had_surface:
                node.CreateClosedSurfaceRepresentation()

        self.undo.append(restore)

    def _markups(
        self,
        new: list[Lesion],
        kept_for: Mapping[int, str],
        numbers: Mapping[int, int],
        ids: Mapping[int, str],
        kept_ids: set[str],
        diameters: bool,
    ) -> tuple[dict, dict]:
        boxes: dict[int, slicer.vtkMRMLMarkupsROINode] = {}
        lines: dict[int, dict[str, slicer.vtkMRMLMarkupsLineNode]] = {}
        boxed: set[str] = set()
        for role in (nodes.ROLE_BOX, nodes.ROLE_LONG_AXIS, nodes.ROLE_SHORT_AXIS):
            for node in self.old.get(role, []):
                segment_id = node.GetAttribute(nodes.ATTR_SEGMENT) or ""
                decided = nodes.is_decided(node)
                if segment_id in kept_ids or decided or nodes.was_moved(node):
                    number = int(node.GetAttribute(nodes.ATTR_LESION) or 0)
                    if segment_id in kept_ids or decided:
                        if role == nodes.ROLE_BOX:
                            boxes[number] = node
                            boxed.add(segment_id)
                        else:
                            lines.setdefault(number, {})[role] = node
                else:
                    self.replaced.append(node)
        unboxed = [
            lesion
            for lesion in self.result.lesions
            if lesion.number in kept_for and kept_for[lesion.number] not in boxed
        ]
        for lesion in [*new, *unboxed]:
            number = numbers[lesion.number]
            segment_id = ids.get(lesion.number, "")
            box = self._add("vtkMRMLMarkupsROINode", f"Lesion {number} box")
            self._own(box, nodes.ROLE_BOX)
            box.SetAttribute(nodes.ATTR_SEGMENT, segment_id)
            box.SetAttribute(nodes.ATTR_STATUS, lesion.status.value)
            nodes.place_box(box, lesion.box, number)
            if not segment_id:
                nodes.tell_box(box, lesion)
            boxes[number] = box
            if not diameters or not lesion.measurement.long_axis_mm > 0:
                continue
            for role, ends in (
                (nodes.ROLE_LONG_AXIS, lesion.measurement.long_axis_lps),
                (nodes.ROLE_SHORT_AXIS, lesion.measurement.short_axis_lps),
            ):
                line = self._add("vtkMRMLMarkupsLineNode", f"Lesion {number} {role}")
                self._own(line, role)
                line.SetAttribute(nodes.ATTR_SEGMENT, segment_id)
                nodes.place_axis(line, ends, number, label=role == nodes.ROLE_LONG_AXIS)
                lines.setdefault(number, {})[role] = line
        axes = {
            number: (pair[nodes.ROLE_LONG_AXIS], pair[nodes.ROLE_SHORT_AXIS])
            for number, pair in lines.items()
            if len(pair) == 2
        }
        return boxes, axes

    def _table(
        self,
        new: list[Lesion],
        numbers: Mapping[int, int],
        kept_lesions: Mapping[str, Mask],
        segmentation: slicer.vtkMRMLSegmentationNode,
    ) -> slicer.vtkMRMLTableNode:
        rows = [nodes.TableRow.of(lesion, numbers[lesion.number]) for lesion in new]
        taken = {row.number for row in rows} | set(numbers.values())
        kept_numbers: set[int] = set()
        for segment_id, mask in kept_lesions.items():
            segment = segmentation.GetSegmentation().GetSegment(segment_id)
            lesion = reader_lesion(segment, segment_id, mask, self.result.geometry)
            number = lesion.number or free_number(taken)
            taken.add(number)
            kept_numbers.add(number)
            rows.append(
                nodes.TableRow(
                    number,
                    lesion.name,
                    lesion.status,
                    lesion.shown_class,
                    lesion.class_probabilities.get(lesion.shown_class or ""),
                    lesion.score,
                )
            )
        table = nodes.findings_table(sorted(rows, key=lambda row: row.number))
        existing = (self.old.get(nodes.ROLE_TABLE) or [None])[0]
        if existing is None:
            existing = self._add("vtkMRMLTableNode", f"{self.result.case_name} findings")
            self._own(existing, nodes.ROLE_TABLE)
        else:
            before = existing.GetTable()
            nodes.carry_measurements(before, table, kept_numbers)
            self.undo.append(lambda: existing.SetAndObserveTable(before))
        nodes.show_table(existing, table)
        return existing

    def _maps(self, ids: Mapping[int, str]) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
        """Volumes of probabilities and attention; an earlier run's of the same name are filled anew."""
        wanted = []
        for name, probability in self.result.probabilities.items():
            meaning = f"Probability of {name}, 0 to 1; the masks were cut at {probability.threshold:.2f}."
            shown_from = min(0.1, probability.threshold / 2)
            wanted.append((f"{name} probability", probability, meaning, shown_from, (0.0, 1.0)))
        for attention in self.result.attention:
            low, high = attention.value_range
            wanted.append(
                (
                    attention.name,
                    attention,
                    attention.meaning,
                    low + 0.25 * (high - low),
                    attention.value_range,
                )
            )
        existing = {node.GetAttribute(nodes.ATTR_MAP): node for node in self.old.get(nodes.ROLE_MAP, [])}
        volumes = {}
        for name, values, meaning, shown_from, value_range in wanted:
            node = existing.pop(name, None)
            if node is None:
                node = self._add("vtkMRMLScalarVolumeNode", f"{self.result.case_name} {name}")
                node.SetAttribute(nodes.ATTR_MAP, name)
                self._own(node, nodes.ROLE_MAP)
            else:
                self._remember_volume(node)
            nodes.fill_map(node, values, meaning, shown_from, value_range, self._images.get(name))
            if isinstance(values, AttentionMap):
                number = values.lesion_number or 0
                boxed = self._ready.numbers.get(number) if self._ready else None
                nodes.tell_map(node, values, ids.get(number, f"{nodes.BOX_PREFIX}{boxed}" if boxed else ""))
            volumes[name] = node
        self.replaced.extend(existing.values())
        return volumes

    def _remember_volume(self, node: slicer.vtkMRMLScalarVolumeNode) -> None:
        image, matrix, meaning = node.GetImageData(), vtk.vtkMatrix4x4(), node.GetDescription()
        node.GetIJKToRASMatrix(matrix)

        def restore() -> None:
            node.SetIJKToRASMatrix(matrix)
            node.SetAndObserveImageData(image)
            node.SetDescription(meaning)
            node.SetAttribute(nodes.ATTR_MEANING, meaning)

        self.undo.append(restore)

    def _place(
        self,
        segmentation: slicer.vtkMRMLSegmentationNode,
        table: slicer.vtkMRMLTableNode,
        boxes: Mapping[int, slicer.vtkMRMLNode],
        axes: Mapping[int, tuple],
        volumes: Mapping[str, slicer.vtkMRMLNode],
    ) -> int:
        """Put what is new under the CT's study (made where it has none); return the study's item."""
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        study = self._study(tree)
        name = self.result.case_name
        folders = (
            ("", [segmentation, table]),
            (f"{name} boxes", list(boxes.values())),
            (f"{name} diameters", [line for pair in axes.values() for line in pair]),
            (f"{name} maps", list(volumes.values())),
        )
        for folder_name, members in folders:
            members = [node for node in members if node in self.added]
            if not members:
                continue
            parent = study
            if folder_name:
                parent = tree.GetItemChildWithName(study, folder_name)
                if not parent:
                    parent = tree.CreateFolderItem(study, folder_name)
                    self._undo_item(tree, parent)
            for node in members:
                item = tree.GetItemByDataNode(node)
                if item:
                    tree.SetItemParent(item, parent)
                else:
                    tree.CreateItem(parent, node)
        return study

    def _study(self, tree: slicer.vtkMRMLSubjectHierarchyNode) -> int:
        item, root = 0, tree.GetSceneItemID()
        if self.volume is not None:
            item = tree.GetItemByDataNode(self.volume) or tree.CreateItem(root, self.volume)
            study = tree.GetItemAncestorAtLevel(item, "Study")
            if study:
                return study
        else:
            existing = self.old.get(nodes.ROLE_SEGMENTATION)
            study = (
                tree.GetItemAncestorAtLevel(tree.GetItemByDataNode(existing[0]), "Study") if existing else 0
            )
            if study:
                return study
        parent = tree.GetItemParent(item) if item else root
        study = tree.CreateStudyItem(parent or root, self.result.case_name)
        self._undo_item(tree, study)
        if item:
            self.undo.append(lambda: tree.SetItemParent(item, parent or root))
            tree.SetItemParent(item, study)
        return study

    def _undo_item(self, tree: slicer.vtkMRMLSubjectHierarchyNode, item: int) -> None:
        self.undo.append(lambda: tree.RemoveItem(item, False, False))


def _remove(scene: slicer.vtkMRMLScene, node: slicer.vtkMRMLNode) -> None:
    """Take a node out of the scene with its display and storage nodes and its place in the hierarchy."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if item := tree.GetItemByDataNode(node):
        tree.RemoveItem(item, False, False)
    if node.IsA("vtkMRMLDisplayableNode"):
        for index in reversed(range(node.GetNumberOfDisplayNodes())):
            display = node.GetNthDisplayNode(index)
            if display is not None:
                scene.RemoveNode(display)
    if node.IsA("vtkMRMLStorableNode") and node.GetStorageNode() is not None:
        scene.RemoveNode(node.GetStorageNode())
    scene.RemoveNode(node)
