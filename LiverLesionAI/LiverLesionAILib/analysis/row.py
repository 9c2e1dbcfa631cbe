"""The stages in their row, each `(Draft, Rules, Models, Progress) -> Draft`.

What a stage does is in `stages/`; here it is handed its lines of the page of rules and its network, and
what it found is put into the draft. A stage that has nothing to do gives back the draft it was given. To
add one, write it under `stages/`, give the draft a field for what it finds, and put a line into `ROW`:
a second look at lesions after "detect", anatomy after "measure", the comparison with an
earlier scan at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..case.classes import Phase
from ..case.findings import AttentionMap, DoubtfulPlace, ProbabilityMap
from ..case.interval import with_half_widths
from ..case.wording import LIVER_CUT
from ..models.weights import ModelEntry
from ..stages.classify.differential import DifferentialSettings
from ..stages.classify.second_voice import Company
from ..stages.classify.stage import CaseClassifier, ClassStageSettings
from ..stages.detect.match import ProposalSettings
from ..stages.detect.pieces import judged_scores
from ..stages.detect.stage import Detected, DetectSettings, detect_lesions, place_detected, with_sources
from ..stages.locate.coarse import LocateSettings, locate
from ..stages.measure.lesions import measure_case, measure_liver
from ..stages.measure.plausible import PlausibleSettings, implausible, measure_body
from ..stages.measure.probability import ProbabilitySettings, with_probability
from ..stages.neighbours.gallbladder import GallbladderSettings, messages, separate_gallbladder
from ..stages.neighbours.stage import find_gallbladder, without_gallbladder
from ..stages.phase.estimate import PhaseSettings
from ..stages.place.grid import on_ct_grid
from ..stages.segment.doubtful import DoubtfulSettings, doubtful_places
from ..stages.segment.edges import EdgeSettings, at_edges
from ..stages.segment.masks import SegmentSettings, masks_from_probabilities, tempered
from ..stages.segment.noise import liver_noise_hu
from ..stages.segment.region import ReachSettings, agreed_liver, near_liver, region_of
from ..stages.segment.segmented import Segmented
from ..support.progress import Progress, part
from ..volume.ct import resample_labels
from ..volume.masks import number_by_size, with_numbers
from .choice import Models
from .draft import Draft, Placed
from .phase_before_placing import PhaseBeforePlacing, looks_arterial, measures_before_placing
from .rules import Rules


def locate_liver(draft: Draft, rules: Rules, models: Models, progress: Progress) -> Draft:
    """Where the liver is; without one no later stage runs."""
    locator, settings = models.locator, rules.part(LocateSettings)
    where = locate(
        draft.oriented,
        lambda hu_zyx: locator.probability(hu_zyx, part(progress, 0.25, 1.0)),
        locator.entry.input,
        settings,
        part(progress, 0.0, 0.25),
    )
    draft = replace(draft, where=where)
    if where is None:
        return draft.say(
            f"No liver was found in {draft.ct.name}. Check that it is a CT of the abdomen in "
            f"Hounsfield units; "
            "nothing was marked."
        )
    if where.cut_off:
        return draft.say(LIVER_CUT)
    return draft


def segment(draft: Draft, rules: Rules, models: Models, progress: Progress) -> Draft:
    """Probabilities of liver and tumour on the network's grid, and the masks they make."""
    assert draft.where is not None
    settings, reach = rules.part(SegmentSettings), rules.part(ReachSettings)
    region = region_of(draft.oriented, draft.where, models.segmenter.entry.input, reach)
    said = models.segmenter.probabilities(region, progress)
    spacing = region.geometry.spacing_zyx_mm
    tumour = tempered(said.tumour_zyx, rules.temperature)
    liver = agreed_liver(said.liver_zyx, tumour, region.beyond_zyx)
    masks = masks_from_probabilities(liver, tumour, spacing, settings, region.near_zyx)
    # Elsewhere lesions are not looked for, and a glowing stomach would only mislead.
    shown = masks.liver_zyx if masks.beside_zyx is None else masks.liver_zyx | masks.beside_zyx
    near = near_liver(shown, spacing, reach.shown_reach_mm)
    found = Segmented(
        draft.box,
        draft.oriented.hu_zyx[draft.cut],
        region.geometry,
        region.level_hu,
        liver,
        np.where(near, tumour, 0).astype(np.uint8),
        masks,
        said.explainers,
        region.hu_zyx,
    )
    thresholds = {"liver": settings.liver_threshold, "tumour": settings.tumour_threshold}
    return replace(draft, segmented=found, thresholds=thresholds)


def detect(draft: Draft, rules: Rules, models: Models, progress: Progress) -> Draft:
    """A detector's boxes: they doubt masks, and add lesions of their own."""
    if models.detector is None or draft.segmented is None:
        return draft
    before_placing = PhaseBeforePlacing(draft, rules.part(PhaseSettings))
    detected = detect_lesions(
        models.detector, draft.segmented, rules.part(DetectSettings), progress, before_placing.looks_arterial
    )
    return replace(
        draft,
        detected=detected,
        segmented=replace(draft.segmented, masks=detected.masks),
        phase_measures=before_placing.measured,
    )


def edges(draft: Draft, rules: Rules, models: Models, progress: Progress) -> Draft:
    """Lesions that stand out end where the CT shows it; what was found, and how surely, stays."""
    assert draft.segmented is not None
    found, detected = draft.segmented, draft.detected
    hu_zyx, spacing = found.hu_on(found.working), found.working.spacing_zyx_mm
    masks, parts = at_edges(
        found.masks, hu_zyx, spacing, rules.part(SegmentSettings), rules.part(EdgeSettings)
    )
    if detected is not None:
        boxes = {new: detected.by_label[old] for new, old in parts.items() if old in detected.by_label}
        detected = replace(detected, masks=masks, by_label=boxes)
    return replace(draft, segmented=replace(found, masks=masks), detected=detected)


def gallbladder(draft: Draft, rules: Rules, models: Models, progress: Progress) -> Draft:
    """Where the gallbladder is, which is often taken for a lesion."""
    if models.gallbladder is None:
        return draft
    assert draft.where is not None
    settings = rules.part(GallbladderSettings)
    found = find_gallbladder(models.gallbladder, draft.oriented, draft.where, settings, progress)
    return replace(draft, gallbladder=found)


def place(draft: Draft, rules: Rules, models: Models, progress: Progress) -> Draft:
    """Masks on the CT's own voxels without the gallbladder, lesions numbered by size."""
    assert draft.segmented is not None
    progress("placing results on the CT", 0.0)
    found, detected = draft.segmented, draft.detected
    liver_zyx, labels_zyx = on_ct_grid(found, rules.part(SegmentSettings))
    boxed: dict[int, int] = {}
    if detected is not None:
        labels_zyx, boxed = place_detected(
            detected, labels_zyx, found.hu_zyx, liver_zyx, found.box, rules.part(ProposalSettings)
        )
        for plane, spots in zip(liver_zyx, labels_zyx, strict=True):
            plane |= spots > 0
    separated = None
    if draft.gallbladder is not None:
        organ, settings = draft.gallbladder.within(draft.cut), rules.part(GallbladderSettings)
        separated = separate_gallbladder(
            liver_zyx, labels_zyx, organ, found.hu_zyx, found.box.spacing_zyx_mm, settings
        )
        draft = replace(
            draft,
            segmented=without_gallbladder(found, separated, labels_zyx),
            gallbladder=draft.gallbladder.changed(draft.cut, separated.gallbladder_zyx),
        )
        liver_zyx, labels_zyx = separated.liver_zyx, separated.labels_zyx
    labels_zyx, numbers = number_by_size(labels_zyx)
    scores = {new: found.masks.scores.get(old, 0.0) for old, new in numbers.items()}
    remarks: list[str] = []
    at_gallbladder: set[int] = set()
    if draft.gallbladder is not None and separated is not None:
        least = listing_score(rules, models.segmenter.entry, faint_aside=draft.faint_aside)
        seen = dict(found.masks.scores)
        if detected is not None:
            seen.update({label: detected.alone[index].score for label, index in boxed.items()})
        sure = {label for label, score in seen.items() if score >= least}
        remarks = messages(separated, sure, draft.gallbladder.volume_ml)
        at_gallbladder = {numbers[n] for n in separated.doubtful if n in numbers}
    # Its masks are those of before, and would be held beside the new ones.
    del separated
    whole_liver, liver_zyx = draft.on_whole(liver_zyx, draft.cut)
    whole_labels, labels_zyx = draft.on_whole(labels_zyx, draft.cut)
    placed = Placed(whole_liver, whole_labels, liver_zyx, labels_zyx, numbers, boxed, scores)
    placed = replace(placed, remarks=tuple(remarks), at_gallbladder=frozenset(at_gallbladder))
    return replace(draft, placed=placed)


def explain(draft: Draft, rules: Rules, models: Models, progress: Progress) -> Draft:
    """What the segmenter attended to."""
    assert draft.segmented is not None and draft.placed is not None
    working, labels = draft.segmented.working, draft.segmented.masks.labels_zyx
    maps: tuple[AttentionMap, ...] = ()
    for explainer in draft.segmented.explainers:
        if explainer.filled:
            progress("attention maps", 0.0)
            maps += explainer.maps(working)
            maps += explainer.lesion_maps(working, labels, draft.placed.numbers)
    return replace(draft, attention=(*draft.attention, *maps))


def measure(draft: Draft, rules: Rules, models: Models, progress: Progress) -> Draft:
    """Sizes and densities on the masks that the reader sees, and how each lesion was found."""
    assert draft.segmented is not None and draft.placed is not None
    progress("measuring", 0.0)
    placed, detected, hu_zyx, box = draft.placed, draft.detected, draft.segmented.hu_zyx, draft.box
    # Measured inside the liver's box only; what lies outside it is not liver.
    lesions = tuple(
        replace(one, at_gallbladder=one.number in placed.at_gallbladder)
        for one in measure_case(placed.labels_zyx, placed.liver_zyx, hu_zyx, box, placed.scores)
    )
    if detected is not None:
        lesions, maps = with_sources(lesions, detected, placed.numbers, placed.boxed, box)
        draft = replace(draft, attention=(*draft.attention, *maps))
        draft = _with_detector_notes(draft, detected)
    lesions = with_probability(lesions, rules.part(ProbabilitySettings))
    known = ProbabilityMap(draft.segmented.tumour_zyx, draft.segmented.working, draft.thresholds["tumour"])
    lesions = with_half_widths(lesions, placed.labels_zyx, box, known)
    least = listing_score(rules, models.segmenter.entry, faint_aside=draft.faint_aside)
    draft = replace(draft, doubtful=_doubtful(draft, rules, least))
    organ = measure_liver(placed.labels_zyx, placed.liver_zyx, hu_zyx, box)
    doubted = implausible(
        measure_body(draft.oriented, placed.liver_zyx, box),
        organ.volume_ml,
        cut_off=draft.where is not None and draft.where.cut_off,
        settings=rules.part(PlausibleSettings),
        liver_hu=organ.hu_mean,
    )
    left_out = _what_was_left_out(draft, rules, bool(lesions))
    return replace(draft, lesions=lesions, organ=organ).say(*doubted, *left_out)


def _with_detector_notes(draft: Draft, detected: Detected) -> Draft:
    """The draft with what a detector took from the list; a slider shows those, and a table says so itself."""
    return draft if draft.faint_aside else draft.say(*detected.messages)


def _doubtful(draft: Draft, rules: Rules, least: float) -> tuple[DoubtfulPlace, ...]:
    """Places to look at that are not listed: the same ones whether fainter lesions are kept aside or not.

    Args:
        least: the score from which a lesion is in the table.
    """
    assert draft.segmented is not None and draft.placed is not None
    found, placed, detected = draft.segmented, draft.placed, draft.detected
    listed = [label for label, score in found.masks.scores.items() if score >= least]
    known = with_numbers(found.masks.labels_zyx, listed)
    if placed.boxed:
        # Outlines that grew inside a detector's box are on the CT's own voxels alone.
        numbers = {placed.numbers[n] for n in placed.boxed if n in placed.numbers}
        grown = with_numbers(placed.labels_zyx, numbers)
        known = known | (resample_labels(grown.astype(np.uint8), found.box, found.working) > 0)
    phase = rules.part(PhaseSettings)

    def arterial() -> bool:
        measured = draft.phase_measures or measures_before_placing(draft, phase)
        return looks_arterial(draft, measured, phase)

    def judge(pieces_zyx: NDArray[np.integer], scores: NDArray[np.floating]) -> NDArray[np.floating]:
        if detected is None:
            return scores
        return judged_scores(pieces_zyx, scores, detected, found, rules.part(DetectSettings), arterial)

    return doubtful_places(
        found.tumour_zyx,
        found.masks,
        known,
        found.working,
        rules.part(SegmentSettings),
        rules.part(DoubtfulSettings),
        judge,
    )


def _what_was_left_out(draft: Draft, rules: Rules, any_lesion: bool) -> list[str]:
    """What the reader has to know about parts of the liver and spots that are not shown."""
    assert draft.segmented is not None and draft.placed is not None
    masks, said = draft.segmented.masks, list(draft.placed.remarks)
    noise_hu = _noise_hu(draft.segmented)
    if noise_hu >= rules.noisy_hu:
        said.append(
            f"This scan is noisy: {noise_hu:.0f} HU in the liver. In such scans small lesions are missed "
            "more often, and at a low threshold many more false ones are listed. Doubt small findings."
        )
    if masks.cut_ml >= rules.cut_message_ml:
        said.append(
            f"{masks.cut_ml:.0f} mL that hung on the liver by a narrow neck were taken for another organ, "
            "such as the stomach, and left out. Look whether a part of the liver is missing."
        )
    leaning_ml = _leaning_ml(draft.segmented, draft.thresholds["tumour"])
    if leaning_ml >= rules.cut_message_ml:
        said.append(
            f"{leaning_ml:.0f} mL beside the liver look like a lesion, but little around them is liver: "
            "stomach, bowel, another organ, or a lesion that grows out of the liver. They are not listed and "
            "not counted as liver, but are among the places to look at."
        )
    if not any_lesion:
        said.append(_nothing_listed(rules, masks.dropped))
    return said


def _nothing_listed(rules: Rules, dropped: int) -> str:
    """Why there is no lesion, and how many spots were `dropped`."""
    least = f"score {rules.score_threshold:.2f}, {rules.smallest_mm:g} mm or more"
    asked = f"No lesion reached the threshold ({least})"
    if not dropped:
        return f"{asked}."
    spots, them = (
        ("1 fainter or smaller spot was", "it")
        if dropped == 1
        else (f"{dropped} fainter or smaller spots were", "them")
    )
    return f"{asked}; {spots} left out. Lower the threshold to see {them}."


def _noise_hu(found: Segmented) -> float:
    """The liver's noise on the networks' grid, HU; NaN where there is too little liver."""
    bare = found.masks.liver_zyx & (found.masks.labels_zyx == 0)
    return liver_noise_hu(found.hu_on(found.working), bare, found.working.spacing_zyx_mm)


def _leaning_ml(found: Segmented, tumour_threshold: float) -> float:
    """Volume of what only leans on the liver, without what was found to be gallbladder since, mL."""
    if found.masks.beside_zyx is None:
        return 0.0
    still = found.masks.beside_zyx & (found.tumour_zyx >= max(1, round(tumour_threshold * 255)))
    return float(np.count_nonzero(still)) * found.working.voxel_volume_mm3 / 1000.0


BRIGHT = (
    "This scan is arterial: more than half of the lesions that are brighter than the liver were missed in "
    "synthetic scans, and none of a patient was tried. Look for them yourself, and analyse the portal venous "
    "scan, too."
)
"""Of 34 lesions 15 HU brighter than the liver and more, on 64 scans of SynthLiver-1, 15 were found."""


def classify(draft: Draft, rules: Rules, models: Models, progress: Progress) -> Draft:
    """Contrast phase, and the lesions' classes."""
    if draft.placed is None or not draft.placed.liver_zyx.any():
        return draft
    from ..stages.classify.lesions import ClassifySettings
    from ..stages.classify.second_phase import RegisterSettings

    settings = ClassStageSettings(
        rules.part(ClassifySettings),
        rules.part(PhaseSettings),
        rules.part(RegisterSettings),
        None if rules.classes_said == "paper" else rules.part(DifferentialSettings),
    )
    stage = CaseClassifier(models.classifier, settings)
    least = listing_score(rules, models.segmenter.entry, faint_aside=draft.faint_aside)
    company = Company.of(draft.lesions, least)
    found = stage.run(
        draft.found(),
        draft.ct,
        draft.second_phase,
        progress,
        draft.phases,
        company,
        draft.phase_measures,
    )
    attention = (*draft.attention, *found.attention)
    said = replace(draft, lesions=found.lesions, attention=attention, phase=found.phase).say(*found.messages)
    if found.phase is not None and found.phase.phase is Phase.ARTERIAL:
        return said.say(BRIGHT)
    return said


def listing_score(rules: Rules, segmenter: ModelEntry, *, faint_aside: bool) -> float:
    """The score from which a lesion is in the table at first; the model's own where faint ones are kept."""
    return Rules().calibrated(segmenter).score_threshold if faint_aside else rules.score_threshold


class Stage(NamedTuple):
    """A stage in the row.

    Attributes:
        name: of its seconds.
        run: does it.
        share: of the whole progress, from and to.
    """

    name: str
    run: Callable[[Draft, Rules, Models, Progress], Draft]
    share: tuple[float, float]


ROW = (
    Stage("locate", locate_liver, (0.0, 0.2)),
    Stage("segment", segment, (0.2, 0.62)),
    Stage("detect", detect, (0.62, 0.74)),
    Stage("edges", edges, (0.74, 0.75)),
    Stage("gallbladder", gallbladder, (0.75, 0.78)),
    Stage("place", place, (0.78, 0.82)),
    Stage("explain", explain, (0.82, 0.88)),
    Stage("measure", measure, (0.88, 0.9)),
    Stage("classify", classify, (0.9, 0.99)),
)
