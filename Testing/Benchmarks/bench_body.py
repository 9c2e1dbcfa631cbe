"""How long a synthetic body takes, as a multiple of one Gaussian filter over a volume of the same size.

Run: ``python Testing/Benchmarks/bench_body.py [--bodies 5] [--phantoms]``. Processor time, so that other work
on the machine does not count; the ratio hardly depends on the machine.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parents[2] / "LiverLesionAI"))

from LiverLesionAILab.synthesis.body import BodySettings, make_body
from LiverLesionAILab.synthesis.phantom_body import find_phantoms, load_phantom, make_phantom_body

USUAL = BodySettings(spacing_zyx_mm=(2.5, 1.25, 1.25), field_mm=360.0, top_mm=40.0, bottom_mm=-260.0)
"""An abdomen as training uses it: 120 x 288 x 288 voxels."""


def filter_seconds(shape_zyx: tuple[int, ...], repeat: int = 3) -> float:
    """Processor seconds of one Gaussian filter (2 voxels) over a float32 volume; the best of some."""
    volume = np.random.default_rng(0).standard_normal(shape_zyx, dtype=np.float32)
    best = np.inf
    for _ in range(repeat):
        start = time.process_time()
        ndimage.gaussian_filter(volume, 2.0)
        best = min(best, time.process_time() - start)
    return best


def body_seconds(settings: BodySettings, count: int, first_seed: int = 0) -> tuple[float, tuple[int, ...]]:
    """Mean processor seconds per body, and the shape of the last."""
    make_body(np.random.default_rng(first_seed), settings)  # imports and caches
    start = time.process_time()
    for seed in range(first_seed, first_seed + count):
        body = make_body(np.random.default_rng(seed), settings)
    return (time.process_time() - start) / count, body.hu_zyx.shape


def main() -> int:
    parser = argparse.ArgumentParser(description="Speed of the synthetic bodies.")
    parser.add_argument("--bodies", type=int, default=5)
    parser.add_argument("--phantoms", action="store_true")
    args = parser.parse_args()
    seconds, shape = body_seconds(USUAL, args.bodies)
    unit = filter_seconds(shape)
    size = " x ".join(str(n) for n in shape)
    print(f"procedural body, {size}: {seconds:.2f} s, {seconds / unit:.1f} filters of {unit:.2f} s")
    if args.phantoms:
        found = find_phantoms()
        if not found:
            print("phantom body: label maps not found (see LIVERLESIONAI_DATA)")
        for path in found:
            start = time.process_time()
            shapes = load_phantom(path)
            loading = time.process_time() - start
            start = time.process_time()
            body = make_phantom_body(np.random.default_rng(0), USUAL, shapes)
            seconds = time.process_time() - start
            ratio = seconds / filter_seconds(body.hu_zyx.shape)
            print(f"{shapes.name}: {seconds:.2f} s, {ratio:.1f} filters (read once in {loading:.1f} s)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
