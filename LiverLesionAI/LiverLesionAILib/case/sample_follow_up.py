"""The sample case's follow-up: the shipped CT a quarter of a year later, made when it is opened.

What changed stands in a small file (`liverlesionai synthesize sample` writes it): a breath, another grid, one
lesion grown, one shrunk, one gone, a new one. The second CT is the first one seen through that, with new
noise, so a second volume need not be shipped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..support.errors import InputError
from ..volume.ct import AIR_HU, CtVolume, Geometry
from .sample import SampleCase, load_sample, sample_folder

NAME = "LiverLesionAI sample case, follow-up"
CHANGES_FILE = "sample_follow_up.json"


@dataclass(frozen=True)
class Resized:
    """A lesion that grew or shrank; `radius_mm` holds all of it, `reach_mm` all that gives way."""

    number: int
    centre_lps: tuple[float, float, float]
    factor: float
    radius_mm: float
    reach_mm: float


@dataclass(frozen=True)
class Copied:
    """A ball that shows what is elsewhere: healthy liver where a lesion was, or a lesion where none was.

    Attributes:
        number: of the lesion that comes (new) or goes.
        centre_lps, radius_mm, edge_mm: the ball, and how wide its edge blends.
        from_lps: the middle of what it shows.
        source: number of the lesion that is shown; 0 for healthy liver.
        factor: its size there against its size in the prior scan.
    """

    number: int
    centre_lps: tuple[float, float, float]
    radius_mm: float
    edge_mm: float
    from_lps: tuple[float, float, float]
    source: int
    factor: float = 1.0


@dataclass(frozen=True)
class SampleChanges:
    """What happened between the two scans.

    Attributes:
        days: of both scans.
        shift_lps_mm, bend_mm, bend_length_mm: the breath: a shift, and a wave along the body.
        spacing_zyx_mm: of the second scan.
        noise_hu, seed: SD of the noise that is added.
    """

    days: tuple[date, date]
    shift_lps_mm: tuple[float, float, float]
    bend_mm: float
    bend_length_mm: float
    spacing_zyx_mm: tuple[float, float, float]
    noise_hu: float
    seed: int
    resized: tuple[Resized, ...]
    copied: tuple[Copied, ...]

    def before(self, points_lps: NDArray[Any]) -> NDArray[np.float64]:
        """(n, 3) points of the second scan where they were in the first, by the breath alone; LPS mm."""
        there = np.asarray(points_lps, float) - self.shift_lps_mm
        there[:, 1] -= self.bend_mm * np.sin(2 * np.pi * there[:, 2] / self.bend_length_mm)
        return there


@dataclass(frozen=True, eq=False)
class SampleFollowUp:
    """Both scans with their truth; a lesion has the same number in both."""

    prior: SampleCase
    current: SampleCase
    changes: SampleChanges


def load_follow_up(folder: Path | None = None) -> SampleFollowUp:
    """The sample case and its follow-up (some seconds).

    Raises:
        InputError: a file is missing or damaged.
    """
    folder = folder or sample_folder()
    prior = load_sample(folder)
    try:
        known = json.loads((folder / CHANGES_FILE).read_text(encoding="utf-8"))
        changes = changes_of(known)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"The sample case in {folder} is missing or damaged ({error}). Install the extension again."
        ) from error
    return SampleFollowUp(prior, followed_up(prior, changes), changes)


def changes_of(known: Mapping[str, Any]) -> SampleChanges:
    """What the file says.

    Raises:
        ValueError, KeyError, TypeError: it is no such file.
    """
    days = [date.fromisoformat(day) for day in known["days"]]
    lists = {
        "resized": tuple(Resized(**_tuples(one)) for one in known["resized"]),
        "copied": tuple(Copied(**_tuples(one)) for one in known["copied"]),
    }
    return SampleChanges(**{**_tuples(known), **lists, "days": (days[0], days[1])})


def _tuples(known: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}


def followed_up(prior: SampleCase, changes: SampleChanges) -> SampleCase:
    """The second scan with its truth."""
    source = prior.volume.geometry
    grid = source.with_spacing(changes.spacing_zyx_mm)
    hu = np.empty(grid.shape_zyx, np.float32)
    liver, labels = np.empty(grid.shape_zyx, bool), np.empty(grid.shape_zyx, np.uint16)
    rng = np.random.default_rng(changes.seed)
    for z in range(grid.shape_zyx[0]):
        # Slice by slice: all places at once would take a gigabyte.
        hu[z], liver[z], labels[z] = _slice(prior, changes, source, grid, z)
        hu[z] += rng.normal(0.0, changes.noise_hu, hu[z].shape).astype(np.float32)
    hu = np.clip(np.rint(hu), AIR_HU, None)
    return SampleCase(CtVolume(hu.astype(np.int16), grid, NAME), liver, labels)


def _slice(
    prior: SampleCase, changes: SampleChanges, source: Geometry, grid: Geometry, z: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.uint16]]:
    shape = grid.shape_zyx[1:]
    y, x = np.indices(shape).reshape(2, -1)
    places = changes.before(np.asarray(grid.index_to_lps(np.stack([np.full_like(y, z), y, x], axis=-1))))
    for one in changes.resized:
        places = _resized(places, one)
    hu, liver, labels = _at(prior, source, places)
    for copy in changes.copied:
        near, away, distance = _within(places, copy.centre_lps, copy.radius_mm + copy.edge_mm)
        if not len(near):
            continue
        shown = np.asarray(copy.from_lps) + away / copy.factor
        other_hu, _, other = _at(prior, source, shown)
        share = np.clip((copy.radius_mm + copy.edge_mm - distance) / copy.edge_mm, 0.0, 1.0)
        hu[near] = (1 - share) * hu[near] + share * other_hu
        if copy.source:
            there = (other == copy.source) & (share > 0.5)
            labels[near] = np.where(there, copy.number, labels[near])
        else:
            labels[near] = np.where(labels[near] == copy.number, 0, labels[near])
    return hu.reshape(shape).astype(np.float32), liver.reshape(shape), labels.reshape(shape)


def _resized(places: NDArray[np.float64], one: Resized) -> NDArray[np.float64]:
    """Places seen through a lens about the lesion: what lay within its radius fills `factor` times of it."""
    near, away, distance = _within(places, one.centre_lps, one.reach_mm)
    known = np.interp(
        distance, [0.0, one.factor * one.radius_mm, one.reach_mm], [0.0, one.radius_mm, one.reach_mm]
    )
    places[near] = one.centre_lps + away * (known / np.maximum(distance, 1e-9))[:, None]
    return places


def _within(
    places: NDArray[np.float64], centre_lps: tuple[float, float, float], reach_mm: float
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """(Which places lie within reach, how far along each axis, how far)."""
    near = np.flatnonzero(np.abs(places[:, 2] - centre_lps[2]) < reach_mm)
    if len(near):
        near = near[np.all(np.abs(places[near, :2] - centre_lps[:2]) < reach_mm, axis=1)]
    away = places[near] - centre_lps
    distance = np.linalg.norm(away, axis=-1)
    inside = distance < reach_mm
    return near[inside], away[inside], distance[inside]


def _at(
    case: SampleCase, grid: Geometry, places_lps: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.uint16]]:
    index = np.asarray(grid.lps_to_index(places_lps), float).T
    hu = ndimage.map_coordinates(case.volume.hu_zyx, index, np.float64, order=1, cval=AIR_HU)
    nearest = [np.rint(axis).astype(int) for axis in index]
    inside = np.all([(k >= 0) & (k < n) for k, n in zip(nearest, grid.shape_zyx, strict=True)], axis=0)
    held = tuple(np.where(inside, k, 0) for k in nearest)
    return hu, case.liver_zyx[held] & inside, np.where(inside, case.lesion_labels_zyx[held], 0)
