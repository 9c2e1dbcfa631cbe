"""Files of single axial slices as the real ones are laid out, drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

LIVER_HU, BILE_HU = 110.0, 8.0


def write_slices(folder: Path) -> None:
    """Patients 4 (validation) and 1; a slice each with a gallbladder, without one, and one unsure."""
    rng = np.random.default_rng(0)
    images, masks, outlines = (np.zeros((4, 160, 160), np.uint8) for _ in range(3))
    for number in range(4):
        image = np.zeros((160, 160))
        image[10:150, 10:150] = 45
        image[30:110, 18:64], masks[number, 30:110, 18:64] = LIVER_HU, 1
        if number == 0:
            image[60:85, 66:86], outlines[number, 60:85, 66:86] = BILE_HU, 1
        images[number] = np.clip(image + rng.normal(0, 3, image.shape) * (image > 0), 0, 255)
    folder.mkdir(parents=True)
    np.savez(
        folder / "slices.npz",
        images=images,
        masks=masks,
        patient=np.array([4, 4, 1, 1]),
        pixel_mm=np.array([1.5, np.nan, 1.5, 1.5]),
        label_kind=np.array(["liver_only", "no_tumour", "liver_only", "liver_only"]),
    )
    np.savez(
        folder / "gallbladders.npz", masks=outlines, kind=np.array(["outlined", "none", "none", "unsure"])
    )
