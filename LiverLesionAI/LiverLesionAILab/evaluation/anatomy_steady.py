"""`liverlesionai compare steady`: one liver on other grids, the same segments, landmarks and lesions' places?

Each scan is read as it is and then changed in ways that leave the patient as he was: axes stored otherwise,
other voxels, less of the surroundings, lain elsewhere, a little noise. The outlines of liver and lesions are
carried along, so that nothing but the anatomy can differ, and its segments are
brought back to the first grid.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.rules import Rules
from LiverLesionAILib.case.anatomy import CouinaudSegment, Landmark, LesionAnatomy, LiverAnatomy
from LiverLesionAILib.case.classes import Phase
from LiverLesionAILib.case.store import load_result
from LiverLesionAILib.stages.anatomy.face import VesselFinder
from LiverLesionAILib.stages.anatomy.planes import Planes
from LiverLesionAILib.stages.anatomy.relations import lesion_relations
from LiverLesionAILib.stages.anatomy.stage import AnatomySettings, find_anatomy
from LiverLesionAILib.stages.anatomy.tree_view import TreeNamer
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import (
    Geometry,
    resample_labels,
)
from LiverLesionAILib.volume.geometry import triple
from LiverLesionAILib.volume.masks import components
from numpy.typing import NDArray

from ..data.anatomy_set import find_anatomy as find_patients
from ..data.cases import read_unchecked
from .anatomy_changes import CHANGES, ELSEWHERE, MOVED_LPS_MM, STORED, Outlined, upright
from .anatomy_methods import namer_of, network_of
from .row_tables import read_csv, write_csv

FEWEST_ML = 10.0
"""A segment smaller than this has no share of its volume to speak of."""
READ_POINTS = 60_000
LEAST_KEPT = 0.98
NOTHING = "-"


@dataclass(frozen=True)
class SteadyRow:
    """What a change of one scan does to its anatomy.

    Attributes:
        kept: 0..1 of the voxels that both outlines hold that keep their segment, brought back; 0 where
            the changed scan has no segments.
        read: 0..1 of the liver whose segment is the same by the changed scan's landmarks: without either
            grid's voxels.
        segment, volume: the segment whose volume changes most, and by which share of it.
        landmark, moved_mm: the landmark that moves most; by, costs: the one that changes most voxels by
            itself, and which share of them.
        lesions: how many; same_segment, same_contact: of these; distance_mm: largest change of a distance
            that both say.
    """

    scan: str
    outlines: str
    change: str
    kept: float
    read: float
    segment: str
    volume: float
    landmark: str
    moved_mm: float
    by: str
    costs: float
    lesions: int
    same_segment: int
    same_contact: int
    distance_mm: float


@dataclass(frozen=True, eq=False)
class Told:
    """The anatomy of an outlined scan and its lesions' places."""

    one: Outlined
    anatomy: LiverAnatomy
    places: Mapping[int, LesionAnatomy]


def told(one: Outlined, finder: VesselFinder | None, namer: TreeNamer | None) -> Told:
    """By the rules as shipped."""
    rules = Rules()
    anatomy = find_anatomy(
        one.ct.hu_zyx,
        one.ct.geometry,
        one.liver_zyx,
        one.labels_zyx > 0,
        one.phase,
        rules.part(AnatomySettings),
        one.gallbladder_zyx,
        finder,
        namer=namer,
    )
    return Told(one, anatomy, lesion_relations(anatomy, one.labels_zyx, rules.anatomy_touching_mm))


def compared(change: str, first: Told, other: Told) -> SteadyRow:
    """The row of a changed scan; the first one has segments."""
    one, anatomy = first.one, first.anatomy
    kept, read, segment, volume, by, costs = 0.0, 0.0, NOTHING, 1.0, NOTHING, 0.0
    if other.anatomy.has_segments:
        inside = one.liver_zyx & (anatomy.segments_zyx > 0)
        own = anatomy.segments_zyx[inside]
        back = _brought(other.anatomy, anatomy.geometry)[inside]
        kept = float((back == own)[back > 0].mean()) if back.any() else 0.0
        read, by, costs = _read(anatomy, other.anatomy, inside)
        volumes = [_volumes(told.anatomy) for told in (first, other)]
        changes = {s: abs(volumes[1][s] / v - 1) for s, v in volumes[0].items() if v >= FEWEST_ML}
        largest = max(changes, key=lambda s: changes[s])
        segment, volume = largest.roman, changes[largest]
    moved = {
        name: float(np.linalg.norm(np.subtract(other.anatomy.landmarks[name].lps, at.lps)))
        for name, at in anatomy.landmarks.items()
        if name in other.anatomy.landmarks
    }
    landmark = max(moved, key=lambda name: moved[name], default=NOTHING)
    both = [(first.places[n], other.places[n]) for n in first.places if n in other.places]
    gaps = [gap for pair in both for gap in _gaps(*pair)]
    return SteadyRow(
        one.name,
        one.outlines,
        change,
        kept,
        read,
        segment,
        volume,
        landmark,
        moved.get(landmark, float("nan")),
        by,
        costs,
        len(first.places),
        sum(_segment(a) == _segment(b) for a, b in both),
        sum(_touched(a) == _touched(b) for a, b in both),
        max(gaps, default=0.0),
    )


def _brought(anatomy: LiverAnatomy, geometry: Geometry) -> NDArray[np.uint8]:
    """Segments on another grid of the same patient, wherever he lies."""
    return np.asarray(resample_labels(anatomy.segments_zyx, anatomy.geometry, geometry), np.uint8)


def _read(first: LiverAnatomy, other: LiverAnatomy, inside: NDArray[np.bool_]) -> tuple[float, str, float]:
    """Share of the liver whose segment is the same by the other landmarks, and which one changes most alone.

    At places all over its voxels, not at their middles: a plane between two slices of 5 mm would give 3 % of
    the liver to the one side or the other.

    Returns:
        The share; the landmark that by itself changes most, and which share.
    """
    index = np.argwhere(inside)
    index = index[:: max(1, len(index) // READ_POINTS)]
    within = np.random.default_rng(0).uniform(-0.5, 0.5, index.shape)
    points = first.geometry.index_to_lps(index + within)

    def segments(landmarks: Mapping[str, Landmark]) -> NDArray[np.uint8]:
        planes = Planes(landmarks)
        return planes.segments(points, planes.lateral_level(points))

    own, costs = segments(first.landmarks), {}
    for name in first.landmarks:
        costs[name] = float((segments({**first.landmarks, name: other.landmarks[name]}) != own).mean())
    worst = max(costs, key=lambda name: costs[name])
    read = float((segments(other.landmarks) == own).mean())
    return read, *((worst, costs[worst]) if costs[worst] > 0 else (NOTHING, 0.0))


def _volumes(anatomy: LiverAnatomy) -> dict[CouinaudSegment, float]:
    return {segment: anatomy.volume_ml(segment) for segment in CouinaudSegment}


def _segment(place: LesionAnatomy) -> int:
    return int(place.shares[0].segment) if place.shares else 0


def _touched(place: LesionAnatomy) -> set[int]:
    return {int(one.vessel) for one in place.contacts if one.length_mm > 0}


def _gaps(first: LesionAnatomy, other: LesionAnatomy) -> Iterable[float]:
    distances = [{one.vessel: one.distance_mm for one in place.contacts} for place in (first, other)]
    for vessel in distances[0].keys() & distances[1].keys():
        yield abs(distances[0][vessel] - distances[1][vessel])


def scan_rows(
    one: Outlined,
    finder: VesselFinder | None,
    namer: TreeNamer | None,
    names: Sequence[str] = tuple(CHANGES),
    progress: Progress = silent,
) -> list[SteadyRow]:
    """A row for each change; none where the scan as it is has no segments.

    Args:
        one: of any axes.
    """
    own = upright(one)
    first = told(own, finder, namer)
    if not first.anatomy.has_segments:
        return []
    rows = []
    for number, name in enumerate(names):
        progress(f"{one.name}: {name}", number / len(names))
        changed = told(CHANGES[name](own), finder, namer)
        rows.append(compared(name, first, _back(changed) if name == ELSEWHERE else changed))
    return rows


def _back(found: Told) -> Told:
    """Of a patient who lay elsewhere, where he lay before."""
    anatomy = found.anatomy
    grid = replace(
        anatomy.geometry, origin_lps=triple(np.subtract(anatomy.geometry.origin_lps, MOVED_LPS_MM))
    )
    landmarks = {
        name: replace(at, lps=triple(np.subtract(at.lps, MOVED_LPS_MM)))
        for name, at in anatomy.landmarks.items()
    }
    return replace(found, anatomy=replace(anatomy, geometry=grid, landmarks=landmarks))


def outlined_scans(folder: Path, cases: Path | None = None) -> Iterator[Outlined]:
    """NAME_ct.nii.gz of a folder with NAME_mask.nii.gz (1 liver, 2 lesion), or as analysed in CASES/NAME.

    Raises:
        InputError: a file or case is damaged, or there is none.
    """
    scans = sorted(folder.glob("*_ct.nii.gz"))
    if not scans:
        raise InputError(f"{folder} holds no NAME_ct.nii.gz.")
    for path in scans:
        name = path.name.removesuffix("_ct.nii.gz")
        ct = read_unchecked(path)
        if cases is not None:
            case = load_result(cases / name)
            phase = None if case.phase is None else case.phase.phase
            labels = case.lesion_labels_zyx.astype(np.uint16)
            yield Outlined(name, "product", ct, case.liver_zyx, labels, case.gallbladder_zyx, phase)
            continue
        labels = np.asarray(read_unchecked(path.with_name(f"{name}_mask.nii.gz")).hu_zyx)
        lesions = components(labels > 1)[0].astype(np.uint16)
        yield Outlined(name, "true", ct, labels > 0, lesions, None, Phase.PORTAL)


def drawn_patients(folder: Path, names: Sequence[str]) -> Iterator[Outlined]:
    """These of SynthLiver-anatomy's training part.

    Raises:
        InputError: one is missing or damaged.
    """
    patients = {one.name: one for one in find_patients(folder, "train")}
    for name in names:
        if name not in patients:
            raise InputError(f"{folder} has no training patient {name}.")
        labels = patients[name].labels()
        lesions = np.where(labels > 1, labels - 1, 0).astype(np.uint16)
        yield Outlined(name, "true", patients[name].ct(), labels > 0, lesions, None, Phase.PORTAL)


def add_steady_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `compare steady`."""
    parser.add_argument(
        "data",
        type=Path,
        help="file of kept rows, whose table is printed; or folder with NAME_ct.nii.gz, NAME_mask.nii.gz",
    )
    parser.add_argument(
        "--cases", type=Path, metavar="DIR", help="outlines of analysed cases DIR/NAME instead"
    )
    parser.add_argument(
        "--patients",
        default="",
        metavar="NAME,...",
        help="the folder is SynthLiver-anatomy: these of training",
    )
    parser.add_argument("--only", default="", metavar="NAME,...", help="of a folder's scans only these")
    parser.add_argument("--changes", default=",".join(CHANGES), metavar="NAME,...", help="only these")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="of a vessel network; else the filter")
    parser.add_argument("--names", type=Path, metavar="FILE", help="of a network that names what it finds")
    parser.add_argument("--out", type=Path, metavar="FILE", help="gets the rows; those that it has stay")


def run_steady(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Read scans anew in other ways and print the table, or that of kept rows.

    Raises:
        InputError: no scans, or damaged ones.
        OutputError: the rows cannot be written.
    """
    if args.data.is_file():
        print(steady_table(read_steady(args.data)))
        return 0
    changes = args.changes.split(",")
    if unknown := [name for name in changes if name not in CHANGES]:
        raise InputError(f"No change {', '.join(unknown)}; there are {', '.join(CHANGES)}.")
    finder = None if args.weights is None else network_of(args.weights)
    namer = None if args.names is None else namer_of(args.names)
    rows = read_steady(args.out) if args.out is not None and args.out.is_file() else []
    if args.patients:
        scans = drawn_patients(args.data, args.patients.split(","))
    else:
        scans = outlined_scans(args.data, args.cases)
    for one in scans:
        known = (one.name, one.outlines) in {(row.scan, row.outlines) for row in rows}
        if known or (args.only and one.name not in args.only.split(",")):
            continue
        rows += scan_rows(one, finder, namer, changes, progress)
        if args.out is not None:
            write_csv([rounded(row) for row in rows], SteadyRow, args.out)
    print(steady_table(rows))
    return 0


def read_steady(path: Path) -> list[SteadyRow]:
    """Rows that were kept.

    Raises:
        InputError: it is no such file.
    """
    try:
        return read_csv(SteadyRow, path)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} holds no rows of `compare steady`.") from error


def rounded(row: SteadyRow) -> SteadyRow:
    """With four digits after the point: what a kept file has."""
    short = {f.name: round(getattr(row, f.name), 4) for f in fields(row) if f.type == "float"}
    return replace(row, **short)


def steady_table(rows: Sequence[SteadyRow]) -> str:
    """In Markdown: each scan's worst under what only stores it otherwise, then under each other change."""
    lines = [
        "| scan, outlines | change | segment kept % | by landmarks % | volume | landmark | costs most | "
        "lesions' segment | contact | distance mm |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for scan, outlines in dict.fromkeys((row.scan, row.outlines) for row in rows):
        own = [row for row in rows if (row.scan, row.outlines) == (scan, outlines)]
        same = [row for row in own if row.change in STORED]
        if same:
            lines.append(_line(f"{scan}, {outlines}", "stored otherwise", min(same, key=lambda r: r.kept)))
        lines += [_line("", row.change, row) for row in own if row.change not in STORED]
    for change in dict.fromkeys(row.change for row in rows if row.change not in STORED):
        own = [row for row in rows if row.change == change]
        cells = [
            f"{100 * np.mean(shares):.1f}, {sum(share >= LEAST_KEPT for share in shares)} of {len(shares)}"
            for shares in ([row.kept for row in own], [row.read for row in own])
        ]
        lines.append(f"| all | {change} | {' | '.join(cells)} | | | | | | |")
    return "\n".join(lines)


def _line(scan: str, change: str, row: SteadyRow) -> str:
    cells = [
        scan,
        change,
        f"{100 * row.kept:.1f}",
        f"{100 * row.read:.1f}",
        f"{row.segment} {100 * row.volume:.0f} %",
        f"{row.landmark} {row.moved_mm:.1f} mm",
        f"{row.by} {100 * row.costs:.1f} %",
        f"{row.same_segment} of {row.lesions}",
        f"{row.same_contact} of {row.lesions}",
        f"{row.distance_mm:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"
