"""From a CT to findings: the stages in order, with progress, cancel and the device's policy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .. import __version__
from ..case.findings import AttentionMap, CaseResult, ProbabilityMap
from ..models.inputs import liver_level_hu
from ..stages.detect.stage import Detected, detect_lesions, place_detected, told_how_found
from ..stages.measure.lesions import measure_case, measure_liver
from ..stages.segment.masks import Masks, SegmentSettings, masks_from_probabilities, tempered
from ..support.progress import Progress, part, silent
from ..volume.checking import check_ct
from ..volume.ct import CtVolume, Geometry, permuted, reorient, resample, resample_labels
from ..volume.masks import drop_islands, number_by_size

if TYPE_CHECKING:
    from ..models.device import Device
    from ..models.weights import Manifest, ModelEntry, ModelStore
    from ..stages.explain.sfan import SfanAttentionCollector
    from ..stages.explain.va import VolumetricAttentionCollector
    from ..stages.locate.coarse import LiverLocation

    Collector = SfanAttentionCollector | VolumetricAttentionCollector

NO_DETECTOR = "none"
"""Name of a detector in the settings that says: masks only."""


LIVER_REACH_MM = 6.0
"""A voxel this far from the coarse liver is liver only as part of a tumour."""

SHOWN_REACH_MM = 8.0
"""The tumour's probability is kept this far from the liver: what a reader may add to its edge."""

TOLD_CUT_ML = 5.0
"""What was cut off the liver is told from here on."""

TUMOUR_REACH_MM = 15.0
"""Nothing is looked for farther than this from the coarse liver."""


@dataclass(frozen=True)
class Settings:
    """What the user can choose.

    Attributes:
        segmenter: name of a "segment" model of the manifest; "" takes its first one.
        classifier: name of a "classify" model; "" takes the first one, where there is any; None gives lesions
            no class.
        detector: name of a "detect" model; "" takes the first one where there is one, "none" or None runs
            none.
        device: "auto", "cpu", "cuda", "cuda:1".
        precision: "auto", "float32", "bfloat16", "float16".
        tumour_threshold: 0..1 instead of the model's calibrated one.
        score_threshold: 0..1 instead of the model's calibrated one; lesions below are dropped.
        temperature: of the tumour's probability instead of the model's calibrated one.
        detector_threshold: 0..1 instead of the detector's calibrated one, for lesions that only it finds.
        smallest_mm: lesions of a smaller equivalent diameter are dropped.
        pyramid: scales of the image pyramid for liver and lesions alike; (0.5, 1.0, 1.5) is the SFAN paper's.
            None takes the model's own.
        margin_mm: around the liver's box.
        attention: whether to deliver attention maps.
    """

    segmenter: str = ""
    classifier: str | None = ""
    detector: str | None = ""
    device: str = "auto"
    precision: str = "auto"
    tumour_threshold: float | None = None
    score_threshold: float | None = None
    temperature: float | None = None
    detector_threshold: float | None = None
    smallest_mm: float = 4.0
    pyramid: tuple[float, ...] | None = None
    margin_mm: float = 20.0
    attention: bool = True

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Settings:
        """Settings from plain types; unknown keys raise TypeError."""
        values = dict(data)
        if values.get("pyramid") is not None:
            values["pyramid"] = tuple(values["pyramid"])
        return cls(**values)


@dataclass
class _Run:
    """What one analysis carries along."""

    progress: Progress
    messages: list[str] = field(default_factory=list)
    timings_s: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.timings_s[name] = self.timings_s.get(name, 0.0) + time.perf_counter() - started


def analyze(
    volume: CtVolume,
    settings: Settings,
    models: ModelStore,
    progress: Progress = silent,
    second_phase: CtVolume | None = None,
) -> CaseResult:
    """Find the liver and its lesions in a checked CT.

    Args:
        volume: any orientation; checked by :func:`~LiverLesionAILib.volume.checking.check_ct`, whether it
            came from a file or from a Slicer node.
        settings: the user's choices.
        models: networks, kept warm between calls.
        progress: told the stage and the fraction done; raises Cancelled to stop.
        second_phase: another contrast phase of the same patient, used for the lesions' classes.

    Returns:
        The findings on the CT's own grid. Where no liver or no lesion is seen, `messages` say so and why.

    Raises:
        InputError: this is no CT that can be analysed.
        LiverLesionAIError: with a text for the reader.
        Cancelled: from `progress`.
    """
    from ..models.device import choose_device, with_fallback

    volume = check_ct(volume)
    run = _Run(progress, list(volume.warnings))
    device = choose_device(settings.device, settings.precision)
    entry = models.manifest.choose("segment", settings.segmenter)
    members = tuple(models.manifest.find(name) for name in entry.members)
    detector = detector_entry(models, settings.detector)
    coarse_entry = models.manifest.of_task("locate")[0]
    classifier = choose_classifier(models.manifest, settings)
    classifiers = () if classifier is None else (classifier,)
    if second_phase is not None:
        second_phase = check_ct(second_phase)
    progress("loading models", 0.0)
    with run.stage("load"):
        used = (*entry.members, *([detector.name] if detector else []), *(e.name for e in classifiers))
        for name in (coarse_entry.name, *used):
            models.network(name, device.name, device.precision)

    def compute(current: Device) -> CaseResult:
        found = _analyze_on(current, volume, settings, models, coarse_entry, entry, members, detector, run)
        if not found.liver_zyx.any():
            return found
        return add_classes(found, volume, second_phase, models, classifier, current, settings.attention, run)

    result, used = with_fallback(compute, device, run.messages.append, models.release)
    progress("done", 1.0)
    return replace(
        result,
        device=used.description,
        messages=tuple(run.messages),
        timings_s=dict(run.timings_s),
        models={
            e.name: e.sha256[:12]
            for e in (coarse_entry, *members, *([detector] if detector else []), *classifiers)
        },
        version=__version__,
    )


def _analyze_on(
    device: Device,
    volume: CtVolume,
    settings: Settings,
    models: ModelStore,
    coarse_entry: ModelEntry,
    entry: ModelEntry,
    members: tuple[ModelEntry, ...],
    detector: ModelEntry | None,
    run: _Run,
) -> CaseResult:
    from ..stages.locate.coarse import locate
    from ..stages.segment.inference import class_probabilities

    oriented = reorient(volume)
    with run.stage("locate"):
        coarse_network = models.network(coarse_entry.name, device.name, device.precision)

        def coarse_probability(hu_zyx: NDArray[np.float32]) -> NDArray[np.uint8]:
            return class_probabilities(
                coarse_network,
                coarse_entry.input,
                hu_zyx,
                classes=2,
                batch=2 * device.batch,
                progress=part(run.progress, 0.05, 0.2),
                stage="looking for the liver",
            )[0]

        where = locate(
            oriented,
            coarse_probability,
            coarse_entry.input,
            margin_mm=settings.margin_mm,
            progress=part(run.progress, 0.0, 0.05),
        )
    empty = CaseResult(
        volume.name,
        volume.geometry,
        np.zeros(volume.geometry.shape_zyx, bool),
        np.zeros(volume.geometry.shape_zyx, np.uint16),
    )
    if where is None:
        run.messages.append(
            f"No liver was found in {volume.name}. Check that it is a CT of the abdomen in Hounsfield units; "
            "nothing was marked."
        )
        return empty
    if where.cut_off:
        run.messages.append(
            "The liver reaches the first or last slice: parts of it may lie outside the scan, "
            "and its volume is that of the part that is shown."
        )

    with run.stage("segment"):
        box = oriented.geometry.cropped(where.start_zyx, where.stop_zyx)
        cut = tuple(slice(a, b) for a, b in zip(where.start_zyx, where.stop_zyx, strict=True))
        working = box.with_spacing(entry.input.spacing_zyx_mm)
        hu_zyx = resample(oriented.hu_zyx[cut], box, working)
        distance_mm = distance_to_coarse(where, working)
        near = distance_mm <= TUMOUR_REACH_MM
        coarse_liver = resample_labels(where.mask_zyx.astype(np.uint8), where.geometry, working) > 0
        level_hu = liver_level_hu(hu_zyx[coarse_liver])
        collectors: dict[str, Collector] = {}
        if settings.attention:
            collectors = attention_collectors(members, models, device, working.shape_zyx)
        liver, tumour = mean_of_members(
            members,
            models,
            device,
            hu_zyx,
            level_hu,
            near,
            settings.pyramid,
            progress=part(run.progress, 0.2, 0.62 if detector else 0.75),
            collectors=collectors,
        )
        temperature = settings.temperature
        if temperature is None:
            temperature = float(entry.calibration.get("temperature", 1.0))
        tumour = tempered(tumour, temperature)
        liver = agreed_liver(liver, tumour, distance_mm)
        del distance_mm
        choice = segment_settings(entry, settings)
        masks = masks_from_probabilities(liver, tumour, working.spacing_zyx_mm, choice, near)
        # Elsewhere lesions are not looked for, and a glowing stomach would only mislead.
        tumour = np.where(near_liver(masks.liver_zyx, working.spacing_zyx_mm), tumour, 0).astype(np.uint8)
    detected: Detected | None = None
    if detector is not None:
        with run.stage("detect"):
            detected = detect_lesions(
                models.network(detector.name, device.name, device.precision),
                detector.input.enlarged(detector.scales),
                detector.calibration,
                oriented.hu_zyx[cut],
                box,
                masks,
                working,
                level_hu,
                tumour_zyx=tumour,
                threshold=settings.detector_threshold,
                mask_threshold=choice.score_threshold,
                smallest_mm=settings.smallest_mm,
                attention=settings.attention,
                batch=device.batch,
                progress=part(run.progress, 0.62, 0.77),
            )
            masks = detected.masks
    run.progress("placing results on the CT", 0.78)
    with run.stage("place"):
        liver_zyx, labels_zyx = on_ct_grid(masks, liver, tumour, working, box, choice)
        boxed: dict[int, int] = {}
        if detected is not None:
            labels_zyx, boxed = place_detected(detected, labels_zyx, oriented.hu_zyx[cut], liver_zyx, box)
            liver_zyx |= labels_zyx > 0
        labels_zyx, numbers = number_by_size(labels_zyx)
        scores = {new: masks.scores.get(old, 0.0) for old, new in numbers.items()}
        whole_liver = empty.liver_zyx
        whole_labels = empty.lesion_labels_zyx
        permuted(whole_liver, volume.geometry, oriented.geometry)[cut] = liver_zyx
        permuted(whole_labels, volume.geometry, oriented.geometry)[cut] = labels_zyx
    attention: tuple[AttentionMap, ...] = ()
    filled = [collector for collector in collectors.values() if collector.filled]
    if filled:
        run.progress("attention maps", 0.82)
        with run.stage("explain"):
            for collector in filled:
                attention += collector.maps(working)
                attention += collector.lesion_maps(working, masks.labels_zyx, numbers)
    run.progress("measuring", 0.88)
    with run.stage("measure"):
        # Measured inside the liver's box only; what lies outside it is not liver.
        lesions = measure_case(labels_zyx, liver_zyx, oriented.hu_zyx[cut], box, scores)
        if detected is not None:
            lesions, shown = told_how_found(lesions, detected, numbers, boxed, box)
            attention += shown
            run.messages.extend(detected.messages(lesions))
        organ = measure_liver(labels_zyx, liver_zyx, oriented.hu_zyx[cut], box)
    if masks.cut_ml >= TOLD_CUT_ML:
        run.messages.append(
            f"{masks.cut_ml:.0f} mL that hung on the liver by a narrow neck were taken for another organ, "
            "such as the stomach, and left out. Look whether a part of the liver is missing."
        )
    if not lesions:
        run.messages.append(
            f"No lesion reached the threshold (score {choice.score_threshold:.2f}, "
            f"{choice.smallest_mm:g} mm or more); {masks.dropped} fainter or smaller spots were left out. "
            "Lower the threshold to see them."
        )
    return replace(
        empty,
        lesions=lesions,
        liver_volume_ml=organ.volume_ml,
        liver_hu_mean=organ.hu_mean,
        tumour_burden_percent=organ.tumour_burden_percent,
        probabilities={
            "liver": ProbabilityMap(liver, working, choice.liver_threshold),
            "tumour": ProbabilityMap(tumour, working, choice.tumour_threshold),
        },
        attention=attention,
    )


def choose_classifier(manifest: Manifest, settings: Settings) -> ModelEntry | None:
    """The model that gives lesions their class; None where nobody wants one or there is none to choose.

    Raises:
        ModelError: there is no classifier of the name that is asked for.
    """
    if settings.classifier is None or not (settings.classifier or manifest.of_task("classify")):
        return None
    return manifest.choose("classify", settings.classifier)


def add_classes(
    result: CaseResult,
    volume: CtVolume,
    second_phase: CtVolume | None,
    models: ModelStore,
    classifier: ModelEntry | None,
    device: Device,
    maps: bool,
    run: _Run,
) -> CaseResult:
    """The result with its contrast phase, and with the lesions' classes where there is a classifier."""
    from ..stages.classify.stage import CaseClassifier

    network = None
    if classifier is not None:
        network = models.network(classifier.name, device.name, device.precision)
    with run.stage("classify"):
        return CaseClassifier(classifier, network, 2 * device.batch, maps).run(
            result, volume, second_phase, run.messages.append, part(run.progress, 0.9, 0.99)
        )


def mean_of_members(
    members: tuple[ModelEntry, ...],
    models: ModelStore,
    device: Device,
    hu_zyx: NDArray[np.float32],
    level_hu: float,
    near_zyx: NDArray[np.bool_],
    pyramid: tuple[float, ...] | None,
    progress: Progress = silent,
    collectors: Mapping[str, Collector] = MappingProxyType({}),
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Probability of liver or tumour, and of tumour: the mean over the models, each at its own scales.

    Args:
        hu_zyx: HU on the working grid, which all members share; level_hu: of its liver.
        near_zyx: where a liver can be.
        pyramid: scales instead of the models' own.
        collectors: model -> what takes its attention, see :func:`attention_collectors`.
    """
    from ..stages.detect.volumetric import volumetric_liver_and_tumour
    from ..stages.segment.inference import liver_and_tumour

    totals = [np.zeros(hu_zyx.shape, np.uint16) for _ in range(2)]
    for number, member in enumerate(members):
        network = models.network(member.name, device.name, device.precision)
        shifted = hu_zyx + np.float32(member.input.shift_hu(level_hu))
        own_part = part(progress, number / len(members), (number + 1) / len(members))
        wanted = collectors.get(member.name)
        if member.network == "va_mask_rcnn":
            found = volumetric_liver_and_tumour(
                network,
                member.input,
                shifted,
                scales=pyramid or member.scales.get("lesions", (1.0,)),
                batch=device.batch,
                progress=own_part,
                collect=wanted,
            )
        else:
            found = liver_and_tumour(
                network,
                member.input,
                shifted,
                liver_scales=pyramid or member.scales.get("liver", (1.0,)),
                lesion_scales=pyramid or member.scales.get("lesions", (1.0,)),
                near_zyx=near_zyx,
                batch=device.batch,
                progress=own_part,
                collect=wanted,
            )
        for total, values in zip(totals, found, strict=True):
            total += values
    liver, tumour = ((total + len(members) // 2) // len(members) for total in totals)
    return liver.astype(np.uint8), tumour.astype(np.uint8)


def attention_collectors(
    members: tuple[ModelEntry, ...], models: ModelStore, device: Device, shape_zyx: tuple[int, int, int]
) -> dict[str, Collector]:
    """Model -> what gathers its attention while it runs; models whose attention is not gathered are left
    out."""
    from ..stages.explain.sfan import SfanAttentionCollector
    from ..stages.explain.va import VolumetricAttentionCollector

    made: dict[str, Collector] = {}
    for member in members:
        if member.network == "sfan":
            made[member.name] = SfanAttentionCollector(shape_zyx, member.input.magnify)
        elif member.network == "va_mask_rcnn":
            network = models.network(member.name, device.name, device.precision)
            made[member.name] = VolumetricAttentionCollector(network, shape_zyx, member.input.magnify)
    return made


def detector_entry(models: ModelStore, name: str | None) -> ModelEntry | None:
    """The detector to run: the named one, the manifest's first for ""; None for "none" or None, or where
    there is none.

    Raises:
        ModelError: there is none of that name.
    """
    if name in (None, NO_DETECTOR) or (not name and not models.manifest.of_task("detect")):
        return None
    return models.manifest.choose("detect", name)


def segment_settings(entry: ModelEntry, settings: Settings) -> SegmentSettings:
    """The model's calibrated operating point, with what the user set in its place."""
    calibration = entry.calibration
    tumour = settings.tumour_threshold
    score = settings.score_threshold
    return SegmentSettings(
        liver_threshold=float(calibration.get("liver_threshold", 0.5)),
        tumour_threshold=float(calibration.get("tumour_threshold", 0.5)) if tumour is None else tumour,
        score_threshold=float(calibration.get("score_threshold", 0.7)) if score is None else score,
        smallest_mm=settings.smallest_mm,
    )


def distance_to_coarse(where: LiverLocation, working: Geometry) -> NDArray[np.float32]:
    """Distance of every voxel of the working grid to the coarse liver, mm; 0 inside, cut off at 60."""
    distance = ndimage.distance_transform_edt(~where.mask_zyx, sampling=where.geometry.spacing_zyx_mm)
    return resample(np.minimum(distance, 4 * TUMOUR_REACH_MM).astype(np.float32), where.geometry, working)


def near_liver(
    liver_zyx: NDArray[np.bool_], spacing_zyx_mm: tuple[float, float, float], reach_mm: float = SHOWN_REACH_MM
) -> NDArray[np.bool_]:
    """Voxels within a box, of about `reach_mm` to every side, round a voxel of the liver."""
    sizes = [2 * int(np.ceil(reach_mm / spacing)) + 1 for spacing in spacing_zyx_mm]
    return ndimage.maximum_filter(liver_zyx, size=sizes)


def agreed_liver(
    liver: NDArray[np.uint8], tumour: NDArray[np.uint8], distance_mm: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """The probability of liver or tumour where both networks are heard, 0..255.

    Farther than `LIVER_REACH_MM` from the coarse liver only a tumour is believed: a network that was trained
    on scans cut off at the liver's dome takes heart muscle for liver, and the coarse one knows better. The
    coarse one often misses a large tumour at the capsule, though.
    """
    return np.where(distance_mm > LIVER_REACH_MM, np.minimum(liver, tumour), liver)


def on_ct_grid(
    masks: Masks,
    liver: NDArray[np.uint8],
    tumour: NDArray[np.uint8],
    working: Geometry,
    box: Geometry,
    choice: SegmentSettings,
) -> tuple[NDArray[np.bool_], NDArray[np.uint16]]:
    """Masks on the CT's voxels: probabilities are interpolated, then thresholded, so that outlines stay
    smooth.

    Returns:
        (liver_zyx bool, labels_zyx uint16) on `box`; every lesion of `masks` keeps at least one voxel.
    """
    # Interpolated outlines reach up to a voxel beyond the working grid's.
    grown_labels = np.where(
        masks.labels_zyx > 0, masks.labels_zyx, ndimage.grey_dilation(masks.labels_zyx, size=(3, 3, 3))
    )
    blocky = resample_labels(masks.labels_zyx, working, box)
    fine_tumour = resample(tumour, working, box)
    labels = np.where(
        fine_tumour >= choice.tumour_threshold * 255, resample_labels(grown_labels, working, box), 0
    ).astype(np.uint16)
    del fine_tumour
    present = np.bincount(labels.ravel(), minlength=max(masks.scores, default=0) + 1)
    for number in masks.scores:
        if not present[number]:
            labels[blocky == number] = number
    # Pieces that interpolation cuts off are no lesions of their own either.
    drop_islands(labels, choice.smallest_voxels(box.voxel_volume_mm3))
    near = resample_labels(ndimage.binary_dilation(masks.liver_zyx).astype(np.uint8), working, box) > 0
    fine_liver = (resample(liver, working, box) >= choice.liver_threshold * 255) & near
    fine_liver |= labels > 0
    for plane in fine_liver:
        ndimage.binary_fill_holes(plane, output=plane)
    return fine_liver, labels
