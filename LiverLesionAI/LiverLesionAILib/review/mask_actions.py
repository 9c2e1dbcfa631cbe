"""What the reader does to masks: delete, merge, split, add, outline, draw. Each is one undo step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer

from ..case import tags
from ..case import terminology as terms
from ..case.colours import lesion_colour
from ..case.description import BOX_PREFIX
from ..case.findings import Lesion, LesionSource, LesionStatus
from ..case.place import PLACE_TAGS
from ..case.tags import TAG_TRACKING_UID
from ..case.tracking import mask_uid
from ..scene import segments
from ..scene.read import free_number
from ..support.errors import InputError
from ..volume.crops import Mask, union
from ..volume.ct import Geometry
from ..volume.masks import components
from .action_steps import ActionSteps
from .click_question import TAG_CLICKS
from .derived import follow
from .history import SegmentState, Step, capture, put
from .kept import TAG_DRAWN, TAG_LESION, drawn_mask


class MaskActions(ActionSteps):
    """Actions that change what is drawn."""

    def delete(self, segment_ids: Sequence[str]) -> None:
        """Take lesions out."""

        def act(node: Any) -> None:
            for segment_id in segment_ids:
                if self._case.box(segment_id) is not None:
                    self._write_boxes({segment_id: None})
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
        joined = union(list(masks.values()))

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
            labels, count = components(mask.voxels_zyx)
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
        return self.cut(segment_id, [Mask(labels == k, mask.start_zyx) for k in numbers])

    def cut(self, segment_id: str, parts: Sequence[Mask]) -> list[str]:
        """Make a lesion of each of these parts; the largest stays the lesion that it was. The IDs.

        Args:
            parts: together the lesion's mask, none of them empty.
        """
        self._need_masks([segment_id])
        ordered = sorted(parts, key=lambda part: part.count, reverse=True)
        ids = [segment_id]
        taken = self._case.numbers
        segmentation = self._case.segmentation.GetSegmentation()
        new = []
        for part in ordered[1:]:
            number = free_number(taken)
            taken.add(number)
            new_id = segmentation.GenerateUniqueSegmentID(f"lesion_{number}")
            while new_id in ids:
                new_id += "_"
            ids.append(new_id)
            new.append((new_id, number, part))

        def act(node: Any) -> None:
            original = node.GetSegmentation().GetSegment(segment_id)
            for new_id, number, part in new:
                self._add_segment(node, new_id, number, part, like=original, after=segment_id)
            self._replace_mask(node, segment_id, ordered[0])

        self._do("split", ids, act, masks=True, measure=ids)
        return ids

    def add(self, mask: Mask, clicks: str = "") -> str:
        """Add a lesion with this mask; its ID.

        Args:
            clicks: where its outline came from, see :class:`~.click_question.ClickedPoints`.

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
            if clicks:
                segments.set_tag(node.GetSegmentation().GetSegment(new_id), TAG_CLICKS, clicks)

        self._do("add", [new_id], act, masks=True, measure=[new_id])
        return new_id

    def mask(self, segment_id: str) -> Mask:
        """A lesion's voxels as they are drawn now."""
        return segments.read_mask(self._case.segmentation, segment_id, self._geometry())

    def redraw(self, segment_id: str, mask: Mask, clicks: str) -> None:
        """Give a lesion another mask that came from clicks; one undo step.

        Raises:
            InputError: the mask is empty.
        """
        if not mask.count:
            raise InputError("Nothing could be outlined from these clicks.")

        def act(node: Any) -> None:
            self._replace_mask(node, segment_id, mask)
            segments.set_tag(node.GetSegmentation().GetSegment(segment_id), TAG_CLICKS, clicks)

        self._do("correct", [segment_id], act, masks=True, measure=[segment_id])

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
            self._add_segment(node, new_id, row.number, mask, about=box.lesion)
            self._write_boxes({row_id: None})

        self._do("outline", [row_id, new_id], act, masks=True, measure=[new_id])
        return new_id

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
            segments.mark_edited(node.GetSegmentation().GetSegment(segment_id), False)

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
        segments.mark_edited(node.GetSegmentation().GetSegment(segment_id))
        after = self.state(segment_id)
        self.history.add(Step("edit", {segment_id: before}, {segment_id: after}))
        self._case = follow(self._scene, self._case, [segment_id], self.liver_mask())
        if segment_id == self._case.liver_segment:
            self._measure_liver()
        return True

    # -- parts

    def _replace_mask(self, node: Any, segment_id: str, mask: Mask) -> None:
        segment = node.GetSegmentation().GetSegment(segment_id)
        ids = segments.segment_ids(node)
        place = ids.index(segment_id)
        new = segments.rebuilt(segment, mask, self._geometry())
        segments.give_surface(node, new, mask, self._geometry())
        put(node, segment_id, new, ids[place - 1] if place else "")
        segments.mark_edited(node.GetSegmentation().GetSegment(segment_id))

    def _add_segment(
        self,
        node: Any,
        segment_id: str,
        number: int,
        mask: Mask,
        *,
        like: Any = None,
        after: str = "?",
        about: Lesion | None = None,
    ) -> None:
        """`like`: a segment whose tags it takes over; `about`: one with only a box that it outlines."""
        segment = slicer.vtkSegment()
        if like is not None:
            segment.DeepCopyMetadata(like)
            own = (
                terms.TAG_MASK,
                terms.TAG_NAME,
                TAG_TRACKING_UID,
                *PLACE_TAGS,
                TAG_DRAWN,
                TAG_LESION,
                TAG_CLICKS,
            )
            for name in own:
                segment.RemoveTag(name)
        if about is not None:
            for name, value in tags.write(about).items():
                segments.set_tag(segment, name, value)
        reader = segments.tag(segment, terms.TAG_READER_CLASS)
        found = reader or segments.tag(segment, terms.TAG_CLASS) or None
        segment.SetName(terms.lesion_name(number, found))
        segment.SetColor(*lesion_colour(number))
        written = {
            terms.TAG_TERMINOLOGY: terms.lesion_terminology(found),
            terms.TAG_ALGORITHM_TYPE: terms.algorithm_type(edited=True),
            terms.TAG_ROLE: terms.ROLE_LESION,
            terms.TAG_STATUS: LesionStatus.UNDECIDED.value,
            terms.TAG_SLICER_STATUS: terms.slicer_status(LesionStatus.UNDECIDED, edited=True),
            terms.TAG_EDITED: "1",
            terms.TAG_NUMBER: str(number),
            terms.TAG_SOURCE: (LesionSource.BOTH if about else LesionSource.READER).value,
        }
        if not segments.tag(segment, TAG_TRACKING_UID):
            written[TAG_TRACKING_UID] = mask_uid(mask, self._geometry(), "reader")
        for name, value in written.items():
            segment.SetTag(name, value)
        new = segments.rebuilt(segment, mask, self._geometry())
        segments.give_surface(node, new, mask, self._geometry())
        put(node, segment_id, new, after)


def _in_front(mask: Mask, geometry: Geometry, plane: tuple[Sequence[float], Sequence[float]]) -> np.ndarray:
    """Where a mask's voxel centres lie on the side of a plane that its second point is on."""
    point_lps, ahead_lps = (np.array(point, float) for point in plane)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in mask.voxels_zyx.shape], indexing="ij"), axis=-1)
    positions_lps = geometry.index_to_lps(grid + np.array(mask.start_zyx))
    return (positions_lps - point_lps) @ (ahead_lps - point_lps) > 0
