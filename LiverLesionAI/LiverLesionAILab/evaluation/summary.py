"""The figures of a method over a set of scans, each with its interval over patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.overlap import Counts, harmonic_mean
from numpy.typing import NDArray

from ..metrics.bands import DETECTION_BANDS, DICE_BANDS
from ..metrics.bootstrap import (
    Interval,
    PairedComparison,
    bootstrap,
    compare_paired,
    mean_interval,
    ratio_interval,
)
from ..metrics.freeresponse import FreeResponse
from ..metrics.lesions import RATES_PER_SCAN, ReferenceLesion, free_response_per_scan
from ..metrics.segmentation import NAN, MaskScores, SliceScores, global_dice
from ..metrics.whereabouts import DENSITY_BANDS, PLACES
from .cases import CaseRow


@dataclass(frozen=True)
class Score:
    """One line of a summary.

    Attributes:
        key: for JSON ("tumour_dice").
        label: for readers.
        unit: "", "mm", "mL", "%".
        interval: the figure.
        of: what it was counted over, for readers ("20 of 40 lesions", "5 scans"); may be empty.
        group: heading it belongs under.
    """

    key: str
    label: str
    unit: str
    interval: Interval
    of: str
    group: str


@dataclass(frozen=True)
class Summary:
    """A method over a set of scans.

    Attributes:
        method: its name.
        n_cases, n_patients: what it was computed over.
        scores: in the order to show.
        slices: the per-slice protocol over all scans; None without a slice with tumour.
        curve: the free-response curve per scan; None when lesions have no scores to rank them.
    """

    method: str
    n_cases: int
    n_patients: int
    scores: tuple[Score, ...]
    slices: SliceScores | None
    curve: FreeResponse | None = field(default=None, compare=False)

    def __getitem__(self, key: str) -> Interval:
        """The figure with this key; KeyError without."""
        return {s.key: s.interval for s in self.scores}[key]


# Mask scores shown per case: attribute, label, unit.
_MASK_LINES = (
    ("dice", "Dice per case", ""),
    ("jaccard", "Jaccard", ""),
    ("precision", "precision", ""),
    ("recall", "recall", ""),
    ("specificity", "specificity", ""),
    ("hausdorff_mm", "Hausdorff distance", "mm"),
    ("hausdorff95_mm", "95 % Hausdorff distance", "mm"),
    ("average_distance_mm", "average surface distance", "mm"),
    ("volume_error_ml", "volume error", "mL"),
    ("volume_error_percent", "volume error", "%"),
)


def summarise(method: str, rows: Sequence[CaseRow], *, seed: int = 0, n_draws: int = 2000) -> Summary:
    """All figures of a method.

    Raises:
        InputError: no case.
    """
    if not rows:
        raise InputError(f"{method}: no case was scored.")
    figures = _Figures(rows, seed, n_draws)
    figures.add_masks("liver", "Liver", [row.liver for row in rows])
    figures.add_masks("tumour", "Tumour", [row.tumour for row in rows])
    figures.add_lesions_found()
    figures.add_false_lesions()
    figures.add_dice_of_lesions()
    curve = figures.add_free_response()
    figures.add_seconds()
    slices = pool_slices([row.slices for row in rows if row.slices is not None])
    return Summary(method, len(rows), len(set(figures.patients)), tuple(figures.scores), slices, curve)


class _Figures:
    """The lines of a summary, as they come.

    Attributes:
        scores: so far.
        patients: of every row.
    """

    def __init__(self, rows: Sequence[CaseRow], seed: int, n_draws: int) -> None:
        self.rows, self.seed, self.n_draws = rows, seed, n_draws
        self.patients = [row.patient for row in rows]
        self.scores: list[Score] = []

    def _add(
        self, key: str, label: str, interval: Interval, group: str, of: str = "", unit: str = ""
    ) -> None:
        self.scores.append(Score(key, label, unit, interval, of, group))

    def _mean(self, values: Sequence[float]) -> Interval:
        return mean_interval(values, self.patients, seed=self.seed, n_draws=self.n_draws)

    def _ratio(self, parts: Sequence[float], wholes: Sequence[float]) -> Interval:
        return ratio_interval(parts, wholes, self.patients, seed=self.seed, n_draws=self.n_draws)

    def add_masks(self, part: str, group: str, masks: Sequence[MaskScores | None]) -> None:
        """Overlap, distances and volume of liver or tumour; nothing where no scan has a mask."""
        if not any(masks):
            return
        for name, label, unit in _MASK_LINES:
            interval = self._mean([getattr(m, name) if m else NAN for m in masks])
            n, of_all = interval.n_cases, len(self.rows)
            of = "" if n == of_all else f"{n} of {of_all} scans"
            self._add(f"{part}_{name}", label, interval, group, of, unit)
            if name == "dice":
                pooled = _global_dice(masks, self.patients, self.seed, self.n_draws)
                self._add(f"{part}_dice_global", "Dice global", pooled, group)

    def _add_share(self, key: str, label: str, found: Sequence[int], there: Sequence[int]) -> None:
        of = f"{sum(found)} of {_count(sum(there), 'lesion')}"
        self._add(key, label, self._ratio(found, there), "Lesions, per scan in 3D", of)

    def _add_group(self, key: str, label: str, belongs: Callable[[ReferenceLesion], bool]) -> None:
        """Share found of a group of lesions; nothing where there is none."""
        own = [[x for x in row.lesions.reference if belongs(x)] for row in self.rows]
        if any(own):
            found = [sum(x.found for x in lesions) for lesions in own]
            self._add_share(f"lesions_found {key}", f"found, {label}", found, [len(x) for x in own])

    def add_lesions_found(self) -> None:
        """Shares of the lesions found, in all, by size, place and density; by IoU in all."""
        scans = [row.lesions for row in self.rows]
        there = [scan.n_lesions for scan in scans]
        self._add_share("lesions_found", "found", [scan.n_found for scan in scans], there)
        for band in DETECTION_BANDS:
            self._add_group(band.name, band.name, lambda x, holds=band.holds: holds(x.diameter_mm))
        for place in PLACES:
            self._add_group(f"place {place}", place, lambda lesion, own=place: lesion.place == own)
        for density in DENSITY_BANDS:
            holds = density.holds
            self._add_group(
                f"density {density.name}", density.name, lambda x, holds=holds: holds(x.difference_hu)
            )
        by_iou = [scan.n_found_by_iou for scan in scans]
        self._add_share("lesions_found_by_iou", "found with IoU >= 0.5", by_iou, there)

    def add_false_lesions(self) -> None:
        """False lesions per scan, and per healthy liver where there is one."""
        group = "Lesions, per scan in 3D"
        false = [float(row.lesions.n_false) for row in self.rows]
        of = f"{sum(false):.0f} in all"
        self._add("false_per_scan", "false lesions per scan", self._mean(false), group, of)
        if n := sum(row.is_healthy for row in self.rows):
            healthy = [f if row.is_healthy else NAN for f, row in zip(false, self.rows, strict=True)]
            label, of = "false lesions per healthy liver", _count(n, "scan")
            self._add("false_per_healthy", label, self._mean(healthy), group, of)

    def add_dice_of_lesions(self) -> None:
        """Mean Dice per lesion by size, missed ones 0."""
        for band in DICE_BANDS:
            own = [[x.dice for x in r.lesions.reference if band.holds(x.diameter_mm)] for r in self.rows]
            counts = [len(dices) for dices in own]
            if sum(counts):
                interval = self._ratio([sum(dices) for dices in own], counts)
                group, of = "Dice per lesion, missed ones 0", _count(sum(counts), "lesion")
                self._add(f"lesion_dice {band.name}", band.name, interval, group, of)

    def add_free_response(self) -> FreeResponse | None:
        """Sensitivity at rates of false lesions per scan; None where lesions have no scores to rank them."""
        rows = self.rows
        if not has_scores(rows) or not sum(row.lesions.n_lesions for row in rows):
            return None
        curve = free_response_per_scan([row.lesions for row in rows])
        n_draws = min(self.n_draws, 500)
        for rate in RATES_PER_SCAN:
            # Beyond the laxest threshold the curve would only repeat its end.
            if rate <= curve.false_per_unit[-1]:
                statistic = _sensitivity_at(rows, rate)
                interval = bootstrap(statistic, self.patients, seed=self.seed, n_draws=n_draws)
                threshold = curve.threshold_at(rate)
                of = f"score >= {threshold:.3g}" if np.isfinite(threshold) else "no score is high enough"
                label, group = f"found at {rate:g} false per scan", "Free response, per scan in 3D"
                self._add(f"sensitivity_at {rate:g}", label, interval, group, of)
        return curve

    def add_seconds(self) -> None:
        """Time per scan, where it was taken."""
        seconds = [row.seconds if row.seconds is not None else NAN for row in self.rows]
        if not np.isnan(seconds).all():
            self._add("seconds", "time per scan", self._mean(seconds), "Time", unit="s")


def has_scores(rows: Sequence[CaseRow]) -> bool:
    """Whether the method ranked its findings."""
    return len({finding.score for row in rows for finding in row.lesions.predicted}) > 1


def pool_slices(parts: Sequence[SliceScores]) -> SliceScores | None:
    """The per-slice protocol over several scans, from each scan's means."""
    if not parts:
        return None
    weights = np.array([p.n_slices for p in parts], float)
    near = weights - [p.n_without_distance for p in parts]

    def mean(name: str, by: NDArray[np.float64]) -> float:
        values = np.array([getattr(p, name) for p in parts])
        used = by > 0
        return float(np.average(values[used], weights=by[used])) if used.any() else NAN

    precision, recall = mean("precision", weights), mean("recall", weights)
    return SliceScores(
        n_slices=int(weights.sum()),
        dice=mean("dice", weights),
        jaccard=mean("jaccard", weights),
        precision=precision,
        recall=recall,
        specificity=mean("specificity", weights),
        f1=harmonic_mean(precision, recall),
        hausdorff_px=mean("hausdorff_px", near),
        hausdorff95_px=mean("hausdorff95_px", near),
        n_without_distance=sum(p.n_without_distance for p in parts),
    )


# What two methods are compared on: key, label, value of a case (higher is better except where said).
PAIRED: Mapping[str, tuple[str, Callable[[CaseRow], float]]] = {
    "liver_dice": ("liver Dice", lambda row: row.liver.dice if row.liver else NAN),
    "tumour_dice": ("tumour Dice per case", lambda row: row.tumour.dice),
    "tumour_hausdorff95_mm": (
        "tumour 95 % Hausdorff, mm (lower is better)",
        lambda row: row.tumour.hausdorff95_mm,
    ),
    "lesions_found": (
        "share of a scan's lesions found",
        lambda row: row.lesions.n_found / row.lesions.n_lesions if row.lesions.n_lesions else NAN,
    ),
    "false_per_scan": ("false lesions (lower is better)", lambda row: float(row.lesions.n_false)),
}


def compare_methods(
    first: Sequence[CaseRow], second: Sequence[CaseRow], *, seed: int = 0, n_draws: int = 10000
) -> dict[str, PairedComparison]:
    """The second method against the first on the same scans; lines without a value in any scan are left out.

    Raises:
        InputError: the two do not cover the same scans.
    """
    patients = {row.name: row.patient for row in first}
    result = {}
    for key, (_, value) in PAIRED.items():
        a, b = ({row.name: value(row) for row in rows} for rows in (first, second))
        if set(a) == set(b) and not any(np.isfinite(a[n]) and np.isfinite(b[n]) for n in a):
            continue
        result[key] = compare_paired(a, b, patients, seed=seed, n_draws=n_draws)
    return result


def _global_dice(
    masks: Sequence[MaskScores | None], patients: Sequence[str], seed: int, n_draws: int
) -> Interval:
    counts = [m.counts if m else Counts() for m in masks]

    def pooled(rows: NDArray[np.int64]) -> float:
        return global_dice(counts[i] for i in rows)

    return bootstrap(pooled, patients, seed=seed, n_draws=n_draws)


def _sensitivity_at(rows: Sequence[CaseRow], rate: float) -> Callable[[NDArray[np.int64]], float]:
    def at(chosen: NDArray[np.int64]) -> float:
        return free_response_per_scan([rows[i].lesions for i in chosen]).at(rate)

    return at


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
