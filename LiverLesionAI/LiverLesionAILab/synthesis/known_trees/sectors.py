"""Where the portal branch of each segment is to go: a first division of the liver that trees are grown into.

Only the growth uses it. What a voxel belongs to in the end is told by the grown tree (:mod:`.territory`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..abdomen import Scene
from ..fields import Array, Grid, smooth_field
from ..liver import LiverShape
from .habit import Habit

# Reference places (z, y, x in mm) of a 175 cm man, as in `abdomen`.
CONFLUENCE = (-16.0, 1.0, -20.0)
BIFURCATION = (-89.0, -11.0, -42.0)
IVC_AT_HILUM = (-89.0, 14.0, -26.0)
FOSSA = (-125.0, -45.0, -50.0)


@dataclass(frozen=True, eq=False)
class Frame:
    """Fixed points of a liver in body coordinates (z, y, x), mm.

    Attributes:
        confluence: middle of the IVC where the hepatic veins enter.
        ivc_low: middle of the IVC at the height of the hilum.
        bifurcation: of the portal vein.
        fissure: (a, b): the umbilical fissure lies at x = a + b * y.
    """

    confluence: NDArray[np.float64]
    ivc_low: NDArray[np.float64]
    bifurcation: NDArray[np.float64]
    fissure: tuple[float, float]

    def fissure_x(self, y: float) -> float:
        """Where the umbilical fissure lies at `y`, mm."""
        return self.fissure[0] + self.fissure[1] * y


def frame_of(scene: Scene, part: Grid, shape: LiverShape) -> Frame:
    """The fixed points of a liver that has its form and no vessels yet."""
    confluence, ivc_low = scene.place([CONFLUENCE, IVC_AT_HILUM])
    bifurcation = scene.place([BIFURCATION], 2.5)[0]
    where = np.argwhere((shape.falciform < 0) & (np.abs(shape.distance) < 30))
    if len(where) > 20:
        mm = where * np.array(part.spacing_zyx_mm) + np.array(part.origin_zyx_mm)
        slope, level = np.polyfit(mm[:, 1], mm[:, 2], 1)
        fissure = (float(level), float(np.clip(slope, -0.5, 0.5)))
    else:
        fissure = (float(scene.place([(-70.0, -40.0, -6.0)])[0, 2]), 0.0)
    return Frame(confluence, ivc_low, bifurcation, fissure)


def divide(scene: Scene, part: Grid, shape: LiverShape, frame: Frame, habit: Habit) -> NDArray[np.uint8]:
    """Codes of :data:`.habit.SEGMENTS` on `part`, 0 outside the liver.

    Sectors are wedges about the IVC with wavy borders: right of the middle hepatic vein's plane the right
    liver, left of the umbilical fissure the left lateral sector, between them segment IV, the caudate lobe
    behind. Levels at the bifurcation part upper from lower segments.
    """
    rng = scene.rng
    z, y, x = (part.axis_mm(a) for a in range(3))
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    waves = [smooth_field(rng, part, 32) * np.float32(4.5) for _ in range(3)]
    zw, yw, xw = z + waves[0], y + waves[1], x + waves[2]
    ivc_y, ivc_x = ivc_course(frame, z)
    middle, right = _angles(shape, frame, habit)
    # Degrees from straight ahead towards the patient's right.
    angle = np.rad2deg(np.arctan2(-(xw - ivc_x), -(yw - ivc_y)))
    level_right = frame.bifurcation[0] + 6 + habit.rise_mm[0]
    level_left = frame.bifurcation[0] + 16 + habit.rise_mm[1]
    fissure = frame.fissure[0] + frame.fissure[1] * yw
    is_right = (angle > middle) | (angle < -120)
    posterior = (angle > right) | (angle < -120)
    codes = np.where(zw > level_right, np.where(posterior, 7, 8), np.where(posterior, 6, 5))
    lateral = ~is_right & (xw > fissure)
    codes = np.where(~is_right, np.where(zw > level_left, 4, 9), codes)
    codes = np.where(lateral, 3, codes).astype(np.uint8)
    height = 0.75 * zw + 0.66 * yw
    inside = shape.distance < 0
    if (lateral & inside).any():
        cut = float(np.median(height[lateral & inside])) + float(rng.normal(0, 3))
        codes[lateral & (height > cut)] = 2
    codes[_caudate(scene, frame, zw, yw, xw, ivc_x)] = 1
    return np.where(inside, codes, 0).astype(np.uint8)


def ivc_course(frame: Frame, z: Array) -> tuple[Array, Array]:
    """y and x of the IVC's middle at heights `z`."""
    top, low = frame.confluence, frame.ivc_low
    t = np.clip((z - low[0]) / (top[0] - low[0]), -1.0, 1.3)
    return low[1] + t * (top[1] - low[1]), low[2] + t * (top[2] - low[2])


def _angles(shape: LiverShape, frame: Frame, habit: Habit) -> tuple[float, float]:
    """Of the planes of the middle and the right hepatic vein, degrees from straight ahead to the right."""
    fossa = shape.fossa_zyx
    towards = np.array(FOSSA) if fossa is None else fossa
    y, x = towards[1] - frame.ivc_low[1], towards[2] - frame.ivc_low[2]
    middle = float(np.clip(np.rad2deg(np.arctan2(-x, -y)) + 4.0, 18.0, 42.0))
    return middle + habit.turn_degree[0], 86.0 + habit.turn_degree[1]


def _caudate(scene: Scene, frame: Frame, z: Array, y: Array, x: Array, ivc_x: Array) -> NDArray[np.bool_]:
    """In front of the IVC, behind the hilum and the ligamentum venosum, below the hepatic veins."""
    sy, sx = scene.patient.scale_zyx[1:]
    behind = y > -5 * sy - 0.28 * (x + 10) - 0.1 * (z + 60)
    side = (x > ivc_x - 14 * sx) & (x < ivc_x + 48 * sx)
    height = (z < frame.confluence[0] - 20) & (z > frame.bifurcation[0] - 24)
    return behind & side & height & (y < frame.ivc_low[1] + 22 * sy)
