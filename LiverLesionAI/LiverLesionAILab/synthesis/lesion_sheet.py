"""Contact sheets: synthetic lesions and distractors beside real lesions of the same scans, to be looked at.

    python -m LiverLesionAILab.synthesis.lesion_sheet OUT [--data DIR] [--spacing MM] [--seed N]
    [--distractors]

OUT becomes a PNG. DIR holds `lits/lits*_ct.nii.gz` with masks and, where present, `shapes/lesion_masks.npz`;
without it the environment variable LIVERLESIONAI_DATA or `../shared/data` is taken. Needs matplotlib.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from LiverLesionAILib.support.errors import InputError, LiverLesionAIError
from LiverLesionAILib.support.files import replacing
from LiverLesionAILib.volume.ct import Geometry, resample
from numpy.typing import NDArray
from scipy import ndimage

from .distractors import MAKERS, DistractorSettings, add_distractors
from .lesions import LesionSettings, add_lesions
from .shapes import ShapeBank

WINDOWS = ((90.0, 170.0), (40.0, 400.0))
CROP_MM = 70.0


def read_case(
    ct: Path, spacing_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.uint8], tuple[float, float, float]]:
    """Image and mask (1 liver, 2 tumour) around the liver.

    In plane at `spacing_mm`, slices at twice that or thicker.
    """
    import SimpleITK

    image = SimpleITK.ReadImage(str(ct))
    hu = SimpleITK.GetArrayFromImage(image).astype(np.float32)
    mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(ct).replace("_ct.", "_mask.")))
    margin = (3, 25, 25)
    box = tuple(
        slice(max(0, int(w.min()) - m), int(w.max()) + m + 1)
        for w, m in zip(np.nonzero(mask), margin, strict=True)
    )
    grid = Geometry.make(hu[box].shape, image.GetSpacing()[::-1])
    target = grid.with_spacing((max(2 * spacing_mm, grid.spacing_zyx_mm[0]), spacing_mm, spacing_mm))
    liver = resample((mask[box] > 0).astype(np.float32), grid, target) > 0.5
    tumour = resample((mask[box] == 2).astype(np.float32), grid, target) > 0.5
    return resample(hu[box], grid, target), liver + tumour.astype(np.uint8), target.spacing_zyx_mm


def _crops(
    hu: NDArray[np.float32], labels: NDArray, spacing: tuple[float, float, float], most: int
) -> list[tuple[NDArray, NDArray]]:
    """Slices through the lesions' middles, cut to the same size in mm: (HU, outline)."""
    half = int(CROP_MM / 2 / spacing[1])
    crops = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None or len(crops) == most:
            continue
        areas = (labels[box] == number).sum(axis=(1, 2))
        z = box[0].start + int(areas.argmax())
        y, x = ((box[a].start + box[a].stop) // 2 for a in (1, 2))
        padded = np.pad(hu[z], half, constant_values=-160)[y : y + 2 * half, x : x + 2 * half]
        outline = np.pad(labels[z] > 0, half)[y : y + 2 * half, x : x + 2 * half]
        crops.append((padded, outline))
    return crops


def lesion_sheet(out: Path, data: Path, spacing_mm: float, seed: int, columns: int = 8) -> None:
    """Per scan a row of real lesions and one of synthetic ones in it; liver window, then abdomen window."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    cases = _cases(data)
    bank_file = data / "shapes" / "lesion_masks.npz"
    bank = ShapeBank.load(bank_file) if bank_file.exists() else None
    rows: list[tuple[str, list[tuple[NDArray, NDArray]]]] = []
    for ct in cases:
        hu, mask, spacing = read_case(ct, spacing_mm)
        real, _ = ndimage.label(mask == 2)
        rows.append((f"{ct.name[:7]} real", _crops(hu, real, spacing, columns)))
        settings = LesionSettings(count=columns, hu_range=(-160, 240))
        made = add_lesions(
            hu, mask > 0, spacing, np.random.default_rng(seed), settings, mask == 2, shape_bank=bank
        )
        rows.append((f"{ct.name[:7]} synthetic", _crops(made.hu_zyx, made.labels_zyx, spacing, columns)))
    figure, axes = pyplot.subplots(
        len(rows), 2 * columns, figsize=(3.2 * columns, 1.65 * len(rows)), squeeze=False
    )
    for ax in axes.flat:
        ax.axis("off")
    for line, (name, crops) in zip(axes, rows, strict=True):
        for i, (crop, outline) in enumerate(crops):
            for ax, (level, width) in zip((line[i], line[columns + i]), WINDOWS, strict=True):
                ax.imshow(crop, cmap="gray", vmin=level - width / 2, vmax=level + width / 2)
            if outline.any():
                line[columns + i].contour(outline, [0.5], colors="r", linewidths=0.5)
        line[0].set_title(name, fontsize=8, loc="left")
    figure.tight_layout(pad=0.2)
    _save(figure, out)


def distractor_sheet(out: Path, data: Path, spacing_mm: float, seed: int, columns: int = 4) -> None:
    """Per distractor: the slices it changed most, in several scans, with the liver's outline."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    volumes = [read_case(ct, spacing_mm) for ct in _cases(data)[-columns:]]
    lines = (len(MAKERS) + 1) // 2
    figure, axes = pyplot.subplots(lines, 2 * columns, figsize=(6.2 * columns, 2.8 * lines), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    never = dict.fromkeys(MAKERS, 0.0)
    for line, name in zip(axes.reshape(-1, columns), MAKERS, strict=False):
        for i, (hu, mask, spacing) in enumerate(volumes):
            settings = DistractorSettings(**{**never, name: 1.0}, hu_range=(-160, 240))
            made = add_distractors(
                hu, mask > 0, spacing, np.random.default_rng(seed + i), settings, protected_zyx=mask == 2
            )
            z = int(np.abs(made.hu_zyx - hu).sum(axis=(1, 2)).argmax())
            line[i].imshow(made.hu_zyx[z], cmap="gray", vmin=-40, vmax=200)
            line[i].contour(made.liver_zyx[z], [0.5], colors="lime", linewidths=0.5)
            line[i].set_title(", ".join(made.description) or f"{name}: no place", fontsize=8)
    figure.tight_layout(pad=0.3)
    _save(figure, out)


def _cases(data: Path) -> list[Path]:
    cases = sorted((data / "lits").glob("*_ct.nii.gz"))
    if not cases:
        raise InputError(f"No lits/*_ct.nii.gz under {data}: give the folder of the real scans with --data.")
    return cases


def _save(figure: object, out: Path) -> None:
    with replacing(out) as part:
        figure.savefig(part, dpi=70, format="png")  # type: ignore[attr-defined]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Synthetic lesions beside real ones, as one picture.")
    parser.add_argument("out", type=Path, help="PNG to write")
    default = os.environ.get("LIVERLESIONAI_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder with lits/ and shapes/")
    parser.add_argument("--spacing", type=float, default=1.25, help="mm in plane (default 1.25)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--distractors", action="store_true", help="distractors instead of lesions")
    options = parser.parse_args(arguments)
    try:
        sheet = distractor_sheet if options.distractors else lesion_sheet
        sheet(options.out, options.data, options.spacing, options.seed)
    except LiverLesionAIError as error:
        print(error, file=sys.stderr)
        return 2
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
