"""One outline round several lesions of the other scan: its parts, or that it is far larger than they are."""

from __future__ import annotations

from dataclasses import dataclass

from .volume_interval import volume_digits


@dataclass(frozen=True)
class JoinedOutline:
    """A proposal: the case keeps the one outline until the reader has it cut.

    Attributes:
        in_current: whether the current scan has it; else the prior one.
        number: of the outline in its scan.
        others: lesions of the other scan that lie in it, two or more.
        long_axes_mm, volumes_ml: of its part for each of `others`, in their order.
    """

    in_current: bool
    number: int
    others: tuple[int, ...]
    long_axes_mm: tuple[float, ...]
    volumes_ml: tuple[float, ...]

    @property
    def text(self) -> str:
        """The proposal in a sentence."""
        scan, other = ("this", "the prior") if self.in_current else ("the prior", "this")
        parts = " and ".join(
            f"{mm:.0f} mm (where lesion {n} lies)"
            for n, mm in zip(self.others, self.long_axes_mm, strict=True)
        )
        return (
            f"Lesion {self.number} of {scan} scan is one outline round lesions "
            f"{' + '.join(map(str, self.others))} of {other} scan. Split there, its parts measure {parts}."
        )


@dataclass(frozen=True)
class WideOutline:
    """A network's outline that holds far more than the lesions that it lies round.

    Either they have grown together or it is drawn over tissue between and around them: its volume cannot
    tell the two apart, so the reader has to look.

    Attributes:
        in_current: whether the current scan has it; else the prior one.
        number: of the outline in its scan.
        others: lesions of the other scan that lie in it, two or more.
        outline_ml, others_ml: its volume, and that of the others together.
    """

    in_current: bool
    number: int
    others: tuple[int, ...]
    outline_ml: float
    others_ml: float

    @property
    def text(self) -> str:
        """What the reader has to look at, in a sentence."""
        scan, other = ("this", "the prior") if self.in_current else ("the prior", "this")
        or_else = "grown together" if self.in_current else "shrunk apart"
        outline, together = (f"{ml:.{volume_digits(ml)}f}" for ml in (self.outline_ml, self.others_ml))
        return (
            f"Lesion {self.number} of {scan} scan is one outline of {outline} mL round lesions "
            f"{' + '.join(map(str, self.others))} of {other} scan, {together} mL together: drawn "
            f"too wide, or {or_else}. Check the outline."
        )
