"""Lesion outlines: real ones from a bank of masks, procedural ones from noise on ellipsoids.

A shape is its signed depth (positive inside) on a small cube, scaled so that its equivalent diameter is 1.
Borders, rims and cores are functions of the depth, and the depth is what is rotated, scaled and resampled
onto a scan.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.errors import InputError
from LiverLesionAILib.volume.masks import largest_component
from numpy.typing import NDArray
from scipy import ndimage

from .texture import Spacing, smooth_noise


@dataclass(frozen=True, eq=False)
class Shape:
    """A lesion's outline, free of place and size.

    Attributes:
        depth: (n, m, k) float32; distance to the border in units of the equivalent diameter, positive inside.
        pitch: distance between its samples in the same unit; the lesion's centroid is the array's centre.
        source: "procedural" or the bank's key.
    """

    depth: NDArray[np.float32]
    pitch: float
    source: str = "procedural"

    @property
    def extent(self) -> float:
        """Largest distance of the border from the centre, in equivalent diameters."""
        inside = np.argwhere(self.depth > 0)
        centre = (np.array(self.depth.shape) - 1) / 2
        return float(np.sqrt(((inside - centre) ** 2).sum(axis=1).max()) * self.pitch + self.pitch)


def shape_from_mask(mask: NDArray[np.bool_], spacing_zyx_mm: Spacing, source: str = "mask") -> Shape:
    """The shape of one lesion's mask; holes are filled, stairs of thick slices smoothed.

    Raises:
        InputError: the mask is empty.
    """
    if not mask.any():
        raise InputError(f"The lesion mask {source} is empty; leave it out of the shape bank.")
    spacing = np.asarray(spacing_zyx_mm, float)
    diameter = float((6 / np.pi * mask.sum() * spacing.prod()) ** (1 / 3))
    # About 24 samples per diameter, not finer than the mask itself; the mask goes there first, as distances
    # are dear on fine grids.
    pitch = max(diameter / 24, float(spacing.min()) * 0.8)
    pad = [(int(np.ceil(0.35 * diameter / s)) + 1,) * 2 for s in spacing]
    filled = ndimage.binary_fill_holes(np.pad(mask, pad)).astype(np.float32)
    thick = np.maximum(0.35, 0.4 * pitch / spacing)
    iso = ndimage.gaussian_filter(filled, thick, truncate=2.5)
    iso = ndimage.zoom(iso, spacing / pitch, order=1, grid_mode=True, mode="nearest")
    inside = iso > min(0.5, 0.6 * float(iso.max()))
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    iso = ndimage.gaussian_filter((depth * pitch).astype(np.float32), 0.8)
    return _normalised(iso, pitch, source)


def _normalised(depth: NDArray[np.float32], pitch_mm: float, source: str) -> Shape:
    """Centre the outline on its centroid, keep its largest part, and scale it to equivalent diameter 1."""
    inside = largest_component(depth > 0)
    depth = np.where((depth > 0) & ~inside, -np.abs(depth) - 0.5 * pitch_mm, depth)
    if not inside.any():
        depth = depth - depth.max() + 0.5 * pitch_mm
        inside = depth > 0
    diameter = float((6 / np.pi * inside.sum()) ** (1 / 3) * pitch_mm)
    centroid = np.array([axis.mean() for axis in np.nonzero(inside)])
    half = np.maximum(centroid, np.array(depth.shape) - 1 - centroid)
    before = np.round(half - centroid).astype(int)
    after = np.round(half - (np.array(depth.shape) - 1 - centroid)).astype(int)
    depth = np.pad(depth, list(zip(before, after, strict=True)), mode="edge")
    return Shape((depth / diameter).astype(np.float32), pitch_mm / diameter, source)


def procedural_shape(
    rng: np.random.Generator, roughness: float | None = None, samples: int = 26, elongation: float = 1.0
) -> Shape:
    """An ellipsoid with noise at several scales, or a union of a few of them (lobulated).

    Args:
        rng: source of all chance.
        roughness: SD of the border's displacement over the radius; None draws 0.03 to 0.25.
        samples: per equivalent diameter, about.
        elongation: exponent on the axis ratios: 0 gives a sphere, 1 the usual spread (ratios to about 1.8).
    """
    rough = float(rng.uniform(0.03, 0.25)) if roughness is None else roughness
    n = int(samples * 1.9)
    axis = (np.arange(n, dtype=np.float32) - (n - 1) / 2) * (1.9 / n)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij", sparse=True)
    lobes = 1 if rng.random() < 0.6 else int(rng.integers(2, 5))
    field_ = np.full((n, n, n), -9.0, np.float32)
    for lobe in range(lobes):
        radii = 0.5 * np.exp(rng.normal(0, 0.2, 3) * elongation).astype(np.float32)
        radii *= np.float32(1.0 if lobes == 1 else rng.uniform(0.55, 0.9))
        offset = rng.normal(0, 0.0 if lobe == 0 else 0.22, 3).astype(np.float32)
        distance = np.sqrt(
            ((z - offset[0]) / radii[0]) ** 2
            + ((y - offset[1]) / radii[1]) ** 2
            + ((x - offset[2]) / radii[2]) ** 2
        )
        np.maximum(field_, (1 - distance) * radii.min(), out=field_)
    unit = (1.9 / n,) * 3
    for scale, share in ((0.6, 0.8), (0.3, 0.45), (0.15, 0.25)):
        field_ += np.float32(rough * 0.5 * share) * smooth_noise((n, n, n), unit, scale, rng)
    inside = field_ > 0
    if not inside.any():
        inside = field_ >= field_.max()
    inside[0], inside[-1], inside[:, 0], inside[:, -1], inside[:, :, 0], inside[:, :, -1] = (False,) * 6
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    return _normalised(ndimage.gaussian_filter(depth.astype(np.float32), 0.7), 1.0, "procedural")


@dataclass(frozen=True, eq=False)
class ShapeBank:
    """Real lesion masks to draw outlines from; a mask becomes a shape when it is first drawn.

    Attributes:
        masks: bool arrays, z, y, x.
        spacings_zyx_mm: of each.
        diameters_mm: equivalent diameter of each.
        keys: name of each.
    """

    masks: Sequence[NDArray[np.bool_]]
    spacings_zyx_mm: Sequence[Spacing]
    diameters_mm: NDArray[np.float64]
    keys: Sequence[str]
    _made: dict[int, Shape] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.masks)

    @classmethod
    def load(
        cls,
        path: Path | str,
        organs: tuple[str, ...] = ("liver",),
        exclude: tuple[str, ...] = (),
        most: int | None = None,
    ) -> ShapeBank:
        """Read `lesion_masks.npz` with its `.json` beside it.

        Args:
            path: the .npz file.
            organs: which entries to take by their "organ"; empty takes all.
            exclude: leave out keys that begin so (the patients a network is tested on).
            most: read at most so many (evenly spread).

        Raises:
            InputError: a file is missing or is not such a bank.
        """
        path = Path(path)
        try:
            entries = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            entries = [e for e in entries if not organs or e["organ"] in organs]
            entries = [e for e in entries if not e["key"].startswith(tuple(exclude))]
            if most is not None:
                entries = entries[:: max(1, len(entries) // most)][:most]
            with np.load(path) as arrays:
                masks = [
                    np.unpackbits(arrays[e["key"] + "_bits"], count=int(np.prod(e["shape_zyx"])))
                    .reshape(e["shape_zyx"])
                    .astype(bool)
                    for e in entries
                ]
            spacings = [tuple(float(s) for s in e["spacing_zyx_mm"]) for e in entries]
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{path} is not a bank of lesion masks ({error}). It needs a .npz of packed masks and "
                "a .json of the same name with key, shape_zyx, spacing_zyx_mm and organ."
            ) from error
        used = [i for i, mask in enumerate(masks) if mask.sum() >= 8]
        diameters = [(6 / np.pi * masks[i].sum() * np.prod(spacings[i])) ** (1 / 3) for i in used]
        return cls(
            [masks[i] for i in used],
            [spacings[i] for i in used],
            np.array(diameters),
            [entries[i]["key"] for i in used],
        )

    def shape(self, index: int) -> Shape:
        """Outline number `index`."""
        if index not in self._made:
            self._made[index] = shape_from_mask(
                self.masks[index], self.spacings_zyx_mm[index], self.keys[index]
            )
        return self._made[index]

    def draw(self, diameter_mm: float, rng: np.random.Generator) -> Shape:
        """An outline of a lesion of about this size (within a factor of two where there are any)."""
        ratio = np.abs(np.log(self.diameters_mm / diameter_mm))
        near = np.flatnonzero(ratio < np.log(2.0))
        if len(near) < 5:
            near = np.argsort(ratio)[: min(20, len(self))]
        return self.shape(int(near[rng.integers(len(near))]))


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random rotation, mirrored half of the time: 3 x 3 orthogonal."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    return q * np.sign(np.diag(r))


def placed_depth(
    shape: Shape,
    diameter_mm: float,
    rotation: NDArray[np.float64],
    centre_zyx: NDArray[np.float64],
    box_shape_zyx: tuple[int, int, int],
    spacing_zyx_mm: Spacing,
) -> NDArray[np.float32]:
    """Signed depth in mm (positive inside) of a shape put onto a scan's box.

    Args:
        shape: the outline.
        diameter_mm: its equivalent diameter on the scan.
        rotation: 3 x 3 orthogonal, from the box's z, y, x to the shape's.
        centre_zyx: the lesion's centre in voxels of the box (fractions allowed).
        box_shape_zyx, spacing_zyx_mm: the box's grid.
    """
    to_index = rotation / (diameter_mm * shape.pitch) * np.asarray(spacing_zyx_mm, float)[None, :]
    offset = (np.array(shape.depth.shape) - 1) / 2 - to_index @ np.asarray(centre_zyx, float)
    depth = ndimage.affine_transform(
        shape.depth, to_index, offset, output_shape=box_shape_zyx, order=1, mode="nearest", output=np.float32
    )
    return depth * np.float32(diameter_mm)
