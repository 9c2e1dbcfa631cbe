"""`liverlesionai compare followups`: how right the comparison of simulated follow-ups is."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
from LiverLesionAILib.analysis.followup import Examined, follow_up, time_point
from LiverLesionAILib.case.course import Course, response_of
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.case.followup import FollowUp, state_of
from LiverLesionAILib.case.manifest import CASE_FILE
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.measure.lesions import measure_case, measure_liver
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import resample
from LiverLesionAILib.volume.masks import bounding_box, components
from LiverLesionAILib.volume.resampling import resample_labels

from ..data.cases import data_folder, read_unchecked
from ..synthesis.body import BodySettings, make_body
from ..synthesis.followups import BaseScan, SimulatedPair, SimulatedScan, draw_course, draw_pair
from .both_ways import run_both_ways
from .consistency import (
    Consistency,
    CourseRow,
    consistency_of,
    courses_table,
    read_courses,
    write_courses,
)
from .followups_network import compared_by_networks
from .followups_table import PairRow, followup_table, rate_text, read_rows, write_rows

SEED = 20
PAIRS_EACH = 5
"""Pairs made of one base: a body takes longer to draw than a pair."""
BASE_MM = (2.5, 1.6, 1.6)
REAL_PIXEL_MM = 1.5
MARGIN_MM = 30.0
SMALLEST_VOXELS = 12
"""Specks of the real masks that are no lesions to follow."""


def add_followup_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `compare followups`."""
    parser.add_argument("--pairs", type=int, default=60, help="how many (default: 60)")
    parser.add_argument(
        "--networks", type=int, default=0, help="of how many the networks draw the masks too (default: none)"
    )
    parser.add_argument("--bodies-only", action="store_true", help="no real CTs")
    parser.add_argument(
        "--out",
        type=Path,
        help="folder for followups.csv, or courses.csv; what it holds already is not compared again",
    )
    parser.add_argument(
        "--cases", type=Path, help="folder where the networks' cases are kept, and read where they are there"
    )
    parser.add_argument(
        "--only", choices=["true", "network"], help="only the rows of these masks (default: both)"
    )
    parser.add_argument(
        "--kept-cases",
        action="store_true",
        help="run no network: of the pairs whose two cases --cases holds",
    )
    parser.add_argument(
        "--both-ways",
        type=Path,
        nargs="+",
        metavar="CT",
        help="X_ct.nii.gz of one patient with their X_mask.nii.gz, the oldest first: compared both ways "
        "instead, and from three on by way of each other",
    )
    parser.add_argument(
        "--courses",
        type=int,
        default=0,
        help="so many simulated patients with three scans, compared in every order, instead",
    )


def run_followups(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Draw the pairs, compare them, print the table.

    Raises:
        InputError: numbers that make no sense, or the real CTs are missing.
    """
    if args.both_ways:
        return run_both_ways(args.both_ways)
    if args.courses:
        return run_courses(args.courses, not args.bodies_only, args.out, progress)
    if args.pairs < 1 or not 0 <= args.networks <= args.pairs:
        raise InputError("--pairs has to be 1 at least, and --networks between 0 and --pairs.")
    rows = [] if args.out is None else read_rows(args.out)
    there = {(row.name, row.masks) for row in rows}
    if args.kept_cases and args.cases is None:
        raise InputError("--kept-cases takes the networks' masks from --cases: name that folder too.")
    models = ModelStore.bundled() if args.networks and not args.kept_cases else None
    for k, drawn in enumerate(simulated_pairs(args.pairs, not args.bodies_only)):
        progress("comparing simulated follow-ups", k / args.pairs)
        kind = "real" if drawn.real else "body"
        wanted = networks_too(k, args.pairs, args.networks)
        if args.kept_cases:
            wanted &= all((args.cases / f"{drawn.name}-{t}" / CASE_FILE).exists() for t in (0, 1))
        masks = ["true", "network"] if wanted else ["true"]
        missing = [m for m in masks if (drawn.name, m) not in there and args.only in (None, m)]
        if not missing:
            continue
        pair = drawn.draw()
        if "true" in missing:
            rows.append(compare_true(pair, kind))
        if "network" in missing:
            rows.append(compare_networks(pair, kind, models, args.cases))
        if args.out is not None:
            write_rows(rows, args.out)
    print(followup_table(rows))
    return 0


def run_courses(count: int, real: bool, out: Path | None, progress: Progress = silent) -> int:
    """Simulated patients with an earlier scan and two later ones of one state: is it all of one piece?

    Args:
        out: folder for courses.csv; patients that it holds are not compared again.

    Raises:
        InputError: the real CTs are missing.
    """
    rows = [] if out is None else read_courses(out)
    paths = _real_paths() if real else []
    for k in range(count):
        progress("comparing simulated patients", k / count)
        path = paths[(k // 2) % len(paths)] if k % 2 and paths else None
        name = f"body{k}-course-{k}" if path is None else f"{path.name.split('_')[0]}-course-{k}"
        if name in {row.name for row in rows}:
            continue
        base = body_base(k) if path is None else real_base(path)
        found = course_consistency(draw_course(base, np.random.default_rng((SEED, 1000 + k)), base.name, 2))
        rows.append(CourseRow(**asdict(found), name=name, kind="body" if path is None else "real"))
        if out is not None:
            write_courses(rows, out)
    print(courses_table(rows, rate_text))
    return 0


def course_consistency(pairs: Sequence[SimulatedPair]) -> Consistency:
    """Of one scan with its true masks and the later ones beside it."""
    scans = [examined(pairs[0].prior, 0), *(examined(pair.current, 1) for pair in pairs)]
    return consistency_of(scans, {(0, k + 1): pair.pairs for k, pair in enumerate(pairs)})


def networks_too(k: int, pairs: int, networks: int) -> bool:
    """Whether pair k is among `networks` ones spread evenly."""
    return (k + 1) * networks // pairs > k * networks // pairs


@dataclass(frozen=True)
class Drawn:
    """A pair that is made when it is wanted.

    Attributes:
        name: of the pair.
        real: whether its base is a patient's CT.
        draw: makes it; the same every time.
    """

    name: str
    real: bool
    draw: Callable[[], SimulatedPair]


def simulated_pairs(count: int, real: bool = True) -> Iterator[Drawn]:
    """Pairs of synthetic bodies and, by turns, of real CTs.

    Raises:
        InputError: the real CTs are missing.
    """
    paths = _real_paths() if real else []
    for group in range(-(-count // PAIRS_EACH)):
        path = paths[(group // 2) % len(paths)] if real and group % 2 else None
        name = f"body{group}" if path is None else path.name.split("_")[0]
        base = _once(partial(body_base, group) if path is None else partial(real_base, path))
        for k in range(min(PAIRS_EACH, count - group * PAIRS_EACH)):
            full = f"{name}-{group}-{k}"
            yield Drawn(full, path is not None, partial(_drawn, base, group, k, full))


def _real_paths() -> list[Path]:
    paths = sorted((data_folder() / "lits").glob("*_ct.nii.gz"))
    if not paths:
        raise InputError(f"{data_folder() / 'lits'} holds no *_ct.nii.gz. --bodies-only does without.")
    return paths


def _once(make: Callable[[], BaseScan]) -> Callable[[], BaseScan]:
    made: list[BaseScan] = []

    def base() -> BaseScan:
        if not made:
            made.append(make())
        return made[0]

    return base


def _drawn(base: Callable[[], BaseScan], group: int, k: int, name: str) -> SimulatedPair:
    return draw_pair(base(), np.random.default_rng((SEED, group, k)), name)


def body_base(number: int) -> BaseScan:
    """A synthetic body without lesions, cut to the liver's surroundings."""
    settings = BodySettings(spacing_zyx_mm=BASE_MM, top_mm=40.0, bottom_mm=-240.0, noise_hu=3.0)
    body = make_body(np.random.default_rng((SEED, number)), settings)
    labels = np.zeros(body.hu_zyx.shape, np.uint16)
    return _cut(BaseScan(f"body{number}", body.hu_zyx, body.liver_zyx, labels, body.geometry))


def real_base(path: Path) -> BaseScan:
    """A real CT with its outlined lesions, on coarser pixels."""
    ct, truth = read_unchecked(path), read_unchecked(path.with_name(path.name.replace("_ct", "_mask")))
    source = ct.geometry
    lesions = components(truth.hu_zyx == 2, 6)[0].astype(np.uint16)
    name = path.name.split("_")[0]
    base = _cut(BaseScan(name, ct.hu_zyx, truth.hu_zyx > 0, lesions, source, True))
    grid = base.geometry.with_spacing((base.geometry.spacing_zyx_mm[0], REAL_PIXEL_MM, REAL_PIXEL_MM))
    labels = resample_labels(base.labels_zyx, base.geometry, grid)
    sizes = np.bincount(labels.ravel())
    labels[np.isin(labels, np.flatnonzero(sizes < SMALLEST_VOXELS))] = 0
    return replace(
        base,
        hu_zyx=resample(base.hu_zyx, base.geometry, grid),
        liver_zyx=resample_labels(base.liver_zyx, base.geometry, grid),
        labels_zyx=labels,
        geometry=grid,
    )


def _cut(base: BaseScan) -> BaseScan:
    box = bounding_box(base.liver_zyx)
    if box is None:
        raise InputError(f"{base.name} has no liver.")
    margin = np.ceil(MARGIN_MM / np.array(base.geometry.spacing_zyx_mm)).astype(int)
    start = np.maximum(0, [s.start for s in box] - margin)
    stop = np.minimum(base.geometry.shape_zyx, [s.stop for s in box] + margin)
    cut = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    return replace(
        base,
        hu_zyx=base.hu_zyx[cut].astype(np.float32),
        liver_zyx=np.ascontiguousarray(base.liver_zyx[cut]),
        labels_zyx=np.ascontiguousarray(base.labels_zyx[cut]),
        geometry=base.geometry.cropped(start, stop),
    )


DAYS = date(2026, 1, 1), date(2026, 3, 1)


def examined(scan: SimulatedScan, time: int) -> Examined:
    """A simulated scan with its true masks, as a case that the reader has gone through."""
    volume, geometry = scan.volume, scan.volume.geometry
    args = scan.labels_zyx, scan.liver_zyx, volume.hu_zyx, geometry
    lesions = tuple(replace(x, status=LesionStatus.ACCEPTED) for x in measure_case(*args))
    organ = measure_liver(*args)
    result = CaseResult(
        f"scan {time}", geometry, scan.liver_zyx, scan.labels_zyx, lesions, organ.volume_ml, organ.hu_mean
    )
    return Examined(result, volume, day=DAYS[time])


def truth_of(pair: SimulatedPair) -> FollowUp:
    """The pair as a reader who knows everything sees it."""
    points = [time_point(examined(scan, t)) for t, scan in enumerate((pair.prior, pair.current))]
    pairs = []
    for one in pair.pairs:
        if one.prior and one.current:
            before = [points[0].lesions[n] for n in one.prior]
            one = replace(one, state=state_of(before, [points[1].lesions[n] for n in one.current]))
        pairs.append(one)
    return FollowUp(points[0], points[1], tuple(pairs))


def compare_true(pair: SimulatedPair, kind: str) -> PairRow:
    """With the true masks."""
    truth = truth_of(pair)
    scans = examined(pair.prior, 0), examined(pair.current, 1)
    started = time.perf_counter()
    found = follow_up(*scans)
    seconds = time.perf_counter() - started
    made = {(p.prior, p.current): p for p in found.pairs}
    matched = [p for p in truth.pairs if (p.prior, p.current) in made]
    right = sum(made[p.prior, p.current].state is p.state for p in matched)
    distances = [made[p.prior, p.current].distance_mm for p in matched if p.prior and p.current]
    return PairRow(
        name=pair.name,
        kind=kind,
        masks="true",
        lesions=len(truth.pairs),
        matched=len(matched),
        right=right,
        residuals=len(distances),
        near=sum(mm <= 8.0 for mm in distances),
        category=category_of(truth),
        found=category_of(found),
        possible=possible_of(found),
        refused=bool(found.failed),
        dice=found.dice,
        seconds=seconds,
    )


def possible_of(followup: FollowUp) -> str:
    """The categories that are named as possible, with a bar between."""
    judged = response_of(Course.of(followup))
    return "" if judged is None else "|".join(one.name for one in judged.possible)


def category_of(followup: FollowUp) -> str:
    """RECIST 1.1 of the proposed targets; "" where there is none."""
    judged = response_of(Course.of(followup))
    return "" if judged is None else judged.overall.name


def compare_networks(
    pair: SimulatedPair, kind: str, models: ModelStore | None, cases: Path | None
) -> PairRow:
    """With the networks' masks; see :mod:`.followups_network`."""
    truth = truth_of(pair)
    made = compared_by_networks(pair, truth, models, cases, DAYS)
    found, score, split = made.found, made.score, made.split_score
    return PairRow(
        **asdict(score),
        name=pair.name,
        kind=kind,
        masks="network",
        category=category_of(truth),
        found=category_of(found),
        possible=possible_of(found),
        refused=bool(found.failed),
        dice=found.dice,
        seconds=made.seconds,
        proposed=made.proposed,
        accepted=made.accepted,
        split_matched=split.matched,
        split_right=split.right,
        split_lesions=split.lesions,
        split_found=category_of(made.split),
    )
