"""The last stage on a finished result: contrast phase, and the lesions' classes with where they were seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...case.findings import CaseResult
from ...support.progress import Progress, part, silent
from ...volume.ct import CtVolume, Geometry, permuted, reorient, resample, resample_labels
from ..phase.estimate import ARTERIAL, PHASES, PhaseMeasures, estimate, measure_phase, phase_probabilities

if TYPE_CHECKING:
    from torch import nn

    from ...models.weights import ModelEntry
    from .lesions import LesionClass

MARGIN_MM = 12.0
NOT_VALIDATED = (
    "Lesion classes come from a network that was trained on simulated contrast enhancement; it has not been "
    "validated on patients."
)


@dataclass(frozen=True, eq=False)
class LiverBox:
    """The part of a reoriented CT that holds the liver.

    Attributes:
        volume: the whole CT, reoriented.
        hu_zyx, liver_zyx, labels_zyx: cut to the liver with a margin.
        geometry: of the cut.
        heights_lps_z: lower and upper end of the liver, mm.
    """

    volume: CtVolume
    hu_zyx: NDArray
    liver_zyx: NDArray[np.bool_]
    labels_zyx: NDArray[np.uint16]
    geometry: Geometry
    heights_lps_z: tuple[float, float]


def liver_box(result: CaseResult, volume: CtVolume) -> LiverBox:
    """Cut the liver out of a CT and its result; the liver must not be empty."""
    oriented = reorient(volume)
    liver = permuted(result.liver_zyx, volume.geometry, oriented.geometry)
    labels = permuted(result.lesion_labels_zyx, volume.geometry, oriented.geometry)
    start, stop = [], []
    for axis in range(3):
        used = np.flatnonzero(liver.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = int(np.ceil(MARGIN_MM / oriented.geometry.spacing_zyx_mm[axis]))
        start.append(max(0, int(used[0]) - margin))
        stop.append(min(liver.shape[axis], int(used[-1]) + 1 + margin))
    cut = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    slices = np.flatnonzero(liver.any(axis=(1, 2)))
    heights = [float(oriented.geometry.index_to_lps((z, 0, 0))[2]) for z in (slices[0], slices[-1])]
    return LiverBox(
        oriented,
        oriented.hu_zyx[cut],
        liver[cut],
        labels[cut],
        oriented.geometry.cropped(start, stop),
        (min(heights), max(heights)),
    )


@dataclass(frozen=True, eq=False)
class CaseClassifier:
    """Adds phase and classes to results.

    Attributes:
        entry, network: the classifier in inference form; None estimates the phase only.
        batch: slices at once.
        maps: also make Grad-CAM maps.
    """

    entry: ModelEntry | None
    network: nn.Module | None
    batch: int = 16
    maps: bool = True

    def run(
        self,
        result: CaseResult,
        volume: CtVolume,
        second_phase: CtVolume | None = None,
        say: Callable[[str], None] = lambda text: None,
        progress: Progress = silent,
    ) -> CaseResult:
        """The result with its phase, and with classes, maps and boxes of its lesions.

        Args:
            result: with a liver, made on `volume`.
            second_phase: another phase of the same patient; it is registered to `volume`.
            say: told what the reader has to know.
        """
        box = liver_box(result, volume)
        progress("contrast phase", 0.0)
        measures = measured(box)
        classified = self.network is not None and bool(result.lesions)
        phase = estimate(measures, classified)
        if not classified:
            return replace(result, phase=phase)
        found = self._classes(box.hu_zyx, box, part(progress, 0.1, 0.5 if second_phase else 1.0))
        if second_phase is not None:
            found, used = self._with_second(found, box, measures, second_phase, say, part(progress, 0.5, 1.0))
            if used == ARTERIAL and phase is not None:
                phase = replace(phase, warning="")
        say(NOT_VALIDATED)
        from .case import with_classes

        maps = tuple(found[number].map for number in sorted(found) if found[number].map is not None)
        return replace(
            result,
            lesions=with_classes(result.lesions, found),
            attention=(*result.attention, *maps),
            phase=phase,
        )

    def _classes(self, hu_zyx: NDArray, box: LiverBox, progress: Progress) -> dict[int, LesionClass]:
        from .case import classify_case

        assert self.network is not None and self.entry is not None
        return classify_case(
            self.network,
            self.entry.input,
            self.entry.calibration,
            hu_zyx,
            box.liver_zyx,
            box.labels_zyx,
            box.geometry,
            maps=self.maps,
            batch=self.batch,
            progress=progress,
        )

    def _with_second(
        self,
        found: dict[int, LesionClass],
        box: LiverBox,
        measures: PhaseMeasures,
        second_phase: CtVolume,
        say: Callable[[str], None],
        progress: Progress,
    ) -> tuple[dict[int, LesionClass], str]:
        """Classes from both phases, and the name of the second one ("" where it could not be used)."""
        from .case import both_phases
        from .second_phase import register_phase

        assert self.entry is not None
        other = reorient(second_phase)
        registered = register_phase(
            replace(box.volume, hu_zyx=box.hu_zyx, geometry=box.geometry),
            box.geometry,
            box.liver_zyx,
            other,
            part(progress, 0.0, 0.7),
        )
        if registered is None:
            say(
                f"The second phase ({second_phase.name}) could not be brought into line with the first and "
                "was not used. Is it of the same patient, and does it show the liver?"
            )
            return found, ""
        second = measured(replace(box, volume=other, hu_zyx=registered.hu_zyx))
        shares = [phase_probabilities(m) for m in (measures, second)]
        name = PHASES[int(shares[1].argmax())]
        say(
            f"Second phase {second_phase.name}: {name} ({shares[1].max():.2f}), moved by "
            f"{registered.mean_shift_mm:.1f} mm on average to lie on the first; classes come from both."
        )
        more = self._classes(registered.hu_zyx, box, part(progress, 0.7, 1.0))
        arterial = PHASES.index(ARTERIAL)
        both = both_phases(
            found, more, (float(shares[0][arterial]), float(shares[1][arterial])), self.entry.calibration
        )
        return both, name


def measured(box: LiverBox) -> PhaseMeasures:
    """What the phase is read from, on a grid of 2.5 x 1.5 x 1.5 mm."""
    working = box.geometry.with_spacing((2.5, 1.5, 1.5))
    liver = resample_labels(box.liver_zyx.astype(np.uint8), box.geometry, working) > 0
    lesions = resample_labels(box.labels_zyx, box.geometry, working) > 0
    return measure_phase(
        box.volume,
        np.asarray(resample(box.hu_zyx, box.geometry, working), np.float32),
        liver,
        lesions,
        working.spacing_zyx_mm,
        *box.heights_lps_z,
    )
