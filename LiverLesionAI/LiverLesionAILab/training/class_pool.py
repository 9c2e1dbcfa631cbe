"""Lesions of synthetic bodies in four phases, drawn once and kept: what voices are weighed on.

Each class one lesion at a time in the liver of a body that no network learnt from, with what is measured on
it and what a network will be shown of it (:mod:`.class_heard` asks, :mod:`.class_weights` fits).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from LiverLesionAILib.case.classes import LesionClass
from LiverLesionAILib.case.classes import Phase as NamedPhase
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.stages.classify.features import LesionFeatures, measure_features
from LiverLesionAILib.stages.classify.lesions import ClassifySettings, LesionInputs, lesion_inputs
from LiverLesionAILib.stages.classify.liver_box import LiverBox, LiverCrop, liver_box
from LiverLesionAILib.stages.classify.stage import measured
from LiverLesionAILib.stages.phase.estimate import PhaseSettings, phase_probabilities
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import CtVolume

from ..synthesis.appearance import Appearance, LesionType, Phase, sample_appearance
from .class_looks import benign_look, metastasis_look
from .classes import BENIGN, LABEL_OF, METASTASIS, OUTLIER, ClassSettings, class_name
from .kept_folders import is_whole, write_folder

SPACING_MM = (2.5, 1.3, 1.3)
"""Of the bodies' scans: lesions are measured at a scan's own spacing."""
LESIONS = 3
"""Of each class in a body, each alone in its liver: a body takes longer to draw than a lesion."""


@dataclass(frozen=True, eq=False)
class PhaseOfLesion:
    """A lesion in one phase, before a network was asked.

    Attributes:
        phase: that was scanned.
        measures: "vessels_hu", "aorta_hu", "cava_hu" and "shares", what the picture looks like.
        features: of the lesion; asked: what a network is shown of it.
    """

    phase: NamedPhase
    measures: Mapping[str, Any]
    features: LesionFeatures
    asked: LesionInputs


@dataclass(frozen=True, eq=False)
class PoolLesion:
    """A lesion with its class's code, in the phases that show it."""

    truth: str
    phases: tuple[PhaseOfLesion, ...]


def pool_bodies(
    bodies: int,
    seed: int,
    spec: InputSpec,
    classify: ClassifySettings,
    phase: PhaseSettings,
    cache: Path,
    progress: Progress = silent,
) -> list[PoolLesion]:
    """Lesions of all classes in synthetic bodies scanned in four phases; made once under `cache`.

    Args:
        spec: of the network that will be asked.
    """
    lesions: list[PoolLesion] = []
    for number in range(bodies):
        folder = cache / f"pool-{seed}" / f"body{number:04d}"
        if not is_whole(folder, load_lesions):
            made = body_lesions(number, seed, spec, classify, phase)
            write_folder(folder, lambda beside, made=made: save_lesions(made, beside), load_lesions)
        lesions += load_lesions(folder)
        progress("lesions in several phases", (number + 1) / bodies)
    return lesions


def body_lesions(
    number: int,
    seed: int,
    spec: InputSpec,
    classify: ClassifySettings,
    phase: PhaseSettings,
    spacing_zyx_mm: tuple[float, float, float] = SPACING_MM,
) -> list[PoolLesion]:
    """Lesions of each class, one at a time, in the liver of body `number`, in all phases that show them."""
    boxes = _scanned(number, seed, spacing_zyx_mm)
    seen = {named: _measures(box, phase) for named, box in boxes.items()}
    labels = sorted({label for label in LABEL_OF.values() if label != OUTLIER} | {BENIGN})
    found = []
    for label, turn in product(labels, range(LESIONS)):
        phases = []
        for place, (named, box) in enumerate(boxes.items()):
            crop = _with_lesion(box, label, list(Phase)[place], (seed, number, label, turn))
            if crop is None:
                continue
            features = measure_features(crop.hu_zyx, crop.liver_zyx, crop.labels_zyx, spacing_zyx_mm)
            if 1 in features:
                asked = lesion_inputs(spec, crop.on_spacing(spec.spacing_zyx_mm), 1, classify)
                phases.append(PhaseOfLesion(named, seen[named], features[1], asked))
        known = LesionClass.of(class_name(label))
        assert known is not None
        if phases:
            found.append(PoolLesion(known.code, tuple(phases)))
    return found


def _scanned(
    number: int, seed: int, spacing_zyx_mm: tuple[float, float, float]
) -> dict[NamedPhase, LiverBox]:
    """A body without lesions in every phase; seeded alike, phases differ in densities and noise alone."""
    from ..synthesis.body import BodySettings, acquire, make_plan, paint_anatomy
    from ..synthesis.organs import Phase as BodyPhase
    from ..synthesis.organs import draw_hu

    start = (seed, number)
    settings = BodySettings(
        spacing_zyx_mm=spacing_zyx_mm,
        phase=BodyPhase.PORTAL_VENOUS,
        top_mm=20.0,
        bottom_mm=-200.0,
        coarse_mm=3.0,
    )
    plan = make_plan(np.random.default_rng((*start, 21)), settings)
    found = {}
    for place, (named, phase) in enumerate(zip(NamedPhase, Phase, strict=True)):
        own = BodyPhase(phase.value)
        table = draw_hu(np.random.default_rng((*start, 22)), own, plan.patient.fatty_hu)
        anatomy = paint_anatomy(np.random.default_rng((*start, 23)), replace(plan, phase=own, hu=table))
        body = acquire(np.random.default_rng((*start, 24, place)), anatomy)
        volume = CtVolume(body.hu_zyx, body.geometry, named.value)
        none = np.zeros(body.liver_zyx.shape, np.uint16)
        found[named] = liver_box(CaseResult(named.value, body.geometry, body.liver_zyx, none), volume)
    return found


def _measures(box: LiverBox, settings: PhaseSettings) -> dict[str, Any]:
    seen = measured(box, settings)
    return {
        "vessels_hu": seen.vessels_hu,
        "aorta_hu": seen.aorta_hu,
        "cava_hu": seen.cava_hu,
        "shares": list(map(float, phase_probabilities(seen, settings))),
    }


def _with_lesion(box: LiverBox, label: int, phase: Phase, seed: tuple[int, ...]) -> LiverCrop | None:
    """The liver with one lesion of a class; None where none finds a place, or nobody could see it."""
    from ..synthesis.lesions import LesionSettings, add_lesions

    kinds = {known: kind for kind, known in LABEL_OF.items()}
    sizes = ClassSettings(InputSpec(box.geometry.spacing_zyx_mm, (-40.0, 220.0), 3))
    kind = kinds.get(label, kinds[METASTASIS])
    made = add_lesions(
        box.hu_zyx.astype(np.float32),
        box.liver_zyx,
        box.geometry.spacing_zyx_mm,
        np.random.default_rng((*seed, 25)),
        LesionSettings(
            count=1,
            type_weights={kind: 1.0},
            phase=phase,
            diameter_mm=sizes.diameter_mm,
            median_mm=sizes.median_mm[class_name(label)],
            spread=sizes.spread,
            large_share=0.03,
            look=_one_look(label, (*seed, 26)),
        ),
    )
    if not any(
        abs(one.contrast_hu) >= 10 or one.appearance.nodules_hu or one.appearance.scar_fraction
        for one in made.lesions
    ):
        return None
    return LiverCrop(made.hu_zyx, made.liver_zyx, made.labels_zyx, box.geometry)


def _one_look(label: int, seed: tuple[int, ...]) -> Callable[..., Appearance]:
    """One lesion's look in every phase: the same draws, so that it stays as bright among its kind."""

    def look(
        kind: LesionType, phase: Phase, diameter_mm: float, liver_hu: float, _rng: np.random.Generator
    ) -> Appearance:
        rng = np.random.default_rng(seed)
        if label == METASTASIS:
            return metastasis_look(kind, phase, diameter_mm, liver_hu, rng)
        if label != BENIGN:
            return sample_appearance(kind, phase, diameter_mm, liver_hu, rng)
        drawn = benign_look(kind, Phase.ARTERIAL, diameter_mm, liver_hu, rng)
        unseen = drawn.subtype == "perfusion" and phase is not Phase.ARTERIAL
        return replace(drawn, phase=phase, body_hu=0.0 if unseen else drawn.body_hu)

    return look


def save_lesions(lesions: Sequence[PoolLesion], folder: Path) -> None:
    """Write `lesions.json` and `inputs.npz`."""
    arrays, described = {}, []
    for place, lesion in enumerate(lesions):
        phases = []
        for one in lesion.phases:
            key = f"{place}-{one.phase.value}"
            # What is not liver is one value: whole slices pack well.
            arrays[key] = one.asked.images.numpy().astype(np.float16)
            arrays[f"{key}-weights"] = one.asked.weights
            features = asdict(one.features)
            phases.append({"phase": one.phase.value, "measures": one.measures, "features": features})
        described.append({"truth": lesion.truth, "phases": phases})
    np.savez_compressed(folder / "inputs.npz", **arrays)
    (folder / "lesions.json").write_text(json.dumps(described))


def load_lesions(folder: Path) -> list[PoolLesion]:
    """The way back from :func:`save_lesions`.

    Raises:
        OSError, ValueError, KeyError: it is missing or damaged.
    """
    described = json.loads((folder / "lesions.json").read_text(encoding="utf-8"))
    found = []
    with np.load(folder / "inputs.npz", allow_pickle=False) as arrays:
        for place, lesion in enumerate(described):
            phases = []
            for one in lesion["phases"]:
                key = f"{place}-{one['phase']}"
                images = torch.from_numpy(arrays[key].astype(np.float32))
                weights = arrays[f"{key}-weights"]
                asked = LesionInputs(images, (), np.arange(len(weights)), weights)
                features = LesionFeatures(**one["features"])
                phases.append(PhaseOfLesion(NamedPhase(one["phase"]), one["measures"], features, asked))
            found.append(PoolLesion(lesion["truth"], tuple(phases)))
    return found
