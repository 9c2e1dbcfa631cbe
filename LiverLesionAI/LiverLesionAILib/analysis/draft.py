"""A case while it is worked on: what the stages have found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..case.findings import AttentionMap, CaseResult, DoubtfulPlace, Lesion, PhaseEstimate, ProbabilityMap
from ..case.phases import NamedPhases
from ..case.tracking import with_tracking
from ..stages.detect.stage import Detected
from ..stages.followup.register import reduced_ct
from ..stages.locate.coarse import LiverLocation
from ..stages.measure.lesions import LiverMeasurement
from ..stages.neighbours.gallbladder import Separated
from ..stages.neighbours.stage import FoundGallbladder
from ..stages.segment.segmented import Segmented
from ..volume.ct import CtVolume, Geometry, permuted, reorient
from ..volume.masks import bounding_box


@dataclass(frozen=True, eq=False)
class Placed:
    """Masks on the CT's own grid inside the liver's box.

    Attributes:
        liver_zyx: bool, lesions included; labels_zyx: uint16, the lesions' numbers.
        numbers: label on the working grid -> the lesion's number.
        boxed: label before numbering -> index of the box, without a mask, that it was grown in.
        scores: number -> 0..1, of lesions with a mask.
        separated: what the gallbladder took; None where nothing looked for it.
    """

    liver_zyx: NDArray[np.bool_]
    labels_zyx: NDArray[np.uint16]
    numbers: Mapping[int, int]
    boxed: Mapping[int, int]
    scores: Mapping[int, float]
    separated: Separated | None = None


@dataclass(frozen=True, eq=False)
class Draft:
    """A case that grows from stage to stage; each fills in what it found and leaves the rest.

    Attributes:
        ct: as it was given, checked; oriented: the same voxels with axes along L, P, S.
        second_phase: another contrast phase of the patient, where there is one; phases: named ones.
        where: the coarse liver; None before it is looked for, and where none is seen.
        segmented: probabilities and masks on the network's grid.
        detected: what a detector added to them; None without one.
        gallbladder: where nothing looked for it None.
        placed: masks on the CT's grid.
        lesions: in order of number; organ: the whole liver.
        attention: maps of whatever ran.
        phase: contrast phase, where it was estimated.
        thresholds: probability, 0..1, from which a voxel is liver, and tumour, in the maps that are kept.
        doubtful: places to look at that are not listed.
        leading: what the reader has to know first: that the result can hardly be true.
        messages: what the reader has to know.
    """

    ct: CtVolume
    oriented: CtVolume
    second_phase: CtVolume | None = None
    phases: NamedPhases = field(default_factory=NamedPhases)
    where: LiverLocation | None = None
    segmented: Segmented | None = None
    detected: Detected | None = None
    gallbladder: FoundGallbladder | None = None
    placed: Placed | None = None
    lesions: tuple[Lesion, ...] = ()
    organ: LiverMeasurement | None = None
    attention: tuple[AttentionMap, ...] = ()
    phase: PhaseEstimate | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    leading: tuple[str, ...] = ()
    doubtful: tuple[DoubtfulPlace, ...] = ()
    messages: tuple[str, ...] = ()

    @classmethod
    def of(cls, ct: CtVolume, second_phase: CtVolume | None = None) -> Draft:
        """Nothing found yet."""
        return cls(ct, reorient(ct), second_phase, messages=tuple(ct.warnings))

    @property
    def cut(self) -> tuple[slice, ...]:
        """The liver's box in the oriented CT; only after it was located."""
        assert self.where is not None
        return tuple(slice(a, b) for a, b in zip(self.where.start_zyx, self.where.stop_zyx, strict=True))

    @property
    def box(self) -> Geometry:
        """The CT's own grid in the liver's box."""
        assert self.where is not None
        return self.oriented.geometry.cropped(self.where.start_zyx, self.where.stop_zyx)

    def say(self, *sentences: str) -> Draft:
        """The draft with more for the reader to know."""
        return replace(self, messages=(*self.messages, *sentences))

    def result(self) -> CaseResult:
        """What was found, on the grid of the CT that was given, and what a later comparison needs of it."""
        found = self.found()
        return replace(found, reduced_ct=reduced_ct(self.ct.hu_zyx, found.liver_zyx, self.ct.geometry))

    def found(self) -> CaseResult:
        """:meth:`result` for the stages: without the small CT that is kept for a later comparison."""
        geometry = self.ct.geometry
        liver, labels = np.zeros(geometry.shape_zyx, bool), np.zeros(geometry.shape_zyx, np.uint16)
        result = CaseResult(self.ct.name, geometry, liver, labels, messages=self.messages)
        if self.placed is None or self.segmented is None or self.organ is None:
            return result
        _put(permuted(liver, geometry, self.oriented.geometry)[self.cut], self.placed.liver_zyx)
        _put(permuted(labels, geometry, self.oriented.geometry)[self.cut], self.placed.labels_zyx)
        working = self.segmented.working
        if self.gallbladder is not None and self.gallbladder.mask_zyx.any():
            organ = np.zeros(geometry.shape_zyx, bool)
            upright = permuted(organ, geometry, self.oriented.geometry)
            _put(upright[self.gallbladder.cut], self.gallbladder.mask_zyx)
            result = replace(result, gallbladder_zyx=organ)
        found = replace(
            result,
            lesions=self.lesions,
            liver_volume_ml=self.organ.volume_ml,
            liver_hu_mean=self.organ.hu_mean,
            tumour_burden_percent=self.organ.tumour_burden_percent,
            probabilities={
                "liver": ProbabilityMap(self.segmented.liver_zyx, working, self.thresholds["liver"]),
                "tumour": ProbabilityMap(self.segmented.tumour_zyx, working, self.thresholds["tumour"]),
            },
            attention=self.attention,
            phase=self.phase,
            doubtful=self.doubtful,
        )
        return with_tracking(found)


def _put(whole_zyx: NDArray[Any], part_zyx: NDArray[Any]) -> None:
    """Write what is not empty into zeros: pages that nobody writes take no memory."""
    box = bounding_box(part_zyx)
    if box is not None:
        whole_zyx[box] = part_zyx[box]
