"""What the reader does to lesions: accept, reject, delete, class, note, merge, split, add. Each is one undo
step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import slicer
from scipy import ndimage

from .. import scene_nodes as nodes
from .. import scene_segments as segments
from .. import terminology as terms
from ..colours import lesion_colour
from ..ct import Geometry
from ..errors import InputError
from ..findings import LesionSource, LesionStatus
from ..mask_crops import Mask
from ..scene_geometry import volume_geometry
from ..scene_read import free_number
from .box_findings import BoxState, capture_box, remove_box, restore_box
from .case_view import BOX_PREFIX, CaseView, FindingRow, read_case
from .derived import follow
from .history import History, SegmentState, States, Step, capture, put, restore
from .kept import TAG_DRAWN, TAG_LESION, drawn_mask


class ReaderActions:
    """Actions on the lesions of one case.

    Attributes:
        history: what can be undone.
        move_threshold: sets the threshold's slider, when a move of it is undone.
    """

    def __init__(self, scene: slicer.vtkMRMLScene) -> None:
        self.move_threshold: Callable[[float], None] = lambda value: None
        self._scene = scene
        self._case = CaseView(None, None, None)
        self._key: tuple[str, int] | None = None
        self._liver: tuple[Any, Mask] | None = None
        self.history = History()

    def use(self, case: CaseView) -> None:
        """Work on this case; another one has another history."""
        node = case.segmentation
        key = (node.GetID(), id(node)) if node is not None else None
        if key != self._key:
            self.history.clear()
            self._liver = None
        self._case, self._key = case, key

    # -- marks

    def set_status(self, segment_ids: Sequence[str], status: LesionStatus) -> None:
        """Accept or reject; lesions that all have that status go back to what they were before."""
        rows = [row for row in self._case.rows if row.segment_id in segment_ids]
        back = bool(rows) and all(row.status is status for row in rows)
        label = {LesionStatus.ACCEPTED: "accept", LesionStatus.REJECTED: "reject"}[status]

        def act(node: Any) -> None:
            for segment_id in segment_ids:
                box = self._case.box(segment_id)
                if box is not None:
                    box.SetAttribute(nodes.ATTR_STATUS, LesionStatus.AI.value if back else status.value)
                    continue
                segment = node.GetSegmentation().GetSegment(segment_id)
                new = self._undecided(node, segment_id) if back else status
                segments.mark(segment, new)

        self._do(f"{'take back ' if back else ''}{label}", segment_ids, act, masks=False)

    def _undecided(self, node: Any, segment_id: str) -> LesionStatus:
        segment = node.GetSegmentation().GetSegment(segment_id)
        mask = segments.read_mask(node, segment_id, self._geometry())
        drawn = segments.tag(segment, terms.TAG_MASK)
        return (
            LesionStatus.AI if drawn and drawn == mask.fingerprint(self._geometry()) else LesionStatus.EDITED
        )

    def set_class(self, segment_id: str, name: str) -> None:
        """Give a lesion the reader's class; "" goes back to the model's, which is kept beside it."""
        row = self._case.row(segment_id)
        name = name.strip()
        if row is None or name == (row.reader_class or ""):
            return

        def act(node: Any) -> None:
            box = self._case.box(segment_id)
            if box is not None:
                box.SetAttribute(nodes.ATTR_READER_CLASS, name)
                return
            segment = node.GetSegmentation().GetSegment(segment_id)
            if name:
                segment.SetTag(terms.TAG_READER_CLASS, name)
            else:
                segment.RemoveTag(terms.TAG_READER_CLASS)
            shown = name or row.model_class
            probability = None if name else row.class_probabilities.get(row.model_class or "")
            segment.SetTag(terms.TAG_TERMINOLOGY, terms.lesion_terminology(shown))
            segment.SetName(terms.lesion_name(row.number, shown, probability))

        self._do("change class", [segment_id], act, masks=False)

    def set_note(self, segment_id: str, text: str) -> None:
        """Write a note on a lesion; "" removes it."""
        row = self._case.row(segment_id)
        if row is None or row.note == text.strip():
            return

        def act(node: Any) -> None:
            box = self._case.box(segment_id)
            if box is not None:
                box.SetAttribute(nodes.ATTR_NOTE, text.strip())
                return
            segment = node.GetSegmentation().GetSegment(segment_id)
            if text.strip():
                segment.SetTag(terms.TAG_NOTE, text.strip())
            else:
                segment.RemoveTag(terms.TAG_NOTE)

        self._do("note", [segment_id], act, masks=False)

    # -- masks

    def delete(self, segment_ids: Sequence[str]) -> None:
        """Take lesions out."""

        def act(node: Any) -> None:
            for segment_id in segment_ids:
                box = self._case.box(segment_id)
                if box is not None:
                    remove_box(self._scene, box)
                else:
                    node.GetSegmentation().RemoveSegment(segment_id)

        self._do("delete", segment_ids, act, masks=True)

    def merge(self, segment_ids: Sequence[str]) -> str:
        """Make one lesion of several; the largest keeps its number and class. The ID of what remains.

        Raises:
            InputError: fewer than two lesions.
        """
        if len(segment_ids) < 2:
            raise InputError("Select two or more lesions to merge (Ctrl-click in the table).")
        self._need_masks(segment_ids)
        geometry, node = self._geometry(), self._case.segmentation
        masks = {s: segments.read_mask(node, s, geometry) for s in segment_ids}
        kept = max(segment_ids, key=lambda s: masks[s].count)
        joined = _union(list(masks.values()))

        def act(node: Any) -> None:
            segmentation = node.GetSegmentation()
            self._replace_mask(node, kept, joined)
            for segment_id in segment_ids:
                if segment_id != kept:
                    segmentation.RemoveSegment(segment_id)

        self._do("merge", segment_ids, act, masks=True, measure=[kept])
        return kept

    def split(
        self, segment_id: str, plane: tuple[Sequence[float], Sequence[float]] | None = None
    ) -> list[str]:
        """Make a lesion of each connected part, or of each side of a plane. The IDs.

        Args:
            plane: a point on it and one straight ahead of it, LPS mm in the volume's own space.

        Raises:
            InputError: the lesion is in one piece, or lies on one side of the plane.
        """
        self._need_masks([segment_id])
        node, geometry = self._case.segmentation, self._geometry()
        mask = segments.read_mask(node, segment_id, geometry)
        if plane is None:
            labels, count = ndimage.label(mask.voxels_zyx, np.ones((3, 3, 3)))
            if count < 2:
                raise InputError(
                    "This lesion is in one piece: draw a plane through it (button Split again), or "
                    "erase a gap."
                )
        else:
            labels = np.where(_in_front(mask, geometry, plane), 1, 2) * mask.voxels_zyx
            if len(np.unique(labels[labels > 0])) < 2:
                raise InputError("The plane does not pass through the lesion. Move it and split again.")
        numbers = np.unique(labels[labels > 0])
        parts = sorted((labels == k for k in numbers), key=np.count_nonzero, reverse=True)
        ids = [segment_id]
        taken = self._case.numbers
        segmentation = node.GetSegmentation()
        new = []
        for part in parts[1:]:
            number = free_number(taken)
            taken.add(number)
            new_id = segmentation.GenerateUniqueSegmentID(f"lesion_{number}")
            while new_id in ids:
                new_id += "_"
            ids.append(new_id)
            new.append((new_id, number, Mask(part, mask.start_zyx)))

        def act(node: Any) -> None:
            original = node.GetSegmentation().GetSegment(segment_id)
            for new_id, number, part in new:
                self._add_segment(node, new_id, number, part, like=original, after=segment_id)
            self._replace_mask(node, segment_id, Mask(parts[0], mask.start_zyx))

        self._do("split", ids, act, masks=True, measure=ids)
        return ids

    def add(self, mask: Mask) -> str:
        """Add a lesion with this mask; its ID.

        Raises:
            InputError: the mask is empty.
        """
        if not mask.count:
            raise InputError("Nothing could be grown from this point.")
        number = free_number(self._case.numbers)
        node = self._case.segmentation
        new_id = node.GetSegmentation().GenerateUniqueSegmentID(f"lesion_{number}")

        def act(node: Any) -> None:
            self._add_segment(node, new_id, number, mask)

        self._do("add", [new_id], act, masks=True, measure=[new_id])
        return new_id

    def outline(self, row_id: str, mask: Mask) -> str:
        """Give a lesion that has only a box this mask; the ID of its segment.

        Raises:
            InputError: the mask is empty.
        """
        box, row = self._case.box(row_id), self._case.row(row_id)
        if box is None or row is None or not mask.count:
            raise InputError("No outline could be grown in this box. Draw one: Add, then Edit.")
        node = self._case.segmentation
        new_id = node.GetSegmentation().GenerateUniqueSegmentID(f"lesion_{row.number}")

        def act(node: Any) -> None:
            self._add_segment(node, new_id, row.number, mask, about=row)
            box.SetAttribute(nodes.ATTR_SEGMENT, new_id)
            # Round the outline from now on, so it counts as where the AI put it.
            nodes.follow_again(box)

        self._do("outline", [row_id, new_id], act, masks=True, measure=[new_id])
        return new_id

    def set_mask(self, segment_id: str, mask: Mask, label: str = "edit") -> None:
        """Give a lesion other voxels, as one step; its status becomes edited."""
        self._do(
            label,
            [segment_id],
            lambda node: self._replace_mask(node, segment_id, mask),
            masks=True,
            measure=[segment_id],
        )

    def back_to_ai(self, segment_id: str) -> None:
        """Give a lesion the mask the AI drew.

        Raises:
            InputError: the AI drew none, because the reader added the lesion.
        """
        segment = self._case.segmentation.GetSegmentation().GetSegment(segment_id)
        mask = drawn_mask(segment, self._geometry())
        if mask is None:
            raise InputError("The AI drew no outline for this lesion: you added it.")

        def act(node: Any) -> None:
            self._replace_mask(node, segment_id, mask)
            segments.mark(node.GetSegmentation().GetSegment(segment_id), self._undecided(node, segment_id))
            again = node.GetSegmentation().GetSegment(segment_id)
            again.SetTag(terms.TAG_ALGORITHM_TYPE, terms.algorithm_type(LesionStatus.AI))

        self._do("back to AI mask", [segment_id], act, masks=True, measure=[segment_id])

    def state(self, segment_id: str) -> SegmentState | None:
        """A lesion as it is, to be handed to :meth:`edited` once the reader has drawn in it."""
        node = self._case.segmentation
        if node is None or segment_id.startswith(BOX_PREFIX):
            return None
        return capture(node, [segment_id], self._geometry(), masks=True)[segment_id]  # type: ignore[return-value]

    def edited(self, segment_id: str, before: SegmentState) -> bool:
        """Take note of what the reader drew in a segment; whether it differs from `before`.

        The lesion becomes edited, its measurements follow, and one undo takes the stroke back.
        """
        now = self.state(segment_id)
        if now is None or now.mask is None or before.mask is None:
            return False
        geometry = self._geometry()
        if now.mask.fingerprint(geometry) == before.mask.fingerprint(geometry):
            return False
        node = self._case.segmentation
        segments.mark(node.GetSegmentation().GetSegment(segment_id), LesionStatus.EDITED)
        after = self.state(segment_id)
        self.history.add(Step("edit", {segment_id: before}, {segment_id: after}))
        self._case = follow(self._scene, self._case, [segment_id], self.liver_mask())
        return True

    # -- undo

    def undo(self) -> str:
        """Take the last step back; what it was, "" when there is none."""
        return self._move(self.history.undo(), before=True)

    def redo(self) -> str:
        """Do the last undone step again; what it was, "" when there is none."""
        return self._move(self.history.redo(), before=False)

    def _move(self, step: Step | None, *, before: bool) -> str:
        if step is None or self._case.segmentation is None:
            return ""
        if step.threshold is not None:
            self.move_threshold(step.threshold[0 if before else 1])
            return step.label
        states = step.before if before else step.after
        self._restore(states)
        redrawn = [s for s, state in states.items() if isinstance(state, SegmentState) and state.mask]
        self._case = follow(self._scene, self._case, redrawn, self.liver_mask())
        return step.label

    # -- parts

    def liver_mask(self) -> Mask | None:
        """The liver's voxels; read once while its labelmap stays as it is."""
        node, segment_id = self._case.segmentation, self._case.liver_segment
        if node is None or not segment_id:
            return None
        segment = node.GetSegmentation().GetSegment(segment_id)
        image = segment.GetRepresentation(segments.BINARY)
        key = (segment_id, image.GetMTime() if image is not None else 0)
        if self._liver is None or self._liver[0] != key:
            self._liver = (key, segments.read_mask(node, segment_id, self._geometry()))
        return self._liver[1]

    def _geometry(self) -> Geometry:
        return volume_geometry(self._case.volume)

    def _do(
        self,
        label: str,
        segment_ids: Iterable[str],
        act: Callable[[Any], None],
        *,
        masks: bool,
        measure: Sequence[str] = (),
    ) -> None:
        node, ids = self._case.segmentation, list(segment_ids)
        if node is None or not ids:
            return
        before = self._capture(ids, masks)
        try:
            act(node)
        except BaseException:
            self._restore(before)
            raise
        self.history.add(Step(label, before, self._capture(ids, masks)))
        self._case = follow(self._scene, self._case, measure, self.liver_mask())

    def _capture(self, ids: Sequence[str], masks: bool) -> dict[str, SegmentState | BoxState | None]:
        drawn = [i for i in ids if not i.startswith(BOX_PREFIX)]
        found: dict[str, SegmentState | BoxState | None] = {}
        found.update(capture(self._case.segmentation, drawn, self._geometry(), masks=masks))
        for row_id in set(ids) - set(drawn):
            found[row_id] = capture_box(self._scene, self._case, row_id)
        return found

    def _restore(self, states: States) -> None:
        for row_id, state in states.items():
            if row_id.startswith(BOX_PREFIX):
                restore_box(self._scene, self._case, row_id, state)  # type: ignore[arg-type]
        drawn = {i: state for i, state in states.items() if not i.startswith(BOX_PREFIX)}
        restore(self._case.segmentation, drawn, self._geometry())

    def _need_masks(self, row_ids: Sequence[str]) -> None:
        if any(row_id.startswith(BOX_PREFIX) for row_id in row_ids):
            raise InputError("This lesion has only a box. Click Outline first: it draws one in the box.")

    def _replace_mask(self, node: Any, segment_id: str, mask: Mask) -> None:
        segment = node.GetSegmentation().GetSegment(segment_id)
        ids = segments.segment_ids(node)
        place = ids.index(segment_id)
        new = segments.rebuilt(segment, mask, self._geometry())
        put(node, segment_id, new, ids[place - 1] if place else "")
        segments.mark(node.GetSegmentation().GetSegment(segment_id), LesionStatus.EDITED)

    def _add_segment(
        self,
        node: Any,
        segment_id: str,
        number: int,
        mask: Mask,
        *,
        like: Any = None,
        after: str = "?",
        about: FindingRow | None = None,
    ) -> None:
        """`like`: a segment whose tags it takes over; `about`: a row that it makes an outline for."""
        segment = slicer.vtkSegment()
        if like is not None:
            segment.DeepCopyMetadata(like)
            for name in (terms.TAG_MASK, terms.TAG_NAME, TAG_DRAWN, TAG_LESION):
                segment.RemoveTag(name)
        if about is not None:
            for name, value in _told(about).items():
                segment.SetTag(name, value)
        reader = segments.tag(segment, terms.TAG_READER_CLASS)
        found = reader or segments.tag(segment, terms.TAG_CLASS) or None
        segment.SetName(terms.lesion_name(number, found))
        segment.SetColor(*lesion_colour(number))
        tags = {
            terms.TAG_TERMINOLOGY: terms.lesion_terminology(found),
            terms.TAG_ALGORITHM_TYPE: terms.algorithm_type(LesionStatus.EDITED),
            terms.TAG_ROLE: terms.ROLE_LESION,
            terms.TAG_STATUS: LesionStatus.EDITED.value,
            terms.TAG_NUMBER: str(number),
            terms.TAG_SOURCE: (LesionSource.BOTH if about else LesionSource.READER).value,
        }
        for name, value in tags.items():
            segment.SetTag(name, value)
        put(node, segment_id, segments.rebuilt(segment, mask, self._geometry()), after)

    def refresh(self) -> CaseView:
        """The case as it now is."""
        if self._case.volume is not None:
            self._case = read_case(self._scene, self._case.volume)
        return self._case


def _told(row: FindingRow) -> dict[str, str]:
    """What a box said of its lesion, as tags of a segment."""
    tags = {
        terms.TAG_CLASS: row.model_class or "",
        terms.TAG_READER_CLASS: row.reader_class or "",
        terms.TAG_PROBABILITIES: terms.probabilities_text(row.class_probabilities),
        terms.TAG_NOTE: row.note,
        terms.TAG_SCORE: "" if row.score is None else f"{row.score:.4f}",
    }
    return {name: value for name, value in tags.items() if value}


def _union(masks: Sequence[Mask]) -> Mask:
    low = np.min([m.start_zyx for m in masks], axis=0)
    high = np.max([np.array(m.start_zyx) + m.voxels_zyx.shape for m in masks], axis=0)
    out = np.zeros(high - low, bool)
    for mask in masks:
        place = tuple(slice(s.start - o, s.stop - o) for s, o in zip(mask.slices, low, strict=True))
        out[place] |= mask.voxels_zyx
    return Mask(out, tuple(int(v) for v in low))  # type: ignore[arg-type]


def _in_front(mask: Mask, geometry: Geometry, plane: tuple[Sequence[float], Sequence[float]]) -> np.ndarray:
    """Where a mask's voxel centres lie on the side of a plane that its second point is on."""
    point_lps, ahead_lps = (np.array(point, float) for point in plane)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in mask.voxels_zyx.shape], indexing="ij"), axis=-1)
    positions_lps = geometry.index_to_lps(grid + np.array(mask.start_zyx))
    return (positions_lps - point_lps) @ (ahead_lps - point_lps) > 0
