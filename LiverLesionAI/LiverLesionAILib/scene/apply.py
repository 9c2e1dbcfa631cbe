"""One result put into a scene: build, add, swap, and take all of it back when anything fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import slicer
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ..case.description import BOX_PREFIX, SceneMap, case_table, segmentation_name
from ..case.findings import CaseResult
from ..support.steps import Steps, finish
from ..support.text import printable
from . import nodes, segments
from .anatomy_nodes import AnatomyNodes, make_surfaces, refilling, show_anatomy
from .apply_segments import add_segments, refer_to_ct, restoring_segments, style_segments, take_out
from .boxed import BoxedLesion, case_marks, read_boxed, write_boxed
from .map_stack import ROLE_STACK, lesion_map_steps, with_rows, write_entries
from .marks import MarkNodes, Shown, draw_marks, make_marks
from .prepare import Extras, Preparation, Ready
from .read import drawn_lesion, free_number
from .tree import CaseTree


@dataclass(frozen=True, eq=False)
class SceneNodes:
    """What one case has in the scene; the number of nodes does not depend on the number of lesions.

    Attributes:
        segment_ids: lesion number in the result -> ID of its segment (of the reader's, where one was kept
            for it); 0 is the liver.
        numbers: lesion number in the result -> number it is shown with.
        marks: boxes, diameters and numbers of all lesions.
        maps: map's name, or kind's for maps of single lesions -> volume node.
        kept_segment_ids: segments left alone because the reader had touched them.
        study_item: subject hierarchy item that holds them all.
        messages: what else the reader has to know: what was kept.
        notes: what the analysis says the reader has to know, in sentences.
        anatomy: vessels, segments and landmarks; None where nobody asked.
    """

    segmentation: slicer.vtkMRMLSegmentationNode
    table: slicer.vtkMRMLTableNode
    segment_ids: Mapping[int, str]
    numbers: Mapping[int, int]
    marks: MarkNodes
    maps: Mapping[str, slicer.vtkMRMLScalarVolumeNode]
    kept_segment_ids: tuple[str, ...] = ()
    study_item: int = 0
    messages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    anatomy: AnatomyNodes | None = None


class Apply:
    """One run of `apply_result`: what it adds and changes, and how to take that back."""

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        result: CaseResult,
        volume_node: object,
        extras: Extras,
    ) -> None:
        self.scene, self.result, self.volume = scene, result, volume_node
        self.prepared = Preparation(scene, result, volume_node, extras)
        self._described = case_table(result)
        self.added: list = []
        self.undo: list[Callable[[], None]] = []
        self.replaced: list = []

    @property
    def old(self) -> dict[str, list]:
        """The case's nodes by role, as they were when everything was prepared."""
        return self.prepared.old

    def steps(self, *, diameters: bool, maps: bool, surfaces: bool) -> Steps[SceneNodes]:
        """Change what is there, as prepared: the findings at once, then the maps one by one.

        What these replace goes in `remove_replaced`.
        """
        if self.prepared.ready is None:
            yield from self.prepared.steps(maps=maps)
        ready = self.prepared.ready
        assert ready is not None
        batch = ready.segmentation is None
        if batch:
            # The application looks at many new nodes once, at the end.
            self.scene.StartState(slicer.vtkMRMLScene.BatchProcessState)
        try:
            made = self._findings(ready, diameters=diameters, surfaces=surfaces)
        finally:
            if batch:
                self.scene.EndState(slicer.vtkMRMLScene.BatchProcessState)
        yield
        volumes: dict[str, slicer.vtkMRMLScalarVolumeNode] = {}
        if maps:
            volumes = yield from self._maps(made.segment_ids, ready.numbers)
        there = self._anatomy(surfaces)
        folders = {"maps": tuple(volumes.values()), "anatomy": () if there is None else there.all}
        self._place(folders, made.segmentation, made.table)
        return replace(made, maps=volumes, anatomy=there)

    def run(self, *, diameters: bool = True, maps: bool = True, surfaces: bool = False) -> SceneNodes:
        """All of :meth:`steps` at once."""
        return finish(self.steps(diameters=diameters, maps=maps, surfaces=surfaces))

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

    def _findings(self, ready: Ready, *, diameters: bool, surfaces: bool) -> SceneNodes:
        """Segments, boxes, diameters and table."""
        segmentation, ids = self._segments(ready)
        ids.update(ready.kept_for)
        if ready.kept_liver:
            ids[0] = ready.kept_liver
        boxed = self._boxed(ready)
        table = self._table(ready, segmentation, boxed)
        marks = self._marks(segmentation, boxed, diameters)
        if surfaces:
            segmentation.CreateClosedSurfaceRepresentation()
        messages = []
        if ready.kept:
            names = ", ".join(segmentation.GetSegmentation().GetSegment(k).GetName() for k in ready.kept)
            messages.append(f"Kept as you left them: {names}.")
        # In their place in the tree at once; the maps follow.
        study = self._place({"boxes": marks.all}, segmentation, table)
        return SceneNodes(
            segmentation,
            table,
            ids,
            ready.numbers,
            marks,
            {},
            tuple(ready.kept),
            study,
            tuple(messages),
            self.result.messages,
        )

    def _new(self, class_name: str, name: str, role: str) -> slicer.vtkMRMLNode:
        """A node that says whose it is, and is not in the scene yet."""
        node = self.scene.CreateNodeByClass(class_name)
        if node is None:
            raise RuntimeError(f"This Slicer cannot make a {class_name}.")
        node.UnRegister(None)
        node.SetName(printable(name))
        self._own(node, role)
        return node

    def _add(self, node: slicer.vtkMRMLNode) -> slicer.vtkMRMLNode:
        added = self.scene.AddNode(node)
        self.added.append(added)
        return added

    def _own(self, node: slicer.vtkMRMLNode, role: str) -> None:
        node.SetAttribute(nodes.ATTR_ROLE, role)
        node.SetAttribute(nodes.ATTR_CASE, self.result.case_name)
        if self.volume is not None:
            node.SetNodeReferenceID(nodes.REF_VOLUME, self.volume.GetID())
            if node.IsA("vtkMRMLTransformableNode"):
                node.SetAndObserveTransformNodeID(self.volume.GetTransformNodeID())

    # -- segments

    def _segments(self, ready: Ready) -> tuple[slicer.vtkMRMLSegmentationNode, dict[int, str]]:
        """The node with the new segments in it, and their IDs; one change, however many they are."""
        node = ready.segmentation
        if node is None:
            node = self._new(
                "vtkMRMLSegmentationNode",
                segmentation_name(self.result),
                nodes.ROLE_SEGMENTATION,
            )
            node.GetSegmentation().SetSourceRepresentationName(segments.BINARY)
            added = add_segments(node, ready)
            self._add(node)
            node.CreateDefaultDisplayNodes()
            with segments.one_change(node):
                refer_to_ct(node, self.volume, self.result.geometry)
                display = node.GetDisplayNode()
                display.SetAllSegmentsOpacity2DFill(0.5)
                display.SetSliceIntersectionThickness(2)
                style_segments(node, added)
            return node, _by_key(added)
        with segments.one_change(node):
            node.SetSourceRepresentationToBinaryLabelmap()
            node.CreateDefaultDisplayNodes()
            refer_to_ct(node, self.volume, self.result.geometry)
            self.undo.append(restoring_segments(node, ready.copies))
            take_out(node, ready)
            added = add_segments(node, ready)
            style_segments(node, added)
        return node, _by_key(added)

    # -- boxes and diameters

    def _boxed(self, ready: Ready) -> dict[str, BoxedLesion]:
        """The lesions without a mask: the new ones, and earlier ones that the reader has touched."""
        table = (self.old.get(nodes.ROLE_TABLE) or [None])[0]
        boxed = {key: one for key, one in read_boxed(table).items() if one.touched}
        for lesion in ready.new:
            if lesion.number not in ready.masked:
                new = BoxedLesion(replace(lesion, number=ready.numbers[lesion.number]))
                boxed[new.row_id] = new
        return boxed

    def _marks(
        self,
        segmentation: slicer.vtkMRMLSegmentationNode,
        boxed: Mapping[str, BoxedLesion],
        diameters: bool,
    ) -> MarkNodes:
        there = MarkNodes.of(self.old)
        made = make_marks(self.scene, self.result.case_name, self._own, self._add, self.old)
        if there is None:
            draw_marks(
                made, case_marks(segmentation, boxed.values()), Shown(axes=diameters), self.result.geometry
            )
        # Those that are there show what the reader has switched on: whoever shows the case draws them anew.
        return made

    # -- table

    def _table(
        self, ready: Ready, segmentation: slicer.vtkMRMLSegmentationNode, boxed: Mapping[str, BoxedLesion]
    ) -> slicer.vtkMRMLTableNode:
        rows = [replace(lesion, number=ready.numbers[lesion.number]) for lesion in ready.new]
        there = {row.number for row in rows}
        rows += [one.lesion for one in boxed.values() if one.lesion.number not in there]
        taken = {row.number for row in rows} | set(ready.numbers.values())
        names: dict[int, str] = {}
        for segment_id, mask in ready.kept_lesions.items():
            segment = segmentation.GetSegmentation().GetSegment(segment_id)
            lesion = drawn_lesion(segment, segment_id, mask, self.result.geometry)
            number = lesion.number or free_number(taken)
            taken.add(number)
            names[number] = lesion.name
            rows.append(replace(lesion, number=number))
        table = nodes.findings_table(rows, names)
        existing = (self.old.get(nodes.ROLE_TABLE) or [None])[0]
        if existing is None:
            existing = self._new("vtkMRMLTableNode", self._described.name, nodes.ROLE_TABLE)
            nodes.show_table(existing, table)
            self._tell_case(existing, boxed.values())
            return self._add(existing)
        before = existing.GetTable()
        nodes.carry_measurements(before, table, set(names))
        self.undo.append(lambda: existing.SetAndObserveTable(before))
        was = existing.StartModify()
        try:
            nodes.show_table(existing, table)
            self._tell_case(existing, boxed.values())
        finally:
            existing.EndModify(was)
        return existing

    def _tell_case(self, table: slicer.vtkMRMLTableNode, boxed: Iterable[BoxedLesion]) -> None:
        """What the table's node says of the whole case."""
        attributes = self._described.attributes
        before = {name: table.GetAttribute(name) for name in attributes}
        boxed_before = tuple(read_boxed(table).values())
        description = table.GetDescription()

        def restore() -> None:
            for name, value in before.items():
                table.SetAttribute(name, value)
            write_boxed(table, boxed_before)
            table.SetDescription(description)

        self.undo.append(restore)
        for name, value in attributes.items():
            table.SetAttribute(name, value)
        write_boxed(table, boxed)
        table.SetDescription(self._described.description)

    # -- maps

    def _maps(
        self, ids: Mapping[int, str], numbers: Mapping[int, int]
    ) -> Steps[dict[str, slicer.vtkMRMLScalarVolumeNode]]:
        """Volumes of probabilities and attention, one in a step; an earlier run's are filled anew."""
        existing = {node.GetAttribute(nodes.ATTR_MAP): node for node in self.old.get(nodes.ROLE_MAP, [])}
        volumes: dict[str, slicer.vtkMRMLScalarVolumeNode] = {}
        for described in self.prepared.whole_maps:
            key = described.key
            node, fresh = self._map_node(key, existing.pop(key, None))
            nodes.fill_map(node, described, self.prepared.images.get(key))
            volumes[key] = self._add_map(node, described) if fresh else node
            yield
        yield from self._lesion_maps(ids, numbers, existing, volumes)
        self.replaced.extend([*existing.values(), *self.old.get(nodes.ROLE_POINT, [])])
        return volumes

    def _lesion_maps(
        self,
        ids: Mapping[int, str],
        numbers: Mapping[int, int],
        existing: dict[str, slicer.vtkMRMLScalarVolumeNode],
        volumes: dict[str, slicer.vtkMRMLScalarVolumeNode],
    ) -> Steps[None]:
        """The stack of all lesions' maps, and a volume of each kind that shows one of them."""
        stack, node = self.prepared.stack, (self.old.get(ROLE_STACK) or [None])[0]
        if stack is None:
            if node is not None:
                self.replaced.append(node)
            return
        rows = {number: f"{BOX_PREFIX}{shown}" for number, shown in numbers.items()} | dict(ids)
        entries = with_rows(stack.entries, rows)
        if node is None:
            node = self._new(
                "vtkMRMLScalarVolumeNode", f"{self.result.case_name} maps of lesions", ROLE_STACK
            )
            node.SetHideFromEditors(True)
            node.SetAndObserveImageData(stack.image)
            write_entries(node, entries)
            self._add(node)
        else:
            self._remember_volume(node)
            node.SetAndObserveImageData(stack.image)
            write_entries(node, entries)
        yield
        for kind in dict.fromkeys(entry.kind for entry in entries):
            first = next(entry for entry in entries if entry.kind == kind)
            image, described = yield from lesion_map_steps(stack.image, first, self.result.case_name)
            shown, fresh = self._map_node(kind, existing.pop(kind, None))
            nodes.fill_map(shown, described, image)
            volumes[kind] = self._add_map(shown, described) if fresh else shown
            yield

    def _map_node(
        self, name: str, node: slicer.vtkMRMLScalarVolumeNode | None
    ) -> tuple[slicer.vtkMRMLScalarVolumeNode, bool]:
        """The node for a map, and whether it is new, so not in the scene yet."""
        if node is not None:
            self._remember_volume(node)
            return node, False
        node = self._new("vtkMRMLScalarVolumeNode", f"{self.result.case_name} {name}", nodes.ROLE_MAP)
        node.SetAttribute(nodes.ATTR_MAP, name)
        return node, True

    def _add_map(
        self, node: slicer.vtkMRMLScalarVolumeNode, described: SceneMap
    ) -> slicer.vtkMRMLScalarVolumeNode:
        # Its voxels first: a display without any would complain.
        nodes.give_map_display(self.scene, node, described)
        return self._add(node)

    def _remember_volume(self, node: slicer.vtkMRMLScalarVolumeNode) -> None:
        image, matrix, meaning = node.GetImageData(), vtkMatrix4x4(), node.GetDescription()
        attributes = {name: node.GetAttribute(name) for name in node.GetAttributeNames()}
        node.GetIJKToRASMatrix(matrix)

        def restore() -> None:
            node.SetIJKToRASMatrix(matrix)
            node.SetAndObserveImageData(image)
            node.SetDescription(meaning)
            for name, value in attributes.items():
                node.SetAttribute(name, value)

        self.undo.append(restore)

    def _anatomy(self, surfaces: bool) -> AnatomyNodes | None:
        """Vessels and segments; those of an earlier run stay where this one was not asked for any."""
        there, found = AnatomyNodes.of(self.old), self.result.anatomy
        if found is None:
            return there
        if there is not None:
            self.undo.append(refilling(there, found.geometry))
        made = show_anatomy(
            self.scene, there, found, self.volume, self.result.case_name, self._own, self._add
        )
        if surfaces:
            make_surfaces(made.segmentation, found)
        return made

    def _place(
        self, folders: Mapping[str, tuple], segmentation: slicer.vtkMRMLSegmentationNode, *more
    ) -> int:
        before = (self.old.get(nodes.ROLE_SEGMENTATION) or [None])[0]
        tree = CaseTree(self.scene, self.volume, self.result.case_name, before or segmentation)
        tree.undo = self.undo  # A failure half-way takes its steps back too.
        return tree.place(self.added, (segmentation, *more), folders)


def _by_key(added: Mapping[str, segments.NewSegment]) -> dict[int, str]:
    """IDs of the liver (0) and of the lesions by their number in the result."""
    return {item.key: segment_id for segment_id, item in added.items() if item.key is not None}
