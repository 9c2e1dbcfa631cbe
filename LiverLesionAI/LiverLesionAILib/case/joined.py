"""One outline round several lesions of the other scan, and what it comes to if it is cut between them."""

from __future__ import annotations

from dataclasses import dataclass


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
