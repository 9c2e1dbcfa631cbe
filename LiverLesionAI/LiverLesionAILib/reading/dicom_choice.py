"""The scan to analyse, chosen among those that a folder holds."""

from __future__ import annotations

from ..support.errors import InputError
from ..volume.checking import FEWEST_SLICES
from .dicom_series import MOST_PHASES, Stack


def describe_all(stacks: list[Stack], chosen: Stack) -> str:
    """One sentence on what else is there and how to take it."""
    others = [str(s.info) for s in stacks if s is not chosen]
    text = "; ".join(others[:8]) + (f"; and {len(others) - 8} more" if len(others) > 8 else "")
    return f"Not taken: {text}. Another can be chosen by its number, UID or description."


def choose(stacks: list[Stack], wanted: str | None, source: str) -> Stack:
    """The scan to analyse: the best of `stacks` (as sorted by :func:`stacks_of`), or the one `wanted`.

    Args:
        wanted: number or key, UID, or part of the description (any case).
        source: path named in messages.

    Raises:
        InputError: nothing that can be analysed, nothing or several series that fit `wanted`.
    """
    pool = stacks
    if wanted is not None:
        pool = _matching(stacks, wanted.strip())
        listing = "; ".join(str(s.info) for s in stacks[:12])
        if not pool:
            raise InputError(f"{source}: no series fits '{wanted}'. There are: {listing}.")
        if len({s.info.uid for s in pool}) > 1 and len({s.info.uid for s in pool if not s.info.refused}) != 1:
            fits = ", ".join(s.info.label for s in pool)
            raise InputError(
                f"{source}: several series fit '{wanted}': {fits}. Give the number or the whole UID."
            )
    usable = [s for s in pool if not s.info.refused]
    if not usable:
        if len(pool) == 1:
            raise InputError(
                f"{source}: {pool[0].info.label} cannot be analysed: {pool[0].info.refused}. Give an "
                "abdominal CT series."
            )
        single = sum(s.info.slices == 1 and s.info.modality == "CT" for s in pool)
        if single >= FEWEST_SLICES:
            raise InputError(
                f"{source}: it holds {single} series of one slice each, which do not fit together ("
                "description, size, orientation or distance differ). Export the scan again as one series."
            )
        reasons = "; ".join(f"{s.info.label}: {s.info.refused}" for s in pool[:12])
        raise InputError(
            f"{source}: no CT that can be analysed. {reasons}. Give a folder with an abdominal CT series."
        )
    best = usable[0]
    same = [s for s in usable if s.info.uid == best.info.uid]
    if len(same) > MOST_PHASES and (wanted is None or "." not in wanted):
        raise InputError(
            f"{source}: series {best.info.key.split('.')[0]} is a time series ({len(same)} scans of the same "
            f"slices). Give one of them, by its key {same[0].info.key} to {same[-1].info.key}, or a series "
            "with one contrast phase."
        )
    return best


def _matching(stacks: list[Stack], wanted: str) -> list[Stack]:
    """The scans that fit by key, else by number, UID, whole description, or part of it."""
    low = wanted.lower()
    for fits in (
        lambda i: i.key == wanted,
        lambda i: i.number is not None and str(i.number) == wanted.lstrip("#"),
        lambda i: i.uid == wanted,
        lambda i: i.description.lower() == low,
        lambda i: bool(low) and low in i.description.lower(),
    ):
        if found := [s for s in stacks if fits(s.info)]:
            return found
    return []
