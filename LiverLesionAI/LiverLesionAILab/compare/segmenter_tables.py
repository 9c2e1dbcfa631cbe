"""The tables of `compare segmenters`: a line a variant, beside it what its paper reports."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from LiverLesionAILib.support.errors import InputError

from ..evaluation.tables import align, number, with_interval
from ..metrics.bands import DICE_BANDS
from ..metrics.bootstrap import compare_paired, mean_interval
from ..metrics.segmentation import harmonic_mean
from .segmenter_families import Family

EQUAL_RATES = (0.5, 1.0, 2.0)
"""False lesions per scan at which variants are compared: networks differ in how readily they speak."""

SLICE_SCORES = ("dice", "hausdorff_px", "jaccard", "precision", "recall", "specificity", "f1")
"""The seven of the MSCD paper's table 1, in its order."""


def comparison_table(
    family: Family,
    results: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    steps: int,
    curves: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    scored_on: str = "Real scans, one patient left out",
    trunk_steps: int = 0,
) -> str:
    """A line per variant: means over seeds, intervals over patients, the paired difference from the first.

    Args:
        curves: variant -> free response of every training, as `evaluate` writes it: the share of lesions
            found where all variants give equally many false ones.
        scored_on: what they were trained and scored on, in words.
        trunk_steps: of the common network that all variants started from; 0 where there was none.
    """
    published = {variant.name: variant.published for variant in family.variants}
    first = next(iter(results))
    heading = ["", "tumour Dice", "SD of seeds", "difference", "p"]
    heading += [f"Dice {band.name}" for band in DICE_BANDS]
    heading += ["found", "false per scan", *(f"found at {rate:g} false" for rate in EQUAL_RATES)]
    rows = [[*heading, *(("published", "difference") if family.unit else ())]]
    for name, seeds in results.items():
        other = None if name == first else results[first]
        line = [name, *_dice_cells(seeds, other), *(number(value) for value in dice_by_band(seeds))]
        line += _lesion_cells(seeds)
        line += [number(found_at((curves or {}).get(name, ()), rate)) for rate in EQUAL_RATES]
        if family.unit:
            line += _published_cells(published[name], None if other is None else published[first])
        rows.append(line)
    seeds_used = len(next(iter(results.values())))
    plural = "s" * (seeds_used > 1)
    source = f" Published: {family.unit}, in per cent." if family.unit else ""
    began = (
        f" after {trunk_steps} steps of the same network without attention, common to all (seed 0)"
        if trunk_steps
        else ""
    )
    return (
        f"{align(rows)}\n{scored_on}; {steps} steps{began}, {seeds_used} seed{plural} each; "
        "95 % bootstrap intervals over patients in brackets; p: two-sided permutation test over patients. "
        f"Dice of lesions by diameter, missed ones 0. Found at so many false lesions per scan: free response."
        f"{source}"
    )


def _dice_cells(seeds: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Mean Dice, its SD over seeds, and the paired difference from `other` with its p value."""
    patients = {case: row["patient"] for case, row in seeds[0].items()}
    mean = mean_over_seeds(seeds)
    interval = mean_interval(list(mean.values()), [patients[case] for case in mean], seed=0)
    of_seeds = [sum(case_dice(row) for row in seed.values()) / len(seed) for seed in seeds]
    cells = [with_interval(interval), number(_deviation(of_seeds)) if len(seeds) > 1 else ""]
    if other is None:
        return [*cells, "", ""]
    paired = compare_paired(mean_over_seeds(other), mean, patients, seed=0)
    return [*cells, with_interval(paired.difference), number(paired.p_value)]


def _lesion_cells(seeds: Sequence[Mapping[str, Any]]) -> list[str]:
    """Share of lesions found, and false ones per scan."""
    lesions = [row["lesions"] for seed in seeds for row in seed.values()]
    total = sum(part["total"] for part in lesions)
    found = f"{sum(part['found'] for part in lesions) / total:.2f}" if total else ""
    return [found, f"{sum(part['false'] for part in lesions) / len(lesions):.2f}"]


def _published_cells(own: float | None, first: float | None) -> list[str]:
    """What the paper reports, and the difference from its first row."""
    gain = f"{own - first:+.1f}" if own is not None and first is not None else ""
    return ["" if own is None else f"{own:g}", gain]


def found_at(curves: Sequence[Mapping[str, Any]], rate: float) -> float:
    """Share of lesions found at `rate` false ones per scan, mean over trainings; NaN without curves."""
    best = [
        max((s for s, f in zip(c["sensitivity"], c["false_per_unit"], strict=True) if f <= rate), default=0.0)
        for c in curves
        if c
    ]
    return sum(best) / len(best) if best else math.nan


def kept_case(row: Mapping[str, Any]) -> dict[str, Any]:
    """Of a case of `evaluation.json` what the tables are made of."""
    lesions = row["lesions"]
    each = [{key: lesion[key] for key in ("dice", "diameter_mm")} for lesion in lesions["reference"]]
    counts = {key: lesions[key] for key in ("total", "found", "false")}
    return {
        "patient": row["patient"],
        "tumour": {"dice": row["tumour"]["dice"]},
        "lesions": {**counts, "reference": each},
        "slices": row.get("slices"),
    }


def case_dice(row: Mapping[str, Any]) -> float:
    """Tumour Dice of a scan; NaN where it is undefined."""
    value = row["tumour"]["dice"]
    return math.nan if value is None else float(value)


def mean_over_seeds(seeds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Scan -> tumour Dice, mean over the trainings.

    Raises:
        InputError: the trainings were not scored on the same scans.
    """
    if any(set(seed) != set(seeds[0]) for seed in seeds):
        raise InputError("The trainings of one variant were scored on different scans; remove `scores`.")
    return {case: sum(case_dice(seed[case]) for seed in seeds) / len(seeds) for case in seeds[0]}


def dice_by_band(seeds: Sequence[Mapping[str, Any]]) -> list[float]:
    """Mean Dice of the lesions of each size band over scans and trainings; NaN for a band without lesions."""
    lesions = [lesion for seed in seeds for row in seed.values() for lesion in row["lesions"]["reference"]]
    groups = (
        [float(lesion["dice"]) for lesion in lesions if band.holds(lesion["diameter_mm"])]
        for band in DICE_BANDS
    )
    return [sum(group) / len(group) if group else math.nan for group in groups]


def _deviation(values: Sequence[float]) -> float:
    if len(values) < 2:
        return math.nan
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))


def slices_table(family: Family, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The MSCD paper's seven scores, per slice with tumour: mean over seeds, its SD, and the published.

    Args:
        results: variant -> per training, scan -> row of `evaluation.json`, with distances.
    """
    titles = ("Dice", "Hausdorff px", "Jaccard", "precision", "recall", "specificity", "F1")
    rows = [["per slice with tumour, in per cent", *titles]]
    for variant in family.variants:
        if variant.name not in results:
            continue
        seeds = [pooled_slices(list(seed.values())) for seed in results[variant.name]]
        line = [variant.name]
        for key in SLICE_SCORES:
            unit = 1.0 if key == "hausdorff_px" else 100.0
            values = [unit * seed[key] for seed in seeds]
            spread = f" ({_deviation(values):.1f})" if len(values) > 1 else ""
            line.append(f"{sum(values) / len(values):.1f}{spread}")
        rows.append(line)
        if variant.published_slices:
            rows.append(["  published", *(f"{value:g}" for value in variant.published_slices)])
    return (
        f"{align(rows)}\nMean over trainings (SD). Hausdorff distance in pixels, where something was "
        "found; the papers' slices are others, on a grid of their own."
    )


def pooled_slices(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The seven scores over all slices with tumour of several scans; NaN without any.

    Args:
        rows: one per scan, each with `slices` as `evaluate` writes it, or None there.
    """
    parts = [row["slices"] for row in rows if row.get("slices")]
    pooled: dict[str, float] = {}
    for key in SLICE_SCORES[:-1]:
        weights = [
            part["n_slices"] - (part["n_without_distance"] if key == "hausdorff_px" else 0) for part in parts
        ]
        known = [
            (w, part[key]) for w, part in zip(weights, parts, strict=True) if w and part[key] is not None
        ]
        total = sum(weight for weight, _ in known)
        pooled[key] = sum(weight * value for weight, value in known) / total if total else math.nan
    pooled["f1"] = harmonic_mean(pooled["precision"], pooled["recall"])
    return pooled
