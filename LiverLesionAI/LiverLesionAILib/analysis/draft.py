"""A case while it is worked on: what the stages have found so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..case.findings import AttentionMap, CaseResult, DoubtfulPlace, Lesion, PhaseEstimate, ProbabilityMap
from ..case.phases import NamedPhases
from ..case.tracking import with_tracking
from ..stages.detect.stage import Detected
from ..stages.followup.register import reduced_ct
from ..stages.locate.coarse import LiverLocation
from ..stages.measure.lesions import LiverMeasurement
from ..stages.neighbours.stage import FoundGallbladder
from ..stages.phase.estimate import PhaseMeasures
from ..stages.segment.segmented import Segmented
from ..volume.ct import CtVolume, Geometry, permuted, reorient
from ..volume.masks import Scalar, put


@dataclass(frozen=True, eq=False)
class Placed:
    """Masks on the CT's own grid.

    Attributes:
        whole_liver_zyx: bool, lesions included; whole_labels_zyx: uint16, the lesions' numbers; both on the
            grid of the CT that was given.
        liver_zyx, labels_zyx: views of them in the liver's box, axes along L, P, S: a large scan's masks are
            held once.
        numbers: label on the working grid -> the lesion's number.
        boxed: label before numbering -> index of the box, without a mask, that it was grown in.
        scores: number -> 0..1, of lesions with a mask.
        remarks: what the reader has to know about the gallbladder.
        at_gallbladder: numbers of the lesions that cannot be told from it with certainty.
    """

    whole_liver_zyx: NDArray[np.bool_]
    whole_labels_zyx: NDArray[np.uint16]
    liver_zyx: NDArray[np.bool_]
    labels_zyx: NDArray[np.uint16]
    numbers: Mapping[int, int]
    boxed: Mapping[int, int]
    scores: Mapping[int, float]
    remarks: tuple[str, ...] = ()
    at_gallbladder: frozenset[int] = frozenset()


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
        phase_measures: what the contrast phase is read from, where that was asked before lesions were placed.
        phase: contrast phase, where it was estimated.
        faint_aside: whether fainter lesions than the table's are kept aside, for a reader's slider.
        thresholds: probability, 0..1, from which a voxel is liver, and tumour, in the maps that are kept.
        doubtful: places to look at that are not listed.
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
    phase_measures: PhaseMeasures | None = None
    phase: PhaseEstimate | None = None
    faint_aside: bool = False
    thresholds: Mapping[str, float] = field(default_factory=dict)
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

    def on_whole(
        self, part_zyx: NDArray[Scalar], cut: tuple[slice, ...]
    ) -> tuple[NDArray[Scalar], NDArray[Scalar]]:
        """An array of a part of the oriented CT on the grid of the CT that was given, zero elsewhere.

        Returns:
            It, and the view of it that lies in that part.
        """
        whole = np.zeros(self.ct.geometry.shape_zyx, part_zyx.dtype)
        there = permuted(whole, self.ct.geometry, self.oriented.geometry)[cut]
        put(there, part_zyx)
        return whole, there

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
        if self.placed is None or self.segmented is None or self.organ is None:
            liver, labels = np.zeros(geometry.shape_zyx, bool), np.zeros(geometry.shape_zyx, np.uint16)
            return CaseResult(self.ct.name, geometry, liver, labels, messages=self.messages)
        liver, labels = self.placed.whole_liver_zyx, self.placed.whole_labels_zyx
        result = CaseResult(self.ct.name, geometry, liver, labels, messages=self.messages)
        working = self.segmented.working
        if self.gallbladder is not None and self.gallbladder.mask_zyx.any():
            organ, _ = self.on_whole(self.gallbladder.mask_zyx, self.gallbladder.cut)
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
