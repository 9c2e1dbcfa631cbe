"""A liver's known trees: grown into its form, painted on the canvas."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..abdomen import Scene
from ..fields import Array, Grid, upsample
from ..liver import LiverShape
from ..liver_vessels import lower_to_capsule
from ..organs import Organ
from ..paint import Canvas
from .growth import Tree, grow
from .habit import Branch, Habit
from .sectors import Frame, divide, frame_of
from .trunks import centres, hepatic_trunks, portal_trunks

_DRAINS = {
    Branch.HEPATIC_RIGHT: (6, 7, 8, 5),
    Branch.HEPATIC_MIDDLE: (4, 9, 5, 8),
    Branch.HEPATIC_LEFT: (2, 3, 4),
    Branch.HEPATIC_RIGHT_INFERIOR: (6,),
}
_RADIUS_MM = {
    Branch.HEPATIC_RIGHT: 5.4,
    Branch.HEPATIC_MIDDLE: 4.8,
    Branch.HEPATIC_LEFT: 4.6,
    Branch.HEPATIC_RIGHT_INFERIOR: 4.2,
}
PORTAL_RADIUS_MM = 7.0


@dataclass(eq=False)
class KnownTrees:
    """Paints a liver's vessels (a `Trees` of :mod:`..body`) and keeps what it has painted.

    Attributes:
        habit: how they branch.
        portal: the portal tree; hepatic: a tree for every hepatic vein.
        frame: fixed points of the liver.
        landmarks: by name, body coordinates (z, y, x), mm.
    """

    habit: Habit
    portal: Tree | None = None
    hepatic: list[Tree] = field(default_factory=list)
    frame: Frame | None = None
    landmarks: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __call__(self, scene: Scene, canvas: Canvas, part: Grid, shape: LiverShape) -> None:
        """See `Trees`."""
        rng = scene.rng
        frame = self.frame = frame_of(scene, part, shape)
        codes = divide(scene, part, shape, frame, self.habit)
        goals = centres(part, codes, shape.distance)
        deep = np.argwhere(shape.distance < -3.5)
        points = deep * np.array(part.spacing_zyx_mm) + np.array(part.origin_zyx_mm)
        owner = codes[tuple(deep.T)]
        litres = len(deep) * float(np.prod(part.spacing_zyx_mm)) / 1e6
        density = float(rng.uniform(260, 340)) * litres / max(1, len(deep))

        def ends(segments: tuple[int, ...], share: float = 1.0) -> NDArray[np.float64]:
            own = points[np.isin(owner, segments)]
            count = int(np.ceil(density * share * len(own)))
            if not count:
                return np.zeros((0, 3))
            return own[rng.integers(len(own), size=count)] + rng.uniform(-1, 1, (count, 3))

        sizes = np.clip(rng.normal(1, 0.12, 2), 0.75, 1.3)
        trunks, self.landmarks = portal_trunks(scene, frame, self.habit, goals)
        terminals = [(ends((code,)), (Branch.SEGMENT + code,)) for code in goals]
        self.portal = grow(rng, trunks, terminals, PORTAL_RADIUS_MM * sizes[0])
        veins, found = hepatic_trunks(scene, part, codes, shape.distance, frame, self.habit, goals)
        self.landmarks |= found
        for branch, laid in veins.items():
            drained = ends(_DRAINS[Branch(branch)], 0.5)
            radius = _RADIUS_MM[Branch(branch)] * sizes[1]
            if self.habit.right_inferior and branch == Branch.HEPATIC_RIGHT:
                radius *= 0.7
            self.hepatic.append(grow(rng, laid, [(drained, (branch,))], radius))
        self._draw(scene, canvas, part, shape.distance)

    def _draw(self, scene: Scene, canvas: Canvas, part: Grid, liver_sdf: Array) -> None:
        box = canvas.box_of(part)
        if any(s.stop <= s.start for s in box) or self.portal is None:
            return
        fine = canvas.grid.part(box)
        inside = upsample(liver_sdf, part, fine) + np.float32(0.8)
        hepatic = np.full(fine.shape_zyx, 30.0, np.float32)
        for tree in self.hepatic:
            for piece, _ in tree.pieces():
                lower_to_capsule(fine, hepatic, piece)
        within = np.full(fine.shape_zyx, 30.0, np.float32)
        hilar = within.copy()
        for piece, branch in self.portal.pieces():
            lower_to_capsule(fine, hilar if branch < Branch.SEGMENT else within, piece)
        canvas.blend(box, np.maximum(hepatic, inside), scene.hu[Organ.HEPATIC_VEIN], Organ.HEPATIC_VEIN)
        portal = np.minimum(np.maximum(within, inside), hilar)
        canvas.blend(box, portal, scene.hu[Organ.PORTAL_VEIN], Organ.PORTAL_VEIN)
