"""What each part of the training data is worth: recipes without it.

Five things cost a first baseline its accuracy; each got an answer in the data, and each answer is a part
that can be left out (`liverlesionai train MODEL --without PART`). What was left out is kept in the run's
folder and in its checkpoint, and `liverlesionai ablation` puts the evaluations of such runs side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from LiverLesionAILib.support.errors import InputError

from ..synthesis.lesions import LesionSettings

if TYPE_CHECKING:
    from .recipes import Recipe


def _lesions(chosen: Recipe, change: Callable[[LesionSettings], LesionSettings]) -> Recipe:
    bank = replace(chosen.bank, lesions=change(chosen.bank.lesions))
    mix = replace(chosen.body_mix, lesions=change(chosen.body_mix.lesions))
    return replace(chosen, bank=bank, body_mix=mix)


def _no_distractors(chosen: Recipe) -> Recipe:
    bank = replace(chosen.bank, distractors=None)
    return replace(chosen, bank=bank, body_mix=replace(chosen.body_mix, distractors=False))


def _no_large(chosen: Recipe) -> Recipe:
    return _lesions(
        chosen,
        lambda lesions: replace(
            lesions, diameter_mm=(lesions.diameter_mm[0], 45.0), large_share=0.0, necrosis=False
        ),
    )


def _no_capsule(chosen: Recipe) -> Recipe:
    return _lesions(chosen, lambda lesions: replace(lesions, subcapsular_share=0.0, bulge_mm=0.0))


def _no_synthetic(chosen: Recipe) -> Recipe:
    # Lesion-free livers that are real stay; without their variants.
    return replace(_no_share(chosen, "variant", "body", "slice variant", *ARTERIAL), healthy_variants=0)


def _no_healthy(chosen: Recipe) -> Recipe:
    chosen = replace(
        chosen,
        bank=replace(chosen.bank, lesion_free_share=0.0),
        body_mix=replace(chosen.body_mix, lesion_free_every=0),
    )
    return _no_share(chosen, "healthy")


def _no_bodies(chosen: Recipe) -> Recipe:
    return _no_share(chosen, "body", "arterial body")


def _no_phantoms(chosen: Recipe) -> Recipe:
    return replace(chosen, body_mix=replace(chosen.body_mix, phantom_every=0))


def _no_slices(chosen: Recipe) -> Recipe:
    return _no_share(chosen, "slice", "slice variant", "arterial slice")


ARTERIAL = ("arterial", "arterial slice", "arterial body")


def _no_arterial(chosen: Recipe) -> Recipe:
    return replace(_no_share(chosen, *ARTERIAL), arterial=0)


def _no_share(chosen: Recipe, *kinds: str) -> Recipe:
    return replace(chosen, shares={k: v for k, v in chosen.shares.items() if k not in kinds})


PARTS: dict[str, tuple[str, Callable[[Recipe], Recipe]]] = {
    "distractors": ("gallbladders, fissures, vessels and artefacts put in as negatives", _no_distractors),
    "large": ("lesions of 45 mm and more, and necrotic centres", _no_large),
    "capsule": ("lesions placed at the liver's surface and bulging over it", _no_capsule),
    "synthetic": ("synthetic lesions in real livers, and synthetic bodies", _no_synthetic),
    "healthy": ("livers without a lesion", _no_healthy),
    "bodies": ("synthetic bodies", _no_bodies),
    "slices": ("single axial slices of many more patients", _no_slices),
    "arterial": ("scans of the arterial phase and lesions brighter than the liver", _no_arterial),
    "phantoms": ("bodies from the ICRP label maps; procedural ones stay", _no_phantoms),
}
"""Name -> what it is, and how a recipe loses it."""


def without(chosen: Recipe, parts: Sequence[str]) -> Recipe:
    """A recipe without parts of its training data; shares of what is left keep their proportions.

    Raises:
        InputError: there is no such part, or nothing would be left to train on.
    """
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        raise InputError(
            f"There is no part {unknown[0]!r} to leave out; there are {', '.join(sorted(PARTS))}."
        )
    for part in parts:
        chosen = PARTS[part][1](chosen)
    if not sum(chosen.shares.values()):
        raise InputError("Nothing is left to train on: leave out less.")
    names = tuple(sorted({*chosen.loop.without, *parts}))
    return replace(chosen, loop=replace(chosen.loop, without=names))
