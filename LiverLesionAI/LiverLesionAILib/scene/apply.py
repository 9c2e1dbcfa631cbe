"""One result put into a scene: build, add, swap, and take all of it back when anything fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import slicer
import vtk

from ..case.attributes import case_attributes
from ..case.description import BOX_PREFIX, case_maps, class_box, lesion_axes, lesion_box
from ..case.findings import CaseResult, Lesion, status_text
from ..support.steps import finish
from ..volume.crops import Mask
from . import nodes, segments
from .prepare import Preparation, Ready
from .ras import vtk_matrix
from .read import free_number, reader_lesion
from .tree import CaseTree


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
        class_boxes: number shown -> ROI node round where the classifier saw the class.
        maps: map's name -> volume node.
        kept_segment_ids: segments left alone because the reader had touched them.
        study_item: subject hierarchy item that holds them all.
        notes: what the analysis says the reader has to know, in sentences.
        messages: what else the reader has to know: what was kept.
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
    notes: tuple[str, ...] = ()
    class_boxes: Mapping[int, slicer.vtkMRMLMarkupsROINode] = field(default_factory=dict)


class Apply:
    """One run of `apply_result`: what it adds and changes, and how to take that back."""

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        result: CaseResult,
        volume_node: object,
        masks: Mapping[int, Mask] | None = None,
    ) -> None:
        self.scene, self.result, self.volume = scene, result, volume_node
        self.prepared = Preparation(scene, result, volume_node, masks)
        self.added: list = []
        self.undo: list[Callable[[], None]] = []
        self.replaced: list = []

    @property
    def old(self) -> dict[str, list]:
        """The case's nodes by role, as they were when everything was prepared."""
        return self.prepared.old

    def run(self, *, diameters: bool, maps: bool, surfaces: bool) -> SceneNodes:
        """Change what is there, as prepared; the old goes in `remove_replaced`."""
        if self.prepared.ready is None:
            finish(self.prepared.steps(maps=maps))
        ready, result = self.prepared.ready, self.result
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
        class_boxes = self._class_boxes(ready.new, ready.numbers, ids, set(ready.kept), boxes)
        table = self._table(ready.new, ready.numbers, ready.kept_lesions, segmentation)
        volumes = self._maps(ids, ready.numbers) if maps else {}
        if surfaces:
            segmentation.CreateClosedSurfaceRepresentation()
        before = (self.old.get(nodes.ROLE_SEGMENTATION) or [None])[0]
        tree = CaseTree(self.scene, self.volume, result.case_name, before)
        # Its steps join the others as they are made: a failure half-way takes them back too.
        tree.undo = self.undo
        study = tree.place(self.added, segmentation, table, boxes, axes, volumes, class_boxes)
        messages = []
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
            result.messages,
            class_boxes,
        )

    def roll_back(self) -> None:
        """Undo every change, last first, then take the added nodes out again."""
        for step in reversed(self.undo):
            step()
        for node in reversed(self.added):
            nodes.remove_node(self.scene, node)

    def remove_replaced(self) -> None:
        """The last step: take out what the new nodes stand for."""
        for node in self.replaced:
            nodes.remove_node(self.scene, node)

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

    def _swap_segments(self, node: slicer.vtkMRMLSegmentationNode, ready: Ready) -> dict[int, str]:
        """Take the untouched segments out and put the new ones in."""
        segmentation, geometry = node.GetSegmentation(), self.result.geometry
        fresh = segmentation.GetNumberOfSegments() == 0
        node.SetSourceRepresentationToBinaryLabelmap()
        if self.volume is not None:
            node.SetReferenceImageGeometryParameterFromVolumeNode(self.volume)
        else:
            nz, ny, nx = geometry.shape_zyx
            text = slicer.vtkSegmentationConverter.SerializeImageGeometry(
                vtk_matrix(geometry.ijk_to_ras), [0, nx - 1, 0, ny - 1, 0, nz - 1]
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
            described = lesion_box(replace(lesion, number=number), segment_id)
            box = self._add("vtkMRMLMarkupsROINode", described.name)
            self._own(box, nodes.ROLE_BOX)
            box.SetAttribute(nodes.ATTR_SEGMENT, segment_id)
            box.SetAttribute(nodes.ATTR_STATUS, lesion.status.value)
            nodes.place_box(box, lesion.box, number)
            nodes.write_tags(box, described.tags)
            boxes[number] = box
            for axis in lesion_axes(replace(lesion, number=number), segment_id) if diameters else ():
                line = self._add("vtkMRMLMarkupsLineNode", axis.name)
                self._own(line, axis.role)
                line.SetAttribute(nodes.ATTR_SEGMENT, segment_id)
                nodes.place_axis(line, axis.ends_lps, number, label=axis.labelled)
                lines.setdefault(number, {})[axis.role] = line
        axes = {
            number: (pair[nodes.ROLE_LONG_AXIS], pair[nodes.ROLE_SHORT_AXIS])
            for number, pair in lines.items()
            if len(pair) == 2
        }
        return boxes, axes

    def _class_boxes(
        self,
        new: list[Lesion],
        numbers: Mapping[int, int],
        ids: Mapping[int, str],
        kept_ids: set[str],
        boxes: Mapping[int, slicer.vtkMRMLMarkupsROINode],
    ) -> dict[int, slicer.vtkMRMLMarkupsROINode]:
        """Where the classifier saw its classes; earlier ones stay with the lesions that stay."""
        made: dict[int, slicer.vtkMRMLMarkupsROINode] = {}
        kept_numbers = {number for number, box in boxes.items() if box not in self.added}
        for node in self.old.get(nodes.ROLE_CLASS_BOX, []):
            number = int(node.GetAttribute(nodes.ATTR_LESION) or 0)
            segment_id = node.GetAttribute(nodes.ATTR_SEGMENT)
            stays = segment_id in kept_ids if segment_id else number in kept_numbers
            if stays:
                made[number] = node
            elif not nodes.was_moved(node):
                self.replaced.append(node)
        for lesion in new:
            if lesion.class_box is None:
                continue
            number = numbers[lesion.number]
            described = class_box(
                replace(lesion, number=number), lesion.class_box, ids.get(lesion.number, "")
            )
            box = self._add("vtkMRMLMarkupsROINode", described.name)
            self._own(box, nodes.ROLE_CLASS_BOX)
            box.SetAttribute(nodes.ATTR_SEGMENT, described.segment_id)
            nodes.place_class_box(box, described.box, number)
            made[number] = box
        return made

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
                    status_text(lesion.status, lesion.edited),
                    lesion.model_class,
                    lesion.class_probabilities.get(lesion.model_class or ""),
                    lesion.score,
                    reader_class=lesion.reader_class,
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
        self._tell_case(existing)
        return existing

    def _tell_case(self, table: slicer.vtkMRMLTableNode) -> None:
        phase, attributes = self.result.phase, case_attributes(self.result)
        told = {name: table.GetAttribute(name) for name in attributes}
        said = table.GetDescription()

        def restore() -> None:
            for name, value in told.items():
                table.SetAttribute(name, value)
            table.SetDescription(said)

        self.undo.append(restore)
        for name, value in attributes.items():
            table.SetAttribute(name, value)
        table.SetDescription(phase.text if phase else "")

    def _maps(
        self, ids: Mapping[int, str], numbers: Mapping[int, int]
    ) -> dict[str, slicer.vtkMRMLScalarVolumeNode]:
        """Volumes of probabilities and attention; an earlier run's of the same name are filled anew."""
        boxed = {number: f"{BOX_PREFIX}{shown}" for number, shown in numbers.items()}
        existing = {node.GetAttribute(nodes.ATTR_MAP): node for node in self.old.get(nodes.ROLE_MAP, [])}
        volumes = {}
        for described in case_maps(self.result, {**boxed, **ids}):
            node = existing.pop(described.key, None)
            if node is None:
                node = self._add("vtkMRMLScalarVolumeNode", described.name)
                node.SetAttribute(nodes.ATTR_MAP, described.key)
                self._own(node, nodes.ROLE_MAP)
            else:
                self._remember_volume(node)
            nodes.fill_map(node, described, self.prepared.images.get(described.key))
            volumes[described.key] = node
        self.replaced.extend([*existing.values(), *self.old.get(nodes.ROLE_POINT, [])])
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
