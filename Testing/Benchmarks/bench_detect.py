"""How much faster CS-Att is over a volume when every three-slice image passes the backbone once.

    python Testing/Benchmarks/bench_detect.py [--images 5] [--slices 24] [--size compact]

Compares whole-volume detection with the papers' evaluation, in which the backbone sees all images of a window
anew for every target slice, and holds the two sets of boxes against each other.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

import numpy as np
import torch
from LiverLesionAILib.inputs import InputSpec
from LiverLesionAILib.networks.blocks import fold_batch_norm
from LiverLesionAILib.networks.cs_att import SIZES, CsAtt
from LiverLesionAILib.stages.detect import View, VolumeWindows, slice_boxes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5, help="M")
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--side", type=int, default=144, help="voxels of 1.25 mm")
    parser.add_argument("--size", choices=sorted(SIZES), default="compact")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    network = fold_batch_norm(CsAtt(replace(SIZES[args.size], images=args.images)))
    network.to(memory_format=torch.channels_last)
    spec = InputSpec((2.5, 1.25, 1.25), (-75.0, 175.0), 3 * args.images, magnify=1.5625)
    hu = np.random.default_rng(0).normal(60, 60, (args.slices, args.side, args.side)).astype(np.float32)
    view = View(slice(0, args.side), slice(0, args.side), range(args.slices))

    def alone() -> list[np.ndarray]:
        windows = VolumeWindows(network, spec, hu, view)
        scores = []
        for z in range(args.slices):
            with torch.inference_mode():
                images = torch.stack([windows.image(windows._centre(z + o)) for o in network.offsets])
                found, _ = network.detect(network.window(images.flatten(0, 1)[None]), windows.size_yx)
            scores.append(windows.to_grid(found[0])[1])
        return scores

    slice_boxes(network, spec, hu[:4], replace(view, slices=range(4)))
    started = time.process_time()
    together = slice_boxes(network, spec, hu, view)
    shared_s = time.process_time() - started
    started = time.process_time()
    separate = alone()
    alone_s = time.process_time() - started
    worst = max(
        float(np.abs(together.scores[together.slices == z] - separate[z]).max(initial=0.0))
        for z in range(args.slices)
    )
    print(
        f"{args.size}, M = {args.images}, {args.slices} slices of {args.side} x {args.side}: "
        f"{1000 * shared_s / args.slices:.0f} ms a slice with shared features, "
        f"{1000 * alone_s / args.slices:.0f} ms target by target, {alone_s / shared_s:.1f} times; "
        f"largest difference of a score {worst:.1e}"
    )


if __name__ == "__main__":
    main()
