"""A case's findings as what DICOM objects are written from."""

from __future__ import annotations

from ...case.classes import LesionClass
from ...case.colours import GALLBLADDER as GALLBLADDER_COLOUR
from ...case.colours import LIVER as LIVER_COLOUR
from ...case.colours import lesion_colour
from ...case.findings import CaseResult, Lesion, LesionSource, LesionStatus
from ...case.judged import JudgedCourse, sizes_known
from ...case.lesion_masks import lesion_masks
from ...case.terminology import class_probability, left_open
from ...case.volume_interval import half_of_mm, volume_interval_ml
from ...case.wording import look_here, notes
from ...support.text import chance
from ...volume.crops import Mask
from ...volume.dicom import DicomSource
from .anatomy import NOTES, place_numbers, place_texts, resection_statement, sites
from .content import Code, DicomContent, Region, Statement
from .follow_up import statements, with_changes
from .images import checked_source
from .uids import uid_of

LIVER: Code = ("10200004", "SCT", "Liver")
GALLBLADDER: Code = ("28231008", "SCT", "Gallbladder")
ANATOMY: Code = ("123037004", "SCT", "Anatomical Structure")
LESION: Code = ("52988006", "SCT", "Lesion")
ALTERED: Code = ("49755003", "SCT", "Morphologically Altered Structure")
SCHEME = "99LIVERLESIONAI"
SCORE: Code = ("score", SCHEME, "Score of the networks, not calibrated")
PROBABILITY: Code = ("probability", SCHEME, "Probability of being a lesion")
BURDEN: Code = ("burden", SCHEME, "Tumour burden, share of the liver")
SURFACE: Code = ("surface", SCHEME, "Distance to the liver's surface")
SHARE: Code = ("share", SCHEME, "Share of the liver's volume")
LONG_AXIS: Code = ("103339001", "SCT", "Long axis")
MEAN_HU: Code = ("112181", "DCM", "Attenuation Coefficient Mean")
VOLUME: Code = ("118565006", "SCT", "Volume")
CLASS: Code = ("class", SCHEME, "Class")
CLASS_PROBABILITY: Code = ("class-probability", SCHEME, "Probability of the class, by the model")
MAY_BE: Code = ("may-be", SCHEME, "What it may be, with probabilities by the model")
REASONS: Code = ("class-reasons", SCHEME, "Figures behind the class")
DECISION: Code = ("decision", SCHEME, "Reader's decision")
NOTE: Code = ("note", SCHEME, "Reader's note")
RANGES = (
    "The ranges of uncertainty of long axes and volumes are meant to hold nine true values in ten; on 29 "
    "lesions of 5 patients they held 26 and 29. Where the reader drew the outline, it is by how much a "
    "second measurement differs."
)


def content_of(
    result: CaseResult,
    source: DicomSource,
    *,
    with_rejected: bool = False,
    verified_by: str = "",
    organisation: str = "",
    judged: JudgedCourse | None = None,
) -> DicomContent:
    """Liver first, then the lesions in order of number.

    Args:
        with_rejected: also what the reader rejected or took out of the liver.
        judged: the case beside earlier ones; left out where it is of other findings.

    Raises:
        InputError: the source lacks what every object needs.
    """
    source = checked_source(source)
    listed = [x for x in result.lesions if with_rejected or x.status.counts]
    masks = lesion_masks(result)
    undecided = sum(x.status is LesionStatus.UNDECIDED and not x.edited for x in result.lesions)
    remarks = [*notes(result)]
    if not listed:
        remarks.insert(0, _no_lesion(result))
    if result.doubtful:
        remarks.append(look_here(result))
    if judged is not None and not judged.belongs_to(result):
        judged = None
    known = sizes_known(result, judged)
    if known:
        remarks.append(RANGES)
    lesions = {
        x.number: _lesion(x, masks[x.number], source, known.get(x.number))
        for x in listed
        if x.number in masks
    }
    if judged is not None:
        lesions = {number: with_changes(region, number, judged) for number, region in lesions.items()}
    return DicomContent(
        source=source,
        geometry=result.geometry,
        regions=(
            _liver(result, source),
            *_gallbladder(result, source),
            *lesions.values(),
        ),
        remarks=tuple(remarks),
        version=result.version,
        parameters=tuple(f"{name}={digest}" for name, digest in result.models.items()),
        undecided=undecided,
        lesions=len(result.lesions),
        verified_by=verified_by,
        organisation=organisation,
        statements=_statements(result, source, judged),
    )


def _statements(
    result: CaseResult, source: DicomSource, judged: JudgedCourse | None
) -> tuple[Statement, ...]:
    frame_uid = source.frame_of_reference_uid
    said = () if judged is None else statements(judged, frame_uid, LIVER)
    if result.resection is None:
        return said
    return (*said, resection_statement(result.resection, frame_uid, LIVER))


def _no_lesion(result: CaseResult) -> str:
    tumour = result.probabilities.get("tumour")
    level = f" above the stated threshold of {tumour.threshold:.2f}" if tumour is not None else ""
    return f"No lesion{level} was found."


def _liver(result: CaseResult, source: DicomSource) -> Region:
    return Region(
        label="Liver",
        mask=Mask.of(result.liver_zyx),
        category=ANATOMY,
        kind=LIVER,
        site=(),
        tracking_uid=uid_of("liver", source.frame_of_reference_uid),
        colour=LIVER_COLOUR,
        numbers={
            VOLUME: (result.liver_volume_ml, "mL"),
            MEAN_HU: (result.liver_hu_mean, "[hnsf'U]"),
            BURDEN: (result.tumour_burden_percent, "%"),
        },
        texts=_notes(result),
    )


def _notes(result: CaseResult) -> dict[Code, str]:
    """What to know of segments and vessels, what is left blank and why."""
    said = () if result.anatomy is None else result.anatomy.messages
    return {NOTES: " ".join(said)} if said else {}


def _gallbladder(result: CaseResult, source: DicomSource) -> tuple[Region, ...]:
    """The gallbladder's region, where one is seen."""
    if result.gallbladder_zyx is None or not result.gallbladder_zyx.any():
        return ()
    region = Region(
        label="Gallbladder",
        mask=Mask.of(result.gallbladder_zyx),
        category=ANATOMY,
        kind=GALLBLADDER,
        site=(),
        tracking_uid=uid_of("gallbladder", source.frame_of_reference_uid),
        colour=GALLBLADDER_COLOUR,
        numbers={VOLUME: (result.gallbladder_ml, "mL")},
    )
    return (region,)


def _lesion(lesion: Lesion, mask: Mask, source: DicomSource, interval: tuple[float, float] | None) -> Region:
    """A lesion's region; `interval` is that of its long axis, mm, where it is known."""
    measured = lesion.measurement
    ranges = {}
    if measured is not None and interval is not None and interval[0] == interval[0]:
        half_mm = half_of_mm(*interval, measured.long_axis_mm)
        ranges = {LONG_AXIS: interval, VOLUME: volume_interval_ml(measured.volume_ml, half_mm)}
    numbers = {SCORE: (lesion.score, "1")}
    if lesion.probability is not None:
        numbers[PROBABILITY] = (lesion.probability, "1")
    by_model = None if lesion.reader_class else class_probability(lesion)
    if by_model is not None:
        numbers[CLASS_PROBABILITY] = (by_model, "1")
    if measured is not None:
        numbers |= {
            SURFACE: (measured.surface_distance_mm, "mm"),
            SHARE: (measured.percent_of_liver, "%"),
        }
    numbers |= place_numbers(lesion.anatomy)
    texts = {DECISION: lesion.status.value, **place_texts(lesion.anatomy)}
    if lesion.shown_class:
        by = " (reader)" if lesion.reader_class else ""
        texts[CLASS] = f"{lesion.shown_class}{by}"
    if may_be := left_open(lesion):
        texts[MAY_BE] = ", ".join(f"{name} {chance(p)}" for name, p in may_be)
    if lesion.class_reasons and not lesion.reader_class:
        texts[REASONS] = lesion.class_reasons
    if lesion.note:
        texts[NOTE] = lesion.note
    known = LesionClass.of(lesion.shown_class)
    modifier = known.modifier if known is not None else None
    return Region(
        label=f"Lesion {lesion.number}",
        mask=mask,
        category=ALTERED,
        kind=LESION if known is None else (known.kind.value, known.kind.scheme, known.kind.meaning),
        modifier=None if modifier is None else (modifier.value, modifier.scheme, modifier.meaning),
        site=(LIVER, *sites(lesion.anatomy)),
        tracking_uid=lesion.tracking_uid or uid_of("lesion", source.series_instance_uid, lesion.number),
        drawn_by_reader=lesion.source is LesionSource.READER or lesion.edited,
        colour=lesion_colour(lesion.number),
        measurement=measured,
        numbers=numbers,
        texts=texts,
        ranges=ranges,
    )
