"""A small drawn body whose vessels are known, and a case of it with two lesions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from LiverLesionAILib.case.anatomy import Vessel
from LiverLesionAILib.case.findings import Box, CaseResult, Lesion, PhaseEstimate
from LiverLesionAILib.stages.anatomy.face import LiverView, VesselAnswer
from LiverLesionAILib.stages.measure.lesions import box_of, measure_mask
from LiverLesionAILib.support.progress import Progress, silent
from LiverLesionAILib.volume.ct import CtVolume
from LiverLesionAILib.volume.geometry import Geometry, triple
from LiverLesionAILib.volume.masks import label_boxes

GRID = Geometry.make((62, 74, 110), (3.0, 3.0, 3.0), (-165.0, -110.0, -90.0))
LESIONS = {1: ((-95.0, 10.0, 40.0), 11.0), 2: ((-48.0, -30.0, 10.0), 8.0)}
"""Number -> centre (LPS, mm) and radius (mm): one far on the right, one beside the middle vein."""


def tube(points: np.ndarray, ends: Iterable[Iterable[float]], radius: float) -> np.ndarray:
    """Points within `radius` of a line."""
    a, b = (np.array(list(end), float) for end in ends)
    t = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(points - a - t[..., None] * (b - a), axis=-1) < radius


def points_of(geometry: Geometry) -> np.ndarray:
    """LPS of every voxel."""
    return geometry.index_to_lps(np.stack(np.indices(geometry.shape_zyx), axis=-1))


class OneBranch:
    """A vessel network that sees one portal branch along a line.

    Args:
        ends: of the line (LPS, mm); radius_mm: round it; sureness: 0..255.
    """

    spacing_zyx_mm = (3.0, 3.0, 3.0)

    def __init__(self, ends: Iterable[Iterable[float]], radius_mm: float, sureness: int) -> None:
        self.ends, self.radius_mm, self.sureness = ends, radius_mm, sureness

    def vessels(self, view: LiverView, progress: Progress = silent) -> VesselAnswer:
        kinds = np.zeros((3, *view.geometry.shape_zyx), np.uint8)
        kinds[Vessel.PORTAL - 1][tube(points_of(view.geometry), self.ends, self.radius_mm)] = self.sureness
        return VesselAnswer(kinds.max(axis=0), kinds)


def vessel_body(vein_hu: float = 165.0, geometry: Geometry = GRID) -> tuple[np.ndarray, np.ndarray]:
    """HU without noise, and the liver, on a grid.

    The IVC lies 23 mm right of the spine, three hepatic veins run from it, the portal vein below.
    """
    points = points_of(geometry)
    x, y, z = np.moveaxis(points, -1, 0)
    hu = np.where(np.hypot(x / 155, y / 105) < 1, 40.0, -1000.0)
    hu[(np.hypot(x, y - 55) < 20)] = 320
    liver = ((x + 55) / 85) ** 2 + ((y + 12) / 62) ** 2 + (z / 80) ** 2 < 1
    liver |= ((x - 5) / 75) ** 2 + ((y + 40) / 30) ** 2 + ((z - 25) / 40) ** 2 < 1
    cava = tube(points, ((-24, 20, -90), (-22, 12, 75)), 11)
    liver &= ~cava & (np.hypot(x, y - 55) >= 24)
    hu[liver] = 110
    lines = (
        ((-23, 13, 58), (-75, 12, 20), 5),
        ((-23, 13, 58), (-50, -35, 20), 5),
        ((-23, 13, 58), (30, -42, 30), 4.5),
        ((-20, -5, -40), (-40, -14, -6), 6.5),
        ((-40, -14, -6), (-75, -10, -6), 6),
        ((-40, -14, -6), (-3, -32, 6), 5.5),
        ((-3, -32, 6), (0, -50, 8), 6),
    )
    for start, end, radius in lines:
        hu[tube(points, (start, end), radius)] = vein_hu
    hu[cava] = vein_hu - 15
    return hu, liver


def with_noise(hu: np.ndarray) -> np.ndarray:
    return hu + np.random.default_rng(3).normal(0, 6, hu.shape)


def vessel_case(vein_hu: float = 165.0, name: str = "CT") -> tuple[CtVolume, CaseResult]:
    """The body with its two lesions, and the findings."""
    hu, liver = vessel_body(vein_hu)
    points = points_of(GRID)
    labels = np.zeros(GRID.shape_zyx, np.uint16)
    for number, (centre, radius) in LESIONS.items():
        labels[np.linalg.norm(points - centre, axis=-1) < radius] = number
    hu[labels > 0] = 70
    hu = np.round(with_noise(hu)).astype(np.int16)
    lesions = []
    for number, box in label_boxes(labels).items():
        mask = labels == number
        place: Box = box_of(box, GRID, 0.9)
        measured = measure_mask(mask, hu, GRID, liver)
        lesions.append(Lesion(number, 0.9, triple(LESIONS[number][0]), place, measured))
    liver |= labels > 0
    ml = float(np.count_nonzero(liver)) * GRID.voxel_volume_mm3 / 1000.0
    phase = PhaseEstimate("portal venous", 0.9)
    return CtVolume(hu, GRID, name), CaseResult(
        name, GRID, liver, labels, tuple(lesions), liver_volume_ml=ml, phase=phase
    )
