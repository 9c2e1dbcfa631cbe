"""What the reader does to lesions: accept, reject, class, note, and all that changes masks.

Each is one undo step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..case import terminology as terms
from ..case.anatomy import CouinaudSegment, LesionAnatomy, segments_text
from ..case.findings import LesionStatus
from ..case.tags import TAG_READER_SEGMENTS
from ..scene import segments
from ..support.errors import InputError
from ..volume.crops import Mask, union, without
from .case_view import ListedLesion
from .mask_actions import MaskActions


class ReaderActions(MaskActions):
    """Every action on the lesions of one case."""

    def set_status(self, segment_ids: Sequence[str], status: LesionStatus) -> None:
        """Decide on lesions; the decision is taken back where they all have it already.

        What is not liver (gallbladder, stomach, bowel) goes out of the liver too, and comes back into it with
        any other decision.

        Raises:
            InputError: nothing would be left of the liver.
        """
        rows = [row for row in self._case.rows if row.segment_id in segment_ids]
        back = bool(rows) and all(row.status is status for row in rows)
        new = LesionStatus.UNDECIDED if back else status
        liver_id, liver = self._case.liver_segment, self._liver_after(rows, new)

        def act(node: Any) -> None:
            for segment_id in segment_ids:
                box = self._case.box(segment_id)
                if box is not None:
                    self._write_boxes({segment_id: box.changed(status=new)})
                    continue
                segments.mark(node.GetSegmentation().GetSegment(segment_id), new)
            if liver is not None:
                self._replace_mask(node, liver_id, liver)
                organ = node.GetSegmentation().GetSegment(liver_id)
                if segments.tag(organ, terms.TAG_MASK) == liver.fingerprint(self._geometry()):
                    segments.mark_edited(organ, False)

        label = f"{'take back ' if back else ''}{status.action}"
        changed = segment_ids if liver is None else [*segment_ids, liver_id]
        self._do(label, changed, act, masks=liver is not None)
        if liver is not None:
            self._measure_liver()

    def _liver_after(self, rows: Sequence[ListedLesion], new: LesionStatus) -> Mask | None:
        """The liver's mask once these lesions are decided on so; None where it stays as it is."""
        liver = self.liver_mask()
        moved = [
            row
            for row in rows
            if not row.box_only
            and (row.status is LesionStatus.NOT_LIVER) is not (new is LesionStatus.NOT_LIVER)
        ]
        if liver is None or not moved:
            return None
        masks = [
            segments.read_mask(self._case.segmentation, row.segment_id, self._geometry()) for row in moved
        ]
        if new is not LesionStatus.NOT_LIVER:
            return union([liver, *masks])
        left = without(liver, masks)
        if not left.count:
            raise InputError("Nothing would be left of the liver. Reject the finding instead.")
        return left

    def set_class(self, segment_id: str, name: str) -> None:
        """Give a lesion the reader's class; "" goes back to the model's, which is kept beside it."""
        row = self._case.row(segment_id)
        name = name.strip()
        if row is None or name == (row.reader_class or ""):
            return

        def act(node: Any) -> None:
            box = self._case.box(segment_id)
            if box is not None:
                self._write_boxes({segment_id: box.changed(reader_class=name or None)})
                return
            segment = node.GetSegmentation().GetSegment(segment_id)
            if name:
                segments.set_tag(segment, terms.TAG_READER_CLASS, name)
            else:
                segment.RemoveTag(terms.TAG_READER_CLASS)
            shown = name or row.model_class
            probability = None if name else row.class_probabilities.get(row.model_class or "")
            segment.SetTag(terms.TAG_TERMINOLOGY, terms.lesion_terminology(shown))
            segment.SetName(terms.lesion_name(row.number, shown, probability))

        self._do("change class", [segment_id], act, masks=False)

    def set_segments(self, segment_ids: Sequence[str], said: Sequence[CouinaudSegment]) -> None:
        """Say which Couinaud segments lesions lie in; none goes back to what the planes say."""
        rows = [row for row in self._case.rows if row.segment_id in segment_ids]
        rows = [row for row in rows if _said(row) != tuple(said)]

        def act(node: Any) -> None:
            for row in rows:
                box = self._case.box(row.segment_id)
                if box is not None:
                    place = (box.lesion.anatomy or LesionAnatomy()).with_reader(said)
                    self._write_boxes({row.segment_id: box.changed(anatomy=place)})
                    continue
                segment = node.GetSegmentation().GetSegment(row.segment_id)
                if said:
                    segments.set_tag(segment, TAG_READER_SEGMENTS, segments_text(said))
                else:
                    segment.RemoveTag(TAG_READER_SEGMENTS)

        self._do("change segment", [row.segment_id for row in rows], act, masks=False)

    def set_note(self, segment_id: str, text: str) -> None:
        """Write a note on a lesion; "" removes it."""
        row = self._case.row(segment_id)
        if row is None or row.note == text.strip():
            return

        def act(node: Any) -> None:
            box = self._case.box(segment_id)
            if box is not None:
                self._write_boxes({segment_id: box.changed(note=text.strip())})
                return
            segment = node.GetSegmentation().GetSegment(segment_id)
            if text.strip():
                segments.set_tag(segment, terms.TAG_NOTE, text.strip())
            else:
                segment.RemoveTag(terms.TAG_NOTE)

        self._do("note", [segment_id], act, masks=False)


def _said(row: ListedLesion) -> tuple[CouinaudSegment, ...]:
    return () if row.anatomy is None else row.anatomy.reader_segments
