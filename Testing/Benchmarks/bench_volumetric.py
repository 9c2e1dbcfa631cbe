"""Whole volumes by VA networks.

Every image's features once, against the papers' evaluation of every target by itself.

python Testing/Benchmarks/bench_volumetric.py [--slices 24] [--pixels 256] [--bags 3 5 9] [--device cpu]
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "LiverLesionAI"))

import numpy as np
import torch
from LiverLesionAILib.models.folding import fold_batch_norm
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.networks.va_mask_rcnn import SIZES
from LiverLesionAILib.networks.va_rcnn import VaRcnn
from LiverLesionAILib.stages.detect.volumetric import SlabFeatures, walk


def per_target(network: VaRcnn, spec: InputSpec, hu_zyx: np.ndarray) -> int:
    """Number of detections, evaluating every target's whole bag."""
    features = SlabFeatures(network, spec, hu_zyx, spec.magnify)
    config = network.config
    offsets = (np.arange(config.bag) - config.bag // 2) * config.bag_step
    bag = torch.arange(config.bag, device=next(network.parameters()).device)[None]
    found = 0
    with torch.inference_mode():
        for target in range(len(hu_zyx)):
            images = features.images((target + offsets).clip(0, len(hu_zyx) - 1))
            found += len(network(images, bag).detections.scores)
    return found


def main() -> None:
    """Print a line per bag size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--pixels", type=int, default=256, help="edge of the slices as the network sees them")
    parser.add_argument("--bags", type=int, nargs="+", default=[3, 5, 9])
    parser.add_argument("--size", default="compact", choices=sorted(SIZES))
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    spec = InputSpec((2.5, 1.25, 1.25), (-75.0, 175.0), 3)
    hu = np.random.default_rng(0).normal(60, 40, (args.slices, args.pixels, args.pixels)).astype(np.float32)
    print(f"{args.slices} slices of {args.pixels} x {args.pixels}, {torch.get_num_threads()} threads")
    for bag in args.bags:
        torch.manual_seed(0)
        network = VaRcnn(replace(SIZES[args.size], bag=bag))
        network = fold_batch_norm(network).to(args.device, memory_format=torch.channels_last)
        list(walk(network, spec, hu[:4]))
        started = time.perf_counter()
        for _ in walk(network, spec, hu):
            pass
        once = time.perf_counter() - started
        started = time.perf_counter()
        per_target(network, spec, hu)
        each = time.perf_counter() - started
        print(f"bag of {bag}: {once:.2f} s; per target {each:.2f} s; {each / once:.1f} times faster")


if __name__ == "__main__":
    main()
