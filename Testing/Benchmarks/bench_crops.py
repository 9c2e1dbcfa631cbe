"""Training crops a core makes per second: 2.5D, 256 x 256 pixels, augmented.

Run: ``python Testing/Benchmarks/bench_crops.py [--crops 200]``. Processor time of one thread. Two ways: crops
of variants that are synthesised beforehand (what training does: a bank is made once and kept), and the same
with the making of the bank in the price, as in a run that has to make it first. Exit status 1 under 20 crops
per second.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "LiverLesionAI"))

import torch
from LiverLesionAILab.data.cases import TrainingCase, crop_to_liver, encode_hu
from LiverLesionAILab.synthesis.body import BodySettings, make_body
from LiverLesionAILab.training.bank import BankSettings, make_variant
from LiverLesionAILab.training.recipes import recipe
from LiverLesionAILab.training.sampling import CropSampler

CROP = 256
LEAST_PER_S = 20.0
VARIANTS = 4
RECIPE = recipe("sfan")


def liver_case() -> TrainingCase:
    """A synthetic liver as training stores a real one: cut to its box with a margin, 8 bits."""
    spacing = RECIPE.spec.spacing_zyx_mm
    body = make_body(
        np.random.default_rng(3), BodySettings(spacing_zyx_mm=spacing, top_mm=30.0, bottom_mm=-230.0)
    )
    whole = TrainingCase(
        "bench", "bench", encode_hu(body.hu_zyx), body.liver_zyx.astype(np.uint8), spacing, "real"
    )
    return crop_to_liver(whole, RECIPE.margin_mm or 45.0)


def measure(crops: int) -> dict[str, float]:
    """Crops per second without and with the making of the bank, seconds and looks per variant."""
    torch.set_num_threads(1)
    case = liver_case()
    settings = BankSettings()
    make_variant(case, np.random.default_rng(0), settings, None)  # imports and caches
    start = time.process_time()
    variants = [make_variant(case, np.random.default_rng(k), settings, None) for k in range(VARIANTS)]
    variant_s = (time.process_time() - start) / VARIANTS
    spec = replace(RECIPE.spec, in_slices=3)
    sampler = CropSampler(variants, {"variant": 1.0}, spec, CROP, 0, RECIPE.augment)
    for k in range(5):
        sampler.sample(k)
    start = time.process_time()
    for k in range(crops):
        image, _ = sampler.sample(10 + k)
    crop_s = (time.process_time() - start) / crops
    assert image.shape == (3, CROP, CROP)
    # How often a run looks at one variant.
    looks = (
        RECIPE.loop.steps * RECIPE.loop.batch * RECIPE.shares["variant"] / (5 * settings.variants_per_patient)
    )
    return {
        "crops_per_s": 1 / crop_s,
        "variant_s": variant_s,
        "looks": looks,
        "with_bank_per_s": 1 / (crop_s + variant_s / looks),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Speed of training crops.")
    parser.add_argument("--crops", type=int, default=200)
    result = measure(parser.parse_args().crops)
    print(f"{result['crops_per_s']:.0f} crops of 3 x {CROP} x {CROP} per second and core")
    print(
        f"{result['with_bank_per_s']:.0f} with the synthesis of the bank ({result['variant_s']:.2f} s per "
        f"variant, each looked at {result['looks']:.0f} times in a run)"
    )
    return 0 if result["with_bank_per_s"] >= LEAST_PER_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
