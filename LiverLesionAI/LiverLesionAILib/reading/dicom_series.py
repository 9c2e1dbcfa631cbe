"""DICOM images sorted into scans, each judged by its headers, and the one to analyse chosen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pydicom.uid

from ..support.text import printable
from ..volume.checking import FEWEST_SLICES
from .dicom_acquisitions import split_acquisitions
from .dicom_frames import Frame
from .dicom_headers import Scan
from .dicom_pixels import unreadable_syntax
from .dicom_places import distances_mm, slice_positions
from .dicom_sorting import alike, is_scout, same_kind, series_of
from .dicom_values import known
from .slices import slice_step_mm
from .spectral import material_map

CT_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "enhanced CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "legacy converted enhanced CT",
}
# More scans than this of the same slices are a time series (perfusion, gating), not contrast phases.
MOST_PHASES = 4
ABDOMEN_MM, ABDOMEN_FIELD_MM = 100.0, 150.0

_ABDOMEN = re.compile(
    r"abd|liver|leber|hepat|foie|higado|fegato|bauch|pelvi|becken|whole.?body|\bcap\b|\btap\b|torso|portal|panc|urogr"
)
_CHEST = re.compile(r"chest|thora|lung|pulmon|heart|cardia|coronar|breast")
_ELSEWHERE = re.compile(
    r"head|brain|skull|kopf|schaedel|neck|hals|sinus|orbit|temporal|cspine|c-spine|knee|foot|ankle|hand\b|wrist|elbow"
    r"|shoulder|extremit"
)
_SHARP_WORDS = re.compile(r"lung|pulmo|bone|knochen|sharp")
_SHARP_KERNELS = re.compile(r"lung|bone|edge|^[bhui][rlvf]?[6-9]\d|^y[bce]|^fc[358]\d")
_HU_TYPES = ("", "HU", "US", "UNSPECIFIED", "HU_MOD")
_PROJECTIONS = {
    "MIP",
    "MINIP",
    "MAXIP",
    "MIN_IP",
    "MAX_IP",
    "MAXIMUM",
    "MINIMUM",
    "PROJECTION IMAGE",
    "VRT",
    "RENDERED",
}


@dataclass(frozen=True)
class SeriesInfo:
    """What the headers say about one scan of a series.

    Attributes:
        key: names it uniquely in its folder where numbers do: "4", or "4.2" for the second scan in series 4.
        number: DICOM series number, None where absent.
        uid: series instance UID.
        slices: number of slice positions.
        extent_mm: along the stack, outer faces; field_mm: rows and columns, mm.
        spacing_mm: typical slice distance.
        axial: slices across the body (within 45 degrees).
        covers_abdomen: long and wide enough for an abdomen, and not said to be another part of the body.
        refused: why it cannot be analysed; "" where it can.
        doubt: why it is only taken when there is nothing better, or asked for; "" where there is no doubt.
        detail: what tells it from the other scans of its series, "" for the only one.
    """

    key: str
    number: int | None
    uid: str
    description: str
    modality: str
    slices: int
    extent_mm: float
    field_mm: tuple[float, float]
    spacing_mm: float
    axial: bool
    covers_abdomen: bool
    refused: str = ""
    doubt: str = ""
    detail: str = ""

    @property
    def label(self) -> str:
        """How messages name it."""
        described = f" '{self.description}'" if self.description else ""
        return (
            f"series {self.key}{described}"
            if self.number is not None
            else f"the series{described} without number"
        )

    def __str__(self) -> str:
        size = f", {self.slices} slices, {self.extent_mm:.0f} mm" if self.slices > 1 else ""
        size += f", {self.detail}" if self.detail else ""
        state = f": not usable, {self.refused}" if self.refused else f": {self.doubt}" if self.doubt else ""
        return f"{self.label} ({self.modality or 'no modality'}{size}){state}"


@dataclass(frozen=True, eq=False)
class Stack:
    """The images of one scan, ordered along it, with what is known about them.

    Attributes:
        info: the judgement.
        frames: one or more per slice position, sorted by position along the normal, then instance number.
        sharp: reconstructed for lung or bone.
        remarks: what the reader has to know about how it was put together, in sentences.
        numbers: instance numbers of all images of the series.
    """

    info: SeriesInfo
    frames: tuple[Frame, ...]
    sharp: bool = False
    remarks: tuple[str, ...] = ()
    numbers: frozenset[int] = frozenset()


def stacks_of(scan: Scan) -> list[Stack]:
    """Sort the images of a folder into scans, best first; those that cannot be analysed last."""
    stacks: list[Stack] = []
    used: set[str] = set()
    for frames, remarks in series_of(scan.frames):
        number, uid = frames[0].number, frames[0].series_uid
        base = str(number) if number is not None else uid[-8:]
        if base in used:  # two series of one number: told apart by the end of their UID
            base = f"{base}-{uid[-6:]}"
        used.add(base)
        stacks += _stacks(frames, base, remarks)
    stacks.sort(key=_rank, reverse=True)
    return stacks


def _stacks(frames: list[Frame], base: str, remarks: tuple[str, ...]) -> list[Stack]:
    """The scans of one series, keyed "4.1", "4.2" where there are several."""
    parts = [part for group in alike(frames) for part in split_acquisitions(group)]
    parts.sort(key=lambda part: (-len(part[0]), part[0][0].instance))
    refusals = [_refusal(part) for part, _ in parts]
    scans = [k for k, refusal in enumerate(refusals) if not refusal]
    order = {k: n for n, k in enumerate(sorted(scans, key=lambda k: _first(parts[k][0])), start=1)}
    numbers = frozenset(f.instance for f in frames)
    left_out = _left_out([part for part, _ in parts], refusals)
    stacks = []
    for k, (part, words) in enumerate(parts):
        key = base
        if len(scans) > 1 and k in order:
            key = f"{base}.{order[k]}"
        elif scans and k not in order:
            key = f"{base} (scout)" if is_scout(part[0]) else f"{base} (rest)"
        more = (*remarks, *left_out) if k in order else ()
        stacks.append(_judged(part, key, refusals[k], words, more, numbers))
    return stacks


def _first(frames: Sequence[Frame]) -> tuple[float, int]:
    """When a scan was made, as far as its headers say: acquisition time, then the first image's number."""
    times = known(f.moments[0] for f in frames)
    return (min(times) if times else 0.0, min(f.instance for f in frames))


def _left_out(parts: list[list[Frame]], refusals: list[str]) -> tuple[str, ...]:
    """Images of a series that are in none of its scans, though they look as if they should."""
    largest = max((p for p, r in zip(parts, refusals, strict=True) if not r), key=len, default=None)
    sentences = []
    for part, refusal in zip(parts, refusals, strict=True):
        first = part[0]
        if not refusal or largest is None or first.sop_class not in CT_CLASSES or is_scout(first):
            continue
        if not first.usable:
            why = "they do not say where in the patient they lie"
        elif len(part) > MOST_PHASES and len(slice_positions(part)) == 1:
            continue  # a time series of one slice, as for the arrival of the contrast medium
        elif not same_kind(largest[0], first):
            why = "their size, pixel size or orientation is another"
        else:
            why = "they belong to another scan"
        count = f"{len(part)} image{'s' if len(part) > 1 else ''}"
        sentences.append(f"{count} of the series ({printable(first.path.name)}) left out: {why}.")
    return tuple(sentences)


def _refusal(frames: list[Frame]) -> str:
    """Why these images can never be analysed, or ""."""
    first = frames[0]
    if first.modality != "CT" and first.sop_class not in CT_CLASSES:
        kind = pydicom.uid.UID(first.sop_class).name if first.sop_class else ""
        kind = "" if kind == first.sop_class else kind.replace(" Storage", "")
        said = " ".join(filter(None, (first.modality, kind and f"({kind})")))
        return f"it is {said or 'of no stated kind'}, not CT"
    if first.sop_class and first.sop_class not in CT_CLASSES:
        if first.shape_yx[0] == 0:
            return "it holds no images (a report or a dose record)"
        return "it is a secondary capture, a picture without Hounsfield units"
    if is_scout(first):
        return "it is a localizer (scout)"
    if _PROJECTIONS.intersection(first.image_type) or re.search(
        r"\bm(ax|in)?ip\b", first.description.lower()
    ):
        return "it is a projection (MIP), not slices"
    if first.format.samples != 1 or first.format.photometric not in ("", "MONOCHROME1", "MONOCHROME2"):
        return f"its images are in colour ({first.format.photometric})"
    if material := material_map(first.description, first.image_type):
        return material
    others = [f.rescale_type for f in frames if f.rescale_type not in _HU_TYPES]
    if others:
        some = "" if len(others) == len(frames) else f" in {len(others)} of {len(frames)} images"
        return f"its values are {others[0]}{some}, not Hounsfield units"
    if syntax := unreadable_syntax(first.format.syntax):
        return f"its images are compressed as {syntax}, which cannot be read here; export them uncompressed"
    if not first.usable or first.shape_yx[0] == 0:
        return "its images do not say where in the patient they lie"
    places = len(slice_positions(frames))
    if places == 1 and len(frames) > MOST_PHASES:
        return f"it is a time series: {len(frames)} images of one slice"
    if places < FEWEST_SLICES:
        return f"it has {places} slice{'s' if places > 1 else ''}; at least {FEWEST_SLICES} are needed"
    return ""


def _judged(
    frames: list[Frame],
    key: str,
    refused: str,
    detail: str,
    remarks: tuple[str, ...],
    numbers: frozenset[int],
) -> Stack:
    first = frames[0]
    slices, extent, spacing, axial = len(frames), 0.0, 0.0, False
    field = (0.0, 0.0)
    if first.usable and first.shape_yx[0]:
        places = slice_positions(frames)
        distances = np.sort(distances_mm(frames))[np.cumsum([0] + [len(p) for p in places])[:-1]]
        slices = len(places)
        spacing = slice_step_mm(distances) if slices > 1 else 0.0
        extent = float(distances[-1] - distances[0]) + spacing
        row, column = np.reshape(first.orientation, (2, 3))  # type: ignore[arg-type]
        axial = bool(abs(np.cross(row, column)[2]) >= 0.7)
        field = tuple(n * s for n, s in zip(first.shape_yx, first.spacing_yx_mm, strict=True))  # type: ignore[arg-type, assignment]
    elsewhere = _ELSEWHERE.search(first.body) or _CHEST.search(first.body)
    along = extent if axial else field[0]
    other_part = bool(elsewhere and not _ABDOMEN.search(first.body))
    covers = not refused and not other_part and along >= ABDOMEN_MM and min(field) >= ABDOMEN_FIELD_MM
    doubts = []
    if "SECONDARY" in first.image_type[:2] or "DERIVED" in first.image_type[:1]:
        doubts.append("it was computed from another series (derived or secondary)")
    if not axial:
        doubts.append("its slices are not axial")
    if other_part and elsewhere:
        doubts.append(f"its description speaks of another part of the body ('{elsewhere.group()}')")
    elif not covers:
        doubts.append(
            f"{along:.0f} mm are short for an abdomen"
            if along < ABDOMEN_MM
            else "its field of view is narrow"
        )
    info = SeriesInfo(
        key, first.number, first.series_uid, first.description, first.modality, slices, extent, field,
        spacing, axial, covers, refused, "" if refused else " and ".join(doubts), detail,
    )  # fmt: skip
    return Stack(info, tuple(frames), _is_sharp(first), remarks, numbers)


def _is_sharp(frame: Frame) -> bool:
    return bool(_SHARP_KERNELS.search(frame.kernel) or _SHARP_WORDS.search(frame.description.lower()))


def _rank(stack: Stack) -> tuple:
    """Larger is better: usable, an abdomen, undoubted, long, soft kernel, many slices, scanned late."""
    info = stack.info
    return (
        info.refused == "",
        info.covers_abdomen,
        info.doubt == "",
        round(info.extent_mm / 30),
        not stack.sharp,
        info.slices,
        _first(stack.frames),
    )
