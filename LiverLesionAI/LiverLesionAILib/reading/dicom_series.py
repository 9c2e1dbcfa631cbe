"""DICOM images sorted into scans, each judged by its headers, and the one to analyse chosen."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import pydicom.uid

from ..support.errors import InputError
from ..volume.checking import FEWEST_SLICES
from .dicom_headers import PASS_TAGS, Frame, Scan
from .dicom_pixels import unreadable_syntax
from .slices import slice_step_mm

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
_SCOUTS = {"LOCALIZER", "SCOUT", "SCANOGRAM", "TOPOGRAM", "SURVIEW"}


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
        state = f": not usable, {self.refused}" if self.refused else f": {self.doubt}" if self.doubt else ""
        return f"{self.label} ({self.modality or 'no modality'}{size}){state}"


@dataclass(frozen=True, eq=False)
class Stack:
    """The images of one scan, ordered along it, with what is known about them.

    Attributes:
        info: the judgement.
        frames: one or more per slice position, sorted by position along the normal, then instance number.
        sharp: reconstructed for lung or bone.
    """

    info: SeriesInfo
    frames: tuple[Frame, ...]
    sharp: bool = False


def stacks_of(scan: Scan) -> list[Stack]:
    """Sort the images of a folder into scans, best first; those that cannot be analysed last."""
    series: dict[str, list[Frame]] = defaultdict(list)
    for frame in scan.frames:
        series[frame.series_uid].append(frame)
    stacks = []
    used: set[str] = set()
    for uid, frames in series.items():
        parts = [part for group in _alike(frames) for part in _passes(group)]
        parts.sort(key=lambda part: (-len(part), part[0].instance))
        number = frames[0].number
        base = str(number) if number is not None else uid[-8:]
        if base in used:  # two series of one number: told apart by the end of their UID
            base = f"{base}-{uid[-6:]}"
        used.add(base)
        scans = [p for p in parts if _refusal(p) == ""]
        order = {id(p): k + 1 for k, p in enumerate(sorted(scans, key=lambda p: p[0].instance))}
        for part in parts:
            key = base
            if len(scans) > 1 or not scans:
                key = f"{base}.{order[id(part)]}" if id(part) in order else base
            elif id(part) not in order:
                key = f"{base} (scout)" if _is_scout(part[0]) else f"{base} (rest)"
            stacks.append(_judged(part, key))
    stacks.sort(key=_rank, reverse=True)
    return stacks


def _alike(frames: list[Frame]) -> list[list[Frame]]:
    """Groups of images that can lie in one volume: same size, spacing, orientation and kind."""
    groups: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda f: (f.instance, str(f.path), f.index)):
        for group in groups:
            if _same_kind(group[0], frame):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return groups


def _same_kind(a: Frame, b: Frame) -> bool:
    if (a.shape_yx, a.samples, a.sop_class, a.usable) != (b.shape_yx, b.samples, b.sop_class, b.usable):
        return False
    if _is_scout(a) != _is_scout(b):
        return False
    if not a.usable:
        return True
    return bool(
        np.allclose(a.orientation, b.orientation, atol=2e-3)  # type: ignore[arg-type]
        and np.allclose(a.spacing_yx_mm, b.spacing_yx_mm, rtol=2e-3)  # type: ignore[arg-type]
    )


def _is_scout(frame: Frame) -> bool:
    return bool(_SCOUTS.intersection(frame.image_type))


def _distances(frames: list[Frame]) -> np.ndarray:
    row, column = np.reshape(frames[0].orientation, (2, 3))  # type: ignore[arg-type]
    normal = np.cross(row, column)
    return np.array([f.position_lps for f in frames]) @ (normal / np.linalg.norm(normal))


def slice_positions(frames: list[Frame] | tuple[Frame, ...]) -> list[list[int]]:
    """Indices of the frames at each slice position along the normal; within 0.01 mm is the same position."""
    distances = _distances(list(frames))
    places: list[list[int]] = []
    for k in np.argsort(distances, kind="stable"):
        if places and distances[k] - distances[places[-1][0]] < 0.01:
            places[-1].append(int(k))
        else:
            places.append([int(k)])
    return places


def _sorted(frames: list[Frame]) -> list[Frame]:
    return [frames[k] for place in slice_positions(frames) for k in place]


def _passes(frames: list[Frame]) -> list[list[Frame]]:
    """Split what was scanned several times over the same slices (contrast phases, time points)."""
    if not frames[0].usable or frames[0].shape_yx[0] == 0:
        return [frames]
    places = slice_positions(frames)
    if sum(len(p) > 1 for p in places) < max(2, 0.3 * len(places)):
        return [_sorted(frames)]
    for k in range(len(PASS_TAGS)):
        groups: dict[str, list[Frame]] = defaultdict(list)
        for frame in frames:
            groups[frame.passes[k]].append(frame)
        if len(groups) < 2:
            continue
        repeats = sum(len(g) - len(slice_positions(g)) for g in groups.values())
        # A value per image (a time) splits into crumbs, not into scans.
        if repeats <= 0.05 * len(frames) and len(groups) <= 0.25 * len(frames):
            return [_sorted(group) for group in groups.values()]
    # Nothing in the headers: the k-th image at each place, in the order of instances.
    parts: dict[int, list[Frame]] = defaultdict(list)
    for place in places:
        for k, index in enumerate(sorted(place)):
            parts[k].append(frames[index])
    return [_sorted(part) for part in parts.values()]


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
    if _is_scout(first):
        return "it is a localizer (scout)"
    if _PROJECTIONS.intersection(first.image_type) or re.search(
        r"\bm(ax|in)?ip\b", first.description.lower()
    ):
        return "it is a projection (MIP), not slices"
    if first.samples != 1:
        return "its images are in colour"
    if first.rescale_type not in ("", "HU", "US", "UNSPECIFIED", "HU_MOD"):
        return f"its values are {first.rescale_type}, not Hounsfield units"
    if syntax := unreadable_syntax(first.syntax):
        return f"its images are compressed as {syntax}, which cannot be read here; export them uncompressed"
    if not first.usable or first.shape_yx[0] == 0:
        return "its images do not say where in the patient they lie"
    places = len(slice_positions(frames))
    if places == 1 and len(frames) > MOST_PHASES:
        return f"it is a time series: {len(frames)} images of one slice"
    if places < FEWEST_SLICES:
        return f"it has {places} slice{'s' if places > 1 else ''}; at least {FEWEST_SLICES} are needed"
    return ""


def _judged(frames: list[Frame], key: str) -> Stack:
    first = frames[0]
    refused = _refusal(frames)
    slices, extent, spacing, axial = len(frames), 0.0, 0.0, False
    field = (0.0, 0.0)
    if first.usable and first.shape_yx[0]:
        places = slice_positions(frames)
        distances = np.sort(_distances(frames))[np.cumsum([0] + [len(p) for p in places])[:-1]]
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
        spacing, axial, covers, refused, "" if refused else " and ".join(doubts),
    )  # fmt: skip
    return Stack(info, tuple(frames), _is_sharp(first))


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
        stack.frames[0].instance,
    )


def describe_all(stacks: list[Stack], chosen: Stack) -> str:
    """One sentence on what else is there and how to take it."""
    others = [str(s.info) for s in stacks if s is not chosen]
    text = "; ".join(others[:8]) + (f"; and {len(others) - 8} more" if len(others) > 8 else "")
    return f"Not taken: {text}. Another can be chosen by its number, UID or description."


def choose(stacks: list[Stack], wanted: str | None, source: str) -> Stack:
    """The scan to analyse: the best of `stacks` (as sorted by :func:`stacks_of`), or the one `wanted`.

    Args:
        wanted: number or key, UID, or part of the description (any case).
        source: path named in messages.

    Raises:
        InputError: nothing that can be analysed, nothing or several series that fit `wanted`.
    """
    pool = stacks
    if wanted is not None:
        pool = _matching(stacks, wanted.strip())
        listing = "; ".join(str(s.info) for s in stacks[:12])
        if not pool:
            raise InputError(f"{source}: no series fits '{wanted}'. There are: {listing}.")
        if len({s.info.uid for s in pool}) > 1 and len({s.info.uid for s in pool if not s.info.refused}) != 1:
            fits = ", ".join(s.info.label for s in pool)
            raise InputError(
                f"{source}: several series fit '{wanted}': {fits}. Give the number or the whole UID."
            )
    usable = [s for s in pool if not s.info.refused]
    if not usable:
        if len(pool) == 1:
            raise InputError(
                f"{source}: {pool[0].info.label} cannot be analysed: {pool[0].info.refused}. Give an "
                "abdominal CT series."
            )
        reasons = "; ".join(f"{s.info.label}: {s.info.refused}" for s in pool[:12])
        raise InputError(
            f"{source}: no CT that can be analysed. {reasons}. Give a folder with an abdominal CT series."
        )
    best = usable[0]
    same = [s for s in usable if s.info.uid == best.info.uid]
    if len(same) > MOST_PHASES and (wanted is None or "." not in wanted):
        raise InputError(
            f"{source}: series {best.info.key.split('.')[0]} is a time series ({len(same)} scans of the same "
            f"slices). Give one of them, by its key {same[0].info.key} to {same[-1].info.key}, or a series "
            "with one contrast phase."
        )
    return best


def _matching(stacks: list[Stack], wanted: str) -> list[Stack]:
    """The scans that fit by key, else by number, UID, whole description, or part of it."""
    low = wanted.lower()
    for fits in (
        lambda i: i.key == wanted,
        lambda i: i.number is not None and str(i.number) == wanted.lstrip("#"),
        lambda i: i.uid == wanted,
        lambda i: i.description.lower() == low,
        lambda i: bool(low) and low in i.description.lower(),
    ):
        if found := [s for s in stacks if fits(s.info)]:
            return found
    return []
