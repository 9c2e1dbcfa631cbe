"""What changes between the sample case and its follow-up, found from the sample's truth."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
from LiverLesionAILib.case.sample_follow_up import CHANGES_FILE, Copied, Resized, SampleChanges
from LiverLesionAILib.support.files import write_text
from LiverLesionAILib.volume.ct import Geometry
from LiverLesionAILib.volume.geometry import Vec3, triple
from numpy.typing import NDArray
from scipy import ndimage

GROWN, SHRUNK, GONE, MODEL = 1, 2, 4, 2
"""Numbers of lesions; the new one looks like `MODEL`, smaller."""
GROWN_FACTOR, SHRUNK_FACTOR, NEW_FACTOR = 1.28, 0.62, 0.52
GIVES_WAY_MM, EDGE_MM, APART_MM, ROOM_MM = 14.0, 4.0, 35.0, 12.0


def draw_changes(
    liver_zyx: NDArray[np.bool_], lesion_labels_zyx: NDArray[np.uint16], geometry: Geometry
) -> SampleChanges:
    """One lesion grows, one shrinks, one goes, one comes; two stay.

    Args:
        liver_zyx: with its lesions; lesion_labels_zyx: 1 to 5, as the sample has them.
    """
    spacing = geometry.spacing_zyx_mm
    depth = ndimage.distance_transform_edt(liver_zyx & (lesion_labels_zyx == 0), sampling=spacing)
    # The roomiest place is for the new lesion, the next one, away from it, shows healthy liver.
    roomy = np.argwhere(depth > ROOM_MM)
    places, room = np.asarray(geometry.index_to_lps(roomy)), depth[tuple(roomy.T)]
    new = _rounded(places[room.argmax()])
    far = np.linalg.norm(places - new, axis=-1) > APART_MM
    healthy = _rounded(places[far][room[far].argmax()])
    balls = {n: _ball(lesion_labels_zyx == n, geometry) for n in {GROWN, SHRUNK, GONE, MODEL}}
    resized = tuple(
        Resized(n, balls[n][0], factor, balls[n][1], round(max(1.0, factor) * balls[n][1] + GIVES_WAY_MM, 1))
        for n, factor in ((GROWN, GROWN_FACTOR), (SHRUNK, SHRUNK_FACTOR))
    )
    number = int(lesion_labels_zyx.max()) + 1
    copied = (
        Copied(GONE, balls[GONE][0], round(balls[GONE][1] + 1.5, 1), EDGE_MM, healthy, 0),
        Copied(number, new, round(NEW_FACTOR * balls[MODEL][1] + 1.5, 1), EDGE_MM, balls[MODEL][0], MODEL,
               NEW_FACTOR),
    )  # fmt: skip
    return SampleChanges(
        days=(date(2026, 1, 12), date(2026, 4, 13)),
        shift_lps_mm=(3.0, -4.0, -12.0),
        bend_mm=3.0,
        bend_length_mm=260.0,
        spacing_zyx_mm=(3.0, 1.7, 1.7),
        noise_hu=8.0,
        seed=20,
        resized=resized,
        copied=copied,
    )


def write_changes(changes: SampleChanges, folder: Path) -> Path:
    """Write the file that is shipped.

    Raises:
        OutputError: it cannot be written.
    """
    path = folder / CHANGES_FILE
    document = {**asdict(changes), "days": [day.isoformat() for day in changes.days]}
    write_text(path, json.dumps(document, indent=1) + "\n")
    return path


def _ball(mask: NDArray[np.bool_], geometry: Geometry) -> tuple[Vec3, float]:
    """(Middle, radius that holds every voxel in mm)."""
    points = np.asarray(geometry.index_to_lps(np.argwhere(mask)))
    middle = _rounded(points.mean(axis=0))
    return middle, round(float(np.linalg.norm(points - middle, axis=-1).max()), 1)


def _rounded(point_lps: NDArray[np.float64]) -> Vec3:
    return triple(np.round(point_lps, 1))
