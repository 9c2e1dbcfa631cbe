"""What the liver's density says about fat, where its contrast phase allows it."""

from __future__ import annotations

from collections.abc import Mapping

from ...case.classes import Phase
from ...case.findings import CaseResult
from ...case.messages import doubts_density
from .strings import Language

# Liver density in HU below which fat is likely, and up to which it is possible, by contrast phase.
# Portal venous: < 80 HU found moderate fat at 86 % sensitivity and 90 % specificity, < 90 HU at 95 and 75 %;
# unenhanced: < 40 HU is moderate.
FAT_HU: Mapping[str, tuple[float, float]] = {"portal": (80.0, 90.0), "unenhanced": (40.0, 40.0)}


def fat_of(result: CaseResult, words: Language) -> str:
    """:func:`fat_text` of a case; nothing where its phase, or its densities, are in doubt."""
    unsure = result.phase is not None and result.phase.unsure
    if unsure or any(doubts_density(said) for said in result.messages):
        return words("fat_doubt")
    phase = None if result.phase is None else phase_key(result.phase.name)
    return fat_text(result.liver_hu_mean, phase, words)


def fat_text(hu_mean: float, phase: str | None, words: Language) -> str:
    """What the liver's density says about fat in this phase."""
    if not phase:
        return words("fat_no_phase")
    limits = FAT_HU.get(phase)
    if limits is None or hu_mean != hu_mean:
        return words("fat_unknown")
    likely, possible = limits
    hu = words.number(hu_mean, 0)
    if hu_mean < likely:
        return words("fat_moderate", hu=hu, cut=f"{likely:.0f}")
    if hu_mean < possible:
        return words("fat_possible", hu=hu, low=f"{likely:.0f}", cut=f"{possible:.0f}")
    return words("fat_none", hu=hu)


def phase_key(name: str) -> str:
    """A phase's key: unenhanced, arterial, portal or delayed."""
    phase = Phase.of(name)
    return name if phase is None else phase.value
