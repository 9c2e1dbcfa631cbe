"""Parts of a computation side by side, each on one thread: no layer waits for the slower half of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import torch

from ..support.beside import Beside

Unit = TypeVar("Unit")
Result = TypeVar("Result")

MOST = 8
"""Parts at once: each has memory of its own; with more threads each of these gets some of them."""


def for_each(
    compute: Callable[[Unit], Result],
    units: Sequence[Unit],
    take: Callable[[int, Result], None],
    device: torch.device,
) -> None:
    """Compute every unit, on a CPU several at once by as many threads as torch has.

    What a unit gives depends neither on that number nor on the others.

    Args:
        compute: of one unit, without gradients; in any thread.
        take: gets a unit's index and result in the caller's thread, in order; may raise.
    """
    threads = torch.get_num_threads()
    at_once = min(threads, MOST, len(units)) if device.type == "cpu" else 1
    if at_once < 2:
        for number, unit in enumerate(units):
            take(number, _without_gradients(compute, unit))
        return
    # Threads that have not computed yet take what was set last.
    torch.set_num_threads(max(1, threads // at_once))
    made: dict[int, Result] = {}

    def make(number: int) -> None:
        made[number] = _without_gradients(compute, units[number])

    try:
        with Beside(at_once) as beside:
            begun = [beside.begin(partial(make, number)) for number in range(len(units))]
            for number, future in enumerate(begun):
                future.result()
                # Nobody holds it but who takes it.
                take(number, made.pop(number))
    finally:
        torch.set_num_threads(threads)


def _without_gradients(compute: Callable[[Unit], Result], unit: Unit) -> Result:
    with torch.inference_mode():
        return compute(unit)
