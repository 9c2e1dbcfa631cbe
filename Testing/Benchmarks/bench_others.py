"""This tree beside nnU-Net's predictor and TotalSegmentator on one real CT: wall and processor seconds.

    pip install -e ".[benchmark]"
    python Testing/Benchmarks/bench_others.py [CT] [--rounds 2] [--python FILE] [--json FILE]
    python Testing/Benchmarks/bench_others.py --rounds 1 --patch 48,48,64 --features 8,16,32  (a quick look)

nnU-Net runs from its package, **without trained weights and with plans of ours**: a plain convolutional
U-Net of random weights, whose plans are like those of a network for many organs at 3 mm (patches of
112 x 112 x 128, six levels of 32 to 320 features, 118 classes, tiles that overlap by half, no mirroring). Its
labels mean nothing; its time is what such a network takes. As in programs built on it, the CT is brought to
3 mm first and the labels back by nearest neighbours. (Handed the CT as it is, nnU-Net brings the logits of
every class back to the CT's voxels: for lits003 some 440 processor seconds for that alone.)

TotalSegmentator, where its package is there too, runs as its own command, `TotalSegmentator --fast`, by **the
same network of ours in the place of its own**: it wants a folder of weights and gets one, with random weights
and our plans, whose last layer says "background" nearly everywhere, so that what it writes is as empty as it
can be: less than it would write, never more. It writes a file a class, as it does by itself, and in a row of
its own all in one (`--ml`). Nothing is downloaded, no statistics of use are sent.

All take as many threads as `OMP_NUM_THREADS` says. Run it on a machine that does nothing else. `--python`
names the interpreter of another environment that has nnU-Net and TotalSegmentator.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_analyze import MASKS, TREE, Row, Run, analysis, timed

OWN, ALL, OTHER = "masks alone", "all but the gallbladder", "nnU-Net's predictor"
TOTAL, TOTAL_ML = "TotalSegmentator --fast", "TotalSegmentator --fast --ml"
VERSIONS = """
from importlib.metadata import PackageNotFoundError, version
def of(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
print("nnunetv2", version("nnunetv2"), "on torch", version("torch"), end=", TotalSegmentator ")
print(of("TotalSegmentator"))
"""
# Where TotalSegmentator looks for the network of its fast task (number 297).
TOTAL_TRAINER = "nnUNetTrainer_4000epochs_NoMirroring"
TOTAL_FOLDER = f"Dataset297_TotalSegmentator_total_3mm_1559subj/{TOTAL_TRAINER}__nnUNetPlans__3d_fullres"
RUN_TOTAL = "from totalsegmentator.bin.TotalSegmentator import main; main()"


def plans(patch: list[int], spacing_mm: float, features: Sequence[int]) -> dict[str, Any]:
    """nnU-Net's plans for one configuration, as its planner writes them."""
    levels = len(features)
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    return {
        "dataset_name": "Dataset000_Random",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [spacing_mm] * 3,
        "original_median_shape_after_transp": [128] * 3,
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": {"mean": 0.0, "std": 300.0, "percentile_00_5": -1000.0, "percentile_99_5": 1000.0}
        },
        "configurations": {
            "3d_fullres": {
                "data_identifier": "nnUNetPlans_3d_fullres",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": 2,
                "patch_size": patch,
                "median_image_size_in_voxels": [128.0] * 3,
                "spacing": [spacing_mm] * 3,
                "normalization_schemes": ["CTNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": "resample_data_or_seg_to_shape",
                "resampling_fn_seg": "resample_data_or_seg_to_shape",
                "resampling_fn_data_kwargs": resampling,
                "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
                "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
                "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
                "batch_dice": True,
                "architecture": {
                    "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
                    "arch_kwargs": {
                        "n_stages": levels,
                        "features_per_stage": list(features),
                        "conv_op": "torch.nn.modules.conv.Conv3d",
                        "kernel_sizes": [[3, 3, 3]] * levels,
                        "strides": [[1, 1, 1]] + [[2, 2, 2]] * (levels - 2) + [[1, 1, 2]],
                        "n_conv_per_stage": [2] * levels,
                        "n_conv_per_stage_decoder": [2] * (levels - 1),
                        "conv_bias": True,
                        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
                        "dropout_op": None,
                        "dropout_op_kwargs": None,
                        "nonlin": "torch.nn.LeakyReLU",
                        "nonlin_kwargs": {"inplace": True},
                    },
                    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
                },
            }
        },
    }


def network_of(asked: argparse.Namespace) -> tuple[Any, Any, dict[str, Any]]:
    """nnU-Net's network of random weights for our plans; (network, plans manager, dataset)."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    torch.manual_seed(0)
    names = {"background": 0, **{f"organ {n}": n for n in range(1, asked.classes)}}
    dataset = {"channel_names": {"0": "CT"}, "labels": names, "file_ending": ".nii.gz"}
    manager = PlansManager(plans(numbers(asked.patch), asked.mm, numbers(asked.features)))
    network = nnUNetTrainer.build_network_architecture(
        manager, manager.get_configuration("3d_fullres"), 1, asked.classes, enable_deep_supervision=False
    )
    return network.eval(), manager, dataset


def numbers(text: str) -> list[int]:
    """Of "1,2,3"."""
    return [int(word) for word in text.split(",")]


def write_weights(asked: argparse.Namespace, folder: Path) -> None:
    """The folder of weights that TotalSegmentator looks for, with a network of ours; and its settings.

    Its own task has 118 classes, so that ours has as many.
    """
    import torch

    network, manager, dataset = network_of(argparse.Namespace(**{**vars(asked), "classes": 118}))
    with torch.no_grad():
        for layer in network.decoder.seg_layers:
            layer.bias[0] += 1000.0
    place = folder / "weights" / TOTAL_FOLDER
    (place / "fold_0").mkdir(parents=True)
    (place / "plans.json").write_text(json.dumps(manager.plans))
    (place / "dataset.json").write_text(json.dumps({**dataset, "numTraining": 0}))
    kept = {
        "network_weights": network.state_dict(),
        "trainer_name": TOTAL_TRAINER,
        "init_args": {"configuration": "3d_fullres"},
        "inference_allowed_mirroring_axes": None,
    }
    torch.save(kept, place / "fold_0" / "checkpoint_final.pth")
    silent = {"totalseg_id": "benchmark", "send_usage_stats": False, "prediction_counter": 0}
    (folder / "config.json").write_text(json.dumps({**silent, "statistics_disclaimer_shown": True}))


def predict(ct: Path, asked: argparse.Namespace) -> None:
    """Read a CT, predict by nnU-Net's predictor with random weights, and bring its labels back."""
    import numpy as np
    import SimpleITK as sitk
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from scipy import ndimage

    spacing_mm = asked.mm
    network, manager, dataset = network_of(asked)
    configuration = manager.get_configuration("3d_fullres")
    predictor = nnUNetPredictor(
        tile_step_size=0.5,
        use_mirroring=False,
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    predictor.manual_initialization(
        network, manager, configuration, [network.state_dict()], dataset, "nnUNetTrainer", None
    )
    stages, started = {}, time.perf_counter()

    def ended(stage: str) -> None:
        nonlocal started
        stages[stage], started = time.perf_counter() - started, time.perf_counter()

    image = sitk.ReadImage(str(ct))
    hu_zyx = sitk.GetArrayFromImage(image).astype(np.float32)
    ended("read")
    coarse = ndimage.zoom(hu_zyx, [step / spacing_mm for step in image.GetSpacing()[::-1]], order=3)
    ended("to_grid")
    properties = {"spacing": [spacing_mm] * 3}
    labels = predictor.predict_single_npy_array(coarse[None], properties, None, None, False)
    ended("predict")
    nearest = [
        np.minimum(((np.arange(n) + 0.5) * m / n).astype(int), m - 1)
        for n, m in zip(hu_zyx.shape, labels.shape, strict=True)
    ]
    back = labels[np.ix_(*nearest)]
    ended("to_ct")
    assert back.shape == hu_zyx.shape
    for stage, seconds in stages.items():
        print(f"  {stage} {seconds:.2f} s {100 * seconds / sum(stages.values()):.0f} %")


def measure(rows: Sequence[Row], rounds: int) -> dict[str, list[Run]]:
    """Every row in turn; one that fails is said, and left out of what follows."""
    runs: dict[str, list[Run]] = {}
    failed: set[str] = set()
    for _ in range(rounds):
        for row in rows:
            if row.name in failed:
                continue
            try:
                runs.setdefault(row.name, []).append(timed(row))
            except RuntimeError as error:
                failed.add(row.name)
                print(error)
    return {name: each for name, each in runs.items() if each}


def print_rows(runs: dict[str, list[Run]]) -> None:
    """Medians, and the ratios that mean something on any machine."""
    print(f"{'':<30} {'wall s':>8} {'CPU s':>8} {'peak GB':>8}")
    for name, each in runs.items():
        wall, cpu = (median(getattr(run, key) for run in each) for key in ("wall_s", "cpu_s"))
        print(f"{name:<30} {wall:8.1f} {cpu:8.1f} {max(run.peak_gb for run in each):8.2f}")
    for name in (OTHER,) if OTHER in runs else ():
        staged = {stage: median(run.stages[stage] for run in runs[name]) for stage in runs[name][0].stages}
        print(f"{name}, wall: " + ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in staged.items()))
    for mine, other in ((OWN, OTHER), (ALL, TOTAL), (ALL, TOTAL_ML)):
        if mine in runs and other in runs:
            pairs = [
                [median(getattr(run, key) for run in runs[name]) for name in (mine, other)]
                for key in ("wall_s", "cpu_s")
            ]
            (a, b), (c, d) = pairs
            print(f"{mine} / {other}: {a / b:.2f} of the time, {c / d:.2f} of the processor seconds")


def rows_of(ct: Path, given: Sequence[str], python: str, folder: Path | None) -> list[Row]:
    """What is timed.

    Args:
        given: options that say what the other's network is like.
        folder: TotalSegmentator's home, where there is one.
    """
    quick = (*MASKS, "--no-gallbladder", "--no-scene")
    rows = [
        analysis(OWN, TREE, ct, quick),
        Row(OTHER, (str(Path(__file__).resolve()), str(ct), "--predict", *given), python=python),
    ]
    if folder is not None:
        total = ("-c", RUN_TOTAL, "-i", str(ct), "-o", "{out}/masks", "--fast", "--device", "cpu")
        in_one = (*(part.replace("/masks", "/masks.nii.gz") for part in total), "--ml")
        rows += [
            analysis(ALL, TREE, ct, ("--no-gallbladder",)),
            Row(TOTAL, total, python=python),
            Row(TOTAL_ML, in_one, python=python),
        ]
    return rows


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        description="This tree beside nnU-Net and TotalSegmentator (random weights, plans of ours).",
        epilog="The defaults are like a network for many organs at 3 mm.",
    )
    made.add_argument("ct", type=Path, nargs="?", help="default: lits003 of the real data")
    made.add_argument("--rounds", type=int, default=2)
    made.add_argument("--python", default=sys.executable, metavar="FILE", help="of the one with nnU-Net")
    made.add_argument("--mm", type=float, default=3.0, help="grid of nnU-Net's network, mm")
    made.add_argument("--patch", default="112,112,128", metavar="Z,Y,X", help="its patch, voxels")
    made.add_argument("--classes", type=int, default=118, help="its classes (TotalSegmentator's are 118)")
    made.add_argument("--features", default="32,64,128,256,320,320", help="its features level by level")
    made.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    made.add_argument("--predict", action="store_true", help=argparse.SUPPRESS)
    made.add_argument("--write-weights", type=Path, help=argparse.SUPPRESS)
    return made


def main() -> int:
    args = parser().parse_args()
    if args.predict:
        predict(args.ct, args)
        return 0
    if args.write_weights:
        write_weights(args, args.write_weights)
        return 0
    sys.path.insert(0, str(TREE / "LiverLesionAI"))
    from LiverLesionAILab.data.cases import data_folder
    from LiverLesionAILib.support.errors import InputError

    try:
        ct = args.ct.resolve() if args.ct else data_folder() / "lits" / "lits003_ct.nii.gz"
    except InputError as error:
        print(f"skipped: {error}")
        return 0
    versions = subprocess.run([args.python, "-c", VERSIONS], capture_output=True, text=True, check=False)
    if versions.returncode:
        print(
            f'skipped: {args.python} has no nnU-Net (pip install "nnunetv2>=2.8", or name one by --python).'
        )
        return 0
    given = ("--patch", args.patch, "--mm", str(args.mm), "--classes", str(args.classes))
    given = (*given, "--features", args.features)
    there = versions.stdout.strip()
    print(f"{ct.name}, {args.rounds} rounds, medians, {time.strftime('%d %B %Y')}; {there}:")
    print(
        f"weights are random, plans and network OURS, and not those of anybody's release: {args.mm:g} mm, "
        f"patches of {args.patch}, features {args.features}, {args.classes} classes",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as home:
        folder = None if there.endswith("absent") else Path(home)
        if folder is not None:
            os.environ["TOTALSEG_HOME_DIR"] = home
            os.environ["TOTALSEG_WEIGHTS_PATH"] = str(folder / "weights")
            own = [args.python, str(Path(__file__).resolve()), "--write-weights", home, *given]
            subprocess.run(own, check=True)
        runs = measure(rows_of(ct, given, args.python, folder), args.rounds)
    print_rows(runs)
    if args.json:
        measured = {name: [asdict(run) for run in each] for name, each in runs.items()}
        said = {"ct": ct.name, "versions": there, "network": " ".join(given)}
        args.json.write_text(json.dumps({**said, "rows": measured}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
