"""Where a case's nodes lie in the subject hierarchy: under the CT's study, in folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import slicer


class CaseTree:
    """Puts nodes in their places.

    Attributes:
        undo: how to take each change back, first change first.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        volume: slicer.vtkMRMLScalarVolumeNode | None,
        case_name: str,
        segmentation_before: slicer.vtkMRMLSegmentationNode | None,
    ) -> None:
        self._tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        self._volume, self._name, self._before = volume, case_name, segmentation_before
        self.undo: list[Callable[[], None]] = []

    def place(
        self,
        added: Sequence[slicer.vtkMRMLNode],
        direct: Sequence[slicer.vtkMRMLNode],
        folders: Mapping[str, Sequence[slicer.vtkMRMLNode]],
    ) -> int:
        """Put those that were added under the CT's study (made where it has none); the study's item.

        Args:
            direct: nodes right under the study.
            folders: what is in a folder -> the nodes in it.
        """
        tree = self._tree
        study = self._study()
        for folder_name, members in {"": direct, **folders}.items():
            members = [node for node in members if node in added]
            if not members:
                continue
            parent = study
            if folder_name:
                title = f"{self._name} {folder_name}"
                parent = tree.GetItemChildWithName(study, title)
                if not parent:
                    parent = tree.CreateFolderItem(study, title)
                    self._undo_item(parent)
            for node in members:
                item = tree.GetItemByDataNode(node)
                if not item:
                    tree.CreateItem(parent, node)
                elif tree.GetItemParent(item) != parent:
                    tree.SetItemParent(item, parent)
        return study

    def _study(self) -> int:
        tree = self._tree
        item, root = 0, tree.GetSceneItemID()
        if self._volume is not None:
            item = tree.GetItemByDataNode(self._volume) or tree.CreateItem(root, self._volume)
            study = tree.GetItemAncestorAtLevel(item, "Study")
            if study:
                return study
        elif self._before is not None:
            own = tree.GetItemByDataNode(self._before)
            study = tree.GetItemAncestorAtLevel(own, "Study") if own else 0
            if study:
                return study
        parent = tree.GetItemParent(item) if item else root
        study = tree.CreateStudyItem(parent or root, self._name)
        self._undo_item(study)
        if item:
            self.undo.append(lambda: tree.SetItemParent(item, parent or root))
            tree.SetItemParent(item, study)
        return study

    def _undo_item(self, item: int) -> None:
        self.undo.append(lambda: self._tree.RemoveItem(item, False, False))
