"""Scans of SynthLiver-1 by what makes them easy or hard: phase, kind of liver, slice thickness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.scan import Scan
from ..data.synthliver import read_lesions
from .cases import CaseRow
from .tables import align, number


@dataclass(frozen=True)
class GroupScore:
    """One method on the scans of one group.

    Attributes:
        scans: of the group; lesions, found: counts over them.
        tumour_dice: mean over its scans; false_per_scan: mean over its scans.
    """

    scans: int
    lesions: int
    found: int
    tumour_dice: float
    false_per_scan: float


def groups_of_scans(scans: Sequence[Scan]) -> dict[str, list[str]]:
    """Group ("phase arterial") -> names of its scans.

    Raises:
        InputError: a scan's `lesions.json` is missing or damaged.
    """
    groups: dict[str, list[str]] = {}
    for scan in scans:
        facts = read_lesions(scan)
        own = (
            f"phase {facts['phase']}",
            f"{facts['liver']} liver",
            f"slices {facts['spacing_zyx_mm'][0]:g} mm",
        )
        for group in own:
            groups.setdefault(group, []).append(scan.name)
    kinds = ("phase", "slices")
    return dict(sorted(groups.items(), key=lambda item: (not item[0].startswith(kinds), item[0])))


def score_groups(rows: Sequence[CaseRow], groups: Mapping[str, Sequence[str]]) -> dict[str, GroupScore]:
    """One method's scores, group by group."""
    by_name = {row.name: row for row in rows}
    scores = {}
    for group, names in groups.items():
        own = [by_name[name] for name in names]
        scores[group] = GroupScore(
            scans=len(own),
            lesions=sum(row.lesions.n_lesions for row in own),
            found=sum(row.lesions.n_found for row in own),
            tumour_dice=float(np.mean([row.tumour.dice for row in own])),
            false_per_scan=float(np.mean([row.lesions.n_false for row in own])),
        )
    return scores


def group_table(methods: Mapping[str, Mapping[str, GroupScore]]) -> str:
    """For the terminal: tumour Dice per case, lesions found, false lesions per scan."""
    first: Mapping[str, Any] = next(iter(methods.values()))
    lines = [["tumour Dice, found, false per scan", "scans", *methods]]
    for group in first:
        cells = []
        for scores in methods.values():
            s = scores[group]
            cells.append(f"{number(s.tumour_dice)}  {s.found}/{s.lesions}  {number(s.false_per_scan, 1)}")
        lines.append([group, str(first[group].scans), *cells])
    return align(lines)
