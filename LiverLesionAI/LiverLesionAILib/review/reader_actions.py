"""What the reader does to lesions: accept, reject, class, note, and all that changes masks.

Each is one undo step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..case import terminology as terms
from ..case.findings import LesionStatus
from ..scene import segments
from .mask_actions import MaskActions


class ReaderActions(MaskActions):
    """Every action on the lesions of one case."""

    def set_status(self, segment_ids: Sequence[str], status: LesionStatus) -> None:
        """Decide on lesions; the decision is taken back where they all have it already."""
        rows = [row for row in self._case.rows if row.segment_id in segment_ids]
        back = bool(rows) and all(row.status is status for row in rows)
        new = LesionStatus.UNDECIDED if back else status

        def act(node: Any) -> None:
            for segment_id in segment_ids:
                box = self._case.box(segment_id)
                if box is not None:
                    self._write_boxes({segment_id: box.changed(status=new)})
                    continue
                segments.mark(node.GetSegmentation().GetSegment(segment_id), new)

        self._do(f"{'take back ' if back else ''}{status.action}", segment_ids, act, masks=False)

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
