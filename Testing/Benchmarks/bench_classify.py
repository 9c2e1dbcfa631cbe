"""Classifying all liver slices of a CT, and Grad-CAM of ten lesions: seconds on this computer.

    python Testing/Benchmarks/bench_classify.py [--device cpu|cuda] [--threads N]

Takes lits/lits003 of the real data with its own liver mask; ten balls in the liver stand for lesions. The
network is the bundled one, or an untrained one of its size where none is bundled.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

LIBRARY = Path(__file__).resolve().parents[2] / "LiverLesionAI"
sys.path.insert(0, str(LIBRARY))


def fastest(run: Callable[[], object], times: int = 3) -> float:
    """Seconds of the fastest of several runs, after one that warms up."""
    run()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def main() -> int:
    import torch
    from LiverLesionAILab.data.cases import data_folder, read_unchecked
    from LiverLesionAILab.training.recipes import recipe
    from LiverLesionAILib.analysis.rules import Rules
    from LiverLesionAILib.models.device import choose_device
    from LiverLesionAILib.models.folding import fold_batch_norm
    from LiverLesionAILib.models.weights import ModelStore
    from LiverLesionAILib.networks.dadrn import Dadrn
    from LiverLesionAILib.stages.classify.lesions import ClassifySettings, classify_lesions, classify_slices
    from LiverLesionAILib.stages.classify.liver_box import LiverCrop
    from LiverLesionAILib.support.errors import LiverLesionAIError
    from LiverLesionAILib.volume.ct import CtVolume, reorient, resample, resample_labels

    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        folder = data_folder() / "lits"
        ct, mask = (read_unchecked(folder / f"lits003_{what}.nii.gz") for what in ("ct", "mask"))
    except LiverLesionAIError as error:
        print(f"skipped: {error}")
        return 0
    device = choose_device(args.device)
    spec = recipe("dadrn").spec
    try:
        network = ModelStore.bundled().network("dadrn", device.name, device.precision)
    except LiverLesionAIError:
        network = fold_batch_norm(Dadrn().eval()).to(device.name, getattr(torch, device.precision))
    volume = reorient(ct)
    working = volume.geometry.with_spacing(spec.spacing_zyx_mm)
    hu = resample(volume.hu_zyx, volume.geometry, working)
    labels = reorient(CtVolume(mask.hu_zyx, ct.geometry)).hu_zyx
    liver = resample_labels((labels > 0).astype(np.uint8), volume.geometry, working) > 0
    lesions = np.zeros(liver.shape, np.uint16)
    rng = np.random.default_rng(0)
    spots = np.argwhere(liver)
    z, y, x = np.indices(liver.shape)
    for number in range(1, 11):
        at = spots[int(rng.integers(len(spots)))]
        ball = ((z - at[0]) * 3) ** 2 + ((y - at[1]) * 1.5) ** 2 + ((x - at[2]) * 1.5) ** 2 < 12**2
        lesions[ball & liver] = number
    slices, _ = classify_slices(network, spec, hu, liver)
    all_s = fastest(lambda: classify_slices(network, spec, hu, liver))
    crop, settings = LiverCrop(hu, liver, lesions, working), Rules().part(ClassifySettings)
    maps_s = fastest(lambda: classify_lesions(network, spec, crop, settings))
    print(f"{device.description}, {torch.get_num_threads()} threads, {device.precision}")
    print(f"  {len(slices)} liver slices classified           {all_s:6.2f} s")
    print(f"  10 lesions classified, with Grad-CAM  {maps_s:6.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
