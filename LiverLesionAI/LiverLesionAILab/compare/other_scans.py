"""What a network's attentions gathered and weighted by in other scans, given to a scan in place of its own.

"averaged over scans" is one value for each channel (of each image of a window): the mean over all scans'
slices and places. "another scan's" is what the same attention made of the scan half a list away, slice for
slice (again from its first where it has fewer), stretched to the size of the own map: gates, weights, or what
an affinity gathered, all of it; where an attention sees a bag, that is the other scan's with its target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from LiverLesionAILib.networks.health import Mechanism
    from torch import Tensor

MEAN, OTHER = "averaged over scans", "another scan's"
FROM_SCANS = (MEAN, OTHER)


class OtherScans:
    """Notes what mechanisms make of scans, and then gives it to others."""

    def __init__(self, mechanisms: Sequence[Mechanism]) -> None:
        self.mechanisms = mechanisms
        self._made: dict[str, dict[str, list[Tensor]]] = {one.name: {} for one in mechanisms}
        self._means: dict[str, Tensor] = {}

    @property
    def scans(self) -> int:
        """How many have been noted."""
        return max((len(each) for each in self._made.values()), default=0)

    @contextmanager
    def noting(self, scan: str) -> Iterator[None]:
        """The network answers as it is about a scan's slices; what its attentions make of them is noted."""
        from LiverLesionAILib.networks.health import watched

        with ExitStack() as stack:
            for one in self.mechanisms:
                note = _noting(self._made[one.name].setdefault(scan, []))
                stack.enter_context(watched(one, note, lambda *_: None))
            yield

    def given(self, mechanism: Mechanism, how: str, scan: str) -> Callable[[Tensor], Tensor]:
        """What replaces a scan's own, (T, C, h, w), by other scans'; its slices are asked in their order."""
        return self._mean(mechanism) if how == MEAN else self._other(mechanism, scan)

    def _mean(self, mechanism: Mechanism) -> Callable[[Tensor], Tensor]:
        import torch

        if mechanism.name not in self._means:
            each = [one.float().mean(dim=(1, 2)) for of in self._made[mechanism.name].values() for one in of]
            self._means[mechanism.name] = torch.stack(each).mean(dim=0)[None, :, None, None]
        mean = self._means[mechanism.name]
        return lambda own: mean.to(own.dtype).expand_as(own)

    def _other(self, mechanism: Mechanism, scan: str) -> Callable[[Tensor], Tensor]:
        import torch
        import torch.nn.functional as F

        scans = list(self._made[mechanism.name])
        others = self._made[mechanism.name][scans[(scans.index(scan) + max(1, len(scans) // 2)) % len(scans)]]
        asked = 0

        def give(own: Tensor) -> Tensor:
            nonlocal asked
            taken = [others[(asked + k) % len(others)][None].to(own.dtype) for k in range(len(own))]
            asked += len(own)
            size_yx = (own.shape[2], own.shape[3])
            if size_yx == (1, 1):
                return torch.cat(taken)
            return torch.cat(
                [F.interpolate(one, size=size_yx, mode="bilinear", align_corners=False) for one in taken]
            )

        return give


def _noting(kept: list[Tensor]) -> Callable[[Tensor], Tensor]:
    import torch

    def note(own: Tensor) -> Tensor:
        kept.extend(one.detach().to(torch.float16, copy=True) for one in own)
        return own

    return note
