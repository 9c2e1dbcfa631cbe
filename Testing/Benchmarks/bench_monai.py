"""Whole volumes by the bundled mask networks at one scale, against MONAI.

MONAI's sliding_window_inference runs over its U-Net of equal operations per pixel, on the same slices with
the same threads and precision.

    python Testing/Benchmarks/bench_monai.py [--slices 60] [--pixels 256] [--models sfan mscd va_mask_rcnn]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "LiverLesionAI"))

import numpy as np
import torch
import torch.nn.functional as F
from LiverLesionAILib.models.device import choose_device
from LiverLesionAILib.models.inputs import InputSpec
from LiverLesionAILib.models.weights import ModelEntry, ModelStore
from LiverLesionAILib.stages.detect.volumetric import volumetric_liver_and_tumour
from LiverLesionAILib.stages.segment.inference import liver_and_tumour
from monai.inferers import sliding_window_inference
from monai.networks.nets import UNet
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

WINDOW_PX = 192


def operations_per_pixel(run: Callable[[], object], pixels: int) -> float:
    """Multiplications and additions of `run` for each of so many pixels."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        run()
    return counter.get_total_flops() / pixels


def monai_unet(slices: int, wanted: float) -> tuple[nn.Module, float]:
    """MONAI's U-Net of five levels whose operations per pixel come nearest to `wanted`; also its own."""
    best: tuple[float, nn.Module, float] | None = None
    for width in range(4, 65, 2):
        channels = tuple(width * factor for factor in (1, 2, 4, 8, 12))
        network = UNet(2, slices, 3, channels, (2, 2, 2, 2), num_res_units=2).eval()
        image = torch.zeros(1, slices, WINDOW_PX, WINDOW_PX)
        own = operations_per_pixel(lambda net=network, x=image: net(x), WINDOW_PX**2)
        if best is None or abs(own - wanted) < best[0]:
            best = (abs(own - wanted), network, own)
    assert best is not None
    return best[1], best[2]


def seconds(run: Callable[[], object]) -> float:
    """The faster of two runs."""
    times = []
    for _ in range(2):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def images_of(spec: InputSpec, hu_zyx: np.ndarray) -> torch.Tensor:
    """All slices with their neighbours, magnified as the network sees them: (z, slices, H, W)."""
    indices = spec.stack_indices(np.arange(len(hu_zyx)), len(hu_zyx))
    images = torch.from_numpy(spec.normalise(hu_zyx))[torch.from_numpy(indices)]
    size = [round(n * spec.magnify) for n in hu_zyx.shape[1:]]
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False)


def compare(entry: ModelEntry, models: ModelStore, hu_zyx: np.ndarray) -> str:
    """One line: seconds of both and their ratio."""
    device = choose_device("cpu", "auto")
    network = models.network(entry.name, device.name, device.precision)
    spec, batch = entry.input, device.batch

    def ours(hu: np.ndarray = hu_zyx) -> object:
        if entry.network == "va_mask_rcnn":
            return volumetric_liver_and_tumour(network, spec, hu, batch=batch)
        return liver_and_tumour(network, spec, hu, batch=batch)

    # Of the sixteen middle slices: the first and last of a bag stand in for missing neighbours.
    some = hu_zyx[len(hu_zyx) // 2 - 8 : len(hu_zyx) // 2 + 8]
    wanted = operations_per_pixel(lambda: ours(some), some.size * spec.magnify**2)
    other, own = monai_unet(spec.in_slices, wanted)
    dtype = next(network.parameters()).dtype
    other = other.to(dtype).to(memory_format=torch.channels_last)

    def theirs() -> object:
        with torch.inference_mode():
            images = images_of(spec, hu_zyx).to(dtype)
            logits = sliding_window_inference(images, (WINDOW_PX, WINDOW_PX), 8, other, overlap=0.25)
            logits = logits.float().softmax(dim=1)
            return F.interpolate(logits, size=hu_zyx.shape[1:], mode="bilinear", align_corners=False)

    a, b = seconds(ours), seconds(theirs)
    return (
        f"{entry.name:<14} {wanted / 1e3:7.1f} kFLOP a pixel, {a:6.2f} s; MONAI U-Net {own / 1e3:7.1f} kFLOP "
        f"a pixel, {b:6.2f} s; {b / a:.1f} times faster"
    )


def main() -> None:
    """Print a line per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=60)
    parser.add_argument("--pixels", type=int, default=200, help="edge of the slices on the network's grid")
    parser.add_argument("--models", nargs="+", default=["sfan", "mscd", "va_mask_rcnn"])
    args = parser.parse_args()
    models = ModelStore.bundled()
    shape = (args.slices, args.pixels, args.pixels)
    hu = np.random.default_rng(0).normal(60, 40, shape).astype(np.float32)
    print(
        f"{args.slices} slices of {args.pixels} x {args.pixels}, {torch.get_num_threads()} threads, one scale"
    )
    for name in args.models:
        print(compare(models.manifest.find(name), models, hu), flush=True)


if __name__ == "__main__":
    main()
