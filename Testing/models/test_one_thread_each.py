"""Units side by side: in order, the same whatever the number of threads, and over when one fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from LiverLesionAILib.models.one_thread_each import MOST, for_each
from LiverLesionAILib.support.errors import Cancelled

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("count", [1, 2, 3, 2 * MOST])
def test_results_come_in_order_from_threads_that_share_the_cores(count: int) -> None:
    torch.set_num_threads(count)
    weight = torch.randn(8, 8, requires_grad=True)
    seen: list[tuple[int, float]] = []
    had: set[tuple[int, bool]] = set()

    def compute(unit: int) -> float:
        had.add((torch.get_num_threads(), (weight * unit).requires_grad))
        return float((weight.detach() @ torch.full((8,), float(unit))).sum())

    for_each(compute, range(20), lambda number, found: seen.append((number, found)), CPU)
    assert seen == [(n, compute(n)) for n in range(20)]
    assert had - {(count, True)} == {(max(1, count // min(count, MOST)), False)}
    assert torch.get_num_threads() == count


@pytest.mark.parametrize("where", ["compute", "take"])
def test_an_error_ends_it_and_gives_the_threads_back(where: str) -> None:
    torch.set_num_threads(2)
    begun: list[int] = []
    running = threading.active_count()

    def compute(unit: int) -> int:
        begun.append(unit)
        if where == "compute" and unit == 3:
            raise MemoryError
        return unit

    def take(number: int, found: int) -> None:
        assert number == found
        if where == "take" and number == 3:
            raise Cancelled

    with pytest.raises((MemoryError, Cancelled)):
        for_each(compute, range(10_000), take, CPU)
    assert len(begun) < 10_000
    assert torch.get_num_threads() == 2 and threading.active_count() == running
