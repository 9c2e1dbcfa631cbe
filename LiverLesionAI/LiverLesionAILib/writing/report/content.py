"""What the report says, as finished texts in one language: HTML, PDF and plain text only lay it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...case.classes import LesionClass, Phase
from ...case.enhancement import CURVES
from ...case.findings import CaseResult, Lesion, LesionSource, LesionStatus
from ...case.interval import READER_MM, by_reader
from ...case.judged import JudgedCourse, sizes_known
from ...case.messages import leads
from ...case.terminology import by_probability, class_probability, left_open, lesion_probability
from ...case.volume_interval import half_of_mm, volume_digits, volume_interval_ml
from ...case.wording import axial_slice, notes, slice_number
from ...pictures.canvas import png_bytes
from ...pictures.enhancement_plot import enhancement_plot
from ...volume.dicom import DicomSource
from ...volume.geometry import reoriented_geometry
from .anatomy import AnatomyPart, anatomy_part
from .fat import fat_of, phase_key
from .follow_up import FollowUpPart, follow_up_part
from .sentences import reasons, sentence
from .strings import Language
from .table import KeyImage

OUTDATED = (
    "The follow-up of this case was made before its findings changed, and is left out. Compare the scans "
    "again."
)
MOST_CURVES = 8
"""Plots over the phases: the largest lesions'."""


@dataclass(frozen=True)
class Options:
    """What the reader chooses for a report.

    Attributes:
        language: code of :data:`.strings.LANGUAGES`.
        with_patient: name, ID and birth date of the patient; else an empty field for the hospital's label.
        with_rejected: list findings that the reader rejected.
    """

    language: str = "en"
    with_patient: bool = False
    with_rejected: bool = False


@dataclass(frozen=True)
class Row:
    """A line of the findings table; texts are empty where nothing is known.

    Attributes:
        axes_interval, volume_interval: of the long axis and the volume, in small type.
    """

    number: int
    cls: str
    reasons: str
    axes: str
    volume: str
    density: str
    slice: str
    score: str
    decision: str
    note: str
    axes_interval: str = ""
    volume_interval: str = ""


@dataclass(frozen=True)
class Content:
    """The whole report.

    Attributes:
        draft: the banner's text, "" once all findings are reviewed, or a case without any is signed.
        patient: (label, value) pairs; () for an empty label field.
        technique, liver: (label, value) pairs.
        headings: of the findings table, in the order of :class:`Row`'s fields from `number` to `decision`.
        small_print: (label, value) pairs of models, rules and version.
        follow_up: what is said of earlier scans; None without any.
        anatomy: what is said of segments, vessels and a planned resection; None without any.
        warnings: all of them; leading: those of them that stand before the findings.
        calibrated: whether the rows' scores are probabilities.
    """

    words: Language
    case_name: str
    study_date: str
    draft: str
    patient: tuple[tuple[str, str], ...]
    technique: tuple[tuple[str, str], ...]
    liver: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]
    summary: str
    changes: tuple[str, ...]
    warnings: tuple[str, ...]
    small_print: tuple[tuple[str, str], ...]
    key_images: tuple[KeyImage, ...] = ()
    overview: KeyImage | None = None
    follow_up: FollowUpPart | None = None
    anatomy: AnatomyPart | None = None
    calibrated: bool = True
    leading: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """Warnings that stand at the end."""
        return tuple(said for said in self.warnings if said not in self.leading)

    @property
    def headings(self) -> tuple[str, ...]:
        keys = ("number", "class", "axes", "volume_ml", "density_hu", "slice")
        return (*(self.words(key) for key in keys), self.sureness, self.words("decision"))

    @property
    def sureness(self) -> str:
        """What the column of sureness is called: a probability only where one was calibrated."""
        return self.words("probability" if self.calibrated else "score")


def report_content(
    result: CaseResult,
    source: DicomSource | None,
    options: Options,
    key_images: Mapping[int, bytes] = {},
    overview: bytes | None = None,
    judged: JudgedCourse | None = None,
    anatomy_3d: bytes | None = None,
    *,
    signed: bool = False,
) -> Content:
    """Put a case into words.

    Args:
        key_images: JPEG or PNG by lesion number.
        overview: one of the whole case.
        anatomy_3d: picture of segments and vessels, or of the planned resection.
        judged: its comparison with earlier scans; one of other findings is left out, and that is said.
        signed: whether somebody signs it: only so a case without any lesion is no draft.
    """
    words = Language(options.language)
    listed = by_probability(x for x in result.lesions if options.with_rejected or x.status.counts)
    left_out = len(result.lesions) - len(listed)
    warnings = [sentence(said, words) for said in notes(result)]
    if left_out:
        warnings.append(words("rejected_count", n=left_out))
    if result.doubtful:
        warnings.append(words("look_here", places=_places(result, words)))
    if judged is not None and not judged.belongs_to(result):
        warnings.append(sentence(OUTDATED, words))
        judged = None
    known = sizes_known(result, judged)
    rows = tuple(_row(x, result, words, known.get(x.number)) for x in listed)
    return Content(
        words=words,
        case_name=result.case_name,
        study_date=_study_date(source, judged, words),
        draft=_draft(result, words, signed=signed),
        patient=_patient(source, words) if options.with_patient else (),
        technique=_technique(result, source, words),
        liver=_liver(result, listed, words),
        rows=rows,
        summary=_summary(listed, words),
        changes=tuple(_changes(result.lesions, words)),
        warnings=tuple(warnings),
        small_print=_small_print(result, rows, words),
        key_images=tuple(
            KeyImage(_caption(row, words), key_images[row.number]) for row in rows if row.number in key_images
        )
        + _curves(listed, words),
        overview=None if overview is None else KeyImage(f"{words('overview')}, {words('coronal')}", overview),
        follow_up=None if judged is None else follow_up_part(judged, words),
        anatomy=anatomy_part(result, listed, words, anatomy_3d),
        calibrated=not listed or any(lesion.probability is not None for lesion in listed),
        leading=tuple(sentence(said, words) for said in notes(result) if leads(said)),
    )


def _caption(row: Row, words: Language) -> str:
    """What stands below a lesion's picture: "2: cyst, 15.7 x 10.0 mm, slice 50/118"."""
    said = (row.cls or words("curve.lesion"), row.axes and f"{row.axes} mm", words("slice_of", n=row.slice))
    return f"{row.number}: {', '.join(filter(None, said))}"


def _curves(listed: Sequence[Lesion], words: Language) -> tuple[KeyImage, ...]:
    """A plot of each lesion that was measured in two phases and more, the largest eight."""
    names = {phase.value: words(f"phase.{phase.value}") for phase in Phase}
    names |= {name: words(f"curve.{name}") for name in CURVES}
    drawn = []
    for lesion in listed:
        if lesion.enhancement is None or len(lesion.enhancement.levels) < 2 or len(drawn) == MOST_CURVES:
            continue
        picture = enhancement_plot(lesion.enhancement, words=names)
        if picture is not None:
            drawn.append(KeyImage(f"{lesion.number}: {words('curves')}", png_bytes(picture)))
    return tuple(drawn)


def _places(result: CaseResult, words: Language) -> str:
    """Slice, size and score of each place that is not listed, the likeliest first."""
    said = []
    for one in result.doubtful:
        place, count = axial_slice(one.centre_lps, result.geometry)
        size = f"{words.number(one.diameter_mm, 0)} mm, {words.number(one.score, 2)}"
        said.append(f"{place}/{count} ({size})")
    return "; ".join(said)


def decision_of(lesion: Lesion) -> str:
    """The reader's decision as a key of the report's words; a corrected outline is reviewed."""
    if lesion.status is LesionStatus.UNDECIDED and lesion.edited:
        return "edited"
    return lesion.status.value


def _draft(result: CaseResult, words: Language, *, signed: bool) -> str:
    """The banner: that nothing was found is a finding as well, which somebody has to confirm."""
    if not result.lesions:
        return "" if signed else words("draft_empty")
    undecided = sum(decision_of(x) == "undecided" for x in result.lesions)
    return words("draft", n=undecided, m=len(result.lesions)) if undecided else ""


def _differential(lesion: Lesion, words: Language) -> str:
    """What a lesion that is left open may be, most probable first: "HCC 0.58, metastasis 0.35; "; else ""."""
    listed = ", ".join(f"{class_text(name, words)} {words.chance(p)}" for name, p in left_open(lesion))
    return f"{listed}; " if listed else ""


def _row(lesion: Lesion, result: CaseResult, words: Language, interval: tuple[float, float] | None) -> Row:
    m = lesion.measurement
    axes = density = volume = axes_interval = volume_interval = ""
    if m is not None and interval is not None:
        ends = volume_interval_ml(m.volume_ml, half_of_mm(*interval, m.long_axis_mm))
        axes_interval = words.interval(*interval)
        volume_interval = words.interval(*ends, volume_digits(m.volume_ml))
    if m is not None:
        axes = f"{words.number(m.long_axis_mm, 1)} x {words.number(m.short_axis_mm, 1)}"
        volume = words.millilitres(m.volume_ml)
        density = f"{words.number(m.hu_mean, 0)} ± {words.number(m.hu_sd, 0)}"
    place, count = slice_number(lesion, result.geometry)
    drawn = lesion.source is LesionSource.READER
    return Row(
        number=lesion.number,
        cls=_class(lesion, words),
        reasons=""
        if lesion.reader_class
        else _differential(lesion, words) + reasons(lesion.class_reasons, words),
        axes=axes,
        volume=volume,
        density=density,
        slice=f"{place}/{count}",
        score=words("by_reader") if drawn else words.chance(lesion_probability(lesion)),
        decision=words(decision_of(lesion)),
        note=lesion.note,
        axes_interval=axes_interval,
        volume_interval=volume_interval,
    )


def _class(lesion: Lesion, words: Language) -> str:
    """The reader's class, said to be the reader's, or the model's with its probability; "" for none."""
    shown = class_text(lesion.shown_class, words)
    if lesion.reader_class is not None:
        return f"{shown} ({words('by_reader')})" if shown else ""
    probability = class_probability(lesion)
    return shown if probability is None else f"{shown} ({words.chance(probability)})"


def class_text(name: str | None, words: Language) -> str:
    """A class in the report's language; what the table lacks stays as the reader wrote it."""
    if not name:
        return ""
    known = LesionClass.of(name) if " " not in name else None
    key = None if known is None else known.code.lower()
    return words(f"class.{key}") if key else name


def _study_date(source: DicomSource | None, judged: JudgedCourse | None, words: Language) -> str:
    """As DICOM has it, else the day that the comparison with earlier scans took for this one."""
    if source is not None and source.study_date:
        return words.date(source.study_date)
    day = None if judged is None else judged.course.last.current.day
    return words("unknown") if day is None else words.date(f"{day:%Y%m%d}")


def _patient(source: DicomSource | None, words: Language) -> tuple[tuple[str, str], ...]:
    if source is None:
        return ()
    name = " ".join(filter(None, reversed(source.patient_name.split("=")[0].split("^")[:2])))
    born = words.date(source.patient_birth_date)
    return ((words("patient"), ", ".join(filter(None, (name, source.patient_id, born)))),)


def _technique(
    result: CaseResult, source: DicomSource | None, words: Language
) -> tuple[tuple[str, str], ...]:
    pairs = []
    axial = reoriented_geometry(result.geometry)
    said = words("slices", n=axial.shape_zyx[0], s=words.number(axial.spacing_zyx_mm[0], 1))
    if source is not None:
        kvp = "" if source.kvp is None else f"{source.kvp:.0f} kV"
        said = ", ".join(filter(None, (source.series_description, said, kvp, source.convolution_kernel)))
    pairs.append((words("series"), said))
    if result.phase is None:
        pairs.append((words("phase"), words("phase_unknown")))
    else:
        name = words(f"phase.{phase_key(result.phase.name)}")
        known = words(
            "phase_unsure" if result.phase.unsure else "phase_note", p=words.chance(result.phase.probability)
        )
        if result.phase.named:
            known = words("phase_named")
        pairs.append((words("phase"), f"{name} ({known})"))
    return tuple(pairs)


def _liver(result: CaseResult, listed: Sequence[Lesion], words: Language) -> tuple[tuple[str, str], ...]:
    total = sum(x.measurement.long_axis_mm for x in listed if x.measurement is not None)
    pairs = [
        (words("volume"), f"{words.number(result.liver_volume_ml, 0)} {words('unit.ml')}"),
        (words("density"), f"{words.number(result.liver_hu_mean, 0)} {words('unit.hu')}"),
        (words("fat"), fat_of(result, words)),
        (words("lesion_count"), str(len(listed))),
    ]
    if listed:
        pairs.append((words("sum_of_diameters"), f"{words.number(total, 1)} mm"))
        pairs.append((words("burden"), words.percent(result.tumour_burden_percent)))
    if result.gallbladder_ml > 0:
        # Where it is, rather than how large: its outline can take in duodenum beside it.
        pairs.append((words("gallbladder"), f"≈ {words.number(result.gallbladder_ml, 0)} {words('unit.ml')}"))
    return tuple(pairs)


def _summary(listed: Sequence[Lesion], words: Language) -> str:
    # The score that none has reached is told among the warnings, with what was left out.
    return "" if listed else words("no_lesion")


def _changes(lesions: Sequence[Lesion], words: Language) -> list[str]:
    said = []
    for lesion in lesions:
        parts = []
        if decision_of(lesion) != "undecided":
            parts.append(words(decision_of(lesion)))
        if lesion.reader_class:
            before = class_text(lesion.model_class, words) or words("none")
            parts.append(f"{before} > {class_text(lesion.reader_class, words)}")
        if lesion.source is LesionSource.READER:
            parts.append(words("by_reader"))
        if lesion.note:
            parts.append(f"\N{LEFT DOUBLE QUOTATION MARK}{lesion.note}\N{RIGHT DOUBLE QUOTATION MARK}")
        if parts:
            said.append(f"{lesion.number}: {', '.join(parts)}")
    return said


def _intervals_note(result: CaseResult, rows: Sequence[Row], words: Language) -> tuple[tuple[str, str], ...]:
    """What the intervals are, and which are not the network's; nothing where there are none."""
    told = {row.number for row in rows if row.axes_interval}
    drawn = [str(x.number) for x in result.lesions if x.number in told and by_reader(x)]
    said = [words("intervals_note")] if len(drawn) < len(told) else []
    if drawn:
        said.append(words("intervals_reader", numbers=", ".join(drawn), mm=words.number(READER_MM, 0)))
    return ((words("intervals"), "; ".join(said)),) if said else ()


def _small_print(result: CaseResult, rows: Sequence[Row], words: Language) -> tuple[tuple[str, str], ...]:
    models = ", ".join(f"{name} {digest}" for name, digest in result.models.items())
    return (
        *_intervals_note(result, rows, words),
        (words("made_by"), ", ".join(filter(None, (f"LiverLesionAI {result.version}", result.device)))),
        (words("models"), models),
    )
