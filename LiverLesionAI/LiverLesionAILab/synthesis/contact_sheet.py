"""Synthetic bodies beside real scans: a contact sheet, HU per organ, and noise spectra of the liver.

    python -m LiverLesionAILab.synthesis.contact_sheet --out sheet.png --bodies 4 [--data FOLDER] [--phantoms]

Real scans are read from FOLDER/lits (`*_ct.nii.gz` with `*_mask.nii.gz`) where present.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.errors import InputError, LiverLesionAIError
from LiverLesionAILib.support.files import replacing
from LiverLesionAILib.volume.ct import CtVolume, Geometry, reorient
from numpy.typing import NDArray

from .body import BodySettings, make_body
from .organs import Organ
from .phantom_body import find_phantoms, load_phantom, make_phantom_body
from .spectra import noise_spectrum

_SHOWN = (
    Organ.LIVER,
    Organ.SPLEEN,
    Organ.AORTA,
    Organ.PORTAL_VEIN,
    Organ.HEPATIC_VEIN,
    Organ.KIDNEY_CORTEX,
    Organ.PANCREAS,
    Organ.MUSCLE,
    Organ.FAT,
    Organ.GALLBLADDER,
)


@dataclass(frozen=True, eq=False)
class Row:
    """One scan on the sheet."""

    title: str
    hu_zyx: NDArray
    liver_zyx: NDArray[np.bool_]
    spacing_zyx_mm: tuple[float, float, float]
    labels_zyx: NDArray[np.uint8] | None = None


def synthetic_rows(count: int, seed: int, settings: BodySettings) -> list[Row]:
    """Procedural bodies with seeds `seed`, `seed` + 1, ..."""
    rows = []
    for k in range(seed, seed + count):
        body = make_body(np.random.default_rng(k), settings)
        title = f"seed {k}: {body.phase.value}, {body.patient.liver_kind.value}"
        rows.append(Row(title, body.hu_zyx, body.liver_zyx, body.geometry.spacing_zyx_mm, body.labels_zyx))
    return rows


def phantom_rows(count: int, seed: int, settings: BodySettings, folder: Path) -> list[Row]:
    """Phantom bodies, male and female in turn; none where the maps are missing."""
    shapes = [load_phantom(path) for path in find_phantoms(folder)]
    rows = []
    for k in range(count if shapes else 0):
        chosen = shapes[k % len(shapes)]
        body = make_phantom_body(np.random.default_rng(seed + k), settings, chosen)
        title = f"{chosen.name} {seed + k}: {body.phase.value}"
        rows.append(Row(title, body.hu_zyx, body.liver_zyx, body.geometry.spacing_zyx_mm, body.labels_zyx))
    return rows


def real_rows(folder: Path, count: int) -> list[Row]:
    """Labelled real scans; liver without its tumours."""
    import SimpleITK as sitk

    rows = []
    for path in sorted((folder / "lits").glob("*_ct.nii.gz"))[-count:]:
        volumes = []
        for name in (path, path.with_name(path.name.replace("_ct", "_mask"))):
            image = sitk.ReadImage(str(name))
            array = sitk.GetArrayFromImage(image)
            geometry = Geometry.make(
                array.shape, image.GetSpacing()[::-1], image.GetOrigin(), np.array(image.GetDirection())
            )
            volumes.append(reorient(CtVolume(array, geometry, name.name)))
        ct, mask = volumes
        rows.append(Row(path.name.split("_")[0], ct.hu_zyx, mask.hu_zyx == 1, ct.geometry.spacing_zyx_mm))
    return rows


def draw(rows: Sequence[Row], path: Path, window: tuple[float, float] = (-160.0, 240.0)) -> None:
    """Five axial slices through the liver and one coronal per row, W400 L40, at equal scale in mm."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(rows), 6, figsize=(24, 3.6 * len(rows)), squeeze=False)
    for row, line in zip(rows, axes, strict=True):
        hu, spacing = row.hu_zyx, row.spacing_zyx_mm
        z = np.flatnonzero(row.liver_zyx.any(axis=(1, 2)))
        low, high = (int(z[0]), int(z[-1])) if z.size else (0, len(hu) - 1)
        size = [n * s for n, s in zip(hu.shape, spacing, strict=True)]
        for axis, share in zip(line, (0.93, 0.75, 0.55, 0.35, 0.12), strict=False):
            image = hu[round(low + share * (high - low))]
            extent = (-size[2] / 2, size[2] / 2, size[1] / 2, -size[1] / 2)
            axis.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], extent=extent)
            axis.set_xlim(-215, 215)
            axis.set_ylim(160, -160)
        extent = (-size[2] / 2, size[2] / 2, -size[0] / 2, size[0] / 2)
        line[5].imshow(
            hu[::-1, int(hu.shape[1] * 0.48)], cmap="gray", vmin=window[0], vmax=window[1], extent=extent
        )
        line[0].set_title(row.title, loc="left", fontsize=11)
    for axis in axes.flat:
        axis.set_facecolor("black")
        axis.set_xticks([])
        axis.set_yticks([])
    figure.tight_layout(pad=0.3)
    with replacing(path) as part:
        figure.savefig(part, dpi=60, format="png")
    plt.close(figure)


def report(rows: Sequence[Row]) -> str:
    """A line per scan: HU of the liver and, where known, other organs; then noise spectra of the livers."""
    lines = ["HU, median (spread: half of the 16 to 84 percentile range)"]
    for row in rows:
        parts = [f"{row.title:34s}"]
        masks = {"liver": row.liver_zyx}
        if row.labels_zyx is not None:
            masks |= {o.name.lower(): row.labels_zyx == o for o in _SHOWN[1:]}
        for name, mask in masks.items():
            values = row.hu_zyx[mask]
            if values.size > 50:
                p = np.percentile(values, (16, 50, 84))
                parts.append(f"{name} {p[1]:.0f} ({(p[2] - p[0]) / 2:.0f})")
        lines.append("  ".join(parts))
    lines.append("")
    lines.append("Noise of the liver: SD, correlation of neighbouring slices, power by frequency (peak = 1)")
    for row in rows:
        try:
            noise = noise_spectrum(row.hu_zyx, row.liver_zyx, row.spacing_zyx_mm)
        except InputError as error:
            lines.append(f"{row.title:34s}  {error}")
            continue
        power = " ".join(f"{p:4.2f}" for p in noise.power / np.nanmax(noise.power))
        spacing = " x ".join(f"{s:.2g}" for s in row.spacing_zyx_mm)
        lines.append(
            f"{row.title:34s}  {noise.sd_hu:4.1f} HU  {noise.z_correlation:5.2f}  {power}  ({spacing} mm)"
        )
    lines.append(" " * 52 + " ".join(f"{f:4.2f}" for f in np.arange(0.03, 0.72, 0.06)) + "  cycles/mm")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the process's exit code."""
    parser = argparse.ArgumentParser(description="Synthetic bodies beside real scans.")
    parser.add_argument("--out", type=Path, default=Path("contact_sheet.png"))
    parser.add_argument("--bodies", type=int, default=4)
    parser.add_argument("--phantoms", action="store_true", help="also bodies from the ICRP 110 label maps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--spacing", type=float, nargs=3, default=(2.0, 0.8, 0.8), metavar=("Z", "Y", "X"))
    default = os.environ.get("LIVERLESIONAI_DATA", str(Path("..") / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default), help="folder with lits/ and shapes/")
    args = parser.parse_args(argv)
    settings = BodySettings(spacing_zyx_mm=tuple(args.spacing))
    try:
        rows = synthetic_rows(args.bodies, args.seed, settings)
        if args.phantoms:
            rows += phantom_rows(2, args.seed, settings, args.data / "shapes")
        real = real_rows(args.data, 3)
        if not real:
            print(f"No real scans in {args.data / 'lits'}: the sheet shows synthetic ones only.")
        rows += real
        draw(rows, args.out)
    except LiverLesionAIError as error:
        print(error)
        return 1
    print(report(rows))
    print(f"Sheet: {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
