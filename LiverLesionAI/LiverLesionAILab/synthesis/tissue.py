"""The liver that something is put into: its level, noise, depth and surface, measured once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .texture import NoiseModel, Spacing, gaussian, measure_noise

Box = tuple[slice, ...]


@dataclass(eq=False)
class LiverTissue:
    """A volume under work and what is known of its liver.

    Attributes:
        hu: float32, changed in place by whoever works on it.
        liver: bool, may be changed too.
        spacing: z, y, x, mm.
        level_hu: median HU of the liver.
        noise: the liver's noise.
        depth_mm: distance to the liver's surface on every `step`-th voxel, positive inside.
        step: z, y, x.
        protected: voxels (lesions) that painting and shifting leave as they are, or None.
    """

    hu: NDArray[np.float32]
    liver: NDArray[np.bool_]
    spacing: Spacing
    level_hu: float
    noise: NoiseModel
    depth_mm: NDArray[np.float32]
    step: NDArray[np.int64]
    protected: NDArray[np.bool_] | None = None

    @classmethod
    def measure(
        cls,
        hu: NDArray[np.float32],
        liver: NDArray[np.bool_],
        spacing: Spacing,
        rng: np.random.Generator,
        without: NDArray[np.bool_] | None = None,
    ) -> LiverTissue:
        """Measure a liver that is not empty; `without` (lesions) does not count as its tissue."""
        tissue = liver if without is None else liver & ~without
        sample = hu[::3, ::3, ::3][tissue[::3, ::3, ::3]]
        level = float(np.median(sample)) if sample.size else float(np.median(hu[liver]))
        spacing = tuple(float(s) for s in spacing)
        # About 4 mm apart is fine enough to choose places by, and cheap.
        step = np.maximum(1, np.round(4.0 / np.asarray(spacing))).astype(int)
        coarse = np.pad(liver[:: step[0], :: step[1], :: step[2]], 1)
        depth = ndimage.distance_transform_edt(coarse, sampling=step * np.asarray(spacing))[1:-1, 1:-1, 1:-1]
        noise = measure_noise(hu, tissue, spacing, rng)
        return cls(hu, liver, spacing, level, noise, depth.astype(np.float32), step)

    @property
    def volume_mm3(self) -> float:
        """Volume of the liver, from the coarse grid."""
        return float((self.depth_mm > 0).sum()) * float(np.prod(self.step * np.array(self.spacing)))

    def outward(self, coarse_index: NDArray) -> NDArray[np.float64]:
        """Unit vector (z, y, x, in mm) from a coarse voxel towards the nearest surface."""
        low = np.maximum(coarse_index - 2, 0)
        high = np.minimum(coarse_index + 3, self.depth_mm.shape)
        patch = self.depth_mm[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
        slope = np.zeros(3)
        for axis in range(3):
            if patch.shape[axis] > 1:
                rise = patch.take(range(1, patch.shape[axis]), axis) - patch.take(
                    range(patch.shape[axis] - 1), axis
                )
                slope[axis] = -float(rise.mean()) / (self.step[axis] * self.spacing[axis])
        length = float(np.linalg.norm(slope))
        return slope / length if length > 1e-6 else np.array([-1.0, 0.0, 0.0])

    def surface_spot(
        self,
        toward_zyx: tuple[float, float, float],
        rng: np.random.Generator,
        near_mm: tuple[float, float, float] | None = None,
        tries: int = 60,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """A place at the liver's surface that faces about `toward_zyx`.

        Args:
            toward_zyx: unit vector, about.
            rng: source of all chance.
            near_mm: where to look, as an offset (z, y, x) from the liver's centroid; None looks everywhere.
            tries: number of places compared.

        Returns:
            (position in voxels, outward unit vector in mm space), or None when there is no liver.
        """
        shell = np.argwhere((self.depth_mm > 0) & (self.depth_mm < 7.0))
        if len(shell) == 0:
            return None
        picks = shell[rng.integers(0, len(shell), tries)]
        normals = np.array([self.outward(p) for p in picks])
        score = normals @ np.asarray(toward_zyx, float) + 0.15 * rng.standard_normal(tries)
        if near_mm is not None:
            pitch = self.step * np.array(self.spacing)
            aim = shell.mean(axis=0) * pitch + np.asarray(near_mm, float) + rng.normal(0, 8, 3)
            score -= np.linalg.norm(picks * pitch - aim, axis=1) / 45.0
        best = int(score.argmax())
        return picks[best] * self.step.astype(float), normals[best]

    def inner_spot(self, least_depth_mm: float, rng: np.random.Generator) -> NDArray[np.float64] | None:
        """A random place at least so deep, in voxels; the deepest places when none is."""
        spots = np.argwhere(self.depth_mm >= min(least_depth_mm, 0.7 * float(self.depth_mm.max())))
        if len(spots) == 0:
            return None
        return spots[int(rng.integers(len(spots)))] * self.step.astype(float)

    def box_around(self, centre_zyx: NDArray, reach_mm: float | NDArray) -> Box | None:
        """Box of voxels within `reach_mm` of a centre, cut at the volume's border; None when outside it."""
        reach = np.asarray(reach_mm, float) / np.asarray(self.spacing)
        start = np.maximum(0, np.floor(np.asarray(centre_zyx) - reach)).astype(int)
        stop = np.minimum(self.hu.shape, np.ceil(np.asarray(centre_zyx) + reach) + 1).astype(int)
        if (stop <= start).any():
            return None
        return tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))

    def offsets_mm(self, box: Box, centre_zyx: NDArray) -> list[NDArray[np.float32]]:
        """Three arrays that broadcast over the box: distance from the centre along z, y, x in mm."""
        return np.meshgrid(
            *[
                ((np.arange(s.start, s.stop) - c) * d).astype(np.float32)
                for s, c, d in zip(box, centre_zyx, self.spacing, strict=True)
            ],
            indexing="ij",
            sparse=True,
        )

    def free(self, box: Box) -> NDArray[np.float32] | float:
        """1 where the box may be changed, falling to 0 in and beside protected voxels."""
        if self.protected is None or not self.protected[box].any():
            return 1.0
        near = gaussian(ndimage.binary_dilation(self.protected[box], iterations=2), 1.5, self.spacing)
        return np.clip(1.0 - 1.6 * near, 0.0, 1.0)

    def shift(self, box: Box, change_hu: NDArray[np.float32]) -> None:
        """Add to the image: whatever is there (vessels, noise) stays visible."""
        self.hu[box] += change_hu * self.free(box)

    def paint(
        self,
        box: Box,
        soft: NDArray[np.float32],
        target_hu: NDArray[np.float32] | float,
        rng: np.random.Generator,
        out_of_liver: float | None = None,
    ) -> None:
        """Replace what is there by `target_hu` with the scan's noise.

        Args:
            box: where.
            soft: coverage 0..1 over the box.
            target_hu: HU without noise.
            rng: for the noise.
            out_of_liver: coverage above which a voxel no longer belongs to the liver; None leaves the liver.
        """
        soft = soft * self.free(box)
        hu = self.hu[box]
        hu += soft * (target_hu + self.noise.draw(hu.shape, rng) - hu)
        if out_of_liver is not None:
            taken = soft > out_of_liver
            if self.protected is not None:
                taken &= ~self.protected[box]
            self.liver[box] &= ~taken
