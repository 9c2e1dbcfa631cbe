"""Long work cut into steps, so that an event loop can run in between."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]
"""Yields often (a few milliseconds of work apart) and returns what it made."""

VOXELS_PER_STEP = 1 << 20


def finish(steps: Generator[Any, None, T]) -> T:
    """Run all steps at once; what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def staged(stage: str, steps: Generator[Any, None, T]) -> Generator[str, None, T]:
    """The same steps, each of which yields the stage it belongs to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        yield stage


def slabs(shape_zyx: tuple[int, ...]) -> Iterator[slice]:
    """Runs of slices of about a million voxels each, first to last."""
    area = max(1, int(shape_zyx[1]) * int(shape_zyx[2]))
    depth = max(1, VOXELS_PER_STEP // area)
    for start in range(0, int(shape_zyx[0]), depth):
        yield slice(start, min(start + depth, int(shape_zyx[0])))
