"""How much faster CS-Att is over a volume when every three-slice image passes the backbone once.

    python Testing/Benchmarks/bench_detect.py [--images 5] [--slices 0] [--size compact]

Whole-volume detection on the sample case against two ways of the papers' evaluation, in which every target
slice is looked at by itself, all images of its window passing the backbone anew: the network as in training,
and the code of the whole volume (maps only where a box is read) slice by slice. The sets of boxes are held
against each other. The compact network has the bundled weights, but for the layer whose width depends on M.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from LiverLesionAILab.training.key_trunk import read_weights, take_parts
from LiverLesionAILib.case.sample import load_sample
from LiverLesionAILib.models.folding import fold_batch_norm
from LiverLesionAILib.models.weights import Manifest
from LiverLesionAILib.networks.cs_att import SIZES, CsAtt
from LiverLesionAILib.stages.detect.slice_boxes import VolumeWindows, slice_boxes
from LiverLesionAILib.stages.detect.view import view_around
from LiverLesionAILib.volume.ct import resample, resample_labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=5, help="M")
    parser.add_argument("--slices", type=int, default=0, help="so many in the middle; 0 for all with liver")
    parser.add_argument("--size", choices=sorted(SIZES), default="compact")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3, help="of which the fastest counts")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    manifest = Manifest.read()
    entry = manifest.find("cs_att")
    network = CsAtt(replace(SIZES[args.size], images=args.images)).eval()
    if args.size == "compact":
        take_parts(network, read_weights(manifest.folder / entry.file))
    network = fold_batch_norm(network).to(memory_format=torch.channels_last)
    spec = replace(entry.input, in_slices=3 * args.images)
    sample = load_sample()
    geometry = sample.volume.geometry.with_spacing(spec.spacing_zyx_mm)
    hu = resample(sample.volume.hu_zyx, sample.volume.geometry, geometry)
    liver = resample_labels(sample.liver_zyx.astype(np.uint8), sample.volume.geometry, geometry) > 0
    view = view_around(liver, geometry.spacing_zyx_mm)
    assert view is not None
    if args.slices:
        first = (view.slices.start + view.slices.stop - args.slices) // 2
        view = replace(view, slices=range(first, first + args.slices))
    largest = [0.0]

    def as_trained() -> list[np.ndarray]:
        windows = VolumeWindows(network, spec, hu, view)
        scores = []
        for z in view.slices:
            with torch.inference_mode():
                images = torch.stack([windows.image(windows._centre(z + o)) for o in network.offsets])
                found, _ = network.detect(network.window(images.flatten(0, 1)[None]), windows.size_yx)
            scores.append(windows.to_grid(found[0])[1])
        return scores

    def one_by_one() -> list[np.ndarray]:
        return [
            slice_boxes(network, spec, hu, replace(view, slices=range(z, z + 1))).scores for z in view.slices
        ]

    def together() -> list[np.ndarray]:
        found = slice_boxes(network, spec, hu, view)
        return [found.scores[found.slices == z] for z in view.slices]

    def timed(run: Callable[[], list[np.ndarray]]) -> float:
        """Milliseconds a slice, of the processor: others on the machine count little."""
        best = float("inf")
        for _ in range(args.rounds):
            started = time.process_time()
            scores = run()
            best = min(best, time.process_time() - started)
        same = zip(scores, expected, strict=True)
        largest[0] = max(largest[0], *(float(np.abs(a - b).max(initial=0.0)) for a, b in same))
        return 1000 * best / len(view.slices)

    expected = as_trained()
    shared, alone, trained = timed(together), timed(one_by_one), timed(as_trained)
    size = VolumeWindows(network, spec, hu, view).size_yx
    print(
        f"{args.size}, M = {args.images}, {len(view.slices)} slices of {size[0]} x {size[1]} pixels: "
        f"{shared:.0f} ms a slice with shared features; target by target {trained:.0f} ms as trained "
        f"({trained / shared:.1f} times), {alone:.0f} ms with the same code ({alone / shared:.1f} times); "
        f"largest difference of a score {largest[0]:.0e}; {sum(len(s) for s in expected)} boxes"
    )


if __name__ == "__main__":
    main()
