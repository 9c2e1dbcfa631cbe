"""How far a network's classes count beside what is measured: weights of a log-linear pool, fitted.

The probability of a class is proportional to its prior, times what is measured to the power of one weight,
times what the network says to the power of another, one for each contrast phase (Genest and Zidek, Stat Sci
1986;1:114-135). The weights are those under which lesions of synthetic bodies, which no network learnt from,
are most probably what they are (cross entropy, every class alike). All weights are positive: whatever speaks
for a class by a rule still does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from LiverLesionAILib.case.classes import Phase as NamedPhase
from LiverLesionAILib.stages.classify.differential import INDETERMINATE, NEED_ARTERIAL, DifferentialSettings
from scipy import optimize

from .class_heard import Heard, probabilities_at

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


def sayable(truth: str, phases: Sequence[NamedPhase]) -> str:
    """What can be said of a class from these phases."""
    hidden = truth in NEED_ARTERIAL and NamedPhase.ARTERIAL not in phases
    return INDETERMINATE if hidden else truth


def by_true_class(
    lesions: Sequence[Heard], phases: Sequence[NamedPhase], settings: DifferentialSettings
) -> dict[str, list[Mapping[str, float]]]:
    """What can be said of a class -> class to probability, of each of its lesions that these phases show."""
    found: dict[str, list[Mapping[str, float]]] = {}
    for one in lesions:
        said = probabilities_at(one, phases, settings)
        if said:
            found.setdefault(sayable(one.truth, phases), []).append(said)
    return found


def cross_entropy(lesions: Sequence[Heard], settings: DifferentialSettings) -> float:
    """Mean over settings of :data:`AT_HAND` and classes of minus the log of the true one's probability."""
    losses = []
    for phases in AT_HAND:
        losses += [
            float(np.mean([-float(np.log(max(said.get(truth, 0.0), 1e-4))) for said in each]))
            for truth, each in by_true_class(lesions, phases, settings).items()
        ]
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
        shares = [
            np.mean([next(iter(said)) == truth for said in each])
            for truth, each in by_true_class(lesions, phases, settings).items()
        ]
        if shares:
            figures[" and ".join(phase.value for phase in phases)] = round(float(np.mean(shares)), 4)
    return figures
