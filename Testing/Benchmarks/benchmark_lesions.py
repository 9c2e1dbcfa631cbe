"""Speed of lesion and distractor synthesis on a liver crop, as a ratio that does not depend on the machine.

    python Testing/Benchmarks/benchmark_lesions.py [--repeats N]

Prints milliseconds per crop (6 lesions, distractors as usual, 70 x 170 x 220 voxels of 2.5 x 1.25 x 1.25 mm)
and how many 3D Gaussian filters (sigma 2 voxels) of the same crop take as long.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "LiverLesionAI"), str(ROOT / "Testing")]

from LiverLesionAILab.synthesis.distractors import add_distractors
from LiverLesionAILab.synthesis.lesions import LesionSettings, add_lesions
from support.lesion_phantom import SPACING, noisy_liver

SHAPE = (70, 170, 220)
#: Ratio above which a change made it too slow: 0.8 s per crop on a core that filters the crop in 0.04 s.
LIMIT = 20.0


def seconds(work: Callable[[int], object], repeats: int) -> float:
    """Mean wall time of `work(k)` over k = 0 .. repeats - 1."""
    start = time.perf_counter()
    for k in range(repeats):
        work(k)
    return (time.perf_counter() - start) / repeats


def measure(repeats: int) -> dict[str, float]:
    """Seconds per crop of each part and the ratio of the whole to one Gaussian filter."""
    hu, liver = noisy_liver(0, SHAPE, vessels=True)
    settings = LesionSettings(count=6)
    filter_s = seconds(lambda k: ndimage.gaussian_filter(hu, 2.0), max(3, repeats // 4))
    lesions_s = seconds(
        lambda k: add_lesions(hu, liver, SPACING, np.random.default_rng(k), settings), repeats
    )
    distractors_s = seconds(lambda k: add_distractors(hu, liver, SPACING, np.random.default_rng(k)), repeats)
    whole = lesions_s + distractors_s
    return {"filter": filter_s, "lesions": lesions_s, "distractors": distractors_s, "ratio": whole / filter_s}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    result = measure(parser.parse_args().repeats)
    for name in ("filter", "lesions", "distractors"):
        print(f"{name:12s} {1000 * result[name]:8.0f} ms")
    print(f"ratio        {result['ratio']:8.2f}  (limit {LIMIT})")
    return 0 if result["ratio"] <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
