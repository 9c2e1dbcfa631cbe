"""This tree's masks beside nnU-Net's own predictor on one real CT, side by side: wall and processor seconds.

    pip install -e ".[benchmark]"
    python Testing/Benchmarks/bench_others.py [CT] [--rounds 2] [--python FILE]
    python Testing/Benchmarks/bench_others.py --rounds 1 --mm 6 --patch 64,64,64 --classes 10  (a quick look)

nnU-Net runs from its package, **without trained weights and with plans of ours**: a plain convolutional
U-Net of random weights, whose plans are like those of a network for many organs at 3 mm (patches of
112 x 112 x 128, six levels of 32 to 320 features, 118 classes, tiles that overlap by half, no mirroring). Its
labels mean nothing; its time is what such a network takes. As in programs built on it, the CT is brought to
3 mm first and the labels back by nearest neighbours. (Handed the CT as it is, nnU-Net brings the logits of
every class back to the CT's voxels: for lits003 some 440 processor seconds for that alone.)
TotalSegmentator itself does not start without its weights.

Both take as many threads as `OMP_NUM_THREADS` says. Run it on a machine that does nothing else. `--python`
names the interpreter of another environment that has nnU-Net.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bench_analyze import MASKS, TREE, Row, Run, analysis, timed

FEATURES = (32, 64, 128, 256, 320, 320)
OWN, OTHER = "masks alone", "nnU-Net's predictor"
VERSIONS = """
from importlib.metadata import version
print("nnunetv2", version("nnunetv2"), "on torch", version("torch"))
"""


def plans(patch: list[int], spacing_mm: float) -> dict[str, Any]:
    """nnU-Net's plans for one configuration, as its planner writes them."""
    levels = len(FEATURES)
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
                        "features_per_stage": list(FEATURES),
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


def predict(ct: Path, patch: list[int], spacing_mm: float, classes: int) -> None:
    """Read a CT, predict by nnU-Net's predictor with random weights, and bring its labels back."""
    import numpy as np
    import SimpleITK as sitk
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
    from scipy import ndimage

    torch.manual_seed(0)
    names = {"background": 0, **{f"organ {n}": n for n in range(1, classes)}}
    dataset = {"channel_names": {"0": "CT"}, "labels": names, "file_ending": ".nii.gz"}
    manager = PlansManager(plans(patch, spacing_mm))
    configuration = manager.get_configuration("3d_fullres")
    network = nnUNetTrainer.build_network_architecture(
        manager, configuration, 1, classes, enable_deep_supervision=False
    ).eval()
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


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Masks alone beside nnU-Net's predictor (random weights, plans of ours).",
        epilog="The defaults are like a network for many organs at 3 mm.",
    )
    parser.add_argument("ct", type=Path, nargs="?", help="default: lits003 of the real data")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--python", default=sys.executable, metavar="FILE", help="of the one with nnU-Net")
    parser.add_argument("--mm", type=float, default=3.0, help="grid of nnU-Net's network, mm")
    parser.add_argument("--patch", default="112,112,128", metavar="Z,Y,X", help="its patch, voxels")
    parser.add_argument("--classes", type=int, default=118, help="its classes")
    parser.add_argument("--predict", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.predict:
        predict(args.ct, [int(word) for word in args.patch.split(",")], args.mm, args.classes)
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
    given = ("--predict", "--patch", args.patch, "--mm", str(args.mm), "--classes", str(args.classes))
    rows = (
        analysis(OWN, TREE, ct, (*MASKS, "--no-gallbladder", "--no-scene")),
        Row(OTHER, (str(Path(__file__).resolve()), str(ct), *given), python=args.python),
    )
    runs: dict[str, list[Run]] = {row.name: [] for row in rows}
    for _ in range(args.rounds):
        for row in rows:
            runs[row.name].append(timed(row))
    print(
        f"{ct.name}, {args.rounds} rounds, medians, {time.strftime('%d %B %Y')}; {versions.stdout.strip()}:"
    )
    print(f"random weights, plans of ours: {args.mm:g} mm, patches of {args.patch}, {args.classes} classes")
    print(f"{'':<22} {'wall s':>8} {'CPU s':>8} {'peak GB':>8}")
    for name, each in runs.items():
        wall, cpu = (median(getattr(run, key) for run in each) for key in ("wall_s", "cpu_s"))
        print(f"{name:<22} {wall:8.1f} {cpu:8.1f} {max(run.peak_gb for run in each):8.2f}")
    staged = {stage: median(run.stages[stage] for run in runs[OTHER]) for stage in runs[OTHER][0].stages}
    print(f"{OTHER}, wall: " + ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in staged.items()))
    for key, what in (("wall_s", "time"), ("cpu_s", "processor seconds")):
        mine, other = (median(getattr(run, key) for run in each) for each in runs.values())
        print(f"{OWN} / {OTHER}: {mine / other:.2f} of the {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
