"""Targets outside of the liver, as the reader gives them: a length at every scan, the oldest first.

As text a target is `31.5, 28`; a lymph node, which counts by its short axis, `n 16, 9`; `0` is gone, `-` is
not shown by that scan. A semicolon stands between targets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .recist import TargetSize, TargetState

NODE, UNSEEN = "n", "-"
LONGEST_MM = 1000.0


@dataclass(frozen=True)
class OtherTarget:
    """One target.

    Attributes:
        axes_mm: long axis at every scan, of a lymph node the short one; 0 where it is gone, None where the
            scan does not show it.
        node: whether it is a lymph node.
    """

    axes_mm: tuple[float | None, ...]
    node: bool = False

    @property
    def sizes(self) -> tuple[TargetSize, ...]:
        """At every scan."""
        return tuple(self._size(mm) for mm in self.axes_mm)

    def _size(self, mm: float | None) -> TargetSize:
        if mm is None:
            return TargetSize(0.0, TargetState.NOT_COVERED, node=self.node)
        return TargetSize(mm, TargetState.MEASURED if mm > 0 else TargetState.GONE, node=self.node)

    @property
    def text(self) -> str:
        """As it is typed."""
        axes = ", ".join(UNSEEN if mm is None else f"{mm:g}" for mm in self.axes_mm)
        return f"{NODE} {axes}" if self.node else axes

    @classmethod
    def from_text(cls, text: str) -> OtherTarget:
        """The way back from :attr:`text`.

        Raises:
            ValueError: it is none.
        """
        text = text.strip()
        node = text[:1].lower() == NODE
        words = text[1:].split(",") if node else text.split(",")
        axes = tuple(None if word.strip() == UNSEEN else float(word) for word in words)
        if not all(mm is None or 0 <= mm < LONGEST_MM for mm in axes):
            raise ValueError(f"{text!r} is no length in mm")
        if not axes[0]:
            raise ValueError(f"{text!r}: the oldest scan has no length")
        return cls(axes, node)


def read_other_targets(text: str) -> tuple[OtherTarget, ...]:
    """Any number of targets.

    Raises:
        ValueError: one is none.
    """
    return tuple(OtherTarget.from_text(part) for part in text.split(";") if part.strip())


def at_every_scan(targets: Sequence[OtherTarget], scans: int) -> tuple[tuple[TargetSize, ...], ...]:
    """For every scan the targets that are given for each; nothing without any."""
    columns = [target.sizes for target in targets if len(target.axes_mm) == scans]
    return tuple(zip(*columns, strict=True))


def targets_of(elsewhere: Sequence[Sequence[TargetSize]]) -> tuple[OtherTarget, ...]:
    """The way back from :func:`at_every_scan`."""
    return tuple(
        OtherTarget(
            tuple(None if size.state is TargetState.NOT_COVERED else size.counted_mm for size in column),
            column[0].node,
        )
        for column in zip(*elsewhere, strict=True)
    )


def other_targets_text(
    elsewhere: Sequence[Sequence[TargetSize]],
    number: Callable[[float], str] = "{:.1f}".format,
    node: str = "lymph node (short axis)",
    unseen: str = "not covered",
) -> str:
    """All of them over time: `31.5 > 28.0; lymph node (short axis) 16.0 > 9.0`; "" without any."""
    return "; ".join(
        (f"{node} " if target.node else "")
        + " > ".join(unseen if mm is None else number(mm) for mm in target.axes_mm)
        for target in targets_of(elsewhere)
    )
