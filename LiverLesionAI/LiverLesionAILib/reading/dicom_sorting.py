"""DICOM images sorted into series and kinds.

Copies are dropped, slices that each got a series identifier of their own are put together.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..support.text import printable
from ..volume.checking import FEWEST_SLICES
from .dicom_frames import Frame
from .dicom_places import distances_mm, most_frequent_gap, slice_positions

Series = tuple[list[Frame], tuple[str, ...]]
"""Images, and what to tell the reader about how they were put together."""

_SCOUTS = {"LOCALIZER", "SCOUT", "SCANOGRAM", "TOPOGRAM", "SURVIEW"}
# How much of a stack out of single slices must be evenly spaced.
EVEN_SHARE = 0.5


def series_of(frames: list[Frame]) -> list[Series]:
    """Images by patient and series, every image once."""
    series: dict[tuple[str, str], list[Frame]] = defaultdict(list)
    for frame in frames:
        series[frame.patient, frame.series_uid].append(frame)
    once = [_without_copies(members) for members in series.values()]
    return list(_joined(once))


def is_scout(frame: Frame) -> bool:
    """Whether it is a localizer."""
    return bool(_SCOUTS.intersection(frame.image_type))


def alike(frames: list[Frame]) -> list[list[Frame]]:
    """Groups of images that can lie in one volume: same size, spacing, orientation and kind."""
    groups: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda f: (f.instance, str(f.path), f.index)):
        for group in groups:
            if same_kind(group[0], frame):
                group.append(frame)
                break
        else:
            groups.append([frame])
    return groups


def same_kind(a: Frame, b: Frame) -> bool:
    """Whether two images can lie in one volume."""
    if (a.shape_yx, a.format.samples, a.sop_class, a.usable) != (
        b.shape_yx,
        b.format.samples,
        b.sop_class,
        b.usable,
    ):
        return False
    if is_scout(a) != is_scout(b):
        return False
    if not a.usable:
        return True
    return bool(
        np.allclose(a.orientation, b.orientation, atol=2e-3)  # type: ignore[arg-type]
        and np.allclose(a.spacing_yx_mm, b.spacing_yx_mm, rtol=2e-3)  # type: ignore[arg-type]
    )


def _without_copies(frames: list[Frame]) -> Series:
    """The frames without those that another file has already."""
    kept: dict[tuple, Frame] = {}
    copies, differing, example = 0, 0, ""
    result = []
    for frame in sorted(frames, key=lambda f: (str(f.path), f.index)):
        key = (frame.sop_instance, frame.index, frame.position_lps, frame.moments)
        first = kept.setdefault(key, frame)
        if first is frame or not frame.sop_instance or first.path == frame.path:
            result.append(frame)
            continue
        if frame.index == 0:
            copies += 1
            example = example or printable(frame.path.name)
            differing += _digest(first.path) != _digest(frame.path)
    if not copies:
        return result, ()
    text = f"{copies} file{'s are' if copies > 1 else ' is'} there twice (such as {example}); one was read."
    if differing:
        text = (
            f"{copies} file{'s carry' if copies > 1 else ' carries'} the identifier of another (such as "
            f"{example}), and {differing} of them differ{'s' if differing == 1 else ''} from it; the first "
            "was read. Check which is right, and keep only that."
        )
    return result, (text,)


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
            return digest.digest()
    except OSError:
        return str(path).encode()


def _joined(series: list[Series]) -> Iterator[Series]:
    """Series of a few slices each that together make a stack and differ in nothing but their identifier."""
    crumbs: dict[tuple, list[Series]] = defaultdict(list)
    for frames, remarks in series:
        first = frames[0]
        single = first.usable and first.shape_yx[0] > 0 and not is_scout(first) and len(alike(frames)) == 1
        if not single or len(slice_positions(frames)) >= FEWEST_SLICES:
            yield frames, remarks
            continue
        key = (
            first.patient,
            first.modality,
            first.number,
            first.description,
            first.sop_class,
            first.shape_yx,
            first.kernel,
            first.thickness_mm,
            tuple(np.round(first.orientation, 2) + 0.0),  # type: ignore[arg-type]
            tuple(np.round(first.spacing_yx_mm, 2)),  # type: ignore[arg-type]
        )
        crumbs[key].append((frames, remarks))
    for group in crumbs.values():
        members = [frame for frames, _ in group for frame in frames]
        studies = {frame.study_uid for frame in members}
        if len(group) == 1 or len(studies) not in (1, len(group)) or not _is_stack(members):
            yield from group
            continue
        text = (
            f"The slices carry {len(group)} different series identifiers. They were read as one series, "
            "because number, description, size, orientation and positions fit together."
        )
        yield members, (*(r for _, remarks in group for r in remarks), text)


def _is_stack(frames: list[Frame]) -> bool:
    places = slice_positions(frames)
    if len(places) < FEWEST_SLICES:
        return False
    distances = np.sort(distances_mm(frames)[[place[0] for place in places]])
    step = most_frequent_gap(distances)
    even = np.abs(np.diff(distances) - step) <= max(0.1 * step, 0.06)
    return bool(even.mean() >= EVEN_SHARE)
