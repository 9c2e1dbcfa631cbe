"""A network as it is, or with all attentions of one kind replaced in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from LiverLesionAILib.support.errors import InputError

from .attention_kept import AS_IT_IS
from .other_scans import FROM_SCANS, OtherScans

if TYPE_CHECKING:
    from LiverLesionAILib.networks.health import Mechanism
    from torch import nn


@dataclass(frozen=True, eq=False)
class Variant:
    """A network as it is (no mechanisms), or with those of one kind replaced."""

    attention: str = ""
    how: str = ""
    mechanisms: tuple[Mechanism, ...] = ()

    @property
    def name(self) -> str:
        """Of the variant: unlike all others."""
        return f"{self.attention}, {self.how}" if self.mechanisms else AS_IT_IS

    @contextmanager
    def in_place(self, others: OtherScans | None = None, scan: str = "") -> Iterator[None]:
        """The network answers as this variant; about which scan, where others' are to replace its own."""
        from LiverLesionAILib.networks.health import watched

        with ExitStack() as stack:
            for mechanism in self.mechanisms:
                given = self.how in FROM_SCANS and others is not None
                how: Any = others.given(mechanism, self.how, scan) if given and others else self.how
                stack.enter_context(watched(mechanism, how, lambda *_: None))
            yield

    def of(
        self, method: Callable[..., Any], others: OtherScans | None = None, scan: str = ""
    ) -> Callable[..., Any]:
        """What uses the network, using this variant."""

        def asked(*args: Any) -> Any:
            with self.in_place(others, scan):
                return method(*args)

        return asked


def variants_of(network: nn.Module, name: str, others: OtherScans | None = None) -> list[Variant]:
    """The network as it is, and each kind of its attentions replaced in each way on all its levels.

    Args:
        others: what was noted of other scans; of less than two none can stand for another.

    Raises:
        InputError: it has none.
    """
    from LiverLesionAILib.networks.health import REPLACEMENTS
    from LiverLesionAILib.networks.mechanisms import mechanisms_of

    kinds: dict[str, list[Mechanism]] = {}
    for mechanism in mechanisms_of(network):
        kinds.setdefault(mechanism.name.partition(",")[0], []).append(mechanism)
    if not kinds:
        raise InputError(f"{name} has no attention to replace.")
    ways = (*REPLACEMENTS, *(FROM_SCANS if others is not None and others.scans > 1 else ()))
    replaced = [Variant(kind, how, tuple(found)) for kind, found in kinds.items() for how in ways]
    return [Variant(), *replaced]
