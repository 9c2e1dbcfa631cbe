"""How far a network's classes count beside what is measured: weights of a log-linear pool, fitted.

The probability of a class is proportional to its prior, times what is measured to the power of one weight,
times what the network says to the power of another, one for each contrast phase (Genest and Zidek, Stat Sci
1986;1:114-135). The weights are those under which lesions of synthetic bodies, which no network learnt from,
are most probably what they are (cross entropy, every class alike). All weights are positive: whatever speaks
for a class by a rule still does.
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
from LiverLesionAILib.stages.classify.differential import (
    INDETERMINATE,
    NEED_ARTERIAL,
    DifferentialSettings,
)
from LiverLesionAILib.stages.classify.features import LesionFeatures, measure_features
from LiverLesionAILib.stages.classify.lesions import ClassifySettings, LesionInputs, answer_of, lesion_inputs
from LiverLesionAILib.stages.classify.liver_box import LiverBox, LiverCrop, liver_box
from LiverLesionAILib.stages.classify.second_voice import MeasuredPhase, differentials, known_answers
from LiverLesionAILib.stages.classify.stage import measured
from LiverLesionAILib.stages.phase.estimate import PhaseSettings, phase_probabilities
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import CtVolume
from scipy import optimize
from torch import nn

from ..synthesis.appearance import Appearance, LesionType, Phase, sample_appearance
from .class_looks import benign_look, metastasis_look
from .classes import BENIGN, LABEL_OF, METASTASIS, OUTLIER, ClassSettings, class_name
from .kept_folders import is_whole, write_folder

SPACING_MM = (2.5, 1.3, 1.3)
"""Of the bodies' scans: lesions are measured at a scan's own spacing."""
LESIONS = 3
"""Of each class in a body, each alone in its liver: a body takes longer to draw than a lesion."""
WEIGHTS = ("measured_weight", *(f"network_{phase.value}" for phase in NamedPhase), "network_shared")
"""Fields of the settings that are fitted, named so in a calibration."""
BOUNDS = ((0.2, 1.0), *[(0.0, 1.0)] * len(NamedPhase), (0.0, 1.0))
"""Neither voice counts more than it says: real lesions differ more than these."""
AT_HAND = (
    (NamedPhase.ARTERIAL,),
    (NamedPhase.PORTAL,),
    (NamedPhase.DELAYED,),
    (NamedPhase.UNENHANCED,),
    (NamedPhase.PORTAL, NamedPhase.ARTERIAL),
    (NamedPhase.PORTAL, NamedPhase.ARTERIAL, NamedPhase.DELAYED),
)
"""What a reader has; the first is the CT that is analysed. All count alike."""


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


@dataclass(frozen=True, eq=False)
class Heard:
    """A lesion with what was measured and what the network said.

    Attributes:
        truth: code of its class.
        alone: by phase, told as the picture looks; named: told as it was scanned.
    """

    truth: str
    alone: Mapping[NamedPhase, MeasuredPhase]
    named: Mapping[NamedPhase, MeasuredPhase]


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


def heard(lesions: Sequence[PoolLesion], network: nn.Module, classify: ClassifySettings) -> list[Heard]:
    """Ask a network about all lesions, told what each phase looks like and which it is."""
    found = []
    for lesion in lesions:
        alone, named = {}, {}
        for one in lesion.phases:
            told = tuple(one.measures["shares"])
            alone[one.phase] = _asked(one, told, list(NamedPhase)[int(np.argmax(told))], network, classify)
            told = tuple(float(phase is one.phase) for phase in NamedPhase)
            named[one.phase] = _asked(one, told, one.phase, network, classify)
        found.append(Heard(lesion.truth, alone, named))
    return found


def _asked(
    one: PhaseOfLesion,
    told: tuple[float, ...],
    phase: NamedPhase,
    network: nn.Module,
    classify: ClassifySettings,
) -> MeasuredPhase:
    said, _ = answer_of(network, one.asked, classify, told)
    return MeasuredPhase(
        phase.value,
        one.measures["vessels_hu"],
        one.measures["aorta_hu"],
        told[list(NamedPhase).index(NamedPhase.ARTERIAL)],
        {1: one.features},
        known_answers({1: said}),
        one.measures["cava_hu"],
        told,
    )


def probabilities_at(
    one: Heard, phases: Sequence[NamedPhase], settings: DifferentialSettings
) -> Mapping[str, float]:
    """What the product says of a lesion from these phases; {} where the first of them does not show it."""
    known = one.alone if len(phases) == 1 else one.named
    views = [known[phase] for phase in phases if phase in known]
    if not views or phases[0] not in known:
        return {}
    return differentials(views, settings)[1].probabilities


def sayable(truth: str, phases: Sequence[NamedPhase]) -> str:
    """What can be said of a class from these phases."""
    hidden = truth in NEED_ARTERIAL and NamedPhase.ARTERIAL not in phases
    return INDETERMINATE if hidden else truth


def cross_entropy(lesions: Sequence[Heard], settings: DifferentialSettings) -> float:
    """Mean over settings of :data:`AT_HAND` and classes of minus the log of the true one's probability."""
    losses = []
    for phases in AT_HAND:
        of_class: dict[str, list[float]] = {}
        for one in lesions:
            said = probabilities_at(one, phases, settings)
            if said:
                truth = sayable(one.truth, phases)
                of_class.setdefault(truth, []).append(-float(np.log(max(said.get(truth, 0.0), 1e-4))))
        losses += [float(np.mean(each)) for each in of_class.values()]
    return float(np.mean(losses))


def fit_weights(lesions: Sequence[Heard], settings: DifferentialSettings) -> dict[str, float]:
    """The weights of :data:`WEIGHTS` with the least cross entropy.

    Args:
        settings: their priors count: even ones ask every class alike.
    """

    def loss(values: np.ndarray) -> float:
        tried = dict(zip(WEIGHTS, map(float, values), strict=True))
        return cross_entropy(lesions, replace(settings, **tried))

    start = np.array([0.8, *[0.4] * len(NamedPhase), 0.5])
    found = optimize.minimize(
        loss, start, method="L-BFGS-B", bounds=BOUNDS, options={"maxiter": 25, "eps": 0.02, "ftol": 1e-4}
    )
    return {name: round(float(value), 3) for name, value in zip(WEIGHTS, found.x, strict=True)}


def balanced_accuracy(lesions: Sequence[Heard], settings: DifferentialSettings) -> dict[str, float]:
    """By the phases at hand: mean over classes of the share whose most probable class is theirs."""
    figures = {}
    for phases in AT_HAND:
        right: dict[str, list[bool]] = {}
        for one in lesions:
            said = probabilities_at(one, phases, settings)
            if said:
                truth = sayable(one.truth, phases)
                right.setdefault(truth, []).append(next(iter(said)) == truth)
        name = " and ".join(phase.value for phase in phases)
        if right:
            figures[name] = round(float(np.mean([np.mean(each) for each in right.values()])), 4)
    return figures
