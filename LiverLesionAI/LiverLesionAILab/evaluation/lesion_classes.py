"""`liverlesionai compare classes SYNTHLIVER-2`: lesions' classes from one phase and from several.

What is measured in each phase (densities, edges, the network's shares) is kept as JSON per patient; classes
are made of that by the product's own functions, so that other priors or tables are judged without a CT. The
true masks are given, and the phases lie on each other by the known breath: what is judged is the class, not
finding, outlining or registration.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.findings import CaseResult
from LiverLesionAILib.models.weights import ModelEntry
from LiverLesionAILib.stages.classify.differential import (
    BENIGN,
    CLASSES,
    INDETERMINATE,
    LOOKS_OF_BENIGN,
    NEED_ARTERIAL,
    Differential,
    DifferentialSettings,
)
from LiverLesionAILib.stages.classify.enhancement import MeasuredEnhancement, measure_enhancement
from LiverLesionAILib.stages.classify.features import LesionFeatures
from LiverLesionAILib.stages.classify.lesions import ClassifySettings
from LiverLesionAILib.stages.classify.liver_box import LiverBox, liver_box
from LiverLesionAILib.stages.classify.second_voice import (
    MeasuredPhase,
    PhaseView,
    differentials,
    known_answers,
    measured_phases,
)
from LiverLesionAILib.stages.classify.stage import ClassStageSettings, measured
from LiverLesionAILib.stages.faces import Classifier
from LiverLesionAILib.stages.phase.estimate import ARTERIAL, PHASES, phase_probabilities
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.support.progress import Progress, silent
from numpy.typing import NDArray

from ..data.synthliver2 import PhasesOfPatient

SETTINGS_OF = {
    "arterial": (Phase.ARTERIAL,),
    "arterial and portal": (Phase.PORTAL, Phase.ARTERIAL),
    "portal": (Phase.PORTAL,),
    "all phases": (Phase.PORTAL, Phase.ARTERIAL, Phase.DELAYED, Phase.UNENHANCED),
}
"""What is at hand; the first is the CT that is analysed."""
SEEN_HU = 8.0
"""A lesion whose bulk differs by less in every phase at hand, and has no rim or lumps, cannot be judged."""
BENIGN_LOOKS = (BENIGN, *LOOKS_OF_BENIGN)
LUMPY = ("haemangioma", "calcified metastasis", "target metastasis", "rim metastasis", "cystic metastasis")


@dataclass(frozen=True, eq=False)
class JudgedLesion:
    """A lesion with its truth and what is said of it.

    Attributes:
        patient, number: which.
        truth: the code of its class; facts: all that is known of it.
        said: by the product; enhancement: what was measured over the phases.
        phases: of the lesion, measured.
    """

    patient: str
    number: int
    truth: str
    facts: Mapping[str, Any]
    said: Differential
    enhancement: MeasuredEnhancement
    phases: Mapping[str, LesionFeatures]

    @property
    def guess(self) -> str:
        """The most probable class; what cannot be told from the phases at hand is one of its own."""
        return next(iter(self.said.probabilities))

    @property
    def confidence(self) -> float:
        """Of the guess."""
        return next(iter(self.said.probabilities.values()))


def measure_patient(
    patient: PhasesOfPatient, settings: ClassStageSettings, progress: Progress = silent
) -> dict[str, dict[str, Any]]:
    """Phase -> what is measured there, and which phase the picture looks like.

    Raises:
        InputError: a scan is missing or damaged.
    """
    labels = patient.labels()
    found = {}
    for place, phase in enumerate(patient.phases):
        progress(f"{patient.name}: {phase.value}", place / len(patient.phases))
        box = _liver_of(patient, phase, labels)
        measures = measured(box, settings.phase)
        shares = phase_probabilities(measures, settings.phase)
        told = tuple(map(float, shares))
        view = PhaseView(phase, box, measures, told[PHASES.index(ARTERIAL)], {}, told)
        (one,) = measured_phases([view])
        looks = Phase.of(PHASES[int(shares.argmax())])
        assert looks is not None
        found[phase.value] = {**asdict(one), "looks": looks.value, "sure": float(shares.max())}
    return found


def ask_network(
    patient: PhasesOfPatient,
    known: Mapping[str, Mapping[str, Any]],
    settings: ClassifySettings,
    classifier: Classifier,
) -> dict[str, dict[str, Any]]:
    """Phase -> what the network says of the lesions there.

    A network that takes the phase is asked twice: told what the picture looks like ("network"), and told the
    phase that it is ("network_named").

    Args:
        known: of :func:`measure_patient`.

    Raises:
        InputError: a scan is missing or damaged.
    """
    labels = patient.labels()
    found: dict[str, dict[str, Any]] = {}
    for phase in patient.phases:
        crop = _liver_of(patient, phase, labels).on_spacing(classifier.entry.input.spacing_zyx_mm)
        looks = tuple(known[phase.value]["shares"])
        named = tuple(float(one is phase) for one in Phase)
        asked = {"network": looks}
        if classifier.entry.config.get("phases", 0):
            asked["network_named"] = named
        found[phase.value] = {
            how: known_answers(classifier.classes(crop, settings, phase=told)) for how, told in asked.items()
        }
    return found


def _liver_of(patient: PhasesOfPatient, phase: Phase, labels: NDArray[np.uint8]) -> LiverBox:
    ct = patient.ct(phase)
    numbers = np.where(labels > 1, labels - 1, 0).astype(np.uint16)
    return liver_box(CaseResult(ct.name, ct.geometry, labels > 0, numbers), ct)


def _named_of(entry: ModelEntry) -> str:
    """A name for what a network says: of its weights, and of what they were calibrated to."""
    told = json.dumps([entry.sha256, sorted(entry.calibration.items())])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def kept_measurements(
    patients: Sequence[PhasesOfPatient],
    folder: Path,
    settings: ClassStageSettings,
    classifier: Classifier | None,
    progress: Progress = silent,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Measurements of all patients; those that `folder` holds already are read.

    What a network says is kept apart: with other weights only that is asked anew.
    """
    made = {}
    for place, patient in enumerate(patients):
        progress(f"measuring {patient.name}", place / len(patients))
        path = folder / "measured" / f"{patient.name}.json"
        if not path.is_file():
            write_text(path, json.dumps(measure_patient(patient, settings)))
        found = json.loads(path.read_text(encoding="utf-8"))
        said: dict[str, dict[str, Any]] = {phase: {"network": {}} for phase in found}
        if classifier is not None:
            path = folder / "network" / _named_of(classifier.entry) / path.name
            if not path.is_file():
                write_text(path, json.dumps(ask_network(patient, found, settings.classify, classifier)))
            said = json.loads(path.read_text(encoding="utf-8"))
        made[patient.name] = {phase: {**one, **said[phase]} for phase, one in found.items()}
    progress("measured", 1.0)
    return made


def read_phase(record: Mapping[str, Any], named: Phase | None) -> MeasuredPhase:
    """A kept phase; as the reader names it, or as the picture looks."""
    features = {int(n): LesionFeatures(**one) for n, one in record["features"].items()}
    said = record["network"] if named is None else record.get("network_named", record["network"])
    network = {int(n): one for n, one in said.items()}
    shares = tuple(record.get("shares", ()))
    if named is not None:
        shares = tuple(float(phase is named) for phase in Phase)
    phase = record["looks"] if named is None else named.value
    arterial = record["arterial"] if named is None else float(named is Phase.ARTERIAL)
    return MeasuredPhase(
        phase,
        record["vessels_hu"],
        record["aorta_hu"],
        arterial,
        features,
        network,
        record.get("cava_hu", np.nan),
        shares,
    )


def judged_lesions(
    patients: Sequence[PhasesOfPatient],
    measurements: Mapping[str, Mapping[str, Mapping[str, Any]]],
    phases: Sequence[Phase],
    settings: DifferentialSettings,
) -> list[JudgedLesion]:
    """All lesions that can be seen in these phases, with what the product says of them.

    One phase alone is taken for what it looks like; several are named, as a reader names them.
    """
    judged = []
    for patient in patients:
        records = measurements[patient.name]
        there = [phase for phase in phases if phase.value in records]
        if not there or there[0] is not phases[0]:
            continue
        views = [read_phase(records[p.value], p if len(phases) > 1 else None) for p in there]
        said = differentials(views, settings)
        for number, facts in patient.lesions.items():
            if number not in said or not seen_in(facts, there):
                continue
            own = {view.phase: view.features[number] for view in views if number in view.features}
            judged.append(
                JudgedLesion(
                    patient.name,
                    number,
                    facts["class"],
                    facts,
                    said[number],
                    measure_enhancement(own, settings),
                    own,
                )
            )
    return judged


def with_even_priors(settings: DifferentialSettings) -> DifferentialSettings:
    """Every class as frequent as every other; looks of one class share its part as they did."""
    given = dict(settings.priors)
    whole = sum(given.get(look, 0.0) for look in BENIGN_LOOKS)
    priors = [(c, 1.0) for c in CLASSES if c not in BENIGN_LOOKS]
    priors += [(look, given.get(look, 0.0) / whole) for look in BENIGN_LOOKS]
    return replace(settings, priors=tuple(priors))


def seen_in(facts: Mapping[str, Any], phases: Sequence[Phase]) -> bool:
    """Whether a lesion can be judged in these phases at all."""
    contrasts = [facts["contrast_hu"].get(phase.value, 0.0) for phase in phases]
    return facts["habit"] in LUMPY or max(abs(c) for c in contrasts) >= SEEN_HU


def sayable(truth: str, phases: Sequence[Phase]) -> str:
    """What can be said of a class from these phases: FNH and HCC need an arterial one."""
    return INDETERMINATE if truth in NEED_ARTERIAL and Phase.ARTERIAL not in phases else truth


@dataclass(frozen=True)
class ClassFigures:
    """How good classes are from some phases.

    Attributes:
        lesions: judged; recall: share that is right, by class that can be said.
        balanced: mean of those.
        calibration_error: expected, of the most probable class's probability.
        error, error_80: share wrong of all, and of the surest 80 %.
        named: share that the product names; named_right: of these.
    """

    lesions: int
    recall: Mapping[str, float]
    balanced: float
    calibration_error: float
    error: float
    error_80: float
    named: float
    named_right: float


def class_figures(judged: Sequence[JudgedLesion], phases: Sequence[Phase]) -> ClassFigures:
    """The figures of one setting; `judged` must not be empty."""
    from ..metrics.classification import calibration_error, reliability_curve

    truths = np.array([sayable(one.truth, phases) for one in judged])
    guesses = np.array([one.guess for one in judged])
    right = truths == guesses
    sure = np.array([one.confidence for one in judged])
    recall = {c: float(right[truths == c].mean()) for c in (*CLASSES, INDETERMINATE) if (truths == c).any()}
    order = np.argsort(-sure, kind="stable")[: max(1, round(0.8 * len(sure)))]
    named = np.array([one.said.name != INDETERMINATE for one in judged])
    named_right = np.array([one.said.name == one.truth for one in judged])
    return ClassFigures(
        len(judged),
        recall,
        float(np.mean(list(recall.values()))),
        calibration_error(reliability_curve(sure, right, 10)),
        float(1 - right.mean()),
        float(1 - right[order].mean()),
        float(named.mean()),
        float(named_right[named].mean()) if named.any() else float("nan"),
    )
