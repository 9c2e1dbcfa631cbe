"""How visible lesions are by size: annotated ones of the labelled CTs, and synthetic ones in the same livers.

Run: ``python Testing/Benchmarks/lesion_contrast.py [--figure FILE.png] [--rounds 6]``. Needs the labelled CTs
(see LIVERLESIONAI_DATA). Prints, per size, quartiles of a lesion's mean HU against the liver around it, on
the training grid; `LesionSettings.small_mm` and `small_contrast` were set by it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[2] / "LiverLesionAI"))

from LiverLesionAILab.data.cases import TrainingCase, crop_to_liver, data_folder, decode_hu, lits_cases
from LiverLesionAILab.synthesis.appearance import LesionType
from LiverLesionAILab.synthesis.lesions import add_lesions
from LiverLesionAILab.training.bank import BankSettings, load_shapes
from LiverLesionAILib.support.errors import InputError

SPACING_ZYX_MM = (2.5, 1.25, 1.25)
BANDS_MM = ((0, 8), (8, 10), (10, 20), (20, 45))
RING_MM = (2.5, 8.0)


def contrasts(
    hu_zyx: NDArray, liver_zyx: NDArray[np.bool_], numbers_zyx: NDArray, spacing: tuple[float, float, float]
) -> NDArray[np.float64]:
    """(n, 2): equivalent diameter in mm, and mean HU minus the median of the liver 2.5 to 8 mm around."""
    found = []
    reach = [int(np.ceil((RING_MM[1] + 2) / s)) for s in spacing]
    for number, box in enumerate(ndimage.find_objects(numbers_zyx), start=1):
        if box is None:
            continue
        window = tuple(slice(max(0, b.start - r), b.stop + r) for b, r in zip(box, reach, strict=True))
        mask = numbers_zyx[window] == number
        away = ndimage.distance_transform_edt(~mask, sampling=spacing)
        ring = (away > RING_MM[0]) & (away < RING_MM[1]) & liver_zyx[window] & (numbers_zyx[window] == 0)
        if ring.sum() >= 30:
            hu = hu_zyx[window]
            diameter = (6 / np.pi * mask.sum() * np.prod(spacing)) ** (1 / 3)
            found.append((diameter, hu[mask].mean() - np.median(hu[ring])))
    return np.array(found, float).reshape(-1, 2)


def real_and_synthetic(
    case: TrainingCase, shapes: object | None, rounds: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Contrasts of a scan's own lesions, and of metastases put into it as training puts them."""
    hu, real = decode_hu(case.grey_zyx), case.labels_zyx == 2
    liver = (case.labels_zyx == 1) | real
    own, _ = ndimage.label(real, np.ones((3, 3, 3)))
    settings = replace(
        BankSettings().lesions,
        count=14,
        type_weights={LesionType.METASTASIS: 1.0},
        diameter_mm=(4.0, 40.0),
        large_share=0.0,
        cluster_share=0.0,
    )
    made = []
    for seed in range(rounds):
        rng = np.random.default_rng((seed, 5))
        put = add_lesions(hu, liver, case.spacing_zyx_mm, rng, settings, occupied_zyx=real, shape_bank=shapes)
        seen = np.clip(put.hu_zyx, -160, 240)
        made.append(contrasts(seen, put.liver_zyx & ~real, put.labels_zyx.astype(int), case.spacing_zyx_mm))
    return contrasts(hu, liver, own, case.spacing_zyx_mm), np.concatenate(made)


def figure(real: NDArray[np.float64], synthetic: NDArray[np.float64], path: Path) -> None:
    """Contrast against size of both."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(6, 4), layout="constrained")
    axes = drawn.add_subplot()
    axes.plot(*synthetic.T, ".", color="0.65", markersize=4, label=f"synthetic ({len(synthetic)})")
    axes.plot(*real.T, "o", color="#D55E00", markersize=5, label=f"annotated ({len(real)})")
    axes.set_xscale("log")
    axes.set_xlabel("equivalent diameter, mm")
    axes.set_ylabel("mean HU against the liver around")
    axes.legend(fontsize=8)
    drawn.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description="Contrast of annotated and synthetic lesions by size.")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    args = parser.parse_args()
    try:
        data = data_folder()
    except InputError as error:
        print(error)
        return 1
    bank = data / "shapes" / "lesion_masks.npz"
    shapes = load_shapes(bank) if bank.is_file() else None
    with tempfile.TemporaryDirectory() as cache:
        cases = [crop_to_liver(c, 20.0) for c in lits_cases(data, Path(cache), SPACING_ZYX_MM)]
    pairs = [real_and_synthetic(case, shapes, args.rounds) for case in cases]
    real, synthetic = (np.concatenate([pair[k] for pair in pairs]) for k in (0, 1))
    print("size, mm    annotated: n, quartiles (HU)      synthetic: n, quartiles (HU)")
    for low, high in BANDS_MM:
        cells = []
        for rows in (real, synthetic):
            values = rows[(rows[:, 0] >= low) & (rows[:, 0] < high), 1]
            quartiles = np.percentile(values, (25, 50, 75)) if len(values) else [np.nan] * 3
            cells.append(f"{len(values):5d}  " + "  ".join(f"{q:6.1f}" for q in quartiles))
        print(f"{low:3d}-{high:<3d}    {cells[0]}        {cells[1]}")
    if args.figure:
        figure(real, synthetic, args.figure)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
