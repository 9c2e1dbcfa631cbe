"""`liverlesionai compare followups`: how right the comparison of simulated follow-ups is."""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from LiverLesionAILib.analysis.followup import Examined, follow_up, time_point
from LiverLesionAILib.case.course import Course, response_of
from LiverLesionAILib.case.findings import CaseResult, LesionStatus
from LiverLesionAILib.case.followup import FollowUp, state_of
from LiverLesionAILib.models.weights import ModelStore
from LiverLesionAILib.stages.measure.lesions import measure_case, measure_liver
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.support.files import replacing
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import resample
from LiverLesionAILib.volume.masks import bounding_box, components
from LiverLesionAILib.volume.resampling import resample_labels
from scipy import stats

from ..data.cases import data_folder, read_unchecked
from ..synthesis.body import BodySettings, make_body
from ..synthesis.followups import BaseScan, SimulatedPair, SimulatedScan, draw_pair
from .both_ways import run_both_ways
from .followups_network import compared_by_networks

SEED = 20
PAIRS_EACH = 5
"""Pairs made of one base: a body takes longer to draw than a pair."""
BASE_MM = (2.5, 1.6, 1.6)
REAL_PIXEL_MM = 1.5
MARGIN_MM = 30.0
SMALLEST_VOXELS = 12
"""Specks of the real masks that are no lesions to follow."""


@dataclass(frozen=True)
class PairRow:
    """One simulated follow-up.

    Attributes:
        kind: "body" or "real"; masks: "true" or "network".
        lesions: that are to be placed, each counted once (a merge of two is one).
        matched: ones whose partners are right; right: ones whose state is right too.
        residuals: matched lesions in both scans; near: those whose centres are within 8 mm.
        category, found: RECIST of the true masks and pairs, and as compared; "" without a target.
        refused: the registration was refused.
        dice: of the livers after registration.
        alone ... single_right: with the networks' masks, see :class:`.followups_network.NetworkScore`.
    """

    name: str
    kind: str
    masks: str
    lesions: int
    matched: int
    right: int
    residuals: int
    near: int
    category: str
    found: str
    refused: bool
    dice: float
    seconds: float
    alone: int = 0
    alone_matched: int = 0
    alone_right: int = 0
    one_sided: int = 0
    one_sided_right: int = 0
    single: int = 0
    single_right: int = 0


def add_followup_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `compare followups`."""
    parser.add_argument("--pairs", type=int, default=60, help="how many (default: 60)")
    parser.add_argument(
        "--networks", type=int, default=0, help="of how many the networks draw the masks too (default: none)"
    )
    parser.add_argument("--bodies-only", action="store_true", help="no real CTs")
    parser.add_argument(
        "--out", type=Path, help="folder for followups.csv; what it holds already is not compared again"
    )
    parser.add_argument(
        "--cases", type=Path, help="folder where the networks' cases are kept, and read where they are there"
    )
    parser.add_argument(
        "--both-ways",
        type=Path,
        nargs=2,
        metavar="CT",
        help="two X_ct.nii.gz of one patient with their X_mask.nii.gz: compared both ways instead",
    )


def run_followups(args: argparse.Namespace, progress: Progress = silent) -> int:
    """Draw the pairs, compare them, print the table.

    Raises:
        InputError: numbers that make no sense, or the real CTs are missing.
    """
    if args.both_ways:
        return run_both_ways(args.both_ways)
    if args.pairs < 1 or not 0 <= args.networks <= args.pairs:
        raise InputError("--pairs has to be 1 at least, and --networks between 0 and --pairs.")
    rows = [] if args.out is None else read_rows(args.out)
    there = {(row.name, row.masks) for row in rows}
    models = ModelStore.bundled() if args.networks else None
    for k, drawn in enumerate(simulated_pairs(args.pairs, not args.bodies_only)):
        progress("comparing simulated follow-ups", k / args.pairs)
        kind = "real" if drawn.real else "body"
        with_networks = models is not None and networks_too(k, args.pairs, args.networks)
        masks = ["true", "network"] if with_networks else ["true"]
        missing = [m for m in masks if (drawn.name, m) not in there]
        if not missing:
            continue
        pair = drawn.draw()
        if "true" in missing:
            rows.append(compare_true(pair, kind))
        if "network" in missing and models is not None:
            rows.append(compare_networks(pair, kind, models, args.cases))
        if args.out is not None:
            write_rows(rows, args.out)
    print(followup_table(rows))
    return 0


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
    paths = sorted((data_folder() / "lits").glob("*_ct.nii.gz")) if real else []
    if real and not paths:
        raise InputError(f"{data_folder() / 'lits'} holds no *_ct.nii.gz. --bodies-only does without.")
    for group in range(-(-count // PAIRS_EACH)):
        path = paths[(group // 2) % len(paths)] if real and group % 2 else None
        name = f"body{group}" if path is None else path.name.split("_")[0]
        base = _once(partial(body_base, group) if path is None else partial(real_base, path))
        for k in range(min(PAIRS_EACH, count - group * PAIRS_EACH)):
            full = f"{name}-{group}-{k}"
            yield Drawn(full, path is not None, partial(_drawn, base, group, k, full))


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
        pair.name,
        kind,
        "true",
        len(truth.pairs),
        len(matched),
        right,
        len(distances),
        sum(mm <= 8.0 for mm in distances),
        category_of(truth),
        category_of(found),
        bool(found.failed),
        found.dice,
        seconds,
    )


def category_of(followup: FollowUp) -> str:
    """RECIST 1.1 of the proposed targets; "" where there is none."""
    judged = response_of(Course.of(followup))
    return "" if judged is None else judged.overall.name


def compare_networks(pair: SimulatedPair, kind: str, models: ModelStore, cases: Path | None) -> PairRow:
    """With the networks' masks; see :mod:`.followups_network`."""
    truth = truth_of(pair)
    found, score, seconds = compared_by_networks(pair, truth, models, cases, DAYS)
    return PairRow(
        pair.name, kind, "network", score.lesions, score.matched, score.right, 0, 0, category_of(truth),
        category_of(found), bool(found.failed), found.dice, seconds, score.alone, score.alone_matched,
        score.alone_right, score.one_sided, score.one_sided_right, score.single, score.single_right,
    )  # fmt: skip


def write_rows(rows: Sequence[PairRow], folder: Path) -> None:
    """followups.csv, one row a pair."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "followups.csv") as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(PairRow)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_rows(folder: Path) -> list[PairRow]:
    """The way back from :func:`write_rows`; nothing where there is no file.

    Raises:
        InputError: it is another version's.
    """
    path = folder / "followups.csv"
    if not path.exists():
        return []
    kinds = {field.name: field.type for field in fields(PairRow)}
    read: dict[str, Callable[[str], Any]] = {
        "str": str, "int": int, "float": float, "bool": lambda text: text == "True",
    }  # fmt: skip
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [
                PairRow(**{name: read[str(kinds[name])](text) for name, text in row.items()})
                for row in csv.DictReader(file)
            ]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path} is of another version: remove it to compare anew.") from None


def followup_table(rows: Sequence[PairRow]) -> str:
    """Rates with their 95 % Wilson intervals, in Markdown."""
    lines = [
        "| masks | scans | pairs | matched right | state right | centres <= 8 mm | RECIST category right "
        "| refused | median s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for masks in ("true", "network"):
        for kind in ("body", "real", "all"):
            chosen = [r for r in rows if r.masks == masks and kind in (r.kind, "all")]
            if not chosen:
                continue
            total = sum(r.lesions for r in chosen)
            judged = [r for r in chosen if r.category]
            lines.append(
                f"| {masks} | {kind} | {len(chosen)} | {_rate(sum(r.matched for r in chosen), total)} | "
                f"{_rate(sum(r.right for r in chosen), total)} | "
                f"{_rate(sum(r.near for r in chosen), sum(r.residuals for r in chosen))} | "
                f"{_rate(sum(r.category == r.found for r in judged), len(judged))} | "
                f"{sum(r.refused for r in chosen)} | {np.median([r.seconds for r in chosen]):.1f} |"
            )
    networks = [r for r in rows if r.masks == "network"]
    return "\n".join([*lines, *(_network_lines(networks) if networks else [])])


def _network_lines(rows: Sequence[PairRow]) -> list[str]:
    """What the networks' masks add to the table."""
    lines = [
        "",
        "| networks' masks | outlined alone: matched | state right | in one list only: not new or gone "
        "| truly new or gone: said so |",
        "|---|---|---|---|---|",
    ]
    for kind in ("body", "real", "all"):
        chosen = [r for r in rows if kind in (r.kind, "all")]
        if chosen:
            alone = sum(r.alone for r in chosen)
            lines.append(
                f"| {kind} | {_rate(sum(r.alone_matched for r in chosen), alone)} | "
                f"{_rate(sum(r.alone_right for r in chosen), alone)} | "
                f"{_rate(sum(r.one_sided_right for r in chosen), sum(r.one_sided for r in chosen))} | "
                f"{_rate(sum(r.single_right for r in chosen), sum(r.single for r in chosen))} |"
            )
    return lines


def _rate(good: int, total: int) -> str:
    if not total:
        return "-"
    low, high = stats.binomtest(good, total).proportion_ci(method="wilson")
    return f"{good} of {total}, {100 * good / total:.0f} % ({100 * low:.0f}-{100 * high:.0f})"
