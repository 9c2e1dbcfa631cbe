"""Small vessels and lymph nodes in the visceral fat, so that it is not empty."""

from __future__ import annotations

import numpy as np

from .abdomen import Scene
from .fields import spline_path, tube
from .organs import Organ


def add_mesentery(scene: Scene, n_vessels: int = 42) -> None:
    """Mesenteric, omental and gastric vessels as short curved tubes; now and then a node."""
    rng = scene.rng
    root = np.array([-165.0, -12.0, 0.0])
    for i in range(n_vessels):
        if i % 3:
            tip = np.array([rng.uniform(-300, -140), rng.uniform(-75, 0), rng.uniform(-70, 80)])
            start = root + 0.35 * (tip - root) + rng.normal(0, 10, 3)
        else:  # omentum and stomach
            tip = np.array([rng.uniform(-210, -60), rng.uniform(-80, -20), rng.uniform(0, 95)])
            start = tip + rng.normal(0, 28, 3)
        middle = (start + tip) / 2 + rng.normal(0, 10, 3)
        r = rng.uniform(0.9, 2.3)
        path = spline_path(scene.place([[*start, r * 1.3], [*middle, r], [*tip, r * 0.6]]), 2.0)
        path[:, 1] -= 14 * scene.patient.visceral
        box, sdf, _ = tube(scene.grid, path, 3.0)
        scene.add(Organ.VESSEL, box, sdf)
    for _ in range(int(rng.integers(2, 9))):
        c = scene.place([[rng.uniform(-260, -60), rng.uniform(-40, 20), rng.uniform(-45, 60)]])[0]
        path = np.array([[*c, rng.uniform(1.8, 4)], [*(c + rng.normal(0, 2.5, 3)), rng.uniform(1.8, 4)]])
        box, sdf, _ = tube(scene.grid, path, 3.0)
        scene.add(Organ.OTHER, box, sdf)
